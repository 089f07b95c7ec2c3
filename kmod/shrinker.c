// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Under memory pressure idle pages go back before their time. What the kernel
 * is told are pages that are free and backed, in PAGE_SIZE: exactly what a
 * scan can give back. See core/scavenge.c.
 */
#include <linux/mm.h>

#include <kspan/heap.h>
#include "compat.h"
#include "kmod.h"

#define PAGES_PER_PAGE	(KSPAN_PAGE_SIZE / PAGE_SIZE)

static struct shrinker *kspan_shrinker;

static unsigned long shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	const struct kspan_pages *pages = &kspan_heap0.pages;
	size_t nfree = port_load(&pages->nfree), nreleased = port_load(&pages->nreleased);

	/* read without the lock: the difference may be off, never the sign */
	return nfree > nreleased ? (nfree - nreleased) * PAGES_PER_PAGE : SHRINK_EMPTY;
}

/*
 * All of it goes at once, whatever was asked for: the arenas have to be walked
 * anyway, and a page that is idle under pressure is of more use elsewhere.
 */
static unsigned long shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	size_t nbytes = heap_release(&kspan_heap0, true);

	if (!nbytes)
		return SHRINK_STOP;
	sc->nr_scanned = nbytes >> PAGE_SHIFT;
	return nbytes >> PAGE_SHIFT;
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
	err = compat_shrinker_register(kspan_shrinker, "kspan");
	if (err)
		kspan_shrinker = NULL;
	return err;
}

void kspan_shrinker_stop(void)
{
	compat_shrinker_free(kspan_shrinker);
}
