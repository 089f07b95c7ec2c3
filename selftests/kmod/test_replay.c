// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A script of the simulator on real CPUs: each task's operations in a thread bound
 * to a CPU of its own, each interrupt's in an interrupt of some CPU, over and over;
 * contents are checked as in selftests/sim/model.c, whose cells these are. Its limits
 * are kspan.ko's, above what is in use when it begins. What a script says of the
 * simulated world (settings, CPUs that go, wrong frees) has no counterpart here. See
 * selftests/sim/sched.c.
 *
 *	echo N >/sys/module/kspan_test/parameters/replay_rounds
 *	cat FILE.sim >/sys/kernel/debug/kspan_test/replay
 *
 * The write fails when a round does. It is none to a parameter, with whose locks held
 * those of kspan.ko could not be written.
 */
#define pr_fmt(fmt) "kspan_test: replay: " fmt

#include <linux/cpu.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sizes.h>
#include <linux/smp.h>
#include <linux/string.h>

#include <kspan.h>
#include "../sim/script.h"
#include "test_kmod.h"

#define EDGE		4096u	/* bytes that are checked at each end of an object */
#define CTOR_TAG	0x5afe0b1ec7000001ull
#define CACHE_CTOR	4u

static unsigned int replay_rounds = 100;
module_param(replay_rounds, uint, 0644);
MODULE_PARM_DESC(replay_rounds, "how often a script is run (default 100)");

/* A cell is EMPTY, BUSY (somebody works on it and owns the rest of it) or FULL. */
enum { CELL_EMPTY, CELL_BUSY, CELL_FULL };

/**
 * struct cell - a place for an object
 * @state: see above
 * @p: the object
 * @usable: bytes of it
 * @skip: bytes at its start that are its constructor's
 * @seed: what it is filled with
 * @cache: 1 + the object cache, 0: plain
 */
struct cell {
	atomic_t state;
	u8 *p;
	size_t usable;
	u32 skip;
	u8 seed;
	u32 cache;
};

/**
 * struct cache - an object cache of the script
 * @users: operations on it, -1 while it is being made or destroyed
 * @cache: NULL: there is none
 * @size: of its objects
 * @flags: as the script has them
 */
struct cache {
	atomic_t users;
	struct kspan_cache *cache;
	size_t size;
	u32 flags;
};

/**
 * struct reserve - a reserve of the script; its cache has a user until it ends
 * @busy: 1: somebody works on it and owns the rest of it
 * @reserve: NULL: there is none
 * @cache: what its objects are of, or NULL
 * @size: of its objects
 * @n: how many there must be
 */
struct reserve {
	atomic_t busy;
	struct kspan_reserve *reserve;
	struct cache *cache;
	size_t size;
	size_t n;
};

static struct replay {
	struct sim_script script;
	struct cell cell[SIM_NR_CELLS];
	struct cache cache[SIM_NR_CACHES];
	struct reserve reserve[SIM_NR_RESERVES];
	atomic_t ready;		/* tasks that wait for the others */
	atomic_t done;		/* tasks that are through */
	u32 ntasks;
	atomic_t line;		/* of the first thing that was wrong */
	atomic_t nops;
	atomic_t nrefused;
	void *ballast;		/* so that more than the least limit is in use */
	u64 base;		/* bytes in use before the script */
	struct mutex limit_lock;
} *rp;

static DEFINE_MUTEX(replay_lock);

/* The first one stays. A function, for the reason that stress_fail() is one. */
static noinline void wrong(int line)
{
	atomic_cmpxchg(&rp->line, 0, line);
}

#define WRONG()		wrong(__LINE__)

static gfp_t gfp(void)
{
	return (in_task() && !irqs_disabled() ? GFP_KERNEL : GFP_ATOMIC) | __GFP_NOWARN;
}

/* Cells */

static struct cell *cell_claim(u32 i, int state)
{
	struct cell *cell = &rp->cell[i % SIM_NR_CELLS];

	return atomic_cmpxchg(&cell->state, state, CELL_BUSY) == state ? cell : NULL;
}

