// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * pagemap.c: every address leads to the span that it lies in, and no other
 * does, however far apart and in whatever order the heap met its memory.
 */
#include "testheap.h"

#define FAR_SPACE	((size_t)1 << 38)	/* 65,536 regions */

static struct testheap test;
static struct kspan_heap *const heap = &test.heap;

/* A test chooses the place of the next piece of so many bytes. */
static char *next_place;
static size_t next_size;

static void *get_there(struct kspan_source *src, size_t min, size_t want, size_t align,
		       gfp_t gfp, int node, size_t *got)
{
	struct testsource *ts = container_of(src, struct testsource, src);
	void *mem;

	if (!next_place || min != next_size || ((uintptr_t)next_place & (align - 1)))
		return testsource_get(src, min, want, align, gfp, node, got);
	*got = min;
	mem = testsource_take(ts, (next_place - ts->base) >> KSPAN_PAGE_SHIFT, min);
	next_place = NULL;
	return mem;
}

FIXTURE(pagemap) { };

FIXTURE_SETUP(pagemap)
{
	testheap_prepare(&test, true, FAR_SPACE);
	test.ts.src.get = get_there;
	test.ts.place = PLACE_UP;
	testheap_start(&test);
}

FIXTURE_TEARDOWN(pagemap)
{
	testheap_end(&test);
}

/* A large object whose memory is newly got at @place; NULL when there is none. */
static void *get_place(char *place, size_t nbytes)
{
	heap_release(heap, true, GFP_KERNEL);
	next_place = place;
	next_size = nbytes;
	return large_alloc(heap, nbytes, 1, -1, GFP_KERNEL, false, 0);
}

static char *region(u32 r)
{
	return test.ts.base + ((size_t)r << KSPAN_ARENA_SHIFT);
}

/* The same in region @r. @npages: 20 or more, no size that metadata has. */
static void *get_at(u32 r, u32 npages)
{
	void *obj = get_place(region(r), pages_to_bytes(npages));

	must(obj && obj == region(r));
	return obj;
}

/* The map around an object of @npages pages at @obj. */
static void check_around(char *obj, u32 npages)
{
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)obj);
	u32 i;

	must(span && span->start == (uintptr_t)obj && span->npages == npages);
	for (i = 0; i < npages; i++) {
		uintptr_t addr = (uintptr_t)obj + pages_to_bytes(i);

		must(pagemap_find(heap, addr) == span);
		must(pagemap_find(heap, addr + KSPAN_PAGE_SIZE - 1) == span);
		must(pagemap_arena(heap, addr)->pclass[addr_to_page(addr)] ==
		     (i ? KSPAN_PC_NONE : KSPAN_PC_LARGE));
	}
	must(pagemap_find(heap, (uintptr_t)obj - 1) != span);
	must(pagemap_find(heap, (uintptr_t)obj + pages_to_bytes(npages)) != span);
}

TEST_F(pagemap, knows_nothing_else)
{
	void *obj = get(heap, 64);	/* so that there is metadata */
	int on_stack;

	ASSERT_EQ(NULL, pagemap_span(heap, 0));
	ASSERT_EQ(NULL, pagemap_span(heap, 16));
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)-1));
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)1 << 63));
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)&on_stack));
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)heap));
	ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)heap->regions));
	put(heap, obj);
}

/* The table grows upwards, downwards, and both at once. */
static void far_apart(const u32 *where, u32 n)
{
	void *objs[64];
	u32 i, k;

	must(n <= ARRAY_SIZE(objs));
	for (i = 0; i < n; i++) {
		objs[i] = get_at(where[i], 20 + i);
		for (k = 0; k <= i; k++)
			check_around(objs[k], 20 + k);
		must(heap_verify(heap) == 0);
	}
	for (i = 0; i < n; i++)
		put(heap, objs[i]);
	warm_flush(heap);
	for (i = 0; i < n; i++)
		must(!pagemap_find(heap, (uintptr_t)objs[i]));
}

TEST_F(pagemap, grows_upwards)
{
	static const u32 where[] = { 10, 11, 400, 401, 2000, 9000, 65535 };

	far_apart(where, ARRAY_SIZE(where));
}

TEST_F(pagemap, grows_downwards)
{
	static const u32 where[] = { 65535, 65534, 65000, 50000, 20000, 2000, 1 };

	far_apart(where, ARRAY_SIZE(where));
}

TEST_F(pagemap, grows_both_ways)
{
	static const u32 where[] = { 30000, 40000, 20000, 50000, 10000, 65535, 1, 29999, 2 };

	far_apart(where, ARRAY_SIZE(where));
}

TEST_F(pagemap, arenas_are_sorted_whatever_their_order)
{
	u32 where[64], i;
	u64 seed = 7;

	for (i = 0; i < ARRAY_SIZE(where); i++)
		where[i] = 1 + i * 3;
	for (i = ARRAY_SIZE(where) - 1; i; i--) {
		u32 k = random_below(&seed, i + 1), tmp = where[i];

		where[i] = where[k];
		where[k] = tmp;
	}
	far_apart(where, ARRAY_SIZE(where));
}

