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
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include <kspan.h>
#include "api_tests.h"
#include "kselftest_module.h"

KSTM_MODULE_GLOBALS();

static unsigned int stress_ms = 2000;
module_param(stress_ms, uint, 0444);
MODULE_PARM_DESC(stress_ms, "how long the test on all CPUs runs, in ms (default 2000)");

static unsigned int leak;
module_param(leak, uint, 0444);
MODULE_PARM_DESC(leak, "run no test, but allocate so many objects and never free them");

/* Each test returns 0, or the line that is not as it should be. */
#define EXPECT(cond)							\
do {									\
	if (!(cond))							\
		return __LINE__;					\
} while (0)

static const size_t sizes[] = { 1, 8, 13, 16, 48, 64, 100, 256, 1000, 1024, 4096, 8192, 20000 };

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

static void context_irq(struct irq_work *work)
{
	struct context_test *test = container_of(work, struct context_test, work);

	test->err = in_hardirq() ? alloc_and_free(GFP_ATOMIC) : __LINE__;
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

/* Pages of kspan show in Slab: of /proc/meminfo. */
static int test_meminfo(void)
{
	static void *obj[16];
	unsigned long before, after;
	int i;

	before = global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		obj[i] = kspan_alloc(SZ_1M, GFP_KERNEL);
		EXPECT(obj[i]);
	}
	after = global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	for (i = 0; i < ARRAY_SIZE(obj); i++)
		kspan_free(obj[i]);
	/* some of the memory may have been kspan's already, and counters lag */
	EXPECT(after > before + (8 * SZ_1M >> PAGE_SHIFT));
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
		atomic_cmpxchg(&stress_line, 0, __LINE__);
	if (how % 16 == 0)
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
		void *old = kspan_cache_alloc(stress_cache, gfp);

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

/* Run @n threads that allocate and one that interrupts them, for a while. */
static void stress_run(unsigned int n)
{
	unsigned long i;

	for (i = 0; i <= n; i++) {
		stress_task[i] = kthread_run(i ? stress_thread : stress_interrupts, (void *)i,
					     "kspan_test/%lu", i);
		if (IS_ERR(stress_task[i]))
			atomic_cmpxchg(&stress_line, 0, __LINE__);
	}
	msleep(stress_ms);
	for (i = 0; i <= n; i++)
		if (!IS_ERR(stress_task[i]))
			kthread_stop(stress_task[i]);
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

static int test_all_cpus(void)
{
	u64 before = objects_live();

	stress_cache = kspan_cache_create("kspan_test", 200, 8, 0, NULL);
	EXPECT(stress_cache);
	stress_run(num_online_cpus() + 1);
	EXPECT(kspan_verify() == 0);
	stress_empty_mailboxes();
	EXPECT(kspan_cache_destroy(stress_cache) == 0);
	EXPECT(kspan_verify() == 0);
	EXPECT(objects_live() == before);
	return atomic_read(&stress_line);
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
	{ "pages show in Slab:", test_meminfo },
	{ "wrong frees are counted and do no harm", test_misuse },
	{ "all CPUs and their interrupts free each other's objects", test_all_cpus },
};

static void __init run_tests(const struct api_test *tests, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		int line = tests[i].run();

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

	for (i = 0; i < leak; i++)
		if (!kspan_alloc(sizes[i % ARRAY_SIZE(sizes)], GFP_KERNEL))
			pr_warn("nothing to leak\n");
}

static void __init selftest(void)
{
	if (leak) {
		leak_objects();
		return;
	}
	run_tests(api_tests, n_api_tests);
	run_tests(kernel_tests, ARRAY_SIZE(kernel_tests));
}

KSTM_MODULE_LOADERS(kspan_test);
MODULE_DESCRIPTION("Tests of kspan in a kernel");
MODULE_LICENSE("Dual MIT/GPL");
