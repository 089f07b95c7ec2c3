/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Spans, arenas, central lists and the map from addresses to them.
 * See core/alloc.c for how they work together.
 */
#ifndef KSPAN_SPAN_H
#define KSPAN_SPAN_H

#include <kspan/port.h>
#include <kspan/sizeclass.h>

#define KSPAN_ARENA_WORDS	(KSPAN_ARENA_PAGES / 64)
#define KSPAN_MAX_OBJS		1024		/* objects of 8 bytes in a page */

/*
 * Where a span is. span_set_state() alone changes it.
 *
 *   state     owner                  legal next
 *   FREE      nobody: metadata only  PARTIAL, FULL, LARGE
 *   PARTIAL   central's partial list FULL, LIMBO, FREE
 *   FULL      central's full list    PARTIAL
 *   LARGE     the caller             LIMBO
 *   LIMBO     whoever is giving it back (an object cache with
 *             KSPAN_TYPESAFE_BY_RCU: for a grace period); a large
 *             span that is warm                                     FREE, LARGE
 */
enum kspan_span_state {
	SPAN_FREE,
	SPAN_PARTIAL,
	SPAN_FULL,
	SPAN_LARGE,
	SPAN_LIMBO,
};

/**
 * struct kspan_span - a run of pages that holds objects of one size
 * @node: on its central's partial or full list, or the heap's list of large
 *	spans; the lock of that list
 * @start: address of the first page; fixed while the span is in use
 * @central: the list it belongs to, NULL for a large span; changes only where
 *	@state does
 * @magic: ceil(2^32 / @size), to divide an offset by the object size
 * @size: bytes per object; of a large span 0
 * @npages: length in pages
 * @nobjs: objects in the span; 1 for a large one
 * @nfree: set bits of @free; central's lock
 * @state: enum kspan_span_state; central's lock, of a large span the heap's
 * @pclass: page class of its pages
 * @needzero: some of its memory may not be zero; fixed at allocation
 * @noscan: its objects hold no pointers
 * @active: objects came or went since the scavenger last looked; central's lock, of a
 *	large span the heap's
 * @trimmed: the system has the memory of its free pages, and no object was taken
 *	since; central's lock
 * @kept: all its objects are free and it is on the partial list all the same: one of
 *	them was freed twice, and that is yet to be found; central's lock. Of a large
 *	span: its free was put off when it had been observed; whoever frees it
 * @nodeid: NUMA node of its memory, as its arena's
 * @marks: tiny spans: one word per block, see tiny.c
 * @bytes: large spans: bytes asked for
 * @next_warm: large spans that are warm: the next of their length; the heap's lock
 * @records: what a checked heap knows of each object, or NULL; set under the
 *	central's lock, of a large span the heap's
 * @charged: its pages are charged to whoever asked for them: they come from the
 *	source for this span, and go back to it; fixed while the span is in use
 * @spare: on its central's list of that name
 * @npending: objects whose free was put off, or is being; atomic. Who makes it
 *	other than 0 puts the span on the heap's list, see nolock.c
 * @ntwice: how many of @npending were free already; atomic
 * @waits: among them are some whose readers may not be done; the heap's rcu_lock
 * @wait_for: the grace period that is for all of them: compared with the heap's
 *	rcu_done, whose lower half it is; the same lock
 * @pending_next: next on that list; whose it is, says nolock.c
 * @free: a bit per object, 1 = free here; central's lock. As many bits follow,
 *	1 = its free was put off; these are atomic
 *
 * Invariants: @nfree == popcount(@free); @state == FULL iff @nfree == 0 for a
 * span on a central list. A free object's memory is never read or written.
 */
struct kspan_span {
	port_list_t node;
	uintptr_t start;
	struct kspan_central *central;
	u32 magic;
	u32 size;
	u32 npages;
	u16 nobjs;
	u16 nfree;
	u8 state;
	u8 pclass;
	u8 needzero;
	u8 noscan;
	u8 active;
	u8 trimmed;
	u16 nodeid;
	union {
		u32 *marks;
		size_t bytes;
		struct kspan_span *next_warm;
	};
	struct kspan_record *records;
	bool charged;
	u8 kept;
	bool waits;
	u8 spare;
	u32 npending;
	u32 ntwice;
	u32 wait_for;
	struct kspan_span *pending_next;
	u64 free[];
};

/* There are many: 112 bytes with the bits of 64 objects. */
_Static_assert(sizeof(struct kspan_span) <= 96, "no padding");

static inline u32 span_words(u32 nobjs)
{
	return (nobjs + 63) / 64;
}

/* Which objects' free was put off: a bit each. */
static inline u32 *span_pending(struct kspan_span *span)
{
	return (u32 *)&span->free[span_words(span->nobjs)];
}

/*
 * The object of @span that @addr points into; *@exact tells whether it points
 * to its first byte. May be >= nobjs: the tail of a span belongs to no object.
 */
static inline u32 span_index(const struct kspan_span *span, uintptr_t addr, bool *exact)
{
	u32 off = addr - span->start;
	u32 idx = ((u64)off * span->magic) >> 32;

	*exact = idx * span->size == off;
	return idx;
}

static inline void *span_object(const struct kspan_span *span, u32 idx)
{
	return (void *)(span->start + (uintptr_t)idx * span->size);
}

