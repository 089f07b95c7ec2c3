// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * tiny.c: objects of under 16 bytes share blocks by Go's rule, keep out of each
 * other's way, and a block comes back when the last of them is freed.
 */
#include "testheap.h"

TESTHEAP_FIXTURE(tiny)

static u8 *get_tiny(size_t size)
{
	u8 *obj = tiny_alloc(heap, size, GFP_KERNEL, 0);

	must(obj);
	return obj;
}

static uintptr_t block_of(void *obj)
{
	return (uintptr_t)obj & ~(uintptr_t)(KSPAN_TINY_SIZE - 1);
}

static u32 align_of(size_t size)
{
	return size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
}

TEST_F(tiny, alignment_by_size)
{
	void *objs[16 * 20];
	u32 i, n = 0, size;

	for (i = 0; i < 20; i++)
		for (size = 1; size < KSPAN_TINY_SIZE; size++) {
			u8 *obj = get_tiny(size);

			ASSERT_EQ(0, (uintptr_t)obj % align_of(size));
			ASSERT_EQ(block_of(obj), block_of(obj + size - 1));
			ASSERT_EQ(size, heap_size(heap, obj));
			objs[n++] = obj;
		}
	while (n--)
		put(heap, objs[n]);
}

TEST_F(tiny, packing)
{
	u8 *a, *b, *c, *d, *e;

	one_cpu();
	a = get_tiny(5);
	b = get_tiny(2);	/* at 6 */
	c = get_tiny(1);	/* at 8 */
	d = get_tiny(4);	/* at 12 */
	e = get_tiny(1);	/* the next block */
	ASSERT_EQ(0, (uintptr_t)a % KSPAN_TINY_SIZE);
	ASSERT_EQ(a + 6, b);
	ASSERT_EQ(a + 8, c);
	ASSERT_EQ(a + 12, d);
	ASSERT_NE(block_of(a), block_of(e));
	ASSERT_EQ(5, heap_size(heap, a));
	ASSERT_EQ(2, heap_size(heap, b));
	ASSERT_EQ(1, heap_size(heap, c));
	ASSERT_EQ(4, heap_size(heap, d));
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, c);
	put(heap, a);
	put(heap, e);
	put(heap, d);
	ASSERT_TRUE(tiny_is_live(pagemap_span(heap, (uintptr_t)b), (uintptr_t)b));
	ASSERT_FALSE(tiny_is_live(pagemap_span(heap, (uintptr_t)b), (uintptr_t)a));
	put(heap, b);
	ASSERT_EQ(0, heap_verify(heap));
}

/* Fifteen of one byte cost one block of sixteen. */
TEST_F(tiny, fifteen_bytes_in_a_block)
{
	u8 *objs[1500];
	u32 i, nblocks = 0;

	one_cpu();
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = get_tiny(1);
		nblocks += !i || block_of(objs[i]) != block_of(objs[i - 1]);
	}
	ASSERT_EQ(ARRAY_SIZE(objs) / 15, nblocks);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
	cache_drain(heap, &heap->slots);
	ASSERT_EQ(0, heap->node0.pages.ninuse);
}

/* In every order of freeing the block comes back once, after the last. */
TEST_F(tiny, block_returns_with_its_last_object)
{
	static const u8 orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct kspan_central *central = heap_central(heap, KSPAN_STACK_TINY, 0);
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		u8 *objs[3] = { get_tiny(8), get_tiny(4), get_tiny(4) };

		ASSERT_EQ(block_of(objs[0]), block_of(objs[2]));
		for (k = 0; k < 3; k++) {
			cache_drain(heap, &heap->slots);
			ASSERT_EQ(1, central->nout);
			put(heap, objs[orders[i][k]]);
		}
		cache_drain(heap, &heap->slots);
		ASSERT_EQ(0, central->nout);
		ASSERT_EQ(0, heap_verify(heap));
	}
}

/* The unused rest of a block is drained from a stack while its objects live. */
TEST_F(tiny, rest_of_a_block_is_given_up)
{
	u8 *a = get_tiny(3), *b;

	cache_drain(heap, &heap->slots);
	ASSERT_EQ(0, heap_verify(heap));
	b = get_tiny(3);
	ASSERT_NE(block_of(a), block_of(b));
	ASSERT_EQ(3, heap_size(heap, a));
	put(heap, a);
	put(heap, b);
}

