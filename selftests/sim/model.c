// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The reference model: what a client of the allocator may rely on, checked with
 * every answer. A cell holds an object or none; tasks share the cells, so that
 * one may free what another allocated. An operation on a cell in the wrong
 * state is nothing, and so any part of a script is a script. See sched.c.
 */
#include "sim.h"

#define FREED		0xf1	/* what the client leaves in an object that it frees */
#define WHOLE_BYTES	((size_t)40 << 10)	/* longer objects: the ends of each page */
#define EDGE		64
#define CTOR_TAG	0x5afe0b1ec7000000ull

enum cell_state { CELL_EMPTY, CELL_BUSY, CELL_FULL };

/**
 * struct cell - a place for an object
 * @state: BUSY: some context works on it; @p may be set then
 * @p: the object
 * @size: what was asked for
 * @usable: what kspan_size() says
 * @id: of its contents
 * @cache: 1 + the object cache, 0: plain
 * @tiny: it was allocated by the tiny allocator
 * @charged: its pages must be charged
 * @by: the context that allocated it, -1: it is not known
 */
struct cell {
	enum cell_state state;
	char *p;
	size_t size;
	size_t usable;
	u32 id;
	u32 cache;
	bool tiny;
	bool charged;
	int by;
};

struct reader {
	const struct sim_ctx *ctx;
	char *p;
	size_t size;
	u32 id;
	u32 cache;	/* of a typesafe cache: 1 + which */
};

struct cache {
	struct kspan_cache *cache;
	size_t size;
	u32 flags;
	u32 users;	/* contexts inside an operation on it */
	bool busy;	/* being made or destroyed */
	u32 nrcu;	/* objects given to kspan_free_rcu() */
};

#define CACHE_CTOR	4u	/* beside the public flags */

/**
 * struct reserve - a reserve of the script
 * @reserve: NULL: there is none
 * @busy: some context works on it
 * @cache: 1 + the object cache that its objects are of, 0: none
 * @size: of its objects
 * @n: how many there must be
 */
struct reserve {
	struct kspan_reserve *reserve;
	bool busy;
	u32 cache;
	size_t size;
	size_t n;
};

/**
 * struct twice - an object that is freed by several at a time
 * @p: the object, NULL before the first
 * @cache: 1 + the object cache that it is of, 0: none
 * @n: how many have freed it, or begun to
 */
struct twice {
	void *p;
	u32 cache;
	u32 n;
};

static struct cell cells[SIM_NR_CELLS];
static struct twice twice[SIM_NR_CELLS];
static struct cache caches[SIM_NR_CACHES];
static struct reserve reserves[SIM_NR_RESERVES];
static struct reader readers[SIM_MAX_CTX];
static u32 next_id;
static bool scavenging;
static u64 nmisuse;	/* wrong frees that were made on purpose */
static u32 nwild;	/* contexts that make one */
static int wild_by;	/* the owner of the object, when there is one such */
static u32 ntwice;	/* frees that were not the first of their object */
static u32 nswitching;	/* contexts that switch debug facilities */
static bool switched;	/* somebody did */
static bool limit_late;	/* a limit came when there may have been more in use */
static u32 nmoving;	/* operations at work that are not OP_QUIET */
static u32 nmoves;	/* those that began */
static bool put_off;	/* a free may have been, in kspan_free_nolock() */
static bool counting;	/* somebody reads the statistics */
static u64 cache_nmalloc;	/* of object caches, by the last that were read */

void model_reset(void)
{
	memset(cells, 0, sizeof(cells));
	memset(twice, 0, sizeof(twice));
	memset(caches, 0, sizeof(caches));
	memset(reserves, 0, sizeof(reserves));
	memset(readers, 0, sizeof(readers));
	next_id = 0;
	scavenging = false;
	nmisuse = 0;
	nwild = nswitching = 0;
	ntwice = 0;
	wild_by = -1;
	switched = false;
	limit_late = false;
	nmoving = nmoves = 0;
	put_off = counting = false;
	cache_nmalloc = 0;
}

/* Whether what is freed just now need not be an object. */
bool model_wrong_frees(void)
{
	return nwild || ntwice;
}

/* Of the only wrong free that goes on: which context allocated the object; -1 unknown. */
int model_wild_owner(void)
{
	return nwild == 1 ? wild_by : -1;
}

static gfp_t gfp_of(const struct sim_ctx *ctx)
{
	return ctx->id >= SIM_CTX_IRQ ? GFP_ATOMIC : GFP_KERNEL;
}

/* Contents */

static u64 pattern_word(u32 id, size_t i)
{
	return (id + 1) * 0x9e3779b97f4a7c15ull ^ (i + 1) * 0xff51afd7ed558ccdull;
}

static void pattern_write(char *p, size_t from, size_t to, u32 id)
{
	size_t i;

	for (i = from; i < to; i += 8) {
		u64 w = pattern_word(id, i);

		memcpy(p + i, &w, to - i < 8 ? to - i : 8);
	}
}

static bool pattern_is(const char *p, size_t from, size_t to, u32 id)
{
	size_t i;

	for (i = from; i < to; i += 8) {
		u64 w = pattern_word(id, i);

		if (memcmp(p + i, &w, to - i < 8 ? to - i : 8))
			return false;
	}
	return true;
}

/* The pieces of an object that are written and checked: one after another. */
static bool piece_next(size_t size, size_t first, size_t *from, size_t *to)
{
	if (size <= WHOLE_BYTES) {
		*from = *to ? size : first;
		*to = size;
	} else if (*to == size) {
		return false;
	} else if (!*to) {
		*from = first;
		*to = EDGE;
	} else {
		/* the end of this page and the beginning of the next */
		*from = (*to / KSPAN_PAGE_SIZE + 1) * KSPAN_PAGE_SIZE - EDGE;
		*to = *from + 2 * EDGE;
		if (*to > size)
			*to = size;
	}
	return *from < *to;
}

