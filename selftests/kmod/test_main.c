// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * kspan_test.ko: the tests of the public API, and what only a kernel can try:
 * interrupts, atomic context, all CPUs at once. It runs them as it is loaded;
 * insmod fails if one of them does. Every result is a line in the log.
 */
#define pr_fmt(fmt) "kspan_test: " fmt

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kmemleak.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include <kspan.h>
#include "api_tests.h"
#include "test_numa.h"
#include "compat.h"
#include "test_kmod.h"
#include "kselftest_module.h"
#include "provoke.h"

KSTM_MODULE_GLOBALS();

static unsigned int stress_ms = 2000;
module_param(stress_ms, uint, 0444);
MODULE_PARM_DESC(stress_ms, "how long the test on all CPUs runs, in ms (default 2000)");

static unsigned int account;
module_param(account, uint, 0444);
MODULE_PARM_DESC(account, "run no test but that so many MiB are charged to the memory cgroup");
static bool account_must;
module_param(account_must, bool, 0444);
MODULE_PARM_DESC(account_must, "with account=: they must not fail");

static unsigned int leak;
module_param(leak, uint, 0444);
MODULE_PARM_DESC(leak, "run no test, but allocate so many objects and never free them");

static bool leak_seen;
module_param(leak_seen, bool, 0444);
MODULE_PARM_DESC(leak_seen, "let kmemleak report what leak= leaves; else it is told that this is meant");

static bool idle;
module_param(idle, bool, 0444);
MODULE_PARM_DESC(idle, "run no test, and wait for what is written to the parameters");

static char *only = "";
module_param(only, charp, 0444);
MODULE_PARM_DESC(only, "run the tests whose name has this in it");

/* Done as it is written, while the module is loaded too. */
static bool provoked;

static int provoke_set(const char *val, const struct kernel_param *kp)
{
	char name[32];

	strscpy(name, val, sizeof(name));
	provoked = true;
	return provoke(strim(name));
}

static const struct kernel_param_ops provoke_ops = { .set = provoke_set };

module_param_cb(provoke, &provoke_ops, NULL, 0200);
MODULE_PARM_DESC(provoke, "run no test, but do what provoke.c has under this name");

/* Each test returns 0, or the line that is not as it should be. */
#define EXPECT(cond)							\
do {									\
	if (!(cond))							\
		return __LINE__;					\
} while (0)

static const size_t sizes[] = { 1, 8, 13, 16, 48, 64, 100, 256, 1000, 1024, 4096, 8192, 20000 };

/*
 * In an interrupt. On PREEMPT_RT the page allocator is out of reach there, and a
 * heap that has to grow fails: as kmalloc(), which must not be called at all.
 */
static void *alloc_in_irq(size_t size, bool noscan)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return kspan_alloc_nolock(size, 0);
	return noscan ? kspan_alloc_noscan(size, GFP_ATOMIC) : kspan_alloc(size, GFP_ATOMIC);
}

/* Allocate and free some of each size, all of them out at the same time. */
static int alloc_and_free(gfp_t gfp)
{
	void *obj[2 * ARRAY_SIZE(sizes)];
	size_t i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		size_t size = sizes[i / 2];

		obj[i] = i & 1 ? kspan_alloc_noscan(size, gfp) : kspan_alloc(size, gfp);
		if (obj[i])
			memset(obj[i], i, size);
		else
			err = __LINE__;
	}
	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		if (obj[i] && (*(u8 *)obj[i] != i || ((u8 *)obj[i])[sizes[i / 2] - 1] != i))
			err = __LINE__;
		kspan_free(obj[i]);
	}
	return err;
}

static u64 objects_live(void)
{
	struct kspan_stats *stats = kvmalloc(sizeof(*stats), GFP_KERNEL);
	u64 n;

	if (!stats)
		return 0;
	kspan_get_stats(stats);
	n = stats->nmalloc - stats->nfree;
	kvfree(stats);
	return n;
}

/* Contexts */

static int test_spinlock(void)
{
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;
	int i, err = 0;

	for (i = 0; i < 100 && !err; i++) {
		spin_lock_irqsave(&lock, flags);
		err = alloc_and_free(GFP_ATOMIC);
		spin_unlock_irqrestore(&lock, flags);
	}
	return err;
}

