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

/* Without memory for a batch it waits for the readers itself. */
TEST_F(rcu, no_memory_for_a_batch)
{
	void *objs[100];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 40000);
	heap_release_memory(heap);
	test.ts.fail_all = true;
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		pattern_write(objs[i], 40000, i);
		heap_free_rcu(heap, objs[i]);
	}
	test.ts.fail_all = false;
	kspan_rcu_barrier();
	ASSERT_EQ(0, nlive());
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