/* What of a cell's object is the client's own: not the constructor's tag. */
static size_t contents_start(const struct cell *cell)
{
	return cell->cache && caches[cell->cache - 1].flags & CACHE_CTOR ? 8 : 0;
}

static void contents_write(const struct cell *cell)
{
	size_t from = 0, to = 0;

	while (piece_next(cell->usable, contents_start(cell), &from, &to))
		pattern_write(cell->p, from, to, cell->id);
}

/* A sanitizer must let its user have all of an object. */
static void check_usable(const char *p, size_t n, const char *when)
{
	size_t bad = shadow_count(p, n);

	if (bad)
		sim_fail("%zu bytes of an object of %zu are poisoned: %s", bad, n, when);
}

/* Check the first @n bytes. */
static void contents_check(const char *p, size_t n, size_t start, u32 id, const char *when)
{
	size_t from = 0, to = 0;

	check_usable(p, n, when);
	while (piece_next(n, start, &from, &to))
		if (!pattern_is(p, from, to, id))
			sim_fail("contents of object %u changed: %s", id, when);
}

static void contents_forget(const struct cell *cell)
{
	size_t from = 0, to = 0;

	while (piece_next(cell->usable, contents_start(cell), &from, &to))
		memset(cell->p + from, FREED, to - from);
}

static void check_zero(const char *p, size_t n)
{
	size_t i;

	check_usable(p, n, "when it is new");
	for (i = 0; i < n; i++)
		if (p[i])
			sim_fail("byte %zu of %zu is not zero", i, n);
}

/* Places */

static bool overlap(const char *a, size_t na, const char *b, size_t nb)
{
	return a < b + nb && b < a + na;
}

static void check_alone(const struct cell *mine, const char *p, size_t n)
{
	u32 i;

	for (i = 0; i < SIM_NR_CELLS; i++)
		if (&cells[i] != mine && cells[i].p &&
		    overlap(p, n, cells[i].p, cells[i].usable))
			sim_fail("an object of %zu bytes overlaps object %u of %zu", n,
				 cells[i].id, cells[i].usable);
	for (i = 0; i < SIM_MAX_CTX; i++)
		if (readers[i].ctx && overlap(p, n, readers[i].p, readers[i].size) &&
		    (!readers[i].cache || readers[i].cache != mine->cache))
			sim_fail("an object is under a reader of object %u", readers[i].id);
}

/* kspan_size(), in no time. */
static size_t usable_size(const void *p)
{
	bool live = sim.live;
	size_t n;

	sim.live = false;
	n = kspan_size(p);
	sim.live = live;
	return n;
}

/* The alignment that is promised. */
static size_t natural_align(size_t size, bool tiny)
{
	if (tiny)
		return size & 1 ? 1 : size & 2 ? 2 : size & 4 ? 4 : 8;
	if (!(size & (size - 1)) && size <= KSPAN_MAX_SMALL_SIZE && size >= 8)
		return size;
	return 8;
}

/* A new object for @cell, which is busy. */
static void cell_take(struct cell *cell, void *p, size_t size, size_t align)
{
	size_t usable;

	if (!source_offset(p))
		sim_fail("an object lies outside the source");
	usable = usable_size(p);
	if (usable < size)
		sim_fail("an object of %zu bytes has %zu", size, usable);
	if ((uintptr_t)p & (align - 1))
		sim_fail("an object of %zu bytes is not aligned to %zu", size, align);
	check_alone(cell, p, usable);
	check_usable(p, usable, "when it is new");
	if (cfg(CFG_WATCH) && !watch_sees(p))
		sim_fail("nobody saw the allocation of an object of %zu bytes", size);
	if (source_is_charged(p) != cell->charged)
		sim_fail("an object of %zu bytes is %scharged", size, cell->charged ? "not " : "");
	cell->by = sim.self->id;
	cell->p = p;
	cell->size = size;
	cell->usable = usable;
	cell->id = next_id++;
	sim_note(source_offset(p));
	contents_write(cell);
	cell->state = CELL_FULL;
}

static struct cell *cell_claim(u32 i, enum cell_state state)
{
	struct cell *cell = &cells[i % SIM_NR_CELLS];

	if (cell->state != state)
		return NULL;
	cell->state = CELL_BUSY;
	return cell;
}

static void cell_drop(struct cell *cell)
{
	memset(cell, 0, sizeof(*cell));
}

/* Take the object out of @cell, its contents being right. */
static void *cell_give(struct cell *cell, bool forget)
{
	void *p = cell->p;

	contents_check(p, cell->usable, contents_start(cell), cell->id, "at its free");
	if (forget)
		contents_forget(cell);
	return p;
}

static bool has_reader(const struct cell *cell)
{
	u32 i;

	for (i = 0; i < SIM_MAX_CTX; i++)
		if (readers[i].ctx && readers[i].p == cell->p && !readers[i].cache)
			return true;
	return false;
}

/* Allocation */

static void finish_alloc(u32 i, struct cell *cell, void *p, size_t size, size_t align)
{
	if (!p)
		cell_drop(cell);
	else if (p == ZERO_SIZE_PTR && !size)
		cell_drop(cell);
	else
		cell_take(cell, p, size, align);
}

static void op_alloc(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_EMPTY);

	if (cell)
		finish_alloc(arg[0], cell, kspan_alloc(arg[1], gfp_of(ctx)), arg[1],
			     natural_align(arg[1], false));
}

static void op_noscan(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_EMPTY);

	if (!cell)
		return;
	cell->tiny = arg[1] && arg[1] < KSPAN_TINY_SIZE && (!cfg(CFG_CHECKED) || switched);
	finish_alloc(arg[0], cell, kspan_alloc_noscan(arg[1], gfp_of(ctx)), arg[1],
		     natural_align(arg[1], cell->tiny));
}

