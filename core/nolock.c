// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Allocation and free where no lock may be waited for: in an NMI, in a signal
 * handler, in code that may have interrupted the allocator itself.
 *
 * Allocation tries the CPU's stack, then the locks on its way down: one that is
 * taken is a failure. It never asks the source for pages; what it lacked is
 * noted, and brought by whoever catches up. There is room for one note. Of two the one
 * of fewer pages stays, and of two of as many the later: what the source does not have
 * in one piece must not be in the way of what it has. Whose note was lost fails again,
 * and notes again.
 *
 * A free that the CPU's stack does not take is put off. A free object's memory
 * is nobody's to write, so the link cannot be in there: each span has a second
 * bitmap, of the objects whose free was put off, and is on a list of the heap
 * while one of its bits is set. So any number of frees can be put off, without
 * memory for them, and none is lost.
 *
 *	free:		npending += 1, set the bit; whoever made npending
 *			other than 0 puts the span on the list
 *	catching up:	takes the list. Of each span clears the bits, frees the
 *			objects, npending -= as many; unless 0 is left, puts the
 *			span back
 *
 * So a span belongs to its npending's first, then to the list, then to who took
 * the list, until npending is 0. It cannot be freed meanwhile: the object of
 * each that it counts is not. Who is between adding to npending and setting the
 * bit is the reason why npending may be more than the bits; the span goes back on
 * the list then, and the caller of port_defer() who is yet to come sees to it.
 *
 * An object that is freed twice, once at once and once put off, is free in its span
 * while the span is on the list. So a span with frees that were put off is not given
 * back, even when all its objects are free: it is kept until that free is done, which
 * finds and reports that it was the second; who did it lets the span go. What is not caught is who puts off a free
 * of an object whose span goes back at that very moment: that would take a lock.
 *
 * kspan_free_rcu() puts off the free of what it has no memory for a batch of, in the same
 * way: the span has @waits set then, and the number of a grace period. Who
 * takes such a span from the list before that is over puts it, bits and all, on a
 * second list, which rcu.c has looked through whenever a grace period ends. rcu_lock is
 * what decides: under it a bit is set together with the number, and the bits are
 * cleared only if the number is not ahead.
 *
 * A list is only added to or taken as a whole, so a compare-and-swap of its
 * head suffices. See alloc.c.
 */
#include <kspan/heap.h>

#define CALLER()	((uintptr_t)__builtin_return_address(0))

/* Put @span on a list. It is the caller's: see above. */
static void pending_push(struct kspan_span **list, struct kspan_span *span)
{
	struct kspan_span *head;

	do {
		head = port_load(list);
		port_store(&span->pending_next, head);
		/* a full barrier: the link is there before the span is */
	} while (!port_cas(list, head, span));
}

static struct kspan_span *pending_take(struct kspan_span **list)
{
	struct kspan_span *head;

	do {
		head = port_load(list);
	} while (head && !port_cas(list, head, NULL));
	return head;
}

/*
 * Put off the free of an object of @span. False: it was put off before, which
 * makes two. One of two that do it at the same time has counted already, so the
 * count has to be put right by who catches up.
 */
bool heap_defer_free(struct kspan_heap *heap, struct kspan_span *span, u32 idx)
{
	u32 *word = &span_pending(span)[idx / 32], bit = 1u << (idx % 32);
	bool first, twice;

	if (port_load(word) & bit)
		return false;
	first = port_fetch_add32(&span->npending, 1) == 0;
	twice = port_or32(word, bit) & bit;
	if (unlikely(twice))
		port_add(&span->ntwice, 1);
	if (first)
		pending_push(&heap->pending, span);
	port_add(&heap->ndeferred, 1);
	port_defer(heap);
	return !twice;
}

/* An object that was put off is freed. */
static void pending_free(struct kspan_heap *heap, struct kspan_span *span, u32 pclass, void *obj)
{
	if (pclass == KSPAN_PC_TINY) {
		tiny_free_block(heap, span, obj, 0);	/* a block: its objects are gone */
		return;
	}
	if (pclass != KSPAN_PC_LARGE || !span->kept)	/* see large_free() */
		port_obj_free(obj, 0);
	heap_free(heap, obj, 0);
}

/* Whether readers may still look at some of what was put off of @span. */
static bool span_waits(struct kspan_heap *heap, struct kspan_span *span)
{
	port_assert_held(&heap->rcu_lock);
	if (span->waits && (u32)heap->rcu_done - span->wait_for < 1u << 31)
		span->waits = false;
	return span->waits;
}

