// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KASAN is told which memory nobody may use (core/poison.c). In kernels with the
 * generic KASAN only. Its shadow has a byte for each 8 bytes, which is the least that
 * kspan's objects are aligned to, and their sizes multiples of.
 */
#include <kspan/heap.h>
#include "compat.h"

void port_poison(const void *p, size_t nbytes)
{
	compat_kasan_poison(p, nbytes);
}

void port_unpoison(const void *p, size_t nbytes)
{
	compat_kasan_unpoison(p, nbytes);
}
