// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * large.c: objects with a span to themselves, inside arenas and longer than one;
 * resized where they stand when there is room.
 */
#include "testheap.h"

TESTHEAP_FIXTURE(large)

static void *get_large(size_t size, size_t align, gfp_t gfp)
{
	return large_alloc(heap, size, align, -1, gfp, false, 0);
}

TEST_F(large, sizes)
{
	static const size_t sizes[] = {
		KSPAN_MAX_SMALL_SIZE + 1, 40960, 40961, MIB, 4 * MIB - 8192, 4 * MIB,
		4 * MIB + 1, 4 * MIB + 8192, 9 * MIB, 65 * MIB,
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u8 *obj = get(heap, sizes[i]);

		ASSERT_NE(NULL, obj);
		ASSERT_EQ(0, (uintptr_t)obj % KSPAN_PAGE_SIZE);
		ASSERT_LE(sizes[i], heap_size(heap, obj));
		ASSERT_EQ(sizes[i], pagemap_span(heap, (uintptr_t)obj)->bytes);
		/* a mapping to itself consists of whole arenas */
		if (sizes[i] <= KSPAN_ARENA_SIZE)
			ASSERT_EQ(kspan_good_size(sizes[i]), heap_size(heap, obj));
		ASSERT_LT(heap_size(heap, obj), sizes[i] + KSPAN_ARENA_SIZE);
		pattern_write(obj, heap_size(heap, obj), i);
		ASSERT_EQ(0, heap_verify(heap));
		put(heap, obj);
		ASSERT_EQ(0, heap_size(heap, obj));
	}
}

TEST_F(large, only_its_start_is_the_object)
{
	char *obj = get(heap, 100 * KIB);

	ASSERT_EQ(0, heap_size(heap, obj + 16));
	ASSERT_EQ(0, heap_size(heap, obj + KSPAN_PAGE_SIZE));
	put(heap, obj);
}

/* Nobody is charged where the source cannot do that. */
TEST_F(large, charged_to_nobody)
{
	char *obj = heap_alloc(heap, 100 * KIB, false, GFP_KERNEL | __GFP_ACCOUNT, 0);

	ASSERT_NE(NULL, obj);
	ASSERT_FALSE(pagemap_span(heap, (uintptr_t)obj)->charged);
	put(heap, obj);
}

TEST_F(large, alignment_up_to_and_above_an_arena)
{
	static const size_t sizes[] = { 100, 40000, 3 * MIB, 5 * MIB };
	size_t align;
	u32 i;

	for (align = 8; align <= 128 * MIB; align *= 2)
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			void *a = get_large(sizes[i], align, GFP_KERNEL);
			void *b = get_large(sizes[i], align, GFP_KERNEL);

			ASSERT_NE(NULL, a);
			ASSERT_NE(NULL, b);
			ASSERT_EQ(0, (uintptr_t)a & (align - 1));
			ASSERT_EQ(0, (uintptr_t)b & (align - 1));
			pattern_write(a, sizes[i], 1);
			pattern_write(b, sizes[i], 2);
			ASSERT_TRUE(pattern_holds(a, sizes[i], sizes[i], 1));
			ASSERT_EQ(0, heap_verify(heap));
			put(heap, a);
			put(heap, b);
		}
}

TEST_F(large, a_huge_one_costs_the_source_what_it_has)
{
	size_t before, size;
	void *obj = get(heap, 10 * MIB);

	put(heap, obj);
	warm_flush_huge(heap);
	before = test.ts.out;
	obj = get(heap, 10 * MIB);
	size = heap_size(heap, obj);
	ASSERT_EQ(before + size, test.ts.out);
	put(heap, obj);
	warm_flush_huge(heap);
	ASSERT_EQ(before, test.ts.out);
}

