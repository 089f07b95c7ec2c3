/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The heap: everything hangs off one of these. Internal to kspan; what users
 * may call is in kspan.h. See core/alloc.c for the overview.
 */
#ifndef KSPAN_HEAP_H
#define KSPAN_HEAP_H

#include <kspan.h>
#include <kspan/span.h>

#define KSPAN_MAX_NODES		1024	/* Linux's largest MAX_NUMNODES */

/**
 * struct kspan_source - where a heap's pages come from
 * @get: obtain at least @min bytes, @want if they are to be had, in one piece
 *	aligned to @align; all are multiples of KSPAN_PAGE_SIZE. Called with no
 *	lock held; may sleep when @gfp says so. Best on @node, and nowhere else with
 *	__GFP_THISNODE; -1: anywhere. NULL when there is no memory.
 * @meta: as @get for @nbytes of metadata, which may lie anywhere, when @get has none
 *	in one piece; NULL: there is no other way. With no lock held; sleeps only
 *	when @gfp says so.
 * @put: give back any page-aligned part of what @get returned, or all of what @meta
 *	returned.
 * @release: let the system have the memory, keep the addresses, which read as
 *	zero when next touched. NULL where that cannot be (the kernel's linear
 *	map): idle pages are then put. False: nothing happened.
 * @move: have the memory of the @nbytes at @from, with what is in it, at @to, where
 *	@want bytes of @get's lie that nobody touched; what is above @nbytes reads
 *	as zero. @from is then no longer the heap's. False: @from is as it was and
 *	@to is lost. NULL where that cannot be.
 * @node_of: NUMA node of memory that @get returned; NULL for a source that only
 *	heaps of one node use
 * @unit: what @release can give back: runs of this size and alignment
 * @grain: object memory is asked for in multiples of this, aligned to it; a
 *	power of two, at least KSPAN_PAGE_SIZE (metadata goes by pages)
 * @zeroed: what @get returns reads as zero
 * @charges: with __GFP_ACCOUNT in @gfp, @get charges the pages to its caller's
 *	group, until they are put
 *
 * A component of the heap takes its source as an argument, so that a test can
 * give it one that counts and fails.
 */
struct kspan_source {
	void *(*get)(struct kspan_source *src, size_t min, size_t want, size_t align,
		     gfp_t gfp, int node, size_t *got);
	void *(*meta)(struct kspan_source *src, size_t nbytes, gfp_t gfp, size_t *got);
	void (*put)(struct kspan_source *src, void *addr, size_t nbytes);
	bool (*release)(struct kspan_source *src, void *addr, size_t nbytes);
	bool (*move)(struct kspan_source *src, void *from, size_t nbytes, void *to, size_t want);
	int (*node_of)(struct kspan_source *src, const void *addr);
	size_t unit;
	size_t grain;
	bool zeroed;
	bool charges;
};

/* What a checked heap does to find errors of its users; ORed. See debug.c. */
enum kspan_debug_flag {
	KSPAN_DEBUG_CHECK = 1,		/* nothing but report wrong frees at once */
	KSPAN_DEBUG_REDZONE = 2,	/* see what is written past the end */
	KSPAN_DEBUG_POISON = 4,		/* see what is written after free */
	KSPAN_DEBUG_QUARANTINE = 8,	/* hold freed objects back */
	KSPAN_DEBUG_STACKS = 16,	/* keep stacks, where the port has them */
	KSPAN_DEBUG_INIT_ALLOC = 32,	/* zero at alloc */
	KSPAN_DEBUG_INIT_FREE = 64,	/* zero at free; poison goes before */
	KSPAN_DEBUG_JUNK = 128,		/* fill at alloc and free; zero goes before */
	KSPAN_DEBUG_GUARD = 256,	/* objects with an end that traps, from the port */
	KSPAN_DEBUG_FAIL = 512,		/* have requests fail */
};

/**
 * struct kspan_debug_config - what a checked heap is told
 * @flags: enum kspan_debug_flag; 0: the heap is not checked
 * @guard_every: of so many requests one is guarded
 * @fail_every: of so many requests one fails; 0: those that the port picks
 * @quarantine_bytes: most bytes of objects that are held back
 */
struct kspan_debug_config {
	u32 flags;
	u32 guard_every;
	u32 fail_every;
	size_t quarantine_bytes;
};

/**
 * struct kspan_quarantine - freed objects that are held back
 * @lock: KSPAN_RANK_META; all that follows
 * @ring: the objects, or NULL; once made it stays until the heap's end
 * @head: the oldest in @ring
 * @n: how many
 * @nbytes: their bytes
 * @limit: most bytes
 */
struct kspan_quarantine {
	port_lock_t lock;
	void **ring;
	u32 head;
	u32 n;
	size_t nbytes;
	size_t limit;
};

