// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Object caches: spans of one type of object, with a central list per node and
 * a one-stack slotset of their own. A constructor runs once per object when a
 * span is made; since nobody writes to free objects, what it built stays.
 * With KSPAN_TYPESAFE_BY_RCU an empty span waits for a grace period before its
 * pages may become something else. After SLUB's kmem_cache. See alloc.c.
 */
#include <kspan/heap.h>

#define CACHE_STACK_OBJS	64
#define CACHE_SPAN_PAGES	16u	/* longest span, so that span_index() is exact */
#define CACHE_SPAN_OBJS		8u	/* objects that a span should hold, if it can */

/**
 * struct kspan_cache - an object cache
 * @node: in heap->caches
 * @heap: its heap
 * @name: for people
 * @flags: KSPAN_TYPESAFE_BY_RCU, KSPAN_NOSCAN
 * @asked: bytes per object as its maker asked
 * @ctor: constructor, or NULL
 * @slots: the CPUs' stacks
 * @base: slots.base
 * @max: slots.max
 * @limbo_lock: KSPAN_RANK_RCU: all that follows it up to @central
 * @limbo: empty spans whose grace period runs
 * @limbo_next: empty spans that wait for the next one
 * @waiting: a grace period runs
 * @rcu: of that grace period
 * @central: the spans, by node
 */
struct kspan_cache {
	port_list_t node;
	struct kspan_heap *heap;
	char name[32];
	unsigned int flags;
	u32 asked;
	void (*ctor)(void *obj);
	struct kspan_slotset slots;
	u16 base[1];
	u16 max[1];
	port_lock_t limbo_lock;
	port_list_t limbo;
	port_list_t limbo_next;
	bool waiting;
	port_rcu_t rcu;
	struct kspan_central central[];
};

#define CALLER()	((uintptr_t)__builtin_return_address(0))

/* Bytes of a cache's structure in a heap of @nnodes. */
size_t objcache_size(u32 nnodes)
{
	return (sizeof(struct kspan_cache) + nnodes * sizeof(struct kspan_central) + 63) &
	       ~(size_t)63;
}

/*
 * Pages per span: the fewest that hold CACHE_SPAN_OBJS objects, and so waste less
 * than an eighth; the longest span when none does.
 */
static u32 cache_span_pages(u32 size)
{
	u32 npages;

	for (npages = 1; npages < CACHE_SPAN_PAGES; npages++)
		if (pages_to_bytes(npages) / size >= CACHE_SPAN_OBJS)
			break;
	return npages;
}

static void cache_init_central(struct kspan_cache *cache, u32 size, int node)
{
	struct kspan_central *central = &cache->central[node];

	central_init(central, cache->heap, 0, KSPAN_PC_CACHE, 0, node);
	central->cache = cache;
	central->size = size;
	central->magic = (u32)((((u64)1 << 32) + size - 1) / size);
	central->npages = cache_span_pages(size);
	central->align = 1;
	central->nobjs = pages_to_bytes(central->npages) / size;
	central->noscan = !!(cache->flags & KSPAN_NOSCAN);
}

static void cache_init_name(struct kspan_cache *cache, const char *name)
{
	size_t n = port_strlen(name);

	if (n > sizeof(cache->name) - 1)
		n = sizeof(cache->name) - 1;
	port_memcpy(cache->name, name, n);
	cache->name[n] = '\0';
}

static bool cache_init(struct kspan_cache *cache, const char *name, u32 size,
		       unsigned int flags, void (*ctor)(void *obj))
{
	struct kspan_heap *heap = cache->heap;
	size_t max = heap->config.stack_bytes / size;
	u32 node;

	cache_init_name(cache, name);
	cache->flags = flags;
	cache->ctor = ctor;
	port_lock_init(&cache->limbo_lock, KSPAN_RANK_RCU);
	port_list_init(&cache->limbo);
	port_list_init(&cache->limbo_next);
	for (node = 0; node < heap->nnodes; node++)
		cache_init_central(cache, size, node);
	if (max > CACHE_STACK_OBJS)
		max = CACHE_STACK_OBJS;
	if (max < 2)
		max = 2;
	cache->max[0] = max;
	cache->slots.nstacks = 1;
	cache->slots.max = cache->max;
	cache->slots.central = cache->central;
	slotset_layout(&cache->slots, cache->base);
	return !port_slotset_init(&cache->slots, heap, GFP_KERNEL);
}

