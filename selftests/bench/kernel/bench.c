// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * kspan_bench.ko: kspan and the kernel's own slab allocator, side by side in
 * one boot. It measures as it is loaded. Each result is a line of the log:
 *
 *	time ROW SIZE KSPAN SLAB LOOP	per operation, in hundredths of a nanosecond
 *	memory ROW LIVE KSPAN SLAB SYS	bytes: asked for, taken by each, sys_bytes
 *
 * In a VM whose clock counts instructions (selftests/vm/run.sh --icount) a
 * nanosecond is an instruction, and the numbers are the same at every run. In
 * user-mode Linux (--arch um) it is one of the machine that this runs on.
 *
 * A row is measured with each subject in turn, the loop that has no allocator
 * in it among them: what that takes is subtracted from the others. Each is
 * run a few times for nothing, then the least of several runs counts: what
 * disturbs, the tick for one, only adds.
 *
 * Sizes are constants where the code is compiled, as they are in most callers
 * of kmalloc(), which then does not need to look for its cache.
 */
#define pr_fmt(fmt) "kspan_bench: " fmt

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/glob.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <kspan.h>

static char *only = "*";
module_param(only, charp, 0444);
MODULE_PARM_DESC(only, "rows to measure, a pattern as of a shell (default *)");

static bool touch;
module_param(touch, bool, 0444);
MODULE_PARM_DESC(touch, "1: write to all free memory before (default 0)");

static char *symbols_path = "";
module_param_named(symbols, symbols_path, charp, 0444);
MODULE_PARM_DESC(symbols, "file with the strings of mem-symbols, one in a line");

#define WARMUPS		3
#define REPEATS		9
#define BATCH		1000	/* operations that are timed together */

/* Who allocates. */
enum subject {
	NOBODY,
	KSPAN,
	SLAB,
	NR_SUBJECTS,
};

/* What from: the allocator's sizes, or a cache of one type. */
enum source {
	SIZES,
	CACHE,
};

static struct kspan_cache *kspan_cache;
static struct kmem_cache *slab_cache;
static void *objs[BATCH];
static u16 shuffled[BATCH];	/* 0 to BATCH - 1 in random order */
static bool failed;		/* an allocation of the row did */