/**
 * struct kspan_debug - what a checked heap does; see debug.c
 * @flags: enum kspan_debug_flag; written under @quarantine.lock
 * @gen: changes when the heap becomes checked and when it ceases to be
 * @guard_every: see struct kspan_debug_config, as @fail_every
 * @fail_every: .
 * @nguarded: requests counted for @guard_every; any CPU, atomic, as @nasked
 * @nasked: requests counted for @fail_every
 * @quarantine: .
 */
struct kspan_debug {
	u32 flags;
	u16 gen;
	u32 guard_every;
	u32 fail_every;
	u64 nguarded;
	u64 nasked;
	struct kspan_quarantine quarantine;
};

/**
 * struct kspan_config - what a heap is told when it is made
 * @source: its pages
 * @debug: how it is checked, to begin with; heap_set_debug() changes it
 * @limit_soft: bytes above which idle memory is given back before more is
 *	taken; 0 = none
 * @limit_hard: bytes above which requests fail, but for __GFP_NOFAIL; 0 = none
 * @cache_bytes: bytes of objects that one CPU's cache may hold
 * @stack_bytes: bytes of objects that one stack may hold
 * @stack_objs: most objects that one stack may hold
 * @transfer_bytes: bytes of objects that one central list may hold for the CPUs;
 *	no more than 8 times @cache_bytes count
 * @transfer_objs: most objects that it may hold for them
 * @warm_pages: most pages of large spans that are kept as they are when they are freed;
 *	in heaps of one node
 * @warm_huge_bytes: most bytes of objects with a mapping to themselves that are kept so
 * @spares: spans of small objects that are all free stay as they are for a while; there
 *	are none while a limit is set
 * @apart_bytes: objects that are made longer than this, and longer than they were, have
 *	pages of their own
 * @epoch_ms: idle pages go back after one to two of these; 0 = never by themselves
 * @nr_nodes: NUMA nodes, numbered from 0, that can ever exist; 0 is taken for 1
 */
struct kspan_config {
	struct kspan_source *source;
	struct kspan_debug_config debug;
	size_t limit_soft;
	size_t limit_hard;
	size_t cache_bytes;
	size_t stack_bytes;
	u32 stack_objs;
	size_t transfer_bytes;
	u32 transfer_objs;
	u32 warm_pages;
	size_t warm_huge_bytes;
	bool spares;
	u32 apart_bytes;
	u32 epoch_ms;
	u32 nr_nodes;
};

/**
 * struct kspan_fix - allocator of fixed-size metadata, after Go's fixalloc
 * @own: KSPAN_RANK_META
 * @lock: what protects it: @own, or of spans the heap's lock, which is held anyway
 *	where they come and go
 * @heap: whose source and chunk list it uses
 * @size: bytes per object
 * @free: freed objects, linked through their first word
 * @bump: next never-used byte of the newest chunk
 * @end: end of the newest chunk
 * @chunks: those that have objects
 * @empty: those that have none, their memory with the system
 * @nobjs: objects that @chunks have room for
 * @ninuse: objects out
 */
struct kspan_fix {
	port_lock_t own;
	port_lock_t *lock;
	struct kspan_heap *heap;
	size_t size;
	void *free;
	char *bump;
	char *end;
	struct kspan_fix_chunk *chunks;
	struct kspan_fix_chunk *empty;
	u64 nobjs;
	u64 ninuse;
};

/* The sizes of metadata. */
enum kspan_fix_kind {
	FIX_SPAN_WORD,		/* a span of up to 64 objects, or large */
	FIX_SPAN_SMALL,		/* a span of up to 128 objects */
	FIX_SPAN_MANY,		/* a span of up to 512 objects */
	FIX_SPAN_BIG,		/* a span of up to KSPAN_MAX_OBJS objects */
	FIX_ARENA,
	FIX_MARKS,		/* marks of a tiny span */
	FIX_RECORD,		/* what a checked heap knows of one object */
	FIX_RECORDS_SMALL,	/* of up to 128 objects */
	FIX_RECORDS_BIG,	/* of up to KSPAN_MAX_OBJS */
	FIX_CACHE,		/* an object cache and its central lists */
	FIX_TRANSFER,		/* the objects that a central list holds for the CPUs */
	KSPAN_NR_FIX
};

enum kspan_misuse {
	KSPAN_DOUBLE_FREE,
	KSPAN_INTERIOR_FREE,
	KSPAN_FOREIGN_FREE,
	KSPAN_OVERFLOW,
	KSPAN_WRITE_AFTER_FREE,
	KSPAN_NR_MISUSE
};

/* Of the free pages whose memory the system could have. */
enum kspan_idle {
	KSPAN_IDLE_EPOCH,	/* those that were free at the last epoch already */
	KSPAN_IDLE_DIRTY,	/* those that may not read as zero */
	KSPAN_IDLE_ALL,
};

/* Fully used groups of arenas are skipped as one: see pagealloc.c. */
#define KSPAN_GROUP_SHIFT	6

