// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * pagealloc.c: runs of pages against a model with one byte per page; first fit,
 * alignment, summaries across groups of arenas, growth in place, release.
 */
#include "testheap.h"

#define NARENAS		150u	/* more than two groups */
#define NPAGES		(NARENAS * KSPAN_ARENA_PAGES)

/*
 * The page allocator alone: a heap gives its lock and the memory for the
 * summaries; the arenas have addresses but no memory.
 */
static struct testheap test;
static struct kspan_heap *const heap = &test.heap;
static struct kspan_pages *const pages = &test.heap.node0.pages;
static struct kspan_arena arenas[NARENAS];
static u8 model[NPAGES];	/* 1: free */

#define BASE		((uintptr_t)64 * GIB)

static struct kspan_arena *arena_at(uintptr_t addr)
{
	return &arenas[(addr - BASE) >> KSPAN_ARENA_SHIFT];
}

static u32 page_at(uintptr_t addr)
{
	return (addr - BASE) >> KSPAN_PAGE_SHIFT;
}

static bool insert(u32 i)
{
	unsigned long flags;
	bool ok;

	must(pages_reserve(heap, pages, GFP_KERNEL));
	arenas[i].base = BASE + i * KSPAN_ARENA_SIZE;
	flags = port_lock(&heap->lock);
	ok = pages_insert_arena(pages, &arenas[i]);
	port_unlock(&heap->lock, flags);
	return ok;
}

static void give(u32 page, u32 npages, bool dirty)
{
	uintptr_t addr = BASE + pages_to_bytes(page);
	unsigned long flags = port_lock(&heap->lock);

	pages_free(pages, arena_at(addr), addr_to_page(addr), npages, dirty);
	port_unlock(&heap->lock, flags);
	memset(model + page, 1, npages);
}

/* The end of the free run that begins at @page, in its arena. */
static u32 run_end(u32 page)
{
	u32 end = (page / KSPAN_ARENA_PAGES + 1) * KSPAN_ARENA_PAGES;

	while (page < end && model[page])
		page++;
	return page;
}

/* What first fit must find, or NPAGES. */
static u32 model_find(u32 npages, u32 align)
{
	u32 page = 0;

	while (page < NPAGES) {
		u32 end = run_end(page), start = (page + align - 1) & ~(align - 1);

		if (start + npages <= end)
			return start;
		page = max(end, page + 1);
	}
	return NPAGES;
}

static u32 take(u32 npages, u32 align)
{
	u32 expected = model_find(npages, align), page;
	unsigned long flags = port_lock(&heap->lock);
	uintptr_t addr;
	bool dirty;

	addr = pages_alloc(pages, npages, align, &dirty);
	port_unlock(&heap->lock, flags);
	if (!addr) {
		must(expected == NPAGES);
		return NPAGES;
	}
	page = page_at(addr);
	must(page == expected);
	memset(model + page, 0, npages);
	return page;
}

/* Everything that can be known of the summaries. */
static void check(void)
{
	size_t nfree = 0;
	u32 i, k;

	for (i = 0; i < pages->n; i++) {
		struct kspan_arena *arena = pages->arena[i];
		u32 run = 0, longest = 0, first = page_at(arena->base);

		must(!i || pages->arena[i - 1]->base < arena->base);
		for (k = 0; k < KSPAN_ARENA_PAGES; k++) {
			must((arena->free[k / 64] >> (k % 64) & 1) == model[first + k]);
			run = model[first + k] ? run + 1 : 0;
			longest = max(longest, run);
			nfree += model[first + k];
		}
		must(longest <= pages->maxrun[i]);
		must(pages->maxrun[i] <= pages->groupmax[i >> KSPAN_GROUP_SHIFT]);
	}
	must(nfree == pages->nfree);
}

FIXTURE(pagealloc) { };

FIXTURE_SETUP(pagealloc)
{
	testheap_init(&test, true);
}

