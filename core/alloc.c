// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * kspan: a memory allocator after the Go runtime's, in C, for a kernel module
 * and for programs.
 *
 * Memory is cut into pages of 8 KiB. A run of pages that serves one purpose is
 * a span. There are two kinds of objects:
 *
 *   small	up to 32 KiB: rounded up to one of 67 size classes. A span holds
 *		objects of one class only, so its state is a bitmap.
 *   large	all others: a span each.
 *
 * Each size class exists twice, for objects that hold pointers (scan) and
 * that do not (noscan): a leak detector or a collector need not look inside
 * the latter. Both together make the span class. And noscan objects of less
 * than 16 bytes share blocks of 16 (tiny).
 *
 * An allocation goes down this list until it finds something, a free goes up
 * it until there is room:
 *
 *   cache	cache.c, slot.h: for each CPU and span class a stack of free
 *		objects. The port makes push and pop indivisible on the CPU's own
 *		stack without locks or atomic instructions.
 *   transfer	transfer.c: batches of objects on their way between the stacks.
 *   central	central.c: for each span class and NUMA node the spans with and
 *		without free objects; a lock each. Objects move in batches.
 *   heap	heap.c, pagealloc.c: free pages, best at low addresses; a lock.
 *   system	a page source (alloc_pages, mmap), asked with no lock held.
 *
 * Memory comes back the same way: a span whose last object is freed returns to
 * the heap at once, and pages that stay idle go back to the system
 * (scavenge.c).
 *
 * Why it is shaped like this:
 *
 * - All that kspan knows of an object is kept out of band; it never reads or
 *   writes a free object. A use after free cannot corrupt the allocator, fresh
 *   memory stays untouched, and memory can be given back under free objects.
 *   The price is a bitmap per span, paid per batch and not per object.
 *
 * - free() needs to know the class of an address. One aligned 4 MiB of
 *   addresses is an arena, with a class byte and a span pointer for each page;
 *   a table by address >> 22 gives the arena (pagemap.c). Two dependent loads.
 *   Page classes that are not small objects use stacks that are always closed,
 *   so that free() needs no test for them, nor for NULL.
 *
 * - The same closed stacks stand for everything that is not the common case:
 *   a heap that has not started, one that is frozen (to be verified or
 *   drained), a checked one. The fast path has one way out, and options cost
 *   nothing while they are off.
 *
 * - core/ knows its world through include/kspan/port.h only, and has no state
 *   of its own: everything hangs off a struct kspan_heap. A test makes as many
 *   as it likes, each with its own page source.
 *
 * This file has the entry points. The rest of core/: large.c warm.c tiny.c span.c
 * fixalloc.c (metadata) objcache.c (object caches) rcu.c nolock.c (NMIs and
 * signal handlers) reserve.c poison.c (for sanitizers) stats.c verify.c.
 */
#include <kspan/heap.h>

#define CALLER()	((uintptr_t)__builtin_return_address(0))

/* An object that no stack had at once. */
static void *alloc_miss(struct kspan_heap *heap, size_t size, bool noscan, gfp_t gfp,
			uintptr_t caller)
{
	u32 stack;
	void *obj;

	if (size > KSPAN_MAX_SMALL_SIZE)
		return large_alloc(heap, size, 1, port_node(), gfp, noscan, caller);
	stack = span_class(size_to_class(size), noscan);
	obj = port_slot_pop(&heap->slots, stack);
	if (!obj)
		obj = cache_refill(&heap->slots, heap_want_central(heap, stack, port_node(), gfp),
				   gfp, caller);
	if (heap_checked(heap))
		debug_alloc(heap, obj, size, gfp, caller);
	return obj;
}

/* The same in a heap that is checked: it may fail, or be the port's. */
static void *alloc_checked(struct kspan_heap *heap, size_t size, bool noscan, gfp_t gfp,
			   uintptr_t caller)
{
	void *obj;

	if (debug_refuses(heap, size, gfp))
		return NULL;
	obj = debug_guarded(heap, size, gfp, caller);
	return obj ? obj : alloc_miss(heap, size, noscan, gfp, caller);
}

/**
 * heap_alloc_slow - allocate what the fast path did not
 * @heap: from this heap
 * @size: any
 * @noscan: the object holds no pointers
 * @gfp: as kspan_alloc(); __GFP_ZERO acts on large objects only
 * @caller: for whom; 0 for who called this
 *
 * Return: the object, ZERO_SIZE_PTR for no size, NULL when there is no memory.
 */