/**
 * struct kspan_pages - the page allocator of a node; all under the heap's lock
 * @arena: the arenas by ascending address
 * @maxrun: for each of them an upper bound of its longest free run, in pages
 * @groupmax: the same for each group of 1 << KSPAN_GROUP_SHIFT arenas
 * @n: arenas
 * @cap: arenas there is room for
 * @nfree: free pages, released ones among them
 * @nreleased: free pages whose memory the system has back
 * @ndirty: free pages that may not read as zero: those that were in use and not released
 * @ninuse: pages of spans
 * @peak: the most of them since the epoch began
 * @nmoving: pages that are being released, for the moment in nobody's hands
 */
struct kspan_pages {
	struct kspan_arena **arena;
	u16 *maxrun;
	u16 *groupmax;
	u32 n;
	u32 cap;
	size_t nfree;
	size_t nreleased;
	size_t ndirty;
	size_t ninuse;
	size_t peak;
	size_t nmoving;
};

/* The counters of struct kspan_pages, over all nodes. */
struct kspan_page_counts {
	size_t nfree;
	size_t nreleased;
	size_t ndirty;		/* counted by verify.c alone */
	size_t ninuse;
	size_t nspare;
	size_t nmoving;
};

/**
 * struct kspan_node - what a heap has on one NUMA node
 * @pages: the node's arenas and their free pages; the heap's lock
 * @spare_pages: those in use of them that are in spare spans; atomic
 * @central: the spans on the node, by stack
 */
struct kspan_node {
	struct kspan_pages pages;
	u32 spare_pages;
	struct kspan_central central[KSPAN_NR_STACKS];
};

#define KSPAN_WARM_PAGES	128	/* longer spans are not kept: 1 MiB */

/**
 * struct kspan_warm - large spans that were just freed: warm.c; the heap's lock
 * @has: a bit for each length in pages - 1 that there is one of
 * @first: the last to come of each length
 * @npages: of all of them
 * @nhit: requests that were served since there was none
 * @nmiss: requests that were not
 * @huge: those that have a mapping to themselves, the last to come first
 * @huge_pages: of those; not in @npages
 * @huge_bytes: that were in use of them: the rest of a mapping nobody has touched
 */
struct kspan_warm {
	u64 has[KSPAN_WARM_PAGES / 64];
	struct kspan_span *first[KSPAN_WARM_PAGES];
	u32 npages;
	u32 nhit;
	u32 nmiss;
	port_list_t huge;
	u32 huge_pages;
	size_t huge_bytes;
};

/**
 * struct kspan_heap - an allocator
 * @regions: map from addresses to arenas; readers take no lock
 * @slots: the CPUs' caches
 * @ready: made and not yet destroyed; set last
 * @checked: every object passes by debug.c; changed by heap_set_debug() alone
 * @nnodes: NUMA nodes that can ever exist
 * @config: how it was made; the limits may be changed at run time
 * @node: by number, NULL until the heap first wants or gets memory there; set once,
 *	with @lock held
 * @base: slots.base
 * @max: slots.max
 * @lock: KSPAN_RANK_HEAP: the pages of all nodes, the writing side of @regions,
 *	arenas and all that follows it up to @fix
 * @large: spans over 32 KiB
 * @warm: some that were freed; their pages still count as in use
 * @sys_bytes: bytes obtained from the source and not put back
 * @meta_bytes: those of them that hold metadata
 * @charged_bytes: what is on its way to be used, for the limits; not in @sys_bytes
 * @chunks: the pieces of metadata memory, for the heap's end
 * @nlarge_malloc: see struct kspan_stats, as the following
 * @nlarge_free: .
 * @large_bytes: .
 * @ngrow: .
 * @nrelease: .
 * @nscavenged_bytes: .
 * @fix: metadata by kind
 * @caches_lock: mutex: @caches
 * @caches: the object caches
 * @cache_nmalloc: of object caches that are gone
 * @cache_nfree: .
 * @nfail: requests that ended in NULL; atomic
 * @nmisuse: wrong frees by kind; atomic
 * @rcu_lock: KSPAN_RANK_RCU
 * @rcu_batch: the batch that kspan_free_rcu() fills, or NULL
 * @rcu_gp: of the grace period for objects that no batch could be had for; whoever
 *	makes @rcu_want other than @rcu_done hands it over
 * @rcu_done: how many of these are over; @rcu_lock
 * @rcu_want: the last that somebody waits for, at most 2 ahead; @rcu_lock
 * @debug: what a checked heap does
 * @ntiny_malloc: tiny objects counted while the slots were closed; atomic
 * @ntiny_free: .
 * @pending: spans with objects whose free was put off; atomic, see nolock.c
 * @waiting: spans with objects whose free was put off, and that wait for a grace
 *	period; atomic, added to with @rcu_lock held
 * @freeing: which of @nfreeing counts those who begin; 0 or 1
 * @nfreeing: how many have freed objects in their hands, from these lists or from
 *	quarantine, or are about to tell RCU of some; atomic, see heap_wait_frees()
 * @ndeferred: frees that were put off; atomic
 * @lacking: what kspan_alloc_nolock() did not find: how many pages in one piece, aligned
 *	how, on which node; atomic, see nolock.c
 * @only: @node of a heap with one
 * @node0: node[0]
 */