/**
 * struct context_test - something that runs in an interrupt
 * @work: in hardirq context
 * @tasklet: in softirq context
 * @err: what it returned
 * @done: it has run
 */
struct context_test {
	struct irq_work work;
	struct tasklet_struct tasklet;
	int err;
	struct completion done;
};

/* The same in an interrupt, where on PREEMPT_RT there may be none. */
static int alloc_and_free_in_irq(void)
{
	void *obj[2 * ARRAY_SIZE(sizes)];
	int err = in_hardirq() ? 0 : __LINE__;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		obj[i] = alloc_in_irq(sizes[i / 2], i & 1);
		if (obj[i])
			memset(obj[i], i, sizes[i / 2]);
		else if (!IS_ENABLED(CONFIG_PREEMPT_RT))
			err = __LINE__;
	}
	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		if (obj[i] && (*(u8 *)obj[i] != i || ((u8 *)obj[i])[sizes[i / 2] - 1] != i))
			err = __LINE__;
		kspan_free(obj[i]);
	}
	return err;
}

static void context_irq(struct irq_work *work)
{
	struct context_test *test = container_of(work, struct context_test, work);

	test->err = alloc_and_free_in_irq();
	complete(&test->done);
}

static void context_tasklet(struct tasklet_struct *tasklet)
{
	struct context_test *test = from_tasklet(test, tasklet, tasklet);

	test->err = in_softirq() ? alloc_and_free(GFP_ATOMIC) : __LINE__;
	complete(&test->done);
}

static int test_hardirq(void)
{
	static struct context_test test;
	int i;

	test.work = IRQ_WORK_INIT_HARD(context_irq);
	for (i = 0; i < 100 && !test.err; i++) {
		init_completion(&test.done);
		irq_work_queue(&test.work);
		wait_for_completion(&test.done);
	}
	irq_work_sync(&test.work);
	return test.err;
}

static int test_softirq(void)
{
	static struct context_test test;
	int i;

	tasklet_setup(&test.tasklet, context_tasklet);
	for (i = 0; i < 100 && !test.err; i++) {
		init_completion(&test.done);
		tasklet_schedule(&test.tasklet);
		wait_for_completion(&test.done);
	}
	tasklet_kill(&test.tasklet);
	return test.err;
}

static int test_rcu(void)
{
	u64 before;
	int i;

	kspan_rcu_barrier();
	before = objects_live();
	for (i = 0; i < 5000; i++) {
		void *obj = kspan_alloc(sizes[i % ARRAY_SIZE(sizes)], GFP_KERNEL);

		EXPECT(obj);
		kspan_free_rcu(obj);
	}
	kspan_rcu_barrier();
	EXPECT(objects_live() == before);
	return 0;
}

/* A real mempool: what kspan cannot give comes from its elements. */
static int check_mempool(mempool_t *pool)
{
	void *obj[24];
	int i;

	EXPECT(pool);
	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		obj[i] = mempool_alloc(pool, GFP_KERNEL);
		EXPECT(obj[i] && kspan_size(obj[i]) >= 300);
		memset(obj[i], i, 300);
	}
	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		EXPECT(*(u8 *)obj[i] == i);
		mempool_free(obj[i], pool);
	}
	EXPECT(pool->curr_nr == 16);
	mempool_destroy(pool);
	return 0;
}

#ifdef DEFINE_FREE
static int use_and_leave(void)
{
	void *obj __free(kspan_free) = kspan_alloc(100, GFP_KERNEL);
	void *none __free(kspan_free) = NULL;

	EXPECT(obj && !none);
	return 0;
}

static int test_scope(void)
{
	u64 before = objects_live();

	EXPECT(!use_and_leave());
	EXPECT(objects_live() == before);
	return 0;
}
#endif

static int test_mempool(void)
{
	struct kspan_cache *cache = kspan_cache_create("mempool", 300, 8, 0, NULL);
	u64 before = objects_live();

	EXPECT(cache);
	EXPECT(!check_mempool(mempool_create(16, kspan_mempool_alloc, kspan_mempool_free,
					     cache)));
	EXPECT(!check_mempool(mempool_create(16, kspan_mempool_alloc_sized,
					     kspan_mempool_free_sized, (void *)300)));
	EXPECT(objects_live() == before);
	EXPECT(!kspan_cache_destroy(cache));
	return 0;
}

