// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The malloc family over the default heap, for libkspan-malloc.
 *
 * What differs from kspan_alloc() and kspan_free() is what C and glibc promise:
 * every object is aligned to 16, since programs keep tags in the low bits of pointers
 * (so classes 8 and 24 are never used), malloc(0) gives an object, free() keeps errno,
 * realloc(p, 0) frees.
 *
 * The hit paths are a table lookup and one restartable sequence: no call, no
 * atomic instruction, no test of a mode. Until the heap has started, table.max
 * is 0 and the page map is empty, so that neither gets as far as the sequence:
 * the loader and other libraries call malloc() before any constructor of ours.
 * The slow paths first look whether they may lock: malloc_nested.c.
 */
#include <malloc.h>
#include <stdlib.h>
#include "port.h"

#define EXPORT		__attribute__((visibility("default")))
#define HOT		__attribute__((aligned(64)))	/* begins where a cache line does */
#define CALLER()	((uintptr_t)__builtin_return_address(0))

#define MALLOC_ALIGN	((size_t)16)

#define HEAP		(&kspan_heap0)

void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t align, size_t size);

#define LINE		((size_t)64)	/* a cache line */

/*
 * What a hit looks up, behind one address.
 * @max: sizes below this are served from the tables; 0 until they are filled and the
 *	sequences know where rseq's area is. To be read with an acquire load: where
 *	loads may pass each other, the sequence would otherwise find offset 0 and
 *	write to the thread's control block.
 * @class_of: span class of the sizes up to 1 KiB
 * @class_of_lines: the same of objects that are aligned to a line: by size in lines
 */
static struct {
	size_t max;
	u8 class_of[KSPAN_SMALL_SIZE_MAX8 + 1];
	u8 class_of_lines[KSPAN_SMALL_SIZE_MAX8 / LINE + 1];
} table __attribute__((aligned(64)));

/* What the core is asked for, so that malloc()'s promises hold. */
static inline size_t malloc_size(size_t size)
{
	if (size > 2 * MALLOC_ALIGN)
		return size;
	return size ? (size + MALLOC_ALIGN - 1) & -MALLOC_ALIGN : MALLOC_ALIGN;
}

static noinline void class_of_fill(void)
{
	size_t size;

	for (size = 0; size < sizeof(table.class_of); size++)
		port_store(&table.class_of[size], span_class(size_to_class(malloc_size(size)), false));
	for (size = 0; size < sizeof(table.class_of_lines); size++)
		port_store(&table.class_of_lines[size],
			   span_class(aligned_class(size ? size * LINE : 1, LINE), false));
	/*
	 * pairs with the acquire loads in malloc_hit(), malloc_medium() and
	 * alloc_lines()
	 */
	port_store_release(&table.max, sizeof(table.class_of));
}

static void *fail(int error)
{
	errno = error;
	return NULL;
}

/* For a signal handler that must not lock; @align is a power of two. */
static noinline void *nested_alloc(size_t size, size_t align)
{
	void *obj = malloc_nested_alloc(size ? size : 1, align);

	return obj ? obj : fail(ENOMEM);
}

/* malloc_size() rounds up: in a checked heap the red zone begins at what was asked for. */
static noinline void *exact(void *obj, size_t size)
{
	if (heap_checked(HEAP))
		debug_set_size(HEAP, obj, size ? size : 1);
	return obj;
}

static inline bool is_loader(uintptr_t caller)
{
	return caller - port_loader.start < port_loader.nbytes;
}

static noinline void *malloc_slow(size_t size, uintptr_t caller)
{
	bool quiet = is_loader(caller);
	void *obj;

	if (unlikely(port_is_nested()))
		return nested_alloc(size, MALLOC_ALIGN);
	port_nquiet += quiet;
	obj = heap_alloc_slow(HEAP, malloc_size(size), false, GFP_KERNEL, caller);
	port_nquiet -= quiet;
	if (unlikely(!port_load(&table.max)) && obj)
		class_of_fill();
	return exact(obj, size);
}

/* Over 32 KiB: what malloc_slow() does, where nothing is unusual. */
static noinline void *malloc_large(size_t size, uintptr_t caller)
{
	void *obj = NULL;

	if (likely(port_load(&table.max) && !port_is_nested() && !heap_checked(HEAP))) {
		heap_catch_up(HEAP);
		obj = large_alloc(HEAP, size, 1, 0, GFP_KERNEL, false, caller);
	}
	return likely(obj) ? obj : malloc_slow(size, caller);
}

/* Over 1 KiB: the second table up to 32 KiB. */
static noinline HOT void *malloc_medium(size_t size, uintptr_t caller)
{
	void *obj = NULL;

	if (unlikely(size > KSPAN_MAX_SMALL_SIZE))
		return malloc_large(size, caller);
	/* pairs with the release store in class_of_fill() */
	if (likely(port_load_acquire(&table.max)))
		obj = rseq_pop(&HEAP->slots, span_class(size_to_class(size), false));
	return likely(obj) ? obj : malloc_slow(size, caller);
}