noinline void *heap_alloc_slow(struct kspan_heap *heap, size_t size, bool noscan, gfp_t gfp,
			       uintptr_t caller)
{
	void *obj;

	if (!caller)
		caller = CALLER();
	if (!heap_ready(heap))
		return heap_fail(heap, ENOMEM);
	heap_catch_up(heap);
	if (!size)
		return ZERO_SIZE_PTR;
	if (heap_checked(heap))
		obj = alloc_checked(heap, size, noscan, gfp, caller);
	else
		obj = alloc_miss(heap, size, noscan, gfp, caller);
	return obj ? obj : heap_fail(heap, ENOMEM);
}

/* A pointer on a page without objects: it was ours, or it was not. */
void heap_free_unknown(struct kspan_heap *heap, void *ptr, uintptr_t caller)
{
	struct kspan_arena *arena = pagemap_arena(heap, (uintptr_t)ptr);
	u32 page = addr_to_page((uintptr_t)ptr);
	bool ours;

	if (pagemap_find(heap, (uintptr_t)ptr)) {
		heap_misuse(heap, KSPAN_INTERIOR_FREE, ptr, caller);
		return;
	}
	ours = arena != &kspan_no_arena &&
	       port_load(&arena->free[page / 64]) >> (page % 64) & 1;

	/* one that is guarded may have been freed while the heap was not checked */
	if (!ours && port_guard_free(heap, ptr, caller))
		return;
	heap_misuse(heap, ours ? KSPAN_DOUBLE_FREE : KSPAN_FOREIGN_FREE, ptr, caller);
}

/* Put a small object on its stack, or with no cache straight into its span. */
static void free_small(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		       uintptr_t caller)
{
	if (heap_checked(heap)) {
		if (debug_free(heap, span, ptr, caller))
			central_put(heap, &ptr, 1, caller);
	} else if (!port_slot_push(&heap->slots, span->pclass, ptr)) {
		cache_flush(&heap->slots, heap_central(heap, span->pclass, span->nodeid),
			    ptr, caller);
	}
}

/**
 * heap_free_slow - free what the fast path did not
 * @heap: the object's
 * @ptr: any pointer
 * @caller: by whom; 0 for who called this
 */
noinline void heap_free_slow(struct kspan_heap *heap, void *ptr, uintptr_t caller)
{
	struct kspan_span *span;

	if (!caller)
		caller = CALLER();
	if (ZERO_OR_NULL_PTR(ptr))
		return;
	heap_ready(heap);	/* how to report a foreign pointer is an option */
	span = pagemap_span(heap, (uintptr_t)ptr);
	if (!span) {
		heap_free_unknown(heap, ptr, caller);
		return;
	}
	switch (span->pclass) {
	case KSPAN_PC_LARGE:
		large_free(heap, span, ptr, caller);
		break;
	case KSPAN_PC_TINY:
		tiny_free(heap, span, ptr, caller);
		break;
	case KSPAN_PC_CACHE:
		objcache_free(heap, span, ptr, caller);
		break;
	default:
		free_small(heap, span, ptr, caller);
	}
}

/**
 * heap_zalloc - allocate zeroed memory
 * @heap: from this heap
 * @size: any
 * @noscan: the object holds no pointers
 * @gfp: as kspan_alloc()
 * @caller: for whom
 *
 * Return: as heap_alloc_slow().
 */
void *heap_zalloc(struct kspan_heap *heap, size_t size, bool noscan, gfp_t gfp,
		  uintptr_t caller)
{
	void *obj;

	if (size > KSPAN_MAX_SMALL_SIZE)
		return heap_alloc_slow(heap, size, noscan, gfp | __GFP_ZERO, caller);
	obj = heap_alloc(heap, size, noscan, gfp, caller);
	if (likely(!ZERO_OR_NULL_PTR(obj)))
		port_obj_fill(obj, 0, size);
	return obj;
}

/**
 * aligned_class - a size class by size and alignment
 * @size: bytes
 * @align: a power of two
 *
 * Return: the smallest class at or above @size whose objects are all aligned to
 * @align: its size is a multiple, and its spans start at one. 0: none.
 */
u32 aligned_class(size_t size, size_t align)
{
	u32 class;

	if (size > KSPAN_MAX_SMALL_SIZE)
		return 0;
	for (class = size_to_class(size); class < KSPAN_NUM_SIZE_CLASSES; class++)
		if (!(kspan_class_to_size[class] & (align - 1)) &&
		    align <= pages_to_bytes(kspan_class_to_span_align[class]))
			return class;
	return 0;
}

