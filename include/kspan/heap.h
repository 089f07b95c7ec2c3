/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The heap: everything hangs off one of these. Internal to kspan; what users
 * may call is in kspan.h. See core/alloc.c for the overview.
 */
#ifndef KSPAN_HEAP_H
#define KSPAN_HEAP_H

#include <kspan.h>
#include <kspan/span.h>

/**
 * struct kspan_source - where a heap's pages come from
 * @get: obtain at least @min bytes, @want if they are to be had, in one piece
 *	aligned to @align; all are multiples of KSPAN_PAGE_SIZE. Called with no
 *	lock held; may sleep when @gfp says so. NULL when there is no memory.
 * @put: give back any page-aligned part of what @get returned.
 * @release: let the system have the memory, keep the addresses, which read as
 *	zero when next touched. NULL where that cannot be (the kernel's linear
 *	map): idle pages are then put. False: nothing happened.
 * @move: have the memory of the @nbytes at @from, with what is in it, at @to, where
 *	@want bytes of @get's lie that nobody touched; what is above @nbytes reads
 *	as zero. @from is then no longer the heap's. False: @from is as it was and
 *	@to is lost. NULL where that cannot be.
 * @unit: what @release can give back: runs of this size and alignment
 * @grain: object memory is asked for in multiples of this, aligned to it; a
 *	power of two, at least KSPAN_PAGE_SIZE (metadata goes by pages)
 * @zeroed: what @get returns reads as zero
 *
 * A component of the heap takes its source as an argument, so that a test can
 * give it one that counts and fails.
 */
struct kspan_source {
	void *(*get)(struct kspan_source *src, size_t min, size_t want, size_t align,
		     gfp_t gfp, int node, size_t *got);
	void (*put)(struct kspan_source *src, void *addr, size_t nbytes);
	bool (*release)(struct kspan_source *src, void *addr, size_t nbytes);
	bool (*move)(struct kspan_source *src, void *from, size_t nbytes, void *to, size_t want);
	size_t unit;
	size_t grain;
	bool zeroed;
};

/**
 * struct kspan_config - what a heap is told when it is made
 * @source: its pages
 * @checked: report every wrong free at the moment it happens: no CPU caches, so
 *	that the bitmap always tells the truth, and call sites are kept
 * @limit_soft: bytes above which idle memory is given back before more is
 *	taken; 0 = none
 * @limit_hard: bytes above which requests fail; 0 = none
 * @cache_bytes: bytes of objects that one CPU's cache may hold
 * @stack_bytes: bytes of objects that one stack may hold
 * @stack_objs: most objects that one stack may hold
 * @epoch_ms: idle pages go back after one to two of these; 0 = never by themselves
 */
struct kspan_config {
	struct kspan_source *source;
	bool checked;
	size_t limit_soft;
	size_t limit_hard;
	size_t cache_bytes;
	size_t stack_bytes;
	u32 stack_objs;
	u32 epoch_ms;
};

/**
 * struct kspan_fix - allocator of fixed-size metadata, after Go's fixalloc
 * @lock: KSPAN_RANK_META
 * @heap: whose source and chunk list it uses
 * @size: bytes per object
 * @free: freed objects, linked through their first word
 * @bump: next never-used byte of the newest chunk
 * @end: end of the newest chunk
 * @ninuse: objects out
 */
struct kspan_fix {
	port_lock_t lock;
	struct kspan_heap *heap;
	size_t size;
	void *free;
	char *bump;
	char *end;
	u64 ninuse;
};

/* The sizes of metadata. */
enum kspan_fix_kind {
	FIX_SPAN_SMALL,		/* a span of up to 128 objects, or large */
	FIX_SPAN_BIG,		/* a span of up to KSPAN_MAX_OBJS objects */
	FIX_ARENA,
	FIX_MARKS,		/* marks of a tiny span */
	FIX_SITES_SMALL,	/* call sites of up to 128 objects */
	FIX_SITES_BIG,		/* of up to KSPAN_MAX_OBJS */
	FIX_CACHE,		/* an object cache and its central lists */
	KSPAN_NR_FIX
};

enum kspan_misuse {
	KSPAN_DOUBLE_FREE,
	KSPAN_INTERIOR_FREE,
	KSPAN_FOREIGN_FREE,
	KSPAN_NR_MISUSE
};

/* Fully used groups of arenas are skipped as one: see pagealloc.c. */
#define KSPAN_GROUP_SHIFT	6

