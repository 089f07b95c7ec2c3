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
 * batching pointers is the kernel's kvfree_rcu().
 *
 * Where no memory is to be had for a batch the object is marked in its span, which
 * has a bit for each: its free is put off as in nolock.c, to the end of a grace
 * period that begins after it. So kspan_free_rcu() cannot fail, and waits for nothing.
 * There is one such grace period at a time, and a number for each:
 *
 *	rcu_done == rcu_want	none runs; who marks an object starts rcu_done + 1
 *	rcu_done <  rcu_want	rcu_done + 1 runs; an object that is marked now waits for
 *				rcu_done + 2, which starts when that is over
 *
 * A span has the number of its last object, and all of its objects wait for that. Spans
 * of which more is freed so all the time keep theirs for longer than others: until all
 * objects are marked at the longest. See alloc.c.
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

/* The second grace period is over. */
static void batch_free(port_rcu_t *rcu)
{
	struct kspan_rcu_batch *batch = container_of(rcu, struct kspan_rcu_batch, rcu);
	struct kspan_heap *heap = batch->heap;
	u32 i;

	for (i = 0; i < batch->n; i++) {
		port_obj_free(batch->objs[i], 0);
		heap_free(heap, batch->objs[i], 0);
	}
	if (port_poisons())
		poison_free(batch);
	heap_free(heap, batch, 0);
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
	u32 which;

	batch = heap_alloc(heap, BATCH_BYTES, false, GFP_NOWAIT | __GFP_NOWARN, 0);
	if (!batch)
		return false;
	if (port_poisons())
		poison_alloc(batch);
	batch->heap = heap;
	batch->n = 1;
	batch->objs[0] = ptr;
	/* others' objects may be in it before RCU knows of it: see heap_rcu_barrier() */
	which = heap_begin_frees(heap);
	flags = port_lock(&heap->rcu_lock);
	heap->rcu_batch = batch;
	port_unlock(&heap->rcu_lock, flags);
	port_call_rcu(&batch->rcu, batch_close);
	heap_end_frees(heap, which);
	return true;
}

/* The grace period of objects that were marked is over. */
static void marked_over(port_rcu_t *rcu)
{
	struct kspan_heap *heap = container_of(rcu, struct kspan_heap, rcu_gp);
	unsigned long flags = port_lock(&heap->rcu_lock);
	bool more = ++heap->rcu_done != heap->rcu_want;

	port_unlock(&heap->rcu_lock, flags);
	if (more)
		port_call_rcu(&heap->rcu_gp, marked_over);
	heap_catch_up_waiting(heap);
}

/* Mark the object of @span that is its @idx-th; tiny ones by their block. */
static bool mark_locked(struct kspan_heap *heap, struct kspan_span *span, void *ptr, u32 idx)
{
	port_assert_held(&heap->rcu_lock);
	heap->rcu_want = heap->rcu_done + (heap->rcu_want == heap->rcu_done ? 1 : 2);
	span->waits = true;
	span->wait_for = (u32)heap->rcu_want;
	if (span->pclass != KSPAN_PC_TINY)
		return heap_defer_free(heap, span, idx);
	if (!tiny_mark_wait(heap, span, ptr))
		return false;
	heap_defer_free(heap, span, idx);	/* others of its block may have done so */
	return true;
}

/* Free the object by a mark in its span: that needs no memory. */
static void mark_free(struct kspan_heap *heap, void *ptr)
{
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)ptr);
	bool exact, first, done;
	unsigned long flags;
	u32 which;
	int idx;

	if (!span) {
		port_obj_free(ptr, 0);
		heap_free_unknown(heap, ptr, 0);	/* guarded: the port waits itself */
		return;
	}
	if (span->pclass == KSPAN_PC_TINY) {
		idx = span_index(span, (uintptr_t)ptr, &exact);
		port_obj_free(ptr, 0);
	} else {
		idx = heap_defer_index(heap, span, ptr, 0);
	}
	if (idx < 0)
		return;
	which = heap_begin_frees(heap);	/* as in batch_open() */
	flags = port_lock(&heap->rcu_lock);
	first = heap->rcu_want == heap->rcu_done;
	done = mark_locked(heap, span, ptr, idx);
	port_unlock(&heap->rcu_lock, flags);
	if (first)
		port_call_rcu(&heap->rcu_gp, marked_over);
	heap_end_frees(heap, which);
	if (!done && span->pclass == KSPAN_PC_TINY)
		tiny_misuse(heap, span, ptr, 0);
	else if (!done)
		heap_misuse(heap, KSPAN_DOUBLE_FREE, ptr, 0);
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
	port_obj_wait(ptr);
	if (!batch_add(heap, ptr) && !batch_open(heap, ptr))
		mark_free(heap, ptr);
}

/**
 * heap_rcu_barrier - wait until what heap_free_rcu() was given is freed
 * @heap: its heap
 *
 * Context: process; sleeps.
 */
void heap_rcu_barrier(struct kspan_heap *heap)
{
	heap_wait_frees(heap);	/* RCU knows of all that others have begun */
	port_rcu_barrier();	/* all batches are closed */
	port_rcu_barrier();	/* and freed, and no grace period of before runs */
	heap_catch_up_all(heap);	/* others may have had spans of these in hand */
}

/**
 * kspan_free_rcu - free an object when all readers that may see it are done
 * @ptr: the object; NULL is nothing
 *
 * It needs no memory: where there is none for a batch of pointers the object is marked
 * in its span. Nothing is written to the object before its readers are done.
 *
 * Context: any in which kspan_free() may be called, hardirq too, on PREEMPT_RT as
 * well; not in an NMI. Never sleeps, nor waits for readers: it may be called by one.
 */
void kspan_free_rcu(const void *ptr)
{
	heap_free_rcu(&kspan_heap0, (void *)ptr);
}

/**
 * kspan_rcu_barrier - wait until what kspan_free_rcu() was given is freed
 *
 * Where there was no memory for a batch, and others free objects of the same span so all
 * the time, an object may wait on with theirs; its readers are done.
 *
 * Context: process; sleeps.
 */
void kspan_rcu_barrier(void)
{
	heap_rcu_barrier(&kspan_heap0);
}
