// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * heap.c: growth and its limits, what a heap costs, its beginning and end, and
 * the promises about wrong frees in both modes.
 */
#include "testheap.h"

TESTHEAP_FIXTURE(heap)

static struct capture report;

/* A module that allocates a hundred objects must not cost megabytes. */
TEST_F(heap, a_small_user_costs_little)
{
	void *objs[100];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 64);
	ASSERT_LE(test.ts.out, 256 * KIB + (variant->kernel ? 0 : KSPAN_ARENA_SIZE));
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
}

TEST_F(heap, a_large_user_asks_seldom)
{
	static void *objs[600];
	u64 before = test.ts.nget;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 100 * KIB);
	ASSERT_LT(test.ts.nget - before, ARRAY_SIZE(objs) / 2);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
}

/* Groups of arenas are crossed: 65 and more, inserted as the source likes. */
TEST_F(heap, many_arenas)
{
	static void *objs[400];
	const size_t nbytes = MIB / 16;	/* written: the whole would be 600 MiB */
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = get(heap, MIB);
		ASSERT_NE(NULL, objs[i]);
		pattern_write(objs[i], nbytes, i);
	}
	ASSERT_GT(heap->node0.pages.n, 65);
	ASSERT_EQ(0, heap_verify(heap));
	for (i = 0; i < ARRAY_SIZE(objs); i += 2)
		put(heap, objs[i]);
	ASSERT_EQ(0, heap_verify(heap));
	for (i = 0; i < ARRAY_SIZE(objs); i += 2) {
		objs[i] = get(heap, MIB);
		ASSERT_NE(NULL, objs[i]);
		pattern_write(objs[i], nbytes, i);
	}
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		ASSERT_TRUE(pattern_holds(objs[i], nbytes, nbytes, i));
		put(heap, objs[i]);
	}
}

TEST_F(heap, arenas_from_the_top_down)
{
	static void *objs[100];
	u32 i;

	test.ts.place = PLACE_DOWN;
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = get(heap, 3 * MIB);
		ASSERT_NE(NULL, objs[i]);
		ASSERT_EQ(0, heap_verify(heap));
	}
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
}

/* The source runs dry: NULL, and what is there serves again. */
TEST_F(heap, the_end_of_memory)
{
	static void *objs[2000];
	u32 n = 0, k;

	while ((objs[n] = get(heap, MIB)))
		n++;
	ASSERT_GT(n, 600);
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, objs[--n]);
	objs[n] = get(heap, MIB);
	ASSERT_NE(NULL, objs[n++]);
	for (k = 0; k < n; k++)
		put(heap, objs[k]);
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(heap, hard_limit)
{
	static void *objs[1000];
	static struct kspan_stats stats;
	u32 n;

	heap->config.limit_hard = 20 * MIB;
	for (n = 0; n < ARRAY_SIZE(objs); n++) {
		errno = 0;
		objs[n] = get(heap, 100 * KIB);
		if (!objs[n])
			break;
	}
	ASSERT_EQ(ENOMEM, errno);
	ASSERT_GT(n, 100);
	heap_get_stats(heap, &stats);
	ASSERT_LE(stats.inuse_bytes + stats.meta_bytes, 20 * MIB);
	ASSERT_EQ(NULL, get(heap, 21 * MIB));
	ASSERT_EQ(NULL, heap_realloc(heap, objs[0], 10 * MIB, GFP_KERNEL, 0));
	ASSERT_EQ(0, heap_verify(heap));
	/* what is freed may be had again */
	put(heap, objs[--n]);
	put(heap, objs[--n]);
	put(heap, objs[--n]);
	objs[n] = get(heap, 100 * KIB);
	ASSERT_NE(NULL, objs[n]);
	heap->config.limit_hard = 0;
	objs[n + 1] = get(heap, 100 * KIB);
	ASSERT_NE(NULL, objs[n + 1]);
	for (n += 2; n--;)
		put(heap, objs[n]);
}