struct kspan_heap {
	/* read by every allocation and free */
	struct kspan_regions *regions;
	struct kspan_slotset slots;
	/* read by the slow paths */
	bool ready;
	bool checked;
	u16 nnodes;
	struct kspan_config config;
	struct kspan_node **node;
	u16 base[KSPAN_NR_STACKS];
	u16 max[KSPAN_NR_STACKS];

	port_lock_t lock;
	port_list_t large;
	struct kspan_warm warm;
	u64 sys_bytes;
	u64 meta_bytes;
	u64 charged_bytes;
	struct kspan_chunk *chunks;
	u64 nlarge_malloc;
	u64 nlarge_free;
	u64 large_bytes;
	u64 ngrow;
	u64 nrelease;
	u64 nscavenged_bytes;

	struct kspan_fix fix[KSPAN_NR_FIX];
	port_mutex_t caches_lock;
	port_list_t caches;
	u64 cache_nmalloc;
	u64 cache_nfree;
	u64 nfail;
	u64 nmisuse[KSPAN_NR_MISUSE];
	port_lock_t rcu_lock;
	struct kspan_rcu_batch *rcu_batch;
	port_rcu_t rcu_gp;
	u64 rcu_done;
	u64 rcu_want;
	struct kspan_debug debug;
	u64 ntiny_malloc;
	u64 ntiny_free;
	struct kspan_span *pending;
	struct kspan_span *waiting;
	u32 freeing;
	u32 nfreeing[2];
	u64 ndeferred;
	u32 lacking;
	struct kspan_node *only[1];
	struct kspan_node node0;
};

/* The world's default heap: its address is a constant of the fast path. */
extern struct kspan_heap kspan_heap0;

/* The empty region table that a heap starts with. */
extern struct kspan_regions kspan_no_regions;

/* heap.c */
int heap_init(struct kspan_heap *heap, const struct kspan_config *config);
size_t heap_destroy(struct kspan_heap *heap);
struct kspan_span *heap_span_alloc(struct kspan_heap *heap, size_t npages, size_t align,
				   u32 nobjs, u32 pclass, int nodeid, gfp_t gfp);
void heap_span_free(struct kspan_heap *heap, struct kspan_span *span);
struct kspan_arena *heap_huge_forget(struct kspan_heap *heap, struct kspan_span *span);
void heap_huge_put(struct kspan_heap *heap, struct kspan_span *span, struct kspan_arena *arena);
void heap_span_free_locked(struct kspan_heap *heap, struct kspan_span *span);
void heap_span_enter_large(struct kspan_heap *heap, struct kspan_span *span);
struct kspan_span *heap_span_alloc_nolock(struct kspan_heap *heap, u32 npages, u32 align,
					  u32 nobjs, u32 pclass, int nodeid);
bool heap_span_resize(struct kspan_heap *heap, struct kspan_span *span, size_t npages);
void *heap_meta_get(struct kspan_heap *heap, size_t nbytes, gfp_t gfp, size_t *got);
void heap_misuse(struct kspan_heap *heap, enum kspan_misuse kind, const void *ptr,
		 uintptr_t caller);
bool heap_ready_slow(struct kspan_heap *heap);
struct kspan_node *heap_node_make(struct kspan_heap *heap, int nodeid, gfp_t gfp);
void heap_sum_pages(struct kspan_heap *heap, struct kspan_page_counts *sum);
void slotset_layout(struct kspan_slotset *ss, u16 *base);

static inline bool heap_ready(struct kspan_heap *heap)
{
	return likely(port_load_acquire(&heap->ready)) || heap_ready_slow(heap);
}

/* Node number @nodeid; NULL: the heap has nothing there, or there is no such node. */
static inline struct kspan_node *heap_node(struct kspan_heap *heap, int nodeid)
{
	if ((u32)nodeid >= heap->nnodes)
		return NULL;
	/* pairs with the release store in heap_node_make() */
	return port_load_acquire(&heap->node[nodeid]);
}

/* From *@i on the next node that the heap has anything on; *@i is then behind it. */
static inline struct kspan_node *heap_next_node(struct kspan_heap *heap, u32 *i)
{
	struct kspan_node *node = NULL;

	while (!node && *i < heap->nnodes)
		node = heap_node(heap, (*i)++);
	return node;
}

#define heap_for_each_node(heap, node, i)				\
	for ((i) = 0; ((node) = heap_next_node(heap, &(i))) != NULL; )

/*
 * The flags of a request that would rather go elsewhere than wait for memory of
 * its own node.
 */
