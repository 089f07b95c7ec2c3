// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * malloc() in a signal handler that interrupted a thread with a lock of the heap.
 *
 * To take a lock there could be to wait for oneself, so nothing here takes any:
 *
 *   - What the CPU's cache cannot serve comes from a region of its own: one word
 *     holds how far it is used and how many of its objects are out. It is used
 *     upwards and begins again when the last object of it was freed.
 *   - What the CPU's cache cannot take is put off as kspan_free_nolock() does it,
 *     until the next call that may lock: see core/nolock.c.
 *
 * A size stands before each object of the region, and an address tells that it is
 * one, so that realloc() and malloc_usable_size() work on it, at any later time.
 * All of it is lock-free, since a handler can interrupt this as well.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "port.h"

#define REGION_BYTES	((size_t)64 << 20)
#define UNIT		((size_t)16)
#define HEAD		UNIT		/* before an object: its size */
#define GONE		SIZE_MAX	/* there, of an object that was freed */

/* How a region is used: objects out << 32 | units used. */
#define ONE_OUT		((u64)1 << 32)
#define UNITS(word)	((u32)(word))

_Static_assert(REGION_BYTES / UNIT < UINT32_MAX, "the units fit");

static u64 region_word;			/* atomic */
static char *region;			/* mapped when first needed; then fixed */

struct malloc_nested malloc_nested;

static char *region_get(void)
{
	char *base = port_load_acquire(&region), *p;

	if (likely(base))
		return base;
	p = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&region, &base, p, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return p;
	munmap(p, REGION_BYTES);
	return base;
}

bool malloc_nested_owns(const void *ptr)
{
	uintptr_t base = (uintptr_t)port_load_acquire(&region);

	return base && (uintptr_t)ptr - base < REGION_BYTES;
}

static size_t *head_of(const void *ptr)
{
	return (size_t *)((char *)ptr - HEAD);
}

/* Aligned to 16 at least. */
void *malloc_nested_alloc(size_t size, size_t align)
{
	int saved = errno;
	u64 old = __atomic_load_n(&region_word, __ATOMIC_ACQUIRE), new;
	char *base = region_get();
	size_t first, end;

	errno = saved;
	if (align < UNIT)
		align = UNIT;
	if (!base || size > REGION_BYTES || align > REGION_BYTES)
		return NULL;
	do {
		uintptr_t from = (uintptr_t)base + UNITS(old) * UNIT + HEAD;

		first = ((from + align - 1) & -align) - (uintptr_t)base;
		end = (first + size + UNIT - 1) & -UNIT;
		if (first > REGION_BYTES || end > REGION_BYTES)
			return NULL;
		new = ((old & -ONE_OUT) + ONE_OUT) | end / UNIT;
		/* pairs with the release in malloc_nested_free() */
	} while (!__atomic_compare_exchange_n(&region_word, &old, new, true,
					      __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
	port_store(head_of(base + first), size);
	port_add(&malloc_nested.nalloc, 1);
	return base + first;
}

/* 0: not an object, or one that was freed. */
size_t malloc_nested_size(const void *ptr)
{
	size_t size;

	if ((uintptr_t)ptr % UNIT)
		return 0;
	size = port_load(head_of(ptr));
	return size == GONE ? 0 : size;
}

void malloc_nested_free(void *ptr)
{
	u64 old = __atomic_load_n(&region_word, __ATOMIC_RELAXED), new;

	if (__atomic_exchange_n(head_of(ptr), GONE, __ATOMIC_RELAXED) == GONE) {
		port_report("double free of %p, which a signal handler allocated", ptr);
		port_error(&kspan_heap0);
		return;
	}
	do {
		new = old - ONE_OUT;
		if (new < ONE_OUT)
			new = 0;
	} while (!__atomic_compare_exchange_n(&region_word, &old, new, true,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	port_add(&malloc_nested.nfree, 1);
}