/* The heap must not put back pages that it never got. */
FIXTURE_TEARDOWN(pagealloc)
{
	memset(pages, 0, sizeof(*pages));
	testheap_end(&test);
}

static void insert_all(void)
{
	u32 i, k = 0;

	/* 67 is prime to the number of arenas: any order, all of them */
	for (i = 0; i < NARENAS; i++) {
		k = (k + 67) % NARENAS;
		must(insert(k));
		give(k * KSPAN_ARENA_PAGES, KSPAN_ARENA_PAGES, false);
	}
}

TEST_F(pagealloc, arenas_inserted_in_any_order_are_used_by_address)
{
	u32 i;

	insert_all();
	check();
	ASSERT_EQ(NARENAS, pages->n);
	for (i = 0; i < NARENAS; i++)
		ASSERT_EQ(i * KSPAN_ARENA_PAGES, take(KSPAN_ARENA_PAGES, 1));
	ASSERT_EQ(NPAGES, take(1, 1));
	check();
	ASSERT_EQ(0, pages->nfree);
	ASSERT_EQ(NPAGES, pages->ninuse);
}

TEST_F(pagealloc, no_run_crosses_arenas)
{
	insert_all();
	ASSERT_EQ(0, take(500, 1));
	ASSERT_EQ(KSPAN_ARENA_PAGES, take(13, 1));
	ASSERT_EQ(500, take(12, 1));
	check();
}

TEST_F(pagealloc, freed_neighbours_join)
{
	u32 i;

	insert(0);
	give(0, KSPAN_ARENA_PAGES, false);
	for (i = 0; i < KSPAN_ARENA_PAGES; i++)
		ASSERT_EQ(i, take(1, 1));
	for (i = 1; i < KSPAN_ARENA_PAGES; i += 2)
		give(i, 1, true);
	ASSERT_EQ(NPAGES, take(2, 1));
	check();
	for (i = 0; i < KSPAN_ARENA_PAGES; i += 2)
		give(i, 1, true);
	check();
	ASSERT_EQ(0, take(KSPAN_ARENA_PAGES, KSPAN_ARENA_PAGES));
}

TEST_F(pagealloc, pieces_of_an_arena)
{
	insert(0);
	give(3, 5, false);
	give(100, 60, false);
	give(508, 4, false);
	ASSERT_EQ(100, take(6, 1));
	ASSERT_EQ(4, take(4, 4));
	ASSERT_EQ(108, take(4, 4));
	ASSERT_EQ(128, take(32, 32));
	ASSERT_EQ(NPAGES, take(32, 1));
	give(8, 92, false);
	check();
	ASSERT_EQ(8, take(92, 1));
}

TEST_F(pagealloc, dirt_is_remembered_page_by_page)
{
	unsigned long flags;
	bool dirty;

	insert(0);
	give(0, 10, false);
	give(10, 1, true);
	give(11, 10, false);
	flags = port_lock(&heap->lock);
	pages_alloc(pages, 10, 1, &dirty);
	ASSERT_FALSE(dirty);
	pages_alloc(pages, 5, 1, &dirty);
	ASSERT_TRUE(dirty);
	pages_alloc(pages, 6, 1, &dirty);
	ASSERT_FALSE(dirty);
	port_unlock(&heap->lock, flags);
	memset(model, 0, sizeof(model));
	check();
}

