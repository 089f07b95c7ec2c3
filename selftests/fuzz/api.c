// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The public API and object caches against the model, with a page source that
 * fails when the input says so.
 */
#include "fuzz.h"

/* Object caches */

#define NCACHES		4
#define BULK_MAX	96

static struct kspan_cache *caches[NCACHES];
static size_t cache_size[NCACHES], cache_align[NCACHES];
static bool cache_ctor[NCACHES];

static void construct(void *obj)
{
	*(uintptr_t *)obj = ~(uintptr_t)obj;
}

static bool is_constructed(const void *obj)
{
	return *(const uintptr_t *)obj == ~(uintptr_t)obj;
}

static u32 live_of_cache(u32 which)
{
	u32 i, n = 0;

	for (i = 0; i < FUZZ_CELLS; i++)
		n += fuzz_cells[i].ptr && fuzz_cells[i].cache == which + 1;
	return n;
}

static void op_cache_create(const struct fuzz_op *op)
{
	u32 which = op->cell % NCACHES;
	size_t size = op->size % (40 * KIB), align = op->arg % 3 ? 1u << (op->arg % 15) : 0;
	bool ctor = op->arg & 256, sane = size && align <= KSPAN_PAGE_SIZE;
	u32 flags = (op->arg >> 9) & 7;
	struct kspan_cache *cache;

	if (caches[which])
		return;
	cache = kspan_cache_create("a name that is longer than thirty-one characters",
				   size, align, flags, ctor ? construct : NULL);
	align = max(align, sizeof(void *));
	sane = sane && !(flags & 4) && ((size + align - 1) & -align) <= KSPAN_MAX_SMALL_SIZE;
	must(!cache || sane);
	must(cache || !sane || fuzz_may_fail());
	caches[which] = cache;
	cache_size[which] = size;
	cache_align[which] = align;
	cache_ctor[which] = ctor;
}

static void op_cache_destroy(const struct fuzz_op *op)
{
	u32 which = op->cell % NCACHES, n = live_of_cache(which);
	int err;

	if (!caches[which]) {
		must(kspan_cache_destroy(NULL) == 0);
		return;
	}
	kspan_rcu_barrier();	/* what the caller has to see to */
	err = kspan_cache_destroy(caches[which]);
	must(err == (n ? -EBUSY : 0));
	if (!err)
		caches[which] = NULL;
}

static void got_of_cache(struct fuzz_cell *cell, u32 which, void *obj)
{
	must(!obj || !cache_ctor[which] || is_constructed(obj));
	fuzz_got(cell, obj, cache_size[which], cache_align[which]);
	if (obj)
		cell->cache = which + 1;
}

/* The cache that @op is about, if there is one and room for an object. */
static bool cache_of(const struct fuzz_op *op, u32 *which)
{
	*which = op->arg % NCACHES;
	return caches[*which] && fuzz_room(cache_size[*which]);
}

static void op_cache_alloc(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell_empty(op);
	u32 which;

	if (cell && cache_of(op, &which))
		got_of_cache(cell, which, kspan_cache_alloc(caches[which], GFP_KERNEL));
}

static void op_cache_zalloc(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell_empty(op);
	void *obj;
	u32 which;

	if (!cell || !cache_of(op, &which))
		return;
	obj = op->arg & 4 ? kspan_cache_zalloc(caches[which], GFP_NOWAIT) :
			    kspan_cache_alloc(caches[which], GFP_NOWAIT | __GFP_ZERO);
	if (cache_ctor[which]) {
		must(!obj && errno == EINVAL);
		return;
	}
	must(!obj || all_zero(obj, cache_size[which]));
	got_of_cache(cell, which, obj);
}

/* Ready to be freed: a constructed object must be so again. */
static void *leave(struct fuzz_cell *cell)
{
	u32 cache = cell->cache;
	void *obj = fuzz_leave(cell);

	if (cache && cache_ctor[cache - 1])
		construct(obj);
	return obj;
}

static void op_cache_free(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	u32 cache = cell->cache;

	if (cache)
		kspan_cache_free(caches[cache - 1], leave(cell));
	else if (caches[op->arg % NCACHES])
		kspan_cache_free(caches[op->arg % NCACHES], NULL);
}

/* Empty cells from @op's on, at most @max. */
static u32 empty_cells(const struct fuzz_op *op, struct fuzz_cell **cells, u32 max)
{
	u32 i, n = 0;

	for (i = 0; i < FUZZ_CELLS && n < max; i++) {
		struct fuzz_cell *cell = &fuzz_cells[(op->cell + i) % FUZZ_CELLS];

		if (!cell->ptr)
			cells[n++] = cell;
	}
	return n;
}