/**
 * struct kspan_pages - the page allocator of a heap; all under the heap's lock
 * @arena: the arenas by ascending address
 * @maxrun: for each of them an upper bound of its longest free run, in pages
 * @groupmax: the same for each group of 1 << KSPAN_GROUP_SHIFT arenas
 * @n: arenas
 * @cap: arenas there is room for
 * @nfree: free pages, released ones among them
 * @nreleased: free pages whose memory the system has back
 * @ninuse: pages of spans
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
	size_t ninuse;
	size_t nmoving;
};

/**
 * struct kspan_heap - an allocator
 * @regions: map from addresses to arenas; readers take no lock
 * @slots: the CPUs' caches
 * @ready: made and not yet destroyed; set last
 * @checked: see struct kspan_config
 * @nnodes: NUMA nodes
 * @config: how it was made; the limits may be changed at run time
 * @central: for each node an array of central lists by stack
 * @base: slots.base
 * @max: slots.max
 * @lock: KSPAN_RANK_HEAP: @pages, the writing side of @regions, arenas and all
 *	that follows it up to @fix
 * @pages: the page allocator
 * @large: spans over 32 KiB
 * @sys_bytes: bytes obtained from the source and not put back
 * @meta_bytes: those of them that hold metadata
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
 * @rcu_reserve: memory of a batch for when there is none to be had
 * @rcu_reserve_used: .
 * @ntiny_malloc: tiny objects counted while the slots were closed; atomic
 * @ntiny_free: .
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
	struct kspan_central **central;
	u16 base[KSPAN_NR_STACKS];
	u16 max[KSPAN_NR_STACKS];

	port_lock_t lock;
	struct kspan_pages pages;
	port_list_t large;
	u64 sys_bytes;
	u64 meta_bytes;
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
	u64 rcu_reserve[64];
	bool rcu_reserve_used;
	u64 ntiny_malloc;
	u64 ntiny_free;
};

/* The world's default heap: its address is a constant of the fast path. */
extern struct kspan_heap kspan_heap0;

/* The empty region table that a heap starts with. */
extern struct kspan_regions kspan_no_regions;

/* heap.c */
int heap_init(struct kspan_heap *heap, const struct kspan_config *config);
size_t heap_destroy(struct kspan_heap *heap);
struct kspan_span *heap_span_alloc(struct kspan_heap *heap, size_t npages, size_t align,
				   u32 nobjs, u32 pclass, int node, gfp_t gfp);
void heap_span_free(struct kspan_heap *heap, struct kspan_span *span);
bool heap_span_resize(struct kspan_heap *heap, struct kspan_span *span, size_t npages);
void *heap_meta_get(struct kspan_heap *heap, size_t nbytes, gfp_t gfp, size_t *got);
void heap_misuse(struct kspan_heap *heap, enum kspan_misuse kind, const void *ptr,
		 uintptr_t caller);
bool heap_ready_slow(struct kspan_heap *heap);
void slotset_layout(struct kspan_slotset *ss, u16 *base);

static inline bool heap_ready(struct kspan_heap *heap)
{
	return likely(port_load_acquire(&heap->ready)) || heap_ready_slow(heap);
}

/* span.c */
void span_init(struct kspan_span *span, struct kspan_central *central);
void span_set_state(struct kspan_span *span, enum kspan_span_state state);
u32 span_take(struct kspan_span *span, void **objs, u32 n);
bool span_put(struct kspan_span *span, u32 idx);

/* pagealloc.c: all with the heap's lock held */
bool pages_reserve(struct kspan_heap *heap, gfp_t gfp);
bool pages_insert_arena(struct kspan_pages *pages, struct kspan_arena *arena);
void pages_remove_arena(struct kspan_pages *pages, struct kspan_arena *arena);
void pages_add_inuse(struct kspan_pages *pages, size_t npages);
uintptr_t pages_alloc(struct kspan_pages *pages, u32 npages, u32 align, int node,
		      bool *needzero);
void pages_free(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
		u32 npages, bool dirty);
bool pages_extend(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
		  u32 npages, bool *needzero);
u32 pages_take_idle(struct kspan_pages *pages, u32 *cursor, bool all, uintptr_t *addr);
void pages_free_released(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
			 u32 npages);
bool pages_age(struct kspan_pages *pages);

/* pagemap.c */
bool pagemap_cover(struct kspan_heap *heap, uintptr_t addr, size_t nbytes, bool huge,
		   gfp_t gfp);
void pagemap_set(struct kspan_heap *heap, struct kspan_span *span);
void pagemap_clear(struct kspan_heap *heap, struct kspan_span *span);
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

/* central.c */
void central_init(struct kspan_central *central, struct kspan_heap *heap, u32 size,
		  u32 pclass, u32 stack, int node);
u32 central_take(struct kspan_central *central, void **objs, u32 n, gfp_t gfp,
		 uintptr_t caller);
void central_put(struct kspan_heap *heap, void **objs, u32 n, uintptr_t caller);

