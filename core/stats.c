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
	struct kspan_node *node;
	u64 nout = 0, nlive;
	u32 i;

	port_memset(cls, 0, sizeof(*cls));
	cls->size = heap->node0.central[c].size;
	heap_for_each_node(heap, node, i) {
		struct kspan_central *central = &node->central[c];
		unsigned long flags = port_lock(&central->lock);

		cls->nspan += central->nspan;
		cls->nrefill += central->nrefill;
		cls->nflush += central->nflush;
		nout += central->nout;
		cls->ncached += central->ntransfer;
		port_unlock(&central->lock, flags);
		cls->nmalloc += port_load(&central->ndirect);
	}
	cls->ncached += stack_cached(&heap->slots, c, &cls->nhit);
	cls->nmalloc += cls->nhit;
	cls->span_bytes = cls->nspan * pages_to_bytes(heap->node0.central[c].npages);
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
	struct kspan_page_counts sum;

	heap_sum_pages(heap, &sum);
	stats->sys_bytes = heap->sys_bytes;
	stats->meta_bytes = heap->meta_bytes;
	stats->inuse_bytes = pages_to_bytes(sum.ninuse - sum.nspare - warm_pages(heap));
	stats->released_bytes = pages_to_bytes(sum.nreleased);
	stats->idle_bytes = pages_to_bytes(sum.nfree - sum.nreleased + sum.nspare +
					   warm_pages(heap));
	stats->nlarge_malloc = heap->nlarge_malloc;
	stats->nlarge_free = heap->nlarge_free;
	stats->large_bytes = heap->large_bytes;
	stats->ngrow = heap->ngrow;
	stats->nrelease = heap->nrelease;
	stats->nscavenged_bytes = heap->nscavenged_bytes;
	port_unlock(&heap->lock, flags);
	stats->live_bytes += stats->large_bytes;
}

/* What is in quarantine was taken back, whatever its class said, maybe a moment ago. */
static void stats_quarantine(struct kspan_heap *heap, struct kspan_stats *stats)
{
	struct kspan_quarantine *q = &heap->debug.quarantine;
	unsigned long flags = port_lock(&q->lock);

	stats->nquarantine = q->n;
	stats->nfree += q->n;
	stats->live_bytes -= stats->live_bytes < q->nbytes ? stats->live_bytes : q->nbytes;
	port_unlock(&q->lock, flags);
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

	heap_catch_up(heap);
	port_memset(stats, 0, sizeof(*stats));
	stats->ndeferred = port_load(&heap->ndeferred);
	stats->ndouble = port_load(&heap->nmisuse[KSPAN_DOUBLE_FREE]);
	stats->ninterior = port_load(&heap->nmisuse[KSPAN_INTERIOR_FREE]);
	stats->nforeign = port_load(&heap->nmisuse[KSPAN_FOREIGN_FREE]);
	stats->noverflow = port_load(&heap->nmisuse[KSPAN_OVERFLOW]);
	stats->nafterfree = port_load(&heap->nmisuse[KSPAN_WRITE_AFTER_FREE]);
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
	stats_quarantine(heap, stats);
}

#define LEAKS_LISTED	16	/* lines for a class: a call site each, or an object */

/* What is found under a lock is listed when the lock is gone. */
struct leak {
	void *obj;
	size_t size;
	uintptr_t site;
	u32 stack;
	u64 n;
};

struct leaks {
	struct kspan_heap *heap;
	bool (*owns)(uintptr_t site, void *arg);
	void *arg;
	const uintptr_t *rename;
	bool print;
	u64 n;
	u32 nlisted;
	struct leak first[LEAKS_LISTED];
};

/* Objects of one call site, where it is known, are one line. */
static void leak_found(struct leaks *leaks, struct kspan_span *span, void *obj, size_t size)
{
	uintptr_t site = debug_site(leaks->heap, span, obj);
	u32 i;

	if (leaks->owns && !(site && leaks->owns(site, leaks->arg)))
		return;
	if (leaks->rename)
		debug_rename(span, obj, *leaks->rename);
	leaks->n++;
	for (i = 0; site && i < leaks->nlisted; i++) {
		if (leaks->first[i].site != site)
			continue;
		leaks->first[i].n++;
		return;
	}
	if (leaks->nlisted < LEAKS_LISTED)
		leaks->first[leaks->nlisted++] = (struct leak){
			obj, size, site, debug_stack(leaks->heap, span, obj), 1
		};
}