static void op_cache_alloc_bulk(const struct fuzz_op *op)
{
	struct fuzz_cell *cells[FUZZ_CELLS];
	void *objs[FUZZ_CELLS];
	gfp_t gfp = op->arg & 4 ? GFP_KERNEL | __GFP_ZERO : GFP_KERNEL;
	u32 i, which, n = empty_cells(op, cells, op->size % FUZZ_CELLS);
	size_t got;

	if (!cache_of(op, &which) || !fuzz_room(n * cache_size[which]))
		return;
	got = kspan_cache_alloc_bulk(caches[which], gfp, n, objs);
	if ((gfp & __GFP_ZERO) && cache_ctor[which])
		must(!got);
	else
		must(got == n || (!got && fuzz_may_fail()));
	for (i = 0; i < got; i++) {
		must(!(gfp & __GFP_ZERO) || all_zero(objs[i], cache_size[which]));
		got_of_cache(cells[i], which, objs[i]);
	}
}

static void op_cache_free_bulk(const struct fuzz_op *op)
{
	void *objs[FUZZ_CELLS];
	u32 i, n = 0, which = op->arg % NCACHES;

	for (i = 0; i < FUZZ_CELLS; i++)
		if (fuzz_cells[i].cache == which + 1)
			objs[n++] = leave(&fuzz_cells[i]);
	if (n)
		kspan_cache_free_bulk(caches[which], n, objs);
}

static void op_cache_shrink(const struct fuzz_op *op)
{
	if (caches[op->cell % NCACHES])
		kspan_cache_shrink(caches[op->cell % NCACHES]);
}

/* Memory */

static size_t size_of(const struct fuzz_op *op)
{
	return op->size % FUZZ_MAX_SIZE;
}

/* What kspan_alloc() promises of the alignment. */
static size_t natural_align(size_t size)
{
	if (size && !(size & (size - 1)) && size <= KSPAN_MAX_SMALL_SIZE)
		return size;
	return size > KSPAN_MAX_SMALL_SIZE ? KSPAN_PAGE_SIZE : 8;
}

/* An empty cell for @size bytes, if there may be so many. */
static struct fuzz_cell *cell_for(const struct fuzz_op *op, size_t size)
{
	return fuzz_room(size) ? fuzz_cell_empty(op) : NULL;
}

static void op_alloc(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = cell_for(op, size_of(op));

	if (cell)
		fuzz_got(cell, kspan_alloc(size_of(op), GFP_KERNEL), size_of(op),
			 natural_align(size_of(op)));
}

static void op_zalloc(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = cell_for(op, size_of(op));
	size_t size = size_of(op);

	if (cell)
		fuzz_got_zeroed(cell, op->arg & 1 ? kspan_zalloc(size, GFP_ATOMIC) :
				kspan_alloc(size, GFP_ATOMIC | __GFP_ZERO), size,
				natural_align(size));
}

/* Go's rule for what is smaller than 16 bytes. */
static size_t tiny_alignment(size_t size)
{
	return !(size & 7) ? 8 : !(size & 3) ? 4 : size & 1 ? 1 : 2;
}

static void op_noscan(const struct fuzz_op *op)
{
	size_t size = op->arg & 1 ? op->size % 17 : size_of(op);
	struct fuzz_cell *cell = cell_for(op, size);
	gfp_t gfp = op->arg & 2 ? __GFP_ZERO : 0;
	void *obj;

	if (!cell)
		return;
	obj = kspan_alloc_noscan(size, GFP_KERNEL | gfp);
	must(!obj || !gfp || !size || all_zero(obj, size));
	fuzz_got(cell, obj, size, size < 16 ? tiny_alignment(size) : natural_align(size));
}

/* It may fail at any time. */
static void op_nolock(const struct fuzz_op *op)
{
	size_t size = op->size % (op->arg & 8 ? FUZZ_MAX_SIZE : 40 * KIB);
	struct fuzz_cell *cell = cell_for(op, size);
	void *obj;

	if (!cell)
		return;
	obj = op->arg & 1 ? kspan_zalloc_nolock(size, 0) : kspan_alloc_nolock(size, 0);
	must(!obj || !(op->arg & 1) || !size || all_zero(obj, size));
	if (obj)
		fuzz_got(cell, obj, size, natural_align(size));
}