/* Pages of kspan show in Slab: of /proc/meminfo. */
static int test_meminfo(void)
{
	static void *obj[16];
	unsigned long before, after;
	int i;

	kspan_release_memory();
	before = global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		obj[i] = kspan_alloc(SZ_1M, GFP_KERNEL);
		EXPECT(obj[i]);
	}
	after = global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	for (i = 0; i < ARRAY_SIZE(obj); i++)
		kspan_free(obj[i]);
	/* others may have freed meanwhile, and counters lag */
	EXPECT(after > before + (12 * SZ_1M >> PAGE_SHIFT));
	return 0;
}

/* All CPUs at once: objects go from hand to hand, and interrupts take part. */

#define MAILBOXES	256

/**
 * struct stress_obj - what is in an object
 * @size: bytes
 * @seed: the byte that all that follows is made of
 * @data: what follows
 */
struct stress_obj {
	u32 size;
	u8 seed;
	u8 data[];
};

static struct stress_obj *mailbox[MAILBOXES];
static struct kspan_cache *stress_cache;
static void *cache_mailbox[MAILBOXES];
static struct task_struct *stress_task[NR_CPUS + 2];
static atomic_t stress_line;

static u32 stress_random(u32 *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* The first one stays. Sparse takes a constant's bits for cut off in arm64's cmpxchg(). */
static noinline void stress_fail(int line)
{
	atomic_cmpxchg(&stress_line, 0, line);
}

static size_t stress_size(u32 *state)
{
	u32 r = stress_random(state);

	if (r % 512 == 0)
		return 40000 + stress_random(state) % 100000;
	if (r % 16 == 0)
		return sizeof(struct stress_obj) + stress_random(state) % 8192;
	return sizeof(struct stress_obj) + stress_random(state) % 300;
}

static struct stress_obj *stress_make(u32 *state, gfp_t gfp)
{
	size_t size = stress_size(state);
	struct stress_obj *obj;

	if (in_hardirq())
		obj = alloc_in_irq(size, size & 1);
	else
		obj = size & 1 ? kspan_alloc_noscan(size, gfp) : kspan_alloc(size, gfp);
	if (!obj)
		return NULL;
	obj->size = size;
	obj->seed = stress_random(state);
	memset(obj->data, obj->seed, size - sizeof(*obj));
	return obj;
}

/* Check that nobody wrote to the object, and free it in one way or another. */
static void stress_end_obj(struct stress_obj *obj, u32 how)
{
	if (!obj)
		return;
	if (memchr_inv(obj->data, obj->seed, obj->size - sizeof(*obj)))
		stress_fail(__LINE__);
	if (how % 16 == 0 && !(IS_ENABLED(CONFIG_PREEMPT_RT) && in_hardirq()))
		kspan_free_rcu(obj);
	else if (how % 16 == 1)
		kspan_free_sized(obj, obj->size);
	else
		kspan_free(obj);
}

static void stress_step(u32 *state, gfp_t gfp)
{
	struct stress_obj *obj = stress_make(state, gfp);
	u32 r = stress_random(state);

	stress_end_obj(xchg(&mailbox[r % MAILBOXES], obj), r / MAILBOXES);
	if (r & 0x100) {
		void *old;

		if (IS_ENABLED(CONFIG_PREEMPT_RT) && in_hardirq())
			old = kspan_cache_alloc_nolock(stress_cache, 0);
		else
			old = kspan_cache_alloc(stress_cache, gfp);
		old = xchg(&cache_mailbox[r % MAILBOXES], old);
		if (old)
			kspan_cache_free(stress_cache, old);
	}
}

static int stress_thread(void *arg)
{
	u32 state = (unsigned long)arg;

	while (!kthread_should_stop()) {
		int i;

		for (i = 0; i < 200; i++)
			stress_step(&state, GFP_KERNEL);
		if ((unsigned long)arg == 1)
			kspan_release_memory();
		cond_resched();
	}
	return 0;
}

static void stress_irq(void *arg)
{
	u32 *state = arg;
	int i;

	for (i = 0; i < 4; i++)
		stress_step(state, GFP_ATOMIC);
}

/* Interrupt each CPU in turn, wherever it is. */
static int stress_interrupts(void *arg)
{
	u32 state = 12345;

	while (!kthread_should_stop()) {
		int cpu;

		cpus_read_lock();
		for_each_online_cpu(cpu)
			smp_call_function_single(cpu, stress_irq, &state, 1);
		cpus_read_unlock();
		cond_resched();
	}
	return 0;
}

/**
 * struct stress_cpu - what interrupts a CPU while it allocates
 * @timer: in hardirq context, on PREEMPT_RT too
 * @tasklet: in softirq context, set off by the timer
 * @state: of the timer's random numbers
 * @soft_state: of the tasklet's
 * @nhard: how often the timer came
 * @nsoft: and the tasklet
 * @soft_ns: how long the tasklet took, last time
 */
struct stress_cpu {
	struct hrtimer timer;
	struct tasklet_struct tasklet;
	u32 state;
	u32 soft_state;
	unsigned long nhard;
	unsigned long nsoft;
	u64 soft_ns;
};

static DEFINE_PER_CPU(struct stress_cpu, stress_cpus);

#define STRESS_PERIOD_NS	5000000

static enum hrtimer_restart stress_timer(struct hrtimer *timer)
{
	struct stress_cpu *cpu = container_of(timer, struct stress_cpu, timer);
	u64 start = ktime_get_ns();

	stress_irq(&cpu->state);
	if (!in_hardirq())
		stress_fail(__LINE__);
	cpu->nhard++;
	tasklet_schedule(&cpu->tasklet);
	/* leave most of the time to the others, however slow the machine is */
	hrtimer_forward_now(timer, STRESS_PERIOD_NS +
			    4 * (ktime_get_ns() - start + READ_ONCE(cpu->soft_ns)));
	return HRTIMER_RESTART;
}

static void stress_tasklet(struct tasklet_struct *tasklet)
{
	struct stress_cpu *cpu = from_tasklet(cpu, tasklet, tasklet);
	u64 start = ktime_get_ns();

	stress_irq(&cpu->soft_state);
	if (!in_softirq())
		stress_fail(__LINE__);
	cpu->nsoft++;
	WRITE_ONCE(cpu->soft_ns, ktime_get_ns() - start);
}

static void stress_timer_start(void *unused)
{
	struct stress_cpu *cpu = this_cpu_ptr(&stress_cpus);

	hrtimer_start(&cpu->timer, ns_to_ktime(STRESS_PERIOD_NS), HRTIMER_MODE_REL_PINNED_HARD);
}

static void stress_timers_start(void)
{
	int i;

	for_each_possible_cpu(i) {
		struct stress_cpu *cpu = per_cpu_ptr(&stress_cpus, i);

		compat_hrtimer_setup(&cpu->timer, stress_timer, HRTIMER_MODE_REL_PINNED_HARD);
		tasklet_setup(&cpu->tasklet, stress_tasklet);
		cpu->state = i;
		cpu->soft_state = ~i;
	}
	on_each_cpu(stress_timer_start, NULL, 1);
}

static void stress_timers_stop(void)
{
	unsigned long nhard = 0, nsoft = 0;
	int i;

	for_each_possible_cpu(i) {
		struct stress_cpu *cpu = per_cpu_ptr(&stress_cpus, i);

		hrtimer_cancel(&cpu->timer);
		tasklet_kill(&cpu->tasklet);
		nhard += cpu->nhard;
		nsoft += cpu->nsoft;
	}
	pr_info("# %lu timers and %lu tasklets allocated\n", nhard, nsoft);
	if (!nhard || !nsoft)
		stress_fail(__LINE__);
}

/*
 * Run @n threads that allocate and one that interrupts them, with timers and
 * tasklets on every CPU, for as long as @meanwhile takes.
 */
static int stress_run(unsigned int n, int (*meanwhile)(unsigned int ms), unsigned int ms)
{
	unsigned long i;
	int err;

	for (i = 0; i <= n; i++) {
		stress_task[i] = kthread_run(i ? stress_thread : stress_interrupts, (void *)i,
					     "kspan_test/%lu", i);
		if (IS_ERR(stress_task[i]))
			stress_fail(__LINE__);
	}
	stress_timers_start();
	err = meanwhile(ms);
	stress_timers_stop();
	for (i = 0; i <= n; i++)
		if (!IS_ERR(stress_task[i]))
			kthread_stop(stress_task[i]);
	return err;
}

static int stress_sleep(unsigned int ms)
{
	msleep(ms);
	return 0;
}

static void stress_empty_mailboxes(void)
{
	int i;

	for (i = 0; i < MAILBOXES; i++) {
		stress_end_obj(mailbox[i], i);
		mailbox[i] = NULL;
		if (cache_mailbox[i])
			kspan_cache_free(stress_cache, cache_mailbox[i]);
		cache_mailbox[i] = NULL;
	}
	kspan_rcu_barrier();
}

static int stress(int (*meanwhile)(unsigned int ms), unsigned int ms)
{
	u64 before = objects_live();
	int err;

	stress_cache = kspan_cache_create("kspan_test", 200, 8, 0, NULL);
	EXPECT(stress_cache);
	err = stress_run(num_online_cpus() + 1, meanwhile, ms);
	EXPECT(kspan_verify() == 0);
	stress_empty_mailboxes();
	EXPECT(kspan_cache_destroy(stress_cache) == 0);
	EXPECT(kspan_verify() == 0);
	EXPECT(objects_live() == before);
	return atomic_read(&stress_line) ?: err;
}

static int test_all_cpus(void)
{
	return stress(stress_sleep, stress_ms);
}

static int test_nmis(void)
{
	int err = stress(nmi_storm, stress_ms / 2);

	if (err != 1)
		return err;
	pr_info("# SKIP: there is no way to send NMIs here\n");
	return 0;
}

/* Wrong frees: counted, reported at the latest when the caches are emptied. */

static int misuse_counted(u64 *ndouble, u64 *ninterior, u64 *nforeign)
{
	struct kspan_stats *stats = kvmalloc(sizeof(*stats), GFP_KERNEL);

	EXPECT(stats);
	kspan_release_memory();
	kspan_get_stats(stats);
	*ndouble = stats->ndouble;
	*ninterior = stats->ninterior;
	*nforeign = stats->nforeign;
	kvfree(stats);
	return 0;
}

static int test_misuse(void)
{
	u64 was[3], now[3];
	void *obj, *keep, *foreign = kmalloc(64, GFP_KERNEL);
	int err = misuse_counted(&was[0], &was[1], &was[2]);

	EXPECT(!err && foreign);
	obj = kspan_alloc(192, GFP_KERNEL);
	keep = kspan_alloc(192, GFP_KERNEL);
	EXPECT(obj && keep);
	kspan_free(obj);
	kspan_free(obj);
	kspan_free(keep + 8);
	kspan_free(foreign);
	kfree(foreign);
	err = misuse_counted(&now[0], &now[1], &now[2]);
	kspan_free(keep);
	EXPECT(!err);
	EXPECT(now[0] == was[0] + 1);
	EXPECT(now[1] == was[1] + 1);
	EXPECT(now[2] == was[2] + 1);
	EXPECT(kspan_verify() == 0);
	return 0;
}

static const struct api_test kernel_tests[] = {
	{ "alloc and free under a spinlock", test_spinlock },
	{ "alloc and free in hardirq context", test_hardirq },
	{ "alloc and free in softirq context", test_softirq },
	{ "free after a grace period of RCU", test_rcu },
	{ "mempools of kspan's objects", test_mempool },
#ifdef DEFINE_FREE
	{ "an object is freed when its scope is left", test_scope },
#endif
	{ "pages show in Slab:", test_meminfo },
	{ "wrong frees are counted and do no harm", test_misuse },
	{ "all CPUs and their interrupts free each other's objects", test_all_cpus },
	{ "NMIs at any place of it allocate and free too", test_nmis },
};

static void __init run_tests(const struct api_test *tests, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		int line;

		if (!strstr(tests[i].name, only))
			continue;
		line = tests[i].run();
		KSTM_CHECK_ZERO(line);
		if (line)
			pr_warn("not ok %u %s # line %d\n", total_tests, tests[i].name, line);
		else
			pr_info("ok %u %s\n", total_tests, tests[i].name);
	}
}