static void cell_set(struct cell *cell, int state)
{
	atomic_set_release(&cell->state, state);
}

static void cell_drop(struct cell *cell)
{
	cell->p = NULL;
	cell->cache = 0;
	cell->skip = 0;
	cell_set(cell, CELL_EMPTY);
}

static size_t edge(const struct cell *cell)
{
	return min_t(size_t, cell->usable, EDGE);
}

static void contents_write(struct cell *cell)
{
	cell->seed++;
	memset(cell->p + cell->skip, cell->seed, edge(cell) - cell->skip);
	memset(cell->p + cell->usable - (edge(cell) - cell->skip), cell->seed,
	       edge(cell) - cell->skip);
}

static void contents_check(const struct cell *cell, const u8 *p, size_t n)
{
	if (n > cell->skip && memchr_inv(p + cell->skip, cell->seed, n - cell->skip))
		WRONG();
}

static void contents_check_all(const struct cell *cell)
{
	contents_check(cell, cell->p, edge(cell));
	if (cell->usable > cell->skip && cell->p[cell->usable - 1] != cell->seed)
		WRONG();
}

/* @p is what the allocator gave for @cell, or NULL. */
static void cell_take(struct cell *cell, void *p, size_t size, size_t align)
{
	if (ZERO_OR_NULL_PTR(p)) {
		if (!p)
			atomic_inc(&rp->nrefused);
		cell_drop(cell);
		return;
	}
	cell->p = p;
	cell->usable = kspan_size(p);
	if (cell->usable < size || !IS_ALIGNED((unsigned long)p, align))
		WRONG();
	contents_write(cell);
	cell_set(cell, CELL_FULL);
}

/* Only the caller frees the object: its contents must be as it left them. */
static void *cell_give(struct cell *cell)
{
	void *p = cell->p;

	contents_check_all(cell);
	return p;
}

static void take_zeroed(struct cell *cell, void *p, size_t size)
{
	if (!ZERO_OR_NULL_PTR(p) && memchr_inv(p, 0, min_t(size_t, size, EDGE)))
		WRONG();
	cell_take(cell, p, size, 1);
}

static size_t natural_align(size_t size)
{
	return size >= 8 && size <= 32768 && !(size & (size - 1)) ? size : 1;
}

static u32 claim_many(u32 first, u32 n, struct cell **list)
{
	u32 i, got = 0;

	for (i = 0; i < n; i++) {
		list[got] = cell_claim(first + i, CELL_EMPTY);
		got += list[got] != NULL;
	}
	return got;
}

/* Caches */

static struct cache *cache_use(u32 i)
{
	struct cache *c = &rp->cache[i % SIM_NR_CACHES];

	if (!atomic_inc_unless_negative(&c->users))
		return NULL;
	if (c->cache)
		return c;
	atomic_dec(&c->users);
	return NULL;
}

static bool cache_claim(struct cache *c)
{
	return atomic_cmpxchg(&c->users, 0, -1) == 0;
}

static void replay_ctor(void *obj)
{
	u64 tag = CTOR_TAG;

	memcpy(obj, &tag, sizeof(tag));
}

static void take_cached(struct cell *cell, struct cache *c, void *p)
{
	u64 tag = CTOR_TAG;

	cell->cache = 1 + (c - rp->cache);
	if (c->flags & CACHE_CTOR) {
		cell->skip = sizeof(tag);
		if (p && memcmp(p, &tag, sizeof(tag)))
			WRONG();
	}
	cell_take(cell, p, c->size, 8);
}

static u32 cache_nlive(const struct cache *c)
{
	u32 i, n = 0;

	for (i = 0; i < SIM_NR_CELLS; i++)
		n += READ_ONCE(rp->cell[i].cache) == 1 + (c - rp->cache) &&
		     READ_ONCE(rp->cell[i].p);
	return n;
}

/* The caller has it alone. */
static void cache_end(struct cache *c)
{
	int ret;

	kspan_rcu_barrier();
	ret = kspan_cache_destroy(c->cache);
	if (ret != (cache_nlive(c) ? -EBUSY : 0))
		WRONG();
	if (!ret)
		c->cache = NULL;
}