size_t central_trim(struct kspan_central *central);

static inline struct kspan_central *heap_central(struct kspan_heap *heap, u32 stack,
						 int node)
{
	if (node < 0 || node >= heap->nnodes)
		node = 0;
	return &heap->central[node][stack];
}

/* cache.c */
void *cache_refill(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		   uintptr_t caller);
void cache_flush(struct kspan_slotset *ss, struct kspan_central *central, void *obj,
		 uintptr_t caller);
u32 cache_alloc_bulk(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		     u32 n, void **objs, uintptr_t caller);
void cache_drain(struct kspan_heap *heap, struct kspan_slotset *ss);
void cache_drain_slot(struct kspan_heap *heap, struct kspan_slotset *ss,
		      struct kspan_slot *slot);
bool cache_drain_idle(struct kspan_heap *heap, struct kspan_slotset *ss);

/* tiny.c */
void *tiny_alloc(struct kspan_heap *heap, size_t size, gfp_t gfp, uintptr_t caller);
void tiny_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
	       uintptr_t caller);
u32 tiny_retire(struct kspan_heap *heap, void **words, u32 n);
size_t tiny_size(struct kspan_span *span, uintptr_t addr);
bool tiny_is_live(struct kspan_span *span, uintptr_t addr);

/* large.c */
void *large_alloc(struct kspan_heap *heap, size_t size, size_t align, int node, gfp_t gfp,
		  bool noscan, uintptr_t caller);
void large_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		uintptr_t caller);
bool large_resize(struct kspan_heap *heap, struct kspan_span *span, size_t size);

/* fixalloc.c */
void fix_init(struct kspan_fix *fix, struct kspan_heap *heap, size_t size);
void *fix_alloc(struct kspan_fix *fix, gfp_t gfp);
void fix_free(struct kspan_fix *fix, void *obj);

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
void objcache_each_central(struct kspan_heap *heap,
			       void (*fn)(struct kspan_central *central, void *arg),
			       void *arg);
const char *objcache_name(const struct kspan_cache *cache);
size_t objcache_size(u32 nnodes);
struct kspan_cache *cache_create(struct kspan_heap *heap, const char *name, size_t size,
				 size_t align, unsigned int flags, void (*ctor)(void *obj));
int cache_destroy(struct kspan_cache *cache);
void objcache_span_init(struct kspan_central *central, struct kspan_span *span);
void objcache_span_free(struct kspan_central *central, struct kspan_span *span);
void objcache_free(struct kspan_heap *heap, struct kspan_span *span, void *obj,
		   uintptr_t caller);
void objcache_stats(struct kspan_heap *heap, struct kspan_stats *stats);
int objcache_verify(struct kspan_heap *heap);

/* scavenge.c */
size_t heap_release(struct kspan_heap *heap, bool all);
bool heap_scavenge(struct kspan_heap *heap);
size_t heap_release_memory(struct kspan_heap *heap);
bool heap_within_limit(struct kspan_heap *heap, size_t nbytes);

/* rcu.c */
void heap_free_rcu(struct kspan_heap *heap, void *ptr);

/* stats.c, verify.c */
u64 stack_cached(struct kspan_slotset *ss, u32 c, u64 *pops);
void heap_get_stats(struct kspan_heap *heap, struct kspan_stats *stats);
int heap_verify(struct kspan_heap *heap);
int central_verify(struct kspan_central *central, struct kspan_slotset *ss);
u64 central_leaks(struct kspan_central *central, bool (*owns)(uintptr_t site, void *arg),
		  void *arg, bool print);
u64 heap_leaks(struct kspan_heap *heap, bool print);
u64 heap_leaks_of(struct kspan_heap *heap, bool (*owns)(uintptr_t site, void *arg),
		  void *arg, bool print);

/* alloc.c */
void *heap_alloc_slow(struct kspan_heap *heap, size_t size, bool noscan, gfp_t gfp,
		      uintptr_t caller);
void heap_free_slow(struct kspan_heap *heap, void *ptr, uintptr_t caller);
void *heap_alloc_aligned(struct kspan_heap *heap, size_t size, size_t align, gfp_t gfp,
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
 * the slow function takes its own caller, which is right where it is called in
 * tail position, and saves the hit an instruction.
 */
static __always_inline void *heap_alloc(struct kspan_heap *heap, size_t size, bool noscan,
					gfp_t gfp, uintptr_t caller)
{
	void *obj;

	if (unlikely(size - 1 >= KSPAN_SMALL_SIZE_MAX8))
		return heap_alloc_slow(heap, size, noscan, gfp, caller);
	obj = port_slot_pop_fast(&heap->slots,
				 span_class(kspan_size_to_class8[(size + 7) >> 3], noscan));
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
