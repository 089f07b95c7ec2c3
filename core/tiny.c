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
 *	31           17  16    15   14            0
 *	+--------------+------+------+--------------+
 *	| ends 15 .. 1 | hold | wait | live 14 .. 0 |
 *	+--------------+------+------+--------------+
 *
 * live i: an object begins at offset i and has not been freed. end i: an
 * object ended at i, or the next began there, so that the size of each is known, and
 * where one was. hold: the rest of the
 * block is on a stack or in a caller's hands. wait: readers may still look at an
 * object that is freed, see rcu.c; to have room for this bit no object begins at
 * offset 15. Whoever clears the last of the
 * live, wait and hold bits frees the block; since they are cleared atomically, that
 * is exactly one. See alloc.c.
 */
#include <kspan/heap.h>

#define TINY_LIVE	0x7fffu
#define TINY_WAIT	(1u << 15)
#define TINY_HOLD	(1u << 16)
#define TINY_USED	(TINY_LIVE | TINY_WAIT | TINY_HOLD)
#define TINY_END(off)	(1u << (16 + (off)))	/* off 1 .. 15 */
#define TINY_OFF	((uintptr_t)KSPAN_TINY_SIZE - 1)

/* The rest of a block that begins here is nobody's. */
#define TINY_LAST	15u

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

/* The last object of a block that is the caller's is gone. */
static inline void tiny_hide(struct kspan_heap *heap, uintptr_t block)
{
	if (port_poisons())
		poison_tiny(heap, block, true);
}

/* Give up the rest of a block. True: no object is left, the block is free. */
static bool tiny_drop_hold(struct kspan_heap *heap, uintptr_t block)
{
	u32 *marks = tiny_marks(pagemap_span(heap, block), block);

	if (port_andnot32(marks, TINY_HOLD) & (TINY_USED ^ TINY_HOLD))
		return false;
	port_store(marks, 0);
	tiny_hide(heap, block);
	return true;
}

/* A block without objects goes back on the stack, or to its span. */
void tiny_free_block(struct kspan_heap *heap, struct kspan_span *span, void *block,
		     uintptr_t caller)
{
	if (!port_slot_push(&heap->slots, KSPAN_STACK_TINY, block))
		cache_flush(&heap->slots, span->central, block, caller);
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
	struct kspan_central *central = heap_want_central(heap, KSPAN_STACK_TINY,
							  port_node(), gfp);

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
	if (port_poisons() && !off)
		poison_tiny(heap, block, false);
	span = pagemap_span(heap, block);
	marks = tiny_marks(span, block);
	end = off + size;
	set = 1u << off;
	if (off)
		set |= TINY_END(off);
	if (end < KSPAN_TINY_SIZE)
		set |= TINY_END(end);
	if (end < TINY_LAST)
		set |= TINY_HOLD;
	port_or32(marks, set);
	if (end >= TINY_LAST) {
		port_andnot32(marks, TINY_HOLD);
	} else {
		void *rest = (void *)(block + end);

		if (!port_slot_push(&heap->slots, KSPAN_STACK_TINY, rest))
			tiny_retire(heap, &rest, 1);	/* our object keeps the block */
	}
	tiny_count(heap, false);
	return (void *)(block + off);
}

/* The mark of the object at @addr, 0 where none can be. */
static u32 tiny_live_bit(uintptr_t addr)
{
	return 1u << (addr & TINY_OFF) & TINY_LIVE;
}

/* Report the free of what is no tiny object, or is none any more. */
void tiny_misuse(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		 uintptr_t caller)
{
	u32 off = (uintptr_t)ptr & TINY_OFF;
	bool began = !off || port_load(tiny_marks(span, (uintptr_t)ptr)) & TINY_END(off);

	heap_misuse(heap, began ? KSPAN_DOUBLE_FREE : KSPAN_INTERIOR_FREE, ptr, caller);
}

/**
 * tiny_mark_free - free a tiny object in its block's marks
 * @heap: its heap
 * @span: its span
 * @ptr: the object, or not
 * @caller: by whom
 *
 * Context: any.
 * Return: the block when nothing is left in it: it is the caller's to free.
 */
void *tiny_mark_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		     uintptr_t caller)
{
	uintptr_t addr = (uintptr_t)ptr;
	u32 bit = tiny_live_bit(addr), old;

	old = port_andnot32(tiny_marks(span, addr), bit);
	if (!(old & bit)) {
		tiny_misuse(heap, span, ptr, caller);
		return NULL;
	}
	tiny_count(heap, true);
	if (old & (TINY_USED ^ bit))
		return NULL;
	port_store(tiny_marks(span, addr), 0);
	tiny_hide(heap, addr & ~TINY_OFF);
	return (void *)(addr & ~TINY_OFF);
}

/**
 * tiny_mark_wait - free a tiny object whose readers may not be done
 * @heap: its heap
 * @span: its span
 * @ptr: the object, or not
 *
 * Its block stays in use until tiny_end_wait().
 *
 * Context: rcu_lock held.
 * Return: false: it was none, and nothing changed.
 */
bool tiny_mark_wait(struct kspan_heap *heap, struct kspan_span *span, void *ptr)
{
	u32 bit = tiny_live_bit((uintptr_t)ptr), old;
	u32 *marks = tiny_marks(span, (uintptr_t)ptr);

	port_assert_held(&heap->rcu_lock);
	do {
		old = port_load(marks);
		if (!(old & bit))
			return false;
	} while (!port_cas(marks, old, (old & ~bit) | TINY_WAIT));
	tiny_count(heap, true);
	return true;
}

/**
 * tiny_end_wait - the readers of what was freed in a block are done
 * @span: its span
 * @idx: the block's number there
 *
 * Context: the lock of tiny_mark_wait() held.
 * Return: the block is free, and the caller's; also when nothing waited in it.
 */
bool tiny_end_wait(struct kspan_span *span, u32 idx)
{
	u32 old = port_andnot32(&span->marks[idx], TINY_WAIT);

	if (old & (TINY_USED ^ TINY_WAIT))
		return false;
	port_store(&span->marks[idx], 0);
	tiny_hide(span->central->heap, (uintptr_t)span_object(span, idx));
	return true;
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
	void *block = tiny_mark_free(heap, span, ptr, caller);

	if (block)
		tiny_free_block(heap, span, block, caller);
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
	return port_load(tiny_marks(span, addr)) & tiny_live_bit(addr);
}
