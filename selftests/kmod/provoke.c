// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * kspan_test.ko provoke=NAME: one deed each, for the scripts of the VM to watch
 * what tracing and the debug facilities make of it. Most are wrong on purpose.
 */
#define pr_fmt(fmt) "kspan_test: " fmt

#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <kspan.h>
#include "provoke.h"

/* Nothing wrong: 100 objects of 40 bytes and their frees, 10 of noscan. */
static noinline int provoke_pairs(void)
{
	static void *obj[100];
	int i;

	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		obj[i] = i % 10 ? kspan_alloc(40, GFP_KERNEL) : kspan_alloc_noscan(40, GFP_KERNEL);
		if (!obj[i])
			return -ENOMEM;
	}
	for (i = 0; i < ARRAY_SIZE(obj); i++)
		kspan_free(obj[i]);
	return 0;
}

/* The same with a cache, and with objects that are a span each. */
static noinline int provoke_others(void)
{
	struct kspan_cache *cache = kspan_cache_create("provoke", 100, 0, 0, NULL);
	void *obj, *large;
	int i;

	if (!cache)
		return -ENOMEM;
	for (i = 0; i < 10; i++) {
		obj = kspan_cache_alloc(cache, GFP_KERNEL);
		large = kspan_alloc(100000, GFP_KERNEL);
		kspan_free(large);
		kspan_cache_free(cache, obj);
	}
	return kspan_cache_destroy(cache);
}

/* Where the highest of 640 MiB of objects is in physical memory. */
static noinline int provoke_highest(void)
{
	static u64 *obj[704];
	unsigned long highest = 0;
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		/* some small ones among them */
		obj[i] = kspan_alloc(i % 11 ? SZ_1M : 8 + i, GFP_KERNEL | __GFP_NORETRY);
		if (!obj[i]) {
			err = -ENOMEM;
			continue;
		}
		*obj[i] = i;
		highest = max(highest, page_to_pfn(virt_to_page(obj[i])));
	}
	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		if (obj[i] && *obj[i] != i)
			err = -EIO;
		kspan_free(obj[i]);
	}
	pr_info("the highest object was at %lu MiB\n", highest >> (20 - PAGE_SHIFT));
	return err;
}

/* The rest is wrong, or leaves something behind. */

static u8 *volatile victim;

/*
 * Uses of freed objects that KASAN does not see: what the checked heap makes of them is
 * wanted.
 */
static noinline __no_sanitize_address void unseen_write(volatile u8 *p, u8 byte)
{
	*p = byte;
}

static noinline __no_sanitize_address u8 unseen_read(const volatile u8 *p)
{
	return *p;
}

static noinline int provoke_overflow(void)
{
	victim = kspan_alloc(40, GFP_KERNEL);
	if (!victim)
		return -ENOMEM;
	victim[40] = 'x';
	kspan_free(victim);
	return 0;
}

static noinline int provoke_use_after_free(void)
{
	victim = kspan_alloc(40, GFP_KERNEL);
	if (!victim)
		return -ENOMEM;
	kspan_free(victim);
	unseen_write(victim + 3, 'x');
	return 0;
}

static noinline int provoke_double(void)
{
	victim = kspan_alloc(40, GFP_KERNEL);
	if (!victim)
		return -ENOMEM;
	kspan_free(victim);
	kspan_free(victim);
	return 0;
}

/* One object that stays: its address is that of the next if it is not held back. */
static noinline int provoke_reuse(void)
{
	u8 *again;

	victim = kspan_alloc(40, GFP_KERNEL);
	kspan_free(victim);
	again = kspan_alloc(40, GFP_KERNEL);
	pr_info("the next object has %s address\n", again == victim ? "the same" : "another");
	kspan_free(again);
	return 0;
}