static u32 next_random(u32 *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void shuffle(void)
{
	u32 state = 1, i, other;

	for (i = 0; i < BATCH; i++)
		shuffled[i] = i;
	for (i = BATCH - 1; i; i--) {
		other = next_random(&state) % (i + 1);
		swap(shuffled[i], shuffled[other]);
	}
}

/* The operations, in the fewest instructions around those of the subject. */

static __always_inline void *take(enum subject who, enum source from, size_t size, gfp_t gfp)
{
	void *obj = objs;

	switch (who) {
	case KSPAN:
		return from == CACHE ? kspan_cache_alloc(kspan_cache, gfp) :
				       kspan_alloc(size, gfp);
	case SLAB:
		return from == CACHE ? kmem_cache_alloc(slab_cache, gfp) : kmalloc(size, gfp);
	default:
		OPTIMIZER_HIDE_VAR(obj);
		return obj;
	}
}

static __always_inline void give(enum subject who, enum source from, void *obj)
{
	if (who == NOBODY)
		OPTIMIZER_HIDE_VAR(obj);
	else if (who == KSPAN && from == CACHE)
		kspan_cache_free(kspan_cache, obj);
	else if (who == KSPAN)
		kspan_free(obj);
	else if (from == CACHE)
		kmem_cache_free(slab_cache, obj);
	else
		kfree(obj);
}

/* One run of a row: the time it took. */

static __always_inline u64 pair(enum subject who, enum source from, size_t size, gfp_t gfp)
{
	u64 start = ktime_get_ns();
	int i;

	for (i = 0; i < BATCH; i++)
		give(who, from, take(who, from, size, gfp));
	return ktime_get_ns() - start;
}

static bool batch_is_whole(void)
{
	int i;

	for (i = 0; i < BATCH; i++)
		if (!objs[i])
			return false;
	return true;
}

static __always_inline u64 batch(enum subject who, enum source from, size_t size)
{
	u64 start = ktime_get_ns(), ns;
	int i;

	for (i = 0; i < BATCH; i++)
		objs[i] = take(who, from, size, GFP_KERNEL);
	for (i = 0; i < BATCH; i++)
		give(who, from, objs[i]);
	ns = ktime_get_ns() - start;
	failed |= !batch_is_whole();
	return ns;
}

static __always_inline u64 batch_random(enum subject who, enum source from, size_t size)
{
	u64 start = ktime_get_ns(), ns;
	int i;

	for (i = 0; i < BATCH; i++)
		objs[i] = take(who, from, size, GFP_KERNEL);
	for (i = 0; i < BATCH; i++)
		give(who, from, objs[shuffled[i]]);
	ns = ktime_get_ns() - start;
	failed |= !batch_is_whole();
	return ns;
}

/* What this CPU allocates is freed by another, while the first has nothing to do. */

static long give_all(void *arg)
{
	enum subject who = *(enum subject *)arg;
	u64 start = ktime_get_ns();
	int i;

	for (i = 0; i < BATCH; i++)
		give(who, SIZES, objs[i]);
	return ktime_get_ns() - start;
}

static __always_inline u64 cross(enum subject who, size_t size)
{
	unsigned int other;
	u64 start, ns;
	int i;

	migrate_disable();
	other = cpumask_any_but(cpu_online_mask, smp_processor_id());
	start = ktime_get_ns();
	for (i = 0; i < BATCH; i++)
		objs[i] = take(who, SIZES, size, GFP_KERNEL);
	ns = ktime_get_ns() - start;
	failed |= !batch_is_whole();
	ns += work_on_cpu(other, give_all, &who);
	migrate_enable();
	return ns;
}

/*
 * kmem_cache has bulk, kmalloc has not; kspan has it for both. What the kernel's
 * returns is all or nothing: the number, in newer kernels a truth value.
 */
static __always_inline u64 bulk(enum subject who, enum source from, size_t size, u32 n)
{
	u64 start = ktime_get_ns();
	int i;

	for (i = 0; i + n <= BATCH; i += n) {
		if (who == SLAB) {
			failed |= !kmem_cache_alloc_bulk(slab_cache, GFP_KERNEL, n, objs);
			kmem_cache_free_bulk(slab_cache, n, objs);
		} else if (who == KSPAN && from == CACHE) {
			failed |= kspan_cache_alloc_bulk(kspan_cache, GFP_KERNEL, n, objs) != n;
			kspan_cache_free_bulk(kspan_cache, n, objs);
		} else if (who == KSPAN) {
			failed |= kspan_alloc_bulk(size, GFP_KERNEL, n, objs) != n;
			kspan_free_bulk(n, objs);
		} else {
			barrier();
		}
	}
	return ktime_get_ns() - start;
}

/* With subject and size known to the compiler: each combination is code of its own. */

typedef u64 (*sized_fn)(enum subject who, size_t size);

static __always_inline u64 with_size(sized_fn fn, enum subject who, size_t size)
{
	switch (size) {
	case 8: return fn(who, 8);
	case 16: return fn(who, 16);
	case 32: return fn(who, 32);
	case 64: return fn(who, 64);
	case 128: return fn(who, 128);
	case 256: return fn(who, 256);
	case 512: return fn(who, 512);
	case 1024: return fn(who, 1024);
	case 2048: return fn(who, 2048);
	case 4096: return fn(who, 4096);
	case 8192: return fn(who, 8192);
	case 16384: return fn(who, 16384);
	case 32768: return fn(who, 32768);
	}
	failed = true;
	return 0;
}

static __always_inline u64 with_subject(sized_fn fn, enum subject who, size_t size)
{
	switch (who) {
	case KSPAN: return with_size(fn, KSPAN, size);
	case SLAB: return with_size(fn, SLAB, size);
	default: return with_size(fn, NOBODY, size);
	}
}

static __always_inline u64 pair_sized(enum subject who, size_t size)
{
	return pair(who, SIZES, size, GFP_KERNEL);
}

static __always_inline u64 atomic_sized(enum subject who, size_t size)
{
	return pair(who, SIZES, size, GFP_ATOMIC);
}

static __always_inline u64 batch_sized(enum subject who, size_t size)
{
	return batch(who, SIZES, size);
}

static __always_inline u64 batch_random_sized(enum subject who, size_t size)
{
	return batch_random(who, SIZES, size);
}

/* The cache knows the size; these need the subject alone. */

static __always_inline u64 with_cache(sized_fn fn, enum subject who, size_t size)
{
	switch (who) {
	case KSPAN: return fn(KSPAN, size);
	case SLAB: return fn(SLAB, size);
	default: return fn(NOBODY, size);
	}
}

static __always_inline u64 cache_pair(enum subject who, size_t size)
{
	return pair(who, CACHE, size, GFP_KERNEL);
}

static __always_inline u64 cache_batch(enum subject who, size_t size)
{
	return batch(who, CACHE, size);
}

static __always_inline u64 bulk_16(enum subject who, size_t size)
{
	return bulk(who, SIZES, size, 16);
}

static __always_inline u64 bulk_64(enum subject who, size_t size)
{
	return bulk(who, SIZES, size, 64);
}

static __always_inline u64 cache_bulk_16(enum subject who, size_t size)
{
	return bulk(who, CACHE, size, 16);
}

static __always_inline u64 cache_bulk_64(enum subject who, size_t size)
{
	return bulk(who, CACHE, size, 64);
}

/* What the table of rows calls. */

static u64 run_pair(enum subject who, size_t size)
{
	return with_subject(pair_sized, who, size);
}

static u64 run_atomic(enum subject who, size_t size)
{
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;
	u64 ns;

	spin_lock_irqsave(&lock, flags);
	ns = with_subject(atomic_sized, who, size);
	spin_unlock_irqrestore(&lock, flags);
	return ns;
}

static u64 run_batch(enum subject who, size_t size)
{
	return with_subject(batch_sized, who, size);
}

static u64 run_batch_random(enum subject who, size_t size)
{
	return with_subject(batch_random_sized, who, size);
}

static u64 run_cross(enum subject who, size_t size)
{
	return with_subject(cross, who, size);
}

static u64 run_bulk_16(enum subject who, size_t size)
{
	return with_cache(bulk_16, who, size);
}

static u64 run_bulk_64(enum subject who, size_t size)
{
	return with_cache(bulk_64, who, size);
}

static u64 run_cache_bulk_16(enum subject who, size_t size)
{
	return with_cache(cache_bulk_16, who, size);
}

static u64 run_cache_bulk_64(enum subject who, size_t size)
{
	return with_cache(cache_bulk_64, who, size);
}

static u64 run_cache_pair(enum subject who, size_t size)
{
	return with_cache(cache_pair, who, size);
}

static u64 run_cache_batch(enum subject who, size_t size)
{
	return with_cache(cache_batch, who, size);
}

/* kfree_rcu() wants a head to fall back on, kspan_free_rcu() needs none. */
struct rcu_object {
	struct rcu_head rcu;
};

/* kvfree_rcu() gathers for up to 5 s; on the one CPU of TINY_RCU it is call_rcu(). */
static void wait_for_kfree_rcu(void)
{
	if (IS_ENABLED(CONFIG_TINY_RCU))
		rcu_barrier();
	else
		msleep(10 * MSEC_PER_SEC);
}

/* What the caller of free_rcu waits for; the grace period is nobody's time. */
static u64 run_free_rcu(enum subject who, size_t size)
{
	u64 start, ns;
	int i;

	for (i = 0; i < BATCH; i++)
		objs[i] = take(who, SIZES, size, GFP_KERNEL);
	failed |= !batch_is_whole();
	if (failed)
		return 0;
	start = ktime_get_ns();
	for (i = 0; i < BATCH; i++) {
		struct rcu_object *obj = objs[i];

		if (who == KSPAN)
			kspan_free_rcu(obj);
		else if (who == SLAB)
			kfree_rcu(obj, rcu);
		else
			OPTIMIZER_HIDE_VAR(obj);
	}
	ns = ktime_get_ns() - start;
	kspan_rcu_barrier();
	wait_for_kfree_rcu();
	return ns;
}

/**
 * struct row - what is measured of time
 * @name: as it is printed
 * @run: runs it once; returns ns
 * @nops: operations of one run
 * @repeats: how often
 * @min_size: the sizes are the powers of two from this
 * @max_size: to this
 * @source: CACHE rows get a cache of the size
 * @ctor: of the cache's objects
 * @ncpus: how many it takes
 */
struct row {
	const char *name;
	u64 (*run)(enum subject who, size_t size);
	u32 nops;
	u32 repeats;
	u32 min_size;
	u32 max_size;
	enum source source;
	void (*ctor)(void *obj);
	unsigned int ncpus;
};

static void construct(void *obj)
{
	memset(obj, 0, 64);
}

#define BULK(n)	(BATCH / (n) * (n))

static const struct row rows[] = {
	{ "pair", run_pair, BATCH, REPEATS, 8, 32768 },
	{ "atomic", run_atomic, BATCH, REPEATS, 8, 32768 },
	{ "batch", run_batch, BATCH, REPEATS, 8, 32768 },
	{ "batch-random", run_batch_random, BATCH, REPEATS, 8, 32768 },
	{ "cross-cpu", run_cross, BATCH, REPEATS, 8, 32768, .ncpus = 2 },
	{ "bulk-16", run_bulk_16, BULK(16), REPEATS, 64, 4096, CACHE },
	{ "bulk-64", run_bulk_64, BULK(64), REPEATS, 64, 4096, CACHE },
	{ "cache-bulk-16", run_cache_bulk_16, BULK(16), REPEATS, 64, 4096, CACHE },
	{ "cache-bulk-64", run_cache_bulk_64, BULK(64), REPEATS, 64, 4096, CACHE },
	{ "cache-pair", run_cache_pair, BATCH, REPEATS, 64, 4096, CACHE },
	{ "cache-batch", run_cache_batch, BATCH, REPEATS, 64, 4096, CACHE },
	{ "ctor-pair", run_cache_pair, BATCH, REPEATS, 64, 4096, CACHE, construct },
	{ "ctor-batch", run_cache_batch, BATCH, REPEATS, 64, 4096, CACHE, construct },
	{ "free-rcu", run_free_rcu, BATCH, 4, 16, 4096 },
};

static int caches_make(const struct row *row, size_t size)
{
	if (row->source != CACHE)
		return 0;
	kspan_cache = kspan_cache_create("kspan_bench", size, 8, 0, row->ctor);
	slab_cache = kmem_cache_create("slab_bench", size, 8, 0, row->ctor);
	return kspan_cache && slab_cache ? 0 : -ENOMEM;
}

static int caches_drop(void)
{
	int err = kspan_cache ? kspan_cache_destroy(kspan_cache) : 0;

	kmem_cache_destroy(slab_cache);
	kspan_cache = NULL;
	slab_cache = NULL;
	return err;
}

static u64 least_of(const struct row *row, enum subject who, size_t size)
{
	u64 least = U64_MAX;
	u32 i;

	for (i = 0; i < WARMUPS && row->repeats > WARMUPS + 1; i++)
		row->run(who, size);
	for (i = 0; i < row->repeats; i++) {
		least = min(least, row->run(who, size));
		cond_resched();
	}
	return least;
}

/* Per operation, in hundredths, without the loop's own; never below zero. */
static u64 cost(const struct row *row, u64 ns, u64 loop)
{
	return ns > loop ? div_u64((ns - loop) * 100, row->nops) : 0;
}

static int measure(const struct row *row, size_t size)
{
	u64 ns[NR_SUBJECTS];
	enum subject who;
	int err;

	failed = false;
	err = caches_make(row, size);
	for (who = NOBODY; !err && who < NR_SUBJECTS; who++)
		ns[who] = least_of(row, who, size);
	if (caches_drop() && !err)
		err = -EBUSY;
	if (failed && !err)
		err = -ENOMEM;
	if (err) {
		pr_err("%s %zu: %pe\n", row->name, size, ERR_PTR(err));
		return err;
	}
	pr_info("time %s %zu %llu %llu %llu\n", row->name, size, cost(row, ns[KSPAN], ns[NOBODY]),
		cost(row, ns[SLAB], ns[NOBODY]), cost(row, ns[NOBODY], 0));
	return 0;
}

static int measure_times(void)
{
	size_t i, size;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!glob_match(only, rows[i].name) || rows[i].ncpus > num_online_cpus())
			continue;
		for (size = rows[i].min_size; size <= rows[i].max_size; size *= 2)
			err = measure(&rows[i], size) ?: err;
	}
	return err;
}

