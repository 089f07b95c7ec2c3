// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Wrong frees in a checked heap: of pointers into objects, of objects that are free,
 * of pages, metadata, stacks and of numbers that are no addresses. Each is reported
 * once, at once, and changes nothing.
 */
#include "fuzz.h"

#define NCACHES		2
#define NFREED		32

static struct kspan_cache *caches[NCACHES];
static void *freed[NFREED];	/* the last that were freed */
static u32 nfreed;

static void construct(void *obj)
{
	*(uintptr_t *)obj = ~(uintptr_t)obj;
}

static struct fuzz_cell *owner_of(const void *ptr)
{
	u32 i;

	for (i = 0; i < FUZZ_CELLS; i++)
		if (fuzz_cells[i].size && fuzz_cells[i].ptr == ptr)
			return &fuzz_cells[i];
	return NULL;
}

/* Right operations */

static void op_alloc(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell_empty(op);
	size_t size = 1 + op->size % (op->arg & 16 ? FUZZ_MAX_SIZE : 40 * KIB);

	if (!cell || !fuzz_room(size))
		return;
	if (op->arg & 1)
		fuzz_got(cell, kspan_alloc_noscan(size, GFP_KERNEL), size, 1);
	else if (op->arg & 2)
		fuzz_got(cell, kspan_alloc_aligned(size, 64, GFP_KERNEL), size, 64);
	else
		fuzz_got(cell, kspan_alloc(size, GFP_KERNEL), size, 8);
}

static void op_cache_alloc(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell_empty(op);
	u32 which = op->arg % NCACHES;
	void *obj;

	if (!cell)
		return;
	obj = kspan_cache_alloc(caches[which], GFP_KERNEL);
	/* nobody but its owner wrote to the constructed object, and who frees wrongly */
	must(!obj || !which || *(uintptr_t *)obj == ~(uintptr_t)obj);
	fuzz_got(cell, obj, which ? 200 : 24, 8);
	if (obj)
		cell->cache = which + 1;
}

static void op_free(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	u32 cache = cell->cache;
	void *obj = fuzz_leave(cell);

	if (!obj)
		return;
	if (cache == 2)
		construct(obj);
	if (cache && op->arg & 1)
		kspan_cache_free(caches[cache - 1], obj);
	else
		kspan_free(obj);
	freed[nfreed++ % NFREED] = obj;
}

/* Wrong ones */

static void check_all(void)
{
	u32 i;

	for (i = 0; i < FUZZ_CELLS; i++)
		fuzz_check(&fuzz_cells[i]);
}

/* What is put off is reported when it is done. */
static void free_nolock(void *ptr)
{
	kspan_free_nolock(ptr);
	heap_catch_up(&kspan_heap0);
}

/* Free @ptr, which may not be freed, by one of the functions that free. */
static void free_wrongly(void *ptr, u32 how)
{
	u64 nreports = fuzz_nreports;
	int kind = how % 8;

	errno = 0;
	if (kind == 0)
		kspan_free_sized(ptr, 0);
	else if (kind == 1)
		kspan_free_bulk(1, &ptr);
	else if (kind == 2)
		kspan_cache_free(caches[how / 8 % NCACHES], ptr);
	else if (kind == 3)
		must(!kspan_realloc(ptr, how / 8, GFP_KERNEL) || how / 8 == 0);
	else if (kind == 4)
		kspan_free_sensitive(ptr);
	else if (kind == 5)
		free_nolock(ptr);
	else
		kspan_free(ptr);
	must(fuzz_nmisuse() == ++fuzz_nwrong);
	must(fuzz_nreports == nreports + 1);
	check_all();
}

static void wrong(void *ptr, const struct fuzz_op *op)
{
	if (!ZERO_OR_NULL_PTR(ptr) && !owner_of(ptr))
		free_wrongly(ptr, op->arg);
}

/* Somewhere in an object, or just before it or after it. */
static void op_interior(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);

	if (cell->size)
		wrong(cell->ptr + op->size % (2 * cell->size + 64) - 32, op);
}

/* What was freed before, or a place near it. */
static void op_again(const struct fuzz_op *op)
{
	char *ptr = freed[op->cell % NFREED];

	if (ptr)
		wrong(op->size % 2 ? ptr + op->size % 4096 - 2048 : ptr, op);
}

/* Anywhere in what the source has, metadata too. */
static void op_anywhere(const struct fuzz_op *op)
{
	struct testsource *ts = &fuzz_test.ts;

	wrong(ts->base + ((u64)op->size << 6) % pages_to_bytes(ts->npages) + op->cell % 64, op);
}

/* Near objects, by whole pages and arenas. */
static void op_page(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	ptrdiff_t pages = (int)(op->size % 2048) - 1024;
	uintptr_t at = (uintptr_t)cell->ptr & -(uintptr_t)KSPAN_PAGE_SIZE;

	if (cell->size)
		wrong((void *)(at + pages * (ptrdiff_t)KSPAN_PAGE_SIZE), op);
}