static void op_array(const struct fuzz_op *op)
{
	size_t n = op->arg % 512, size = op->size % (16 * KIB);
	struct fuzz_cell *cell = cell_for(op, n * size);

	if (!cell)
		return;
	must(!kspan_alloc_array(SIZE_MAX / 2, size | 3, GFP_KERNEL) && errno == ENOMEM);
	if (op->cell & 64)
		fuzz_got_zeroed(cell, kspan_zalloc_array(n, size, GFP_KERNEL), n * size, 8);
	else
		fuzz_got(cell, kspan_alloc_array(n, size, GFP_KERNEL), n * size, 8);
}

static void op_aligned(const struct fuzz_op *op)
{
	size_t size = size_of(op), align = (size_t)1 << (op->arg % 24);
	struct fuzz_cell *cell = cell_for(op, size + align);
	gfp_t gfp = op->arg & 256 ? __GFP_ZERO : 0;
	void *obj;

	if (!cell)
		return;
	if (align > 2) {
		must(!kspan_alloc_aligned(size, align - 1, GFP_KERNEL) && errno == EINVAL);
		must(!kspan_alloc_aligned(size, 0, GFP_KERNEL) && errno == EINVAL);
	}
	obj = kspan_alloc_aligned(size, align, GFP_KERNEL | gfp);
	must(!obj || !gfp || !size || all_zero(obj, size));
	fuzz_got(cell, obj, size, align);
}

static void op_node(const struct fuzz_op *op)
{
	size_t size = size_of(op);
	struct fuzz_cell *cell = cell_for(op, size);
	gfp_t gfp = op->arg & 4 ? __GFP_ZERO : 0;
	void *obj;

	if (!cell)
		return;
	obj = kspan_alloc_node(size, GFP_KERNEL | gfp, (int)(op->arg % 4) - 1);
	must(!obj || !gfp || !size || all_zero(obj, size));
	fuzz_got(cell, obj, size, natural_align(size));
}

/* Sizes that no address space has room for. */
static void op_absurd(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	size_t size = SIZE_MAX - ((size_t)op->size << (op->arg % 32));
	bool huge = size > (size_t)1 << 40;

	if (!huge)
		return;
	must(!kspan_alloc(size, GFP_KERNEL) && errno == ENOMEM);
	must(!kspan_zalloc(size, GFP_KERNEL) && errno == ENOMEM);
	must(!kspan_alloc_noscan(size, GFP_KERNEL) && errno == ENOMEM);
	must(!kspan_alloc_aligned(size, 64, GFP_KERNEL) && errno == ENOMEM);
	must(!kspan_alloc_aligned(op->size, (size_t)1 << (40 + op->arg % 24), GFP_KERNEL) ||
	     !op->size);
	if (cell->size && !cell->cache) {
		must(!kspan_realloc(cell->ptr, size, GFP_KERNEL) && errno == ENOMEM);
		fuzz_check(cell);
	}
	must(kspan_good_size(size) >= size);
}

/* Zeroed or not, by realloc's three names. */
static void *any_realloc(struct fuzz_cell *cell, size_t size, u32 how, gfp_t gfp)
{
	if (how % 3 == 1)
		return kspan_realloc_array(cell->ptr, size, 1, gfp);
	if (how % 3 == 2 && size % 8 == 0)
		return kspan_realloc_array(cell->ptr, size / 8, 8, gfp);
	return kspan_realloc(cell->ptr, size, gfp);
}

static void op_realloc(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	size_t size = size_of(op), have = cell->size ? kspan_size(cell->ptr) : 0;
	gfp_t gfp = op->arg & 64 ? __GFP_ZERO : 0;
	u8 *obj;

	if (cell->cache || !fuzz_room(size))
		return;
	obj = any_realloc(cell, size, op->arg, GFP_KERNEL | gfp);
	if (obj && gfp && size > have)
		must(all_zero(obj + have, size - have));
	fuzz_moved(cell, obj, size, 1);
}

/* Several at once: each a little longer than before, as a vector that grows. */
static void op_grow_array(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	size_t each = 1 + op->arg % 300, cap, need;
	u32 i;

	for (i = 0; i < 3 && !cell->cache; i++) {
		size_t was = cell->size / each;
		u8 *obj;

		cap = was;
		need = was + 1 + op->size % 500;
		if (!fuzz_room(need * each * 2))
			return;
		must(!kspan_grow_array(cell->ptr, &cap, SIZE_MAX / 2, each | 4, GFP_KERNEL));
		must(cap == was);
		obj = kspan_grow_array(cell->ptr, &cap, need, each, GFP_KERNEL);
		must(!obj || cap >= need);
		must(obj || cap == was);
		if (obj)
			must(kspan_size(obj) >= cap * each);
		fuzz_moved(cell, obj, need * each, 1);
		if (cell->ptr) {
			cap = cell->size / each;
			must(kspan_grow_array(cell->ptr, &cap, cap, each, GFP_KERNEL) == cell->ptr);
		}
	}
}

