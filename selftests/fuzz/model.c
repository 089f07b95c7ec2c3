// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The reference model of the fuzz targets: cells that say which objects are out,
 * where, how long, and what is in them. Whatever the heap answers is held against
 * that, and at the end of each run nothing may be left.
 *
 * A heap per run: the default one, which the public API is about, is made over a
 * test's page source before and destroyed after the operations.
 */
#include <stdarg.h>
#include "fuzz.h"

struct testheap fuzz_test;
struct fuzz_cell fuzz_cells[FUZZ_CELLS];
size_t fuzz_live;
u64 fuzz_nreports;
u64 fuzz_nwrong;

static u64 last_id;
static bool refused;	/* the heap was told to have requests fail */

/* Objects that a reader may still look at. */
static struct fuzz_cell limbo[FUZZ_LIMBO];
static u32 nlimbo;

/* In port_report()'s place: what is reported is counted, and no more. */
void __wrap_port_report(const char *fmt, ...);

void __wrap_port_report(const char *fmt, ...)
{
	char text[512];
	va_list args;

	/* as the real one would, so that a wrong format or argument is seen */
	va_start(args, fmt);
	must(vsnprintf(text, sizeof(text), fmt, args) > 0);
	va_end(args);
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "report: %s\n", text);
	must(strncmp(text, "verify:", 7));
	fuzz_nreports++;
}

/* One of four does not succeed. */
static bool source_move(struct kspan_source *src, void *from, size_t nbytes, void *to,
			size_t want)
{
	struct testsource *ts = container_of(src, struct testsource, src);

	ts->move_fails = !random_below(&ts->seed, 4);
	return testsource_move(src, from, nbytes, to, want);
}

static void source_reset(struct testsource *ts, const struct fuzz_head *head)
{
	bool kernel = head->flags & FUZZ_KERNEL;

	must(ts->out == 0);
	ts->place = head->flags & FUZZ_PLACE_DOWN ? PLACE_DOWN :
		    kernel ? PLACE_SCATTER : PLACE_UP;
	ts->seed = head->seed + 1;
	ts->nget = ts->nput = ts->nrelease = ts->nfailed = ts->peak = 0;
	ts->fail_at = ts->fail_from = ts->fail_percent = 0;
	ts->fail_all = false;
	ts->release_fails = head->flags & FUZZ_NO_RELEASE;
	ts->src.release = kernel ? NULL : testsource_release;
	ts->src.move = !kernel && head->flags & FUZZ_MOVE ? source_move : NULL;
	ts->src.grain = kernel ? KSPAN_PAGE_SIZE : KSPAN_ARENA_SIZE;
	/* the junk that a source keeps is not for one that gives zeroed memory */
	if (ts->src.zeroed == kernel)
		must(!madvise(ts->base, pages_to_bytes(ts->npages), MADV_DONTNEED));
	ts->src.zeroed = !kernel;
}

#define FACILITIES	(KSPAN_DEBUG_CHECK | KSPAN_DEBUG_REDZONE | KSPAN_DEBUG_POISON | \
			 KSPAN_DEBUG_QUARANTINE | KSPAN_DEBUG_INIT_ALLOC | \
			 KSPAN_DEBUG_INIT_FREE | KSPAN_DEBUG_JUNK | KSPAN_DEBUG_FAIL)

/* Facilities of a checked heap go on and off. */
void fuzz_set_debug(const struct fuzz_op *op)
{
	struct kspan_debug_config config = {
		.flags = op->arg & FACILITIES,
		.fail_every = 1 + op->size % 50,
		.quarantine_bytes = op->size % MIB,
	};
	int err = heap_set_debug(&kspan_heap0, &config);

	must(!err || (err == -ENOMEM && fuzz_may_fail()));
	refused |= !err && config.flags & KSPAN_DEBUG_FAIL;
}

/* What the heap counted of wrong uses, of every kind. */
u64 fuzz_nmisuse(void)
{
	u64 n = 0;
	u32 i;

	for (i = 0; i < KSPAN_NR_MISUSE; i++)
		n += kspan_heap0.nmisuse[i];
	return n;
}

static void debug_config(struct kspan_debug_config *debug, const struct fuzz_head *head)
{
	*debug = (struct kspan_debug_config) { .quarantine_bytes = head->seed % MIB };
	if (!(head->flags & FUZZ_CHECKED))
		return;
	debug->flags = KSPAN_DEBUG_CHECK | (head->flags & FUZZ_FILL ? KSPAN_DEBUG_JUNK : 0);
	if (head->flags & FUZZ_FACILITIES)
		debug->flags |= head->seed >> 16 & FACILITIES & ~KSPAN_DEBUG_FAIL;
}

