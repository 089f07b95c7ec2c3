// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The forms of operator new and delete that come down to those of malloc_new.c.
 *
 * A program may have new and delete of its own and leave the other forms to whoever
 * has them: the standard says which calls which, and each calls it by its public
 * name, never malloc() or free(). They are in a file of their own so that no
 * compiler makes these calls direct.
 *
 * What a new handler throws the nothrow forms must catch, and C cannot: once an
 * object is not to be had at once they go on as libstdc++'s. The archive leaves
 * them to libstdc++ altogether.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include "port.h"

#ifdef KSPAN_STATIC
#define EXPORT		__attribute__((visibility("default"), weak))
#else
#define EXPORT		__attribute__((visibility("default")))
#endif

/* malloc_new.c, or the program's */
EXPORT void *_Znwm(size_t size);
EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align);
EXPORT void _ZdlPv(void *ptr);
EXPORT void _ZdlPvSt11align_val_t(void *ptr, size_t align);

/* here, or the program's */
EXPORT void *_Znam(size_t size);
EXPORT void *_ZnwmRKSt9nothrow_t(size_t size, const void *tag);
EXPORT void *_ZnamRKSt9nothrow_t(size_t size, const void *tag);
EXPORT void *_ZnamSt11align_val_t(size_t size, size_t align);
EXPORT void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag);
EXPORT void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag);
EXPORT void _ZdaPv(void *ptr);
EXPORT void _ZdlPvm(void *ptr, size_t size);
EXPORT void _ZdaPvm(void *ptr, size_t size);
EXPORT void _ZdlPvRKSt9nothrow_t(void *ptr, const void *tag);
EXPORT void _ZdaPvRKSt9nothrow_t(void *ptr, const void *tag);
EXPORT void _ZdaPvSt11align_val_t(void *ptr, size_t align);
EXPORT void _ZdlPvmSt11align_val_t(void *ptr, size_t size, size_t align);
EXPORT void _ZdaPvmSt11align_val_t(void *ptr, size_t size, size_t align);
EXPORT void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t align, const void *tag);
EXPORT void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t align, const void *tag);

EXPORT void *_Znam(size_t size)
{
	return _Znwm(size);
}

EXPORT void *_ZnamSt11align_val_t(size_t size, size_t align)
{
	return _ZnwmSt11align_val_t(size, align);
}

EXPORT void _ZdaPv(void *ptr)
{
	_ZdlPv(ptr);
}

EXPORT void _ZdlPvm(void *ptr, size_t size)
{
	(void)size;
	_ZdlPv(ptr);
}

EXPORT void _ZdlPvRKSt9nothrow_t(void *ptr, const void *tag)
{
	(void)tag;
	_ZdlPv(ptr);
}

EXPORT void _ZdaPvSt11align_val_t(void *ptr, size_t align)
{
	_ZdlPvSt11align_val_t(ptr, align);
}

EXPORT void _ZdlPvmSt11align_val_t(void *ptr, size_t size, size_t align)
{
	(void)size;
	_ZdlPvSt11align_val_t(ptr, align);
}

EXPORT void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t align, const void *tag)
{
	(void)tag;
	_ZdlPvSt11align_val_t(ptr, align);
}

/* These come down to forms that are here. */

EXPORT void _ZdaPvm(void *ptr, size_t size)
{
	(void)size;
	malloc_new_forms.delete_array(ptr);
}

EXPORT void _ZdaPvRKSt9nothrow_t(void *ptr, const void *tag)
{
	(void)tag;
	malloc_new_forms.delete_array(ptr);
}

EXPORT void _ZdaPvmSt11align_val_t(void *ptr, size_t size, size_t align)
{
	(void)size;
	malloc_new_forms.delete_array_aligned(ptr, align);
}

EXPORT void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t align, const void *tag)
{
	(void)tag;
	malloc_new_forms.delete_array_aligned(ptr, align);
}

#ifndef KSPAN_STATIC

/* malloc_new.c: its two, by names that nobody can take over */
void *malloc_new(size_t size) KSPAN_HIDDEN;
void *malloc_new_aligned(size_t size, size_t align) KSPAN_HIDDEN;

static void *own_array(size_t size) __attribute__((alias("_Znam")));
static void *own_array_aligned(size_t size, size_t align)
	__attribute__((alias("_ZnamSt11align_val_t")));

static noinline void *next_nothrow(const char *name, size_t size, const void *tag)
{
	void *(*next)(size_t size, const void *tag);

	next = dlsym(RTLD_NEXT, name);
	return next ? next(size, tag) : NULL;
}

static noinline void *next_nothrow_aligned(const char *name, size_t size, size_t align,
					   const void *tag)
{
	void *(*next)(size_t size, size_t align, const void *tag);

	next = dlsym(RTLD_NEXT, name);
	return next ? next(size, align, tag) : NULL;
}

EXPORT void *_ZnwmRKSt9nothrow_t(size_t size, const void *tag)
{
	void *obj = _Znwm == malloc_new ? malloc(size) : NULL;

	return likely(obj) ? obj : next_nothrow("_ZnwmRKSt9nothrow_t", size, tag);
}

EXPORT void *_ZnamRKSt9nothrow_t(size_t size, const void *tag)
{
	bool own = _Znwm == malloc_new && malloc_new_forms.new_array == own_array;
	void *obj = own ? malloc(size) : NULL;

	return likely(obj) ? obj : next_nothrow("_ZnamRKSt9nothrow_t", size, tag);
}

EXPORT void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag)
{
	bool own = _ZnwmSt11align_val_t == malloc_new_aligned;
	void *obj = own ? memalign(align, size) : NULL;

	return likely(obj) ? obj :
	       next_nothrow_aligned("_ZnwmSt11align_val_tRKSt9nothrow_t", size, align, tag);
}

EXPORT void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag)
{
	bool own = _ZnwmSt11align_val_t == malloc_new_aligned &&
		   malloc_new_forms.new_array_aligned == own_array_aligned;
	void *obj = own ? memalign(align, size) : NULL;

	return likely(obj) ? obj :
	       next_nothrow_aligned("_ZnamSt11align_val_tRKSt9nothrow_t", size, align, tag);
}

#endif /* !KSPAN_STATIC */