/* Operations */

typedef void (*free_fn)(struct cache *c, void *p);

static void free_plain(struct cache *c, void *p)
{
	if (c)
		kspan_cache_free(c->cache, p);
	else
		kspan_free(p);
}

static void free_sensitive(struct cache *c, void *p)
{
	if (c)
		kspan_free(p);
	else
		kspan_free_sensitive(p);
}

static void free_rcu(struct cache *c, void *p)
{
	kspan_free_rcu(p);
}

static void free_nolock(struct cache *c, void *p)
{
	kspan_free_nolock(p);
}

static void cell_free(u32 i, free_fn fn)
{
	struct cell *cell = cell_claim(i, CELL_FULL);
	struct cache *c = NULL;

	if (!cell)
		return;
	if (cell->cache) {
		c = cache_use(cell->cache - 1);
		if (!c) {
			cell_set(cell, CELL_FULL);
			return;
		}
	}
	fn(c, cell_give(cell));
	cell_drop(cell);
	if (c)
		atomic_dec(&c->users);
}

static void do_bulk(const u32 *arg)
{
	struct cell *list[SIM_NR_CELLS];
	void *objs[SIM_NR_CELLS];
	u32 i, n = claim_many(arg[0], arg[1] % SIM_NR_CELLS, list);
	size_t size = arg[2] ? arg[2] : 1, got;

	if (!n)
		return;
	got = kspan_alloc_bulk(size, gfp(), n, objs);
	if (got && got != n)
		WRONG();
	for (i = 0; i < n; i++)
		cell_take(list[i], got ? objs[i] : NULL, size, natural_align(size));
}

static void do_cbulk(const u32 *arg)
{
	struct cell *list[SIM_NR_CELLS];
	void *objs[SIM_NR_CELLS];
	struct cache *c = cache_use(arg[0]);
	u32 i, n;
	size_t got;

	if (!c)
		return;
	n = claim_many(arg[1], arg[2] % SIM_NR_CELLS, list);
	got = n ? kspan_cache_alloc_bulk(c->cache, gfp(), n, objs) : 0;
	if (got && got != n)
		WRONG();
	for (i = 0; i < n; i++)
		take_cached(list[i], c, got ? objs[i] : NULL);
	atomic_dec(&c->users);
}

static void do_freebulk(const u32 *arg)
{
	struct cell *list[SIM_NR_CELLS];
	void *objs[SIM_NR_CELLS];
	u32 i, n = 0;

	for (i = 0; i < arg[1] % SIM_NR_CELLS; i++) {
		struct cell *cell = cell_claim(arg[0] + i, CELL_FULL);

		if (!cell)
			continue;
		if (cell->cache) {
			cell_set(cell, CELL_FULL);
			continue;
		}
		list[n] = cell;
		objs[n++] = cell_give(cell);
	}
	kspan_free_bulk(n, objs);
	for (i = 0; i < n; i++)
		cell_drop(list[i]);
}

static void do_realloc(const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_FULL);
	void *p;

	if (!cell)
		return;
	if (!arg[1] || cell->cache) {
		cell_set(cell, CELL_FULL);
		return;
	}
	contents_check_all(cell);
	p = kspan_realloc(cell->p, arg[1], gfp());
	if (!p) {
		contents_check_all(cell);
		cell_set(cell, CELL_FULL);
		return;
	}
	contents_check(cell, p, min_t(size_t, edge(cell), arg[1]));
	cell_take(cell, p, arg[1], 1);
}

/* Look at an object that nobody else may free meanwhile. */
static void do_peek(const u32 *arg)
{
	struct cell *cell = cell_claim(arg[0], CELL_FULL);

	if (!cell)
		return;
	contents_check_all(cell);
	cell_set(cell, CELL_FULL);
}