/* Size and alignment of the objects, or false: they cannot be. */
static bool cache_geometry(size_t *size, size_t align)
{
	if (!align)
		align = sizeof(void *);
	if ((align & (align - 1)) || align > KSPAN_PAGE_SIZE || !*size ||
	    *size > KSPAN_MAX_SMALL_SIZE)
		return false;
	if (align < sizeof(void *))
		align = sizeof(void *);
	*size = (*size + align - 1) & ~(align - 1);
	return *size <= KSPAN_MAX_SMALL_SIZE;
}

/**
 * cache_create - make an object cache in a heap
 * @heap: which
 * @name: see kspan_cache_create(), as for the rest
 * @size: .
 * @align: .
 * @flags: .
 * @ctor: .
 *
 * Return: the cache; NULL with EINVAL, reported, or with ENOMEM.
 */
struct kspan_cache *cache_create(struct kspan_heap *heap, const char *name, size_t size,
				 size_t align, unsigned int flags, void (*ctor)(void *obj))
{
	struct kspan_cache *cache;
	size_t asked = size;

	if (!name || !cache_geometry(&size, align) ||
	    (flags & ~(KSPAN_TYPESAFE_BY_RCU | KSPAN_NOSCAN))) {
		port_report("object cache %s: no objects of %zu bytes, align %zu, flags 0x%x",
			    name ? name : "without a name", asked, align, flags);
		return heap_fail(heap, EINVAL);
	}
	cache = fix_alloc(&heap->fix[FIX_CACHE], GFP_KERNEL);
	if (!cache)
		return heap_fail(heap, ENOMEM);
	cache->heap = heap;
	if (!cache_init(cache, name, size, flags, ctor)) {
		fix_free(&heap->fix[FIX_CACHE], cache);
		return heap_fail(heap, ENOMEM);
	}
	cache->asked = asked;
	/* the lock of heap_set_debug() */
	port_mutex_lock(&heap->caches_lock);
	if (heap->checked)
		debug_slots_off(heap, &cache->slots, true);
	port_list_add_tail(&cache->node, &heap->caches);
	port_mutex_unlock(&heap->caches_lock);
	return cache;
}

/* Construct the objects of a new span. */
void objcache_span_init(struct kspan_central *central, struct kspan_span *span)
{
	u32 i;

	if (!central->cache->ctor)
		return;
	if (port_poisons())
		poison_span(central->heap, span, false);
	for (i = 0; i < central->nobjs; i++)
		central->cache->ctor((void *)(span->start + (uintptr_t)i * central->size));
}

/* Move all of @from to the end of @to. */
static void list_move_all(port_list_t *from, port_list_t *to)
{
	struct kspan_span *span, *tmp;

	port_list_for_each_entry_safe(span, tmp, from, node)
		port_list_move_tail(&span->node, to);
}

/* A grace period is over: free what waited for it, wait for the rest. */
static void objcache_limbo_over(port_rcu_t *rcu)
{
	struct kspan_cache *cache = container_of(rcu, struct kspan_cache, rcu);
	struct kspan_heap *heap = cache->heap;
	struct kspan_span *span, *tmp;
	unsigned long flags;
	port_list_t over;
	bool again;

	port_list_init(&over);
	flags = port_lock(&cache->limbo_lock);
	list_move_all(&cache->limbo, &over);
	list_move_all(&cache->limbo_next, &cache->limbo);
	again = !port_list_empty(&cache->limbo);
	cache->waiting = again;
	port_unlock(&cache->limbo_lock, flags);

	if (again)
		port_call_rcu(&cache->rcu, objcache_limbo_over);
	port_list_for_each_entry_safe(span, tmp, &over, node) {
		port_list_del(&span->node);
		heap_span_free(heap, span);
	}
}

