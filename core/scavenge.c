// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The scavenger: idle pages go back to the system.
 *
 * Time is cut into epochs. A page that was free at the start of an epoch and
 * still is at its end goes back: so after one to two epochs without use. Pages
 * are nobody's while the system is called, so no lock is held then. The port
 * calls heap_scavenge() at the end of each epoch, from port_kick() on until it
 * has nothing to do: in a deferrable work in the kernel, in a thread that lives
 * as long as that in a program.
 *
 * Two more things happen at an epoch's end: the slots of CPUs that did nothing
 * for its length are emptied; and, where the source can take memory and leave
 * the addresses, spans that nobody touched for its length lose the memory that
 * only free objects lie on. There, too, holes lose theirs before an epoch's end when the
 * heap grows beside them. See alloc.c.
 */
#include <kspan/heap.h>

/*
 * Return a run of pages: memory only, or, where that cannot be, the pages.
 * False: the system would not have it, the pages are free as before.
 */
static bool release_run(struct kspan_heap *heap, uintptr_t addr, u32 npages)
{
	struct kspan_source *source = heap->config.source;
	struct kspan_arena *arena = pagemap_arena(heap, addr);
	size_t nbytes = pages_to_bytes(npages);
	struct kspan_pages *pages = &heap_node(heap, arena->nodeid)->pages;
	unsigned long flags;
	bool done = true;

	if (source->release)
		done = source->release(source, (void *)addr, nbytes);
	else
		source->put(source, (void *)addr, nbytes);
	flags = port_lock(&heap->lock);
	pages->nmoving -= npages;
	if (!source->release)
		heap->sys_bytes -= nbytes;
	else if (done)
		pages_free_released(pages, arena, addr_to_page(addr), npages);
	else
		pages_free(pages, arena, addr_to_page(addr), npages, true);
	if (done)
		heap->nscavenged_bytes += nbytes;
	port_unlock(&heap->lock, flags);
	return done;
}

static bool node_drop_spares(struct kspan_node *node)
{
	u32 c;

	if (!port_load(&node->spare_pages))
		return false;
	for (c = 0; c < KSPAN_NR_STACKS; c++)
		if (node->central[c].size)
			central_drop_spares(&node->central[c]);
	return true;
}

/**
 * heap_drop_spares - have spans that were kept with no object out as free pages
 * @heap: which
 *
 * Context: no lock held; does not sleep.
 * Return: whether there were any.
 */
bool heap_drop_spares(struct kspan_heap *heap)
{
	struct kspan_node *node;
	bool any = false;
	u32 i;

	heap_for_each_node(heap, node, i)
		any |= node_drop_spares(node);
	return any;
}

/**
 * heap_release_node - give idle pages of a node back to the system
 * @heap: whose
 * @nodeid: the node
 * @which: which pages
 * @max: so many pages at most
 * @gfp: may it sleep; no memory is asked for
 *
 * Context: no lock held.
 * Return: bytes given back.
 */
size_t heap_release_node(struct kspan_heap *heap, int nodeid, enum kspan_idle which,
			 size_t max, gfp_t gfp)
{
	struct kspan_node *node = heap_node(heap, nodeid);
	size_t nbytes = 0;
	u32 npages, cursor = 0;
	bool left = true;

	if (node && which == KSPAN_IDLE_ALL)
		node_drop_spares(node);
	while (node && max && left) {
		uintptr_t addr;
		unsigned long flags = port_lock(&heap->lock);

		npages = pages_take_idle(&node->pages, &cursor, which,
					 max < KSPAN_ARENA_PAGES ? max : KSPAN_ARENA_PAGES,
					 &addr);
		left = cursor < node->pages.n;
		port_unlock(&heap->lock, flags);
		if (npages && !release_run(heap, addr, npages))
			break;
		nbytes += pages_to_bytes(npages);
		max -= npages;
		if (gfp & __GFP_DIRECT_RECLAIM)
			port_relax();
	}
	if (nbytes) {
		unsigned long flags = port_lock(&heap->lock);

		heap->nrelease++;
		port_unlock(&heap->lock, flags);
	}
	return nbytes;
}