/* What is in an object that was written to, freed and allocated again. */
static noinline int provoke_stale(void)
{
	unsigned int i, stale = 0, freed = 0;
	u8 *obj;

	for (i = 0; i < 100; i++) {
		obj = kspan_alloc(40, GFP_KERNEL);
		if (!obj)
			return -ENOMEM;
		stale += obj[0] == 'S';
		memset(obj, 'S', 40);
		kspan_free(obj);
		victim = obj;
		freed += unseen_read(victim) == 'S';
	}
	pr_info("stale at alloc %u, stale after free %u\n", stale, freed);
	return 0;
}

static noinline int provoke_failures(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < 1000; i++) {
		void *obj = kspan_alloc(i + 1, GFP_KERNEL);

		n += !obj;
		kspan_free(obj);
	}
	pr_info("%u of 1000 failed\n", n);
	return 0;
}

/*
 * Objects of all kinds, to be freed where nothing may be waited for and when there is
 * no memory; the script sees to that.
 */
static u8 *waiting[90];

static size_t waiting_size(unsigned int i)
{
	return i % 3 == 0 ? 8 : i % 3 == 1 ? 200 : 40000;
}

static noinline int provoke_wait_alloc(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waiting); i++) {
		waiting[i] = i % 3 ? kspan_alloc(waiting_size(i), GFP_KERNEL) :
				     kspan_alloc_noscan(waiting_size(i), GFP_KERNEL);
		if (!waiting[i])
			return -ENOMEM;
		memset(waiting[i], 'w', waiting_size(i));
	}
	return 0;
}

static unsigned int waiting_changed(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(waiting); i++)
		n += !!memchr_inv(waiting[i], 'w', waiting_size(i));
	return n;
}

static noinline int provoke_wait_free(void)
{
	static struct kspan_stats before, after;
	unsigned long flags;
	unsigned int i, n;

	kspan_get_stats(&before);
	rcu_read_lock();
	local_irq_save(flags);
	for (i = 0; i < ARRAY_SIZE(waiting); i++)
		kspan_free_rcu(waiting[i]);
	local_irq_restore(flags);
	mdelay(20);	/* whoever sees to frees that were put off has been here */
	n = waiting_changed();
	rcu_read_unlock();
	kspan_rcu_barrier();
	kspan_get_stats(&after);
	pr_info("%llu marked, %llu freed, %u changed before their time\n",
		after.ndeferred - before.ndeferred, after.nfree - before.nfree, n);
	return 0;
}

/* A thread of its own dies of it. */
static int trap(void *arg)
{
	victim[arg ? 0 : 4096] = 'x';
	return 0;
}

static int provoke_trap(bool free)
{
	struct task_struct *task;

	victim = kspan_alloc(4096, GFP_KERNEL);
	if (!victim)
		return -ENOMEM;
	if (free) {
		kspan_free(victim);
		msleep(200);	/* for the work that unmaps it */
	}
	task = kthread_run(trap, (void *)(long)free, "provoke");
	msleep(500);
	if (!free)
		kspan_free(victim);
	return PTR_ERR_OR_ZERO(task);
}

static noinline int provoke_trap_past_end(void)
{
	return provoke_trap(false);
}

static noinline int provoke_trap_after_free(void)
{
	return provoke_trap(true);
}

/*
 * For KASAN, each in a function of its own for the report to name. The address is said
 * first, by which the compiler forgets where it is from, too.
 */
static u8 *about(const void *obj, size_t at)
{
	victim = (u8 *)obj + at;
	pr_info("it shall see %lx\n", (unsigned long)victim);
	return victim;
}

static noinline int provoke_kasan_read(void)
{
	u8 *obj = kspan_alloc(40, GFP_KERNEL), *at = about(obj, 7);

	kspan_free(obj);
	(void)READ_ONCE(*at);
	return 0;
}

static noinline int provoke_kasan_write(void)
{
	u8 *obj = kspan_zalloc(3000, GFP_KERNEL), *at = about(obj, 2999);

	kspan_free(obj);
	*at = 'x';
	return 0;
}