/* The last object of @span was freed. */
void objcache_span_free(struct kspan_central *central, struct kspan_span *span)
{
	struct kspan_cache *cache = central->cache;
	unsigned long flags;
	bool start;

	if (!(cache->flags & KSPAN_TYPESAFE_BY_RCU)) {
		heap_span_free(cache->heap, span);
		return;
	}
	flags = port_lock(&cache->limbo_lock);
	span_set_state(span, SPAN_LIMBO);
	start = !cache->waiting;
	cache->waiting = true;
	port_list_add_tail(&span->node, start ? &cache->limbo : &cache->limbo_next);
	port_unlock(&cache->limbo_lock, flags);
	if (start)
		port_call_rcu(&cache->rcu, objcache_limbo_over);
}

static inline void cache_free_obj(struct kspan_cache *cache, struct kspan_span *span,
				  void *obj, uintptr_t caller)
{
	struct kspan_heap *heap = cache->heap;

	if (likely(port_slot_push(&cache->slots, 0, obj)))
		return;
	if (!heap_checked(heap))
		cache_flush(&cache->slots, span->central, obj, caller);
	else if (debug_free(heap, span, obj, caller))
		central_put(heap, &obj, 1, caller);
}

/* kspan_free() of an object that is a cache's. */
void objcache_free(struct kspan_heap *heap, struct kspan_span *span, void *obj,
		   uintptr_t caller)
{
	struct kspan_central *central = port_load_acquire(&span->central);

	if (central)
		cache_free_obj(central->cache, span, obj, caller);
	else
		heap_misuse(heap, KSPAN_FOREIGN_FREE, obj, caller);
}

/* Put @obj on the CPU's stack, if it belongs there and there is room. Any context. */
bool objcache_push(struct kspan_span *span, void *obj)
{
	struct kspan_central *central = port_load_acquire(&span->central);

	return central && port_slot_push_fast(&central->cache->slots, 0, obj);
}

bool objcache_has_ctor(const struct kspan_cache *cache)
{
	return cache->ctor != NULL;
}

/* Objects that are with callers, over all nodes. */
static u64 cache_nlive(struct kspan_cache *cache)
{
	u64 pops, n = 0;
	u32 node;

	for (node = 0; node < cache->heap->nnodes; node++) {
		struct kspan_central *central = &cache->central[node];
		unsigned long flags = port_lock(&central->lock);

		n += central->nout - central->ntransfer;
		port_unlock(&central->lock, flags);
	}
	return n - stack_cached(&cache->slots, 0, &pops);
}

static void cache_count(struct kspan_cache *cache, struct kspan_cache_info *info)
{
	struct kspan_central *central = cache->central;
	u64 pops, nout = 0;
	u32 node;

	port_memset(info, 0, sizeof(*info));
	port_memcpy(info->name, cache->name, sizeof(info->name));
	info->size = central->size;
	info->nobjs = central->nobjs;
	info->npages = central->npages;
	info->ncached = stack_cached(&cache->slots, 0, &pops);
	info->nmalloc = pops;
	for (node = 0; node < cache->heap->nnodes; node++) {
		unsigned long flags = port_lock(&central[node].lock);

		info->nspan += central[node].nspan;
		nout += central[node].nout;
		info->ncached += central[node].ntransfer;
		port_unlock(&central[node].lock, flags);
		info->nmalloc += port_load(&central[node].ndirect);
	}
	info->nlive = nout > info->ncached ? nout - info->ncached : 0;
	info->nfree = info->nmalloc > info->nlive ? info->nmalloc - info->nlive : 0;
}

/* What the @nth object cache of the heap looks like; false when there is none. */
bool objcache_info(struct kspan_heap *heap, u32 nth, struct kspan_cache_info *info)
{
	struct kspan_cache *cache;
	bool found = false;

	port_mutex_lock(&heap->caches_lock);
	port_list_for_each_entry(cache, &heap->caches, node) {
		if (nth--)
			continue;
		cache_count(cache, info);
		found = true;
		break;
	}
	port_mutex_unlock(&heap->caches_lock);
	return found;
}