/**
 * heap_keep_to_peak - the heap has grown, and new memory will be touched
 * @heap: which
 * @nodeid: on which node, where it has pages now
 * @npages: by how much
 *
 * Free pages that fit nothing keep their memory for an epoch or two, while the heap
 * grows beside them: what a program needs at its height would not be what it takes then.
 * No more goes than comes, so that giving it back costs little beside the touching; and
 * a heap that does not grow pays nothing.
 *
 * Context: no lock held; does not sleep.
 */
void heap_keep_to_peak(struct kspan_heap *heap, int nodeid, size_t npages)
{
	size_t over;

	/* where addresses would go with the memory they are worth more */
	if (!heap->config.source->release)
		return;
	over = pages_over_peak(&heap_node(heap, nodeid)->pages);
	if (over)
		heap_release_node(heap, nodeid, KSPAN_IDLE_DIRTY, over < npages ? over : npages,
				  GFP_NOWAIT);
}

/**
 * heap_release - give idle pages back to the system
 * @heap: whose
 * @all: every free page, not only those that were idle for an epoch
 * @gfp: may it sleep; no memory is asked for
 *
 * Context: no lock held.
 * Return: bytes given back.
 */
size_t heap_release(struct kspan_heap *heap, bool all, gfp_t gfp)
{
	size_t nbytes = 0;
	u32 i;

	if (all) {
		warm_flush(heap);
		warm_flush_huge(heap);
	}
	for (i = 0; i < heap->nnodes; i++)
		nbytes += heap_release_node(heap, i, all ? KSPAN_IDLE_ALL : KSPAN_IDLE_EPOCH,
					    (size_t)-1, gfp);
	return nbytes;
}

/* Give back what lies under free objects of idle spans, and under free metadata; bytes. */
static size_t heap_trim(struct kspan_heap *heap)
{
	struct kspan_node *node;
	unsigned long flags;
	size_t nbytes = 0;
	u32 c, i;

	if (!heap->config.source->release)
		return 0;
	heap_for_each_node(heap, node, i)
		for (c = 0; c < KSPAN_NR_STACKS; c++)
			nbytes += central_trim(&node->central[c]);
	for (i = 0; i < KSPAN_NR_FIX; i++)
		nbytes += fix_trim(&heap->fix[i]);
	flags = port_lock(&heap->lock);
	heap->nscavenged_bytes += nbytes;
	port_unlock(&heap->lock, flags);
	return nbytes;
}

/* All that is free on a node begins an epoch; whether any of it has memory to give back. */
static bool node_age(struct kspan_heap *heap, struct kspan_node *node)
{
	unsigned long flags;
	bool left, any;
	u32 cursor = 0;

	do {
		flags = port_lock(&heap->lock);
		left = pages_age(&node->pages, &cursor);
		any = node->pages.nfree != node->pages.nreleased;
		port_unlock(&heap->lock, flags);
		port_relax();
	} while (left);
	return any;
}

/**
 * heap_scavenge - end an epoch and begin the next
 * @heap: whose
 *
 * Context: process; sleeps. The port calls it config.epoch_ms after the last
 * time as long as there is something to do, one caller at a time.
 * Return: whether the next epoch may have something to give back.
 */
bool heap_scavenge(struct kspan_heap *heap)
{
	struct kspan_node *node;
	unsigned long flags;
	bool more;
	u32 i;

	heap_catch_up(heap);
	more = cache_drain_idle(heap, &heap->slots);
	more |= objcache_drain_idle(heap);
	heap_drop_spares(heap);
	heap_release(heap, false, GFP_KERNEL);
	if (heap_trim(heap))
		more = true;
	more |= warm_age_huge(heap);
	flags = port_lock(&heap->lock);
	warm_flush_locked(heap);
	port_unlock(&heap->lock, flags);
	heap_for_each_node(heap, node, i)
		more |= node_age(heap, node);
	return more;
}

/**
 * heap_release_memory - give back all that can be given back
 * @heap: whose
 *
 * Context: process; sleeps.
 * Return: bytes given back.
 */