/* The loop itself, which all rows have and none counts. */
static void measure_loop(void)
{
	u64 least = U64_MAX, start;
	u32 repeat, i;

	for (repeat = 0; repeat < REPEATS; repeat++) {
		start = ktime_get_ns();
		for (i = 0; i < BATCH * 10; i++)
			barrier();
		least = min(least, ktime_get_ns() - start);
	}
	pr_info("loop %llu\n", div_u64(least * 100, BATCH * 10));
}

/* Memory: free pages of the system that are gone while objects are out. */

#define MIX_OBJECTS	20000
#define CHURN_OBJECTS	16384
#define CHURN_ROUNDS	40

/**
 * struct held - objects that are out
 * @obj: them
 * @size: bytes of each
 * @n: how many
 * @who: whose they are
 * @noscan: no pointers inside
 * @state: of the random numbers
 */
struct held {
	void **obj;
	u16 *size;
	u32 n;
	enum subject who;
	bool noscan;
	u32 state;
};

/* Pages that nobody has, those in the CPUs' lists included. */
static u64 free_bytes(void)
{
	u64 npages = 0;
	int node, cpu, i;

	for_each_online_node(node)
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(node)->node_zones[i];

			if (!populated_zone(zone))
				continue;
			npages += zone_page_state_snapshot(zone, NR_FREE_PAGES);
			for_each_online_cpu(cpu)
				npages += per_cpu_ptr(zone->per_cpu_pageset, cpu)->count;
		}
	return npages << PAGE_SHIFT;
}