static inline gfp_t gfp_here(gfp_t gfp)
{
	return (gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL)) | __GFP_THISNODE | __GFP_NOWARN;
}

/*
 * Whether objects pass by debug.c. In the kernel a nop while they do not.
 * Pairs with the release in heap_set_debug().
 */
static __always_inline bool heap_checked(const struct kspan_heap *heap)
{
	return port_checked() && unlikely(port_load_acquire(&heap->checked));
}

/* span.c */
void span_init(struct kspan_span *span, struct kspan_central *central);
void span_set_state(struct kspan_span *span, enum kspan_span_state state);
u32 span_take(struct kspan_span *span, void **end, u32 n);
bool span_put(struct kspan_span *span, u32 idx);

/* pagealloc.c: all with the heap's lock held */
bool pages_reserve(struct kspan_heap *heap, struct kspan_pages *pages, gfp_t gfp);
bool pages_insert_arena(struct kspan_pages *pages, struct kspan_arena *arena);
void pages_remove_arena(struct kspan_pages *pages, struct kspan_arena *arena);
void pages_add_inuse(struct kspan_pages *pages, size_t npages);
uintptr_t pages_alloc(struct kspan_pages *pages, u32 npages, u32 align, bool *needzero);
void pages_free(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
		u32 npages, bool dirty);
bool pages_extend(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
		  u32 npages, bool *needzero);
u32 pages_take_idle(struct kspan_pages *pages, u32 *cursor, enum kspan_idle which, u32 max,
		    uintptr_t *addr);
size_t pages_over_peak(const struct kspan_pages *pages);
void pages_free_released(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
			 u32 npages);
bool pages_age(struct kspan_pages *pages, u32 *cursor);

/* pagemap.c */
bool pagemap_cover(struct kspan_heap *heap, uintptr_t addr, size_t nbytes, bool huge,
		   int nodeid, gfp_t gfp);
void pagemap_set(struct kspan_heap *heap, struct kspan_span *span);
void pagemap_clear(struct kspan_heap *heap, struct kspan_span *span);
struct kspan_span *pagemap_find(const struct kspan_heap *heap, uintptr_t addr);
void pagemap_uncover(struct kspan_heap *heap, uintptr_t addr, size_t nbytes);
void pagemap_recover(struct kspan_heap *heap, uintptr_t addr, size_t nbytes,
		     struct kspan_arena *arena);

static __always_inline struct kspan_arena *pagemap_arena(const struct kspan_heap *heap,
							 uintptr_t addr)
{
	/* pairs with the release store in pagemap_cover() */
	return regions_arena(port_load_acquire(&heap->regions), addr);
}

static __always_inline struct kspan_span *pagemap_span(const struct kspan_heap *heap,
						       uintptr_t addr)
{
	return port_load(&pagemap_arena(heap, addr)->span[addr_to_page(addr)]);
}

/* What is on the page of an address; its span need not be looked at. */
static __always_inline u32 pagemap_pclass(const struct kspan_heap *heap, uintptr_t addr)
{
	return port_load(&pagemap_arena(heap, addr)->pclass[addr_to_page(addr)]);
}

/* The span's pages come from the source and go there, past the page allocator. */
static inline bool span_is_mapped(const struct kspan_heap *heap, const struct kspan_span *span)
{
	return span->charged || pagemap_arena(heap, span->start)->huge;
}

/* central.c */
void central_init(struct kspan_central *central, struct kspan_heap *heap, u32 size,
		  u32 pclass, u32 stack, int nodeid);
u32 central_take(struct kspan_central *central, void **objs, u32 n, gfp_t gfp);
u32 central_take_locked(struct kspan_central *central, void **objs, u32 n);
void central_put(struct kspan_heap *heap, void **objs, u32 n, uintptr_t caller);
bool central_let_go(struct kspan_span *span, u32 n);
size_t central_trim(struct kspan_central *central);
void central_drop_spares(struct kspan_central *central);

/* A stack's central list on a node; that of node 0 if the heap has nothing there. */
static inline struct kspan_central *heap_central(struct kspan_heap *heap, u32 stack,
						 int nodeid)
{
	struct kspan_node *node = heap_node(heap, nodeid);

	return node ? &node->central[stack] : &heap->node0.central[stack];
}

/* The same, for who wants objects of that node: it is made if need be. */
static inline struct kspan_central *heap_want_central(struct kspan_heap *heap, u32 stack,
						      int nodeid, gfp_t gfp)
{
	if (unlikely(!heap_node(heap, nodeid)))
		heap_node_make(heap, nodeid, gfp);
	return heap_central(heap, stack, nodeid);
}

/* cache.c */
void *cache_refill(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		   uintptr_t caller);
void cache_flush(struct kspan_slotset *ss, struct kspan_central *central, void *obj,
		 uintptr_t caller);
