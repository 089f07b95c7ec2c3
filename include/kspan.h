/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * kspan: Go's allocator (spans, size classes, per-CPU caches) in C, for kernel
 * modules and for programs. This is the whole public API; it has the same
 * names, types and meaning in both worlds. The kernel-doc comment of each
 * function stands with its definition in core/.
 */
#ifndef KSPAN_H
#define KSPAN_H

#include <kspan/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KSPAN_API __attribute__((visibility("default")))
#define KSPAN_MALLOC(...) \
	__attribute__((malloc, warn_unused_result, alloc_size(__VA_ARGS__)))

/* Memory: any size, any context that the flags allow. */
KSPAN_API void *kspan_alloc(size_t size, gfp_t flags) KSPAN_MALLOC(1);
KSPAN_API void *kspan_zalloc(size_t size, gfp_t flags) KSPAN_MALLOC(1);
KSPAN_API void *kspan_alloc_noscan(size_t size, gfp_t flags) KSPAN_MALLOC(1);
KSPAN_API void *kspan_alloc_array(size_t n, size_t size, gfp_t flags) KSPAN_MALLOC(1, 2);
KSPAN_API void *kspan_zalloc_array(size_t n, size_t size, gfp_t flags) KSPAN_MALLOC(1, 2);
KSPAN_API void *kspan_alloc_aligned(size_t size, size_t align, gfp_t flags) KSPAN_MALLOC(1);
KSPAN_API void *kspan_alloc_node(size_t size, gfp_t flags, int node) KSPAN_MALLOC(1);
KSPAN_API void *kspan_zalloc_node(size_t size, gfp_t flags, int node) KSPAN_MALLOC(1);
KSPAN_API void *kspan_realloc(void *ptr, size_t size, gfp_t flags)
	__attribute__((warn_unused_result, alloc_size(2)));
KSPAN_API void *kspan_realloc_array(void *ptr, size_t n, size_t size, gfp_t flags)
	__attribute__((warn_unused_result, alloc_size(2, 3)));
KSPAN_API void *kspan_grow_array(void *ptr, size_t *cap, size_t need, size_t size, gfp_t flags)
	__attribute__((warn_unused_result));
KSPAN_API void *kspan_memdup(const void *src, size_t size, gfp_t flags) KSPAN_MALLOC(2);
KSPAN_API char *kspan_strdup(const char *s, gfp_t flags)
	__attribute__((malloc, warn_unused_result));
KSPAN_API size_t kspan_alloc_bulk(size_t size, gfp_t flags, size_t n, void **objs)
	__attribute__((warn_unused_result));

KSPAN_API void kspan_free(const void *ptr);
KSPAN_API void kspan_free_sized(const void *ptr, size_t size);
KSPAN_API void kspan_free_sensitive(const void *ptr);
KSPAN_API void kspan_free_bulk(size_t n, void **objs);
KSPAN_API void kspan_free_rcu(const void *ptr);
KSPAN_API void kspan_rcu_barrier(void);

#ifdef DEFINE_FREE	/* the kernel's <linux/cleanup.h>: __free(kspan_free) */
DEFINE_FREE(kspan_free, void *, kspan_free(_T))
#endif

/* From any context, an NMI or a signal handler too: no lock is waited for. */
KSPAN_API void *kspan_alloc_nolock(size_t size, gfp_t flags) KSPAN_MALLOC(1);
KSPAN_API void *kspan_zalloc_nolock(size_t size, gfp_t flags) KSPAN_MALLOC(1);
KSPAN_API void kspan_free_nolock(const void *ptr);

KSPAN_API size_t kspan_size(const void *ptr);
KSPAN_API size_t kspan_good_size(size_t size);

/* Object caches: one type of object, optionally constructed once. */
struct kspan_cache;

/* The memory of a freed object stays an object of this cache for a grace period. */
#define KSPAN_TYPESAFE_BY_RCU	0x1u
/* Objects hold no pointers (a leak detector need not look inside). */
#define KSPAN_NOSCAN		0x2u

KSPAN_API struct kspan_cache *kspan_cache_create(const char *name, size_t size, size_t align,
						 unsigned int flags, void (*ctor)(void *obj))
	__attribute__((warn_unused_result));
KSPAN_API int kspan_cache_destroy(struct kspan_cache *cache);
KSPAN_API void *kspan_cache_alloc(struct kspan_cache *cache, gfp_t flags)
	__attribute__((malloc, warn_unused_result));
KSPAN_API void *kspan_cache_alloc_nolock(struct kspan_cache *cache, gfp_t flags)
	__attribute__((malloc, warn_unused_result));
KSPAN_API void *kspan_cache_alloc_node(struct kspan_cache *cache, gfp_t flags, int node)
	__attribute__((malloc, warn_unused_result));
KSPAN_API void *kspan_cache_zalloc(struct kspan_cache *cache, gfp_t flags)
	__attribute__((malloc, warn_unused_result));
KSPAN_API void kspan_cache_free(struct kspan_cache *cache, void *obj);
KSPAN_API size_t kspan_cache_alloc_bulk(struct kspan_cache *cache, gfp_t flags,
					size_t n, void **objs)
	__attribute__((warn_unused_result));
KSPAN_API void kspan_cache_free_bulk(struct kspan_cache *cache, size_t n, void **objs);
KSPAN_API size_t kspan_cache_shrink(struct kspan_cache *cache);

