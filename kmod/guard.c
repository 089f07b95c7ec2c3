// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Guarded objects: a page of its own for each, mapped so that the page behind it
 * is not. The object lies at the page's end, where an access past it traps at
 * once. After the free the mapping goes, and an access to the object traps too.
 * The idea of sampling such objects is KFENCE's; a module cannot protect pages
 * of the linear map, but vmap() leaves a hole behind each area.
 *
 *	|  page                      | hole
 *	|  0xbb 0xbb ... | object |bb|
 *
 * A guard is taken by whoever moves its state from EMPTY or GONE to MAKING:
 *
 *	EMPTY -> MAKING -> LIVE -> FREED -> GONE -> MAKING ...
 *
 * Who frees an object or asks for its size owns its guard, which stays LIVE. All others
 * are only looked at, for a map that is the object's or for a list, and may be made
 * anew meanwhile: so what is read of them is written and read whole.
 *
 * The work unmaps, since vunmap() may sleep and a free may not. It waits for a grace
 * period before: kspan_free_rcu() gives what it has no memory to keep note of at once.
 */
#define pr_fmt(fmt) "kspan: " fmt

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <kspan/heap.h>
#include "kmod.h"

#define GUARDS		128
#define GUARD_BYTE	0xbb

enum guard_state { GUARD_EMPTY, GUARD_MAKING, GUARD_LIVE, GUARD_FREED, GUARD_GONE };

/**
 * struct guard - a guarded object
 * @state: enum guard_state
 * @page: its memory
 * @map: where that is mapped
 * @obj: the object
 * @size: bytes asked for
 * @alloc_site: who allocated it
 * @free_site: who freed it
 */
struct guard {
	int state;
	struct page *page;
	void *map;
	void *obj;
	size_t size;
	uintptr_t alloc_site;
	uintptr_t free_site;
};

static struct guard guards[GUARDS];
static atomic_t guard_hand;

static bool guard_move(struct guard *guard, enum guard_state from, enum guard_state to)
{
	return cmpxchg(&guard->state, from, to) == from;
}

static void guards_unmap(struct work_struct *work)
{
	DECLARE_BITMAP(freed, GUARDS);
	unsigned int i;

	bitmap_zero(freed, GUARDS);
	for (i = 0; i < GUARDS; i++)
		if (smp_load_acquire(&guards[i].state) == GUARD_FREED)	/* of port_guard_free() */
			__set_bit(i, freed);
	synchronize_rcu();	/* one that is freed meanwhile queues the work again */
	for_each_set_bit(i, freed, GUARDS) {
		struct guard *guard = &guards[i];

		vunmap(guard->map);
		__free_page(guard->page);
		smp_store_release(&guard->state, GUARD_GONE);	/* for guard_get() */
	}
}

static DECLARE_WORK(guards_work, guards_unmap);

/* An NMI that frees must not touch the work's queue. */
static void guards_freed(struct irq_work *work)
{
	schedule_work(&guards_work);
}

static struct irq_work guards_irq_work = IRQ_WORK_INIT(guards_freed);

/* One that has been free for long, or was never used. */
static struct guard *guard_get(void)
{
	unsigned int i, hand = atomic_inc_return(&guard_hand);

	for (i = 0; i < GUARDS; i++) {
		struct guard *guard = &guards[(hand + i) % GUARDS];

		if (guard_move(guard, GUARD_EMPTY, GUARD_MAKING) ||
		    guard_move(guard, GUARD_GONE, GUARD_MAKING))
			return guard;
	}
	return NULL;
}

/* As near to the end of the page as the alignment of its size class allows. */
static void guard_place(struct guard *guard, size_t size)
{
	size_t class = kspan_good_size(size), align = class & -class;

	WRITE_ONCE(guard->size, size);
	WRITE_ONCE(guard->obj, guard->map +
		   round_down(PAGE_SIZE - size, min_t(size_t, align, PAGE_SIZE)));
	memset(guard->map, GUARD_BYTE, guard->obj - guard->map);
	memset(guard->obj + size, GUARD_BYTE, guard->map + PAGE_SIZE - guard->obj - size);
}

/**
 * port_guard_alloc - a guarded object
 * @size: bytes; more than a page cannot be
 * @gfp: only what is GFP_KERNEL can be: vmap() is, whatever its caller may do
 * @caller: for whom
 *
 * Return: the object; NULL: the heap shall give one.
 */
void *port_guard_alloc(size_t size, gfp_t gfp, uintptr_t caller)
{
	struct guard *guard;

	if (size > PAGE_SIZE || (gfp & GFP_KERNEL) != GFP_KERNEL)
		return NULL;
	guard = guard_get();
	if (!guard)
		return NULL;
	guard->page = alloc_page((gfp & (GFP_KERNEL | __GFP_HIGH)) | __GFP_ZERO | __GFP_NOWARN);
	WRITE_ONCE(guard->map, guard->page ? vmap(&guard->page, 1, VM_MAP, PAGE_KERNEL) : NULL);
	if (!guard->map) {
		if (guard->page)
			__free_page(guard->page);
		smp_store_release(&guard->state, GUARD_EMPTY);	/* for guard_get() */
		return NULL;
	}
	guard_place(guard, size);
	WRITE_ONCE(guard->alloc_site, caller);
	WRITE_ONCE(guard->free_site, 0);
	smp_store_release(&guard->state, GUARD_LIVE);	/* for guard_find() */
	return guard->obj;
}