void *cache_alloc_node(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		       uintptr_t caller);
void cache_free_bulk(struct kspan_slotset *ss, struct kspan_central *central, void **objs,
		     u32 n, uintptr_t caller);
u32 cache_alloc_bulk(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		     u32 n, void **objs, uintptr_t caller);
void cache_drain(struct kspan_heap *heap, struct kspan_slotset *ss);
void cache_drain_slot(struct kspan_heap *heap, struct kspan_slotset *ss,
		      struct kspan_slot *slot);
bool cache_drain_idle(struct kspan_heap *heap, struct kspan_slotset *ss);

/* transfer.c */
void *transfer_refill(struct kspan_slotset *ss, struct kspan_central *central, u32 n);
u32 transfer_flush(struct kspan_slotset *ss, struct kspan_central *central, u32 n);
u32 transfer_give(struct kspan_slotset *ss, struct kspan_central *central, void **objs, u32 n);
u32 transfer_take(struct kspan_central *central, void **objs, u32 n);
u32 transfer_age(struct kspan_central *central, bool all);
void transfer_destroy(struct kspan_central *central);

/* tiny.c */
void *tiny_alloc(struct kspan_heap *heap, size_t size, gfp_t gfp, uintptr_t caller);
void tiny_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
	       uintptr_t caller);
void *tiny_mark_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		     uintptr_t caller);
void tiny_free_block(struct kspan_heap *heap, struct kspan_span *span, void *block,
		     uintptr_t caller);
u32 tiny_retire(struct kspan_heap *heap, void **words, u32 n);
void tiny_misuse(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		 uintptr_t caller);
bool tiny_mark_wait(struct kspan_heap *heap, struct kspan_span *span, void *ptr);
bool tiny_end_wait(struct kspan_span *span, u32 idx);
size_t tiny_size(struct kspan_span *span, uintptr_t addr);
bool tiny_is_live(struct kspan_span *span, uintptr_t addr);

/* large.c */
void *large_alloc(struct kspan_heap *heap, size_t size, size_t align, int nodeid, gfp_t gfp,
		  bool noscan, uintptr_t caller);
void large_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		uintptr_t caller);
bool large_resize(struct kspan_heap *heap, struct kspan_span *span, size_t size);

/* warm.c */
struct kspan_span *warm_take_slow(struct kspan_heap *heap, u32 npages);
struct kspan_span *warm_take_huge(struct kspan_heap *heap, size_t size);
bool warm_put(struct kspan_heap *heap, struct kspan_span *span);
bool warm_is_no_use(const struct kspan_heap *heap, u32 pclass);
void warm_flush_locked(struct kspan_heap *heap);
void warm_flush(struct kspan_heap *heap);
void warm_flush_huge(struct kspan_heap *heap);
bool warm_age_huge(struct kspan_heap *heap);

/*
 * A large span that was just freed, if there is one for @size bytes. One with a mapping to
 * itself would have to be filled, and a new one reads as zero. No lock is held.
 */
static inline struct kspan_span *warm_take(struct kspan_heap *heap, size_t size, gfp_t gfp)
{
	size_t npages = bytes_to_pages(size);

	if (npages <= KSPAN_WARM_PAGES)
		return port_load(&heap->warm.npages) ? warm_take_slow(heap, npages) : NULL;
	if (npages <= KSPAN_ARENA_PAGES || (gfp & __GFP_ZERO) ||
	    !port_load(&heap->warm.huge_pages))
		return NULL;
	return warm_take_huge(heap, size);
}

/* Pages of spans that are warm: they count as in use, and are idle. */
static inline size_t warm_pages(const struct kspan_heap *heap)
{
	return (size_t)heap->warm.npages + heap->warm.huge_pages;
}

/* fixalloc.c */
void fix_init(struct kspan_fix *fix, struct kspan_heap *heap, size_t size,
	      port_lock_t *lock);
void *fix_alloc(struct kspan_fix *fix, gfp_t gfp);
void *fix_take(struct kspan_fix *fix);
void fix_give(struct kspan_fix *fix, void *obj);
void fix_free(struct kspan_fix *fix, void *obj);
size_t fix_trim(struct kspan_fix *fix);

/**
 * struct kspan_cache_info - an object cache as a person wants to see it
 * @name: as given
 * @size: bytes per object
 * @nobjs: objects per span
 * @npages: pages per span
 * @nspan: spans now
 * @nlive: objects with callers now
 * @ncached: free objects on stacks now
 * @nmalloc: objects handed out since the start
 * @nfree: objects taken back since the start
 */
struct kspan_cache_info {
	char name[32];
	u32 size;
	u32 nobjs;
	u32 npages;
	u64 nspan;
	u64 nlive;
	u64 ncached;
	u64 nmalloc;
	u64 nfree;
};