/* Of tiny blocks whose objects' readers are done, leave in @bits those that are free. */
static u32 pending_tiny(struct kspan_span *span, u32 w, u32 bits)
{
	u32 left, gone = 0;

	for (left = bits; left; left &= left - 1) {
		u32 bit = port_ctz64(left);

		if (!tiny_end_wait(span, 32 * w + bit))
			gone |= 1u << bit;
	}
	return bits & ~gone;
}

/*
 * Take what was put off of @span: in @bits is what is to be freed, @n is how many
 * were put off. False: it waits for readers, and is not the caller's any more.
 */
static bool pending_collect(struct kspan_heap *heap, struct kspan_span *span, u32 *bits, u32 *n)
{
	const u32 nwords = 2 * span_words(span->nobjs);
	unsigned long flags = port_lock(&heap->rcu_lock);
	bool wait = span_waits(heap, span);
	u32 w;

	if (wait)
		pending_push(&heap->waiting, span);
	for (w = 0; w < nwords && !wait; w++) {
		bits[w] = port_andnot32(&span_pending(span)[w], ~0u);
		*n += port_popcount64((u64)bits[w]);
		if (span->pclass == KSPAN_PC_TINY)
			bits[w] = pending_tiny(span, w, bits[w]);
	}
	port_unlock(&heap->rcu_lock, flags);
	return !wait;
}

/* Free what was put off of @span, which is the caller's. */
static void pending_free_span(struct kspan_heap *heap, struct kspan_span *span)
{
	const u32 nwords = 2 * span_words(span->nobjs), pclass = span->pclass;
	u32 bits[KSPAN_MAX_OBJS / 32], w, n = 0;
	const uintptr_t start = span->start;
	const size_t size = span->size;

	if (!pending_collect(heap, span, bits, &n))
		return;
	n += port_andnot32(&span->ntwice, ~0u);
	/* n == 0: the one that counts has not set its bit yet */
	if (!n || (pclass == KSPAN_PC_LARGE && port_fetch_add32(&span->npending, -n) != n))
		pending_push(&heap->pending, span);
	for (w = 0; w < nwords; w++) {
		for (; bits[w]; bits[w] &= bits[w] - 1)
			pending_free(heap, span, pclass,
				     (void *)(start + (32 * w + port_ctz64(bits[w])) * size));
	}
	/* a large one is gone now */
	if (n && pclass != KSPAN_PC_LARGE && !central_let_go(span, n))
		pending_push(&heap->pending, span);
}

/**
 * heap_begin_frees - somebody is about to take freed objects and to put them into spans
 * @heap: of which heap
 *
 * Called before the objects are taken: heap_wait_frees() goes by it.
 *
 * Context: any.
 * Return: for heap_end_frees().
 */
u32 heap_begin_frees(struct kspan_heap *heap)
{
	u32 which = port_load(&heap->freeing);

	port_fetch_add32(&heap->nfreeing[which], 1);
	return which;
}

/* All that was taken is in its spans. */
void heap_end_frees(struct kspan_heap *heap, u32 which)
{
	port_fetch_add32(&heap->nfreeing[which], -1);
}

/**
 * heap_wait_frees - wait for those who have freed objects in their hands
 * @heap: of which heap
 *
 * What was taken from a place which the caller has found empty is in its spans then.
 * Who begins meanwhile is counted elsewhere, so that this ends on a busy heap, too;
 * after SRCU's pair of counters.
 *
 * Context: process; sleeps. Not between heap_begin_frees() and heap_end_frees().
 */
void heap_wait_frees(struct kspan_heap *heap)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		port_store(&heap->freeing, !i);
		/* pairs with heap_end_frees() */
		while (port_load_acquire(&heap->nfreeing[i]))
			port_synchronize_rcu();
	}
}

static void pending_free_list(struct kspan_heap *heap, struct kspan_span **list)
{
	struct kspan_span *span, *next;
	u32 which = heap_begin_frees(heap);

	span = pending_take(list);
	for (; span; span = next) {
		next = port_load(&span->pending_next);
		pending_free_span(heap, span);
	}
	heap_end_frees(heap, which);
}

/*
 * A note of what was lacking; 0 is none.
 *
 *	 31     24 23        14 13          10 9       0
 *	+---------+------------+--------------+---------+
 *	| nothing | node       | log2 (align) | pages   |
 *	+---------+------------+--------------+---------+
 */