static void do_cnew(const u32 *arg)
{
	struct cache *c = &rp->cache[arg[0] % SIM_NR_CACHES];

	if (!cache_claim(c))
		return;
	if (!c->cache) {
		c->size = arg[1] < 16 ? 16 : arg[1] & ~7u;
		c->flags = arg[2] & 7;
		if (c->flags & KSPAN_TYPESAFE_BY_RCU)
			c->flags |= CACHE_CTOR;
		c->cache = kspan_cache_create("kspan_replay", c->size, 0, c->flags & 3,
					      c->flags & CACHE_CTOR ? replay_ctor : NULL);
	}
	atomic_set_release(&c->users, 0);
}

static void do_calloc(const u32 *arg)
{
	struct cache *c = cache_use(arg[0]);
	struct cell *cell;

	if (!c)
		return;
	cell = cell_claim(arg[1], CELL_EMPTY);
	if (cell)
		take_cached(cell, c, kspan_cache_alloc(c->cache, gfp()));
	atomic_dec(&c->users);
}

static void do_cnalloc(const u32 *arg)
{
	struct cache *c = cache_use(arg[0]);
	struct cell *cell;

	if (!c)
		return;
	cell = cell_claim(arg[1], CELL_EMPTY);
	if (cell)
		take_cached(cell, c, kspan_cache_alloc_nolock(c->cache, GFP_NOWAIT));
	atomic_dec(&c->users);
}

/* Reserves */

static struct reserve *reserve_claim(u32 i, bool made)
{
	struct reserve *r = &rp->reserve[i % SIM_NR_RESERVES];

	if (atomic_cmpxchg(&r->busy, 0, 1))
		return NULL;
	if (made == !!r->reserve)
		return r;
	atomic_set_release(&r->busy, 0);
	return NULL;
}

static void do_rnew(const u32 *arg)
{
	struct reserve *r = reserve_claim(arg[0], false);

	if (!r)
		return;
	r->n = arg[1] % SIM_NR_CELLS;
	r->size = arg[2];
	r->cache = NULL;
	if (arg[2] >= SIM_NR_CACHES) {
		r->reserve = kspan_reserve_prefill(r->size, gfp(), r->n);
	} else {
		r->cache = cache_use(arg[2]);
		if (r->cache)
			r->reserve = kspan_cache_reserve_prefill(r->cache->cache, gfp(), r->n);
		if (r->cache && !r->reserve)
			atomic_dec(&r->cache->users);
	}
	atomic_set_release(&r->busy, 0);
}

static void do_rfill(const u32 *arg)
{
	struct reserve *r = reserve_claim(arg[0], true);
	size_t n = arg[1] % SIM_NR_CELLS;

	if (!r)
		return;
	if (!kspan_reserve_refill(&r->reserve, gfp(), n))
		r->n = max(r->n, n);
	if (kspan_reserve_count(r->reserve) != r->n)
		WRONG();
	atomic_set_release(&r->busy, 0);
}

static void do_ralloc(const u32 *arg)
{
	struct reserve *r = reserve_claim(arg[0], true);
	struct cell *cell;
	void *p;

	if (!r)
		return;
	cell = cell_claim(arg[1], CELL_EMPTY);
	if (cell) {
		p = kspan_reserve_alloc(r->reserve, 0);
		if (!p != !r->n)
			WRONG();
		r->n -= p != NULL;
		if (r->cache)
			take_cached(cell, r->cache, p);
		else
			cell_take(cell, p, r->size, natural_align(r->size));
	}
	atomic_set_release(&r->busy, 0);
}

static void do_rend(u32 i)
{
	struct reserve *r = reserve_claim(i, true);

	if (!r)
		return;
	kspan_reserve_return(r->reserve);
	r->reserve = NULL;
	if (r->cache)
		atomic_dec(&r->cache->users);
	atomic_set_release(&r->busy, 0);
}

static void do_cshrink(const u32 *arg)
{
	struct cache *c = cache_use(arg[0]);

	if (!c)
		return;
	kspan_cache_shrink(c->cache);
	atomic_dec(&c->users);
}