TEST_F(tiny, neighbours_do_not_touch)
{
	static struct {
		u8 *ptr;
		u32 size;
		u64 id;
	} objs[500];
	u64 seed = 9;
	u32 i;

	for (i = 0; i < 100000; i++) {
		u32 k = random_below(&seed, ARRAY_SIZE(objs));

		if (objs[k].ptr) {
			must(pattern_holds(objs[k].ptr, objs[k].size, objs[k].size, objs[k].id));
			must(heap_size(heap, objs[k].ptr) == objs[k].size);
			put(heap, objs[k].ptr);
			objs[k].ptr = NULL;
			continue;
		}
		objs[k].size = 1 + random_below(&seed, 15);
		objs[k].id = i;
		objs[k].ptr = get_tiny(objs[k].size);
		pattern_write(objs[k].ptr, objs[k].size, i);
		if (i % 1000 == 0)
			cache_drain(heap, &heap->slots);
		if (i % 5000 == 0)
			ASSERT_EQ(0, heap_verify(heap));
	}
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i].ptr);
	ASSERT_EQ(0, misuses(heap));
}

TEST_F(tiny, counted)
{
	static struct kspan_stats stats;
	u8 *a = get_tiny(1), *b = get_tiny(8);

	heap_get_stats(heap, &stats);
	ASSERT_EQ(2, stats.ntiny_malloc);
	ASSERT_EQ(0, stats.ntiny_free);
	ASSERT_EQ(2, stats.nmalloc - stats.nfree);
	port_slots_freeze(&heap->slots);
	put(heap, a);
	put(heap, b);
	port_slots_thaw(&heap->slots);
	heap_get_stats(heap, &stats);
	ASSERT_EQ(2, stats.ntiny_free);
	ASSERT_EQ(stats.nmalloc, stats.nfree);
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

/* The marks are exact, so wrong frees are found at once, caches or not. */
TEST_F(tiny, wrong_frees)
{
	u8 *a, *b, *c;

	one_cpu();
	a = get_tiny(6);
	b = get_tiny(4);
	c = get_tiny(2);
	put_wrong(a + 1, KSPAN_INTERIOR_FREE);
	put_wrong(b + 2, KSPAN_INTERIOR_FREE);
	put_wrong(c + 2, KSPAN_DOUBLE_FREE);	/* where the next one would begin */
	put(heap, a);
	ASSERT_EQ(0, heap_size(heap, a));
	put_wrong(a, KSPAN_DOUBLE_FREE);
	ASSERT_EQ(4, heap_size(heap, b));
	pattern_write(b, 4, 1);
	pattern_write(c, 2, 2);
	ASSERT_TRUE(pattern_holds(b, 4, 4, 1));
	put(heap, b);
	put(heap, c);
	/* 6 and then 4: two bytes between them are nobody's */
	put_wrong(b, KSPAN_DOUBLE_FREE);
	put_wrong(b - 1, KSPAN_INTERIOR_FREE);
}

static void *shared[256];

static void *churn(void *arg)
{
	u64 seed = (uintptr_t)arg;
	u32 i;

	for (i = 0; i < test_rounds(100000); i++) {
		u32 size = 1 + random_below(&seed, 15);
		u8 *obj = get_tiny(size), *old;

		memset(obj, size, size);
		old = __atomic_exchange_n(&shared[random_below(&seed, 256)], obj,
					  __ATOMIC_ACQ_REL);
		if (old) {
			must(heap_size(heap, old) == old[0]);
			put(heap, old);
		}
	}
	return NULL;
}

/* Four threads free what others made, in blocks that they share. */
TEST_F_TIMEOUT(tiny, threads, 100)
{
	pthread_t thread[4];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, churn, (void *)(uintptr_t)(i + 1)));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, heap_verify(heap));
		cache_drain(heap, &heap->slots);
		usleep(1000);
	}
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < ARRAY_SIZE(shared); i++)
		put(heap, shared[i]);
	cache_drain(heap, &heap->slots);
	ASSERT_EQ(0, misuses(heap));
	ASSERT_EQ(0, heap->node0.pages.ninuse);
}

TEST_HARNESS_MAIN