static void op_zalloc(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_EMPTY);
	void *p;

	if (!cell)
		return;
	p = kspan_zalloc(arg[1], gfp_of(ctx));
	if (p && arg[1])
		check_zero(p, arg[1]);
	finish_alloc(arg[0], cell, p, arg[1], natural_align(arg[1], false));
}

/* Pages of its own for a large one, charged to who asks. Of a huge one they are not. */
static void op_charged(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_EMPTY);
	gfp_t gfp = gfp_of(ctx) | __GFP_ACCOUNT | (arg[2] & 1 ? __GFP_ZERO : 0);
	void *p;

	if (!cell)
		return;
	cell->charged = cfg(CFG_CHARGES) && arg[1] > KSPAN_MAX_SMALL_SIZE &&
			arg[1] <= KSPAN_ARENA_SIZE;
	ctx->charged = true;
	p = kspan_alloc(arg[1], gfp);
	ctx->charged = false;
	if (p && arg[1] && (arg[2] & 1))
		check_zero(p, arg[1]);
	finish_alloc(arg[0], cell, p, arg[1], natural_align(arg[1], false));
}

static void op_aligned(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_EMPTY);
	size_t align = (size_t)1 << (arg[2] % 24);

	if (cell)
		finish_alloc(arg[0], cell,
			     kspan_alloc_aligned(arg[1], align, gfp_of(ctx)), arg[1], align);
}

static void op_node(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_EMPTY);
	gfp_t only = arg[2] & 2 ? __GFP_THISNODE : 0;
	int node = arg[2] & 1;
	void *p;

	if (!cell)
		return;
	p = kspan_alloc_node(arg[1], gfp_of(ctx) | only, node);
	if (only && !ZERO_OR_NULL_PTR(p) && sim_source.node_of(&sim_source, p) != node)
		sim_fail("an object that must be of node %d is of another", node);
	finish_alloc(arg[0], cell, p, arg[1], natural_align(arg[1], false));
}

/* Claim up to @n empty cells from @first on. */
static u32 claim_many(u32 first, u32 n, struct cell **list)
{
	u32 i, got = 0;

	for (i = 0; i < n; i++) {
		list[got] = cell_claim(first + i, CELL_EMPTY);
		got += list[got] != NULL;
	}
	return got;
}

static void finish_many(struct cell **list, u32 n, void **objs, u32 got, size_t size,
			size_t align)
{
	u32 i;

	if (got && got != n)
		sim_fail("a bulk allocation of %u gave %u", n, got);
	for (i = 0; i < n; i++)
		finish_alloc(0, list[i], got ? objs[i] : NULL, size, align);
}

static void op_bulk(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *list[SIM_NR_CELLS];
	void *objs[SIM_NR_CELLS];
	u32 n = claim_many(arg[0], arg[1] % SIM_NR_CELLS, list);

	if (n)
		finish_many(list, n, objs,
			    kspan_alloc_bulk(arg[2] ? arg[2] : 1, gfp_of(ctx), n, objs),
			    arg[2] ? arg[2] : 1, natural_align(arg[2], false));
}

static void op_realloc(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_FULL), old;
	size_t n;
	char *p;

	if (!cell)
		return;
	if (!arg[1] || cell->cache || has_reader(cell)) {
		cell->state = CELL_FULL;
		return;
	}
	old = *cell;
	cell->p = NULL;		/* from some time on it is not the cell's any more */
	p = kspan_realloc(old.p, arg[1], gfp_of(ctx));
	if (!p) {
		contents_check(old.p, old.usable, 0, old.id, "by a realloc that failed");
		*cell = old;
		cell->state = CELL_FULL;
		return;
	}
	n = old.usable < arg[1] ? old.usable : arg[1];
	if (n > EDGE && old.usable > WHOLE_BYTES)
		n = EDGE;	/* of a long object not all was written */
	contents_check(p, n, 0, old.id, "by a realloc");
	if (p != old.p)
		cell->tiny = cell->charged = false;
	cell_take(cell, p, arg[1], 1);
	if (p == old.p)
		cell->by = old.by;
}

/* Freeing */

static struct cache *cache_use(u32 cache)
{
	struct cache *c = &caches[cache];

	if (!c->cache || c->busy)
		return NULL;
	c->users++;
	return c;
}

static void free_cached(struct cell *cell, bool raw)
{
	struct cache *c = cache_use(cell->cache - 1);
	void *p;

	if (!c) {
		cell->state = CELL_FULL;
		return;
	}
	p = cell_give(cell, true);
	cell_drop(cell);
	if (raw)
		kspan_free(p);
	else
		kspan_cache_free(c->cache, p);
	c->users--;
}

static void op_free(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_FULL);
	bool rcu;
	void *p;

	if (!cell)
		return;
	if (cell->cache) {
		free_cached(cell, arg[1] & 1);
		return;
	}
	rcu = has_reader(cell);
	p = cell_give(cell, !rcu);
	cell_drop(cell);
	if (rcu)
		kspan_free_rcu(p);
	else if (arg[1] & 1)
		kspan_free_sensitive(p);
	else
		kspan_free(p);
}

static void op_rcufree(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_FULL);
	struct cache *c = NULL;
	void *p;

	if (!cell)
		return;
	if (cell->cache) {
		c = cache_use(cell->cache - 1);
		if (!c) {
			cell->state = CELL_FULL;
			return;
		}
		c->nrcu++;
	}
	p = cell_give(cell, false);
	cell_drop(cell);
	kspan_free_rcu(p);
	if (c)
		c->users--;
}

/* Many objects wait for one grace period. */
static void op_rcuburst(struct sim_ctx *ctx, const u32 *arg)
{
	u32 i;

	for (i = 0; i < arg[0]; i++)
		kspan_free_rcu(kspan_alloc(arg[1], gfp_of(ctx)));
}