static u64 sys_bytes(void)
{
	static struct kspan_stats stats;

	kspan_get_stats(&stats);
	return stats.sys_bytes;
}

static u64 held_live(const struct held *held)
{
	u64 live = 0;
	u32 i;

	for (i = 0; i < held->n; i++)
		if (held->obj[i])
			live += held->size[i];
	return live;
}

static void held_drop(struct held *held, u32 i)
{
	if (held->who == KSPAN)
		kspan_free(held->obj[i]);
	else
		kfree(held->obj[i]);
	held->obj[i] = NULL;
}

static void held_put(struct held *held, u32 i, size_t size)
{
	held->size[i] = size;
	if (held->who == SLAB)
		held->obj[i] = kmalloc(size, GFP_KERNEL);
	else if (held->noscan)
		held->obj[i] = kspan_alloc_noscan(size, GFP_KERNEL);
	else
		held->obj[i] = kspan_alloc(size, GFP_KERNEL);
	failed |= !held->obj[i];
}

static void fill_mix(struct held *held)
{
	u32 i;

	for (i = 0; i < held->n; i++)
		held_put(held, i, i & 1 ? 2312 : 2896);
}

/* The strings of a file, each followed by a zero. */
static char *symbols;
static u32 nsymbols;

static int symbols_read(void)
{
	struct file *file;
	ssize_t len, i;
	loff_t pos = 0;

	if (!*symbols_path)
		return 0;
	file = filp_open(symbols_path, O_RDONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	len = i_size_read(file_inode(file));
	symbols = vmalloc(len);
	if (symbols)
		len = kernel_read(file, symbols, len, &pos);
	fput(file);
	if (!symbols || len < 0)
		return symbols ? len : -ENOMEM;
	for (i = 0; i < len; i++)
		if (symbols[i] == '\n') {
			symbols[i] = '\0';
			nsymbols++;
		}
	return 0;
}

static void fill_symbols(struct held *held)
{
	const char *name = symbols;
	u32 i;

	held->noscan = true;
	for (i = 0; i < held->n && !failed; i++) {
		size_t len = strlen(name) + 1;

		held_put(held, i, len);
		if (held->obj[i])
			memcpy(held->obj[i], name, len);
		name += len;
	}
}

/* 16 to 8191 bytes, as many of each power of two. */
static size_t churn_size(struct held *held)
{
	u32 base = 16 << next_random(&held->state) % 9;

	return base + next_random(&held->state) % base;
}

/* Objects come and go at random for long; how many are out goes up and down. */
static void fill_churn(struct held *held)
{
	u32 round, i, slot;

	for (round = 0; round < CHURN_ROUNDS; round++) {
		u32 use = round & 1 ? held->n : held->n / 2;

		for (i = 0; i < held->n; i++) {
			slot = next_random(&held->state) % held->n;
			if (held->obj[slot])
				held_drop(held, slot);
			if (slot < use)
				held_put(held, slot, churn_size(held));
		}
		cond_resched();
	}
}

/* And then three of four are freed, at random. */
static void fill_churn_quarter(struct held *held)
{
	u32 i;

	fill_churn(held);
	for (i = 0; i < held->n; i++)
		if (held->obj[i] && next_random(&held->state) % 4)
			held_drop(held, i);
}

/* And then there is time to give idle memory back. */
static void fill_churn_settled(struct held *held)
{
	fill_churn_quarter(held);
	msleep(5 * MSEC_PER_SEC);
}

static const struct fill {
	const char *name;
	void (*run)(struct held *held);
	u32 n;
} fills[] = {
	{ "mem-mix", fill_mix, MIX_OBJECTS },
	{ "mem-symbols", fill_symbols },
	{ "mem-churn", fill_churn, CHURN_OBJECTS },
	{ "mem-churn-quarter", fill_churn_quarter, CHURN_OBJECTS },
	{ "mem-churn-settled", fill_churn_settled, CHURN_OBJECTS },
};

/* What the slab keeps of the rows before, for later: see kspan_release_memory(). */
static void release_slab(void)
{
	u32 type, i;

	for (type = 0; type < ARRAY_SIZE(kmalloc_caches); type++)
		for (i = 0; i < ARRAY_SIZE(kmalloc_caches[type]); i++)
			if (kmalloc_caches[type][i])
				kmem_cache_shrink(kmalloc_caches[type][i]);
}

/* Bytes that @fill takes from the system; what was idle before is given back. */
static u64 taken_by(const struct fill *fill, struct held *held, enum subject who, u64 *sys)
{
	u64 before, taken;

	memset(held->obj, 0, held->n * sizeof(*held->obj));
	held->who = who;
	held->state = 1;
	msleep(5 * MSEC_PER_SEC);
	kspan_release_memory();
	release_slab();
	before = free_bytes();
	fill->run(held);
	taken = before - free_bytes();
	*sys = sys_bytes();
	return taken;
}

static void drop_all(struct held *held)
{
	u32 i;

	for (i = 0; i < held->n; i++)
		if (held->obj[i])
			held_drop(held, i);
}

static int measure_fill(const struct fill *fill)
{
	struct held held = { .n = fill->n ?: nsymbols };
	u64 taken[NR_SUBJECTS] = {}, live = 0, sys = 0, unused;
	int err = 0;

	failed = false;
	held.obj = kvcalloc(held.n, sizeof(*held.obj), GFP_KERNEL);
	held.size = kvcalloc(held.n, sizeof(*held.size), GFP_KERNEL);
	if (held.obj && held.size) {
		taken[KSPAN] = taken_by(fill, &held, KSPAN, &sys);
		drop_all(&held);
		taken[SLAB] = taken_by(fill, &held, SLAB, &unused);
		live = held_live(&held);
		drop_all(&held);
	}
	if (!live || failed) {
		err = -ENOMEM;
		pr_err("%s: %pe\n", fill->name, ERR_PTR(err));
	} else {
		pr_info("memory %s %llu %lld %lld %llu\n", fill->name, live, taken[KSPAN],
			taken[SLAB], sys);
	}
	kvfree(held.obj);
	kvfree(held.size);
	return err;
}

static int measure_memory(void)
{
	size_t i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(fills); i++)
		if (glob_match(only, fills[i].name) && (fills[i].n || nsymbols))
			err = measure_fill(&fills[i]) ?: err;
	return err;
}