TEST_F(large, grows_and_shrinks_where_it_stands)
{
	struct kspan_span *span;
	u8 *obj, *same;
	size_t size;

	/* an arena that is all free, so that there is room behind */
	put(heap, get(heap, 4 * MIB));
	obj = get(heap, 100 * KIB);
	span = pagemap_span(heap, (uintptr_t)obj);
	pattern_write(obj, 100 * KIB, 1);
	for (size = 100 * KIB; size <= 4 * MIB; size += 100 * KIB) {
		same = heap_realloc(heap, obj, size, GFP_KERNEL, 0);
		ASSERT_EQ(obj, same);
		ASSERT_EQ(span, pagemap_find(heap, (uintptr_t)obj + size - 1));
		ASSERT_EQ(0, heap_verify(heap));
	}
	ASSERT_TRUE(pattern_holds(obj, 100 * KIB, 100 * KIB, 1));
	for (size = 4 * MIB; size > 100 * KIB; size = size * 2 / 5) {
		same = heap_realloc(heap, obj, size, GFP_KERNEL, 0);
		ASSERT_EQ(obj, same);
		ASSERT_EQ(kspan_good_size(size), heap_size(heap, obj));
		ASSERT_EQ(NULL, pagemap_find(heap, (uintptr_t)obj + heap_size(heap, obj)));
		ASSERT_EQ(0, heap_verify(heap));
	}
	put(heap, obj);
}

/* What realloc() makes longer has pages of its own before it is large. */
/* A mapping of its own has whole arenas: in the last one there is room already. */
TEST_F(large, a_huge_one_grows_within_its_last_arena)
{
	char *obj = get(heap, 9 * MIB);
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)obj);

	ASSERT_TRUE(large_resize(heap, span, 10 * MIB));
	ASSERT_EQ(10 * MIB, span->bytes);
	ASSERT_EQ(12 * MIB, heap_size(heap, obj));
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, obj);
}

TEST(mappings_longer_than_arenas)
{
	char *obj;

	testheap_prepare(&test, false, TEST_SPACE);
	test.ts.src.grain = 2 * KSPAN_ARENA_SIZE;
	testheap_start(&test);
	obj = get(heap, 9 * MIB);
	ASSERT_EQ(16 * MIB, heap_size(heap, obj));
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, obj);
	testheap_end(&test);
}

/* One that moves, or stays as it is: also where the map has no memory for its new place. */
TEST(a_mapping_that_moves)
{
	static char *objs[40];
	const size_t size = 5 * MIB, more = 9 * MIB;
	u32 i, nmoved = 0, nfailed = 0;

	testheap_prepare(&test, false, TEST_SPACE);
	test.ts.src.move = testsource_move;
	testheap_start(&test);
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		struct kspan_span *span;
		u64 nget;
		size_t out;

		objs[i] = get(heap, size);
		pattern_write(objs[i], size, i);
		span = pagemap_span(heap, (uintptr_t)objs[i]);
		/* the pages are to be had, nothing else is */
		nget = test.ts.nget;
		out = test.ts.out;
		test.ts.fail_from = nget + 2;
		if (large_resize(heap, span, more)) {
			nmoved++;
			ASSERT_NE(objs[i], (char *)span->start);
		} else {
			nfailed++;
			ASSERT_EQ(nget + 2, test.ts.nget);
			ASSERT_EQ(out, test.ts.out);
		}
		test.ts.fail_from = 0;
		objs[i] = (char *)span->start;
		ASSERT_TRUE(pattern_holds(objs[i], size, size, i));
		ASSERT_EQ(0, heap_verify(heap));
	}
	ASSERT_LT(0, nmoved);
	ASSERT_LT(0, nfailed);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
	testheap_end(&test);
}

TEST_F(large, what_grows_is_apart_early)
{
	u8 *obj = get(heap, 8 * KIB), *same;
	struct kspan_span *span;
	size_t size;

	pattern_write(obj, 8 * KIB, 1);
	obj = heap_realloc(heap, obj, 8 * KIB + 1, GFP_KERNEL, 0);
	span = pagemap_span(heap, (uintptr_t)obj);
	ASSERT_EQ(KSPAN_PC_LARGE, span->pclass);
	ASSERT_EQ(16 * KIB, heap_size(heap, obj));
	for (size = 16 * KIB; size <= 40 * KIB; size += 8 * KIB) {
		same = heap_realloc(heap, obj, size, GFP_KERNEL, 0);
		ASSERT_EQ(obj, same);
		ASSERT_EQ(size, heap_size(heap, obj));
	}
	ASSERT_TRUE(pattern_holds(obj, 8 * KIB, 8 * KIB, 1));
	ASSERT_EQ(0, heap_verify(heap));
	/* what becomes shorter is as any other */
	obj = heap_realloc(heap, obj, 9 * KIB, GFP_KERNEL, 0);
	span = pagemap_span(heap, (uintptr_t)obj);
	ASSERT_NE(KSPAN_PC_LARGE, span->pclass);
	ASSERT_TRUE(pattern_holds(obj, 8 * KIB, 8 * KIB, 1));
	put(heap, obj);
}