TEST_F(pagealloc, extend_takes_what_follows_if_it_is_free)
{
	unsigned long flags;
	bool dirty;

	insert(0);
	insert(1);
	give(0, KSPAN_ARENA_PAGES, false);
	give(KSPAN_ARENA_PAGES, KSPAN_ARENA_PAGES, false);
	ASSERT_EQ(0, take(10, 1));
	ASSERT_EQ(10, take(10, 1));
	give(0, 10, true);
	flags = port_lock(&heap->lock);
	ASSERT_FALSE(pages_extend(pages, &arenas[0], 10, 1, &dirty));
	ASSERT_TRUE(pages_extend(pages, &arenas[0], 20, 30, &dirty));
	ASSERT_FALSE(dirty);
	ASSERT_FALSE(pages_extend(pages, &arenas[0], 50, KSPAN_ARENA_PAGES - 49, &dirty));
	ASSERT_TRUE(pages_extend(pages, &arenas[0], 50, KSPAN_ARENA_PAGES - 50, &dirty));
	ASSERT_FALSE(pages_extend(pages, &arenas[0], KSPAN_ARENA_PAGES, 1, &dirty));
	port_unlock(&heap->lock, flags);
	memset(model + 20, 0, KSPAN_ARENA_PAGES - 20);
	check();
}

static void random_step(u64 *seed, u32 *start, u32 *len, u32 n)
{
	u32 i = random_below(seed, n), npages, align;

	if (len[i]) {
		give(start[i], len[i], random_below(seed, 2));
		len[i] = 0;
		return;
	}
	npages = 1 + random_below(seed, random_below(seed, 8) ? 20 : KSPAN_ARENA_PAGES);
	align = 1u << (random_below(seed, 4) ? 0 : random_below(seed, 10));
	start[i] = take(npages, align);
	if (start[i] != NPAGES)
		len[i] = npages;
}

TEST_F_TIMEOUT(pagealloc, random_against_the_model, 120)
{
	static u32 start[4000], len[4000];
	u64 seed;
	u32 i;

	insert_all();
	/* mostly full, so that searches fail and summaries come down */
	for (i = 0; i < NARENAS; i++)
		if (i % 10)
			ASSERT_NE(NPAGES, take(KSPAN_ARENA_PAGES, 1));
	for (seed = 1; seed < 4; seed++) {
		u64 s = seed;

		for (i = 0; i < 5000; i++) {
			random_step(&s, start, len, ARRAY_SIZE(start));
			if (i % 250 == 0)
				check();
		}
	}
	check();
}

/* What pages_take_idle() gives is nobody's until it comes back. */
TEST_F(pagealloc, idle_pages_leave_and_come_back)
{
	u32 cursor = 0, age = 0, n, total = 0;
	unsigned long flags;
	uintptr_t addr;
	bool dirty;

	insert(0);
	insert(1);
	give(0, 100, true);
	give(KSPAN_ARENA_PAGES + 7, 30, true);
	flags = port_lock(&heap->lock);
	/* nothing was idle for an epoch yet */
	ASSERT_EQ(0, pages_take_idle(pages, &cursor, KSPAN_IDLE_EPOCH, ~0u, &addr));
	ASSERT_FALSE(pages_age(pages, &age));
	pages_alloc(pages, 10, 1, &dirty);
	ASSERT_TRUE(dirty);
	cursor = 0;
	while ((n = pages_take_idle(pages, &cursor, KSPAN_IDLE_EPOCH, ~0u, &addr))) {
		ASSERT_EQ(n, pages->nmoving);
		ASSERT_NE(0, page_at(addr));
		pages->nmoving -= n;
		pages_free_released(pages, arena_at(addr), addr_to_page(addr), n);
		total += n;
	}
	ASSERT_EQ(120, total);
	ASSERT_EQ(0, pages->nmoving);
	ASSERT_EQ(120, pages->nreleased);
	age = 0;
	ASSERT_FALSE(pages_age(pages, &age));
	pages_alloc(pages, 90, 1, &dirty);
	ASSERT_FALSE(dirty);
	ASSERT_EQ(30, pages->nreleased);
	cursor = 0;
	ASSERT_EQ(0, pages_take_idle(pages, &cursor, KSPAN_IDLE_ALL, ~0u, &addr));
	port_unlock(&heap->lock, flags);
}