static void op_freebulk(struct sim_ctx *ctx, const u32 *arg)
{
	void *objs[SIM_NR_CELLS];
	u32 i, n = 0;

	for (i = 0; i < arg[1] % SIM_NR_CELLS; i++) {
		struct cell *cell = cell_claim(arg[0] + i, CELL_FULL);

		if (!cell)
			continue;
		if (cell->cache || has_reader(cell)) {
			cell->state = CELL_FULL;
			continue;
		}
		objs[n++] = cell_give(cell, true);
		cell_drop(cell);
	}
	kspan_free_bulk(n, objs);
}

/* A pointer into an object is freed: in a checked heap that is reported, once. */
static void op_wild(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_FULL);
	struct cache *c = NULL;

	if (!cell)
		return;
	if (cell->cache)
		c = cache_use(cell->cache - 1);
	/* while the heap becomes checked, or ceases to be, it need not be seen */
	if (kspan_heap0.checked && !nswitching && cell->usable > 1 && (c || !cell->cache)) {
		nmisuse++;
		wild_by = nwild++ ? -1 : cell->by;
		kspan_free(cell->p + 1);
		nwild--;
	}
	if (c)
		c->users--;
	cell->state = CELL_FULL;
}

static void free_as(const struct twice *t, u32 how)
{
	if (how == 1 || sim_in_nmi())
		kspan_free_nolock(t->p);
	else if (how == 2 && t->cache)
		kspan_cache_free(caches[t->cache - 1].cache, t->p);
	else
		kspan_free(t->p);
}

/*
 * All who do this with the same cell free its object: all but one are wrong, and each of
 * these must be reported, at the latest when the slots are empty. Nobody may allocate
 * meanwhile.
 */
static void op_twice(struct sim_ctx *ctx, const u32 *arg)
{
	struct twice *t = &twice[arg[0] % SIM_NR_CELLS];
	struct cell *cell = cell_claim(arg[0], CELL_FULL);

	if (cell) {
		t->cache = cell->cache;
		t->p = cell_give(cell, true);
		t->n = 0;
		cell_drop(cell);
	}
	if (!t->p || (t->cache && !cache_use(t->cache - 1)))
		return;
	if (t->n++)
		ntwice++;
	free_as(t, arg[1]);
	if (t->cache)
		caches[t->cache - 1].users--;
}

/* Where no lock may be waited for */

static bool is_tiny(const void *p)
{
	struct kspan_span *span;
	bool live = sim.live;

	sim.live = false;
	span = pagemap_span(&kspan_heap0, (uintptr_t)p);
	sim.live = live;
	return span && span->pclass == KSPAN_PC_TINY;
}

/* One that kmemleak would have to be told of now: it stays. */
static bool nfree_is_nothing(struct cell *cell)
{
	if (cfg(CFG_WATCH) != 2 || !sim_in_nmi() ||
	    !(is_tiny(cell->p) || guard_offset(cell->p)))
		return false;
	kspan_free_nolock(cell->p);
	contents_check(cell->p, cell->usable, 0, cell->id, "by a free that cannot be");
	return true;
}

static void op_nalloc(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_EMPTY);
	void *p;

	if (!cell)
		return;
	if (arg[2] & 1) {
		p = kspan_zalloc_nolock(arg[1], GFP_NOWAIT);
		if (p && arg[1])
			check_zero(p, arg[1]);
	} else {
		p = kspan_alloc_nolock(arg[1], GFP_NOWAIT);
	}
	finish_alloc(arg[0], cell, p, arg[1], natural_align(arg[1], false));
}

static void op_nfree(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_FULL);
	struct cache *c = NULL;
	void *p;

	if (!cell)
		return;
	if (cell->cache)
		c = cache_use(cell->cache - 1);
	if ((cell->cache ? !c : has_reader(cell)) || nfree_is_nothing(cell)) {
		cell->state = CELL_FULL;
		return;
	}
	p = cell_give(cell, true);
	cell_drop(cell);
	kspan_free_nolock(p);
	if (c)
		c->users--;
}

/* RCU */

static void reader_look(const struct reader *reader)
{
	u64 tag;

	if (!reader->cache) {
		contents_check(reader->p, reader->size, 0, reader->id, "under a reader");
		return;
	}
	check_usable(reader->p, reader->size, "under a reader");
	memcpy(&tag, reader->p, sizeof(tag));
	if (tag != CTOR_TAG + reader->cache)
		sim_fail("a reader finds an object that is not of its cache");
}

/* Read the object of a cell, whoever may free it meanwhile. */
static void op_peek(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *cell = &cells[arg[0] % SIM_NR_CELLS];
	struct reader *reader = &readers[ctx->id];
	const struct cache *c;
	u32 i;

	rcu_read_lock();
	sim_point(EV_RCU, NULL);
	c = cell->cache ? &caches[cell->cache - 1] : NULL;
	if (cell->state == CELL_FULL && (!c || c->flags & KSPAN_TYPESAFE_BY_RCU)) {
		reader->ctx = ctx;
		reader->p = cell->p;
		reader->size = cell->usable;
		reader->id = cell->id;
		reader->cache = cell->cache;
		for (i = 0; i < 8; i++) {
			reader_look(reader);
			sim_point(EV_RCU, NULL);
		}
		reader_look(reader);
		reader->ctx = NULL;
	}
	rcu_read_unlock();
}

static void op_barrier(struct sim_ctx *ctx, const u32 *arg)
{
	kspan_rcu_barrier();
}

/* Object caches */

/* The object is nobody's yet, but its constructor's. */
static void construct(void *obj, u32 cache)
{
	u64 tag = CTOR_TAG + cache;

	check_usable(obj, sizeof(tag), "when it is constructed");
	memcpy(obj, &tag, sizeof(tag));
}

static void ctor0(void *obj)
{
	construct(obj, 1);
}

static void ctor1(void *obj)
{
	construct(obj, 2);
}

static void ctor2(void *obj)
{
	construct(obj, 3);
}

static void ctor3(void *obj)
{
	construct(obj, 4);
}

static void (*const ctors[SIM_NR_CACHES])(void *obj) = { ctor0, ctor1, ctor2, ctor3 };