TEST_F(large, does_not_grow_over_others)
{
	u8 *a, *b, *moved;

	put(heap, get(heap, 4 * MIB));
	a = get(heap, 100 * KIB);
	b = get(heap, 100 * KIB);
	pattern_write(a, 100 * KIB, 1);
	pattern_write(b, 100 * KIB, 2);
	ASSERT_FALSE(large_resize(heap, pagemap_span(heap, (uintptr_t)a), 4 * MIB));
	ASSERT_FALSE(large_resize(heap, pagemap_span(heap, (uintptr_t)a), 5 * MIB));
	ASSERT_FALSE(large_resize(heap, pagemap_span(heap, (uintptr_t)a), 100));
	ASSERT_EQ(kspan_good_size(100 * KIB), heap_size(heap, a));
	moved = heap_realloc(heap, a, 3 * MIB, GFP_KERNEL, 0);
	ASSERT_NE(NULL, moved);
	ASSERT_TRUE(pattern_holds(moved, 100 * KIB, 100 * KIB, 1));
	ASSERT_TRUE(pattern_holds(b, 100 * KIB, 100 * KIB, 2));
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, moved);
	put(heap, b);
}

/* What was dirty, of any kind of source, is zero when that is asked for. */
TEST_F(large, zeroed)
{
	size_t size;
	u32 round;

	for (round = 0; round < 3; round++) {
		for (size = 40000; size < 20 * MIB; size *= 3) {
			u8 *obj = get_large(size, 1, GFP_KERNEL | __GFP_ZERO);

			ASSERT_NE(NULL, obj);
			ASSERT_TRUE(all_zero(obj, size));
			memset(obj, 0x99, heap_size(heap, obj));
			put(heap, obj);
		}
		if (round == 1)
			heap_release_memory(heap);
	}
}

/* Growth in place takes pages that others have used. */
TEST_F(large, realloc_zeroes_what_is_new)
{
	u8 *obj, *dirty;
	size_t have;

	dirty = get(heap, 4 * MIB);
	memset(dirty, 0x99, 4 * MIB);
	put(heap, dirty);
	obj = get(heap, 50 * KIB);
	have = heap_size(heap, obj);
	obj = heap_realloc(heap, obj, 3 * MIB, GFP_KERNEL | __GFP_ZERO, 0);
	ASSERT_TRUE(all_zero(obj + have, 3 * MIB - have));
	put(heap, obj);
}

TEST_F(large, memory_known_to_be_zero_is_not_written)
{
	u8 *obj = get_large(MIB, 1, GFP_KERNEL | __GFP_ZERO);

	ASSERT_EQ(variant->kernel, pagemap_span(heap, (uintptr_t)obj)->needzero);
	put(heap, obj);
	obj = get_large(MIB, 1, GFP_KERNEL);
	ASSERT_TRUE(pagemap_span(heap, (uintptr_t)obj)->needzero);
	put(heap, obj);
	heap_release_memory(heap);
	obj = get_large(MIB, 1, GFP_KERNEL);
	ASSERT_EQ(variant->kernel, pagemap_span(heap, (uintptr_t)obj)->needzero);
	put(heap, obj);
}

static struct capture report;

static void put_wrong(void *obj, enum kspan_misuse kind)
{
	u64 before = heap->nmisuse[kind], all = misuses(heap);

	capture_begin(&report);
	put(heap, obj);
	capture_end(&report);
	must(heap->nmisuse[kind] == before + 1 && misuses(heap) == all + 1);
	must(capture_count(&report, "kspan: ") == 1);
	must(heap_verify(heap) == 0);
}

TEST_F(large, wrong_frees)
{
	static const size_t sizes[] = { 100000, 3 * MIB, 6 * MIB };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u8 *obj = get(heap, sizes[i]);

		pattern_write(obj, sizes[i], 1);
		put_wrong(obj + 1, KSPAN_INTERIOR_FREE);
		put_wrong(obj + KSPAN_PAGE_SIZE, KSPAN_INTERIOR_FREE);
		put_wrong(obj + sizes[i] - 1, KSPAN_INTERIOR_FREE);
		ASSERT_TRUE(pattern_holds(obj, sizes[i], sizes[i], 1));
		put(heap, obj);
		/* where a mapping to itself is not kept it is gone, and not known any more */
		put_wrong(obj, sizes[i] > KSPAN_ARENA_SIZE && variant->kernel ?
			  KSPAN_FOREIGN_FREE : KSPAN_DOUBLE_FREE);
	}
}