/**
 * heap_alloc_aligned - allocate at an alignment
 * @heap: from this heap
 * @size: any
 * @align: a power of two
 * @gfp: as kspan_alloc()
 * @caller: for whom
 *
 * Return: as heap_alloc_slow(); EINVAL is noted when @align is not a power of two.
 */
void *heap_alloc_aligned(struct kspan_heap *heap, size_t size, size_t align, gfp_t gfp,
			 uintptr_t caller)
{
	size_t rounded;
	void *obj;

	if (!align || (align & (align - 1)))
		return heap_fail(heap, EINVAL);
	if (!size)
		return ZERO_SIZE_PTR;
	rounded = kspan_class_to_size[aligned_class(size, align)];
	if (rounded) {
		obj = gfp & __GFP_ZERO ? heap_zalloc(heap, rounded, false, gfp, caller) :
					 heap_alloc(heap, rounded, false, gfp, caller);
		if (heap_checked(heap))
			debug_set_size(heap, obj, size);
		return obj;
	}
	if (!heap_ready(heap) || (heap_checked(heap) && debug_refuses(heap, size, gfp)))
		return heap_fail(heap, ENOMEM);
	obj = large_alloc(heap, size, align, port_node(), gfp, false, caller);
	return obj ? obj : heap_fail(heap, ENOMEM);
}

/*
 * Whether the object is free in its span, or in quarantine. Where objects wait in caches
 * that tells nothing of the others, so only a checked heap is asked.
 */
static bool known_free(struct kspan_heap *heap, struct kspan_span *span, u32 idx)
{
	return heap_checked(heap) &&
	       (port_load(&span->free[idx / 64]) >> (idx % 64) & 1 ||
		debug_is_held(heap, span, span_object(span, idx)));
}

/**
 * heap_alloc_node - allocate on a node
 * @heap: from this heap
 * @size: any
 * @gfp: as kspan_alloc()
 * @nodeid: see kspan_alloc_node()
 * @caller: for whom
 *
 * Return: as heap_alloc_slow().
 */
void *heap_alloc_node(struct kspan_heap *heap, size_t size, gfp_t gfp, int nodeid,
		      uintptr_t caller)
{
	struct kspan_central *central;
	void *obj = NULL;
	u32 stack;

	if (nodeid == NUMA_NO_NODE || !size)
		return gfp & __GFP_ZERO ? heap_zalloc(heap, size, false, gfp, caller) :
					  heap_alloc(heap, size, false, gfp, caller);
	if (!heap_ready(heap) || (heap_checked(heap) && debug_refuses(heap, size, gfp)) ||
	    ((u32)nodeid >= heap->nnodes && (gfp & __GFP_THISNODE)))
		return heap_fail(heap, ENOMEM);
	if (size > KSPAN_MAX_SMALL_SIZE) {
		obj = large_alloc(heap, size, 1, nodeid, gfp, false, caller);
	} else {
		stack = span_class(size_to_class(size), false);
		central = heap_want_central(heap, stack, nodeid, gfp);
		/* another's where there was no memory for the node's own */
		if (central->nodeid == nodeid || !(gfp & __GFP_THISNODE))
			obj = cache_alloc_node(&heap->slots, central, gfp, caller);
		if (heap_checked(heap))
			debug_alloc(heap, obj, size, gfp, caller);
		if (obj && (gfp & __GFP_ZERO))
			port_obj_fill(obj, 0, size);
	}
	return obj ? obj : heap_fail(heap, ENOMEM);
}

/* Bytes of the object of @span that begins at @addr; 0 when none does. */
static size_t span_size_at(struct kspan_heap *heap, struct kspan_span *span, uintptr_t addr)
{
	bool exact;
	u32 idx;

	if (span->pclass == KSPAN_PC_LARGE)
		return addr == span->start && port_load(&span->state) == SPAN_LARGE ?
		       pages_to_bytes(span->npages) : 0;
	if (span->pclass == KSPAN_PC_TINY)
		return tiny_is_live(span, addr) ? tiny_size(span, addr) : 0;
	idx = span_index(span, addr, &exact);
	if (idx >= span->nobjs || !exact || known_free(heap, span, idx))
		return 0;
	return span->size;
}

