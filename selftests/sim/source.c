// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The page source of the simulator: four ranges of addresses that are the same
 * in every run, far enough apart to make the region table grow. What it has is
 * filled with a poison, which is checked when it is given out again. See sched.c.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "sim.h"

#define NR_RANGES	4
#define RANGE_BYTES	((size_t)48 << 20)
#define RANGE_PAGES	((u32)(RANGE_BYTES / KSPAN_PAGE_SIZE))
#define RANGE_BASE	0x200000000000ull
#define RANGE_STRIDE	((size_t)3 << 30)
#define POISON		0xd1
#define JUNK		0xe7

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

enum page_state { PAGE_VIRGIN, PAGE_POISON, PAGE_OUT };

static u8 state[NR_RANGES][RANGE_PAGES];
static u8 charged[NR_RANGES][RANGE_PAGES];	/* pages that their owner asked to be charged */
static u32 ncharged;
static u64 shadow[NR_RANGES][RANGE_BYTES / 8 / 64];	/* see shadow.c */
static u32 top[NR_RANGES];	/* pages at or above were never given out */
static u64 nout;
static bool mapped;

static char *range_base(u32 r)
{
	return (char *)(RANGE_BASE + r * RANGE_STRIDE);
}

static void ranges_map(void)
{
	u32 r;

	for (r = 0; r < NR_RANGES; r++) {
		void *p = mmap(range_base(r), RANGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			       MAP_FIXED_NOREPLACE, -1, 0);

		if (p != range_base(r)) {
			perror("the simulator's addresses are not free");
			exit(2);
		}
	}
	mapped = true;
}

/* What a failed run left behind goes back. */
void source_reset(void)
{
	u32 r, i;

	if (!mapped)
		ranges_map();
	for (r = 0; r < NR_RANGES; r++)
		for (i = 0; i < top[r]; i++) {
			if (state[r][i] != PAGE_OUT)
				continue;
			memset(range_base(r) + pages_to_bytes(i), POISON, KSPAN_PAGE_SIZE);
			memset((u8 *)shadow[r] + i * (KSPAN_PAGE_SIZE / 64), 0,
			       KSPAN_PAGE_SIZE / 64);
			state[r][i] = PAGE_POISON;
			charged[r][i] = 0;
		}
	nout = 0;
	ncharged = 0;
}

u64 source_outstanding(void)
{
	return nout;
}

/* Where @p is, without the address; 0 outside. */
u64 source_offset(const volatile void *p)
{
	u32 r;

	for (r = 0; r < NR_RANGES; r++)
		if ((uintptr_t)p - (uintptr_t)range_base(r) < RANGE_BYTES)
			return (u64)(r + 1) << 32 |
			       (u32)((uintptr_t)p - (uintptr_t)range_base(r));
	return guard_offset(p);
}

/* Whether the page at @p was asked for to be charged. */
bool source_is_charged(const void *p)
{
	u64 at = source_offset(p);

	return at >> 32 && charged[(at >> 32) - 1][(u32)at >> KSPAN_PAGE_SHIFT];
}

u32 source_ncharged(void)
{
	return ncharged;
}

/* The bits of the @range-th range, from 1 as in source_offset(). */
u64 *source_shadow(u32 range)
{
	return shadow[range - 1];
}

static bool is_filled(const char *p, size_t n, int c)
{
	return p[0] == (char)c && !memcmp(p, p + 1, n - 1);
}

static bool run_fits(u32 r, u32 first, u32 npages)
{
	u32 i;

	for (i = 0; i < npages; i++)
		if (state[r][first + i] == PAGE_OUT)
			return false;
	return true;
}

/* A free run in range @r; from its low or its high end. NULL: none. */
static char *run_find(u32 r, size_t nbytes, size_t align, bool high)
{
	u32 npages = nbytes >> KSPAN_PAGE_SHIFT, step = align >> KSPAN_PAGE_SHIFT, at;

	if (npages > RANGE_PAGES)
		return NULL;
	for (at = 0; at + npages <= RANGE_PAGES; at += step) {
		u32 first = high ? (RANGE_PAGES - npages - at) & ~(step - 1) : at;

		if (run_fits(r, first, npages))
			return range_base(r) + pages_to_bytes(first);
	}
	return NULL;
}