/* The next group begins an epoch; false: it was the last. */
static bool age(u32 *cursor)
{
	unsigned long flags = port_lock(&heap->lock);
	u32 before = *cursor;
	bool left = pages_age(pages, cursor);

	must(*cursor - before <= 1u << KSPAN_GROUP_SHIFT);
	must(left == (*cursor < pages->n));
	port_unlock(&heap->lock, flags);
	return left;
}

/* Of the arenas from place @i on, all that is free was idle for an epoch. */
static bool idle_from(u32 i)
{
	for (; i < pages->n; i++)
		if (memcmp(pages->arena[i]->idle, pages->arena[i]->free,
			   sizeof(pages->arena[i]->free)))
			return false;
	return true;
}

TEST_F(pagealloc, an_epoch_begins_group_by_group)
{
	u32 cursor = 0, ngroups = 1;

	insert_all();
	while (age(&cursor))
		ngroups++;
	ASSERT_EQ((NARENAS + 63) / 64, ngroups);
	ASSERT_TRUE(idle_from(0));
}

TEST_F(pagealloc, arenas_come_and_go_between_groups)
{
	u32 i, cursor = 0;
	unsigned long flags;

	for (i = 1; i < NARENAS; i++) {
		insert(i);
		give(i * KSPAN_ARENA_PAGES, KSPAN_ARENA_PAGES, false);
	}
	ASSERT_TRUE(age(&cursor));
	insert(0);
	give(0, KSPAN_ARENA_PAGES, false);
	while (age(&cursor))
		;
	ASSERT_TRUE(idle_from(1));
	ASSERT_EQ(0, arenas[0].idle[0]);
	/* the one that is left out keeps what it had */
	ASSERT_EQ(0, take(KSPAN_ARENA_PAGES, 1));
	cursor = 0;
	ASSERT_TRUE(age(&cursor));
	flags = port_lock(&heap->lock);
	pages_remove_arena(pages, &arenas[0]);
	port_unlock(&heap->lock, flags);
	while (age(&cursor))
		;
	ASSERT_EQ(NARENAS - 1, pages->n);
	ASSERT_TRUE(idle_from(0));
	check();
}

/* Looked for a group at a time, from the top. */
TEST_F(pagealloc, idle_pages_of_the_last_group)
{
	u32 cursor = 0, ncalls = 0, n;
	unsigned long flags;
	uintptr_t addr;

	insert_all();
	while (take(KSPAN_ARENA_PAGES, 1) != NPAGES)
		;
	give(5, 7, true);
	flags = port_lock(&heap->lock);
	do {
		u32 before = cursor;

		n = pages_take_idle(pages, &cursor, KSPAN_IDLE_ALL, ~0u, &addr);
		must(cursor - before <= 1u << KSPAN_GROUP_SHIFT);
		ncalls++;
	} while (!n && cursor < pages->n);
	ASSERT_EQ(7, n);
	ASSERT_EQ(5, page_at(addr));
	ASSERT_EQ((NARENAS + 63) / 64, ncalls);
	ASSERT_EQ(0, pages_take_idle(pages, &cursor, KSPAN_IDLE_ALL, ~0u, &addr));
	ASSERT_EQ(pages->n, cursor);
	pages->nmoving -= n;
	port_unlock(&heap->lock, flags);
}

TEST_F(pagealloc, no_memory_for_the_summaries)
{
	u32 i, n = 0;

	test.ts.fail_all = true;
	ASSERT_FALSE(pages_reserve(heap, pages, GFP_KERNEL));
	test.ts.fail_all = false;
	test.ts.fail_percent = 60;
	for (i = 0; i < NARENAS; ) {
		if (!pages_reserve(heap, pages, GFP_KERNEL)) {
			n++;
			continue;
		}
		test.ts.fail_percent = 0;
		ASSERT_TRUE(insert(i));
		i++;
		test.ts.fail_percent = 60;
	}
	ASSERT_EQ(NARENAS, pages->n);
	check();
}

TEST_HARNESS_MAIN