/* What the program has elsewhere, and what is no address at all. */
static void op_foreign(const struct fuzz_op *op)
{
	static u8 data[256];
	u8 onstack[256];
	u64 number = (u64)op->size << (op->cell % 33);

	switch (op->cell % 6) {
	case 0:
		wrong(data + op->size % sizeof(data), op);
		break;
	case 1:
		wrong(onstack + op->size % sizeof(onstack), op);
		break;
	case 2:
		wrong((void *)~number, op);
		break;
	case 3:
		wrong((char *)&kspan_heap0 + op->size % sizeof(kspan_heap0), op);
		break;
	case 4:
		wrong((char *)&kspan_no_arena + op->size % sizeof(kspan_no_arena), op);
		break;
	default:
		wrong((void *)number, op);
	}
}

/* A cache's object, or none of a cache, given to another: left alone. */
static void op_other_cache(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	u32 which = op->arg % NCACHES;

	if (cell->size && cell->cache != which + 1)
		free_wrongly(cell->ptr, 2 + 8 * which);
}

static void op_verify(const struct fuzz_op *op)
{
	must(kspan_verify() == 0);
}

static void op_release(const struct fuzz_op *op)
{
	if (op->arg & 1)
		heap_scavenge(&kspan_heap0);
	else
		kspan_release_memory();
}

/* Nothing of what is right is reported. */
static void op_nothing(const struct fuzz_op *op)
{
	kspan_free(NULL);
	kspan_free(ZERO_SIZE_PTR);
	kspan_free_sized(NULL, op->size);
	kspan_free_sensitive(NULL);
	kspan_cache_free(caches[0], NULL);
	must(fuzz_nmisuse() == fuzz_nwrong);
}

/* Facilities of a checked heap that can be switched while its users work. */
static void op_debug(const struct fuzz_op *op)
{
	struct fuzz_op checked = *op;

	checked.arg = (checked.arg | KSPAN_DEBUG_CHECK) & ~KSPAN_DEBUG_FAIL;
	fuzz_set_debug(&checked);
	must(fuzz_nmisuse() == fuzz_nwrong);
}

/* A byte beyond what was asked for, where the red zone is: seen at the free. */
static void op_overrun(const struct fuzz_op *op)
{
	size_t size = 1 + op->size % (40 * KIB), n;
	u8 *obj;

	if (!(kspan_heap0.debug.flags & KSPAN_DEBUG_REDZONE) || !fuzz_room(size))
		return;
	obj = kspan_alloc(size, GFP_KERNEL);
	n = kspan_good_size(size) - size;
	if (obj && n && kspan_size(obj) == size) {
		obj[size + op->arg % n] ^= 1 + op->arg % 255;
		fuzz_nwrong++;
	} else {
		must(!n || fuzz_may_fail());
	}
	kspan_free(obj);
	must(fuzz_nmisuse() == fuzz_nwrong);
}

/* A byte of an object that is in quarantine: seen when it leaves. */
static void op_late(const struct fuzz_op *op)
{
	struct kspan_debug_config config = {
		.flags = KSPAN_DEBUG_POISON | KSPAN_DEBUG_QUARANTINE, .quarantine_bytes = MIB,
	};
	size_t size = 1 + op->size % KSPAN_MAX_SMALL_SIZE;
	u8 *obj;

	if (fuzz_may_fail())
		return;
	must(heap_set_debug(&kspan_heap0, &config) == 0);
	obj = kspan_alloc(size, GFP_KERNEL);
	must(obj);
	kspan_free(obj);
	must(fuzz_nmisuse() == fuzz_nwrong);
	obj[op->arg % size] ^= 1 + op->arg % 255;
	fuzz_nwrong++;
	config.flags = KSPAN_DEBUG_CHECK | (op->cell & 64 ? KSPAN_DEBUG_REDZONE : 0);
	must(heap_set_debug(&kspan_heap0, &config) == 0);
	must(fuzz_nmisuse() == fuzz_nwrong);
}

const fuzz_fn fuzz_ops[] = {
	op_alloc, op_alloc, op_alloc, op_cache_alloc, op_cache_alloc, op_free, op_free,
	op_interior, op_again, op_again, op_anywhere, op_page, op_foreign, op_other_cache,
	op_verify, op_release, op_nothing,
	/* behind the others, whose numbers are in the corpus */
	op_debug, op_overrun, op_late,
};

const u32 fuzz_nops = ARRAY_SIZE(fuzz_ops);

void fuzz_begin(const struct fuzz_head *head)
{
	struct fuzz_head checked = *head;

	checked.flags |= FUZZ_CHECKED;
	fuzz_heap_begin(&checked);
	caches[0] = kspan_cache_create("plain", 24, 0, 0, NULL);
	caches[1] = kspan_cache_create("constructed", 200, 0, 0, construct);
	must(caches[0] && caches[1]);
	memset(freed, 0, sizeof(freed));
	nfreed = 0;
}

void fuzz_end(void)
{
	struct fuzz_op op = { .arg = 0 };

	for (; op.cell < FUZZ_CELLS; op.cell++)
		op_free(&op);
	must(kspan_cache_destroy(caches[0]) == 0 && kspan_cache_destroy(caches[1]) == 0);
	fuzz_heap_end();
}
