// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * operator new and delete of C++, by their mangled names: libstdc++'s call
 * malloc() and free() themselves, so this saves a call. The four here are those
 * that the others come down to (malloc_new_forms.c). In a program without C++
 * nobody calls them.
 *
 * The archive's are weak, so that a program's own win without a clash.
 *
 * A failing new runs the program's new handler, then throws; both by way of
 * libstdc++, which a program that gets here has.
 */
#include <malloc.h>
#include <stdlib.h>
#include "port.h"

/*
 * std::get_new_handler() and std::__throw_bad_alloc(). The shared library may be
 * in a program without libstdc++. Who takes this from the archive has it, and a
 * weak reference would not bring it in.
 */
void *_ZSt15get_new_handlerv(void);
void _ZSt17__throw_bad_allocv(void);

#ifdef KSPAN_STATIC
#define EXPORT		__attribute__((visibility("default"), weak))
#else
#define EXPORT		__attribute__((visibility("default")))
#pragma weak _ZSt15get_new_handlerv
#pragma weak _ZSt17__throw_bad_allocv
#endif

static void *(*const get_new_handler)(void) = _ZSt15get_new_handlerv;
static void (*const throw_bad_alloc)(void) = _ZSt17__throw_bad_allocv;

void *_Znwm(size_t size);
void *_ZnwmSt11align_val_t(size_t size, size_t align);
void _ZdlPv(void *ptr);
void _ZdlPvSt11align_val_t(void *ptr, size_t align);

/* 0: the alignment of malloc() */
static void *try_new(size_t size, size_t align)
{
	return align ? memalign(align, size) : malloc(size);
}

/*
 * The standard's loop: the handler may make room, throw, or not return. What it
 * throws passes through here.
 */
static noinline void *new_retry(size_t size, size_t align)
{
	void *obj;

	for (;;) {
		void (*handler)(void) = get_new_handler ? get_new_handler() : NULL;

		if (!handler)
			break;
		handler();
		obj = try_new(size, align);
		if (obj)
			return obj;
	}
	if (throw_bad_alloc)
		throw_bad_alloc();
	port_report("operator new: no memory for %zu bytes", size);
	abort();
}

static __always_inline void *new_object(size_t size, size_t align)
{
	void *obj = try_new(size, align);

	return likely(obj) ? obj : new_retry(size, align);
}

EXPORT void *_Znwm(size_t size)
{
	return new_object(size, 0);
}

EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align)
{
	return new_object(size, align);
}

EXPORT void _ZdlPv(void *ptr)
{
	free(ptr);
}

EXPORT void _ZdlPvSt11align_val_t(void *ptr, size_t align)
{
	(void)align;
	free(ptr);
}

void *_Znam(size_t size);
void *_ZnamSt11align_val_t(size_t size, size_t align);
void _ZdaPv(void *ptr);
void _ZdaPvSt11align_val_t(void *ptr, size_t align);

const struct malloc_new_forms malloc_new_forms = {
	.new_array = _Znam,
	.new_array_aligned = _ZnamSt11align_val_t,
	.delete_array = _ZdaPv,
	.delete_array_aligned = _ZdaPvSt11align_val_t,
};

#ifndef KSPAN_STATIC

/* By names that nobody can take over, which tell whether the public ones are these. */
void *malloc_new(size_t size) KSPAN_HIDDEN __attribute__((alias("_Znwm")));
void *malloc_new_aligned(size_t size, size_t align) KSPAN_HIDDEN
	__attribute__((alias("_ZnwmSt11align_val_t")));

#endif