static void op_memdup(const struct fuzz_op *op)
{
	struct fuzz_cell *from = fuzz_cell(op), *cell;
	struct fuzz_op to = { .cell = op->arg };

	cell = fuzz_cell_empty(&to);
	if (cell && from->size && fuzz_room(from->size)) {
		u8 *obj = kspan_memdup(from->ptr, from->size, GFP_KERNEL | __GFP_ZERO);

		must(!obj || !memcmp(obj, from->ptr, from->size));
		fuzz_got(cell, obj, from->size, 8);
	}
}

static void op_strdup(const struct fuzz_op *op)
{
	static char text[9000];
	struct fuzz_cell *cell = fuzz_cell_empty(op);
	size_t n = op->size % (sizeof(text) - 1);
	char *copy;

	must(!kspan_strdup(NULL, GFP_KERNEL));
	if (!cell || !fuzz_room(n + 1))
		return;
	memset(text, 'x', n);
	text[n] = '\0';
	copy = kspan_strdup(text, GFP_KERNEL);
	must(!copy || !strcmp(copy, text));
	fuzz_got(cell, copy, n + 1, 1);
}

static void op_bulk(const struct fuzz_op *op)
{
	struct fuzz_cell *cells[FUZZ_CELLS];
	void *objs[FUZZ_CELLS];
	size_t got, size = op->arg & 256 ? op->size % FUZZ_MAX_SIZE : op->size % (34 * KIB);
	u32 i, n = empty_cells(op, cells, op->arg % FUZZ_CELLS);
	gfp_t gfp = op->arg & 512 ? __GFP_ZERO : 0;

	if (!fuzz_room(n * size))
		return;
	got = kspan_alloc_bulk(size, GFP_KERNEL | gfp, n, objs);
	must(got == n || (!got && fuzz_may_fail()));
	for (i = 0; i < got; i++) {
		must(!gfp || !size || all_zero(objs[i], size));
		fuzz_got(cells[i], objs[i], size, natural_align(size));
	}
}

/* A thousand and more at a time, gone again at once: spans come and go. */
static void op_burst(const struct fuzz_op *op)
{
	static void *objs[3000];
	size_t size = op->size % 2048, n = op->arg % ARRAY_SIZE(objs);

	if (!fuzz_room(n * size))
		return;
	if (kspan_alloc_bulk(size, GFP_KERNEL, n, objs) == n)
		kspan_free_bulk(n, objs);
	else
		must(fuzz_may_fail());
}

static void op_free(const struct fuzz_op *op)
{
	kspan_free(leave(fuzz_cell(op)));
}

static void op_free_nolock(const struct fuzz_op *op)
{
	kspan_free_nolock(leave(fuzz_cell(op)));
}

static void op_free_sized(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	size_t size = cell->size;

	kspan_free_sized(leave(cell), size);
}

static void op_free_sensitive(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);

	if (cell->cache && cache_ctor[cell->cache - 1])
		return;
	kspan_free_sensitive(leave(cell));
}

static void op_free_bulk(const struct fuzz_op *op)
{
	void *objs[FUZZ_CELLS];
	u32 i, n = op->arg % FUZZ_CELLS;

	for (i = 0; i < n; i++)
		objs[i] = leave(&fuzz_cells[(op->cell + i) % FUZZ_CELLS]);
	kspan_free_bulk(n, objs);
}

static void op_free_rcu(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	void *obj = cell->ptr;

	if (cell->cache)
		return;
	if (!cell->size)
		kspan_free_rcu(fuzz_leave(cell));
	else if (fuzz_limbo(cell))
		kspan_free_rcu(obj);
}

static void op_grace_period(const struct fuzz_op *op)
{
	if (op->arg & 1)
		kspan_rcu_barrier();
	else
		fuzz_grace_period();
}

/* The heap at large */

static void op_size(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);
	size_t size = size_of(op), good = kspan_good_size(size);

	must(kspan_size(NULL) == 0 && kspan_size(ZERO_SIZE_PTR) == 0);
	must(good >= size && kspan_good_size(good) == good);
	if (cell->size)
		must(kspan_size(cell->ptr) >= cell->size);
}

static void op_release(const struct fuzz_op *op)
{
	kspan_release_memory();
}