static void do_cdestroy(const u32 *arg)
{
	struct cache *c = &rp->cache[arg[0] % SIM_NR_CACHES];

	if (!cache_claim(c))
		return;
	if (c->cache)
		cache_end(c);
	atomic_set_release(&c->users, 0);
}

static void do_stats(void)
{
	struct kspan_stats *stats = kvmalloc(sizeof(*stats), GFP_KERNEL);

	if (stats)
		kspan_get_stats(stats);
	kvfree(stats);
}

static void do_alloc(const struct sim_op *op)
{
	const u32 *arg = op->arg;
	struct cell *cell = cell_claim(arg[0], CELL_EMPTY);
	size_t size = arg[1], align = (size_t)1 << (arg[2] % 13);

	if (!cell)
		return;
	switch (op->kind) {
	case OP_noscan:
		cell_take(cell, kspan_alloc_noscan(size, gfp()), size, 1);
		break;
	case OP_zalloc:
		take_zeroed(cell, kspan_zalloc(size, gfp()), size);
		break;
	case OP_aligned:
		cell_take(cell, kspan_alloc_aligned(size, align, gfp()), size, align);
		break;
	case OP_node:
		cell_take(cell, kspan_alloc_node(size, gfp(), 0), size, natural_align(size));
		break;
	case OP_charged:
		cell_take(cell, kspan_alloc(size, gfp() | __GFP_ACCOUNT), size,
			  natural_align(size));
		break;
	case OP_nalloc:
		cell_take(cell, kspan_alloc_nolock(size, GFP_NOWAIT), size, natural_align(size));
		break;
	default:
		cell_take(cell, kspan_alloc(size, gfp()), size, natural_align(size));
	}
}

static void do_rcuburst(const u32 *arg)
{
	u32 i;

	for (i = 0; i < arg[0]; i++)
		kspan_free_rcu(kspan_alloc(arg[1], gfp()));
}

/* Limits: the module's parameters, which are bytes. */

static void limit_write(const char *path, u64 nbytes)
{
	struct file *file = filp_open(path, O_WRONLY, 0);
	char text[24];
	loff_t pos = 0;

	if (IS_ERR(file)) {
		WRONG();
		return;
	}
	snprintf(text, sizeof(text), "%llu", nbytes);
	if (kernel_write(file, text, strlen(text), &pos) < 0)
		WRONG();
	filp_close(file, NULL);
}

static void limits_write(u64 soft, u64 hard)
{
	mutex_lock(&rp->limit_lock);
	/* the soft one may not be above the hard one meanwhile either */
	limit_write("/sys/module/kspan/parameters/limit_hard", 0);
	limit_write("/sys/module/kspan/parameters/limit_soft", soft);
	limit_write("/sys/module/kspan/parameters/limit_hard", hard);
	mutex_unlock(&rp->limit_lock);
}

static u64 limit_bytes(u32 kib)
{
	return kib ? rp->base + ((u64)kib << 10) : 0;
}

static void do_limit(const u32 *arg)
{
	if (!in_task() || irqs_disabled() || (arg[0] && arg[1] && arg[0] > arg[1]))
		return;
	limits_write(limit_bytes(arg[0]), limit_bytes(arg[1]));
}

static bool ops_have(const struct sim_ops *ops, u32 kind)
{
	u32 i;

	for (i = 0; i < ops->n; i++)
		if (ops->op[i].kind == kind)
			return true;
	return false;
}

static bool script_has(u32 kind)
{
	bool has = ops_have(&rp->script.setup, kind);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rp->script.list); i++)
		has |= ops_have(&rp->script.list[i], kind);
	return has;
}

/* A limit is 1 MiB at least, and a script's are less: the rest is in use all the time. */
static void limits_begin(void)
{
	struct kspan_stats *stats;

	mutex_init(&rp->limit_lock);
	if (!script_has(OP_limit))
		return;
	rp->ballast = kspan_alloc(SZ_1M, GFP_KERNEL);
	stats = kvmalloc(sizeof(*stats), GFP_KERNEL);
	if (!rp->ballast || !stats) {
		WRONG();
	} else {
		kspan_get_stats(stats);
		rp->base = stats->inuse_bytes + stats->meta_bytes;
	}
	kvfree(stats);
}