/* Add the object caches to @stats. */
void objcache_stats(struct kspan_heap *heap, struct kspan_stats *stats)
{
	struct kspan_cache_info info;
	struct kspan_cache *cache;

	/* one that ends meanwhile counts once */
	port_mutex_lock(&heap->caches_lock);
	stats->cache_nmalloc = port_load(&heap->cache_nmalloc);
	stats->cache_nfree = port_load(&heap->cache_nfree);
	port_list_for_each_entry(cache, &heap->caches, node) {
		cache_count(cache, &info);
		stats->cache_nmalloc += info.nmalloc;
		stats->cache_nfree += info.nfree;
		stats->live_bytes += info.nlive * info.size;
		stats->cached_bytes += info.ncached * info.size;
	}
	port_mutex_unlock(&heap->caches_lock);
}

/* As cache_drain_idle(), for all object caches. */
bool objcache_drain_idle(struct kspan_heap *heap)
{
	struct kspan_cache *cache;
	bool left = false;

	port_mutex_lock(&heap->caches_lock);
	port_list_for_each_entry(cache, &heap->caches, node)
		left |= cache_drain_idle(heap, &cache->slots);
	port_mutex_unlock(&heap->caches_lock);
	return left;
}

/* For heap_set_debug(), which holds the lock. */
void objcache_slots_off(struct kspan_heap *heap, bool off)
{
	struct kspan_cache *cache;

	port_list_for_each_entry(cache, &heap->caches, node)
		debug_slots_off(heap, &cache->slots, off);
}

/* Whether what is in an object must stay as it is from one life to the next. */
bool objcache_keeps_contents(const struct kspan_cache *cache)
{
	return cache->ctor || cache->flags & KSPAN_TYPESAFE_BY_RCU;
}

/* Whether readers may look at an object that is free. */
bool objcache_is_typesafe(const struct kspan_cache *cache)
{
	return cache->flags & KSPAN_TYPESAFE_BY_RCU;
}

/* Empty the stacks of all object caches. */
void objcache_drain_all(struct kspan_heap *heap)
{
	struct kspan_cache *cache;

	port_mutex_lock(&heap->caches_lock);
	port_list_for_each_entry(cache, &heap->caches, node)
		cache_drain(heap, &cache->slots);
	port_mutex_unlock(&heap->caches_lock);
}

static int cache_verify(struct kspan_cache *cache)
{
	int n = 0;
	u32 node;

	port_slots_freeze(&cache->slots);
	for (node = 0; node < cache->heap->nnodes; node++)
		n += central_verify(&cache->central[node], &cache->slots);
	port_slots_thaw(&cache->slots);
	return n;
}

/* Verify all object caches: number of violations. */
int objcache_verify(struct kspan_heap *heap)
{
	struct kspan_cache *cache;
	int n = 0;

	port_mutex_lock(&heap->caches_lock);
	port_list_for_each_entry(cache, &heap->caches, node)
		n += cache_verify(cache);
	port_mutex_unlock(&heap->caches_lock);
	return n;
}

/* Call @fn for the central lists of all object caches. */
void objcache_each_central(struct kspan_heap *heap,
			       void (*fn)(struct kspan_central *central, void *arg),
			       void *arg)
{
	struct kspan_cache *cache;
	u32 node;

	port_mutex_lock(&heap->caches_lock);
	port_list_for_each_entry(cache, &heap->caches, node)
		for (node = 0; node < heap->nnodes; node++)
			fn(&cache->central[node], arg);
	port_mutex_unlock(&heap->caches_lock);
}

/**
 * objcache_each_lock - the locks of all object caches
 * @heap: whose
 * @rank: KSPAN_RANK_RCU or KSPAN_RANK_CENTRAL: those of this rank
 * @fn: called with each, in the same order every time
 *
 * For fork(), which takes them all.
 *
 * Context: heap->caches_lock is held, by means of the caller's own.
 */
