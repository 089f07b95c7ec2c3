// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * central.c: objects leave and enter their spans in batches; a span is on the
 * list that its state names and goes to the heap with its last object; wrong
 * frees are found here at the latest.
 */
#include "testheap.h"

TESTHEAP_FIXTURE(central)

#define SIZE	100

static void *objs[4000];

static struct kspan_central *the_central(void)
{
	return heap_central(heap, span_class(size_to_class(SIZE), false), 0);
}

static u32 take(u32 n)
{
	return central_take(the_central(), objs, n, GFP_KERNEL);
}

static void give(void **from, u32 n)
{
	central_put(heap, from, n, 0);
	must(heap_verify(heap) == 0);
}

/* Exactly as many as wanted, batch by batch. */
static void take_all(u32 n)
{
	u32 got = 0, took;

	while (got < n) {
		took = central_take(the_central(), objs + got, n - got, GFP_KERNEL);
		must(took);
		got += took;
	}
	must(heap_verify(heap) == 0);
}

static int by_address(const void *a, const void *b)
{
	void *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

TEST_F(central, batches_give_each_object_once)
{
	u32 i, n = ARRAY_SIZE(objs);

	take_all(n);
	qsort(objs, n, sizeof(objs[0]), by_address);
	for (i = 1; i < n; i++)
		ASSERT_LE(objs[i - 1] + SIZE, objs[i]);
	ASSERT_EQ(n, the_central()->nout);
	give(objs, n);
	ASSERT_EQ(0, the_central()->nout);
	ASSERT_EQ(0, the_central()->nspan);
}

TEST_F(central, a_batch_is_at_least_one_and_descends)
{
	u32 i, n = take(10);

	ASSERT_GE(n, 1);
	ASSERT_LE(n, 10);
	for (i = 1; i < n; i++)
		ASSERT_GT(objs[i - 1], objs[i]);
	give(objs, n);
}

TEST_F(central, spans_are_used_up_before_there_is_a_new_one)
{
	struct kspan_central *central = the_central();
	u32 per_span = central->nobjs;

	take_all(per_span);
	ASSERT_EQ(1, central->nspan);
	ASSERT_TRUE(port_list_empty(&central->partial));
	ASSERT_FALSE(port_list_empty(&central->full));
	ASSERT_EQ(1, central_take(central, objs + per_span, 1, GFP_KERNEL));
	ASSERT_EQ(2, central->nspan);
	give(objs, per_span + 1);
}

TEST_F(central, a_full_span_comes_back_with_its_first_free_object)
{
	struct kspan_central *central = the_central();
	struct kspan_span *span;

	take_all(central->nobjs);
	span = pagemap_span(heap, (uintptr_t)objs[0]);
	ASSERT_EQ(SPAN_FULL, span->state);
	give(objs, 1);
	ASSERT_EQ(SPAN_PARTIAL, span->state);
	ASSERT_EQ(1, span->nfree);
	give(objs + 1, central->nobjs - 1);
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)objs[0]));
}

/* One call may bring objects of any classes and spans, in any order. */
TEST_F(central, mixed_batches)
{
	u64 seed = 3;
	u32 i, n = 1000;

	for (i = 0; i < n; i++) {
		objs[i] = NULL;
		ASSERT_EQ(1, central_take(heap_central(heap, 2 + random_below(&seed, 134), 0),
					  &objs[i], 1, GFP_KERNEL));
	}
	ASSERT_EQ(0, heap_verify(heap));
	give(objs, n);
	ASSERT_EQ(0, heap->node0.pages.ninuse);
}

TEST_F(central, no_memory_is_no_object)
{
	test.ts.fail_all = true;
	heap_release(heap, true, GFP_KERNEL);
	ASSERT_EQ(0, take(10));
	ASSERT_EQ(0, the_central()->nspan);
	ASSERT_EQ(0, heap_verify(heap));
	test.ts.fail_all = false;
}