/*
 * The host makes a page of user-mode Linux as it is first written to, and takes
 * longer for that than a thousand allocations take. SLUB writes to its pages as it
 * gets them, kspan leaves that to whoever has the objects: without this the row that
 * meets new pages would have it in its time.
 */
static void touch_free_pages(void)
{
	gfp_t gfp = __GFP_MEMALLOC | __GFP_ZERO | __GFP_NOWARN;	/* the reserves, too */
	struct page *page, *next;
	LIST_HEAD(pages);
	int order;

	for (order = get_order(SZ_4M); order >= 0; order--)
		while ((page = alloc_pages(gfp, order))) {
			set_page_private(page, order);
			list_add(&page->lru, &pages);
		}
	list_for_each_entry_safe(page, next, &pages, lru) {
		order = page_private(page);
		set_page_private(page, 0);
		__free_pages(page, order);
	}
}

static int __init bench_init(void)
{
	int err = symbols_read();

	if (err)
		pr_err("%s: %pe\n", symbols_path, ERR_PTR(err));
	if (touch)
		touch_free_pages();
	shuffle();
	measure_loop();
	err = measure_times() ?: err;
	err = measure_memory() ?: err;
	vfree(symbols);
	pr_info("done %d\n", err);
	return err;
}

static void __exit bench_exit(void)
{
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_DESCRIPTION("kspan and the kernel's slab allocator, side by side");
MODULE_LICENSE("Dual MIT/GPL");