/* Not __init: that text is gone when the module goes, and cannot be named then. */
static noinline void leak_objects(void)
{
	unsigned int i;

	for (i = 0; i < leak; i++) {
		void *obj = kspan_alloc(sizes[i % ARRAY_SIZE(sizes)], GFP_KERNEL);

		if (!obj)
			pr_warn("nothing to leak\n");
		if (!leak_seen)
			kmemleak_not_leak(obj);
	}
}

static unsigned long account_used(void)
{
	unsigned long n = 0;
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg;

	rcu_read_lock();
	memcg = mem_cgroup_from_task(current);
	if (memcg)
		n = page_counter_read(&memcg->memory);
	rcu_read_unlock();
#endif
	return n;
}

#define ACCOUNT_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)
/* CPUs keep some charge at hand. */
#define ACCOUNT_SLACK	(64 * num_possible_cpus())

/*
 * What large objects charge is charged to the cgroup of who loads the module, and
 * goes back with them; other objects, and what is free of the heap, are nobody's.
 */
static int account_check(void **obj, unsigned long before)
{
	const unsigned long npages = account * (SZ_1M >> PAGE_SHIFT);
	const gfp_t gfp = account_must ? GFP_KERNEL_ACCOUNT | __GFP_NOFAIL : ACCOUNT_GFP;
	unsigned int i;

	for (i = 0; i < account; i++) {
		obj[i] = kspan_alloc(SZ_1M, gfp);
		EXPECT(obj[i]);
		memset(obj[i], i, SZ_1M);
	}
	EXPECT(account_used() >= before + npages - ACCOUNT_SLACK);
	obj[0] = kspan_realloc(obj[0], 2 * SZ_1M, gfp);
	EXPECT(obj[0]);
	return 0;
}