/* Readers hold on to a table that was replaced: it stays right for what it covers. */
TEST_F(pagemap, old_tables_stay)
{
	struct kspan_regions *old;
	void *first = get_at(1000, 30), *second;

	old = heap->regions;
	second = get_at(60000, 31);
	ASSERT_NE(old, heap->regions);
	ASSERT_EQ(pagemap_arena(heap, (uintptr_t)first), regions_arena(old, (uintptr_t)first));
	ASSERT_EQ(&kspan_no_arena, regions_arena(old, (uintptr_t)second));
	put(heap, first);
	put(heap, second);
}

TEST_F(pagemap, old_tables_are_smaller_than_the_new_one)
{
	struct kspan_regions *table;
	size_t old = 0;
	u32 i;

	for (i = 0; i < 60; i++)
		put(heap, get_at(1 + i * 1000, 33));
	for (table = heap->regions->old; table; table = table->old)
		old += table->bytes;
	ASSERT_LE(old, heap->regions->bytes);
}

/* Every page request of an arena's making refused in turn. */
TEST_F(pagemap, no_memory_for_the_map)
{
	u32 r = 5, n;
	void *obj;

	for (n = 1;; n++) {
		r += 500;
		heap_release(heap, true, GFP_KERNEL);
		testsource_fail_nth(&test.ts, n);
		obj = get_place(region(r), 37 * KSPAN_PAGE_SIZE);
		ASSERT_EQ(0, heap_verify(heap));
		if (obj)
			put(heap, obj);
		if (test.ts.nget < test.ts.fail_at)
			break;
		testsource_fail_nth(&test.ts, 0);
	}
	ASSERT_GT(n, 1);
}

/* An object longer than an arena is known by any address in it. */
TEST_F(pagemap, huge_spans)
{
	static const size_t sizes[] = { 4 * MIB + 1, 5 * MIB, 8 * MIB, 12 * MIB + 8192, 64 * MIB };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *obj = large_alloc(heap, sizes[i], 1, -1, GFP_KERNEL, false, 0);
		struct kspan_span *span = pagemap_span(heap, (uintptr_t)obj);
		size_t off;

		ASSERT_NE(NULL, obj);
		for (off = 0; off < sizes[i]; off += KSPAN_PAGE_SIZE)
			ASSERT_EQ(span, pagemap_find(heap, (uintptr_t)obj + off));
		ASSERT_EQ(0, heap_verify(heap));
		put(heap, obj);
		warm_flush_huge(heap);
		for (off = 0; off < sizes[i]; off += KSPAN_PAGE_SIZE)
			ASSERT_EQ(NULL, pagemap_find(heap, (uintptr_t)obj + off));
		ASSERT_EQ(0, heap_verify(heap));
	}
}

/* The addresses of pages that went back serve a huge span next, and the other way round. */
TEST_F(pagemap, arenas_and_huge_spans_follow_each_other)
{
	u32 round;

	for (round = 0; round < 3; round++) {
		void *small = get_at(100, 41), *huge;

		put(heap, small);
		huge = get_place(region(99), 12 * MIB);
		ASSERT_EQ(region(99), huge);
		ASSERT_EQ(0, heap_verify(heap));
		pattern_write(huge, 12 * MIB, 1);
		ASSERT_TRUE(pattern_holds(huge, 12 * MIB, 12 * MIB, 1));
		put(heap, huge);
		ASSERT_EQ(0, heap_verify(heap));
	}
}

/* What the source has beside a huge span may come to the heap too. */
TEST_F(pagemap, pieces_beside_a_huge_span)
{
	char *huge = large_alloc(heap, 5 * MIB, 1, -1, GFP_KERNEL, false, 0), *small;

	ASSERT_NE(NULL, huge);
	small = get_place(huge + heap_size(heap, huge), 41 * KSPAN_PAGE_SIZE);
	ASSERT_EQ(huge + heap_size(heap, huge), small);
	ASSERT_EQ(0, heap_verify(heap));
	check_around(small, 41);
	put(heap, huge);
	ASSERT_EQ(0, heap_verify(heap));
	check_around(small, 41);
	put(heap, small);
}

/* A span lies in one arena, so a piece that straddles two must not be asked for. */
TEST_F(pagemap, pieces_do_not_straddle_arenas)
{
	size_t nbytes = 300 * KSPAN_PAGE_SIZE;
	u32 i;

	alarm(20);	/* the heap would ask again and again */
	for (i = 0; i < 10; i++) {
		char *obj = get_place(region(20 + i) - 20 * (i + 1) * KSPAN_PAGE_SIZE, nbytes);

		ASSERT_NE(NULL, obj);
		check_around(obj, 300);
		put(heap, obj);
	}
}

TEST_HARNESS_MAIN