/* What malloc() does when it cannot serve @size at once; it jumps here. */
static noinline void *malloc_miss(size_t size)
{
	if (size > KSPAN_SMALL_SIZE_MAX8)
		return malloc_medium(size, CALLER());
	return malloc_slow(size, CALLER());
}

static __always_inline void *malloc_hit(size_t size)
{
	/* pairs with the release store in class_of_fill() */
	if (unlikely(size >= port_load_acquire(&table.max)))
		return NULL;
	return rseq_pop(&HEAP->slots, port_load(&table.class_of[size]));
}

static __always_inline void *malloc_at(size_t size, uintptr_t caller)
{
	void *obj = malloc_hit(size);

	if (likely(obj))
		return obj;
	return size > KSPAN_SMALL_SIZE_MAX8 ? malloc_medium(size, caller) :
					      malloc_slow(size, caller);
}

/*
 * kspan_free() takes what kspan_alloc(0) gives. No malloc() gave it, and who frees it
 * has the address of a member of NULL.
 */
static void free_zero_size(void *ptr, uintptr_t caller)
{
	heap_ready(HEAP);	/* how to report it is an option */
	heap_misuse(HEAP, KSPAN_FOREIGN_FREE, ptr, caller);
}

static noinline void free_slow(void *ptr, uintptr_t caller)
{
	bool quiet = is_loader(caller);
	int saved = errno;

	port_nquiet += quiet;
	if (unlikely(malloc_nested_owns(ptr))) {
		malloc_nested_free(ptr);
	} else if (unlikely(port_is_nested())) {
		heap_free_nolock(HEAP, ptr, caller);
	} else if (unlikely(ptr == ZERO_SIZE_PTR)) {
		free_zero_size(ptr, caller);
	} else {
		heap_catch_up(HEAP);
		heap_free_slow(HEAP, ptr, caller);
	}
	port_nquiet -= quiet;
	errno = saved;
}

/* What free() does when there is no room; it jumps here. */
static noinline void free_miss(void *ptr)
{
	free_slow(ptr, CALLER());
}

static __always_inline void free_at(void *ptr, uintptr_t caller)
{
	if (unlikely(!heap_free_hit(HEAP, ptr)))
		free_slow(ptr, caller);
}

EXPORT HOT void *malloc(size_t size)
{
	void *obj = malloc_hit(size);

	return likely(obj) ? obj : malloc_miss(size);
}

EXPORT HOT void free(void *ptr)
{
	if (unlikely(!heap_free_hit(HEAP, ptr)))
		free_miss(ptr);
}

EXPORT void free_sized(void *ptr, size_t size)
{
	(void)size;
	free_at(ptr, CALLER());
}

EXPORT void free_aligned_sized(void *ptr, size_t align, size_t size)
{
	(void)align;
	(void)size;
	free_at(ptr, CALLER());
}

static void *calloc_large(size_t size, uintptr_t caller)
{
	void *obj;

	if (likely(!port_is_nested()))
		return heap_alloc_slow(HEAP, size, false, GFP_KERNEL | __GFP_ZERO, caller);
	obj = nested_alloc(size, MALLOC_ALIGN);
	return obj ? memset(obj, 0, size) : NULL;
}

EXPORT void *calloc(size_t n, size_t size)
{
	size_t nbytes;
	void *obj;

	if (unlikely(__builtin_mul_overflow(n, size, &nbytes)))
		return fail(ENOMEM);
	if (nbytes > KSPAN_MAX_SMALL_SIZE)
		return calloc_large(nbytes, CALLER());
	obj = malloc_at(nbytes, CALLER());
	return likely(obj) ? memset(obj, 0, nbytes) : NULL;
}

static noinline size_t usable_size(const void *ptr)
{
	if (unlikely(malloc_nested_owns(ptr)))
		return malloc_nested_size(ptr);
	return heap_size(HEAP, ptr);
}

/* Not so where it came from kspan_alloc(), whose 8 and 24 bytes lie at any multiple of 8. */
static bool is_aligned(const void *ptr)
{
	return !((uintptr_t)ptr & (MALLOC_ALIGN - 1));
}

/*
 * realloc() by malloc() and free(): in a handler that must not lock, of an object of
 * such a one, or where the object may not stay.
 */
static noinline void *realloc_by_parts(void *ptr, size_t size, uintptr_t caller)
{
	size_t have = usable_size(ptr);
	void *obj;

	if (!have) {
		free_at(ptr, caller);	/* reports it */
		return fail(ENOMEM);
	}
	if (size <= have && is_aligned(ptr))
		return ptr;
	obj = malloc_at(size, caller);
	if (!obj)
		return NULL;
	memcpy(obj, ptr, min(have, size));
	free_at(ptr, caller);
	return obj;
}