static noinline int provoke_kasan_large(void)
{
	u8 *obj = kspan_alloc(100000, GFP_KERNEL), *at = about(obj, 99999);

	kspan_free(obj);
	*at = 'x';
	return 0;
}

/* Of two that share 16 bytes, when both are free. */
static noinline int provoke_kasan_tiny(void)
{
	u8 *obj[8], *at;
	int i;

	for (i = 0; i < ARRAY_SIZE(obj); i++)
		obj[i] = kspan_alloc_noscan(8, GFP_KERNEL);
	at = about(obj[3], 1);
	for (i = 0; i < ARRAY_SIZE(obj); i++)
		kspan_free(obj[i]);
	*at = 'x';
	return 0;
}

/* By the old address. */
static noinline int provoke_kasan_realloc(void)
{
	u8 *obj = kspan_alloc(100, GFP_KERNEL), *at = about(obj, 5);

	memset(obj, 'r', 100);
	obj = kspan_realloc(obj, 1000, GFP_KERNEL);
	memset(obj + 100, 'r', 900);
	*at = 'x';
	pr_info("the new object %s\n", memchr_inv(obj, 'r', 1000) ? "is wrong" : "is right");
	kspan_free(obj);
	return 0;
}

static noinline int provoke_kasan_nolock(void)
{
	u8 *obj = kspan_zalloc_nolock(200, GFP_KERNEL), *at = about(obj, 0);

	if (!obj)
		return -EAGAIN;
	kspan_free_nolock(obj);
	msleep(200);	/* for the interrupt that does what was put off */
	*at = 'x';
	return 0;
}

/* Right until the grace period is over, and wrong from then on. */
static noinline int provoke_kasan_rcu(void)
{
	u8 *obj = kspan_alloc(64, GFP_KERNEL), *at = about(obj, 63);

	rcu_read_lock();
	kspan_free_rcu(obj);
	*at = 'x';
	rcu_read_unlock();
	kspan_rcu_barrier();
	*at = 'x';
	return 0;
}

/* A span has objects that nobody was ever given: the lowest go first. */
static noinline int provoke_kasan_never(void)
{
	struct kspan_cache *cache = kspan_cache_create("never", 200, 0, 0, NULL);
	u8 *obj = kspan_cache_alloc(cache, GFP_KERNEL), *at = about(obj, 5 * 200);

	*at = 'x';
	kspan_cache_free(cache, obj);
	return kspan_cache_destroy(cache);
}

static void kasan_ctor(void *obj)
{
	memset(obj, 'c', 200);
}

/* Free, a constructed object is poisoned and keeps what is in it. */
static noinline int provoke_kasan_cache(void)
{
	struct kspan_cache *cache = kspan_cache_create("ctor", 200, 0, 0, kasan_ctor);
	u8 *obj = kspan_cache_alloc(cache, GFP_KERNEL), *at = about(obj, 100);
	bool kept = !memchr_inv(obj, 'c', 200);

	kspan_cache_free(cache, obj);
	(void)READ_ONCE(*at);
	obj = kspan_cache_alloc(cache, GFP_KERNEL);
	kept &= !memchr_inv(obj, 'c', 200);
	kspan_cache_free(cache, obj);
	pr_info("an object %s what its constructor wrote\n", kept ? "keeps" : "loses");
	return kspan_cache_destroy(cache);
}

/* Right: a free object of such a cache may be looked at until a grace period is over. */
static noinline int provoke_kasan_typesafe(void)
{
	struct kspan_cache *cache = kspan_cache_create("typesafe", 200, 0,
						       KSPAN_TYPESAFE_BY_RCU, NULL);
	u8 *obj = kspan_cache_alloc(cache, GFP_KERNEL), *at = about(obj, 100);

	rcu_read_lock();
	kspan_cache_free(cache, obj);
	(void)READ_ONCE(*at);
	rcu_read_unlock();
	return kspan_cache_destroy(cache);
}