#define LACK_ALIGN_SHIFT	10
#define LACK_NODE_SHIFT		14
#define LACK_PAGES_MASK		((1u << LACK_ALIGN_SHIFT) - 1)
#define LACK_ALIGN_MASK		((1u << (LACK_NODE_SHIFT - LACK_ALIGN_SHIFT)) - 1)

_Static_assert(KSPAN_ARENA_PAGES <= LACK_PAGES_MASK, "any span but a huge one can be noted");
_Static_assert(KSPAN_ARENA_PAGES <= 1ull << LACK_ALIGN_MASK, "and any alignment of one");
_Static_assert((u64)KSPAN_MAX_NODES << LACK_NODE_SHIFT <= 1ull << 32, "and any node");

static u32 lack_note(u32 npages, u32 align, u32 nodeid)
{
	return nodeid << LACK_NODE_SHIFT | port_ctz64(align) << LACK_ALIGN_SHIFT | npages;
}

static u32 lack_npages(u32 note)
{
	return note & LACK_PAGES_MASK;
}

static u32 lack_align(u32 note)
{
	return 1u << (note >> LACK_ALIGN_SHIFT & LACK_ALIGN_MASK);
}

static int lack_node(u32 note)
{
	return note >> LACK_NODE_SHIFT;
}

/*
 * Have pages and metadata at hand for the next who may not wait for them. Without
 * __GFP_THISNODE the node grows before others are looked at, and a node that is full is
 * no reason to have none anywhere: a large span may be of any.
 */
static void bring_lacking(struct kspan_heap *heap, u32 note)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	struct kspan_span *span;
	u32 i;

	for (i = FIX_SPAN_WORD; i < FIX_SPAN_BIG; i++)
		fix_free(&heap->fix[i], fix_alloc(&heap->fix[i], gfp));
	span = heap_span_alloc(heap, lack_npages(note), lack_align(note), KSPAN_MAX_OBJS,
			       KSPAN_PC_NONE, lack_node(note), gfp);
	if (!span)
		return;
	span->nobjs = KSPAN_MAX_OBJS;	/* heap_span_free() goes by it */
	heap_span_free(heap, span);
}

/**
 * heap_catch_up_slow - do what had to be put off
 * @heap: whose
 *
 * Context: as kspan_free(); may grow the heap with GFP_NOWAIT.
 */
noinline void heap_catch_up_slow(struct kspan_heap *heap)
{
	u32 note;

	pending_free_list(heap, &heap->pending);
	note = port_load(&heap->lacking);
	/* if it is another one now, whoever made it has called port_defer() */
	if (note && port_cas(&heap->lacking, note, 0))
		bring_lacking(heap, note);
}

/**
 * heap_catch_up_waiting - free what no reader looks at any more
 * @heap: whose grace period is over
 *
 * Context: as heap_catch_up_slow().
 */
void heap_catch_up_waiting(struct kspan_heap *heap)
{
	pending_free_list(heap, &heap->waiting);
	/* spans that nobody has looked at meanwhile */
	heap_catch_up(heap);
}

/**
 * heap_catch_up_all - have every free that was put off be done
 * @heap: whose
 *
 * Also those that somebody else has taken to do them. What is put off meanwhile
 * need not be, nor what waits for readers.
 *
 * Context: process; sleeps. Not from within heap_catch_up().
 */
void heap_catch_up_all(struct kspan_heap *heap)
{
	u32 i;

	/* twice: who had a span in hand may have put it back with what came meanwhile */
	for (i = 0; i < 2; i++) {
		/* pairs with the exchange in pending_take(): who emptied the list has begun */
		if (port_load_acquire(&heap->pending))
			heap_catch_up_slow(heap);
		heap_wait_frees(heap);
	}
}

/**
 * heap_lack - pages, or what belongs to them, were not at hand
 * @heap: which
 * @npages: how many in one piece would have done
 * @align: at a multiple of so many
 * @nodeid: on this NUMA node; there is none of this number: node 0
 *
 * Have somebody bring them who may ask the source. Of two at a time one may be forgotten.
 *
 * Context: any.
 * Return: NULL, which is what the caller's request ends in.
 */