static void op_cnew(struct sim_ctx *ctx, const u32 *arg)
{
	struct cache *c = &caches[arg[0] % SIM_NR_CACHES];

	if (c->cache || c->busy)
		return;
	c->busy = true;
	c->size = arg[1] < 16 ? 16 : arg[1] & ~7u;
	c->flags = arg[2] & 7;
	if (c->flags & KSPAN_TYPESAFE_BY_RCU)
		c->flags |= CACHE_CTOR;
	c->nrcu = 0;
	c->cache = kspan_cache_create("sim", c->size, 0, c->flags & 3,
				      c->flags & CACHE_CTOR ? ctors[c - caches] : NULL);
	c->busy = false;
}

/* Check a cache's new object and put it into @cell. */
static void finish_cached(struct cell *cell, u32 i, void *p)
{
	u64 tag;

	if (p && caches[i].flags & CACHE_CTOR) {
		memcpy(&tag, p, sizeof(tag));
		if (tag != CTOR_TAG + 1 + i)
			sim_fail("an object is not as its constructor left it");
	}
	cell->cache = 1 + i;
	finish_alloc(0, cell, p, caches[i].size, 8);
}

static void op_calloc(struct sim_ctx *ctx, const u32 *arg)
{
	u32 i = arg[0] % SIM_NR_CACHES;
	struct cache *c = cache_use(i);
	struct cell *cell;
	void *p;

	if (!c)
		return;
	cell = cell_claim(arg[1], CELL_EMPTY);
	if (cell && (arg[2] & 1) && !(c->flags & CACHE_CTOR)) {
		p = kspan_cache_zalloc(c->cache, gfp_of(ctx));
		if (p)
			check_zero(p, c->size);
		finish_cached(cell, i, p);
	} else if (cell) {
		finish_cached(cell, i, kspan_cache_alloc(c->cache, gfp_of(ctx)));
	}
	c->users--;
}

static void op_cbulk(struct sim_ctx *ctx, const u32 *arg)
{
	struct cell *list[SIM_NR_CELLS];
	void *objs[SIM_NR_CELLS];
	u32 i, n, got, which = arg[0] % SIM_NR_CACHES;
	struct cache *c = cache_use(which);

	if (!c)
		return;
	n = claim_many(arg[1], arg[2] % SIM_NR_CELLS, list);
	got = n ? kspan_cache_alloc_bulk(c->cache, gfp_of(ctx), n, objs) : 0;
	if (got && got != n)
		sim_fail("a bulk allocation of %u gave %u", n, got);
	for (i = 0; i < n; i++)
		finish_cached(list[i], which, got ? objs[i] : NULL);
	c->users--;
}

static void op_cshrink(struct sim_ctx *ctx, const u32 *arg)
{
	struct cache *c = cache_use(arg[0] % SIM_NR_CACHES);

	if (!c)
		return;
	kspan_cache_shrink(c->cache);
	c->users--;
}

static void op_cnalloc(struct sim_ctx *ctx, const u32 *arg)
{
	u32 i = arg[0] % SIM_NR_CACHES;
	struct cache *c = cache_use(i);
	struct cell *cell;

	if (!c)
		return;
	cell = cell_claim(arg[1], CELL_EMPTY);
	if (cell)
		finish_cached(cell, i, kspan_cache_alloc_nolock(c->cache, GFP_NOWAIT));
	c->users--;
}

/* Reserves */

static struct reserve *reserve_claim(u32 i, bool made)
{
	struct reserve *r = &reserves[i % SIM_NR_RESERVES];

	if (r->busy || made != !!r->reserve)
		return NULL;
	r->busy = true;
	return r;
}

static void op_rnew(struct sim_ctx *ctx, const u32 *arg)
{
	struct reserve *r = reserve_claim(arg[0], false);
	struct cache *c = NULL;

	if (!r)
		return;
	r->n = arg[1] % SIM_NR_CELLS;
	r->size = arg[2];
	r->cache = arg[2] < SIM_NR_CACHES ? arg[2] + 1 : 0;
	if (r->cache) {
		c = cache_use(arg[2]);	/* until the reserve ends */
		if (c)
			r->reserve = kspan_cache_reserve_prefill(c->cache, gfp_of(ctx), r->n);
		if (c && !r->reserve)
			c->users--;
	} else {
		r->reserve = kspan_reserve_prefill(r->size, gfp_of(ctx), r->n);
	}
	r->busy = false;
}

static void op_rfill(struct sim_ctx *ctx, const u32 *arg)
{
	struct reserve *r = reserve_claim(arg[0], true);
	u32 n = arg[1] % SIM_NR_CELLS;

	if (!r)
		return;
	if (!kspan_reserve_refill(&r->reserve, gfp_of(ctx), n) && r->n < n)
		r->n = n;
	if (kspan_reserve_count(r->reserve) != r->n)
		sim_fail("a reserve of %zu objects has %zu", r->n,
			 kspan_reserve_count(r->reserve));
	r->busy = false;
}

static void take_reserved(struct reserve *r, struct cell *cell, bool zeroed)
{
	void *p;

	zeroed = zeroed && (!r->cache || !(caches[r->cache - 1].flags & CACHE_CTOR));
	p = kspan_reserve_alloc(r->reserve, zeroed ? __GFP_ZERO : 0);
	if (!p != !r->n)
		sim_fail("of a reserve of %zu objects one is %p", r->n, p);
	r->n -= p != NULL;
	if (p && zeroed)
		check_zero(p, r->cache ? caches[r->cache - 1].size : r->size);
	if (r->cache)
		finish_cached(cell, r->cache - 1, p);
	else
		finish_alloc(0, cell, p, r->size, natural_align(r->size, false));
	cell->by = -1;	/* who filled the reserve */
}