static void *realloc_at(void *ptr, size_t size, uintptr_t caller)
{
	if (!ptr)
		return malloc_at(size, caller);
	if (!size) {
		free_at(ptr, caller);
		return NULL;
	}
	if (unlikely(port_is_nested() || malloc_nested_owns(ptr) || !is_aligned(ptr) ||
		     ptr == ZERO_SIZE_PTR))
		return realloc_by_parts(ptr, size, caller);
	if (!heap_ready(HEAP))
		return fail(ENOMEM);
	return exact(heap_realloc(HEAP, ptr, malloc_size(size), GFP_KERNEL, caller), size);
}

EXPORT void *realloc(void *ptr, size_t size)
{
	return realloc_at(ptr, size, CALLER());
}

EXPORT void *reallocarray(void *ptr, size_t n, size_t size)
{
	size_t nbytes;

	if (unlikely(__builtin_mul_overflow(n, size, &nbytes)))
		return fail(ENOMEM);
	return realloc_at(ptr, nbytes, CALLER());
}

/* One hit for what is asked for most: whole cache lines. */
static __always_inline void *alloc_lines(size_t size)
{
	/* pairs with the release store in class_of_fill() */
	if (unlikely(size >= port_load_acquire(&table.max)))
		return NULL;
	return rseq_pop(&HEAP->slots, port_load(&table.class_of_lines[(size + LINE - 1) / LINE]));
}

/* The aligned family. @align is a power of two. */
static noinline void *alloc_aligned(size_t align, size_t size, uintptr_t caller)
{
	void *obj = align == LINE ? alloc_lines(size) : NULL;

	if (likely(obj))
		return obj;
	if (align <= MALLOC_ALIGN)
		return malloc_at(max(size, align), caller);
	if (unlikely(port_is_nested()))
		return nested_alloc(size, align);
	if (!heap_ready(HEAP))
		return fail(ENOMEM);
	return heap_alloc_aligned(HEAP, size ? size : 1, align, GFP_KERNEL, caller);
}

static bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

EXPORT int posix_memalign(void **ptr, size_t align, size_t size)
{
	int saved = errno, error = EINVAL;
	void *obj;

	if (is_power_of_two(align) && align % sizeof(void *) == 0) {
		obj = alloc_aligned(align, size, CALLER());
		error = obj ? 0 : ENOMEM;
		if (obj)
			*ptr = obj;
	}
	/* no memory is noted there as well, as by glibc */
	errno = error == ENOMEM ? ENOMEM : saved;
	return error;
}

static noinline void *aligned_alloc_miss(size_t align, size_t size)
{
	return is_power_of_two(align) ? alloc_aligned(align, size, CALLER()) : fail(EINVAL);
}

EXPORT HOT void *aligned_alloc(size_t align, size_t size)
{
	void *obj = align == LINE ? alloc_lines(size) : NULL;

	return likely(obj) ? obj : aligned_alloc_miss(align, size);
}

/* As glibc: an alignment that is no power of two is rounded up to one. */
EXPORT void *memalign(size_t align, size_t size)
{
	if (align > SIZE_MAX / 2 + 1)
		return fail(EINVAL);
	if (align < MALLOC_ALIGN)
		align = MALLOC_ALIGN;
	while (!is_power_of_two(align))
		align = (align | (align - 1)) + 1;
	return alloc_aligned(align, size, CALLER());
}

#define SYS_PAGE	((size_t)4096)

EXPORT void *valloc(size_t size)
{
	return alloc_aligned(SYS_PAGE, size, CALLER());
}

EXPORT void *pvalloc(size_t size)
{
	size_t rounded = (size + SYS_PAGE - 1) & -SYS_PAGE;

	if (rounded < size)
		return fail(ENOMEM);
	return alloc_aligned(SYS_PAGE, rounded ? rounded : SYS_PAGE, CALLER());
}

/*
 * Programs that count what they use (redis does) ask for every object that comes or goes.
 * So by what free() looks at: a look at the span would be two more cache misses. That is
 * right for objects; of other addresses, outside a checked heap, nothing is promised.
 */
EXPORT HOT size_t malloc_usable_size(void *ptr)
{
	u32 pclass = pagemap_pclass(HEAP, (uintptr_t)ptr);
	size_t size = pclass < KSPAN_NUM_SPAN_CLASSES ? kspan_class_to_size[pclass >> 1] : 0;

	return likely(size && !heap_checked(HEAP)) ? size : usable_size(ptr);
}

/* Options are refused when the program starts, not when it first allocates. */
__attribute__((constructor(103))) static void malloc_start(void)
{
	if (heap_ready(HEAP) && !port_load(&table.max))
		class_of_fill();	/* a program need not call malloc() to be fast */
}