void *heap_lack(struct kspan_heap *heap, u32 npages, u32 align, int nodeid)
{
	u32 have = port_load(&heap->lacking);

	if ((u32)nodeid >= heap->nnodes)
		nodeid = 0;
	if (!have || npages <= lack_npages(have))
		port_store(&heap->lacking, lack_note(npages, align, nodeid));
	port_defer(heap);
	return NULL;
}

/* A new span of the pages at hand, for a central whose lock is held. */
static bool central_grow_nolock(struct kspan_central *central)
{
	struct kspan_heap *heap = central->heap;
	struct kspan_span *span;

	/* a span of these needs more than pages */
	if (central->cache && objcache_has_ctor(central->cache))
		return false;
	span = heap_span_alloc_nolock(heap, central->npages, central->align, central->nobjs,
				      central->pclass, central->nodeid);
	if (!span)
		return heap_lack(heap, central->npages, central->align, central->nodeid);
	span_init(span, central);
	port_list_add(&span->node, &central->partial);
	central->nspan++;
	return true;
}

/**
 * central_take_nolock - an object from the spans, or of a new one
 * @central: of its class; not that of tiny blocks
 *
 * Context: any; no lock is waited for.
 * Return: the object or NULL.
 */
void *central_take_nolock(struct kspan_central *central)
{
	unsigned long flags;
	void *obj = NULL;

	if (!port_trylock(&central->lock, &flags))
		return NULL;
	if (central_take_locked(central, &obj, 1) ||
	    (central_grow_nolock(central) && central_take_locked(central, &obj, 1)))
		port_add(&central->ndirect, 1);
	port_unlock(&central->lock, flags);
	return obj;
}

static void *large_alloc_nolock(struct kspan_heap *heap, size_t size)
{
	struct kspan_span *span;
	size_t npages;

	if (size > KSPAN_ARENA_SIZE)
		return NULL;
	npages = bytes_to_pages(size);
	span = heap_span_alloc_nolock(heap, npages, 1, 1, KSPAN_PC_LARGE, -1);
	if (!span)
		return heap_lack(heap, npages, 1, port_node());
	span->bytes = size;
	return (void *)span->start;
}

/**
 * heap_alloc_nolock - allocate without waiting for anything
 * @heap: from this heap
 * @size: any
 * @gfp: of it only __GFP_ZERO counts
 * @caller: for whom
 *
 * Context: any.
 * Return: as heap_alloc_slow(); NULL also when a lock is taken.
 */
void *heap_alloc_nolock(struct kspan_heap *heap, size_t size, gfp_t gfp, uintptr_t caller)
{
	void *obj;

	if (!port_load_acquire(&heap->ready))
		return heap_fail(heap, ENOMEM);
	if (!size)
		return ZERO_SIZE_PTR;
	if (size > KSPAN_MAX_SMALL_SIZE) {
		obj = large_alloc_nolock(heap, size);
	} else {
		u32 stack = span_class(size_to_class(size), false);

		obj = port_slot_pop_fast(&heap->slots, stack);
		if (!obj)
			obj = central_take_nolock(heap_central(heap, stack, port_node()));
	}
	if (!obj)
		return heap_fail(heap, ENOMEM);
	if (heap_checked(heap))
		debug_note(heap, obj, size, caller);
	if (gfp & __GFP_ZERO)
		port_obj_fill(obj, 0, size);
	port_obj_alloc_nolock(obj, size, gfp, caller);
	return obj;
}

/* Who wants to see each free of a tiny object sees it now, or it cannot be. */
static void tiny_free_nolock(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
			     uintptr_t caller)
{
	bool exact;
	void *block;

	if (!port_obj_free_now(ptr, caller))
		return;
	block = tiny_mark_free(heap, span, ptr, caller);
	if (block && !port_slot_push_fast(&heap->slots, KSPAN_STACK_TINY, block))
		heap_defer_free(heap, span, span_index(span, (uintptr_t)block, &exact));
}

static bool free_hit_nolock(struct kspan_heap *heap, struct kspan_span *span, void *ptr)
{
	if (port_frees_are_seen())
		return false;
	if (span->pclass == KSPAN_PC_CACHE)
		return objcache_push(span, ptr);
	return heap_free_hit(heap, ptr);
}

/*
 * Whether the object is free in its span, or the large one not a caller's. Those in
 * the CPUs' caches are found out when the free that was put off is done.
 */
static bool is_free_now(struct kspan_span *span, u32 idx)
{
	if (span->pclass == KSPAN_PC_LARGE)
		return port_load(&span->state) != SPAN_LARGE;
	return port_load(&span->free[idx / 64]) >> (idx % 64) & 1;
}