/* When the object is somebody else's already, if it was not held back. */
static noinline int provoke_kasan_late(void)
{
	u8 *obj = kspan_alloc(40, GFP_KERNEL), *at = about(obj, 9);

	kspan_free(obj);
	obj = kspan_alloc(40, GFP_KERNEL);
	*at = 'x';
	kspan_free(obj);
	return 0;
}

/* 20 of them; of a cache, too, whose end is tried. */
static noinline int provoke_leak(void)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		victim = kspan_alloc(40, GFP_KERNEL);
		kmemleak_not_leak(victim);
	}
	return 0;
}

/*
 * An object that nobody but another object points to: kmemleak shall see it there
 * when that holds pointers, and not in one of kspan_alloc_noscan().
 */
static void **held_by, **hidden_by;

static noinline int provoke_held(void)
{
	held_by = kspan_alloc(64, GFP_KERNEL);
	*held_by = kspan_alloc(64, GFP_KERNEL);
	return *held_by ? 0 : -ENOMEM;
}

static noinline int provoke_hidden(void)
{
	/* it stays one without pointers when it moves */
	hidden_by = kspan_realloc(kspan_alloc_noscan(64, GFP_KERNEL), 600, GFP_KERNEL);
	if (!hidden_by)
		return -ENOMEM;
	*hidden_by = kspan_alloc(64, GFP_KERNEL);
	return *hidden_by ? 0 : -ENOMEM;
}

static noinline int provoke_unhold(void)
{
	kspan_free(*held_by);
	kspan_free(held_by);
	kspan_free(*hidden_by);
	kspan_free(hidden_by);
	held_by = hidden_by = NULL;
	return 0;
}

/* Two threads, one variable, no mark and no lock: KCSAN shall see it. */
static unsigned long race_word;

static noinline int race(void *arg)
{
	unsigned long end = jiffies + HZ;

	while (time_before(jiffies, end)) {
		int i;

		for (i = 0; i < 1000; i++) {
			race_word++;
			barrier();
		}
		cond_resched();
	}
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static noinline int provoke_race(void)
{
	struct task_struct *task[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(task); i++)
		task[i] = kthread_run(race, NULL, "provoke/%u", i);
	msleep(1500);
	for (i = 0; i < ARRAY_SIZE(task); i++)
		if (!IS_ERR(task[i]))
			kthread_stop(task[i]);
	return 0;
}

static noinline int provoke_cache_leak(void)
{
	struct kspan_cache *cache = kspan_cache_create("leaky", 100, 0, 0, NULL);
	void *obj[3];
	unsigned int i;

	if (!cache)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(obj); i++)
		obj[i] = kspan_cache_alloc(cache, GFP_KERNEL);
	if (kspan_cache_destroy(cache) != -EBUSY)
		return -EIO;
	kspan_cache_free_bulk(cache, ARRAY_SIZE(obj), obj);
	return kspan_cache_destroy(cache);
}

/* Caches that nobody destroys; what was freed to some of them waits for a grace period. */
static noinline int provoke_forget_caches(void)
{
	struct kspan_cache *cache;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		cache = kspan_cache_create("forgotten", 100, 0, i % 2 ? KSPAN_TYPESAFE_BY_RCU : 0,
					   NULL);
		if (!cache)
			return -ENOMEM;
		victim = kspan_cache_alloc(cache, GFP_KERNEL);
		kspan_cache_free(cache, victim);
	}
	return 0;
}

/* How many of 32 allocations are guarded that may sleep, but not wait for a filesystem. */
static noinline int provoke_nofs(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < 32; i++) {
		void *obj = kspan_alloc(40, i & 1 ? GFP_NOFS : GFP_NOIO);

		n += is_vmalloc_addr(obj);
		kspan_free(obj);
	}
	pr_info("%u of 32 are guarded\n", n);
	return 0;
}

/* A client with an object cache for each CPU: it comes before its CPU, and goes after it. */
static DEFINE_PER_CPU(struct kspan_cache *, cpu_cache);
static int cpu_caches_state;

