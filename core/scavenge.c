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
 * only free objects lie on. See alloc.c.
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
	unsigned long flags;
	bool done = true;

	if (source->release)
		done = source->release(source, (void *)addr, nbytes);
	else
		source->put(source, (void *)addr, nbytes);
	flags = port_lock(&heap->lock);
	heap->pages.nmoving -= npages;
	if (!source->release)
		heap->sys_bytes -= nbytes;
	else if (done)
		pages_free_released(&heap->pages, arena, addr_to_page(addr), npages);
	else
		pages_free(&heap->pages, arena, addr_to_page(addr), npages, true);
	if (done)
		heap->nscavenged_bytes += nbytes;
	port_unlock(&heap->lock, flags);
	return done;
}

/**
 * heap_release - give idle pages back to the system
 * @heap: whose
 * @all: every free page, not only those that were idle for an epoch
 *
 * Context: no lock held; does not sleep.
 * Return: bytes given back.
 */
size_t heap_release(struct kspan_heap *heap, bool all)
{
	size_t nbytes = 0;
	u32 npages, cursor = 0;

	for (;;) {
		uintptr_t addr;
		unsigned long flags = port_lock(&heap->lock);

		npages = pages_take_idle(&heap->pages, &cursor, all, &addr);
		port_unlock(&heap->lock, flags);
		if (!npages)
			break;
		if (!release_run(heap, addr, npages))
			break;
		nbytes += pages_to_bytes(npages);
	}
	if (nbytes) {
		unsigned long flags = port_lock(&heap->lock);

		heap->nrelease++;
		port_unlock(&heap->lock, flags);
	}
	return nbytes;
}

/* Give back what lies under free objects of idle spans; bytes. */
static size_t heap_trim(struct kspan_heap *heap)
{
	unsigned long flags;
	size_t nbytes = 0;
	u32 c, node;

	if (!heap->config.source->release)
		return 0;
	for (node = 0; node < heap->nnodes; node++)
		for (c = 0; c < KSPAN_NR_STACKS; c++)
			nbytes += central_trim(&heap->central[node][c]);
	flags = port_lock(&heap->lock);
	heap->nscavenged_bytes += nbytes;
	port_unlock(&heap->lock, flags);
	return nbytes;
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
	bool more = cache_drain_idle(heap, &heap->slots);
	unsigned long flags;

	heap_release(heap, false);
	if (heap_trim(heap))
		more = true;
	flags = port_lock(&heap->lock);
	more |= pages_age(&heap->pages);
	port_unlock(&heap->lock, flags);
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
	cache_drain(heap, &heap->slots);
	objcache_drain_all(heap);
	return heap_release(heap, true);
}

/**
 * heap_within_limit - may the heap use @nbytes more
 * @heap: which
 * @nbytes: about to be taken from the free pages or from the system
 *
 * Near the soft limit idle memory goes back first; the hard one is kept.
 *
 * Context: no lock held; does not sleep.
 * Return: false when the hard limit would be passed.
 */
bool heap_within_limit(struct kspan_heap *heap, size_t nbytes)
{
	size_t soft = port_load(&heap->config.limit_soft);
	size_t hard = port_load(&heap->config.limit_hard);
	size_t least = soft && (!hard || soft < hard) ? soft : hard;
	size_t used, idle;
	unsigned long flags;

	if (likely(!least))
		return true;
	flags = port_lock(&heap->lock);
	used = pages_to_bytes(heap->pages.ninuse) + heap->meta_bytes + nbytes;
	idle = pages_to_bytes(heap->pages.nfree - heap->pages.nreleased);
	port_unlock(&heap->lock, flags);
	if (used + idle > least)
		heap_release(heap, true);
	return !hard || used <= hard;
}
