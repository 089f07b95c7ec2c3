// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Freeing after a grace period, in batches.
 *
 * Readers may still look at an object that waits, so it cannot hold the link:
 * pointers are collected in a batch, which is an object of the heap itself. A
 * batch starts a grace period when it is opened and takes objects while that
 * runs; then it is closed and waits for a second one, which covers all of
 * them. So no timer is needed to close a batch that never fills, an object
 * waits two grace periods at most, and a batch costs two callbacks. The idea of
 * batching pointers is the kernel's kvfree_rcu(). See alloc.c.
 */
#include <kspan/heap.h>

#define BATCH_BYTES	512

/**
 * struct kspan_rcu_batch - objects that wait for a grace period
 * @rcu: of the grace period that runs
 * @heap: whose objects
 * @n: how many; heap->rcu_lock while the batch is open
 * @objs: the objects
 */
struct kspan_rcu_batch {
	port_rcu_t rcu;
	struct kspan_heap *heap;
	u32 n;
	void *objs[];
};

#define BATCH_OBJS	((BATCH_BYTES - sizeof(struct kspan_rcu_batch)) / sizeof(void *))

/* Memory for a batch: there is always that of one in the heap itself. */
static struct kspan_rcu_batch *batch_get(struct kspan_heap *heap)
{
	struct kspan_rcu_batch *batch;
	unsigned long flags;

	_Static_assert(sizeof(heap->rcu_reserve) == BATCH_BYTES, "the reserve is a batch");

	batch = heap_alloc(heap, BATCH_BYTES, false, GFP_NOWAIT | __GFP_NOWARN, 0);
	if (likely(batch))
		return batch;
	flags = port_lock(&heap->rcu_lock);
	if (!heap->rcu_reserve_used) {
		heap->rcu_reserve_used = true;
		batch = (struct kspan_rcu_batch *)heap->rcu_reserve;
	}
	port_unlock(&heap->rcu_lock, flags);
	return batch;
}

static void batch_put(struct kspan_heap *heap, struct kspan_rcu_batch *batch)
{
	unsigned long flags;

	if (batch != (struct kspan_rcu_batch *)heap->rcu_reserve) {
		heap_free(heap, batch, 0);
		return;
	}
	flags = port_lock(&heap->rcu_lock);
	heap->rcu_reserve_used = false;
	port_unlock(&heap->rcu_lock, flags);
}

/* The second grace period is over. */
static void batch_free(port_rcu_t *rcu)
{
	struct kspan_rcu_batch *batch = container_of(rcu, struct kspan_rcu_batch, rcu);
	u32 i;

	for (i = 0; i < batch->n; i++) {
		port_obj_free(batch->objs[i]);
		heap_free(batch->heap, batch->objs[i], 0);
	}
	batch_put(batch->heap, batch);
}

/* The first grace period is over: close the batch, and wait for what is in it. */
static void batch_close(port_rcu_t *rcu)
{
	struct kspan_rcu_batch *batch = container_of(rcu, struct kspan_rcu_batch, rcu);
	struct kspan_heap *heap = batch->heap;
	unsigned long flags = port_lock(&heap->rcu_lock);

	if (heap->rcu_batch == batch)
		heap->rcu_batch = NULL;
	port_unlock(&heap->rcu_lock, flags);
	port_call_rcu(&batch->rcu, batch_free);
}

/* Put @ptr into the open batch, if there is one with room. */
static bool batch_add(struct kspan_heap *heap, void *ptr)
{
	unsigned long flags = port_lock(&heap->rcu_lock);
	struct kspan_rcu_batch *batch = heap->rcu_batch;
	bool room = batch && batch->n < BATCH_OBJS;

	if (room)
		batch->objs[batch->n++] = ptr;
	port_unlock(&heap->rcu_lock, flags);
	return room;
}

/* Open a new batch with @ptr in it. One that is full stays with its grace period. */
static bool batch_open(struct kspan_heap *heap, void *ptr)
{
	struct kspan_rcu_batch *batch;
	unsigned long flags;

	batch = batch_get(heap);
	if (!batch)
		return false;
	batch->heap = heap;
	batch->n = 1;
	batch->objs[0] = ptr;
	flags = port_lock(&heap->rcu_lock);
	heap->rcu_batch = batch;
	port_unlock(&heap->rcu_lock, flags);
	port_call_rcu(&batch->rcu, batch_close);
	return true;
}

/**
 * heap_free_rcu - free an object of a heap after a grace period
 * @heap: its heap
 * @ptr: the object
 */
void heap_free_rcu(struct kspan_heap *heap, void *ptr)
{
	if (ZERO_OR_NULL_PTR(ptr))
		return;
	if (batch_add(heap, ptr) || batch_open(heap, ptr))
		return;
	port_synchronize_rcu();
	port_obj_free(ptr);
	heap_free(heap, ptr, 0);
}

/**
 * kspan_free_rcu - free an object when all readers that may see it are done
 * @ptr: the object; NULL is nothing
 *
 * Context: any that may allocate with GFP_NOWAIT. When there is no memory for a
 * batch, and the one that the heap keeps in reserve is waiting already, it
 * waits for a grace period; so a caller that must not sleep should not free
 * more than 60 objects so while memory is short.
 */
void kspan_free_rcu(const void *ptr)
{
	heap_free_rcu(&kspan_heap0, (void *)ptr);
}

/**
 * kspan_rcu_barrier - wait until what kspan_free_rcu() was given is freed
 *
 * Context: process; sleeps.
 */
void kspan_rcu_barrier(void)
{
	port_rcu_barrier();	/* all batches are closed */
	port_rcu_barrier();	/* and freed */
}
