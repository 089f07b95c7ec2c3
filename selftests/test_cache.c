// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * cache.c: the stacks of a CPU grow where misses are, inside a budget, move
 * objects in batches, and never lose or double one.
 */
#include "testheap.h"

static void *objs[5000];

TESTHEAP_FIXTURE(cache)

static struct kspan_slot *the_slot(void)
{
	return port_slot_this(&heap->slots);
}

static u32 stack_of(size_t size)
{
	return span_class(size_to_class(size), false);
}

static void get_n(size_t size, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		objs[i] = get(heap, size);
		must(objs[i]);
	}
}

static void put_n(u32 n)
{
	while (n--)
		put(heap, objs[n]);
}

static u32 capacity(u32 stack)
{
	u32 limit = *slot_limit(&heap->slots, the_slot(), stack);

	return limit ? limit - heap->base[stack] : 0;
}

TEST_F(cache, what_was_freed_last_comes_first)
{
	one_cpu();
	get_n(64, 20);
	put_n(20);	/* the first one last */
	ASSERT_EQ(objs[0], get(heap, 64));
	ASSERT_EQ(objs[1], get(heap, 64));
	put(heap, objs[1]);
	put(heap, objs[0]);
}

TEST_F(cache, new_objects_ascend)
{
	u32 i;

	one_cpu();
	get_n(64, 4);
	for (i = 1; i < 4; i++)
		ASSERT_EQ(objs[i - 1] + 64, objs[i]);
	put_n(4);
}

TEST_F(cache, misses_become_rare)
{
	struct kspan_class_stats *cls;
	static struct kspan_stats stats;
	u32 i;

	one_cpu();
	for (i = 0; i < 200; i++) {
		get_n(64, 100);
		put_n(100);
	}
	heap_get_stats(heap, &stats);
	cls = &stats.cls[stack_of(64)];
	ASSERT_EQ(20000, cls->nmalloc);
	ASSERT_EQ(20000, cls->nfree);
	/* a stack of 128 holds them all: what missed was before it had grown */
	ASSERT_LT(cls->nmalloc - cls->nhit, 50);
	ASSERT_LT(cls->nrefill + cls->nflush, 50);
}

TEST_F(cache, capacity_stays_below_the_configured)
{
	u32 stack;
	size_t size;

	one_cpu();
	for (size = 8; size <= KSPAN_MAX_SMALL_SIZE; size *= 2) {
		u32 n = min((size_t)1000, 4 * MIB / size), round;

		for (round = 0; round < 10; round++) {
			get_n(size, n);
			put_n(n);
		}
		stack = stack_of(size);
		ASSERT_LE(capacity(stack), heap->max[stack]);
		ASSERT_LE(capacity(stack), test.config.stack_objs);
		if (capacity(stack) > 2)
			ASSERT_LE(capacity(stack) * size, test.config.stack_bytes);
	}
	ASSERT_EQ(0, heap_verify(heap));
}