void objcache_each_lock(struct kspan_heap *heap, enum kspan_rank rank,
			void (*fn)(port_lock_t *lock))
{
	struct kspan_cache *cache;
	u32 node;

	port_list_for_each_entry(cache, &heap->caches, node) {
		if (rank == KSPAN_RANK_RCU) {
			fn(&cache->limbo_lock);
			continue;
		}
		for (node = 0; node < heap->nnodes; node++)
			fn(&cache->central[node].lock);
	}
}

/**
 * objcache_each_slotset - the slotsets of all object caches
 * @heap: whose
 * @fn: called with each, in the same order every time
 * @arg: for @fn
 *
 * Context: heap->caches_lock is held, by means of the caller's own.
 */
void objcache_each_slotset(struct kspan_heap *heap,
			   void (*fn)(struct kspan_slotset *ss, void *arg), void *arg)
{
	struct kspan_cache *cache;

	port_list_for_each_entry(cache, &heap->caches, node)
		fn(&cache->slots, arg);
}

/* For reports. */
const char *objcache_name(const struct kspan_cache *cache)
{
	return cache->name;
}

/* A cache that ended leaves its counts with the heap. */
static void cache_keep_counts(struct kspan_cache *cache)
{
	struct kspan_cache_info info;

	cache_count(cache, &info);
	port_add(&cache->heap->cache_nmalloc, info.nmalloc);
	port_add(&cache->heap->cache_nfree, info.nfree);
}

/* Until no callback is under way: the one that ends the waiting, too. */
static void cache_wait_limbo(struct kspan_cache *cache)
{
	bool waiting;

	do {
		unsigned long flags = port_lock(&cache->limbo_lock);

		waiting = cache->waiting;
		port_unlock(&cache->limbo_lock, flags);
		port_rcu_barrier();
	} while (waiting);
}

/**
 * cache_destroy - end an object cache
 * @cache: nobody allocates from it or frees to it any more
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY when objects are out: they are listed, and the cache stays.
 */
int cache_destroy(struct kspan_cache *cache)
{
	struct kspan_heap *heap = cache->heap;
	u32 node;

	heap_catch_up_all(heap);
	/* nor has anybody else who drains its stacks any of its objects in hands */
	port_mutex_lock(&heap->caches_lock);
	cache_drain(heap, &cache->slots);
	port_mutex_unlock(&heap->caches_lock);
	debug_flush(heap);
	heap_wait_frees(heap);
	if (cache->flags & KSPAN_TYPESAFE_BY_RCU)
		cache_wait_limbo(cache);
	if (cache_nlive(cache)) {
		port_report("object cache %s has %llu objects out and stays", cache->name,
			    (unsigned long long)cache_nlive(cache));
		for (node = 0; node < heap->nnodes; node++)
			central_leaks(&cache->central[node]);
		return -EBUSY;
	}
	port_mutex_lock(&heap->caches_lock);
	port_list_del(&cache->node);
	cache_keep_counts(cache);
	port_mutex_unlock(&heap->caches_lock);
	port_slotset_destroy(&cache->slots);
	for (node = 0; node < heap->nnodes; node++)
		transfer_destroy(&cache->central[node]);
	fix_free(&heap->fix[FIX_CACHE], cache);
	return 0;
}

/**
 * objcache_end_all - end the caches that nobody destroyed
 * @heap: it ends; their stacks are empty, and their metadata is the heap's
 *
 * Whoever forgot one is told of it. What waits for a grace period is waited for: its
 * callback must find the heap.
 *
 * Context: process; sleeps.
 */
void objcache_end_all(struct kspan_heap *heap)
{
	struct kspan_cache *cache, *tmp;

	port_list_for_each_entry_safe(cache, tmp, &heap->caches, node) {
		port_report("object cache %s was never destroyed", cache->name);
		if (cache->flags & KSPAN_TYPESAFE_BY_RCU)
			cache_wait_limbo(cache);
		port_list_del(&cache->node);
		port_slotset_destroy(&cache->slots);
	}
}