/* Takes all that is to be had in objects of one size, and gives it back. */
static void *exhaust(void *arg)
{
	static const u32 sizes[] = { 16, 300, 9000, 40 * KIB, 3 * MIB };
	struct kspan_heap *heap = arg;
	struct kspan_page_counts sum;
	u32 i, n;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *last = NULL, *obj;

		for (n = 0; (obj = get(heap, sizes[i])); n++) {
			unsigned long flags = port_lock(&heap->lock);

			heap_sum_pages(heap, &sum);
			must(pages_to_bytes(sum.ninuse) + heap->meta_bytes <=
			     heap->config.limit_hard);
			port_unlock(&heap->lock, flags);
			*(void **)obj = last;
			last = obj;
		}
		for (; last; last = obj) {
			obj = *(void **)last;
			put(heap, last);
		}
	}
	return NULL;
}

/* At no time is the hard limit passed: not by metadata, not by several at a time. */
TEST_F(heap, hard_limit_holds)
{
	pthread_t thread[4];
	u32 i;

	heap->config.limit_hard = 9 * MIB;
	exhaust(heap);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, exhaust, heap));
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(0, heap->charged_bytes);
	ASSERT_EQ(0, heap_verify(heap));
}

/* The hard limit is not for those who must not fail and may wait. */
TEST_F(heap, hard_limit_nofail)
{
	static const size_t sizes[] = { 16, 300, 9000, 32 * KIB, 40 * KIB, 3 * MIB, 6 * MIB };
	static void *objs[1000];
	void *must_have[ARRAY_SIZE(sizes)];
	u32 n, i;

	heap->config.limit_hard = 9 * MIB;
	for (n = 0; n < ARRAY_SIZE(objs); n++) {
		objs[n] = get(heap, 40 * KIB);
		if (!objs[n])
			break;
	}
	ASSERT_LT(n, ARRAY_SIZE(objs));
	ASSERT_EQ(NULL, heap_alloc(heap, 3 * MIB, false, __GFP_NOFAIL, 0));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		must_have[i] = heap_alloc(heap, sizes[i], false, GFP_KERNEL | __GFP_NOFAIL, 0);
		ASSERT_NE(NULL, must_have[i]);
		ASSERT_EQ(NULL, get(heap, 40 * KIB));
	}
	while (i--)
		put(heap, must_have[i]);
	while (n--)
		put(heap, objs[n]);
	ASSERT_EQ(0, heap->charged_bytes);
	ASSERT_EQ(0, heap_verify(heap));
}

/* Above the soft limit idle memory goes back before more is used. */
TEST_F(heap, soft_limit)
{
	static struct kspan_stats stats;
	void *objs[30];
	u32 i, round;

	heap->config.limit_soft = 16 * MIB;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < ARRAY_SIZE(objs); i++) {
			objs[i] = get(heap, MIB);
			ASSERT_NE(NULL, objs[i]);
			heap_get_stats(heap, &stats);
			if (stats.inuse_bytes > 16 * MIB)
				ASSERT_LE(stats.idle_bytes, KSPAN_ARENA_SIZE);
		}
		for (i = 0; i < ARRAY_SIZE(objs); i++)
			put(heap, objs[i]);
	}
	ASSERT_GT(heap->nscavenged_bytes, 0);
}

TEST_F(heap, sys_bytes_is_what_the_source_gave)
{
	static struct kspan_stats stats;
	u64 seed = 1;
	u32 i;

	for (i = 0; i < 300; i++) {
		void *obj = get(heap, 1 + random_below(&seed, 300000));

		if (i % 3)
			put(heap, obj);
		heap_get_stats(heap, &stats);
		ASSERT_EQ(test.ts.out, stats.sys_bytes);
		ASSERT_EQ(stats.sys_bytes, stats.inuse_bytes + stats.idle_bytes +
			  stats.released_bytes + stats.meta_bytes);
		if (!(i % 3))
			put(heap, obj);
	}
}

TEST(heaps_that_cannot_begin)
{
	u32 n;

	testheap_prepare(&test, true, TEST_SPACE);
	testheap_nodes(&test, 2);	/* a heap of one takes nothing at first */
	for (n = 1; n < 100; n++) {
		testsource_fail_nth(&test.ts, n);
		if (!heap_init(heap, &test.config))
			break;
		ASSERT_EQ(0, test.ts.out);
	}
	ASSERT_LT(1, n);
	testheap_end(&test);
}

