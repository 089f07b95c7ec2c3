// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The malloc family against the model: the functions of libkspan-malloc under other
 * names (the process keeps its own), with kspan_alloc_bulk() and object by object
 * frees in between, and calls that believe to be in a signal handler which
 * interrupted a lock.
 */
#include "fuzz.h"

void *fuzz_malloc(size_t size);
void *fuzz_calloc(size_t n, size_t size);
void *fuzz_realloc(void *ptr, size_t size);
void *fuzz_reallocarray(void *ptr, size_t n, size_t size);
int fuzz_posix_memalign(void **ptr, size_t align, size_t size);
void *fuzz_aligned_alloc(size_t align, size_t size);
void *fuzz_memalign(size_t align, size_t size);
void *fuzz_valloc(size_t size);
void *fuzz_pvalloc(size_t size);
size_t fuzz_malloc_usable_size(void *ptr);
void fuzz_free(void *ptr);
void fuzz_free_sized(void *ptr, size_t size);
void fuzz_free_aligned_sized(void *ptr, size_t align, size_t size);

#define ERRNO_BEFORE	4321

/* In a handler, for every fourth operation or so. */
static bool is_nested(const struct fuzz_op *op)
{
	return op->cell >= 192 && op->size % FUZZ_MAX_SIZE < MIB;
}

static void enter(const struct fuzz_op *op)
{
	errno = ERRNO_BEFORE;
	port_nheld += is_nested(op);
}

static void leave(const struct fuzz_op *op)
{
	port_nheld -= is_nested(op);
}

/* What malloc() and its kin align to, whatever the size. */
#define MALLOC_ALIGN	((size_t)16)

/*
 * An object of the region for handlers is not the heap's; all else that the model
 * asks holds of both.
 */
static void got(struct fuzz_cell *cell, void *ptr, size_t size, size_t align)
{
	if (!ptr)
		must(errno == ENOMEM);
	else
		must(fuzz_malloc_usable_size(ptr) >= size);
	if (!ptr || !malloc_nested_owns(ptr)) {
		fuzz_got(cell, ptr, size, align);
		return;
	}
	must(!((uintptr_t)ptr & (align - 1)));
	fuzz_got_outside(cell, ptr, size);
}

/* malloc(0) gives an object, of which the model wants a byte at least. */
static size_t least(size_t size)
{
	return size ? size : 1;
}

static size_t size_of(const struct fuzz_op *op)
{
	return op->size % FUZZ_MAX_SIZE;
}

static struct fuzz_cell *cell_for(const struct fuzz_op *op, size_t *size)
{
	*size = size_of(op);
	return fuzz_room(*size) ? fuzz_cell_empty(op) : NULL;
}

static void *freeing(const struct fuzz_op *op)
{
	return fuzz_leave(fuzz_cell(op));
}

static void op_malloc(const struct fuzz_op *op)
{
	size_t size;
	struct fuzz_cell *cell = cell_for(op, &size);
	void *obj;

	if (!cell)
		return;
	enter(op);
	obj = fuzz_malloc(size);
	leave(op);
	got(cell, obj, least(size), MALLOC_ALIGN);
}

static void op_calloc(const struct fuzz_op *op)
{
	size_t size, n = 1 + op->arg % 9;
	struct fuzz_cell *cell = cell_for(op, &size);
	void *obj;

	if (!cell)
		return;
	size -= size % n;
	enter(op);
	obj = fuzz_calloc(n, size / n);
	leave(op);
	must(!obj || all_zero(obj, size));
	got(cell, obj, least(size), MALLOC_ALIGN);
	must(!fuzz_calloc(SIZE_MAX / 2, n + 2) && errno == ENOMEM);
}

static void op_realloc(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op), old = *cell;
	size_t size = size_of(op), n = 1 + op->arg % 5;
	u8 *obj;

	if (!fuzz_room(size))
		return;
	if (op->arg & 64)
		size -= size % n;
	enter(op);
	obj = op->arg & 64 ? fuzz_reallocarray(cell->ptr, n, size / n) :
			     fuzz_realloc(cell->ptr, size);
	leave(op);
	if (!size && old.ptr) {
		must(!obj);
		fuzz_forget(cell);
		return;
	}
	if (!obj) {
		must(fuzz_may_fail() && errno == ENOMEM);
		fuzz_check(cell);
		return;
	}
	must(fuzz_holds(&old, obj, min(size, old.size)));
	fuzz_forget(cell);
	got(cell, obj, least(size), MALLOC_ALIGN);
	must(!fuzz_reallocarray(obj, SIZE_MAX / 2, n + 2) && errno == ENOMEM);
}

static void op_posix_memalign(const struct fuzz_op *op)
{
	size_t size, align = (size_t)1 << (op->arg % 23);
	struct fuzz_cell *cell = cell_for(op, &size);
	void *obj = cell;
	int err;

	if (!cell || !fuzz_room(size + align))
		return;
	must(fuzz_posix_memalign(&obj, 24, size) == EINVAL && obj == cell);
	enter(op);
	err = fuzz_posix_memalign(&obj, align, size);
	leave(op);
	if (align < sizeof(void *)) {
		must(err == EINVAL && obj == cell && errno == ERRNO_BEFORE);
		return;
	}
	must(err == 0 ? errno == ERRNO_BEFORE : err == ENOMEM && obj == cell);
	got(cell, err ? NULL : obj, least(size), max(align, MALLOC_ALIGN));
}

