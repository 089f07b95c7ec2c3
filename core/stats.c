// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Statistics, put together when somebody asks. See alloc.c.
 *
 * The fast path counts one thing, the pops of each stack; all else follows:
 * objects out of their spans (counted per batch) less objects on stacks are
 * with callers, and what was handed out less what is with callers was freed.
 */
#include <kspan/heap.h>

/* Objects on stack @c over all slots; *@pops: allocations that hit there. */
u64 stack_cached(struct kspan_slotset *ss, u32 c, u64 *pops)
{
	u64 n = 0;
	u32 i;

	*pops = 0;
	for (i = 0; i < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);

		if (!slot)
			continue;
		n += slot_count(ss, slot, c);
		*pops += slot_pops(slot, c);
	}
	return n;
}

/* Add up one stack's central lists of all nodes. */
static void stats_stack(struct kspan_heap *heap, u32 c, struct kspan_class_stats *cls)
{
	u64 nout = 0, nlive;
	u32 node;

	port_memset(cls, 0, sizeof(*cls));
	cls->size = heap->central[0][c].size;
	for (node = 0; node < heap->nnodes; node++) {
		struct kspan_central *central = &heap->central[node][c];
		unsigned long flags = port_lock(&central->lock);

		cls->nspan += central->nspan;
		cls->nrefill += central->nrefill;
		cls->nflush += central->nflush;
		nout += central->nout;
		port_unlock(&central->lock, flags);
		cls->nmalloc += port_load(&central->ndirect);
	}
	cls->ncached = stack_cached(&heap->slots, c, &cls->nhit);
	cls->nmalloc += cls->nhit;
	cls->span_bytes = cls->nspan * pages_to_bytes(heap->central[0][c].npages);
	nlive = nout > cls->ncached ? nout - cls->ncached : 0;
	cls->nfree = cls->nmalloc > nlive ? cls->nmalloc - nlive : 0;
}

static void stats_add_class(struct kspan_stats *stats, const struct kspan_class_stats *cls)
{
	stats->nhit += cls->nhit;
	stats->nrefill += cls->nrefill;
	stats->nflush += cls->nflush;
	stats->cached_bytes += cls->ncached * cls->size;
	stats->live_bytes += (cls->nmalloc - cls->nfree) * cls->size;
}

/* Tiny objects are counted where they are made; their blocks are a stack's. */
static void stats_tiny(struct kspan_heap *heap, struct kspan_stats *stats)
{
	struct kspan_class_stats blocks;
	u32 i;

	stats_stack(heap, KSPAN_STACK_TINY, &blocks);
	blocks.nhit = 0;	/* a block may serve several objects, or none */
	stats_add_class(stats, &blocks);
	stats->ntiny_malloc = port_load(&heap->ntiny_malloc);
	stats->ntiny_free = port_load(&heap->ntiny_free);
	for (i = 0; i < port_slotset_nr(&heap->slots); i++) {
		struct kspan_slot *slot = port_slotset_slot(&heap->slots, i);

		if (!slot)
			continue;
		stats->ntiny_malloc += port_load(&slot->ntiny_malloc);
		stats->ntiny_free += port_load(&slot->ntiny_free);
	}
}

static void stats_pages(struct kspan_heap *heap, struct kspan_stats *stats)
{
	unsigned long flags = port_lock(&heap->lock);
	const struct kspan_pages *pages = &heap->pages;

	stats->sys_bytes = heap->sys_bytes;
	stats->meta_bytes = heap->meta_bytes;
	stats->inuse_bytes = pages_to_bytes(pages->ninuse);
	stats->released_bytes = pages_to_bytes(pages->nreleased);
	stats->idle_bytes = pages_to_bytes(pages->nfree - pages->nreleased);
	stats->nlarge_malloc = heap->nlarge_malloc;
	stats->nlarge_free = heap->nlarge_free;
	stats->large_bytes = heap->large_bytes;
	stats->ngrow = heap->ngrow;
	stats->nrelease = heap->nrelease;
	stats->nscavenged_bytes = heap->nscavenged_bytes;
	port_unlock(&heap->lock, flags);
	stats->live_bytes += stats->large_bytes;
}

/**
 * heap_get_stats - what happened so far in a heap
 * @heap: which
 * @stats: filled in
 *
 * Context: process; sleeps.
 */
void heap_get_stats(struct kspan_heap *heap, struct kspan_stats *stats)
{
	u32 c;

	_Static_assert(KSPAN_STATS_CLASSES == KSPAN_NUM_SPAN_CLASSES, "one entry per span class");

	port_memset(stats, 0, sizeof(*stats));
	stats->ndouble = port_load(&heap->nmisuse[KSPAN_DOUBLE_FREE]);
	stats->ninterior = port_load(&heap->nmisuse[KSPAN_INTERIOR_FREE]);
	stats->nforeign = port_load(&heap->nmisuse[KSPAN_FOREIGN_FREE]);
	stats->nfail = port_load(&heap->nfail);
	if (!port_load_acquire(&heap->ready))
		return;
	stats_pages(heap, stats);
	for (c = 0; c < KSPAN_NUM_SPAN_CLASSES; c++) {
		stats_stack(heap, c, &stats->cls[c]);
		stats_add_class(stats, &stats->cls[c]);
		stats->nmalloc += stats->cls[c].nmalloc;
		stats->nfree += stats->cls[c].nfree;
	}
	stats_tiny(heap, stats);
	objcache_stats(heap, stats);
	stats->slot_bytes = (u64)port_slotset_nr(&heap->slots) * heap->slots.slot_bytes;
	stats->nmalloc += stats->ntiny_malloc + stats->nlarge_malloc + stats->cache_nmalloc;
	stats->nfree += stats->ntiny_free + stats->nlarge_free + stats->cache_nfree;
}

