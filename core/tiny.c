// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The tiny allocator: several noscan objects of under 16 bytes in one block of
 * 16, aligned by Go's rule (mallocgc: 8, 4, 2 or 1 by size).
 *
 * A block in use is cut from its low end. On a CPU's stack of tiny blocks an
 * entry is a block's address with the offset of its unused rest in the low four
 * bits; 0 is a block without an object. So the rest of a block is taken and
 * put back with the same pop and push as any object, and belongs to the caller
 * alone in between. Out of band, each block has a word of marks:
 *
 *	31           17  16   15            0
 *	+--------------+------+--------------+
 *	| ends 15 .. 1 | hold | live 15 .. 0 |
 *	+--------------+------+--------------+
 *
 * live i: an object begins at offset i and has not been freed. end i: an
 * object ended at i, so that the size of each is known. hold: the rest of the
 * block is on a stack or in a caller's hands. Whoever clears the last of the
 * live and hold bits frees the block; since they are cleared atomically, that
 * is exactly one. See alloc.c.
 */
#include <kspan/heap.h>

#define TINY_LIVE	0xffffu
#define TINY_HOLD	(1u << 16)
#define TINY_END(off)	(1u << (16 + (off)))	/* off 1 .. 15 */
#define TINY_OFF	((uintptr_t)KSPAN_TINY_SIZE - 1)

static u32 *tiny_marks(struct kspan_span *span, uintptr_t addr)
{
	return &span->marks[(addr - span->start) / KSPAN_TINY_SIZE];
}

/* A count of this CPU, or of the heap while the slots are closed. */
static void tiny_count(struct kspan_heap *heap, bool is_free)
{
	struct kspan_slot *slot = port_slot_this(&heap->slots);

	if (slot->closed)
		port_add(is_free ? &heap->ntiny_free : &heap->ntiny_malloc, 1);
	else
		port_add(is_free ? &slot->ntiny_free : &slot->ntiny_malloc, 1);
}

static u32 tiny_align(size_t size)
{
	if (!(size & 7))
		return 8;
	if (!(size & 3))
		return 4;
	return size & 1 ? 1 : 2;
}

/* Give up the rest of a block. True: no object is left, the block is free. */
static bool tiny_drop_hold(struct kspan_heap *heap, uintptr_t block)
{
	u32 *marks = tiny_marks(pagemap_span(heap, block), block);

	if (port_andnot32(marks, TINY_HOLD) & TINY_LIVE)
		return false;
	port_store(marks, 0);
	return true;
}

/* A block without objects goes back on the stack, or to its span. */
static void tiny_free_block(struct kspan_heap *heap, struct kspan_span *span,
			    uintptr_t block, uintptr_t caller)
{
	if (!port_slot_push(&heap->slots, KSPAN_STACK_TINY, (void *)block))
		cache_flush(&heap->slots, span->central, (void *)block, caller);
}

/**
 * tiny_retire - what leaves the stack of tiny blocks
 * @heap: theirs
 * @words: stack entries; on return the addresses of those that are free blocks
 * @n: how many
 *
 * Return: how many free blocks there are.
 */
u32 tiny_retire(struct kspan_heap *heap, void **words, u32 n)
{
	u32 i, nfree = 0;

	for (i = 0; i < n; i++) {
		uintptr_t word = (uintptr_t)words[i];
		uintptr_t block = word & ~TINY_OFF;

		if (!(word & TINY_OFF) || tiny_drop_hold(heap, block))
			words[nfree++] = (void *)block;
	}
	return nfree;
}

/* A block with room for @size bytes at @align: the caller's alone. */
static uintptr_t tiny_get_block(struct kspan_heap *heap, size_t size, u32 align, u32 *off,
				gfp_t gfp, uintptr_t caller)
{
	struct kspan_central *central = heap_central(heap, KSPAN_STACK_TINY, port_node());

	for (;;) {
		uintptr_t block, word;

		word = (uintptr_t)port_slot_pop(&heap->slots, KSPAN_STACK_TINY);
		if (!word)
			word = (uintptr_t)cache_refill(&heap->slots, central, gfp, caller);
		if (!word)
			return 0;
		block = word & ~TINY_OFF;
		*off = ((word & TINY_OFF) + align - 1) & ~(align - 1);
		if (*off + size <= KSPAN_TINY_SIZE)
			return block;
		if (tiny_drop_hold(heap, block)) {
			*off = 0;
			return block;
		}
	}
}

/**
 * tiny_alloc - allocate a tiny object
 * @heap: from this heap
 * @size: 1 .. 15 bytes, of noscan data
 * @gfp: may it sleep
 * @caller: for whom
 *
 * Context: no lock held.
 * Return: the object or NULL.
 */
void *tiny_alloc(struct kspan_heap *heap, size_t size, gfp_t gfp, uintptr_t caller)
{
	u32 off, end, set, *marks;
	struct kspan_span *span;
	uintptr_t block;

	block = tiny_get_block(heap, size, tiny_align(size), &off, gfp, caller);
	if (!block)
		return NULL;
	span = pagemap_span(heap, block);
	marks = tiny_marks(span, block);
	end = off + size;
	set = 1u << off;
	if (end < KSPAN_TINY_SIZE)
		set |= TINY_END(end) | TINY_HOLD;
	port_or32(marks, set);
	if (end == KSPAN_TINY_SIZE) {
		port_andnot32(marks, TINY_HOLD);
	} else {
		void *rest = (void *)(block + end);

		if (!port_slot_push(&heap->slots, KSPAN_STACK_TINY, rest))
			tiny_retire(heap, &rest, 1);	/* our object keeps the block */
	}
	tiny_count(heap, false);
	return (void *)(block + off);
}

/**
 * tiny_free - free a tiny object
 * @heap: its heap
 * @span: its span
 * @ptr: the object, or not
 * @caller: by whom
 */
void tiny_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr, uintptr_t caller)
{
	uintptr_t addr = (uintptr_t)ptr, block = addr & ~TINY_OFF;
	u32 off = addr & TINY_OFF, bit = 1u << off, old;

	old = port_andnot32(tiny_marks(span, addr), bit);
	if (!(old & bit)) {
		bool began = !off || old & TINY_END(off);

		heap_misuse(heap, began ? KSPAN_DOUBLE_FREE : KSPAN_INTERIOR_FREE, ptr,
			    caller);
		return;
	}
	tiny_count(heap, true);
	if (!(old & (TINY_LIVE ^ bit)) && !(old & TINY_HOLD)) {
		port_store(tiny_marks(span, addr), 0);
		tiny_free_block(heap, span, block, caller);
	}
}

/* Bytes from @addr, where a tiny object begins, to its end. */
size_t tiny_size(struct kspan_span *span, uintptr_t addr)
{
	u32 off = addr & TINY_OFF;
	u32 ends = port_load(tiny_marks(span, addr)) >> 17 >> off;

	return ends ? port_ctz64(ends) + 1 : KSPAN_TINY_SIZE - off;
}

bool tiny_is_live(struct kspan_span *span, uintptr_t addr)
{
	return port_load(tiny_marks(span, addr)) >> (addr & TINY_OFF) & 1;
}