/**
 * struct kspan_arena - what the heap knows of one aligned 4 MiB of addresses
 * @pclass: page class of each page. First, so that free() finds it with one
 *	addition. Written under the heap's lock while the page belongs to no
 *	object; read without it by whoever holds an object of the page.
 * @span: span of each page in use, NULL otherwise; as @pclass
 * @free: pages in the page allocator's hands; the heap's lock, as all below
 * @dirty: free pages that may not read as zero
 * @released: free pages whose memory the system has back
 * @idle: free pages that were free at the last scavenger epoch already
 * @base: address of the first page
 * @index: place in its node's array of arenas when it was last looked for
 * @nodeid: NUMA node of the memory that came first. Where nodes meet inside 4 MiB the
 *	rest of them counts as that node's too.
 * @huge: belongs to a single large span that has the mapping for itself
 * @unfit_pages, @unfit_align: a run so long at such a multiple was looked for in vain
 *	since pages were last freed here; @unfit_pages 0: nothing is known
 *
 * A page belongs to one span (span[i] != NULL), to the page allocator (its
 * free bit), or is not the heap's at all. In the kernel an arena is filled in
 * pieces and most pages of a small heap's arenas are of the third kind.
 */
struct kspan_arena {
	u8 pclass[KSPAN_ARENA_PAGES];
	struct kspan_span *span[KSPAN_ARENA_PAGES];
	u64 free[KSPAN_ARENA_WORDS];
	u64 dirty[KSPAN_ARENA_WORDS];
	u64 released[KSPAN_ARENA_WORDS];
	u64 idle[KSPAN_ARENA_WORDS];
	uintptr_t base;
	u32 index;
	u16 nodeid;
	bool huge;
	u16 unfit_pages;
	u16 unfit_align;
};

/**
 * struct kspan_regions - the table from addresses to arenas
 * @lo: region number (address >> 22) of off[0]
 * @n: entries
 * @bytes: size of this table in memory
 * @old: the table this one replaced: kept for readers that still hold it
 * @off: by region number - @lo: where the arena's structure is, counted from
 *	kspan_no_arena. So a region without an arena is a zero, needs no memory
 *	as long as nobody wrote there, and a lookup needs no test.
 *
 * Replaced as a whole when the heap grows past its ends. A reader takes no
 * lock: tables and arenas are never freed before their heap. The sizes at
 * least double, so that all old tables together are smaller than the new one.
 */
struct kspan_regions {
	uintptr_t lo;
	uintptr_t n;
	size_t bytes;
	struct kspan_regions *old;
	ptrdiff_t off[];
};

/* All zero: every page of it is KSPAN_PC_NONE and has no span. Never written. */
extern struct kspan_arena kspan_no_arena;

/*
 * The arena of region @lo + @i; @i must be below @n. A plain load: the entry was
 * written before the first object of its region existed, so whoever has an
 * object is ordered after it, and a wild pointer may find either value.
 */
static __always_inline struct kspan_arena *
regions_get(const struct kspan_regions *regions, uintptr_t i)
{
	return (struct kspan_arena *)((char *)&kspan_no_arena + regions->off[i]);
}

static __always_inline struct kspan_arena *
regions_arena(const struct kspan_regions *regions, uintptr_t addr)
{
	uintptr_t i = (addr >> KSPAN_ARENA_SHIFT) - regions->lo;

	return likely(i < regions->n) ? regions_get(regions, i) : &kspan_no_arena;
}

/**
 * struct kspan_central - the spans of one span class (or object cache) on one node
 * @lock: protects all that has no other owner named
 * @partial: spans with a free object; the fullest tend to the front
 * @full: spans without one
 * @spare: spans of which all are free, for later: see central_drop_spares()
 * @heap: the heap it belongs to
 * @cache: the object cache it belongs to, or NULL
 * @size: bytes per object
 * @magic: ceil(2^32 / @size)
 * @npages: pages per span
 * @align: alignment of a span in pages
 * @nobjs: objects per span
 * @pclass: page class of its spans' pages
 * @stack: the stack that its objects are cached on
 * @noscan: its objects hold no pointers
 * @nodeid: NUMA node
 * @transfer: free objects on their way from one CPU's stack to another's, the
 *	last to come at the end; NULL until there was one
 * @ntransfer: how many
 * @transfer_max: how many there may be now
 * @transfer_over: there were more since a stack last found none
 * @transfer_low: the least there were since the scavenger last looked
 * @nspan: spans on the three lists
 * @nout: objects that are not free in a span: with a caller, in a cache, in
 *	@transfer
 * @nrefill: batches taken
 * @nflush: batches put back
 * @ndirect: objects handed out past the caches (so that no pop counted them);
 *	any CPU, atomic
 *
 * Invariant: nspan * nobjs - nout == sum of nfree over the lists.
 */
struct kspan_central {
	port_lock_t lock;
	port_list_t partial;
	port_list_t full;
	port_list_t spare;
	struct kspan_heap *heap;
	struct kspan_cache *cache;
	u32 size;
	u32 magic;
	u32 npages;
	u32 align;
	u16 nobjs;
	u8 pclass;
	u8 stack;
	u8 noscan;
	u16 nodeid;
	u16 transfer_max;
	/* written at every refill and flush */
	u16 ntransfer;
	u16 transfer_low;
	bool transfer_over;
	void **transfer;
	u64 nspan;
	u64 nout;
	u64 nrefill;
	u64 nflush;
	u64 ndirect;
} __attribute__((aligned(64)));

#endif /* KSPAN_SPAN_H */
