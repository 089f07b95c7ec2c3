// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Large objects: over 32 KiB, a span each, straight from the heap. See alloc.c.
 */
#include <kspan/heap.h>

/* The most that anybody can ask for: differences of pointers must fit. */
#define LARGE_MAX	((size_t)-1 / 2 - KSPAN_ARENA_SIZE)

/**
 * large_alloc - allocate a large object
 * @heap: from this heap
 * @size: bytes, more than KSPAN_MAX_SMALL_SIZE or aligned beyond what small
 *	objects are
 * @align: alignment in bytes, a power of two
 * @nodeid: NUMA node that it had best be on, and must with __GFP_THISNODE
 * @gfp: may it sleep; with __GFP_ZERO the object is zeroed, at no cost where its
 *	memory is known to be zero
 * @noscan: it holds no pointers
 * @caller: for whom
 *
 * Context: no lock held.
 * Return: the object, or NULL.
 */
void *large_alloc(struct kspan_heap *heap, size_t size, size_t align, int nodeid, gfp_t gfp,
		  bool noscan, uintptr_t caller)
{
	size_t npages, align_pages = align > KSPAN_PAGE_SIZE ? align >> KSPAN_PAGE_SHIFT : 1;
	struct kspan_span *span = NULL;

	if (size > LARGE_MAX || align > LARGE_MAX / 4)
		return NULL;
	npages = bytes_to_pages(size);
	if (npages > 0xffffffffu)
		return NULL;
	if (align_pages == 1 && !(gfp & __GFP_ACCOUNT))
		span = warm_take(heap, size, gfp);
	if (!span)
		span = heap_span_alloc(heap, npages, align_pages, 1, KSPAN_PC_LARGE, nodeid, gfp);
	if (!span)
		return NULL;
	span->bytes = size;
	span->noscan = noscan;
	if ((gfp & __GFP_ZERO) && span->needzero)
		port_obj_fill((void *)span->start, 0, size);
	if (heap_checked(heap))
		debug_alloc(heap, (void *)span->start, size, gfp, caller);
	return (void *)span->start;
}

/*
 * Keep a span that nobody owns any more, or give its pages to the page allocator. False:
 * neither can be done with the heap's lock held.
 */
static bool large_let_go(struct kspan_heap *heap, struct kspan_span *span)
{
	bool warm;

	port_assert_held(&heap->lock);
	/* one that was made in a checked heap has a record to be freed */
	if (span->charged || span->records || heap_checked(heap))
		return false;
	warm = warm_put(heap, span);
	if (!warm && span_is_mapped(heap, span))
		return false;
	port_event_span_free(span->start, span->npages, span->pclass, span->nodeid);
	if (!warm)
		heap_span_free_locked(heap, span);
	return true;
}

/**
 * large_free - free a large object
 * @heap: its heap
 * @span: its span
 * @ptr: the object, or not
 * @caller: by whom
 *
 * Of two that free the same object at once, one gets the report.
 */
void large_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr, uintptr_t caller)
{
	bool mine, gone = false;
	unsigned long flags;

	if ((uintptr_t)ptr != span->start) {
		heap_misuse(heap, KSPAN_INTERIOR_FREE, ptr, caller);
		return;
	}
	if (unlikely(span->charged) && !port_may_ask_source()) {
		/* nor may the source be given anything here; whoever observes frees has seen it */
		span->kept = true;
		if (!heap_defer_free(heap, span, 0))
			heap_misuse(heap, KSPAN_DOUBLE_FREE, ptr, caller);
		return;
	}
	flags = port_lock(&heap->lock);
	/* one that was put off already is done by who did that: see nolock.c */
	mine = span->state == SPAN_LARGE && !port_load(&span->npending);
	if (mine) {
		span_set_state(span, SPAN_LIMBO);
		port_list_del(&span->node);
		heap->nlarge_free++;
		heap->large_bytes -= pages_to_bytes(span->npages);
		gone = large_let_go(heap, span);
	}
	port_unlock(&heap->lock, flags);
	if (!mine) {
		heap_misuse(heap, KSPAN_DOUBLE_FREE, ptr, caller);
	} else if (gone) {
		port_kick(heap);
	} else {
		if (heap_checked(heap))
			debug_free_large(heap, span, caller);
		heap_span_free(heap, span);
	}
}

/**
 * large_resize - make a large object longer or shorter without a copy
 * @heap: its heap
 * @span: its span
 * @size: bytes wanted
 *
 * A huge one may have moved: the object is at @span->start then.
 *
 * Return: false when there is no room behind it, when it would become small, or when
 * its pages are charged, which others are not.
 */
bool large_resize(struct kspan_heap *heap, struct kspan_span *span, size_t size)
{
	size_t npages = bytes_to_pages(size);

	if (size > LARGE_MAX || (size <= KSPAN_MAX_SMALL_SIZE && npages < span->npages))
		return false;
	if (npages != span->npages && !heap_span_resize(heap, span, npages))
		return false;
	span->bytes = size;
	return true;
}
