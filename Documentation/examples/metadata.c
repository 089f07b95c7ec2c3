// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What kspan adds to small objects: allocate 64 MiB of one size and see what
 * the heap took for them. One size per run, since metadata memory is kept.
 *
 *	metadata SIZE
 */
#include <stdio.h>
#include <stdlib.h>
#include <kspan.h>

#define TOTAL	((size_t)64 << 20)
#define MIB	((double)(1 << 20))

static struct kspan_stats before, after;

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 0) : 64;
	size_t good = kspan_good_size(size);
	size_t i, n = good ? TOTAL / good : 0;
	double mib;

	if (!size || good > TOTAL)
		return 2;
	kspan_free(kspan_alloc(size, GFP_KERNEL));	/* the heap has started, */
	kspan_release_memory();				/* and no span is left */
	kspan_get_stats(&before);
	for (i = 0; i < n; i++)
		if (!kspan_alloc(size, GFP_KERNEL))
			return 1;
	kspan_get_stats(&after);
	mib = n * good / MIB;
	printf("%5zu bytes: per MiB of objects %6.0f bytes of metadata, %6.0f unused in spans\n",
	       good, (after.meta_bytes - before.meta_bytes) / mib,
	       (after.inuse_bytes - before.inuse_bytes - n * (double)good) / mib);
	return 0;
}
