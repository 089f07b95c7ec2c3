/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Sizes, size classes and page classes, and the conversions between them.
 *
 * A size class is one of Go's 68 (0 stands for "large"). A span class is a
 * size class and whether its objects hold pointers: class << 1 | noscan. A
 * page class is what an arena keeps in one byte per page: the span class of
 * the small objects on it, or one of the values that small objects never use.
 */
#ifndef KSPAN_SIZECLASS_H
#define KSPAN_SIZECLASS_H

#include "../../core/sizeclass_table.h"

#define KSPAN_PAGE_SHIFT	13
#define KSPAN_PAGE_SIZE		((size_t)1 << KSPAN_PAGE_SHIFT)
#define KSPAN_ARENA_SHIFT	22
#define KSPAN_ARENA_SIZE	((size_t)1 << KSPAN_ARENA_SHIFT)
#define KSPAN_ARENA_PAGES	(1u << (KSPAN_ARENA_SHIFT - KSPAN_PAGE_SHIFT))

#define KSPAN_NUM_SPAN_CLASSES	(2 * KSPAN_NUM_SIZE_CLASSES)

enum kspan_page_class {
	KSPAN_PC_NONE = 0,	/* no object of ours is on this page */
	KSPAN_PC_LARGE = 1,
	/* 2 .. 135: span classes of small objects */
	KSPAN_PC_TINY = KSPAN_NUM_SPAN_CLASSES,		/* tiny blocks */
	KSPAN_PC_CACHE,					/* an object cache's */
	KSPAN_STACK_TINY,	/* no page class: the stack of tiny blocks */
	KSPAN_NR_STACKS		/* stacks in a slot of a heap */
};

#define KSPAN_TINY_SIZE		16u	/* a tiny block; tiny objects are smaller */

/* Bytes to whole pages, rounded up. */
static inline size_t bytes_to_pages(size_t nbytes)
{
	return (nbytes + KSPAN_PAGE_SIZE - 1) >> KSPAN_PAGE_SHIFT;
}

static inline size_t pages_to_bytes(size_t npages)
{
	return npages << KSPAN_PAGE_SHIFT;
}

/* The page of its arena that @addr lies on. */
static __always_inline u32 addr_to_page(uintptr_t addr)
{
	return (addr >> KSPAN_PAGE_SHIFT) & (KSPAN_ARENA_PAGES - 1);
}

/* @size must be 1 .. KSPAN_MAX_SMALL_SIZE. */
static __always_inline u32 size_to_class(size_t size)
{
	if (likely(size <= KSPAN_SMALL_SIZE_MAX8))
		return kspan_size_to_class8[(size + 7) >> 3];
	return kspan_size_to_class128[(size - KSPAN_SMALL_SIZE_MAX8 + 127) >> 7];
}

static __always_inline u32 span_class(u32 sizeclass, bool noscan)
{
	return sizeclass << 1 | noscan;
}

#endif /* KSPAN_SIZECLASS_H */