/* Objects that are out stay where they are when their heap ends. */
TEST(what_is_still_out_is_lost_and_said)
{
	static const size_t sizes[] = { 8, 100, 32768, 50000, 5 * MIB };
	void *objs[ARRAY_SIZE(sizes)];
	size_t lost;
	u32 i;

	testheap_init(&test, false);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		objs[i] = get(heap, sizes[i]);
		pattern_write(objs[i], sizes[i], i);
	}
	cache_drain(heap, &heap->slots);
	capture_begin(&report);
	ASSERT_EQ(ARRAY_SIZE(sizes), heap_leaks(heap, true));
	capture_end(&report);
	ASSERT_EQ(ARRAY_SIZE(sizes), capture_count(&report, "leak: "));
	lost = heap_destroy(heap);
	ASSERT_GT(lost, 5 * MIB);
	ASSERT_EQ(lost, test.ts.out);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		ASSERT_TRUE(pattern_holds(objs[i], sizes[i], sizes[i], i));
}

/* Wrong frees, as the design's section 7 has them */

static void *const outside = &report;

static void expect_reports(u64 ndouble, u64 ninterior, u64 nforeign)
{
	must(heap->nmisuse[KSPAN_DOUBLE_FREE] == ndouble);
	must(heap->nmisuse[KSPAN_INTERIOR_FREE] == ninterior);
	must(heap->nmisuse[KSPAN_FOREIGN_FREE] == nforeign);
	must(capture_count(&report, "kspan: ") == ndouble + ninterior + nforeign);
}

TEST_F(heap, foreign_frees_are_reported_at_once)
{
	char on_stack[64];
	void *obj = get(heap, 64);

	capture_begin(&report);
	put(heap, on_stack);
	put(heap, outside);
	put(heap, heap->regions);
	put(heap, (void *)(uintptr_t)4096);
	put(heap, (void *)-(uintptr_t)4096);
	capture_end(&report);
	expect_reports(0, 0, 5);
	ASSERT_EQ(5, capture_count(&report, "not kspan's"));
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, obj);
}

/* Of an arena that the heap has only pieces of, the rest is not the heap's. */
TEST(pages_beside_its_own_are_foreign)
{
	struct testsource *ts = &test.ts;
	uintptr_t at;
	void *obj;

	testheap_init(&test, true);
	obj = get(heap, 64);
	at = (uintptr_t)obj & -(uintptr_t)KSPAN_ARENA_SIZE;
	while (ts->owner[(at - (uintptr_t)ts->base) >> KSPAN_PAGE_SHIFT])
		at += KSPAN_PAGE_SIZE;
	ASSERT_EQ((uintptr_t)obj / KSPAN_ARENA_SIZE, at / KSPAN_ARENA_SIZE);
	capture_begin(&report);
	put(heap, (void *)at);
	capture_end(&report);
	expect_reports(0, 0, 1);
	put(heap, obj);
	testheap_end(&test);
}

/* Nor is what is left of a span behind its last object one. */
TEST_F(heap, realloc_of_a_spans_end)
{
	void *obj = get(heap, 24);
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)obj);

	capture_begin(&report);
	ASSERT_EQ(NULL, heap_realloc(heap, span_object(span, span->nobjs), 50, GFP_KERNEL, 0));
	capture_end(&report);
	expect_reports(0, 1, 0);
	put(heap, obj);
}

TEST(a_heap_that_was_not_made)
{
	static struct kspan_heap none;

	ASSERT_FALSE(heap_ready(&none));
}

/* In the default mode at the latest when it leaves the cache. */
TEST_F(heap, double_free_by_default)
{
	void *objs[300], *again[300];
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 64);
	capture_begin(&report);
	put(heap, objs[7]);
	put(heap, objs[7]);
	put(heap, objs[100]);
	put(heap, (char *)objs[101] + 16);
	put(heap, objs[100]);
	cache_drain(heap, &heap->slots);
	capture_end(&report);
	expect_reports(2, 1, 0);
	ASSERT_EQ(0, heap_verify(heap));
	/* no object is handed out twice from here on */
	for (i = 0; i < ARRAY_SIZE(again); i++) {
		again[i] = get(heap, 64);
		pattern_write(again[i], 64, i);
		for (k = 0; k < ARRAY_SIZE(objs); k++)
			if (k != 7 && k != 100)
				ASSERT_NE(objs[k], again[i]);
	}
	for (i = 0; i < ARRAY_SIZE(again); i++) {
		ASSERT_TRUE(pattern_holds(again[i], 64, 64, i));
		put(heap, again[i]);
	}
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		if (i != 7 && i != 100)
			put(heap, objs[i]);
	ASSERT_EQ(0, heap_verify(heap));
}