void fuzz_heap_begin(const struct fuzz_head *head)
{
	struct kspan_config *config = &fuzz_test.config;

	if (!fuzz_test.ts.base)
		testheap_prepare(&fuzz_test, false, GIB);
	source_reset(&fuzz_test.ts, head);
	kspan_user_warn = true;
	kspan_background = false;
	debug_config(&config->debug, head);
	config->stack_objs = 1 + head->stack_objs;
	config->stack_bytes = (head->stack_kib % 128) * KIB;
	config->cache_bytes = head->cache_kib * 4 * KIB;
	config->limit_soft = head->flags & FUZZ_LIMITS ? 8 * MIB : 0;
	config->limit_hard = head->flags & FUZZ_LIMITS ? 24 * MIB : 0;
	must(heap_init(&kspan_heap0, config) == 0);
	memset(fuzz_cells, 0, sizeof(fuzz_cells));
	fuzz_live = 0;
	fuzz_nreports = fuzz_nwrong = 0;
	refused = false;
}

/* All cells are empty. */
void fuzz_heap_end(void)
{
	static struct kspan_stats stats;

	fuzz_test.ts.fail_from = 0;
	must(heap_set_debug(&kspan_heap0, &(struct kspan_debug_config) { 0 }) == 0);
	port_rcu_barrier();
	port_rcu_barrier();
	heap_catch_up(&kspan_heap0);	/* frees that were put off */
	must(heap_verify(&kspan_heap0) == 0);
	kspan_get_stats(&stats);
	must(fuzz_nmisuse() == fuzz_nwrong);
	must(fuzz_live == 0 && stats.nmalloc == stats.nfree && stats.live_bytes == 0);
	must(stats.sys_bytes == fuzz_test.ts.out);
	kspan_release_memory();
	must(heap_leaks(&kspan_heap0, true) == 0);
	must(heap_destroy(&kspan_heap0) == 0);
	must(fuzz_test.ts.out == 0);
}

struct fuzz_cell *fuzz_cell(const struct fuzz_op *op)
{
	return &fuzz_cells[op->cell % FUZZ_CELLS];
}

/* The cell, if it is empty: what is in the way stays, and the operation is none. */
struct fuzz_cell *fuzz_cell_empty(const struct fuzz_op *op)
{
	struct fuzz_cell *cell = fuzz_cell(op);

	return cell->ptr ? NULL : cell;
}

/* Whether @size more bytes may be asked for in this run. */
bool fuzz_room(size_t size)
{
	return fuzz_live + size <= FUZZ_LIVE_MAX;
}

/*
 * Whether the heap may answer NULL to what fits: the source failed, there are limits, or
 * it was told to.
 */
bool fuzz_may_fail(void)
{
	return fuzz_test.ts.nfailed || kspan_heap0.config.limit_hard || refused;
}

/*
 * What is in an object: all of a small one is written and looked at, of a large one
 * both ends and a byte here and there, since each page that is touched costs time.
 */
static size_t next_byte(size_t i, size_t size)
{
	if (size <= 2048 || i < 64 || i + 64 >= size)
		return i + 1;
	return min(i + (size <= 65536 ? 61 : 32749), size - 64);
}

static void pattern_put(u8 *obj, size_t size, u64 id)
{
	size_t i;

	for (i = 0; i < size; i = next_byte(i, size))
		obj[i] = pattern_byte(id, i);
}

/* Whether the first @n bytes are as pattern_put() left them. */
static bool pattern_is(const u8 *obj, size_t n, size_t size, u64 id)
{
	size_t i;

	for (i = 0; i < n; i = next_byte(i, size))
		if (obj[i] != pattern_byte(id, i))
			return false;
	return true;
}

static bool in_source(const void *ptr, size_t size)
{
	const char *p = ptr;

	return p >= fuzz_test.ts.base &&
	       p + size <= fuzz_test.ts.base + pages_to_bytes(fuzz_test.ts.npages);
}

static void check_apart(const u8 *p, size_t size, const struct fuzz_cell *cells, u32 n,
			const struct fuzz_cell *self)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (&cells[i] != self && cells[i].size)
			must(p + size <= cells[i].ptr || cells[i].ptr + cells[i].size <= p);
}

/* The object is what was asked for, and nobody else's. */
static void check_new(const struct fuzz_cell *cell, const void *ptr, size_t size, size_t align)
{
	const u8 *p = ptr;

	must(!((uintptr_t)p & (align - 1)));
	must(in_source(p, size));
	must(heap_size(&kspan_heap0, p) >= size);
	check_apart(p, size, fuzz_cells, FUZZ_CELLS, cell);
	check_apart(p, size, limbo, nlimbo, NULL);
}