static void op_scavenge(const struct fuzz_op *op)
{
	heap_scavenge(&kspan_heap0);
}

static void op_verify(const struct fuzz_op *op)
{
	must(kspan_verify() == 0);
}

static void op_stats(const struct fuzz_op *op)
{
	static struct kspan_stats stats;
	struct kspan_cache_info info;
	u32 i, n = 0;

	kspan_get_stats(&stats);
	must(stats.nmalloc >= stats.nfree);
	/* tiny blocks with room left are cached ones */
	must(stats.live_bytes + stats.cached_bytes >= fuzz_live);
	must(stats.sys_bytes == fuzz_test.ts.out);
	must(!stats.ndouble && !stats.ninterior && !stats.nforeign);
	for (i = 0; objcache_info(&kspan_heap0, i, &info); i++)
		n++;
	for (i = 0; i < NCACHES; i++)
		n -= caches[i] != NULL;
	must(n == 0);
}

/* The source fails: the next, each from the next on, some of a hundred, none. */
static void op_fail(const struct fuzz_op *op)
{
	struct testsource *ts = &fuzz_test.ts;

	ts->fail_from = 0;
	ts->fail_percent = 0;
	testsource_fail_nth(ts, op->arg % 8);
	if (op->size % 4 == 1)
		ts->fail_from = ts->nget + 1 + op->arg % 16;
	else if (op->size % 4 == 2)
		ts->fail_percent = op->arg % 100;
}

static void op_debug(const struct fuzz_op *op)
{
	fuzz_set_debug(op);
}

static void op_cache_nolock(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell_empty(op);
	bool zero = op->arg & 4;
	void *obj;
	u32 which;

	if (!cell || !cache_of(op, &which))
		return;
	obj = kspan_cache_alloc_nolock(caches[which], zero ? __GFP_ZERO : 0);
	must(!obj || !zero || (!cache_ctor[which] && all_zero(obj, cache_size[which])));
	if (obj)
		got_of_cache(cell, which, obj);
}

/* A reserve that is filled, filled more, used but for a few and returned. */
static void op_reserve(const struct fuzz_op *op)
{
	struct fuzz_cell *cells[FUZZ_CELLS];
	u32 i, which = 0, n = empty_cells(op, cells, op->arg / NCACHES % FUZZ_CELLS);
	bool of_cache = op->arg & 256 && cache_of(op, &which);
	size_t have, left = op->arg >> 9 & 3, size = 1 + op->size % (34 * KIB);
	struct kspan_reserve *reserve;
	int err;

	if (!fuzz_room(n * (of_cache ? cache_size[which] : size)))
		return;
	reserve = of_cache ? kspan_cache_reserve_prefill(caches[which], GFP_KERNEL, n / 2) :
			     kspan_reserve_prefill(size, GFP_KERNEL, n / 2);
	must(reserve || fuzz_may_fail());
	if (!reserve)
		return;
	err = kspan_reserve_refill(&reserve, GFP_KERNEL, n);
	must(!err || fuzz_may_fail());
	have = kspan_reserve_count(reserve);
	must(have == (err ? n / 2 : n));
	for (i = 0; i + left < have; i++) {
		void *obj = kspan_reserve_alloc(reserve, 0);

		must(obj);
		if (of_cache)
			got_of_cache(cells[i], which, obj);
		else
			fuzz_got(cells[i], obj, size, natural_align(size));
	}
	must(left || !kspan_reserve_alloc(reserve, 0));
	kspan_reserve_return(reserve);
}

const fuzz_fn fuzz_ops[] = {
	op_alloc, op_zalloc, op_noscan, op_array, op_aligned, op_node, op_absurd,
	op_realloc, op_grow_array, op_memdup, op_strdup, op_bulk, op_burst,
	op_free, op_free, op_free_sized, op_free_sensitive, op_free_bulk, op_free_rcu,
	op_grace_period, op_size, op_release, op_scavenge, op_verify, op_stats, op_fail,
	op_cache_create, op_cache_destroy, op_cache_alloc, op_cache_zalloc, op_cache_free,
	op_cache_alloc_bulk, op_cache_free_bulk, op_cache_shrink,
	op_nolock, op_free_nolock,
	/* behind the others, whose numbers are in the corpus */
	op_cache_nolock, op_reserve, op_debug,
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
		kspan_free(leave(&fuzz_cells[i]));
	for (i = 0; i < NCACHES; i++)
		op_cache_destroy(&(struct fuzz_op) { .cell = i });
	fuzz_heap_end();
}
