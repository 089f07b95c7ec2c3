// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * operator new and delete of C++, by their mangled names: libstdc++'s call
 * malloc() and free() themselves, so this saves a call, and makes the sized and
 * aligned forms meet in one place. In a program without C++ nobody calls them.
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
void *_Znam(size_t size);
void *_ZnwmRKSt9nothrow_t(size_t size, const void *tag);
void *_ZnamRKSt9nothrow_t(size_t size, const void *tag);
void *_ZnwmSt11align_val_t(size_t size, size_t align);
void *_ZnamSt11align_val_t(size_t size, size_t align);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag);
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag);
void _ZdlPv(void *ptr);
void _ZdaPv(void *ptr);
void _ZdlPvm(void *ptr, size_t size);
void _ZdaPvm(void *ptr, size_t size);
void _ZdlPvRKSt9nothrow_t(void *ptr, const void *tag);
void _ZdaPvRKSt9nothrow_t(void *ptr, const void *tag);
void _ZdlPvSt11align_val_t(void *ptr, size_t align);
void _ZdaPvSt11align_val_t(void *ptr, size_t align);
void _ZdlPvmSt11align_val_t(void *ptr, size_t size, size_t align);
void _ZdaPvmSt11align_val_t(void *ptr, size_t size, size_t align);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t align, const void *tag);
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t align, const void *tag);

/* 0: the alignment of malloc() */
static void *try_new(size_t size, size_t align)
{
	return align ? memalign(align, size) : malloc(size);
}

/*
 * The standard's loop: the handler may make room, throw, or not return. What it
 * throws passes through here, and for nothrow forms the standard says the same
 * as for the others: only bad_alloc becomes NULL, which is what follows from
 * having no handler.
 */
static noinline void *new_retry(size_t size, size_t align, bool nothrow)
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
	if (nothrow)
		return NULL;
	if (throw_bad_alloc)
		throw_bad_alloc();
	port_report("operator new: no memory for %zu bytes", size);
	abort();
}

static __always_inline void *new_object(size_t size, size_t align, bool nothrow)
{
	void *obj = try_new(size, align);

	return likely(obj) ? obj : new_retry(size, align, nothrow);
}

EXPORT void *_Znwm(size_t size)
{
	return new_object(size, 0, false);
}

EXPORT void *_Znam(size_t size)
{
	return new_object(size, 0, false);
}

EXPORT void *_ZnwmRKSt9nothrow_t(size_t size, const void *tag)
{
	(void)tag;
	return new_object(size, 0, true);
}

EXPORT void *_ZnamRKSt9nothrow_t(size_t size, const void *tag)
{
	(void)tag;
	return new_object(size, 0, true);
}

EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align)
{
	return new_object(size, align, false);
}

EXPORT void *_ZnamSt11align_val_t(size_t size, size_t align)
{
	return new_object(size, align, false);
}

EXPORT void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag)
{
	(void)tag;
	return new_object(size, align, true);
}

EXPORT void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag)
{
	(void)tag;
	return new_object(size, align, true);
}

EXPORT void _ZdlPv(void *ptr)
{
	free(ptr);
}

EXPORT void _ZdaPv(void *ptr)
{
	free(ptr);
}

EXPORT void _ZdlPvm(void *ptr, size_t size)
{
	(void)size;
	free(ptr);
}

EXPORT void _ZdaPvm(void *ptr, size_t size)
{
	(void)size;
	free(ptr);
}

EXPORT void _ZdlPvRKSt9nothrow_t(void *ptr, const void *tag)
{
	(void)tag;
	free(ptr);
}

EXPORT void _ZdaPvRKSt9nothrow_t(void *ptr, const void *tag)
{
	(void)tag;
	free(ptr);
}

EXPORT void _ZdlPvSt11align_val_t(void *ptr, size_t align)
{
	(void)align;
	free(ptr);
}

EXPORT void _ZdaPvSt11align_val_t(void *ptr, size_t align)
{
	(void)align;
	free(ptr);
}

EXPORT void _ZdlPvmSt11align_val_t(void *ptr, size_t size, size_t align)
{
	(void)size;
	(void)align;
	free(ptr);
}

EXPORT void _ZdaPvmSt11align_val_t(void *ptr, size_t size, size_t align)
{
	(void)size;
	(void)align;
	free(ptr);
}

EXPORT void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t align, const void *tag)
{
	(void)align;
	(void)tag;
	free(ptr);
}

EXPORT void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t align, const void *tag)
{
	(void)align;
	(void)tag;
	free(ptr);
}