static void op_aligned(const struct fuzz_op *op)
{
	size_t size, align = (size_t)1 << (op->arg % 23);
	struct fuzz_cell *cell = cell_for(op, &size);
	void *obj;

	if (!cell || !fuzz_room(size + align))
		return;
	must(!fuzz_aligned_alloc(align * 3, size) && errno == EINVAL);
	must(!fuzz_memalign(SIZE_MAX - op->arg, size) && errno == EINVAL);
	enter(op);
	if (op->arg & 256)
		obj = fuzz_memalign(align - (align > 8), size);
	else
		obj = fuzz_aligned_alloc(align, size);
	leave(op);
	got(cell, obj, least(size), max(align, MALLOC_ALIGN));
}

static void op_valloc(const struct fuzz_op *op)
{
	size_t size;
	struct fuzz_cell *cell = cell_for(op, &size);
	void *obj;

	if (!cell)
		return;
	must(!fuzz_pvalloc(SIZE_MAX - op->arg % 4000) && errno == ENOMEM);
	enter(op);
	obj = op->arg & 1 ? fuzz_valloc(size) : fuzz_pvalloc(size);
	leave(op);
	if (!(op->arg & 1))
		size = (size + 4095) & -(size_t)4096;
	got(cell, obj, least(size), 4096);
}

static void op_absurd(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	size_t size = SIZE_MAX / 2 - op->size + (op->arg & 1 ? SIZE_MAX / 2 : 0);
	void *obj = NULL;

	enter(op);
	must(!fuzz_malloc(size) && errno == ENOMEM);
	must(!fuzz_calloc(1, size) && errno == ENOMEM);
	must(!fuzz_aligned_alloc(64, size) && errno == ENOMEM);
	must(!fuzz_memalign((size_t)1 << (48 + op->arg % 16), op->arg) && errno == ENOMEM);
	must(fuzz_posix_memalign(&obj, 4096, size) == ENOMEM && !obj);
	if (cell->ptr)
		must(!fuzz_realloc(cell->ptr, size) && errno == ENOMEM);
	leave(op);
	fuzz_check(cell);
}

static void op_free(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	size_t size = cell->size;
	void *obj = freeing(op);

	enter(op);
	if (op->arg % 4 == 1)
		fuzz_free_sized(obj, size);
	else if (op->arg % 4 == 2)
		fuzz_free_aligned_sized(obj, 16, size);
	else
		fuzz_free(obj);
	leave(op);
	must(errno == ERRNO_BEFORE);
}

static void op_usable(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);

	must(fuzz_malloc_usable_size(NULL) == 0);
	if (!cell->ptr)
		return;
	/* all of it is the caller's */
	cell->size = fuzz_malloc_usable_size(cell->ptr);
	fuzz_rewrite(cell);
}

static void op_bulk(const struct fuzz_op *op)
{
	struct fuzz_op at = *op;
	void *objs[FUZZ_CELLS];
	size_t size = 1 + op->size % (33 * KIB), n = op->arg % FUZZ_CELLS, i;

	if (!fuzz_room(n * size))
		return;
	n = kspan_alloc_bulk(size, GFP_KERNEL, n, objs);
	must(n || !(op->arg % FUZZ_CELLS) || fuzz_may_fail());
	for (i = 0; i < n; i++) {
		struct fuzz_cell *cell;

		at.cell = op->cell + i;
		cell = fuzz_cell_empty(&at);
		if (cell)
			fuzz_got(cell, objs[i], size, 8);
		else
			fuzz_free(objs[i]);
	}
}

static void op_free_many(const struct fuzz_op *op)
{
	struct fuzz_op at = *op;
	u32 i;

	for (i = 0; i < op->arg % FUZZ_CELLS; i++) {
		at.cell = op->cell % FUZZ_CELLS + i;
		op_free(&at);
	}
}

static void op_release(const struct fuzz_op *op)
{
	if (op->arg & 1)
		heap_scavenge(&kspan_heap0);
	else
		heap_release_memory(&kspan_heap0);
}

static void op_verify(const struct fuzz_op *op)
{
	must(heap_verify(&kspan_heap0) == 0);
}

static void op_fail(const struct fuzz_op *op)
{
	fuzz_test.ts.fail_from = 0;
	testsource_fail_nth(&fuzz_test.ts, op->arg % 8);
	if (op->arg & 64)
		fuzz_test.ts.fail_from = fuzz_test.ts.nget + 1;
}

static void op_debug(const struct fuzz_op *op)
{
	fuzz_set_debug(op);
}

const fuzz_fn fuzz_ops[] = {
	op_malloc, op_malloc, op_calloc, op_realloc, op_realloc, op_realloc,
	op_posix_memalign, op_aligned, op_valloc, op_absurd, op_free, op_free, op_free,
	op_free_many, op_usable, op_bulk, op_release, op_verify, op_fail,
	op_debug,
};

const u32 fuzz_nops = ARRAY_SIZE(fuzz_ops);

void fuzz_begin(const struct fuzz_head *head)
{
	fuzz_heap_begin(head);
}

void fuzz_end(void)
{
	u32 i;

	for (i = 0; i < FUZZ_CELLS; i++)
		fuzz_free(fuzz_leave(&fuzz_cells[i]));
	must(malloc_nested.nalloc == malloc_nested.nfree);
	fuzz_heap_end();
}