/* The public API. */

/**
 * kspan_cache_create - make a cache of objects of one type
 * @name: for statistics and reports; the first 31 characters count
 * @size: bytes per object, 1 .. 32 KiB
 * @align: alignment of the objects, a power of two up to 8 KiB; 0 for that of a
 *	pointer
 * @flags: KSPAN_TYPESAFE_BY_RCU: the memory of a freed object stays an object of
 *	this cache until a grace period is over; KSPAN_NOSCAN: no pointers inside
 * @ctor: called once for each object when its memory is obtained, or NULL. The
 *	user must free objects in their constructed state. May be called in any
 *	context that allocates.
 *
 * Context: process; sleeps.
 * Return: the cache; NULL when an argument makes no sense (EINVAL in a program)
 * or there is no memory (ENOMEM).
 */
struct kspan_cache *kspan_cache_create(const char *name, size_t size, size_t align,
				       unsigned int flags, void (*ctor)(void *obj))
{
	if (!heap_ready(&kspan_heap0))
		return heap_fail(&kspan_heap0, ENOMEM);
	return cache_create(&kspan_heap0, name, size, align, flags, ctor);
}

/**
 * kspan_cache_destroy - end a cache
 * @cache: not used any more; NULL is nothing. Objects freed with
 *	kspan_free_rcu() must have come back: kspan_rcu_barrier() waits for them.
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY when objects are still out: these are listed, and the cache
 * stays usable.
 */
int kspan_cache_destroy(struct kspan_cache *cache)
{
	return cache ? cache_destroy(cache) : 0;
}

/* The cache's spans on a node; those on node 0 where there is no such node. */
static struct kspan_central *cache_central(struct kspan_cache *cache, int nodeid)
{
	return &cache->central[(u32)nodeid < cache->heap->nnodes ? nodeid : 0];
}

static void *cache_miss(struct kspan_cache *cache, gfp_t flags, uintptr_t caller)
{
	void *obj;

	if (heap_checked(cache->heap) && debug_refuses(cache->heap, cache->asked, flags))
		return heap_fail(cache->heap, ENOMEM);
	obj = cache_refill(&cache->slots, cache_central(cache, port_node()), flags, caller);
	if (heap_checked(cache->heap))
		debug_alloc(cache->heap, obj, cache->asked, flags, caller);
	return obj ? obj : heap_fail(cache->heap, ENOMEM);
}

static void *cache_alloc_observed(struct kspan_cache *cache, void *obj, gfp_t flags,
				  uintptr_t caller)
{
	if (!obj)
		obj = cache_miss(cache, flags, caller);
	port_obj_alloc(obj, cache->central->size, flags, cache->central->noscan, caller);
	return obj;
}

/* The rest of an allocation that missed (@obj NULL) or that somebody watches. */
static noinline void *cache_alloc_rest(struct kspan_cache *cache, void *obj, gfp_t flags,
				       uintptr_t caller)
{
	return cache_alloc_observed(cache, obj, flags, caller);
}

/* The same of a free. */
static noinline void cache_free_rest(struct kspan_cache *cache, struct kspan_span *span,
				     void *obj, uintptr_t caller)
{
	port_obj_free(obj, caller);
	cache_free_obj(cache, span, obj, caller);
}

static __always_inline void *cache_alloc(struct kspan_cache *cache, gfp_t flags)
{
	void *obj = port_slot_pop(&cache->slots, 0);

	if (unlikely(!obj) || port_watch_alloc())
		return cache_alloc_rest(cache, obj, flags, CALLER());
	return obj;
}

/**
 * kspan_cache_alloc - allocate an object of a cache
 * @cache: which
 * @flags: as kspan_alloc(); __GFP_ZERO as kspan_cache_zalloc()
 *
 * Context: as kspan_alloc().
 * Return: the object, in its constructed state if there is a constructor; NULL
 * when there is no memory.
 */