/**
 * heap_size - bytes that may be used at @ptr
 * @heap: the object's
 * @ptr: start of an object
 *
 * Return: the bytes; 0 for what is not the start of an object, and in a checked heap
 * for one that is free.
 */
size_t heap_size(struct kspan_heap *heap, const void *ptr)
{
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)ptr);
	size_t size;

	if (!span)
		return port_guard_size(ptr);
	size = span_size_at(heap, span, (uintptr_t)ptr);
	if (size && heap_checked(heap))
		return debug_size(heap, span, ptr, size);
	return size;
}

/* heap_realloc() of what heap_size() does not know. */
static void realloc_misuse(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
			   uintptr_t caller)
{
	bool exact;
	u32 idx = span_index(span, (uintptr_t)ptr, &exact);
	bool object = exact && idx < span->nobjs;

	heap_misuse(heap, object ? KSPAN_DOUBLE_FREE : KSPAN_INTERIOR_FREE, ptr, caller);
}
/* Whether an object of @have bytes may stay for @size: not if most would be idle. */
static bool realloc_keeps(size_t have, size_t size)
{
	return size <= have && (size >= have / 2 || have <= 64);
}

/*
 * Memory for an object that had @have bytes. One that grows will grow again: from some
 * size on it gets pages of its own, as a large object, which it can do in place.
 */
static void *realloc_alloc(struct kspan_heap *heap, bool noscan, size_t have, size_t size,
			   gfp_t gfp, uintptr_t caller)
{
	void *obj = NULL;

	if (size > have && size > heap->config.apart_bytes && size <= KSPAN_MAX_SMALL_SIZE &&
	    !heap_checked(heap))
		obj = large_alloc(heap, size, 1, port_node(), gfp, noscan, caller);
	/* one that is not there has been counted, and errno set */
	return obj ? obj : heap_alloc(heap, size, noscan, gfp, caller);
}

/* A new object for heap_realloc(), of the same kind as the old one. */
static void *realloc_move(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
			  size_t have, size_t size, gfp_t gfp, uintptr_t caller)
{
	void *obj = realloc_alloc(heap, span && span->noscan, have, size, gfp & ~__GFP_ZERO,
				  caller);

	if (!obj)
		return size <= have ? ptr : NULL;
	port_obj_copy(obj, ptr, have < size ? have : size);
	heap_free(heap, ptr, caller);
	return obj;
}

/**
 * heap_realloc - change an object's size
 * @heap: the object's
 * @ptr: the object; NULL allocates
 * @size: bytes wanted; 0 frees
 * @gfp: as kspan_alloc(); __GFP_ZERO zeroes what is new beyond the old object
 * @caller: for whom
 *
 * A checked heap reports a @ptr that is free already, as it would if it were freed.
 *
 * Return: as heap_alloc_slow(). When it is NULL the old object is as it was.
 */
void *heap_realloc(struct kspan_heap *heap, void *ptr, size_t size, gfp_t gfp,
		   uintptr_t caller)
{
	struct kspan_span *span;
	size_t have;
	void *obj;
	bool stays;

	if (ZERO_OR_NULL_PTR(ptr))
		return gfp & __GFP_ZERO ? heap_zalloc(heap, size, false, gfp, caller) :
					  heap_alloc(heap, size, false, gfp, caller);
	if (!size) {
		heap_free(heap, ptr, caller);
		return ZERO_SIZE_PTR;
	}
	span = pagemap_span(heap, (uintptr_t)ptr);
	have = heap_size(heap, ptr);
	if (!span && !have) {
		heap_free_unknown(heap, ptr, caller);
		return NULL;
	}
	if (!have) {
		realloc_misuse(heap, span, ptr, caller);
		return NULL;
	}
	/* a checked heap shows those who go on with the old address */
	stays = span && !heap_checked(heap);
	if (stays && realloc_keeps(have, size))
		obj = ptr;
	else if (stays && span->pclass == KSPAN_PC_LARGE && large_resize(heap, span, size))
		obj = (void *)span->start;
	else
		obj = realloc_move(heap, span, ptr, have, size, gfp, caller);
	if (obj && (gfp & __GFP_ZERO) && size > have)
		port_obj_fill((char *)obj + have, 0, size - have);
	return obj;
}

/* The public API, over the world's default heap. */

static __always_inline void *observed(void *obj, size_t size, gfp_t gfp, bool noscan,
				      uintptr_t caller)
{
	port_obj_alloc(obj, size, gfp, noscan, caller);
	return obj;
}

