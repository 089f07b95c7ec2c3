// SPDX-License-Identifier: GPL-2.0 OR MIT
/* rcu.c: what is freed after a grace period is whole until then, and gone after it. */
#include "testheap.h"
#include <urcu/urcu-bp.h>

static struct testheap test;
static struct kspan_heap *const heap = &test.heap;

FIXTURE(rcu) { };

FIXTURE_SETUP(rcu)
{
	testheap_prepare(&test, true, TEST_SPACE);
	testheap_start(&test);
}

FIXTURE_TEARDOWN(rcu)
{
	kspan_rcu_barrier();
	testheap_end(&test);
}

static u64 nlive(void)
{
	static struct kspan_stats stats;

	heap_get_stats(heap, &stats);
	return stats.nmalloc - stats.nfree;
}

TEST_F(rcu, objects_live_until_readers_are_done)
{
	static void *objs[500];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = get(heap, 40);
		pattern_write(objs[i], 40, i);
	}
	urcu_bp_read_lock();
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		heap_free_rcu(heap, objs[i]);
	usleep(20000);
	/* allocations meanwhile get none of them */
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		void *other = get(heap, 40);

		memset(other, 0, 40);
		put(heap, other);
		ASSERT_TRUE(pattern_holds(objs[i], 40, 40, i));
	}
	ASSERT_GE(nlive(), ARRAY_SIZE(objs));
	urcu_bp_read_unlock();
	kspan_rcu_barrier();
	ASSERT_EQ(0, nlive());
}

/* One that is alone goes too: no batch has to fill. */
TEST_F(rcu, a_single_object)
{
	heap_free_rcu(heap, get(heap, 5000));
	kspan_rcu_barrier();
	ASSERT_EQ(0, nlive());
}

TEST_F(rcu, null_is_nothing)
{
	heap_free_rcu(heap, NULL);
	heap_free_rcu(heap, ZERO_SIZE_PTR);
	ASSERT_EQ(NULL, heap->rcu_batch);
}

TEST_F(rcu, objects_of_every_kind)
{
	struct kspan_cache *cache = cache_create(heap, "rcu", 100, 0, 0, NULL);
	u32 i;

	for (i = 0; i < 100; i++) {
		heap_free_rcu(heap, get(heap, 1 + i * 300));
		heap_free_rcu(heap, get(heap, 40000 + i * 1000));
		heap_free_rcu(heap, tiny_alloc(heap, 1 + i % 15, GFP_KERNEL, 0));
		heap_free_rcu(heap, kspan_cache_alloc(cache, GFP_KERNEL));
	}
	heap_free_rcu(heap, get(heap, 5 * MIB));
	kspan_rcu_barrier();
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_EQ(0, cache_destroy(cache));
}

/* Until end_famine() there is no memory for a batch. */
static void *hoard[4096];
static u32 nhoard;

static void begin_famine(void)
{
	heap_release_memory(heap);
	port_store(&test.ts.fail_all, true);
	for (nhoard = 0; nhoard < ARRAY_SIZE(hoard); nhoard++) {
		hoard[nhoard] = heap_alloc(heap, 512, false, GFP_NOWAIT, 0);
		if (!hoard[nhoard])
			break;
	}
	must(nhoard < ARRAY_SIZE(hoard));
}

static void end_famine(void)
{
	port_store(&test.ts.fail_all, false);
	while (nhoard)
		put(heap, hoard[--nhoard]);
}

static size_t famine_size(u32 i)
{
	return i % 3 == 0 ? 1 + i % 15 : i % 3 == 1 ? 16 + i : 33000 + i;
}

/* For which it waits neither for memory nor for readers: it may be one itself. */
TEST_F(rcu, no_memory_for_a_batch)
{
	struct kspan_cache *cache = cache_create(heap, "rcu", 24, 0, 0, NULL);
	u8 *objs[300], *cached[100], *other;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = i % 3 ? get(heap, famine_size(i)) :
				  tiny_alloc(heap, famine_size(i), GFP_KERNEL, 0);
		pattern_write(objs[i], famine_size(i), i);
	}
	for (i = 0; i < ARRAY_SIZE(cached); i++) {
		cached[i] = kspan_cache_alloc(cache, GFP_KERNEL);
		pattern_write(cached[i], 24, i);
	}
	begin_famine();
	urcu_bp_read_lock();
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		heap_free_rcu(heap, objs[i]);
		heap_free_rcu(heap, cached[i % ARRAY_SIZE(cached)]);
		if (i == ARRAY_SIZE(cached) - 1)
			break;
	}
	for (i++; i < ARRAY_SIZE(objs); i++)
		heap_free_rcu(heap, objs[i]);
	ASSERT_EQ(NULL, heap->rcu_batch);
	end_famine();
	usleep(20000);
	/* whoever catches up meanwhile frees none of them, and nobody gets one */
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		heap_catch_up(heap);
		other = tiny_alloc(heap, 1 + i % 15, GFP_KERNEL, 0);
		memset(other, 0, 1 + i % 15);
		put(heap, other);
		other = get(heap, famine_size(i));
		memset(other, 0, famine_size(i));
		put(heap, other);
		other = kspan_cache_alloc(cache, GFP_KERNEL);
		memset(other, 0, 24);
		put(heap, other);
	}
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		ASSERT_TRUE(pattern_holds(objs[i], famine_size(i), famine_size(i), i));
	for (i = 0; i < ARRAY_SIZE(cached); i++)
		ASSERT_TRUE(pattern_holds(cached[i], 24, 24, i));
	urcu_bp_read_unlock();
	heap_rcu_barrier(heap);
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(NULL, heap->waiting);
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_EQ(0, cache_destroy(cache));
	ASSERT_EQ(0, misuses(heap));
}

