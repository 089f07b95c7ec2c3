/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * AddressSanitizer: libkspan built with it (SAN=address) has it know which objects are
 * free, so that a program built with it sees their use as it sees that of malloc()'s.
 * The malloc library does not: ASan has a malloc() of its own.
 */
#ifndef KSPAN_ASAN_H
#define KSPAN_ASAN_H

#ifdef KSPAN_ASAN

#define port_poisons()		true
#define PORT_UNCHECKED		__attribute__((no_sanitize("address"))) noinline

void port_poison(const void *p, size_t nbytes) KSPAN_HIDDEN;
void port_unpoison(const void *p, size_t nbytes) KSPAN_HIDDEN;
void port_obj_fill(void *p, int c, size_t nbytes) KSPAN_HIDDEN;
void port_obj_copy(void *to, const void *from, size_t nbytes) KSPAN_HIDDEN;

/* core/poison.c */
void poison_alloc(const void *ptr) KSPAN_HIDDEN;
void poison_free(const void *ptr) KSPAN_HIDDEN;

#define port_asan_alloc(p)	poison_alloc(p)
#define port_asan_free(p)	poison_free(p)

#else

#define port_poisons()		false
#define PORT_UNCHECKED
#define port_poison(p, nbytes)		((void)(p))
#define port_unpoison(p, nbytes)	((void)(p))
#define port_obj_fill(p, c, n)		memset(p, c, n)
#define port_obj_copy(d, s, n)		memcpy(d, s, n)
#define port_asan_alloc(p)		((void)(p))
#define port_asan_free(p)		((void)(p))

#endif

#endif /* KSPAN_ASAN_H */