/* The budget is what the limits of all stacks add up to, and it holds. */
TEST_F(cache, budget)
{
	size_t sum = 0, budget = test.config.cache_bytes;
	u64 seed = 5;
	u32 i, c;

	one_cpu();
	for (i = 0; i < 3000; i++) {
		u32 n = 1 + random_below(&seed, 100);

		get_n(1 + random_below(&seed, KSPAN_MAX_SMALL_SIZE), n);
		put_n(n);
		/* a stack may grow by its size at most beyond it before it takes from others */
		ASSERT_LE(the_slot()->budget_used, budget + test.config.stack_bytes);
	}
	for (c = 2; c < KSPAN_NUM_SPAN_CLASSES; c++)
		sum += capacity(c) * kspan_class_to_size[c >> 1];
	ASSERT_EQ(sum, the_slot()->budget_used);
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(cache, drain_empties_all)
{
	static struct kspan_stats stats;
	u64 seed = 6;
	u32 i;

	for (i = 0; i < 1000; i++)
		objs[i] = get(heap, 1 + random_below(&seed, 5000));
	put_n(1000);
	cache_drain(heap, &heap->slots);
	heap_get_stats(heap, &stats);
	ASSERT_EQ(0, stats.cached_bytes);
	ASSERT_EQ(0, stats.inuse_bytes);
	ASSERT_EQ(0, heap_verify(heap));
	/* and the stacks serve again */
	get_n(64, 10);
	put_n(10);
	ASSERT_EQ(0, heap_verify(heap));
}

/* What a stack once held goes, though the stack is used, a little, and others are not. */
TEST_F(cache, what_nobody_comes_to_goes_with_an_epoch)
{
	u32 i, epoch, busy = stack_of(64), quiet = stack_of(1024);

	for (i = 0; i < 20; i++) {
		get_n(64, 100);
		put_n(100);
		get_n(1024, 20);
		put_n(20);
	}
	ASSERT_LT(50, slot_count(&heap->slots, the_slot(), busy));
	ASSERT_LT(5, slot_count(&heap->slots, the_slot(), quiet));
	for (epoch = 0; epoch < 4; epoch++) {
		for (i = 0; i < 10; i++)
			put(heap, get(heap, 64));
		heap_scavenge(heap);
	}
	ASSERT_GE(10, slot_count(&heap->slots, the_slot(), busy));
	ASSERT_LT(0, slot_count(&heap->slots, the_slot(), busy));
	ASSERT_EQ(0, slot_count(&heap->slots, the_slot(), quiet));
	ASSERT_EQ(0, heap_verify(heap));
}

/* A stack of which all is used in an epoch keeps all. */
TEST_F(cache, what_is_used_stays)
{
	u32 i;

	for (i = 0; i < 20; i++) {
		get_n(64, 100);
		put_n(100);
	}
	for (i = 0; i < 4; i++) {
		heap_scavenge(heap);
		get_n(64, 100);
		put_n(100);
	}
	heap_scavenge(heap);
	ASSERT_EQ(100, slot_count(&heap->slots, the_slot(), stack_of(64)));
}

TEST_F(cache, bulk_takes_from_the_stack_first)
{
	struct kspan_central *central = heap_central(heap, stack_of(64), 0);
	u64 out;

	one_cpu();
	get_n(64, 50);
	put_n(50);
	out = central->nout;
	ASSERT_EQ(20, cache_alloc_bulk(&heap->slots, central, GFP_KERNEL, 20, objs, 0));
	ASSERT_EQ(out, central->nout);
	ASSERT_EQ(0, heap_verify(heap));
	put_n(20);
	ASSERT_EQ(5000, cache_alloc_bulk(&heap->slots, central, GFP_KERNEL, 5000, objs, 0));
	ASSERT_EQ(0, heap_verify(heap));
	put_n(5000);
}

TEST_F(cache, no_memory_for_a_batch)
{
	struct kspan_central *central = heap_central(heap, stack_of(64), 0);
	u32 n;

	one_cpu();
	test.ts.fail_all = true;
	n = cache_alloc_bulk(&heap->slots, central, GFP_KERNEL, 5000, objs, 0);
	ASSERT_LT(n, 5000);
	put_n(n);
	test.ts.fail_all = false;
	ASSERT_EQ(0, heap_verify(heap));
}

/* While the slots are frozen everything works, past them. */
TEST_F(cache, frozen)
{
	u32 i;

	one_cpu();
	get_n(64, 50);
	put_n(50);
	port_slots_freeze(&heap->slots);
	get_n(64, 1000);
	for (i = 0; i < 1000; i++)
		pattern_write(objs[i], 64, i);
	for (i = 0; i < 1000; i++)
		ASSERT_TRUE(pattern_holds(objs[i], 64, 64, i));
	put_n(1000);
	port_slots_thaw(&heap->slots);
	ASSERT_EQ(0, heap_verify(heap));
}

/* A free in one thread of what another allocated; the stacks of either. */
static void *free_here(void *arg)
{
	u32 i;

	for (i = 0; i < 5000; i++)
		put(heap, objs[i]);
	return NULL;
}

TEST_F(cache, remote_frees)
{
	pthread_t thread;
	u32 round;

	for (round = 0; round < 5; round++) {
		get_n(128, 5000);
		ASSERT_EQ(0, pthread_create(&thread, NULL, free_here, NULL));
		pthread_join(thread, NULL);
		ASSERT_EQ(0, heap_verify(heap));
	}
	cache_drain(heap, &heap->slots);
	ASSERT_EQ(0, heap->node0.pages.ninuse);
}

/* A checked heap has no caches: every free is known to its span at once. */
TEST(checked_heaps_cache_nothing)
{
	struct kspan_span *span;
	u32 i;

	testheap_prepare(&test, false, TEST_SPACE);
	test.config.debug.flags = KSPAN_DEBUG_CHECK;
	testheap_start(&test);
	get_n(64, 100);
	span = pagemap_span(heap, (uintptr_t)objs[0]);
	for (i = 0; i < 50; i++) {
		u32 nfree = span->nfree;

		put(heap, objs[i]);
		ASSERT_EQ(nfree + 1, span->nfree);
	}
	for (; i < 100; i++)
		put(heap, objs[i]);
	ASSERT_EQ(0, heap->node0.pages.ninuse);
	testheap_end(&test);
}

TEST(configurations_that_make_no_sense)
{
	testheap_prepare(&test, false, TEST_SPACE);
	test.config.stack_objs = 0;
	ASSERT_EQ(-EINVAL, heap_init(heap, &test.config));
	test.config.stack_objs = 65536;
	ASSERT_EQ(-EINVAL, heap_init(heap, &test.config));
	/* the stacks of all classes together are too long */
	test.config.stack_objs = 1000;
	test.config.stack_bytes = 8 * MIB;
	ASSERT_EQ(-EINVAL, heap_init(heap, &test.config));
	test.config.stack_bytes = 64 * KIB;
	test.config.stack_objs = 10;
	test.ts.src.grain = 12345;
	ASSERT_EQ(-EINVAL, heap_init(heap, &test.config));
	test.ts.src.grain = 4096;
	ASSERT_EQ(-EINVAL, heap_init(heap, &test.config));
	ASSERT_EQ(0, test.ts.out);
}

TEST(smallest_and_largest_stacks)
{
	static const u32 nobjs[] = { 1, 2, 3, 400 };
	u32 i, round;

	for (i = 0; i < ARRAY_SIZE(nobjs); i++) {
		testheap_prepare(&test, false, TEST_SPACE);
		test.config.stack_objs = nobjs[i];
		test.config.stack_bytes = 32 * KIB;
		testheap_start(&test);
		for (round = 0; round < 5; round++) {
			get_n(8, 1000);
			put_n(1000);
			get_n(32768, 10);
			put_n(10);
			ASSERT_EQ(0, heap_verify(heap));
		}
		testheap_end(&test);
	}
}

TEST_HARNESS_MAIN