static void run_take(char *p, size_t nbytes)
{
	u32 r = (p - range_base(0)) / RANGE_STRIDE;
	u32 i, first = (p - range_base(r)) >> KSPAN_PAGE_SHIFT;

	for (i = first; i < first + (nbytes >> KSPAN_PAGE_SHIFT); i++) {
		char *page = range_base(r) + pages_to_bytes(i);

		if (state[r][i] == PAGE_POISON && sim.strategy != STRAT_DFS &&
		    !is_filled(page, KSPAN_PAGE_SIZE, POISON))
			sim_fail("memory of the source was written to");
		if (state[r][i] == PAGE_POISON || !cfg(CFG_ZEROED))
			memset(page, cfg(CFG_ZEROED) ? 0 : JUNK, KSPAN_PAGE_SIZE);
		state[r][i] = PAGE_OUT;
		if (top[r] <= i)
			top[r] = i + 1;
	}
	nout += nbytes;
}

static void check_context(const char *what, gfp_t gfp)
{
	u32 rank;

	if (sim_in_nmi())
		sim_fail("the source is asked to %s in an NMI", what);
	for (rank = 0; rank < KSPAN_NR_RANKS; rank++)
		if (sim.self->held[rank])
			sim_fail("the source is asked to %s under a lock of rank %u", what,
				 rank);
	if (!port_may_ask_source())
		sim_fail("the source is asked to %s where it must not be", what);
	if ((gfp & __GFP_DIRECT_RECLAIM) && sim_atomic(sim.self))
		sim_fail("context %d may sleep in the source", sim.self->id);
	/* who reclaims memory may have to wait for one */
	if ((gfp & __GFP_DIRECT_RECLAIM) && sim.self->nmutex)
		sim_fail("context %d may sleep in the source with a mutex held", sim.self->id);
}

/* The ranges are dealt out to the nodes in turn. */
static int range_node(u32 r)
{
	return r % (u32)cfg(CFG_NODES);
}

static int source_node_of(struct kspan_source *src, const void *addr)
{
	(void)src;
	return range_node((source_offset(addr) >> 32) - 1);
}

/* Who asks for charged pages has them charged, and nothing else is. */
static void run_charge(struct kspan_source *src, char *p, size_t nbytes, gfp_t gfp)
{
	u64 at = source_offset(p);

	if (!(gfp & __GFP_ACCOUNT))
		return;
	if (!src->charges || !sim.self->charged)
		sim_fail("pages are charged to who did not ask for it");
	memset(&charged[(at >> 32) - 1][(u32)at >> KSPAN_PAGE_SHIFT], 1,
	       nbytes >> KSPAN_PAGE_SHIFT);
	ncharged += nbytes >> KSPAN_PAGE_SHIFT;
}

static void *source_get(struct kspan_source *src, size_t min, size_t want, size_t align,
			gfp_t gfp, int node, size_t *got)
{
	u32 i, r = 0;
	char *p = NULL;

	sim_point(EV_SOURCE, NULL);
	/* the kernel's has no more in one piece, and does not ask for it */
	if (cfg(CFG_RT) && (min > KSPAN_ARENA_SIZE || align > KSPAN_ARENA_SIZE))
		return NULL;
	check_context("get", gfp);
	if (min > want || (min | want | align) % KSPAN_PAGE_SIZE || (align & (align - 1)) ||
	    node >= (int)cfg(CFG_NODES))
		sim_fail("the source is asked for nonsense");
	if (sim_should_fail())
		return NULL;
	if (cfg(CFG_SPREAD) == 2)
		r = rng_below(&sim.fault, NR_RANGES);
	*got = cfg(CFG_EXACT) ? min : want;
	for (i = 0; i < NR_RANGES && !p; i++)
		if (node < 0 || range_node((r + i) % NR_RANGES) == node)
			p = run_find((r + i) % NR_RANGES, *got, align, cfg(CFG_SPREAD) == 1);
	for (i = 0; i < NR_RANGES && !p && !(gfp & __GFP_THISNODE); i++)
		p = run_find((r + i) % NR_RANGES, *got, align, cfg(CFG_SPREAD) == 1);
	if (!p)
		return NULL;
	run_take(p, *got);
	run_charge(src, p, *got, gfp);
	sim_note(source_offset(p));
	sim_point(EV_SOURCE, NULL);
	return p;
}