void *kspan_cache_alloc(struct kspan_cache *cache, gfp_t flags)
{
	if (unlikely(flags & __GFP_ZERO))
		return kspan_cache_zalloc(cache, flags & ~__GFP_ZERO);
	return cache_alloc(cache, flags);
}

/**
 * kspan_cache_alloc_nolock - allocate an object of a cache, in any context
 * @cache: which; __GFP_ZERO needs one without constructor
 * @flags: as kspan_alloc_nolock()
 *
 * Context: as kspan_alloc_nolock().
 * Return: the object, or NULL. Where there is a constructor, only objects that
 * were constructed before are to be had.
 */
void *kspan_cache_alloc_nolock(struct kspan_cache *cache, gfp_t flags)
{
	void *obj;

	if ((flags & __GFP_ZERO) && cache->ctor)
		return heap_fail(cache->heap, EINVAL);
	obj = port_slot_pop_fast(&cache->slots, 0);
	if (!obj)
		obj = central_take_nolock(cache_central(cache, port_node()));
	if (!obj)
		return heap_fail(cache->heap, ENOMEM);
	if (heap_checked(cache->heap))
		debug_note(cache->heap, obj, cache->asked, CALLER());
	if (flags & __GFP_ZERO)
		port_obj_fill(obj, 0, cache->asked);
	port_obj_alloc_nolock(obj, cache->central->size, flags, CALLER());
	return obj;
}

/**
 * kspan_cache_alloc_node - allocate an object of a cache on a NUMA node
 * @cache: which
 * @flags: as kspan_cache_alloc()
 * @node: as kspan_alloc_node()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_cache_alloc().
 */
void *kspan_cache_alloc_node(struct kspan_cache *cache, gfp_t flags, int node)
{
	struct kspan_heap *heap = cache->heap;
	void *obj = NULL;

	if (node == NUMA_NO_NODE)
		return kspan_cache_alloc(cache, flags);
	if ((flags & __GFP_ZERO) && cache->ctor)
		return heap_fail(heap, EINVAL);
	if (heap_checked(heap) && debug_refuses(heap, cache->asked, flags))
		return heap_fail(heap, ENOMEM);
	if ((u32)node < heap->nnodes || !(flags & __GFP_THISNODE))
		obj = cache_alloc_node(&cache->slots, cache_central(cache, node),
				       flags & ~__GFP_ZERO, CALLER());
	if (!obj)
		return heap_fail(heap, ENOMEM);
	if (heap_checked(heap))
		debug_alloc(heap, obj, cache->asked, flags, CALLER());
	if (flags & __GFP_ZERO)
		port_obj_fill(obj, 0, cache->asked);
	port_obj_alloc(obj, cache->central->size, flags, cache->central->noscan, CALLER());
	return obj;
}

/**
 * kspan_cache_zalloc - allocate a zeroed object of a cache
 * @cache: which; one without constructor, whose work zeroing would undo
 * @flags: as kspan_alloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_cache_alloc(); NULL and EINVAL when there is a constructor.
 */
void *kspan_cache_zalloc(struct kspan_cache *cache, gfp_t flags)
{
	void *obj;

	if (cache->ctor)
		return heap_fail(cache->heap, EINVAL);
	flags &= ~__GFP_ZERO;
	obj = cache_alloc_observed(cache, port_slot_pop(&cache->slots, 0), flags, CALLER());
	if (obj)
		port_obj_fill(obj, 0, cache->asked);
	return obj;
}

/**
 * kspan_cache_free - free an object of a cache
 * @cache: the object's
 * @obj: the object; NULL is nothing. An object of another cache, or of none, is
 *	reported and left alone.
 *
 * Context: as kspan_free().
 */
void kspan_cache_free(struct kspan_cache *cache, void *obj)
{
	struct kspan_span *span;

	if (ZERO_OR_NULL_PTR(obj))
		return;
	span = pagemap_span(cache->heap, (uintptr_t)obj);
	if (unlikely(!span || !span->central || span->central->cache != cache)) {
		heap_misuse(cache->heap, KSPAN_FOREIGN_FREE, obj, CALLER());
		return;
	}
	if (port_watch_free() || unlikely(!port_slot_push(&cache->slots, 0, obj)))
		cache_free_rest(cache, span, obj, CALLER());
}

