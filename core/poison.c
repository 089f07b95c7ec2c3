// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What a sanitizer of memory accesses is told, in a port that has one: what nobody
 * may use is poisoned, and whoever touches it is reported where he does.
 *
 *	a new span	all of it, when its objects are cut (and constructed)
 *	an object	from its free, after the grace period or the delay if it has
 *			one, to its next allocation
 *	a tiny block	from the free of its last object to its next use: what is smaller
 *			than the sanitizer's granule cannot be poisoned by itself
 *
 * It can be, since kspan never touches a free object, but to fill it and to compare the
 * filling (port_obj_fill(), PORT_UNCHECKED).
 * Objects of a cache with KSPAN_TYPESAFE_BY_RCU are never poisoned: readers may look at
 * them when they are free. Nor are the port's guarded ones, which trap by themselves.
 *
 * This is for the default heap, the public functions'; others are left alone. See alloc.c.
 */
#include <kspan/heap.h>

/* Bytes of the object at @ptr, if one is there that is poisoned while it is free. */
static size_t poison_bytes(const void *ptr)
{
	struct kspan_span *span = pagemap_span(&kspan_heap0, (uintptr_t)ptr);
	struct kspan_central *central;

	if (!span || span->pclass == KSPAN_PC_TINY || !heap_size(&kspan_heap0, ptr))
		return 0;
	if (span->pclass == KSPAN_PC_LARGE)
		return pages_to_bytes(span->npages);
	central = port_load_acquire(&span->central);
	/* NULL: the span is on its way to the heap, and @ptr was no object */
	if (!central || (central->cache && objcache_is_typesafe(central->cache)))
		return 0;
	return span->size;
}

/**
 * poison_alloc - an object is its user's now
 * @ptr: the object, or NULL or ZERO_SIZE_PTR
 *
 * All of it, as kspan_size() tells it.
 *
 * Context: any.
 */
void poison_alloc(const void *ptr)
{
	size_t nbytes = poison_bytes(ptr);

	if (nbytes)
		port_unpoison(ptr, nbytes);
}

/**
 * poison_free - an object is nobody's from now on
 * @ptr: what was freed: no object, perhaps
 *
 * Before anybody else can get it.
 *
 * Context: any.
 */
void poison_free(const void *ptr)
{
	size_t nbytes = poison_bytes(ptr);

	if (nbytes)
		port_poison(ptr, nbytes);
}

/**
 * poison_span - a span is new, and its caller's alone
 * @heap: its heap
 * @span: of small objects or a cache's
 * @all: all its objects are free; else they are about to be constructed, or readers may
 *	look at them whether they are free or not
 *
 * Context: any.
 */
void poison_span(struct kspan_heap *heap, struct kspan_span *span, bool all)
{
	if (heap != &kspan_heap0)
		return;
	if (all)
		port_poison((void *)span->start, pages_to_bytes(span->npages));
	else
		port_unpoison((void *)span->start, pages_to_bytes(span->npages));
}

/* A tiny block, the caller's alone, has its first object, or its last is gone. Any context. */
void poison_tiny(struct kspan_heap *heap, uintptr_t block, bool is_free)
{
	if (heap != &kspan_heap0)
		return;
	if (is_free)
		port_poison((void *)block, KSPAN_TINY_SIZE);
	else
		port_unpoison((void *)block, KSPAN_TINY_SIZE);
}