static int cpu_cache_make(unsigned int cpu)
{
	struct kspan_cache *cache = kspan_cache_create("per cpu", 64, 0, 0, NULL);

	per_cpu(cpu_cache, cpu) = cache;
	return cache ? 0 : -ENOMEM;
}

static int cpu_cache_end(unsigned int cpu)
{
	return kspan_cache_destroy(per_cpu(cpu_cache, cpu));
}

static int provoke_cpu_caches(void)
{
	cpu_caches_state = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN, "kspan_test:prepare",
					     cpu_cache_make, cpu_cache_end);
	return min(cpu_caches_state, 0);
}

static int provoke_no_cpu_caches(void)
{
	cpuhp_remove_state(cpu_caches_state);
	return 0;
}

/* What might sleep, where nobody may: the kernel's own, and an object that is at hand. */
static noinline int provoke_sleep(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
	return 0;
}

static noinline int provoke_sleep_alloc(void)
{
	void *obj, *kept = kspan_alloc(40, GFP_KERNEL);

	kspan_free(kept);
	preempt_disable();
	obj = kspan_alloc(40, GFP_KERNEL);
	preempt_enable();
	pr_info("it got %s\n", obj == kept ? "the object at hand" : "another object");
	kspan_free(obj);
	return 0;
}

/* A client that does it with each packet. */
static noinline int provoke_flood(void)
{
	void *foreign = kmalloc(64, GFP_KERNEL);
	int i;

	for (i = 0; i < 2000 && foreign; i++)
		kspan_free(foreign);
	kfree(foreign);
	return foreign ? 0 : -ENOMEM;
}

static noinline int provoke_sleep_not(void)
{
	void *obj;

	preempt_disable();
	obj = kspan_alloc(40, GFP_ATOMIC);
	preempt_enable();
	kspan_free(obj);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} deeds[] = {
	{ "pairs", provoke_pairs },
	{ "others", provoke_others },
	{ "highest", provoke_highest },
	{ "overflow", provoke_overflow },
	{ "use_after_free", provoke_use_after_free },
	{ "double", provoke_double },
	{ "reuse", provoke_reuse },
	{ "stale", provoke_stale },
	{ "failures", provoke_failures },
	{ "wait_alloc", provoke_wait_alloc },
	{ "wait_free", provoke_wait_free },
	{ "trap_past_end", provoke_trap_past_end },
	{ "trap_after_free", provoke_trap_after_free },
	{ "leak", provoke_leak },
	{ "cache_leak", provoke_cache_leak },
	{ "forget_caches", provoke_forget_caches },
	{ "race", provoke_race },
	{ "flood", provoke_flood },
	{ "sleep", provoke_sleep },
	{ "sleep_alloc", provoke_sleep_alloc },
	{ "sleep_not", provoke_sleep_not },
	{ "held", provoke_held },
	{ "hidden", provoke_hidden },
	{ "unhold", provoke_unhold },
	{ "nofs", provoke_nofs },
	{ "cpu_caches", provoke_cpu_caches },
	{ "no_cpu_caches", provoke_no_cpu_caches },
	{ "kasan_read", provoke_kasan_read },
	{ "kasan_write", provoke_kasan_write },
	{ "kasan_large", provoke_kasan_large },
	{ "kasan_tiny", provoke_kasan_tiny },
	{ "kasan_realloc", provoke_kasan_realloc },
	{ "kasan_nolock", provoke_kasan_nolock },
	{ "kasan_rcu", provoke_kasan_rcu },
	{ "kasan_never", provoke_kasan_never },
	{ "kasan_cache", provoke_kasan_cache },
	{ "kasan_typesafe", provoke_kasan_typesafe },
	{ "kasan_late", provoke_kasan_late },
};

/**
 * provoke - do what a script asked for
 * @name: which deed
 *
 * Return: 0 or a negative errno.
 */
int provoke(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(deeds); i++)
		if (!strcmp(deeds[i].name, name))
			return deeds[i].run();
	pr_err("no such deed: %s\n", name);
	return -EINVAL;
}