/* The rest of an allocation that missed (@obj NULL) or that somebody watches. */
static noinline void *alloc_rest(void *obj, size_t size, gfp_t flags, bool noscan,
				 uintptr_t caller)
{
	if (!obj)
		obj = heap_alloc_slow(&kspan_heap0, size, noscan, flags, caller);
	return observed(obj, size, flags, noscan, caller);
}

/* A free that somebody watches. */
static noinline void free_observed(const void *ptr, uintptr_t caller)
{
	port_obj_free(ptr, caller);
	heap_free(&kspan_heap0, ptr, caller);
}

static noinline void *kspan_zalloc_at(size_t size, gfp_t flags, uintptr_t caller)
{
	return observed(heap_zalloc(&kspan_heap0, size, false, flags, caller), size, flags,
			false, caller);
}

/**
 * kspan_alloc - allocate memory
 * @size: bytes; 0 gives ZERO_SIZE_PTR
 * @flags: GFP_KERNEL, GFP_ATOMIC, ... with the meaning they have for kmalloc();
 *	with __GFP_ZERO as kspan_zalloc()
 *
 * The object is aligned to 8 bytes, to 16 from 32 bytes on where its class is a
 * multiple of that, and to its own size when that is a power of two up to
 * 32 KiB.
 *
 * Context: as @flags say; any but NMI. Takes no lock on a hit.
 * Return: the object, or NULL (in a program with errno ENOMEM) when there is no
 * memory or @size is absurd.
 */
void *kspan_alloc(size_t size, gfp_t flags)
{
	void *obj;

	if (unlikely(flags & __GFP_ZERO))
		return kspan_zalloc_at(size, flags, CALLER());
	obj = heap_alloc_hit(&kspan_heap0, size, false);
	if (unlikely(!obj) || port_watch_alloc())
		return alloc_rest(obj, size, flags, false, CALLER());
	return obj;
}

/**
 * kspan_zalloc - allocate zeroed memory
 * @size: bytes
 * @flags: as kspan_alloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc().
 */
void *kspan_zalloc(size_t size, gfp_t flags)
{
	return kspan_zalloc_at(size, flags, CALLER());
}

static __always_inline void *alloc_noscan(size_t size, gfp_t flags, uintptr_t caller)
{
	struct kspan_heap *heap = &kspan_heap0;
	void *obj;

	if (size - 1 < KSPAN_TINY_SIZE - 1 && !heap_checked(heap) && heap_ready(heap)) {
		obj = tiny_alloc(heap, size, flags, caller);
		if (!obj)
			return heap_fail(heap, ENOMEM);
		if (flags & __GFP_ZERO)
			port_obj_fill(obj, 0, size);
	} else if (flags & __GFP_ZERO) {
		obj = heap_zalloc(heap, size, true, flags, caller);
	} else {
		obj = heap_alloc(heap, size, true, flags, caller);
	}
	return observed(obj, size, flags, true, caller);
}

/**
 * kspan_alloc_noscan - allocate memory that will hold no pointers
 * @size: bytes; under 16 several objects share 16 bytes and are aligned to 8, 4,
 *	2 or 1, the largest of these that divides @size (Go's rule)
 * @flags: as kspan_alloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc().
 */
void *kspan_alloc_noscan(size_t size, gfp_t flags)
{
	return alloc_noscan(size, flags, CALLER());
}

/**
 * kspan_alloc_array - allocate an array, after Go's makeslice
 * @n: elements
 * @size: bytes per element
 * @flags: as kspan_alloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc(); NULL also when @n * @size overflows.
 */
void *kspan_alloc_array(size_t n, size_t size, gfp_t flags)
{
	size_t nbytes;

	if (unlikely(__builtin_mul_overflow(n, size, &nbytes)))
		return heap_fail(&kspan_heap0, ENOMEM);
	return kspan_alloc(nbytes, flags);
}

/**
 * kspan_zalloc_array - allocate a zeroed array
 * @n: elements
 * @size: bytes per element
 * @flags: as kspan_alloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc_array().
 */
void *kspan_zalloc_array(size_t n, size_t size, gfp_t flags)
{
	return kspan_alloc_array(n, size, flags | __GFP_ZERO);
}

/**
 * kspan_alloc_aligned - allocate at an alignment
 * @size: bytes
 * @align: alignment in bytes, a power of two
 * @flags: as kspan_alloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc(). An alignment that is not a power of two gives NULL
 * and, in a program, errno EINVAL.
 */