/* Wrong frees: counted, reported once, and nothing else changes. */

static struct capture report;

static void put_wrong(void *obj, enum kspan_misuse kind, const char *what)
{
	u64 before[KSPAN_NR_MISUSE], nout = the_central()->nout;
	u32 i;

	memcpy(before, heap->nmisuse, sizeof(before));
	capture_begin(&report);
	central_put(heap, &obj, 1, 0);
	capture_end(&report);
	for (i = 0; i < KSPAN_NR_MISUSE; i++)
		must(heap->nmisuse[i] == before[i] + (i == kind));
	must(capture_count(&report, "kspan: ") == 1 && capture_count(&report, what) == 1);
	must(the_central()->nout == nout);
	must(heap_verify(heap) == 0);
}

TEST_F(central, double_free)
{
	take_all(50);
	give(objs, 1);
	put_wrong(objs[0], KSPAN_DOUBLE_FREE, "double free");
	give(objs + 1, 49);
	/* its span is gone */
	put_wrong(objs[0], KSPAN_DOUBLE_FREE, "double free");
}

TEST_F(central, interior_free)
{
	u32 off;

	take_all(50);
	for (off = 1; off < SIZE; off += 33)
		put_wrong((char *)objs[3] + off, KSPAN_INTERIOR_FREE, "into an object");
	give(objs, 50);
}

/* Past the last object of a span. */
TEST_F(central, free_of_the_tail)
{
	struct kspan_span *span;

	take_all(2);
	span = pagemap_span(heap, (uintptr_t)objs[0]);
	ASSERT_LT(span->nobjs * span->size, pages_to_bytes(span->npages));
	put_wrong(span_object(span, span->nobjs), KSPAN_INTERIOR_FREE, "into an object");
	give(objs, 2);
}

/* The good ones of a batch are freed, whatever stands between them. */
TEST_F(central, wrong_ones_in_a_batch)
{
	u32 i, n = 60;

	take_all(n);
	objs[n] = objs[5];
	objs[n + 1] = (char *)objs[7] + 8;
	objs[n + 2] = objs[0];
	qsort(objs, n + 3, sizeof(objs[0]), by_address);
	capture_begin(&report);
	central_put(heap, objs, n + 3, 0);
	capture_end(&report);
	ASSERT_EQ(3, capture_count(&report, "kspan: "));
	ASSERT_EQ(3, misuses(heap));
	ASSERT_EQ(0, the_central()->nout);
	ASSERT_EQ(0, heap_verify(heap));
	for (i = 0; i < n; i++)
		ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)objs[i]));
}

static void *churn(void *arg)
{
	u64 seed = (uintptr_t)arg;
	void *mine[200];
	u32 i, n = 0;

	for (i = 0; i < test_rounds(20000); i++) {
		if (n < 100)
			n += central_take(the_central(), mine + n,
					  1 + random_below(&seed, 60), GFP_KERNEL);
		if (n > 10) {
			u32 k = 1 + random_below(&seed, n);

			central_put(heap, mine + n - k, k, 0);
			n -= k;
		}
	}
	central_put(heap, mine, n, 0);
	return NULL;
}

TEST_F_TIMEOUT(central, threads, 100)
{
	pthread_t thread[4];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, churn, (void *)(uintptr_t)(i + 1)));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, heap_verify(heap));
		usleep(1000);
	}
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(0, the_central()->nout);
	ASSERT_EQ(0, the_central()->nspan);
}

/* Spans that stay with no object out, as in the kernel: their classes, and a heap. */
static void start_with_spares(size_t soft, size_t hard)
{
	testheap_end(&test);
	testheap_prepare(&test, true, TEST_SPACE);
	test.config.spares = true;
	test.config.limit_soft = soft;
	test.config.limit_hard = hard;
	testheap_start(&test);
}

static size_t spare_bytes(void)
{
	return pages_to_bytes(heap->node0.spare_pages);
}