/* Thousands of wrong frees among right ones leave the heap sound. */
TEST_F(heap, wrong_frees_at_random)
{
	static void *objs[500];
	static bool out[500];
	u64 seed = 11, nwrong = 0;
	u32 i, k;

	kspan_user_warn = true;
	capture_begin(&report);
	for (i = 0; i < 20000; i++) {
		k = random_below(&seed, ARRAY_SIZE(objs));
		if (!out[k]) {
			objs[k] = get(heap, 16 * (1 + k % 40));
			must(objs[k]);
			out[k] = true;
		} else if (random_below(&seed, 10) == 0) {
			put(heap, (char *)objs[k] + 8);
			cache_drain(heap, &heap->slots);
			nwrong++;
		} else {
			put(heap, objs[k]);
			out[k] = false;
			if (random_below(&seed, 10) == 0) {
				put(heap, objs[k]);
				nwrong++;
				cache_drain(heap, &heap->slots);
			}
		}
		if (i % 100 == 0) {
			cache_drain(heap, &heap->slots);
			must(heap_verify(heap) == 0);
		}
	}
	capture_end(&report);
	ASSERT_EQ(nwrong, misuses(heap));
	for (k = 0; k < ARRAY_SIZE(objs); k++)
		if (out[k])
			put(heap, objs[k]);
	cache_drain(heap, &heap->slots);
	ASSERT_EQ(nwrong, misuses(heap));
	ASSERT_EQ(0, heap->node0.pages.ninuse);
}

TEST(checked_heaps_report_every_wrong_free_at_once)
{
	static const size_t sizes[] = { 8, 64, 1000, 20000, 50000, 5 * MIB };
	u64 nth = 0;
	u32 i;

	testheap_prepare(&test, true, TEST_SPACE);
	test.config.debug.flags = KSPAN_DEBUG_CHECK;
	testheap_start(&test);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *keep = get(heap, sizes[i]), *obj = get(heap, sizes[i]), *next;

		capture_begin(&report);
		put(heap, obj + 4);
		ASSERT_EQ(++nth, misuses(heap));
		put(heap, obj);
		ASSERT_EQ(nth, misuses(heap));
		put(heap, obj);
		ASSERT_EQ(++nth, misuses(heap));
		capture_end(&report);
		ASSERT_EQ(2, capture_count(&report, "kspan: "));
		ASSERT_EQ(0, heap_verify(heap));
		obj = get(heap, sizes[i]);
		next = get(heap, sizes[i]);
		ASSERT_NE(obj, next);
		ASSERT_NE(obj, keep);
		ASSERT_NE(next, keep);
		put(heap, obj);
		put(heap, next);
		put(heap, keep);
	}
	ASSERT_EQ(nth, misuses(heap));
	testheap_end(&test);
}

static bool owns_site(uintptr_t site, void *arg)
{
	return site == (uintptr_t)arg;
}

/* A checked heap knows who has what. */
TEST(checked_heaps_know_call_sites)
{
	void *objs[3];

	testheap_prepare(&test, false, TEST_SPACE);
	test.config.debug.flags = KSPAN_DEBUG_CHECK;
	testheap_start(&test);
	objs[0] = heap_alloc(heap, 64, false, GFP_KERNEL, 0x1234);
	objs[1] = heap_alloc(heap, 64, false, GFP_KERNEL, 0x5678);
	objs[2] = heap_alloc(heap, 50000, false, GFP_KERNEL, 0x1234);
	ASSERT_EQ(2, heap_leaks_of(heap, owns_site, (void *)0x1234, false));
	ASSERT_EQ(1, heap_leaks_of(heap, owns_site, (void *)0x5678, false));
	ASSERT_EQ(0, heap_leaks_of(heap, owns_site, (void *)0x9abc, false));
	put(heap, objs[0]);
	ASSERT_EQ(1, heap_leaks_of(heap, owns_site, (void *)0x1234, false));
	capture_begin(&report);
	heap_free(heap, objs[0], 0x4242);
	capture_end(&report);
	ASSERT_EQ(1, capture_count(&report, "0x4242"));
	ASSERT_EQ(1, capture_count(&report, "0x1234"));
	put(heap, objs[1]);
	put(heap, objs[2]);
	testheap_end(&test);
}

TEST_HARNESS_MAIN