/* @ptr, NULL too, is what came of asking for @size bytes. */
void fuzz_got(struct fuzz_cell *cell, void *ptr, size_t size, size_t align)
{
	if (!ptr) {
		must(fuzz_may_fail());
		return;
	}
	if (!size) {
		must(ptr == ZERO_SIZE_PTR);
	} else {
		check_new(cell, ptr, size, align);
		pattern_put(ptr, size, ++last_id);
	}
	*cell = (struct fuzz_cell) { .ptr = ptr, .size = size, .id = last_id };
	fuzz_live += size;
}

void fuzz_got_zeroed(struct fuzz_cell *cell, void *ptr, size_t size, size_t align)
{
	must(!ptr || !size || all_zero(ptr, size));
	fuzz_got(cell, ptr, size, align);
}

/* The object of @cell is at @ptr now, with @size bytes; NULL: nothing happened. */
void fuzz_moved(struct fuzz_cell *cell, void *ptr, size_t size, size_t align)
{
	struct fuzz_cell old = *cell;

	if (!ptr) {
		must(fuzz_may_fail());
		fuzz_check(cell);
		return;
	}
	must(fuzz_holds(&old, ptr, min(size, old.size)));
	fuzz_live -= old.size;
	fuzz_got(cell, ptr, size, align);
}

void fuzz_check(const struct fuzz_cell *cell)
{
	if (!cell->size)
		return;
	must(fuzz_holds(cell, cell->ptr, cell->size));
	must(cell->outside || heap_size(&kspan_heap0, cell->ptr) >= cell->size);
}

/* Whether at @ptr is what the first @n bytes of the object were. */
bool fuzz_holds(const struct fuzz_cell *cell, const void *ptr, size_t n)
{
	return pattern_is(ptr, n, cell->size, cell->id);
}

/* The object is gone. */
void fuzz_forget(struct fuzz_cell *cell)
{
	fuzz_live -= cell->size;
	memset(cell, 0, sizeof(*cell));
}

/* The object's size in the cell is another now: fill all of it, count anew. */
void fuzz_rewrite(struct fuzz_cell *cell)
{
	u32 i;

	pattern_put(cell->ptr, cell->size, cell->id);
	fuzz_live = 0;
	for (i = 0; i < FUZZ_CELLS; i++)
		fuzz_live += fuzz_cells[i].size;
}

/* As fuzz_got(), of memory that is not the heap's. */
void fuzz_got_outside(struct fuzz_cell *cell, void *ptr, size_t size)
{
	check_apart(ptr, size, fuzz_cells, FUZZ_CELLS, cell);
	pattern_put(ptr, size, ++last_id);
	*cell = (struct fuzz_cell) {
		.ptr = ptr, .size = size, .id = last_id, .outside = true,
	};
	fuzz_live += size;
}

/* The object is about to be freed. */
void *fuzz_leave(struct fuzz_cell *cell)
{
	void *ptr = cell->ptr;

	fuzz_check(cell);
	fuzz_forget(cell);
	return ptr;
}

/* The object is about to be given to kspan_free_rcu(); false: not now. */
bool fuzz_limbo(struct fuzz_cell *cell)
{
	if (nlimbo == FUZZ_LIMBO)
		return false;
	limbo[nlimbo++] = *cell;
	fuzz_leave(cell);
	return true;
}

/*
 * RCU: callbacks wait in a queue until somebody says that a grace period is over.
 * An object must be untouched until the first that began after it was freed is.
 */

struct callback {
	port_rcu_t *head;
	void (*fn)(port_rcu_t *head);
};

static struct callback queue[FUZZ_LIMBO];
static u32 nqueue;

void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head))
{
	must(nqueue < ARRAY_SIZE(queue));
	queue[nqueue++] = (struct callback){ head, fn };
}

void fuzz_grace_period(void)
{
	struct callback now[ARRAY_SIZE(queue)];
	u32 i, n = nqueue;

	for (i = 0; i < nlimbo; i++)
		must(pattern_is(limbo[i].ptr, limbo[i].size, limbo[i].size, limbo[i].id));
	nlimbo = 0;
	memcpy(now, queue, n * sizeof(now[0]));
	nqueue = 0;
	for (i = 0; i < n; i++)
		now[i].fn(now[i].head);
}

void port_synchronize_rcu(void)
{
	fuzz_grace_period();
}

void port_rcu_barrier(void)
{
	/* what is queued now, not what its callbacks queue: as the kernel's */
	fuzz_grace_period();
}
