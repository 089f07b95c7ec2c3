// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * AddressSanitizer is told of free objects: see asan.h. In builds with it only.
 */
#include <sanitizer/asan_interface.h>
#include "port.h"

void port_poison(const void *p, size_t nbytes)
{
	__asan_poison_memory_region(p, nbytes);
}

void port_unpoison(const void *p, size_t nbytes)
{
	__asan_unpoison_memory_region(p, nbytes);
}

/*
 * memset() and memcpy() are ASan's, which look at the memory: bytes, then, and each an
 * access of its own, for the compiler to see neither function in it.
 */
PORT_UNCHECKED void port_obj_fill(void *p, int c, size_t nbytes)
{
	u8 *to = p;
	size_t i;

	for (i = 0; i < nbytes; i++)
		port_store(&to[i], (u8)c);
}

PORT_UNCHECKED void port_obj_copy(void *to, const void *from, size_t nbytes)
{
	u8 *d = to;
	const u8 *s = from;
	size_t i;

	for (i = 0; i < nbytes; i++)
		port_store(&d[i], port_load(&s[i]));
}
