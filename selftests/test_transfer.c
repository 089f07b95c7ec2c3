// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * transfer.c: batches go from stack to stack past their spans; what nobody wants
 * for an epoch goes home; nothing is lost when there is no room or no memory.
 */
#include "testheap.h"

TESTHEAP_FIXTURE(transfer)

#define SIZE	64

static void *objs[2000];

static struct kspan_central *the_central(void)
{
	return heap_central(heap, span_class(size_to_class(SIZE), false), 0);
}

static void get_all(u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		objs[i] = get(heap, SIZE);
		must(objs[i]);
	}
}

static void put_all(u32 n)
{
	while (n--)
		put(heap, objs[n]);
}

TEST_F(transfer, begins_with_the_first_flush)
{
	one_cpu();
	get_all(1000);
	ASSERT_EQ(NULL, the_central()->transfer);
	put_all(1000);
	ASSERT_NE(NULL, the_central()->transfer);
	ASSERT_EQ(64, the_central()->transfer_max);
	ASSERT_GT(the_central()->ntransfer, 0);
	ASSERT_LE(the_central()->ntransfer, the_central()->transfer_max);
	ASSERT_EQ(0, heap_verify(heap));
}

/* Batch after batch it has more room, up to the configured, and then serves all. */
TEST_F(transfer, grows_with_the_need)
{
	u32 i, max = 64;
	u64 nspan;

	one_cpu();
	for (i = 0; i < 4; i++) {
		get_all(300);
		put_all(300);
		ASSERT_GE(the_central()->transfer_max, max);
		ASSERT_LE(the_central()->transfer_max, test.config.transfer_objs);
		max = the_central()->transfer_max;
	}
	ASSERT_EQ(test.config.transfer_objs, max);
	/* what lay idle is lost again, and there is always some */
	for (i = 0; i < 20; i++) {
		transfer_age(the_central(), false);
		get_all(100);
		put_all(100);
	}
	ASSERT_LT(the_central()->transfer_max, max);
	ASSERT_GT(the_central()->transfer_max, 0);
	nspan = the_central()->nspan;
	transfer_age(the_central(), true);
	ASSERT_LE(the_central()->nspan, nspan);
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(transfer, a_miss_is_filled_from_it)
{
	u64 nout;
	u32 n;

	one_cpu();
	get_all(1000);
	put_all(1000);
	n = the_central()->ntransfer;
	nout = the_central()->nout;
	/* until the stack is empty and then the transfer cache */
	get_all(nout);
	ASSERT_GT(n, 0);
	ASSERT_EQ(0, the_central()->ntransfer);
	ASSERT_EQ(nout, the_central()->nout);	/* no span was asked */
	put_all(nout);
	ASSERT_EQ(0, heap_verify(heap));
}

/* Of a batch the stack takes what it has room for; the others stay. */
TEST_F(transfer, a_stack_with_little_room)
{
	u32 c = the_central()->stack, n;
	struct kspan_slot *slot;
	void *obj;

	one_cpu();
	get_all(1000);
	put_all(1000);
	slot = port_slot_this(&heap->slots);
	while (port_slot_drain(&heap->slots, c, objs, 1))
		central_put(heap, objs, 1, 0);
	n = the_central()->ntransfer;
	ASSERT_GT(n, 5);
	port_store(slot_limit(&heap->slots, slot, c), heap->base[c] + 2);
	obj = transfer_refill(&heap->slots, the_central(), 5);
	ASSERT_NE(NULL, obj);
	ASSERT_EQ(n - 3, the_central()->ntransfer);
	ASSERT_EQ(2, slot_count(&heap->slots, slot, c));
	put(heap, obj);
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(transfer, bulk_takes_from_it)
{
	u32 n;

	one_cpu();
	get_all(1000);
	put_all(1000);
	n = the_central()->nout;
	ASSERT_EQ(n, cache_alloc_bulk(&heap->slots, the_central(), GFP_KERNEL, n, objs, 0));
	ASSERT_EQ(0, the_central()->ntransfer);
	ASSERT_EQ(n, the_central()->nout);
	put_all(n);
}

/* What bulk frees find no room for on the stack is what the next bulk request gets. */
TEST_F(transfer, bulk_gives_to_it)
{
	u64 grown;
	u32 i, n;

	one_cpu();
	for (i = 0; i < 8; i++) {
		n = cache_alloc_bulk(&heap->slots, the_central(), GFP_KERNEL, 300, objs, 0);
		ASSERT_EQ(300, n);
		cache_free_bulk(&heap->slots, the_central(), objs, n, 0);
		ASSERT_EQ(0, heap_verify(heap));
	}
	ASSERT_GE(the_central()->ntransfer, 128);
	grown = the_central()->nspan;
	ASSERT_EQ(300, cache_alloc_bulk(&heap->slots, the_central(), GFP_KERNEL, 300, objs, 0));
	ASSERT_EQ(grown, the_central()->nspan);
	cache_free_bulk(&heap->slots, the_central(), objs, 300, 0);
}

static u64 live_of(struct kspan_heap *of)
{
	static struct kspan_stats stats;

	heap_get_stats(of, &stats);
	return stats.live_bytes;
}

TEST_F(transfer, its_objects_count_as_cached)
{
	one_cpu();
	get_all(1000);
	ASSERT_EQ(1000 * SIZE, live_of(heap));
	put_all(1000);
	ASSERT_GT(the_central()->ntransfer, 0);
	ASSERT_EQ(0, live_of(heap));
}

TEST_F(transfer, idle_objects_go_home_after_an_epoch)
{
	u32 before, low, i, n = 0;

	one_cpu();
	for (i = 0; i < 4; i++) {
		get_all(1000);
		put_all(1000);
	}
	before = the_central()->ntransfer;
	/* the first look finds that all of them came since the last one */
	ASSERT_EQ(before, transfer_age(the_central(), false));
	while (the_central()->ntransfer == before)
		objs[n++] = get(heap, SIZE);
	low = the_central()->ntransfer;
	ASSERT_GT(low, 0);
	put_all(n);
	ASSERT_EQ(the_central()->ntransfer - low, transfer_age(the_central(), false));
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(transfer, an_idle_heap_scavenges_it)
{
	u32 i;

	one_cpu();
	get_all(1000);
	put_all(1000);
	for (i = 0; i < 5 && heap_scavenge(heap); i++)
		;
	ASSERT_LT(i, 5);
	ASSERT_EQ(0, the_central()->ntransfer);
	ASSERT_EQ(0, the_central()->nout);
	ASSERT_EQ(0, the_central()->nspan);
}

TEST_F(transfer, drain_empties_it)
{
	one_cpu();
	get_all(1000);
	put_all(1000);
	cache_drain(heap, &heap->slots);
	ASSERT_EQ(0, the_central()->ntransfer);
	ASSERT_EQ(0, the_central()->nout);
}

/* While the slots are frozen frees go to the spans, misses still find objects. */
TEST_F(transfer, frozen)
{
	u32 n;

	one_cpu();
	get_all(1000);
	put_all(1000);
	get_all(5);
	n = the_central()->ntransfer;
	port_slots_freeze(&heap->slots);
	put_all(5);
	ASSERT_EQ(n, the_central()->ntransfer);
	get_all(5);
	ASSERT_EQ(n - 5, the_central()->ntransfer);
	put_all(5);
	port_slots_thaw(&heap->slots);
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(transfer, no_memory_for_it)
{
	one_cpu();
	get_all(1000);
	/* what there is of metadata shall not do for its array */
	while (fix_alloc(&heap->fix[FIX_TRANSFER], GFP_KERNEL) && !test.ts.nfailed)
		test.ts.fail_all = true;
	put_all(1000);
	ASSERT_EQ(NULL, the_central()->transfer);
	test.ts.fail_all = false;
	ASSERT_EQ(0, heap_verify(heap));
	get_all(1000);
	put_all(1000);
	ASSERT_NE(NULL, the_central()->transfer);
}

TEST_HARNESS_MAIN