/* Memory for metadata that does not lie in one piece: here at the other end. */
static void *source_meta(struct kspan_source *src, size_t nbytes, gfp_t gfp, size_t *got)
{
	char *p;

	sim_point(EV_SOURCE, NULL);
	check_context("get metadata", gfp);
	if (!(gfp & __GFP_DIRECT_RECLAIM) || sim_should_fail())
		return NULL;
	p = run_find(NR_RANGES - 1, nbytes, KSPAN_PAGE_SIZE, true);
	if (!p)
		return NULL;
	run_take(p, nbytes);
	*got = nbytes;
	sim_note(source_offset(p));
	sim_point(EV_SOURCE, NULL);
	return p;
}

static void check_run(void *addr, size_t nbytes, size_t unit)
{
	u64 at = source_offset(addr);
	u32 r = (at >> 32) - 1, first = (u32)at >> KSPAN_PAGE_SHIFT, i;
	u32 last = ((u32)at + nbytes - 1) >> KSPAN_PAGE_SHIFT;

	if (!(at >> 32) || !nbytes || (((u32)at | nbytes) & (unit - 1)) ||
	    (u32)at + nbytes > RANGE_BYTES)
		sim_fail("the source gets back what is not its own");
	for (i = first; i <= last; i++)
		if (state[r][i] != PAGE_OUT)
			sim_fail("the source gets memory back twice");
}

/* What is charged goes back as a whole, as it came. */
static void run_uncharge(u32 r, u32 first, u32 npages)
{
	u32 i, n = 0;

	for (i = first; i < first + npages; i++)
		n += charged[r][i];
	if (n && n != npages)
		sim_fail("the source gets charged pages back with others");
	ncharged -= n;
	memset(&charged[r][first], 0, npages);
}

static void source_put(struct kspan_source *src, void *addr, size_t nbytes)
{
	u64 at = source_offset(addr);

	sim_point(EV_SOURCE, NULL);
	check_context("take back", 0);
	check_run(addr, nbytes, KSPAN_PAGE_SIZE);
	run_uncharge((at >> 32) - 1, (u32)at >> KSPAN_PAGE_SHIFT, nbytes >> KSPAN_PAGE_SHIFT);
	shadow_clear(addr, nbytes);
	memset(addr, POISON, nbytes);
	memset(&state[(at >> 32) - 1][(u32)at >> KSPAN_PAGE_SHIFT], PAGE_POISON,
	       nbytes >> KSPAN_PAGE_SHIFT);
	nout -= nbytes;
	sim_note(at);
	sim_point(EV_SOURCE, NULL);
}

static bool source_release(struct kspan_source *src, void *addr, size_t nbytes)
{
	sim_point(EV_SOURCE, NULL);
	check_context("release", 0);
	check_run(addr, nbytes, src->unit);
	if (source_is_charged(addr))
		sim_fail("charged pages are released");
	if (sim_should_fail())
		return false;
	memset(addr, 0, nbytes);
	sim_note(source_offset(addr));
	sim_point(EV_SOURCE, NULL);
	return true;
}

/* The pages at @from appear at @to. False: nothing did, and what was at @to is lost. */
static bool source_move(struct kspan_source *src, void *from, size_t nbytes, void *to, size_t want)
{
	bool fails;

	sim_point(EV_SOURCE, NULL);
	check_context("move", 0);
	check_run(from, nbytes, KSPAN_PAGE_SIZE);
	check_run(to, want, KSPAN_PAGE_SIZE);
	fails = sim_should_fail();
	if (!fails) {
		memcpy(to, from, nbytes);
		memset((char *)to + nbytes, 0, want - nbytes);
	}
	sim_note(source_offset(to));
	source_put(src, fails ? to : from, fails ? want : nbytes);
	return !fails;
}

struct kspan_source sim_source = {
	.get = source_get,
	.meta = source_meta,
	.put = source_put,
	.release = source_release,
	.move = source_move,
	.node_of = source_node_of,
};