#define LEAKS_LISTED	16	/* objects of a class that are listed one by one */

/* What is found under a lock is listed when the lock is gone. */
struct leak {
	void *obj;
	size_t size;
	uintptr_t site;
};

struct leaks {
	bool (*owns)(uintptr_t site, void *arg);
	void *arg;
	bool print;
	u64 n;
	struct leak first[LEAKS_LISTED];
};

static void leak_found(struct leaks *leaks, void *obj, size_t size, uintptr_t site)
{
	if (leaks->n < LEAKS_LISTED)
		leaks->first[leaks->n] = (struct leak){ obj, size, site };
	leaks->n++;
}

static void leaks_list(const struct leaks *leaks, const char *what)
{
	u32 i;

	if (!leaks->print)
		return;
	for (i = 0; i < leaks->n && i < LEAKS_LISTED; i++) {
		const struct leak *leak = &leaks->first[i];

		if (leak->site)
			port_report("leak: %p, %zu bytes, %s, allocated by " PORT_SITE,
				    leak->obj, leak->size, what, (void *)leak->site);
		else
			port_report("leak: %p, %zu bytes, %s", leak->obj, leak->size, what);
	}
	if (leaks->n > LEAKS_LISTED)
		port_report("leak: %llu objects, %s, in all", (unsigned long long)leaks->n,
			    what);
}

/* The objects of @span that are out. Blocks of tiny objects count as one. */
static void leaks_in_span(struct leaks *leaks, struct kspan_span *span)
{
	u32 i;

	for (i = 0; i < span->nobjs; i++) {
		uintptr_t site = span->sites ? port_load(&span->sites[i]) : 0;

		if (span->free[i / 64] >> (i % 64) & 1)
			continue;
		if (leaks->owns && !(site && leaks->owns(site, leaks->arg)))
			continue;
		leak_found(leaks, span_object(span, i), span->size, site);
	}
}

static void leaks_in_list(struct leaks *leaks, port_list_t *list)
{
	struct kspan_span *span;

	port_list_for_each_entry(span, list, node)
		leaks_in_span(leaks, span);
}

static const char *central_name(const struct kspan_central *central)
{
	if (central->cache)
		return objcache_name(central->cache);
	if (central->pclass == KSPAN_PC_TINY)
		return "tiny block";
	return central->noscan ? "noscan" : "scan";
}

/**
 * central_leaks - objects of a central list that are out
 * @central: which; the CPUs' caches have been drained
 * @owns: counts only objects whose call site it accepts; NULL counts all
 * @arg: for @owns
 * @print: list the first of them
 *
 * Return: how many.
 */
u64 central_leaks(struct kspan_central *central, bool (*owns)(uintptr_t site, void *arg),
		  void *arg, bool print)
{
	struct leaks leaks = { .owns = owns, .arg = arg, .print = print };
	unsigned long flags = port_lock(&central->lock);

	leaks_in_list(&leaks, &central->partial);
	leaks_in_list(&leaks, &central->full);
	port_unlock(&central->lock, flags);
	leaks_list(&leaks, central_name(central));
	return leaks.n;
}

static u64 leaks_large(struct kspan_heap *heap, bool (*owns)(uintptr_t site, void *arg),
		       void *arg, bool print)
{
	struct leaks leaks = { .owns = owns, .arg = arg, .print = print };
	unsigned long flags = port_lock(&heap->lock);
	struct kspan_span *span;

	port_list_for_each_entry(span, &heap->large, node)
		if (!owns || (span->site && owns(span->site, arg)))
			leak_found(&leaks, (void *)span->start, span->bytes, span->site);
	port_unlock(&heap->lock, flags);
	leaks_list(&leaks, "large");
	return leaks.n;
}

static void leaks_in_cache(struct kspan_central *central, void *arg)
{
	struct leaks *leaks = arg;

	leaks->n += central_leaks(central, leaks->owns, leaks->arg, leaks->print);
}

/**
 * heap_leaks_of - objects that are out, by call site
 * @heap: which; one with CPU caches must have been drained
 * @owns: counts only objects whose call site it accepts (none has one unless
 *	the heap is checked); NULL counts all
 * @arg: for @owns
 * @print: list the first of each class
 *
 * Context: process; sleeps.
 * Return: how many.
 */
u64 heap_leaks_of(struct kspan_heap *heap, bool (*owns)(uintptr_t site, void *arg),
		  void *arg, bool print)
{
	struct leaks leaks = { .owns = owns, .arg = arg, .print = print };
	u32 c, node;

	for (node = 0; node < heap->nnodes; node++)
		for (c = 0; c < KSPAN_NR_STACKS; c++)
			leaks_in_cache(&heap->central[node][c], &leaks);
	objcache_each_central(heap, leaks_in_cache, &leaks);
	return leaks.n + leaks_large(heap, owns, arg, print);
}

u64 heap_leaks(struct kspan_heap *heap, bool print)
{
	return heap_leaks_of(heap, NULL, NULL, print);
}