static int test_account(void)
{
	void **obj = kvcalloc(account, sizeof(*obj), GFP_KERNEL);
	unsigned long before = account_used();
	int err = obj ? account_check(obj, before) : __LINE__;
	unsigned int i;

	for (i = 0; obj && i < account; i++)
		kspan_free(obj[i]);
	kvfree(obj);
	EXPECT(!err);
	EXPECT(account_used() <= before + ACCOUNT_SLACK);
	obj = kspan_alloc(4 * SZ_1M, GFP_KERNEL);
	EXPECT(obj);
	EXPECT(account_used() <= before + ACCOUNT_SLACK);
	kspan_free(obj);
	EXPECT(kspan_verify() == 0);
	return 0;
}

static const struct api_test account_tests[] = {
	{ "large objects are charged to the memory cgroup", test_account },
};

static unsigned int init_leak;
module_param(init_leak, uint, 0444);
MODULE_PARM_DESC(init_leak, "run no test, but leave so many objects that __init allocated");

static void __init selftest(void)
{
	unsigned int i;

	if (account) {
		run_tests(account_tests, ARRAY_SIZE(account_tests));
		return;
	}
	for (i = 0; i < init_leak; i++) {
		void *obj = kspan_alloc(200, GFP_KERNEL);

		if (!obj)
			pr_warn("nothing to leak\n");
		kmemleak_not_leak(obj);
	}
	if (init_leak || idle)
		return;
	if (leak || provoked) {
		leak_objects();
		return;
	}
	if (num_node_state(N_MEMORY) > 1)
		run_tests(numa_tests, n_numa_tests);
	run_tests(api_tests, n_api_tests);
	run_tests(kernel_tests, ARRAY_SIZE(kernel_tests));
}

static int __init kspan_test_init(void)
{
	int err;

	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	replay_start();
	selftest();
	err = kstm_report(total_tests, failed_tests, skipped_tests);
	if (err)
		replay_stop();
	return err;
}
module_init(kspan_test_init);

static void __exit kspan_test_exit(void)
{
	replay_stop();
}
module_exit(kspan_test_exit);

MODULE_DESCRIPTION("Tests of kspan in a kernel");
MODULE_LICENSE("Dual MIT/GPL");