static void *race(void *arg)
{
	put(heap, arg);
	return NULL;
}

/* Two free the same object at once: one of them gets the report. */
TEST_F(large, double_free_at_once)
{
	pthread_t thread;
	u32 i;

	/* the loser looks at metadata that the winner frees, and bears what it sees */
	if (TEST_TSAN)
		return;
	capture_begin(&report);
	for (i = 0; i < 100; i++) {
		void *keep = get(heap, 50000), *obj = get(heap, 50000);

		must(!pthread_create(&thread, NULL, race, obj));
		put(heap, obj);
		pthread_join(thread, NULL);
		must(misuses(heap) == i + 1);
		must(heap_verify(heap) == 0);
		put(heap, keep);
	}
	capture_end(&report);
}

TEST_F(large, counted)
{
	static struct kspan_stats stats;
	void *a = get(heap, 100000), *b = get(heap, 5 * MIB);
	size_t nbytes = heap_size(heap, a) + heap_size(heap, b);

	heap_get_stats(heap, &stats);
	ASSERT_EQ(2, stats.nlarge_malloc);
	ASSERT_EQ(0, stats.nlarge_free);
	ASSERT_EQ(nbytes, stats.large_bytes);
	ASSERT_EQ(nbytes, stats.live_bytes);
	a = heap_realloc(heap, a, 300000, GFP_KERNEL, 0);
	heap_get_stats(heap, &stats);
	ASSERT_EQ(kspan_good_size(300000) + heap_size(heap, b), stats.large_bytes);
	put(heap, a);
	put(heap, b);
	heap_get_stats(heap, &stats);
	ASSERT_EQ(stats.nlarge_malloc, stats.nlarge_free);
	ASSERT_EQ(0, stats.large_bytes);
}

/* What is charged is the span's alone: it comes from the source and goes back there. */
TEST(charged)
{
	static struct testheap t;
	struct kspan_heap *heap = &t.heap;
	struct kspan_stats stats;
	const gfp_t gfp = GFP_KERNEL_ACCOUNT;
	size_t out;
	char *obj, *other;

	testheap_prepare(&t, true, TEST_SPACE);
	t.ts.src.charges = true;
	testheap_start(&t);
	put(heap, get(heap, MIB));	/* free pages that will not do */
	obj = heap_alloc(heap, 100000, false, gfp, 0);
	put(heap, obj);			/* metadata is there */
	out = t.ts.out - heap->meta_bytes;
	obj = heap_alloc(heap, 100000, false, gfp | __GFP_ZERO, 0);
	ASSERT_NE(NULL, obj);
	ASSERT_EQ(out + pages_to_bytes(bytes_to_pages(100000)), t.ts.out - heap->meta_bytes);
	ASSERT_TRUE(all_zero(obj, 100000));
	pattern_write(obj, 100000, 1);
	ASSERT_EQ(0, heap_verify(heap));
	/* longer or shorter elsewhere only */
	other = heap_realloc(heap, obj, 300000, gfp, 0);
	ASSERT_NE(obj, other);
	ASSERT_TRUE(pattern_holds(other, 100000, 100000, 1));
	ASSERT_EQ(out + pages_to_bytes(bytes_to_pages(300000)), t.ts.out - heap->meta_bytes);
	obj = heap_realloc(heap, other, 50000, gfp, 0);
	ASSERT_EQ(out + pages_to_bytes(bytes_to_pages(50000)), t.ts.out - heap->meta_bytes);
	ASSERT_TRUE(pattern_holds(obj, 50000, 100000, 1));
	heap_get_stats(heap, &stats);
	ASSERT_EQ(1, stats.nlarge_malloc - stats.nlarge_free);
	heap_free_nolock(heap, obj, 0);
	heap_catch_up(heap);
	ASSERT_EQ(out, t.ts.out - heap->meta_bytes);
	/* small ones are not */
	put(heap, heap_alloc(heap, 100, false, gfp, 0));
	testsource_fail_nth(&t.ts, 1);
	ASSERT_EQ(NULL, heap_alloc(heap, 100000, false, gfp, 0));
	testheap_end(&t);
}

TEST_HARNESS_MAIN