size_t heap_release_memory(struct kspan_heap *heap)
{
	heap_catch_up(heap);
	debug_flush(heap);
	cache_drain(heap, &heap->slots);
	objcache_drain_all(heap);
	return heap_release(heap, true, GFP_KERNEL);
}

/* What the limits are about. The heap's lock is held. */
static size_t heap_used(struct kspan_heap *heap, const struct kspan_page_counts *sum)
{
	port_assert_held(&heap->lock);
	return pages_to_bytes(sum->ninuse - sum->nspare - warm_pages(heap)) +
	       heap->meta_bytes + heap->charged_bytes;
}

/* The hard limit for a request; none for one that may wait but not fail. */
static size_t heap_limit_hard(struct kspan_heap *heap, gfp_t gfp)
{
	if ((gfp & __GFP_NOFAIL) && (gfp & __GFP_DIRECT_RECLAIM))
		return 0;
	return port_load(&heap->config.limit_hard);
}

/**
 * heap_may_use - does the hard limit let the heap use @nbytes more
 * @heap: which
 * @nbytes: counted by the caller before it lets go of the lock
 * @gfp: of the request
 *
 * Context: the heap's lock is held.
 * Return: false when the hard limit would be passed.
 */
bool heap_may_use(struct kspan_heap *heap, size_t nbytes, gfp_t gfp)
{
	size_t hard = heap_limit_hard(heap, gfp);
	struct kspan_page_counts sum;
	size_t used;

	if (likely(!hard))
		return true;
	heap_sum_pages(heap, &sum);
	used = heap_used(heap, &sum);
	return used <= hard && nbytes <= hard - used;
}

/**
 * heap_charge - have @nbytes count as used before they are
 * @heap: by which heap
 * @nbytes: to be given to heap_uncharge() once they are counted elsewhere, or will
 *	not be
 * @gfp: of the request
 *
 * Context: no lock held; sleeps only when @gfp says so.
 * Return: false when the hard limit would be passed; nothing is charged then.
 */
bool heap_charge(struct kspan_heap *heap, size_t nbytes, gfp_t gfp)
{
	bool ok = heap_within_limit(heap, nbytes, gfp);
	unsigned long flags = port_lock(&heap->lock);

	ok = ok && heap_may_use(heap, nbytes, gfp);
	if (ok)
		heap->charged_bytes += nbytes;
	port_unlock(&heap->lock, flags);
	return ok;
}

void heap_uncharge(struct kspan_heap *heap, size_t nbytes)
{
	unsigned long flags = port_lock(&heap->lock);

	heap->charged_bytes -= nbytes;
	port_unlock(&heap->lock, flags);
}

/**
 * heap_within_limit - make room for @nbytes within the limits
 * @heap: which
 * @nbytes: about to be taken from the free pages or from the system
 * @gfp: of the request
 *
 * Near the soft limit idle memory goes back first. Others may take the room before
 * the caller does: what counts for the hard limit is heap_may_use().
 *
 * Context: no lock held; sleeps only when @gfp says so.
 * Return: false when the hard limit would be passed.
 */
bool heap_within_limit(struct kspan_heap *heap, size_t nbytes, gfp_t gfp)
{
	size_t soft = port_load(&heap->config.limit_soft);
	size_t hard = heap_limit_hard(heap, gfp);
	size_t least = soft && (!hard || soft < hard) ? soft : hard;
	struct kspan_page_counts sum;
	size_t used, idle;
	unsigned long flags;

	if (likely(!least))
		return true;
	flags = port_lock(&heap->lock);
	heap_sum_pages(heap, &sum);
	used = heap_used(heap, &sum);
	idle = pages_to_bytes(sum.nfree - sum.nreleased + sum.nspare + warm_pages(heap));
	port_unlock(&heap->lock, flags);
	if ((nbytes > least || used + idle > least - nbytes) && port_may_ask_source())
		heap_release(heap, true, gfp);
	return !hard || (used <= hard && nbytes <= hard - used);
}