void *kspan_alloc_aligned(size_t size, size_t align, gfp_t flags)
{
	return observed(heap_alloc_aligned(&kspan_heap0, size, align, flags, CALLER()), size,
			flags, false, CALLER());
}

/**
 * kspan_alloc_node - allocate on a NUMA node
 * @size: bytes
 * @flags: as kspan_alloc()
 * @node: the node; NUMA_NO_NODE for the caller's own, as kspan_alloc(). A
 *	preference: when the node has no free memory another gives it, but with
 *	__GFP_THISNODE none does.
 *
 * On the node itself the CPU's cache serves; from another one the central list
 * does, with a lock for each object. A program has one node, 0.
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc().
 */
void *kspan_alloc_node(size_t size, gfp_t flags, int node)
{
	return observed(heap_alloc_node(&kspan_heap0, size, flags, node, CALLER()), size, flags,
			false, CALLER());
}

/**
 * kspan_zalloc_node - allocate zeroed memory on a NUMA node
 * @size: bytes
 * @flags: as kspan_alloc()
 * @node: as kspan_alloc_node()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc().
 */
void *kspan_zalloc_node(size_t size, gfp_t flags, int node)
{
	flags |= __GFP_ZERO;
	return observed(heap_alloc_node(&kspan_heap0, size, flags, node, CALLER()), size, flags,
			false, CALLER());
}

/* Whether an object was allocated as one without pointers. */
static bool is_noscan(const void *ptr)
{
	const struct kspan_span *span = pagemap_span(&kspan_heap0, (uintptr_t)ptr);

	return span && span->noscan;
}

static __always_inline void *realloc_observed(void *ptr, size_t size, gfp_t flags,
					      uintptr_t caller)
{
	size_t have;
	void *obj;

	port_obj_free(ptr, caller);
	obj = heap_realloc(&kspan_heap0, ptr, size, flags, caller);
	if (obj) {
		port_obj_alloc(obj, size, flags, port_watch_alloc() && is_noscan(obj), caller);
		return obj;
	}
	have = heap_size(&kspan_heap0, ptr);
	if (have)	/* nothing has happened to it, unless it is not ours */
		port_obj_alloc(ptr, have, flags, port_watch_alloc() && is_noscan(ptr), caller);
	return NULL;
}

/**
 * kspan_realloc - change the size of an object
 * @ptr: the object; NULL or ZERO_SIZE_PTR allocates
 * @size: bytes wanted; 0 frees and gives ZERO_SIZE_PTR
 * @flags: as kspan_alloc(); __GFP_ZERO zeroes what lies beyond the old object
 *	as kspan_size() measures it
 *
 * The contents up to the smaller of both sizes stay, and whether the object is
 * noscan. It moves only when it must, or when most of it would be idle.
 *
 * Context: as kspan_alloc().
 * Return: the object; NULL when there is no memory: the old one is then as it was; or
 * when @ptr is no object, which is reported.
 */
void *kspan_realloc(void *ptr, size_t size, gfp_t flags)
{
	return realloc_observed(ptr, size, flags, CALLER());
}

/**
 * kspan_realloc_array - change the length of an array
 * @ptr: the array, or NULL
 * @n: elements wanted
 * @size: bytes per element
 * @flags: as kspan_realloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_realloc(); NULL also when @n * @size overflows.
 */
void *kspan_realloc_array(void *ptr, size_t n, size_t size, gfp_t flags)
{
	size_t nbytes;

	if (unlikely(__builtin_mul_overflow(n, size, &nbytes)))
		return heap_fail(&kspan_heap0, ENOMEM);
	return realloc_observed(ptr, nbytes, flags, CALLER());
}

/* Go's growslice: double a small array, grow a large one by a quarter and a bit. */
static size_t grown_capacity(size_t cap, size_t need)
{
	if (cap > need / 2) {
		while (cap < need) {
			size_t step = cap < 256 ? cap : (cap + 3 * 256) / 4;

			if (__builtin_add_overflow(cap, step, &cap))
				return need;
		}
		return cap;
	}
	return need;
}

/**
 * kspan_grow_array - make room in an array that grows, after Go's growslice
 * @ptr: the array, or NULL
 * @cap: elements there is room for; updated
 * @need: elements there must be room for
 * @size: bytes per element
 * @flags: as kspan_realloc()
 *
 * Capacity grows so that appending costs constant time on average, and is
 * rounded up to what the size class holds.
 *
 * Context: as kspan_alloc().
 * Return: the array; NULL when there is no memory or a product overflows: the
 * array and @cap are then as they were.
 */