/* The guard of the page of @ptr, in a state from @least to @most. */
static struct guard *guard_in_state(const void *ptr, int least, int most)
{
	unsigned int i;

	for (i = 0; i < GUARDS; i++) {
		int state = smp_load_acquire(&guards[i].state);	/* of port_guard_alloc() */

		if (state >= least && state <= most &&
		    READ_ONCE(guards[i].map) == (void *)((uintptr_t)ptr & PAGE_MASK))
			return &guards[i];
	}
	return NULL;
}

/* One that is live goes first: addresses are used again, and others are kept for reports. */
static struct guard *guard_find(const void *ptr)
{
	struct guard *guard;

	if (!is_vmalloc_addr(ptr))
		return NULL;
	guard = guard_in_state(ptr, GUARD_LIVE, GUARD_LIVE);
	return guard ? guard : guard_in_state(ptr, GUARD_FREED, GUARD_GONE);
}

/* What lies on the page before and behind the object must be as it was. */
static void guard_check(struct kspan_heap *heap, struct guard *guard, uintptr_t caller)
{
	void *end = guard->obj + guard->size;
	u8 *bad = memchr_inv(guard->map, GUARD_BYTE, guard->obj - guard->map);

	if (!bad)
		bad = memchr_inv(end, GUARD_BYTE, guard->map + PAGE_SIZE - end);
	if (!bad)
		return;
	port_add(&heap->nmisuse[KSPAN_OVERFLOW], 1);
	port_report("write beside an object: %p, %zu bytes asked for, byte %td is 0x%02x, found by %pS, allocated by %pS",
		    guard->obj, guard->size, bad - (u8 *)guard->obj, *bad, (void *)caller,
		    (void *)guard->alloc_site);
}

/**
 * port_guard_free - free an object if it is guarded
 * @heap: that gets the reports
 * @ptr: any pointer that is not on one of the heap's pages
 * @caller: who frees it
 *
 * Context: any.
 * Return: false: it is not one.
 */
bool port_guard_free(struct kspan_heap *heap, void *ptr, uintptr_t caller)
{
	struct guard *guard = guard_find(ptr);

	if (!guard)
		return false;
	if (ptr != READ_ONCE(guard->obj)) {
		heap_misuse(heap, KSPAN_INTERIOR_FREE, ptr, caller);
		return true;
	}
	if (!guard_move(guard, GUARD_LIVE, GUARD_MAKING)) {
		heap_misuse(heap, KSPAN_DOUBLE_FREE, ptr, caller);
		return true;
	}
	guard_check(heap, guard, caller);
	WRITE_ONCE(guard->free_site, caller);
	smp_store_release(&guard->state, GUARD_FREED);	/* for guards_unmap() */
	irq_work_queue(&guards_irq_work);
	return true;
}

/* Bytes of the guarded object at @ptr; 0 when there is none. */
size_t port_guard_size(const void *ptr)
{
	struct guard *guard = guard_find(ptr);

	if (!guard || READ_ONCE(guard->state) != GUARD_LIVE || READ_ONCE(guard->obj) != ptr)
		return 0;
	return READ_ONCE(guard->size);
}

/**
 * kspan_guards_show - list the guarded objects
 * @m: the file
 */
void kspan_guards_show(struct seq_file *m)
{
	static const char *const name[] = { "", "", "live", "freed", "unmapped" };
	unsigned int i;

	for (i = 0; i < GUARDS; i++) {
		const struct guard *guard = &guards[i];
		int state = smp_load_acquire(&guard->state);	/* as guard_find() */
		uintptr_t free_site = READ_ONCE(guard->free_site);

		if (state < GUARD_LIVE)
			continue;
		/* the address itself, as an oops shows it; root alone reads this */
		seq_printf(m, "%016lx %5zu bytes %-8s allocated by %pS",
			   (unsigned long)READ_ONCE(guard->obj), READ_ONCE(guard->size),
			   name[state], (void *)READ_ONCE(guard->alloc_site));
		if (free_site)
			seq_printf(m, ", freed by %pS", (void *)free_site);
		seq_putc(m, '\n');
	}
}

/* The module goes: what is still out stays mapped, and is listed. */
void kspan_guards_stop(void)
{
	unsigned int i;

	irq_work_sync(&guards_irq_work);
	flush_work(&guards_work);
	for (i = 0; i < GUARDS; i++)
		if (guards[i].state == GUARD_LIVE)
			port_report("leak: %p, %zu bytes, guarded, allocated by %pS",
				    guards[i].obj, guards[i].size,
				    (void *)guards[i].alloc_site);
}