/* objcache.c */
bool objcache_info(struct kspan_heap *heap, u32 nth, struct kspan_cache_info *info);
void objcache_drain_all(struct kspan_heap *heap);
void objcache_end_all(struct kspan_heap *heap);
bool objcache_drain_idle(struct kspan_heap *heap);
void objcache_each_central(struct kspan_heap *heap,
			       void (*fn)(struct kspan_central *central, void *arg),
			       void *arg);
void objcache_each_lock(struct kspan_heap *heap, enum kspan_rank rank,
			void (*fn)(port_lock_t *lock));
void objcache_each_slotset(struct kspan_heap *heap,
			   void (*fn)(struct kspan_slotset *ss, void *arg), void *arg);
const char *objcache_name(const struct kspan_cache *cache);
size_t objcache_size(u32 nnodes);
struct kspan_cache *cache_create(struct kspan_heap *heap, const char *name, size_t size,
				 size_t align, unsigned int flags, void (*ctor)(void *obj));
int cache_destroy(struct kspan_cache *cache);
void objcache_span_init(struct kspan_central *central, struct kspan_span *span);
void objcache_span_free(struct kspan_central *central, struct kspan_span *span);
void objcache_free(struct kspan_heap *heap, struct kspan_span *span, void *obj,
		   uintptr_t caller);
bool objcache_push(struct kspan_span *span, void *obj);
bool objcache_has_ctor(const struct kspan_cache *cache);
bool objcache_keeps_contents(const struct kspan_cache *cache);
bool objcache_is_typesafe(const struct kspan_cache *cache);
void objcache_slots_off(struct kspan_heap *heap, bool off);
void objcache_stats(struct kspan_heap *heap, struct kspan_stats *stats);
int objcache_verify(struct kspan_heap *heap);

/* scavenge.c */
void heap_keep_to_peak(struct kspan_heap *heap, int nodeid, size_t npages);
size_t heap_release(struct kspan_heap *heap, bool all, gfp_t gfp);
bool heap_drop_spares(struct kspan_heap *heap);
size_t heap_release_node(struct kspan_heap *heap, int nodeid, enum kspan_idle which,
			 size_t max, gfp_t gfp);
bool heap_scavenge(struct kspan_heap *heap);
size_t heap_release_memory(struct kspan_heap *heap);
bool heap_within_limit(struct kspan_heap *heap, size_t nbytes, gfp_t gfp);
bool heap_may_use(struct kspan_heap *heap, size_t nbytes, gfp_t gfp);
bool heap_charge(struct kspan_heap *heap, size_t nbytes, gfp_t gfp);
void heap_uncharge(struct kspan_heap *heap, size_t nbytes);

/* nolock.c */
void *central_take_nolock(struct kspan_central *central);
void *heap_alloc_nolock(struct kspan_heap *heap, size_t size, gfp_t gfp, uintptr_t caller);
void heap_free_nolock(struct kspan_heap *heap, void *ptr, uintptr_t caller);
bool heap_defer_free(struct kspan_heap *heap, struct kspan_span *span, u32 idx);
void *heap_lack(struct kspan_heap *heap, u32 npages, u32 align, int nodeid);
void heap_catch_up_slow(struct kspan_heap *heap);
void heap_catch_up_all(struct kspan_heap *heap);
void heap_catch_up_waiting(struct kspan_heap *heap);
u32 heap_begin_frees(struct kspan_heap *heap);
void heap_end_frees(struct kspan_heap *heap, u32 which);
void heap_wait_frees(struct kspan_heap *heap);
int heap_defer_index(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		     uintptr_t caller);

/* What was put off is done by whoever comes by and may lock. */
static inline void heap_catch_up(struct kspan_heap *heap)
{
	if (unlikely(port_load(&heap->pending) || port_load(&heap->lacking)))
		heap_catch_up_slow(heap);
}

/* debug.c */
int heap_set_debug(struct kspan_heap *heap, const struct kspan_debug_config *config);
bool debug_refuses(struct kspan_heap *heap, size_t size, gfp_t gfp);
void *debug_guarded(struct kspan_heap *heap, size_t size, gfp_t gfp, uintptr_t caller);
void *debug_alloc(struct kspan_heap *heap, void *obj, size_t size, gfp_t gfp,
		  uintptr_t caller);
void debug_note(struct kspan_heap *heap, void *obj, size_t size, uintptr_t caller);
void debug_set_size(struct kspan_heap *heap, void *obj, size_t size);
bool debug_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		uintptr_t caller);
void debug_free_large(struct kspan_heap *heap, struct kspan_span *span, uintptr_t caller);
size_t debug_size(struct kspan_heap *heap, struct kspan_span *span, const void *ptr,
		  size_t size);