/* What is freed while the grace period of others runs waits for one of its own. */
TEST_F(rcu, no_memory_and_freed_later)
{
	u8 *objs[64];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 48);
	begin_famine();
	heap_free_rcu(heap, objs[0]);
	usleep(1000);
	urcu_bp_read_lock();
	for (i = 1; i < ARRAY_SIZE(objs); i++) {
		pattern_write(objs[i], 48, i);
		heap_free_rcu(heap, objs[i]);
	}
	end_famine();
	for (i = 0; i < 50; i++) {
		void *other = get(heap, 48);

		memset(other, 0, 48);
		put(heap, other);
		heap_catch_up(heap);
		usleep(1000);
	}
	for (i = 1; i < ARRAY_SIZE(objs); i++)
		ASSERT_TRUE(pattern_holds(objs[i], 48, 48, i));
	urcu_bp_read_unlock();
	heap_rcu_barrier(heap);
	ASSERT_EQ(0, nlive());
}

/* Frees of nothing, and second ones, are found without memory too. */
TEST_F(rcu, no_memory_and_misuse)
{
	u8 *small = get(heap, 64), *large = get(heap, 40000);
	u8 *tiny = tiny_alloc(heap, 8, GFP_KERNEL, 0), *one = tiny_alloc(heap, 1, GFP_KERNEL, 0);
	struct capture capture;
	u8 *wrong[] = { small + 8, large + 64, tiny + 3, one + (15 - ((uintptr_t)one & 15)) };
	u32 i;

	capture_begin(&capture);
	begin_famine();
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		heap_free_rcu(heap, wrong[i]);
	ASSERT_EQ(ARRAY_SIZE(wrong), heap->nmisuse[KSPAN_INTERIOR_FREE]);
	heap_free_rcu(heap, small);
	heap_free_rcu(heap, large);
	heap_free_rcu(heap, tiny);
	ASSERT_EQ(0, heap->nmisuse[KSPAN_DOUBLE_FREE]);
	heap_free_rcu(heap, small);
	heap_free_rcu(heap, large);
	heap_free_rcu(heap, tiny);
	ASSERT_EQ(3, heap->nmisuse[KSPAN_DOUBLE_FREE]);
	heap_free_rcu(heap, &test);
	ASSERT_EQ(1, heap->nmisuse[KSPAN_FOREIGN_FREE]);
	put(heap, one);
	capture_end(&capture);
	end_famine();
	heap_rcu_barrier(heap);
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(0, heap_verify(heap));
}

/* Readers and a writer of one pointer, as users have it. */

static struct item {
	u64 a, b;
} *current;
static bool stop;

/*
 * ThreadSanitizer does not see that a grace period lies between a read and a reuse,
 * so it is not to see the reads: neither atomics nor anything outside this function.
 */
__attribute__((no_sanitize_thread))
static void *reader(void *arg)
{
	while (!port_load(&stop)) {
		struct item *item;

		urcu_bp_read_lock();
		item = port_load_acquire(&current);
		must(*(volatile u64 *)&item->a == ~*(volatile u64 *)&item->b);
		must(*(volatile u64 *)&item->a == ~*(volatile u64 *)&item->b);
		urcu_bp_read_unlock();
	}
	return NULL;
}

TEST_F_TIMEOUT(rcu, readers_and_a_writer, 100)
{
	pthread_t thread[2];
	struct item *item;
	u64 i;

	current = get(heap, sizeof(*current));
	current->a = 0;
	current->b = ~0ull;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, reader, NULL));
	for (i = 1; i < test_rounds(100000); i++) {
		struct item *old = current;

		item = get(heap, sizeof(*item));
		port_store(&item->a, i);
		port_store(&item->b, ~i);
		port_store_release(&current, item);
		heap_free_rcu(heap, old);
	}
	port_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	put(heap, current);
	kspan_rcu_barrier();
	ASSERT_EQ(0, nlive());
}

/* Others free at once, and put off, what is beside what waits. */
static void *free_in_famine(void *arg)
{
	u32 i, k, rounds = test_rounds(2000);
	void *objs[24];

	for (i = 0; i < rounds; i++) {
		for (k = 0; k < ARRAY_SIZE(objs); k++)
			objs[k] = k & 1 ? tiny_alloc(heap, 1 + k % 15, GFP_NOWAIT, 0) :
					  heap_alloc(heap, 80, false, GFP_NOWAIT, 0);
		for (k = 0; k < ARRAY_SIZE(objs); k++) {
			if (k % 6 < 2)
				heap_free_rcu(heap, objs[k]);
			else if (k % 6 < 4)
				heap_free_nolock(heap, objs[k], 0);
			else if (objs[k])
				put(heap, objs[k]);
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(rcu, threads_without_memory, 100)
{
	void *stock[2000];
	pthread_t thread[4];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(stock); i++)
		stock[i] = i & 1 ? get(heap, 80) : tiny_alloc(heap, 9, GFP_KERNEL, 0);
	begin_famine();
	for (i = 0; i < ARRAY_SIZE(stock); i++)
		put(heap, stock[i]);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, free_in_famine, NULL));
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	end_famine();
	heap_rcu_barrier(heap);
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_EQ(0, misuses(heap));
}

static void *free_many(void *arg)
{
	u32 i;

	for (i = 0; i < test_rounds(20000); i++)
		heap_free_rcu(heap, get(heap, 24));
	return NULL;
}

TEST_F_TIMEOUT(rcu, threads, 100)
{
	pthread_t thread[4];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, free_many, NULL));
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	kspan_rcu_barrier();
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(0, misuses(heap));
}

TEST_HARNESS_MAIN