TEST_F(central, an_empty_span_stays_and_serves)
{
	struct kspan_central *central = the_central();
	struct kspan_stats stats;
	struct kspan_span *span;
	void *before;

	start_with_spares(0, 0);
	take_all(central->nobjs);
	before = objs[0];
	span = pagemap_span(heap, (uintptr_t)before);
	give(objs, central->nobjs);
	ASSERT_EQ(span, pagemap_span(heap, (uintptr_t)before));
	ASSERT_EQ(1, central->nspan);
	ASSERT_EQ(span->npages, heap->node0.spare_pages);
	heap_get_stats(heap, &stats);
	ASSERT_EQ(0, stats.inuse_bytes);
	ASSERT_LE(spare_bytes(), stats.idle_bytes);
	put_wrong(before, KSPAN_DOUBLE_FREE, "double free");
	take_all(1);
	ASSERT_EQ(span, pagemap_span(heap, (uintptr_t)objs[0]));
	ASSERT_EQ(0, spare_bytes());
	give(objs, 1);
	ASSERT_LT(0, heap_release_memory(heap));
	ASSERT_EQ(0, spare_bytes());
	ASSERT_EQ(0, central->nspan);
}

/* What has an object out is used first: then more spans become empty. */
TEST_F(central, spare_spans_are_taken_last)
{
	struct kspan_central *central = the_central();
	u32 n = central->nobjs;

	start_with_spares(0, 0);
	take_all(2 * n);
	give(objs, n);
	ASSERT_EQ(central->npages, heap->node0.spare_pages);
	give(objs + n, 1);
	ASSERT_EQ(1, central_take(central, objs, 1, GFP_KERNEL));
	ASSERT_EQ(central->npages, heap->node0.spare_pages);
	ASSERT_EQ(pagemap_span(heap, (uintptr_t)objs[n + 1]), pagemap_span(heap, (uintptr_t)objs[0]));
	give(objs, 1);
	give(objs + n + 1, n - 1);
	ASSERT_EQ(2 * central->npages, heap->node0.spare_pages);
}

TEST_F(central, spare_spans_go_before_the_heap_grows)
{
	void *large[100];
	u64 ngrow;
	u32 n;

	start_with_spares(0, 0);
	take_all(ARRAY_SIZE(objs));
	give(objs, ARRAY_SIZE(objs));
	ASSERT_LT(200000, spare_bytes());
	ngrow = heap->ngrow;
	for (n = 0; spare_bytes(); n++) {
		ASSERT_LT(n, ARRAY_SIZE(large));
		large[n] = get(heap, 40000);
		ASSERT_NE(NULL, large[n]);
		ASSERT_EQ(ngrow, heap->ngrow);
	}
	ASSERT_EQ(0, heap_verify(heap));
	while (n--)
		put(heap, large[n]);
}

TEST_F(central, spare_spans_go_with_an_epoch)
{
	start_with_spares(0, 0);
	take_all(ARRAY_SIZE(objs));
	give(objs, ARRAY_SIZE(objs));
	ASSERT_LT(0, spare_bytes());
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_EQ(0, spare_bytes());
	ASSERT_LT(0, heap->node0.pages.nfree);
	heap_scavenge(heap);
	ASSERT_EQ(0, heap->node0.pages.nfree);
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(central, nothing_is_spare_with_a_limit_or_a_check)
{
	u32 i;

	for (i = 0; i < 3; i++) {
		start_with_spares(i == 0 ? GIB : 0, i == 1 ? GIB : 0);
		if (i == 2) {
			struct kspan_debug_config debug = { .flags = KSPAN_DEBUG_CHECK };

			ASSERT_EQ(0, heap_set_debug(heap, &debug));
		}
		take_all(the_central()->nobjs);
		give(objs, the_central()->nobjs);
		ASSERT_EQ(0, spare_bytes());
		ASSERT_EQ(0, the_central()->nspan);
	}
}

TEST_HARNESS_MAIN