void *kspan_grow_array(void *ptr, size_t *cap, size_t need, size_t size, gfp_t flags)
{
	size_t new_cap, nbytes;
	void *obj;

	if (need <= *cap && ptr)
		return ptr;
	new_cap = grown_capacity(*cap, need);
	if (__builtin_mul_overflow(new_cap, size, &nbytes) &&
	    __builtin_mul_overflow(need, size, &nbytes))
		return heap_fail(&kspan_heap0, ENOMEM);
	nbytes = kspan_good_size(nbytes);
	obj = realloc_observed(ptr, nbytes, flags, CALLER());
	if (unlikely(!obj) && nbytes > need * size) {
		nbytes = kspan_good_size(need * size);	/* rather little room than none */
		obj = realloc_observed(ptr, nbytes, flags, CALLER());
	}
	if (obj)	/* a large one may be longer than it had to be */
		*cap = size ? heap_size(&kspan_heap0, obj) / size : need;
	return obj;
}

/**
 * kspan_memdup - copy memory
 * @src: what to copy
 * @size: bytes
 * @flags: as kspan_alloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc().
 */
void *kspan_memdup(const void *src, size_t size, gfp_t flags)
{
	void *obj;

	flags &= ~__GFP_ZERO;
	obj = observed(heap_alloc(&kspan_heap0, size, false, flags, CALLER()), size, flags,
		       false, CALLER());
	if (!ZERO_OR_NULL_PTR(obj))
		port_memcpy(obj, src, size);
	return obj;
}

/**
 * kspan_strdup - copy a string, into noscan memory
 * @s: the string; NULL gives NULL
 * @flags: as kspan_alloc()
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc().
 */
char *kspan_strdup(const char *s, gfp_t flags)
{
	size_t nbytes;
	char *copy;

	if (!s)
		return NULL;
	nbytes = port_strlen(s) + 1;
	copy = alloc_noscan(nbytes, flags & ~__GFP_ZERO, CALLER());
	if (copy)
		port_memcpy(copy, s, nbytes);
	return copy;
}

/**
 * kspan_alloc_bulk - allocate many objects of one size
 * @size: bytes of each
 * @flags: as kspan_alloc()
 * @n: how many
 * @objs: where to put them
 *
 * Context: as kspan_alloc().
 * Return: @n; or 0 when there is no memory for all: nothing is allocated then.
 */
size_t kspan_alloc_bulk(size_t size, gfp_t flags, size_t n, void **objs)
{
	struct kspan_heap *heap = &kspan_heap0;
	u32 stack;
	size_t i, got = 0;

	if (size - 1 < KSPAN_MAX_SMALL_SIZE && heap_ready(heap)) {
		bool refused = n && heap_checked(heap) && debug_refuses(heap, size, flags);

		stack = span_class(size_to_class(size), false);
		while (got < n && !refused) {
			u32 want = n - got > 0x10000 ? 0x10000 : n - got;
			u32 took = cache_alloc_bulk(&heap->slots,
						    heap_want_central(heap, stack, port_node(),
								      flags),
						    flags, want, objs + got, CALLER());

			got += took;
			if (took < want)
				break;
		}
		for (i = 0; i < got; i++) {
			if (heap_checked(heap))
				debug_alloc(heap, objs[i], size, flags, CALLER());
			if (flags & __GFP_ZERO)
				port_obj_fill(objs[i], 0, size);
			port_obj_alloc(objs[i], size, flags, false, CALLER());
		}
	} else {
		while (got < n && (objs[got] = kspan_alloc(size, flags)))
			got++;
	}
	if (got == n)
		return n;
	kspan_free_bulk(got, objs);
	heap_fail(heap, ENOMEM);
	return 0;
}

/**
 * kspan_free - free an object, on any CPU, in any thread
 * @ptr: the object; NULL and ZERO_SIZE_PTR are nothing
 *
 * A pointer that is not an object's start is reported and changes nothing: a
 * foreign one at once; one into an object, or to a free object, at once in a
 * checked heap, else at the latest when it moves from the CPU's cache to its
 * span.
 *
 * Context: any but NMI. Takes no lock when the CPU's cache has room.
 */
