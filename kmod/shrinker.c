// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Under memory pressure idle pages go back before their time. What the kernel
 * is told, node by node, are pages that are free and backed, in PAGE_SIZE: exactly
 * what a scan can give back. See core/scavenge.c.
 */
#include <linux/mm.h>

#include <kspan/heap.h>
#include "compat.h"
#include "kmod.h"

#define PAGES_PER_PAGE	(KSPAN_PAGE_SIZE / PAGE_SIZE)

static struct shrinker *kspan_shrinker;

static unsigned long shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct kspan_node *node = heap_node(&kspan_heap0, sc->nid);
	size_t nfree, nreleased;

	if (!node)
		return SHRINK_EMPTY;
	/* read without the lock: the difference may be off, never the sign */
	nfree = port_load(&node->pages.nfree);
	nreleased = port_load(&node->pages.nreleased);
	nfree += port_load(&node->spare_pages);
	return nfree > nreleased ? (nfree - nreleased) * PAGES_PER_PAGE : SHRINK_EMPTY;
}

/*
 * As much as was asked for, in whole pages of kspan's, and what is returned is what
 * went. Nothing to give: the kernel need not ask again in this round.
 */
static unsigned long shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	size_t npages = DIV_ROUND_UP(sc->nr_to_scan, PAGES_PER_PAGE);
	size_t nbytes = heap_release_node(&kspan_heap0, sc->nid, KSPAN_IDLE_ALL, npages,
					  sc->gfp_mask);

	return nbytes ? nbytes >> PAGE_SHIFT : SHRINK_STOP;
}

int __init kspan_shrinker_start(void)
{
	int err;

	kspan_shrinker = compat_shrinker_alloc("kspan");
	if (!kspan_shrinker)
		return -ENOMEM;
	kspan_shrinker->count_objects = shrink_count;
	kspan_shrinker->scan_objects = shrink_scan;
	kspan_shrinker->seeks = DEFAULT_SEEKS;
	/* not less at a time: each scan looks anew for where idle pages begin */
	kspan_shrinker->batch = KSPAN_ARENA_SIZE >> PAGE_SHIFT;
	err = compat_shrinker_register(kspan_shrinker, "kspan");
	if (err)
		kspan_shrinker = NULL;
	return err;
}

void kspan_shrinker_stop(void)
{
	compat_shrinker_free(kspan_shrinker);
}