static void op_ralloc(struct sim_ctx *ctx, const u32 *arg)
{
	struct reserve *r = reserve_claim(arg[0], true);
	struct cell *cell;

	if (!r)
		return;
	cell = cell_claim(arg[1], CELL_EMPTY);
	if (cell)
		take_reserved(r, cell, arg[2] & 1);
	r->busy = false;
}

static void op_rend(struct sim_ctx *ctx, const u32 *arg)
{
	struct reserve *r = reserve_claim(arg[0], true);

	if (!r)
		return;
	kspan_reserve_return(r->reserve);
	if (r->cache)
		caches[r->cache - 1].users--;
	memset(r, 0, sizeof(*r));
}

static u32 cells_of_cache(u32 cache)
{
	u32 i, n = 0;

	for (i = 0; i < SIM_NR_CELLS; i++)
		n += cells[i].p && cells[i].cache == cache + 1;
	return n;
}

static void cache_end(u32 i)
{
	struct cache *c = &caches[i];
	u32 nlive = cells_of_cache(i);
	int ret;

	c->busy = true;
	if (c->nrcu)
		kspan_rcu_barrier();
	ret = kspan_cache_destroy(c->cache);
	if (ret != (nlive ? -EBUSY : 0))
		sim_fail("a cache with %u objects out is destroyed: %d", nlive, ret);
	if (!ret)
		c->cache = NULL;
	c->busy = false;
}

static void op_cdestroy(struct sim_ctx *ctx, const u32 *arg)
{
	u32 i = arg[0] % SIM_NR_CACHES;

	if (caches[i].cache && !caches[i].busy && !caches[i].users)
		cache_end(i);
}

/* The heap as a whole */

static void op_release(struct sim_ctx *ctx, const u32 *arg)
{
	kspan_release_memory();
}

/* An epoch ends. The port has one scavenger. */
static void op_scavenge(struct sim_ctx *ctx, const u32 *arg)
{
	if (scavenging)
		return;
	scavenging = true;
	heap_scavenge(&kspan_heap0);
	scavenging = false;
}

/* The heap becomes checked, or ceases to be, or is so otherwise, in use. */
static void op_debug(struct sim_ctx *ctx, const u32 *arg)
{
	struct kspan_debug_config config = {
		.flags = arg[0] & (2 * KSPAN_DEBUG_FAIL - 1),
		.guard_every = 2,
		.fail_every = 5,
		.quarantine_bytes = 20000,
	};

	if (nwild)
		return;
	switched = true;
	nswitching++;
	heap_set_debug(&kspan_heap0, &config);
	nswitching--;
}

static void op_verify(struct sim_ctx *ctx, const u32 *arg)
{
	int n = kspan_verify();

	if (n)
		sim_fail("the verifier finds %d violations", n);
}

/* A cache that comes or goes meanwhile takes the counts of no other with it. */
static void op_stats(struct sim_ctx *ctx, const u32 *arg)
{
	static struct kspan_stats stats;

	if (counting)
		return;
	counting = true;
	kspan_get_stats(&stats);
	if (stats.cache_nmalloc < cache_nmalloc)
		sim_fail("%llu objects of caches were allocated, and now %llu",
			 (unsigned long long)cache_nmalloc,
			 (unsigned long long)stats.cache_nmalloc);
	cache_nmalloc = stats.cache_nmalloc;
	counting = false;
}

/* What the list of leaks must have: tiny objects by their blocks. */
static u64 count_out(void)
{
	u64 n = 0;
	u32 i, k;

	for (i = 0; i < SIM_NR_CELLS; i++) {
		const uintptr_t block = (uintptr_t)cells[i].p & ~(uintptr_t)15;

		if (!cells[i].p || guard_offset(cells[i].p))
			continue;
		for (k = 0; k < i && is_tiny(cells[i].p); k++)
			if (((uintptr_t)cells[k].p & ~(uintptr_t)15) == block)
				break;
		n += !is_tiny(cells[i].p) || k == i;
	}
	return n;
}

/* No free is on its way of which the cells do not tell. */
static bool all_back(void)
{
	u32 i;

	for (i = 0; i < SIM_NR_RESERVES; i++)
		if (reserves[i].reserve)
			return false;
	return rcu_unused() && !put_off;
}

/* Of a checked heap the list is exact while no object comes or goes, whatever else goes on. */
static void op_leaks(struct sim_ctx *ctx, const u32 *arg)
{
	const u32 moves = nmoves, gen = kspan_heap0.debug.gen;
	const bool exact = !nmoving && heap_checked(&kspan_heap0) && all_back();
	const u64 n = count_out(), found = heap_leaks(&kspan_heap0, false);

	if (exact && moves == nmoves && heap_checked(&kspan_heap0) &&
	    kspan_heap0.debug.gen == gen && found != n)
		sim_fail("%llu objects are out, %llu would be listed", (unsigned long long)n,
			 (unsigned long long)found);
}

static void op_offline(struct sim_ctx *ctx, const u32 *arg)
{
	if (cfg(CFG_BUSY))
		slots_offline(arg[0]);
}

static void op_online(struct sim_ctx *ctx, const u32 *arg)
{
	slots_online(arg[0]);
}

/* What the limits are about. */
static size_t used_bytes(void)
{
	unsigned long flags = port_lock(&kspan_heap0.lock);
	struct kspan_page_counts sum;

	heap_sum_pages(&kspan_heap0, &sum);
	port_unlock(&kspan_heap0.lock, flags);
	return pages_to_bytes(sum.ninuse - sum.nspare - kspan_heap0.warm.npages) +
	       kspan_heap0.meta_bytes;
}

/* The limits are changed at run time. */
static void op_limit(struct sim_ctx *ctx, const u32 *arg)
{
	limit_late = ctx->id != SIM_CTX_MAIN || used_bytes() > (size_t)arg[1] << 10;
	port_store(&kspan_heap0.config.limit_soft, (size_t)arg[0] << 10);
	port_store(&kspan_heap0.config.limit_hard, (size_t)arg[1] << 10);
	heap_drop_spares(&kspan_heap0);
}

