// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * warm.c: large objects that were freed serve the next request of about their length,
 * and are in nobody's way.
 */
#include "testheap.h"

static struct testheap test;
static struct kspan_heap *const heap = &test.heap;

/* Over memory as programs have it: the kernel's heap keeps nothing warm. */
FIXTURE(warm) { };

FIXTURE_SETUP(warm)
{
	testheap_init(&test, false);
}

FIXTURE_TEARDOWN(warm)
{
	testheap_end(&test);
}

#define NPAGES	24

static void *get_pages(u32 npages)
{
	void *obj = get(heap, pages_to_bytes(npages));

	must(obj);
	return obj;
}

/* What is in use beside it lets a span of NPAGES be kept. */
static void *get_other(void)
{
	return get_pages(8 * NPAGES);
}

TEST_F(warm, serves_its_length_and_up_to_a_quarter_less)
{
	void *other = get_other(), *obj = get_pages(NPAGES), *again;

	put(heap, obj);
	ASSERT_EQ(NPAGES, heap->warm.npages);
	ASSERT_EQ(0, heap_verify(heap));
	again = get_pages(NPAGES);
	ASSERT_EQ(obj, again);
	ASSERT_EQ(0, heap->warm.npages);
	put(heap, again);
	again = get_pages(NPAGES - NPAGES / 5);
	ASSERT_EQ(obj, again);
	ASSERT_EQ(pages_to_bytes(NPAGES), heap_size(heap, again));
	put(heap, again);
	again = get_pages(NPAGES - NPAGES / 4);
	ASSERT_EQ(pages_to_bytes(NPAGES - NPAGES / 4), heap_size(heap, again));
	put(heap, again);
	again = get_pages(NPAGES + 1);
	ASSERT_EQ(pages_to_bytes(NPAGES + 1), heap_size(heap, again));
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, again);
	put(heap, other);
}

TEST_F(warm, of_one_length_the_last_to_come_first)
{
	void *other = get_other(), *a = get_pages(NPAGES), *b = get_pages(NPAGES);

	put(heap, a);
	put(heap, b);
	ASSERT_EQ(b, get_pages(NPAGES));
	ASSERT_EQ(a, get_pages(NPAGES));
	put(heap, a);
	put(heap, b);
	put(heap, other);
}

TEST_F(warm, no_more_than_is_in_use)
{
	void *obj = get_pages(NPAGES);

	put(heap, obj);
	ASSERT_EQ(0, heap->warm.npages);
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)obj));
}

TEST_F(warm, counts_as_freed)
{
	void *other = get_other(), *obj = get_pages(NPAGES);
	struct kspan_stats before, after;

	put(heap, obj);
	ASSERT_EQ(0, heap_size(heap, obj));
	heap_get_stats(heap, &before);
	warm_flush(heap);
	heap_get_stats(heap, &after);
	ASSERT_EQ(before.live_bytes, after.live_bytes);
	ASSERT_EQ(before.inuse_bytes, after.inuse_bytes);
	ASSERT_EQ(before.idle_bytes, after.idle_bytes);
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)obj));
	put(heap, other);
}

TEST_F(warm, a_second_free_is_reported)
{
	void *other = get_other(), *obj = get_pages(NPAGES);

	kspan_user_warn = true;
	put(heap, obj);
	put(heap, obj);
	ASSERT_EQ(1, port_load(&heap->nmisuse[KSPAN_DOUBLE_FREE]));
	ASSERT_EQ(NULL, heap_realloc(heap, obj, 10, GFP_KERNEL, 0));
	ASSERT_EQ(2, port_load(&heap->nmisuse[KSPAN_DOUBLE_FREE]));
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, other);
}

TEST_F(warm, is_zeroed_for_who_wants_that)
{
	void *other = get_other();
	u8 *obj = get_pages(NPAGES);

	memset(obj, 0xee, pages_to_bytes(NPAGES));
	put(heap, obj);
	ASSERT_EQ(obj, heap_zalloc(heap, pages_to_bytes(NPAGES), false, GFP_KERNEL, 0));
	ASSERT_EQ(0, obj[0] | obj[pages_to_bytes(NPAGES) - 1]);
	put(heap, obj);
	put(heap, other);
}

/* No memory of the source's is taken while there is some. */
TEST_F(warm, goes_before_the_heap_grows)
{
	void *rest, *other = get_other(), *obj = get_pages(NPAGES);
	size_t left = heap->node0.pages.nfree, ngrow = heap->ngrow;

	rest = get_pages(left);
	put(heap, obj);
	ASSERT_EQ(NPAGES, heap->warm.npages);
	obj = get_pages(NPAGES / 2);
	ASSERT_EQ(0, heap->warm.npages);
	ASSERT_EQ(ngrow, heap->ngrow);
	put(heap, obj);
	put(heap, rest);
	put(heap, other);
}

TEST_F(warm, goes_before_small_objects_take_memory_that_is_fresh)
{
	void *small, *other = get_other(), *obj = get_pages(NPAGES);

	put(heap, obj);
	small = get(heap, 8192);
	ASSERT_EQ(0, heap->warm.npages);
	/* first fit: it lies where the large one was */
	ASSERT_EQ(obj, small);
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, small);
	put(heap, other);
}