static void limits_end(void)
{
	if (rp->ballast)
		limits_write(0, 0);
	kspan_free(rp->ballast);
	rp->ballast = NULL;
}

/* What concerns caches or the heap as a whole. */
static void run_whole(const struct sim_op *op)
{
	switch (op->kind) {
	case OP_barrier:
		kspan_rcu_barrier();
		break;
	case OP_cnew:
		do_cnew(op->arg);
		break;
	case OP_cshrink:
		do_cshrink(op->arg);
		break;
	case OP_cdestroy:
		do_cdestroy(op->arg);
		break;
	case OP_release:
	case OP_scavenge:
		kspan_release_memory();
		break;
	case OP_verify:
		if (kspan_verify())
			WRONG();
		break;
	case OP_stats:
		do_stats();
		break;
	case OP_limit:
		do_limit(op->arg);
		break;
	default:	/* of the simulated world: wild, twice, debug, leaks, offline, online */
		break;
	}
}

static void run_op(const struct sim_op *op)
{
	const u32 *arg = op->arg;

	atomic_inc(&rp->nops);
	switch (op->kind) {
	case OP_alloc:
	case OP_noscan:
	case OP_zalloc:
	case OP_aligned:
	case OP_node:
	case OP_charged:
	case OP_nalloc:
		do_alloc(op);
		break;
	case OP_bulk:
		do_bulk(arg);
		break;
	case OP_realloc:
		do_realloc(arg);
		break;
	case OP_free:
		cell_free(arg[0], arg[1] & 1 ? free_sensitive : free_plain);
		break;
	case OP_rcufree:
		cell_free(arg[0], free_rcu);
		break;
	case OP_nfree:
		cell_free(arg[0], free_nolock);
		break;
	case OP_rcuburst:
		do_rcuburst(arg);
		break;
	case OP_freebulk:
		do_freebulk(arg);
		break;
	case OP_peek:
		do_peek(arg);
		break;
	case OP_calloc:
		do_calloc(arg);
		break;
	case OP_cbulk:
		do_cbulk(arg);
		break;
	case OP_cnalloc:
		do_cnalloc(arg);
		break;
	case OP_rnew:
		do_rnew(arg);
		break;
	case OP_rfill:
		do_rfill(arg);
		break;
	case OP_ralloc:
		do_ralloc(arg);
		break;
	case OP_rend:
		do_rend(arg[0]);
		break;
	default:
		run_whole(op);
	}
}

/* Tasks and interrupts */