#define SIM_OP_RUN(name, nargs, flags)	op_##name,
static void (*const run_op[NR_SIM_OPS])(struct sim_ctx *ctx, const u32 *arg) = {
	SIM_OPS(SIM_OP_RUN)
};

void model_run_op(struct sim_ctx *ctx, const struct sim_op *op)
{
	const u32 flags = sim_ops[op->kind].flags;

	if ((flags & OP_SLEEPS) && ctx->id >= SIM_CTX_IRQ)
		return;
	if (!(flags & OP_ANYWHERE) && ctx->id == SIM_CTX_NMI)
		return;
	sim_note(op->kind);
	put_off |= op->kind == OP_nfree || op->kind == OP_twice;
	if (!(flags & OP_QUIET)) {
		nmoves++;
		nmoving++;
	}
	run_op[op->kind](ctx, op->arg);
	if (!(flags & OP_QUIET))
		nmoving--;
}

/* Quiescence */

/* No stack may ever reach into the next one. */
static void check_slots(struct kspan_slotset *ss)
{
	u32 i, c;

	for (i = 0; i < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);

		if (!slot)
			continue;
		if (slot->zero)
			sim_fail("entry 0 of a slot is not zero");
		if (slot->busy)
			sim_fail("a slot stays busy");
		for (c = 0; c < ss->nstacks; c++) {
			u32 limit = *slot_limit(ss, slot, c), top = ss->base[c] + ss->max[c];

			if (limit && (limit < ss->base[c] || limit > top))
				sim_fail("stack %u has limit %u", c, limit);
			if (slot_count(ss, slot, c) > ss->max[c])
				sim_fail("stack %u holds too much", c);
		}
	}
}

static u32 nlists(void)
{
	u32 i, n = 0;

	for (i = 0; i < ARRAY_SIZE(sim.script->list); i++)
		n += sim.script->list[i].n != 0;
	return n;
}

/* Where nothing happened at a time, the limits add up to the budget used. */
static void check_budget(struct kspan_slotset *ss)
{
	struct kspan_slot *slot = ss->os.slot[0];
	u32 c, used = 0;

	if (nlists() > 1 || !rcu_unused() || cfg(CFG_CPUS) > 1 || cfg(CFG_THREADS))
		return;
	for (c = 0; c < ss->nstacks; c++) {
		u32 limit = *slot_limit(ss, slot, c);

		used += limit ? (limit - ss->base[c]) * kspan_heap0.node0.central[c].size : 0;
	}
	if (used != slot->budget_used)
		sim_fail("stacks may hold %u bytes, the budget says %u", used,
			 slot->budget_used);
}

struct live_count {
	u64 n, ntiny, nlarge, ncache;
	u64 cls[KSPAN_NUM_SPAN_CLASSES];
};

static void count_live(struct live_count *live)
{
	u32 i;

	memset(live, 0, sizeof(*live));
	for (i = 0; i < SIM_NR_CELLS; i++) {
		const struct cell *cell = &cells[i];
		struct kspan_span *span;

		if (!cell->p)
			continue;
		span = pagemap_span(&kspan_heap0, (uintptr_t)cell->p);
		if (!span)
			continue;	/* guarded: the port's */
		live->n++;
		live->ntiny += span->pclass == KSPAN_PC_TINY;
		live->nlarge += span->pclass == KSPAN_PC_LARGE;
		live->ncache += span->pclass == KSPAN_PC_CACHE;
		if (span->pclass > KSPAN_PC_LARGE && span->pclass < KSPAN_NUM_SPAN_CLASSES)
			live->cls[span->pclass]++;
	}
}

static void check_stats(void)
{
	static struct kspan_stats stats;
	static struct live_count live;
	u32 c;

	count_live(&live);
	kspan_get_stats(&stats);
	for (c = 0; c < KSPAN_NUM_SPAN_CLASSES; c++)
		if (stats.cls[c].nmalloc - stats.cls[c].nfree != live.cls[c])
			sim_fail("class %u counts %lld objects, %llu are out", c,
				 (long long)(stats.cls[c].nmalloc - stats.cls[c].nfree),
				 (unsigned long long)live.cls[c]);
	if (stats.ntiny_malloc - stats.ntiny_free != live.ntiny)
		sim_fail("tiny objects are miscounted");
	if (stats.nlarge_malloc - stats.nlarge_free != live.nlarge)
		sim_fail("large objects are miscounted");
	if (stats.cache_nmalloc - stats.cache_nfree != live.ncache)
		sim_fail("objects of caches are miscounted");
	if (stats.nmalloc - stats.nfree != live.n)
		sim_fail("objects are miscounted");
	if (stats.sys_bytes != source_outstanding())
		sim_fail("the heap has %llu bytes by its count, %llu by the source's",
			 (unsigned long long)stats.sys_bytes,
			 (unsigned long long)source_outstanding());
	if (stats.noverflow || stats.nafterfree)
		sim_fail("%llu writes past the end and %llu after free are reported",
			 (unsigned long long)stats.noverflow,
			 (unsigned long long)stats.nafterfree);
	if (ntwice ? stats.ndouble + stats.nforeign != ntwice : stats.ndouble || stats.nforeign)
		sim_fail("of %u frees too many %llu double and %llu foreign ones are reported",
			 ntwice, (unsigned long long)stats.ndouble,
			 (unsigned long long)stats.nforeign);
	if (stats.ninterior != nmisuse)
		sim_fail("of %llu frees of pointers into objects %llu are reported",
			 (unsigned long long)nmisuse, (unsigned long long)stats.ninterior);
}

void port_error(struct kspan_heap *heap)
{
	if (!cfg(CFG_CHECKED) && !switched && !ntwice)
		sim_fail("a wrong free is reported that was none");
}