/* What is to be done with each object that goes out. */
static noinline void cache_bulk_out(struct kspan_cache *cache, gfp_t flags, size_t n,
				    void **objs, uintptr_t caller)
{
	struct kspan_heap *heap = cache->heap;
	size_t i;

	for (i = 0; i < n; i++) {
		if (heap_checked(heap))
			debug_alloc(heap, objs[i], cache->asked, flags, caller);
		if (flags & __GFP_ZERO)
			port_obj_fill(objs[i], 0, cache->asked);
		port_obj_alloc(objs[i], cache->central->size, flags, cache->central->noscan,
			       caller);
	}
}

/**
 * kspan_cache_alloc_bulk - allocate many objects of a cache
 * @cache: which
 * @flags: as kspan_cache_alloc()
 * @n: how many
 * @objs: where to put them
 *
 * Context: as kspan_alloc().
 * Return: @n; 0 when there is no memory for all: nothing is allocated then. 0, too, for
 * __GFP_ZERO when there is a constructor.
 */
size_t kspan_cache_alloc_bulk(struct kspan_cache *cache, gfp_t flags, size_t n, void **objs)
{
	struct kspan_heap *heap = cache->heap;
	bool refused = n && heap_checked(heap) && debug_refuses(heap, cache->asked, flags);
	size_t got = 0;

	if ((flags & __GFP_ZERO) && cache->ctor) {
		heap_fail(heap, EINVAL);
		return 0;
	}
	while (got < n && !refused) {
		u32 want = n - got > 0x10000 ? 0x10000 : n - got;
		u32 took = cache_alloc_bulk(&cache->slots, cache_central(cache, port_node()),
					    flags & ~__GFP_ZERO, want, objs + got, CALLER());

		got += took;
		if (took < want)
			break;
	}
	if (heap_checked(heap) || (flags & __GFP_ZERO) || port_watch_alloc())
		cache_bulk_out(cache, flags, got, objs, CALLER());
	if (got == n)
		return n;
	kspan_cache_free_bulk(cache, got, objs);
	heap_fail(heap, ENOMEM);
	return 0;
}

/*
 * How many objects, from the first on, are of the cache and may be freed at once: none
 * where somebody wants to see each. As many as one lock is held for at most.
 */
static u32 cache_run(const struct kspan_cache *cache, void **objs, size_t n)
{
	const struct kspan_span *span;
	u32 i;

	if (port_watch_free() || heap_checked(cache->heap))
		return 0;
	for (i = 0; i < n && i < CACHE_STACK_OBJS; i++) {
		span = pagemap_span(cache->heap, (uintptr_t)objs[i]);
		if (unlikely(!span || !span->central || span->central->cache != cache))
			break;
	}
	return i;
}

/**
 * kspan_cache_free_bulk - free many objects of a cache
 * @cache: theirs
 * @n: how many
 * @objs: the objects
 *
 * Context: as kspan_free().
 */
void kspan_cache_free_bulk(struct kspan_cache *cache, size_t n, void **objs)
{
	size_t i = 0;

	while (i < n) {
		u32 run = cache_run(cache, objs + i, n - i);

		if (run)
			cache_free_bulk(&cache->slots, cache->central, objs + i, run, CALLER());
		else
			kspan_cache_free(cache, objs[i]);
		i += run ? run : 1;
	}
}

/**
 * kspan_cache_shrink - give back what a cache does not use
 * @cache: which
 *
 * Empties the CPUs' stacks; spans that become empty go to the heap, whose idle
 * pages go to the system.
 *
 * Context: process; sleeps.
 * Return: bytes given back to the system.
 */
size_t kspan_cache_shrink(struct kspan_cache *cache)
{
	cache_drain(cache->heap, &cache->slots);
	return heap_release(cache->heap, true, GFP_KERNEL);
}
