/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * For tests of libkspan-malloc's malloc(). They are empty but for a skip where a
 * sanitizer brings its own: what follows this header is inside #if !SANITIZED.
 */
#ifndef MALLOC_TEST_H
#define MALLOC_TEST_H

#include "kselftest_harness.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "sanitized.h"

#if SANITIZED

static inline int child_main(const char *action)
{
	(void)action;
	return 0;
}

TEST(malloc_is_the_sanitizers_here)
{
	SKIP(return, "a sanitizer brings its own malloc()");
}

#endif

/* What the compiler knows of malloc() must not make it drop calls. */
static inline void *hide(void *p)
{
	__asm__ volatile("" : "+r" (p) : : "memory");
	return p;
}

/* Contents that tell one object from another. */
static inline void paint(void *p, size_t n)
{
	memset(p, (uintptr_t)p >> 4 ^ n, n);
}

static inline bool is_painted(const void *p, size_t n)
{
	const unsigned char *s = p, want = (uintptr_t)p >> 4 ^ n;
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] != want)
			return false;
	return true;
}

static inline uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 12;
}

#endif /* MALLOC_TEST_H */