/* What is neither with the client nor free: reserves, quarantine. */
static void end_holding(void)
{
	const struct kspan_debug *debug = &kspan_heap0.debug;
	u32 i, arg[4] = { 0 };

	if (!(debug->flags & KSPAN_DEBUG_QUARANTINE) && debug->quarantine.n)
		sim_fail("%u objects stay in a quarantine that is over", debug->quarantine.n);
	for (i = 0; i < SIM_NR_RESERVES; i++) {
		if (reserves[i].busy)
			sim_fail("reserve %u stays busy", i);
		arg[0] = i;
		op_rend(sim.self, arg);
	}
	heap_catch_up(&kspan_heap0);
	debug_flush(&kspan_heap0);
}

/* Everything that is out is freed. */
static void free_all(void)
{
	u32 i, arg[4] = { 0 };

	for (i = 0; i < SIM_NR_CELLS; i++) {
		if (cells[i].state == CELL_BUSY)
			sim_fail("cell %u stays busy", i);
		arg[0] = i;
		op_free(sim.self, arg);
	}
	kspan_rcu_barrier();
	heap_catch_up(&kspan_heap0);
	debug_flush(&kspan_heap0);
	for (i = 0; i < SIM_NR_CACHES; i++)
		if (caches[i].cache)
			cache_end(i);
}

/* The hard limit holds, whoever asks at a time, unless it came when more was in use. */
static void check_limit(void)
{
	size_t used = used_bytes(), hard = kspan_heap0.config.limit_hard;

	if (hard && !limit_late && used > hard)
		sim_fail("%zu bytes are in use, the limit being %zu", used, hard);
	if (kspan_heap0.charged_bytes)
		sim_fail("%llu bytes stay booked", (unsigned long long)kspan_heap0.charged_bytes);
}

static u64 count_transfers(void)
{
	u64 n = 0;
	u32 c;

	for (c = 0; c < KSPAN_NR_STACKS; c++)
		n += kspan_heap0.slots.central[c].transfer != NULL;
	return n;
}

/* Metadata that is not in use is on its list, or was never used. */
static void check_fix(const struct kspan_fix *fix, u32 kind)
{
	u64 n = (fix->end - fix->bump) / fix->size;
	void *obj;

	for (obj = fix->free; obj && n <= fix->nobjs; obj = *(void **)obj)
		n++;
	if (n + fix->ninuse != fix->nobjs)
		sim_fail("of %llu pieces of metadata of kind %u %llu are in use and %llu free",
			 (unsigned long long)fix->nobjs, kind,
			 (unsigned long long)fix->ninuse, (unsigned long long)n);
}

/* What observes objects, guards them and charges them agrees with the cells. */
static void check_port(void)
{
	u32 i, nlive = 0, nguarded = 0, ncharged = 0;

	for (i = 0; i < SIM_NR_CELLS; i++) {
		const struct cell *cell = &cells[i];

		if (!cell->p)
			continue;
		nlive++;
		nguarded += guard_offset(cell->p) != 0;
		if (cell->charged)
			ncharged += bytes_to_pages(cell->usable);
		if (cfg(CFG_WATCH) && !watch_sees(cell->p))
			sim_fail("object %u is out, and its free was seen", cell->id);
	}
	if (cfg(CFG_WATCH) && watch_count() != nlive)
		sim_fail("%u objects are out, %u by what was seen", nlive, watch_count());
	if (guards_live() != nguarded || guards_changing())
		sim_fail("%u guarded objects are out, the port has %u and %u that change",
			 nguarded, guards_live(), guards_changing());
	if (source_ncharged() != ncharged)
		sim_fail("%u pages must be charged, %u are", ncharged, source_ncharged());
}

/* Slots must be empty for the list of leaks, which half of the runs go on without. */
static void check_leaks(void)
{
	u64 n, found;

	if (!(sim.script->seed & 1))
		return;
	kspan_release_memory();
	n = count_out();
	found = heap_leaks(&kspan_heap0, true);
	if (found != n)
		sim_fail("%llu objects are out, %llu are listed", (unsigned long long)n,
			 (unsigned long long)found);
}

/* All metadata is given back but that of arenas and transfer caches, which stay. */
static void check_meta(void)
{
	u32 i;

	for (i = 0; i < KSPAN_NR_FIX; i++) {
		u64 stay = i == FIX_TRANSFER ? count_transfers() : 0;

		if (i != FIX_ARENA && kspan_heap0.fix[i].ninuse != stay)
			sim_fail("metadata of kind %u is lost", i);
	}
}

/**
 * model_quiesce - nobody else runs: prove that all is well
 * @last: free everything first; nothing may be left
 */
void model_quiesce(bool last)
{
	struct kspan_stats *stats;
	static struct kspan_stats end;
	u32 i;

	kspan_rcu_barrier();
	if (last)
		free_all();
	if (ntwice)
		kspan_release_memory();	/* what is in the slots has not been looked at */
	if (!last)
		op_verify(sim.self, NULL);
	end_holding();
	check_slots(&kspan_heap0.slots);
	check_budget(&kspan_heap0.slots);
	check_stats();
	check_limit();
	kspan_rcu_barrier();	/* guards */
	check_port();
	for (i = 0; i < KSPAN_NR_FIX; i++)
		check_fix(&kspan_heap0.fix[i], i);
	if (!last) {
		check_leaks();
		return;
	}
	kspan_release_memory();
	op_verify(sim.self, NULL);
	check_stats();
	stats = &end;
	kspan_get_stats(stats);
	if (stats->inuse_bytes || (stats->idle_bytes && !cfg(CFG_FAIL_AT)))
		sim_fail("%llu bytes stay in use and %llu idle when all is freed",
			 (unsigned long long)stats->inuse_bytes,
			 (unsigned long long)stats->idle_bytes);
	check_meta();
	if (heap_leaks(&kspan_heap0, false))
		sim_fail("objects are out when all was freed");
	if (heap_destroy(&kspan_heap0) || source_outstanding())
		sim_fail("%llu bytes of the source are lost",
			 (unsigned long long)source_outstanding());
}
