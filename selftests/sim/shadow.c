// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A sanitizer of memory accesses, as AddressSanitizer and KASAN are to the other ports
 * (setting poisons): a bit for every 8 bytes of the source says that nobody may use them.
 * What becomes somebody's must have been poisoned as a whole until then, or there was a
 * way on which its free, or its span, was forgotten; what is somebody's must not be (see
 * model.c), and the core's own accesses are looked at too. See core/poison.c and sched.c.
 */
#include "sim.h"

#define GRANULE		8

/* The source's memory: guarded objects and what is static have no shadow. */
static bool has_shadow(const volatile void *p)
{
	return cfg(CFG_POISONS) && source_offset(p) >> 32;
}

/* The bits of word @w of a shadow that are between granules @first and @end. */
static u64 word_mask(u32 w, u32 first, u32 end)
{
	u64 mask = ~0ull;

	if (first > w * 64)
		mask &= ~0ull << (first - w * 64);
	if (end < (w + 1) * 64)
		mask &= (1ull << (end - w * 64)) - 1;
	return mask;
}

/* How many of the @nbytes at @p are poisoned, to the granule. */
size_t shadow_count(const volatile void *p, size_t nbytes)
{
	u32 first, end, w, n = 0;
	u64 at;

	if (!has_shadow(p))
		return 0;
	at = source_offset(p);
	first = (u32)at / GRANULE;
	end = ((u32)at + nbytes + GRANULE - 1) / GRANULE;
	for (w = first / 64; w * 64 < end; w++)
		n += __builtin_popcountll(source_shadow(at >> 32)[w] & word_mask(w, first, end));
	return (size_t)n * GRANULE;
}

static void shadow_set(const void *p, size_t nbytes, bool on)
{
	u64 at = source_offset(p), *shadow = source_shadow(at >> 32);
	u32 first = (u32)at / GRANULE, end = ((u32)at + nbytes) / GRANULE, w;

	for (w = first / 64; w * 64 < end; w++) {
		u64 mask = word_mask(w, first, end);

		shadow[w] = on ? shadow[w] | mask : shadow[w] & ~mask;
	}
}

/* Pages go back to the source, whose next owner may use them: the port's own business. */
void shadow_clear(const void *p, size_t nbytes)
{
	if (has_shadow(p))
		shadow_set(p, nbytes, false);
}

bool port_poisons(void)
{
	return cfg(CFG_POISONS);
}

static void check_region(const char *what, const void *p, size_t nbytes)
{
	if (!has_shadow(p) || ((uintptr_t)p | nbytes) % GRANULE || !nbytes)
		sim_fail("%zu bytes are %s that can not be", nbytes, what);
}

void port_poison(const void *p, size_t nbytes)
{
	check_region("poisoned", p, nbytes);
	shadow_set(p, nbytes, true);
}

/*
 * What is smaller than a page is an object or a tiny block, never a span, which may be new
 * from the source.
 */
void port_unpoison(const void *p, size_t nbytes)
{
	check_region("unpoisoned", p, nbytes);
	if (nbytes < KSPAN_PAGE_SIZE && shadow_count(p, nbytes) != nbytes)
		sim_fail("of %zu bytes that become somebody's %zu were poisoned", nbytes,
			 shadow_count(p, nbytes));
	shadow_set(p, nbytes, false);
}

/* Functions that are PORT_UNCHECKED load bytes, and nobody else loads those of objects. */
void shadow_access(const volatile void *p, size_t size)
{
	if (size > 1 && shadow_count(p, size))
		sim_fail("memory is accessed that nobody may use");
}