void debug_span_end(struct kspan_heap *heap, struct kspan_span *span);
void debug_slots_off(struct kspan_heap *heap, struct kspan_slotset *ss, bool off);
void debug_flush(struct kspan_heap *heap);
void debug_report_stacks(struct kspan_heap *heap, const void *ptr);
uintptr_t debug_site(struct kspan_heap *heap, struct kspan_span *span, const void *ptr);
uintptr_t debug_free_site(struct kspan_heap *heap, struct kspan_span *span, const void *ptr);
u32 debug_stack(struct kspan_heap *heap, struct kspan_span *span, const void *ptr);
void debug_rename(struct kspan_span *span, const void *ptr, uintptr_t site);
bool debug_is_held(struct kspan_heap *heap, struct kspan_span *span, const void *ptr);
size_t debug_records_size(u32 nobjs);

/* poison.c: called where port_poisons() is true, and may be missing where it is not */
void poison_alloc(const void *ptr);
void poison_free(const void *ptr);
void poison_span(struct kspan_heap *heap, struct kspan_span *span, bool all);
void poison_tiny(struct kspan_heap *heap, uintptr_t block, bool is_free);

/* rcu.c */
void heap_free_rcu(struct kspan_heap *heap, void *ptr);
void heap_rcu_barrier(struct kspan_heap *heap);

/* stats.c, verify.c */
u64 stack_cached(struct kspan_slotset *ss, u32 c, u64 *pops);
void heap_get_stats(struct kspan_heap *heap, struct kspan_stats *stats);
int heap_verify(struct kspan_heap *heap);
int central_verify(struct kspan_central *central, struct kspan_slotset *ss);
void central_leaks(struct kspan_central *central);
u64 heap_leaks(struct kspan_heap *heap, bool print);
u64 heap_leaks_of(struct kspan_heap *heap, bool (*owns)(uintptr_t site, void *arg),
		  void *arg, bool print);
void heap_rename_sites(struct kspan_heap *heap, bool (*owns)(uintptr_t site, void *arg),
		       void *arg, uintptr_t site);

/* alloc.c */
void *heap_alloc_slow(struct kspan_heap *heap, size_t size, bool noscan, gfp_t gfp,
		      uintptr_t caller);
void heap_free_slow(struct kspan_heap *heap, void *ptr, uintptr_t caller);
void heap_free_unknown(struct kspan_heap *heap, void *ptr, uintptr_t caller);
u32 aligned_class(size_t size, size_t align);
void *heap_alloc_aligned(struct kspan_heap *heap, size_t size, size_t align, gfp_t gfp,
			 uintptr_t caller);
void *heap_alloc_node(struct kspan_heap *heap, size_t size, gfp_t gfp, int nodeid,
		      uintptr_t caller);
void *heap_zalloc(struct kspan_heap *heap, size_t size, bool noscan, gfp_t gfp,
		  uintptr_t caller);
void *heap_realloc(struct kspan_heap *heap, void *ptr, size_t size, gfp_t gfp,
		   uintptr_t caller);
size_t heap_size(struct kspan_heap *heap, const void *ptr);

/* A request ends in NULL. */
static inline void *heap_fail(struct kspan_heap *heap, int error)
{
	port_add(&heap->nfail, 1);
	port_set_errno(error);
	return NULL;
}

/*
 * The fast path. A hit is: class lookup, one pop; a free: two dependent loads
 * for the page class, one push. Page classes that are not small objects have
 * stacks that stay closed, so that the push itself refuses them. With @caller 0
 * the slow function takes its own, for want of a better one; the public functions
 * say theirs, as nobody promises that a call in tail position is a jump (KCSAN's
 * options forbid it).
 */
static __always_inline void *heap_alloc_hit(struct kspan_heap *heap, size_t size, bool noscan)
{
	if (unlikely(size - 1 >= KSPAN_SMALL_SIZE_MAX8))
		return NULL;
	return port_slot_pop_fast(&heap->slots,
				  span_class(kspan_size_to_class8[(size + 7) >> 3], noscan));
}

static __always_inline void *heap_alloc(struct kspan_heap *heap, size_t size, bool noscan,
					gfp_t gfp, uintptr_t caller)
{
	void *obj = heap_alloc_hit(heap, size, noscan);

	if (unlikely(!obj))
		return heap_alloc_slow(heap, size, noscan, gfp, caller);
	return obj;
}

static __always_inline bool heap_free_hit(struct kspan_heap *heap, const void *ptr)
{
	/* pairs with the release store in regions_grow() */
	const struct kspan_regions *regions = port_load_acquire(&heap->regions);
	uintptr_t addr = (uintptr_t)ptr, i = (addr >> KSPAN_ARENA_SHIFT) - regions->lo;

	/* a plain load of the class: as in regions_get() */
	return likely(i < regions->n) &&
	       likely(port_slot_push_fast(&heap->slots,
					  regions_get(regions, i)->pclass[addr_to_page(addr)],
					  (void *)ptr));
}

static __always_inline void heap_free(struct kspan_heap *heap, const void *ptr,
				      uintptr_t caller)
{
	if (unlikely(!heap_free_hit(heap, ptr)))
		heap_free_slow(heap, (void *)ptr, caller);
}

#endif /* KSPAN_HEAP_H */