/* All begin together, as far as that can be had. */
static int replay_task(void *arg)
{
	const struct sim_ops *ops = arg;
	u32 i;

	atomic_inc(&rp->ready);
	while (atomic_read(&rp->ready) < rp->ntasks)
		cond_resched();
	for (i = 0; i < ops->n; i++)
		run_op(&ops->op[i]);
	atomic_inc(&rp->done);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void replay_irq(void *arg)
{
	const struct sim_ops *ops = arg;
	u32 i;

	for (i = 0; i < ops->n; i++)
		if (!(sim_ops[ops->op[i].kind].flags & OP_SLEEPS))
			run_op(&ops->op[i]);
}

static int pick_cpu(u32 i)
{
	int cpu = cpumask_first(cpu_online_mask);

	for (i %= num_online_cpus(); i; i--)
		cpu = cpumask_next(cpu, cpu_online_mask);
	return cpu;
}

static struct task_struct *task_start(u32 i)
{
	struct task_struct *task = kthread_create(replay_task, &rp->script.list[i],
						  "kspan_replay/%u", i);

	if (IS_ERR(task))
		return NULL;
	get_task_struct(task);
	kthread_bind(task, pick_cpu(i));
	return task;
}

static void run_tasks(u32 round)
{
	struct task_struct *task[SIM_MAX_TASKS] = { };
	u32 i;

	rp->ntasks = 0;
	atomic_set(&rp->ready, 0);
	atomic_set(&rp->done, 0);
	for (i = 0; i < SIM_MAX_TASKS; i++) {
		if (rp->script.list[i].n)
			task[i] = task_start(i);
		rp->ntasks += task[i] != NULL;
	}
	for (i = 0; i < SIM_MAX_TASKS; i++)
		if (task[i])
			wake_up_process(task[i]);
	/* interrupts come to another CPU in each round, wherever that is just now */
	for (i = 0; i < SIM_MAX_IRQS; i++)
		if (rp->script.list[SIM_MAX_TASKS + i].n)
			smp_call_function_single(pick_cpu(round + i), replay_irq,
						 &rp->script.list[SIM_MAX_TASKS + i], 1);
	/* one that is stopped before it began would never run */
	while (atomic_read(&rp->done) < rp->ntasks)
		schedule_timeout_uninterruptible(1);
	for (i = 0; i < SIM_MAX_TASKS; i++)
		if (task[i]) {
			kthread_stop(task[i]);
			put_task_struct(task[i]);
		}
}

static void free_all(void)
{
	u32 i;

	for (i = 0; i < SIM_NR_RESERVES; i++)
		do_rend(i);
	for (i = 0; i < SIM_NR_CELLS; i++) {
		cell_free(i, free_plain);
		if (atomic_read(&rp->cell[i].state) != CELL_EMPTY)
			WRONG();
	}
	for (i = 0; i < SIM_NR_CACHES; i++)
		if (rp->cache[i].cache)
			cache_end(&rp->cache[i]);
}

static void run_round(u32 round)
{
	u32 i;

	if (rp->ballast)
		limits_write(0, 0);
	for (i = 0; i < rp->script.setup.n; i++)
		run_op(&rp->script.setup.op[i]);
	cpus_read_lock();
	run_tasks(round);
	cpus_read_unlock();
	free_all();
	if (round % 16 == 0 && kspan_verify())
		WRONG();
}

static int parse_text(char *all)
{
	struct sim_text text = { .script = &rp->script };
	char *line;

	script_defaults(&rp->script);
	while ((line = strsep(&all, "\n")))
		if (!script_parse_line(&text, line))
			return -EINVAL;
	return 0;
}

static u64 nlive(void)
{
	struct kspan_stats *stats = kvmalloc(sizeof(*stats), GFP_KERNEL);
	u64 n;

	if (!stats)
		return 0;
	kspan_rcu_barrier();
	kspan_get_stats(stats);
	n = stats->nmalloc - stats->nfree;
	kvfree(stats);
	return n;
}

static int run_script(void)
{
	u64 before = nlive();
	u32 round;

	limits_begin();
	for (round = 0; round < replay_rounds && !atomic_read(&rp->line); round++)
		run_round(round);
	limits_end();
	if (kspan_verify() || nlive() != before)
		WRONG();
	if (atomic_read(&rp->line)) {
		pr_warn("round %u is wrong: line %d\n", round, atomic_read(&rp->line));
		return -EIO;
	}
	pr_info("%u rounds, %d operations, %d refused\n", round, atomic_read(&rp->nops),
		atomic_read(&rp->nrefused));
	return atomic_read(&rp->nops) || !replay_rounds ? 0 : -EINVAL;
}

static ssize_t replay_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char *text = memdup_user_nul(buf, len);
	int err = -ENOMEM;

	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&replay_lock);
	rp = kvzalloc(sizeof(*rp), GFP_KERNEL);
	if (rp)
		err = parse_text(text) ?: run_script();
	kvfree(rp);
	rp = NULL;
	mutex_unlock(&replay_lock);
	kfree(text);
	return err ?: len;
}

static const struct file_operations replay_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= replay_write,
};

static struct dentry *replay_dir;

void __init replay_start(void)
{
	replay_dir = debugfs_create_dir("kspan_test", NULL);
	/* run this script of the simulator: its text, written at once */
	debugfs_create_file("replay", 0200, replay_dir, NULL, &replay_fops);
}

void replay_stop(void)
{
	debugfs_remove(replay_dir);
}