/**
 * heap_defer_index - which object of a span to put off
 * @heap: the object's
 * @span: its span, not of tiny objects
 * @ptr: any pointer into it
 * @caller: who frees
 *
 * Context: any.
 * Return: its number in the span; -1 after a report: none that could be freed is there.
 */
int heap_defer_index(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		     uintptr_t caller)
{
	bool exact = true;
	u32 idx = 0;

	if (span->pclass == KSPAN_PC_LARGE)
		exact = (uintptr_t)ptr == span->start;
	else
		idx = span_index(span, (uintptr_t)ptr, &exact);
	if (exact && idx < span->nobjs && !is_free_now(span, idx))
		return idx;
	heap_misuse(heap, exact && idx < span->nobjs ? KSPAN_DOUBLE_FREE : KSPAN_INTERIOR_FREE,
		    ptr, caller);
	return -1;
}

/**
 * heap_free_nolock - free without waiting for anything
 * @heap: the object's
 * @ptr: any pointer
 * @caller: by whom
 *
 * Context: any.
 */
void heap_free_nolock(struct kspan_heap *heap, void *ptr, uintptr_t caller)
{
	struct kspan_span *span;
	int idx;

	if (ZERO_OR_NULL_PTR(ptr))
		return;
	span = pagemap_span(heap, (uintptr_t)ptr);
	if (!span) {
		/* a guarded one's free, too, is seen now or cannot be */
		if (!port_guard_size(ptr) || port_obj_free_now(ptr, caller))
			heap_free_unknown(heap, ptr, caller);
		return;
	}
	if (span->pclass == KSPAN_PC_TINY) {
		tiny_free_nolock(heap, span, ptr, caller);
		return;
	}
	if (free_hit_nolock(heap, span, ptr))
		return;
	idx = heap_defer_index(heap, span, ptr, caller);
	if (idx >= 0 && !heap_defer_free(heap, span, idx))
		heap_misuse(heap, KSPAN_DOUBLE_FREE, ptr, caller);
}

/* The public API. */

/**
 * kspan_alloc_nolock - allocate in any context
 * @size: bytes; 0 gives ZERO_SIZE_PTR
 * @flags: of them only __GFP_ZERO counts
 *
 * Never sleeps, waits for a lock, or asks the system for pages: so it fails
 * where kspan_alloc() would not, and the caller must be able to go on without
 * the object. What was lacking is brought soon afterwards, to the CPU's NUMA node if that
 * has memory: in a kernel by an interrupt, in a program by the next call of another
 * function that finds its CPU's cache empty. Of several calls that fail before that, what
 * one of them lacked is. Leak detectors are not told of the object. The idea is that of
 * SLUB's kmalloc_nolock().
 *
 * Context: any: NMI and hardirq, on PREEMPT_RT too; a signal handler, whatever it
 * interrupted. May set errno.
 * Return: the object, aligned as kspan_alloc()'s, or NULL.
 */
void *kspan_alloc_nolock(size_t size, gfp_t flags)
{
	return heap_alloc_nolock(&kspan_heap0, size, flags, CALLER());
}

/**
 * kspan_zalloc_nolock - allocate zeroed memory in any context
 * @size: bytes
 * @flags: none counts
 *
 * Context: as kspan_alloc_nolock().
 * Return: as kspan_alloc_nolock().
 */
void *kspan_zalloc_nolock(size_t size, gfp_t flags)
{
	return heap_alloc_nolock(&kspan_heap0, size, flags | __GFP_ZERO, CALLER());
}

/**
 * kspan_free_nolock - free in any context
 * @ptr: an object of any of the allocating functions, object caches' among them;
 *	NULL and ZERO_SIZE_PTR are nothing
 *
 * When the CPU's cache has no room the free is put off, until the heap is next
 * called by somebody who may lock: in a kernel that is an interrupt soon
 * afterwards. In a kernel with kmemleak an NMI cannot free what
 * kspan_alloc_noscan() of under 16 bytes gave, nor a guarded object: it is lost, and
 * kmemleak says so.
 *
 * Context: any: as kspan_alloc_nolock().
 */
void kspan_free_nolock(const void *ptr)
{
	if (port_poisons())
		poison_free(ptr);
	heap_free_nolock(&kspan_heap0, (void *)ptr, CALLER());
}