/* Objects allocated beforehand: to take one cannot fail until they are used up. */
struct kspan_reserve;

KSPAN_API struct kspan_reserve *kspan_reserve_prefill(size_t size, gfp_t flags, size_t n)
	__attribute__((warn_unused_result));
KSPAN_API struct kspan_reserve *kspan_cache_reserve_prefill(struct kspan_cache *cache,
							    gfp_t flags, size_t n)
	__attribute__((warn_unused_result));
KSPAN_API int kspan_reserve_refill(struct kspan_reserve **reserve, gfp_t flags, size_t n)
	__attribute__((warn_unused_result));
KSPAN_API void *kspan_reserve_alloc(struct kspan_reserve *reserve, gfp_t flags)
	__attribute__((warn_unused_result));
KSPAN_API size_t kspan_reserve_count(const struct kspan_reserve *reserve);
KSPAN_API void kspan_reserve_return(struct kspan_reserve *reserve);

/* To hand to mempool_create(): pool_data is a struct kspan_cache, or a size. */
KSPAN_API void *kspan_mempool_alloc(gfp_t flags, void *pool_data);
KSPAN_API void kspan_mempool_free(void *element, void *pool_data);
KSPAN_API void *kspan_mempool_alloc_sized(gfp_t flags, void *pool_data);
KSPAN_API void kspan_mempool_free_sized(void *element, void *pool_data);

/* What happened so far, and whether the heap is sound. */
#define KSPAN_STATS_CLASSES	136	/* span class = size class << 1 | noscan */

/**
 * struct kspan_class_stats - counters of one span class
 * @size: bytes per object
 * @nmalloc: objects handed out since the start
 * @nfree: objects taken back since the start
 * @nhit: allocations that the CPU's cache answered alone
 * @nrefill: batches moved from spans to a CPU's cache
 * @nflush: batches moved from a CPU's cache to spans
 * @nspan: spans of the class now
 * @span_bytes: bytes of those spans
 * @ncached: free objects in the CPUs' caches now
 */
struct kspan_class_stats {
	u32 size;
	u32 nspan;
	u64 nmalloc;
	u64 nfree;
	u64 nhit;
	u64 nrefill;
	u64 nflush;
	u64 span_bytes;
	u64 ncached;
};

/**
 * struct kspan_stats - the state of a heap, after Go's runtime.MemStats
 * @nmalloc: objects handed out since the start, of every kind
 * @nfree: objects taken back since the start, of every kind
 * @live_bytes: bytes of the objects that are out now, rounded up to their class;
 *	tiny blocks that have room left are in @cached_bytes instead
 * @sys_bytes: bytes obtained from the system and not given back
 * @inuse_bytes: bytes of spans
 * @idle_bytes: bytes of free pages that the system still backs, and of spans that are kept
 *	with no object out
 * @released_bytes: bytes of free pages whose memory the system has back
 * @meta_bytes: bytes of kspan's own structures (in @sys_bytes too)
 * @slot_bytes: bytes set aside for the CPUs' caches (not in @sys_bytes)
 * @cached_bytes: bytes of free objects in the CPUs' caches
 * @nhit: allocations that a CPU's cache answered alone; tiny ones not counted
 * @nrefill: batches moved from spans to caches
 * @nflush: batches moved from caches to spans
 * @ntiny_malloc: tiny objects (noscan, under 16 bytes) handed out
 * @ntiny_free: tiny objects taken back
 * @nlarge_malloc: objects over 32 KiB handed out
 * @nlarge_free: objects over 32 KiB taken back
 * @large_bytes: bytes of the large objects that are out now
 * @cache_nmalloc: objects of object caches handed out
 * @cache_nfree: objects of object caches taken back
 * @ngrow: times the heap asked the system for pages
 * @nrelease: times idle pages went back to the system
 * @nscavenged_bytes: bytes given back since the start
 * @nfail: requests that ended in NULL
 * @ndeferred: frees that kspan_free_nolock() had to put off
 * @ndouble: double frees reported
 * @ninterior: frees of a pointer into an object reported
 * @nforeign: frees of memory that is not kspan's reported
 * @noverflow: writes past the end of an object reported
 * @nafterfree: writes to a freed object reported
 * @nquarantine: freed objects that are held back now: in @nfree, but in their
 *	class (or cache) not yet
 * @cls: the same by span class (index: size class << 1 | noscan)
 */
struct kspan_stats {
	u64 nmalloc, nfree, live_bytes;
	u64 sys_bytes, inuse_bytes, idle_bytes, released_bytes;
	u64 meta_bytes, slot_bytes, cached_bytes;
	u64 nhit, nrefill, nflush;
	u64 ntiny_malloc, ntiny_free;
	u64 nlarge_malloc, nlarge_free, large_bytes;
	u64 cache_nmalloc, cache_nfree;
	u64 ngrow, nrelease, nscavenged_bytes, nfail, ndeferred;
	u64 ndouble, ninterior, nforeign, noverflow, nafterfree;
	u64 nquarantine;
	struct kspan_class_stats cls[KSPAN_STATS_CLASSES];
};

KSPAN_API void kspan_get_stats(struct kspan_stats *stats);
KSPAN_API size_t kspan_release_memory(void);
KSPAN_API int kspan_verify(void);

#ifdef __cplusplus
}
#endif

#endif /* KSPAN_H */