static void leaks_list(const struct leaks *leaks, const char *what)
{
	u32 i;

	if (!leaks->print)
		return;
	for (i = 0; i < leaks->nlisted; i++) {
		const struct leak *leak = &leaks->first[i];

		if (!leak->site)
			port_report("leak: %p, %zu bytes, %s", leak->obj, leak->size, what);
		else if (leak->n == 1)
			port_report("leak: %p, %zu bytes, %s, allocated by " PORT_SITE,
				    leak->obj, leak->size, what, (void *)leak->site);
		else
			port_report("leak: %p, %zu bytes, %s, and %llu more, allocated by "
				    PORT_SITE, leak->obj, leak->size, what,
				    (unsigned long long)leak->n - 1, (void *)leak->site);
		if (leak->stack)
			port_stack_report("the first at", leak->stack);
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
		void *obj = span_object(span, i);

		if (span->free[i / 64] >> (i % 64) & 1 ||
		    debug_is_held(leaks->heap, span, obj))
			continue;
		leak_found(leaks, span, obj, span->size);
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

/* The objects of a central list, the CPUs' caches having been drained. */
static void leaks_in_central(struct kspan_central *central, void *arg)
{
	struct leaks *all = arg, leaks = *all;
	unsigned long flags = port_lock(&central->lock);

	leaks.n = 0;
	leaks.nlisted = 0;
	leaks_in_list(&leaks, &central->partial);
	leaks_in_list(&leaks, &central->full);
	port_unlock(&central->lock, flags);
	leaks_list(&leaks, central_name(central));
	all->n += leaks.n;
}

/**
 * central_leaks - list objects of a central list that are out
 * @central: which; the CPUs' caches have been drained
 */
void central_leaks(struct kspan_central *central)
{
	struct leaks leaks = { .heap = central->heap, .print = true };

	leaks_in_central(central, &leaks);
}

static void leaks_large(struct kspan_heap *heap, struct leaks *all)
{
	struct leaks leaks = *all;
	unsigned long flags = port_lock(&heap->lock);
	struct kspan_span *span;

	leaks.n = 0;
	leaks.nlisted = 0;
	port_list_for_each_entry(span, &heap->large, node)
		leak_found(&leaks, span, (void *)span->start, span->bytes);
	port_unlock(&heap->lock, flags);
	leaks_list(&leaks, "large");
	all->n += leaks.n;
}

static u64 leaks_count(struct kspan_heap *heap, struct leaks *leaks)
{
	struct kspan_node *node;
	u32 c, i;

	heap_for_each_node(heap, node, i)
		for (c = 0; c < KSPAN_NR_STACKS; c++)
			leaks_in_central(&node->central[c], leaks);
	objcache_each_central(heap, leaks_in_central, leaks);
	leaks_large(heap, leaks);
	return leaks->n;
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
	struct leaks leaks = { .heap = heap, .owns = owns, .arg = arg, .print = print };

	return leaks_count(heap, &leaks);
}

u64 heap_leaks(struct kspan_heap *heap, bool print)
{
	return heap_leaks_of(heap, NULL, NULL, print);
}

/**
 * heap_rename_sites - have objects known by another call site
 * @heap: which
 * @owns: of the objects whose call site it accepts
 * @arg: for @owns
 * @site: the call site from now on, 0 for none: theirs is about to be something
 *	else
 *
 * Context: process; sleeps.
 */
void heap_rename_sites(struct kspan_heap *heap, bool (*owns)(uintptr_t site, void *arg),
		       void *arg, uintptr_t site)
{
	struct leaks leaks = { .heap = heap, .owns = owns, .arg = arg, .rename = &site };

	leaks_count(heap, &leaks);
}