/* Nobody wants the lengths that are there: they become one piece again. */
TEST_F(warm, goes_before_memory_that_is_fresh_when_it_is_no_use)
{
	void *a, *b, *other = get_other();

	a = get_pages(NPAGES);
	put(heap, a);
	b = get_pages(NPAGES + 2);
	put(heap, b);
	ASSERT_EQ(a, b);
	ASSERT_EQ(NPAGES + 2, heap->warm.npages);
	put(heap, other);
}

TEST_F(warm, makes_room_for_its_neighbour)
{
	void *other = get_other(), *a = get_pages(NPAGES), *b = get_pages(NPAGES), *obj;

	put(heap, b);
	ASSERT_EQ(NPAGES, heap->warm.npages);
	obj = heap_realloc(heap, a, pages_to_bytes(2 * NPAGES), GFP_KERNEL, 0);
	ASSERT_EQ(a, obj);
	ASSERT_EQ(0, heap->warm.npages);
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, obj);
	put(heap, other);
}

TEST_F(warm, is_idle_from_the_end_of_an_epoch)
{
	void *other = get_other(), *obj = get_pages(NPAGES);

	put(heap, obj);
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_EQ(0, heap->warm.npages);
	heap_scavenge(heap);
	ASSERT_LE(NPAGES, heap->node0.pages.nreleased);
	put(heap, other);
}

/* Warm memory is not in use: the hard limit is as far away as without it. */
TEST_F(warm, leaves_the_limit_alone)
{
	void *other = get_other(), *obj = get_pages(NPAGES), *again;
	struct kspan_stats stats;

	put(heap, obj);
	heap_get_stats(heap, &stats);
	heap->config.limit_hard = stats.inuse_bytes + stats.meta_bytes + pages_to_bytes(NPAGES);
	again = get_pages(NPAGES);
	ASSERT_EQ(obj, again);
	put(heap, again);
	heap->config.limit_hard -= 1;
	ASSERT_EQ(NULL, get(heap, pages_to_bytes(NPAGES)));
	heap->config.limit_hard = 0;
	put(heap, other);
}

/* Spans with a mapping to themselves: 6 MiB have two arenas, and 16 MiB may be kept. */
#define HUGE		(6 * MIB)
#define HUGE_PAGES	(2 * KSPAN_ARENA_PAGES)

static void *get_huge(size_t size)
{
	void *obj = get(heap, size);

	must(obj && pagemap_arena(heap, (uintptr_t)obj)->huge);
	return obj;
}

/* They lie next to each other, so that one that is made anew is not told from another. */
static bool took_warm(void *obj)
{
	return pagemap_span(heap, (uintptr_t)obj)->needzero;
}

TEST_F(warm, huge_ones_serve_up_to_a_fifth_less)
{
	static const struct {
		size_t size;
		bool warm;
	} then[] = {
		{ HUGE, true }, { HUGE / 5 * 4 + 8, true }, { HUGE / 5 * 4 - 8, false },
		{ HUGE + MIB, true }, { HUGE + 3 * MIB, false },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(then); i++) {
		void *obj = get_huge(HUGE), *again;

		ASSERT_FALSE(took_warm(obj));
		put(heap, obj);
		ASSERT_EQ(HUGE_PAGES, heap->warm.huge_pages);
		ASSERT_EQ(0, heap_verify(heap));
		again = get_huge(then[i].size);
		ASSERT_EQ(then[i].warm, took_warm(again));
		ASSERT_EQ(0, heap->warm.huge_pages);
		ASSERT_LE(then[i].size, heap_size(heap, again));
		ASSERT_EQ(0, heap_verify(heap));
		put(heap, again);
		warm_flush_huge(heap);
	}
}