void kspan_free(const void *ptr)
{
	if (port_watch_free())
		free_observed(ptr, CALLER());
	else if (unlikely(!heap_free_hit(&kspan_heap0, ptr)))
		/* who called is looked up here: for heap_free() a hit would do it, too */
		heap_free_slow(&kspan_heap0, (void *)ptr, CALLER());
}

/* The rest of kspan_free_sized(): in a checked heap no free is a hit. */
static noinline void free_sized_rest(const void *ptr, size_t size, uintptr_t caller)
{
	size_t have = heap_checked(&kspan_heap0) ? heap_size(&kspan_heap0, ptr) : 0;

	if (unlikely(have && size > have))
		port_report("free of %p with size %zu, but the object has %zu bytes", ptr,
			    size, have);
	free_observed(ptr, caller);
}

/**
 * kspan_free_sized - free an object whose size the caller knows
 * @ptr: the object
 * @size: bytes, as they were asked for; a checked heap reports it when the object is
 *	smaller
 *
 * Takes as long as kspan_free(): what is checked is the caller, not the time.
 *
 * Context: as kspan_free().
 */
void kspan_free_sized(const void *ptr, size_t size)
{
	if (port_watch_free() || unlikely(!heap_free_hit(&kspan_heap0, ptr)))
		free_sized_rest(ptr, size, CALLER());
}

/**
 * kspan_free_sensitive - overwrite an object with zeros and free it
 * @ptr: the object
 *
 * Context: as kspan_free().
 */
void kspan_free_sensitive(const void *ptr)
{
	size_t nbytes = heap_size(&kspan_heap0, ptr);

	if (nbytes)
		port_memset((void *)ptr, 0, nbytes);
	/* the object is dead to the compiler: keep it from dropping the stores */
	__asm__ __volatile__("" : : "r"(ptr) : "memory");
	free_observed(ptr, CALLER());
}

/**
 * kspan_free_bulk - free many objects
 * @n: how many
 * @objs: the objects, of any sizes
 *
 * Context: as kspan_free().
 */
void kspan_free_bulk(size_t n, void **objs)
{
	size_t i;

	for (i = 0; i < n; i++) {
		port_obj_free(objs[i], CALLER());
		heap_free(&kspan_heap0, objs[i], CALLER());
	}
}

/**
 * kspan_size - bytes that an object has
 * @ptr: the object; NULL, ZERO_SIZE_PTR and what is not the start of an object
 *	of kspan's have 0
 *
 * For accounting. Who wants to use all of them asks for kspan_good_size() bytes: the
 * compiler knows what was asked for (alloc_size), and with FORTIFY_SOURCE a use beyond
 * that stops the program or the kernel.
 *
 * Context: any.
 * Return: bytes, at least what was asked for.
 */
size_t kspan_size(const void *ptr)
{
	return heap_size(&kspan_heap0, ptr);
}

/**
 * kspan_good_size - the bytes that an allocation of @size would get
 * @size: bytes
 *
 * Context: any.
 * Return: the size of its class, or whole pages; @size when that overflows.
 */
size_t kspan_good_size(size_t size)
{
	if (!size)
		return 0;
	if (size <= KSPAN_MAX_SMALL_SIZE)
		return kspan_class_to_size[size_to_class(size)];
	if (size > (size_t)-1 - KSPAN_PAGE_SIZE)
		return size;
	return pages_to_bytes(bytes_to_pages(size));
}

/**
 * kspan_release_memory - give back all idle memory at once
 *
 * Empties the CPUs' caches and returns every free page to the system.
 *
 * Context: process; sleeps.
 * Return: bytes given back.
 */
size_t kspan_release_memory(void)
{
	return heap_ready(&kspan_heap0) ? heap_release_memory(&kspan_heap0) : 0;
}

/**
 * kspan_get_stats - what happened so far
 * @stats: filled in
 *
 * The counters are read while others work, so sums of them agree only when
 * nobody does.
 *
 * Context: process; sleeps.
 */
void kspan_get_stats(struct kspan_stats *stats)
{
	heap_get_stats(&kspan_heap0, stats);
}

/**
 * kspan_verify - prove that the heap is sound
 *
 * Walks all structures and checks the invariants of the design; violations are
 * reported.
 *
 * Context: process; sleeps. The caches are frozen meanwhile.
 * Return: number of violations.
 */
int kspan_verify(void)
{
	return heap_ready(&kspan_heap0) ? heap_verify(&kspan_heap0) : 0;
}
