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
 * @node: NUMA node, or -1
 * @gfp: may it sleep; with __GFP_ZERO the object is zeroed, at no cost where its
 *	memory is known to be zero
 * @noscan: it holds no pointers
 * @caller: for whom
 *
 * Context: no lock held.
 * Return: the object, or NULL.
 */
void *large_alloc(struct kspan_heap *heap, size_t size, size_t align, int node, gfp_t gfp,
		  bool noscan, uintptr_t caller)
{
	size_t npages, align_pages = align > KSPAN_PAGE_SIZE ? align >> KSPAN_PAGE_SHIFT : 1;
	struct kspan_span *span;

	if (size > LARGE_MAX || align > LARGE_MAX / 4)
		return NULL;
	npages = bytes_to_pages(size);
	if (npages > 0xffffffffu)
		return NULL;
	span = heap_span_alloc(heap, npages, align_pages, 1, KSPAN_PC_LARGE, node, gfp);
	if (!span)
		return NULL;
	span->bytes = size;
	span->noscan = noscan;
	span->site = heap->checked ? caller : 0;
	if ((gfp & __GFP_ZERO) && span->needzero)
		port_memset((void *)span->start, 0, size);
	return (void *)span->start;
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
	unsigned long flags;
	bool mine;

	if ((uintptr_t)ptr != span->start) {
		heap_misuse(heap, KSPAN_INTERIOR_FREE, ptr, caller);
		return;
	}
	flags = port_lock(&heap->lock);
	mine = span->state == SPAN_LARGE;
	if (mine) {
		span_set_state(span, SPAN_LIMBO);
		port_list_del(&span->node);
		heap->nlarge_free++;
		heap->large_bytes -= pages_to_bytes(span->npages);
	}
	port_unlock(&heap->lock, flags);
	if (mine)
		heap_span_free(heap, span);
	else
		heap_misuse(heap, KSPAN_DOUBLE_FREE, ptr, caller);
}

/**
 * large_resize - make a large object longer or shorter without a copy
 * @heap: its heap
 * @span: its span
 * @size: bytes wanted
 *
 * A huge one may have moved: the object is at @span->start then.
 *
 * Return: false when there is no room behind it, or when it would become small.
 */
bool large_resize(struct kspan_heap *heap, struct kspan_span *span, size_t size)
{
	size_t npages;

	if (size <= KSPAN_MAX_SMALL_SIZE || size > LARGE_MAX)
		return false;
	npages = bytes_to_pages(size);
	if (npages != span->npages && !heap_span_resize(heap, span, npages))
		return false;
	span->bytes = size;
	return true;
}