TEST_F(warm, huge_ones_are_bounded)
{
	size_t out;
	void *obj[3];
	u32 i;

	for (i = 0; i < 3; i++)
		obj[i] = get_huge(HUGE);
	out = test.ts.out;
	for (i = 0; i < 3; i++)
		put(heap, obj[i]);
	ASSERT_EQ(2 * HUGE_PAGES, heap->warm.huge_pages);
	ASSERT_EQ(out - pages_to_bytes(HUGE_PAGES), test.ts.out);
	ASSERT_EQ(0, heap_verify(heap));
	warm_flush_huge(heap);
	ASSERT_EQ(0, heap->warm.huge_pages);
	ASSERT_EQ(out - pages_to_bytes(3 * HUGE_PAGES), test.ts.out);
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(warm, huge_ones_count_as_freed)
{
	void *obj = get_huge(HUGE);
	struct kspan_stats before, after;

	heap_get_stats(heap, &before);
	put(heap, obj);
	heap_get_stats(heap, &after);
	ASSERT_EQ(0, heap_size(heap, obj));
	ASSERT_EQ(before.sys_bytes, after.sys_bytes);
	ASSERT_EQ(before.live_bytes - pages_to_bytes(HUGE_PAGES), after.live_bytes);
	ASSERT_EQ(before.inuse_bytes - pages_to_bytes(HUGE_PAGES), after.inuse_bytes);
	ASSERT_EQ(before.idle_bytes + pages_to_bytes(HUGE_PAGES), after.idle_bytes);
}

TEST_F(warm, a_second_free_of_a_huge_one_is_reported)
{
	u8 *obj = get_huge(HUGE);

	kspan_user_warn = true;
	put(heap, obj);
	put(heap, obj);
	ASSERT_EQ(1, port_load(&heap->nmisuse[KSPAN_DOUBLE_FREE]));
	put(heap, obj + 5 * MIB);
	ASSERT_EQ(1, port_load(&heap->nmisuse[KSPAN_INTERIOR_FREE]));
	ASSERT_EQ(NULL, heap_realloc(heap, obj, 10, GFP_KERNEL, 0));
	ASSERT_EQ(2, port_load(&heap->nmisuse[KSPAN_DOUBLE_FREE]));
	ASSERT_EQ(0, heap_verify(heap));
}

/* Zeros cost nothing in a new mapping. */
TEST_F(warm, a_huge_one_is_not_for_zeros)
{
	u8 *obj = get_huge(HUGE);

	memset(obj, 0xee, HUGE);
	put(heap, obj);
	obj = heap_zalloc(heap, HUGE, false, GFP_KERNEL, 0);
	ASSERT_NE(NULL, obj);
	ASSERT_FALSE(took_warm(obj));
	ASSERT_EQ(0, heap->warm.huge_pages);
	ASSERT_EQ(0, obj[0] | obj[HUGE - 1]);
	put(heap, obj);
}

TEST_F(warm, huge_ones_go_before_the_heap_grows)
{
	void *obj = get_huge(HUGE), *rest;
	size_t out = test.ts.out;

	/* for pages, */
	put(heap, obj);
	ASSERT_EQ(HUGE_PAGES, heap->warm.huge_pages);
	rest = get_pages(KSPAN_ARENA_PAGES);
	ASSERT_EQ(0, heap->warm.huge_pages);
	ASSERT_LE(test.ts.out, out - pages_to_bytes(HUGE_PAGES) + 2 * KSPAN_ARENA_SIZE);
	put(heap, rest);
	/* and for one that becomes longer */
	obj = get_huge(HUGE);
	rest = get_huge(HUGE);
	put(heap, obj);
	rest = heap_realloc(heap, rest, 2 * HUGE, GFP_KERNEL, 0);
	ASSERT_NE(NULL, rest);
	ASSERT_TRUE(rest == obj || !pagemap_span(heap, (uintptr_t)obj));
	put(heap, rest);
	ASSERT_EQ(0, heap_verify(heap));
}

/* After one to two epochs without use they leave. */
TEST_F(warm, huge_ones_age)
{
	void *obj = get_huge(HUGE), *other = get_huge(HUGE);
	size_t out = test.ts.out;

	put(heap, obj);
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_EQ(HUGE_PAGES, heap->warm.huge_pages);
	put(heap, other);
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_EQ(HUGE_PAGES, heap->warm.huge_pages);
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)obj));
	ASSERT_EQ(out - pages_to_bytes(HUGE_PAGES), test.ts.out);
	/* one that is used stays */
	obj = get_huge(HUGE);
	ASSERT_EQ(other, obj);
	put(heap, obj);
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_EQ(HUGE_PAGES, heap->warm.huge_pages);
	heap_scavenge(heap);
	ASSERT_EQ(0, heap->warm.huge_pages);
	ASSERT_FALSE(heap_scavenge(heap));
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(warm, huge_ones_go_when_memory_is_asked_for)
{
	size_t out = test.ts.out;

	put(heap, get_huge(HUGE));
	heap_release_memory(heap);
	ASSERT_EQ(0, heap->warm.huge_pages);
	heap->config.limit_soft = out + HUGE;
	put(heap, get_huge(HUGE));
	put(heap, get_pages(KSPAN_ARENA_PAGES));
	ASSERT_EQ(0, heap->warm.huge_pages);
	heap->config.limit_soft = 0;
}

TEST_F(warm, huge_ones_leave_the_limit_alone)
{
	void *obj = get_huge(HUGE), *again;
	struct kspan_stats stats;

	heap_get_stats(heap, &stats);
	put(heap, obj);
	heap->config.limit_hard = stats.inuse_bytes + stats.meta_bytes;
	again = get_huge(HUGE);
	ASSERT_TRUE(took_warm(again));
	put(heap, again);
	heap->config.limit_hard -= 1;
	ASSERT_EQ(NULL, get(heap, HUGE));
	heap->config.limit_hard = 0;
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(warm, huge_ones_are_not_kept_in_a_checked_heap)
{
	static const struct kspan_debug_config checked = { .flags = KSPAN_DEBUG_CHECK };
	void *obj = get_huge(HUGE);

	ASSERT_EQ(0, heap_set_debug(heap, &checked));
	put(heap, obj);
	put(heap, get(heap, HUGE));
	heap_release_memory(heap);
	ASSERT_EQ(0, heap->warm.huge_pages);
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_HARNESS_MAIN
