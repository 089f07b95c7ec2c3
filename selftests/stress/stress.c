// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * kspan_stress.ko: everything at once, for as long as `seconds` says. On every
 * CPU a thread, a timer's interrupt, a tasklet and, on x86, NMIs take objects
 * out of common shelves, look whether their contents are intact, free them,
 * and put others there, so that most are freed elsewhere than they came from;
 * object caches come and go. Page allocations of the threads fail at random
 * where the kernel can do that (fail_page_alloc). Taking CPUs off line and
 * pressing the shrinker is up to selftests/vm/stress.guest.sh.
 *
 * insmod returns when it is over, with an error if anything was not right.
 */
#define pr_fmt(fmt) "kspan_stress: " fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/string.h>

#ifdef CONFIG_X86_LOCAL_APIC
#include <asm/apic.h>
#include <asm/nmi.h>
#endif

#include <kspan.h>
#include <compat.h>

static unsigned int seconds = 10;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "how long it lasts (default 10)");

static bool nmi = true;
module_param(nmi, bool, 0444);
MODULE_PARM_DESC(nmi, "with NMIs, where the kernel lets a module send them (default Y)");

/* Who works: where it stands decides what it may call. */
enum context { PROCESS, SOFTIRQ, HARDIRQ, NMI, NR_CONTEXTS };

static const char *const context_name[] = { "process", "softirq", "hardirq", "nmi" };

/* How an object came to be, and so how it may go. */
enum kind { PLAIN, NOSCAN, CACHED };

#define SHELVES		512

/**
 * struct shelf - room for one object
 * @busy: bit 0 is set by who works here; nobody waits for it
 * @obj: the object, or NULL
 * @size: its bytes, all of them equal to @fill
 * @fill: see @size
 * @kind: how it was allocated
 */
struct shelf {
	unsigned long busy;
	u8 *obj;
	u32 size;
	u8 fill;
	enum kind kind;
};

/**
 * struct worker - what a CPU's contexts have for themselves
 * @timer: interrupts this CPU
 * @tasklet: is scheduled by @timer
 * @random: state of each context's random numbers
 * @nalloc: allocations that came true, by context
 * @nfree: frees, by context
 * @nmi_sent: the next NMI is from here
 * @soft_ns: how long the tasklet took, last time
 */
struct worker {
	struct hrtimer timer;
	struct tasklet_struct tasklet;
	u32 random[NR_CONTEXTS];
	u64 nalloc[NR_CONTEXTS];
	u64 nfree[NR_CONTEXTS];
	unsigned int nmi_sent;
	u64 soft_ns;
};

static struct shelf shelves[SHELVES];
static DEFINE_PER_CPU(struct worker, workers);
static struct task_struct *threads[NR_CPUS + 1];
static struct kspan_cache *cache;
static atomic_t ncorrupt, ncaches, nbad;
static bool stopping;

#define CACHE_SIZE	200
#define TIMER_NS	(300 * NSEC_PER_USEC)

static u32 random(u32 *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Mostly small; now and then a whole span's worth; sometimes a large object. */
static u32 random_size(u32 *state, enum context context)
{
	u32 r = random(state);

	if (r % 256 == 0 && context == PROCESS)
		return 32769 + random(state) % 200000;
	if (r % 32 == 0)
		return 1 + random(state) % 32768;
	if (r % 4 == 0)
		return 1 + random(state) % 2048;
	return 1 + random(state) % 160;
}

static gfp_t context_gfp(enum context context, u32 r)
{
	if (context != PROCESS)
		return GFP_ATOMIC | __GFP_NOWARN;
	return (r & 3 ? GFP_KERNEL : GFP_NOWAIT) | __GFP_NOWARN;
}

static void *object_alloc(const struct shelf *shelf, gfp_t gfp)
{
	switch (shelf->kind) {
	case NOSCAN:
		return kspan_alloc_noscan(shelf->size, gfp);
	case CACHED:
		return kspan_cache_alloc(cache, gfp);
	default:
		return kspan_alloc(shelf->size, gfp);
	}
}

static void object_free(struct shelf *shelf, u32 how)
{
	if (shelf->kind == CACHED)
		kspan_cache_free(cache, shelf->obj);
	else if (how % 16 == 0)
		kspan_free_rcu(shelf->obj);
	else if (how % 16 == 1)
		kspan_free_sized(shelf->obj, shelf->size);
	else if (how % 16 == 2)
		kspan_free_bulk(1, (void **)&shelf->obj);
	else
		kspan_free(shelf->obj);
}

static void shelf_check(const struct shelf *shelf, enum context context)
{
	const u8 *bad = memchr_inv(shelf->obj, shelf->fill, shelf->size);

	if (bad && atomic_inc_return(&ncorrupt) < 10)
		pr_err("in %s: byte %td of %u at %p is %#x instead of %#x\n",
		       context_name[context], bad - shelf->obj, shelf->size, shelf->obj,
		       *bad, shelf->fill);
}

static void shelf_fill(struct worker *worker, struct shelf *shelf, enum context context)
{
	u32 *state = &worker->random[context];
	u32 r = random(state);
	gfp_t gfp = context_gfp(context, r >> 4);

	shelf->kind = r % 8 == 0 ? CACHED : r % 8 < 3 ? NOSCAN : PLAIN;
	shelf->size = shelf->kind == CACHED ? CACHE_SIZE : random_size(state, context);
	shelf->fill = random(state);
	shelf->obj = context == NMI ? kspan_alloc_nolock(shelf->size, 0) : object_alloc(shelf, gfp);
	if (context == NMI)
		shelf->kind = PLAIN;
	if (!shelf->obj)
		return;
	memset(shelf->obj, shelf->fill, shelf->size);
	worker->nalloc[context]++;
}

static void shelf_empty(struct worker *worker, struct shelf *shelf, enum context context)
{
	shelf_check(shelf, context);
	if (context == NMI)
		kspan_free_nolock(shelf->obj);
	else
		object_free(shelf, random(&worker->random[context]));
	shelf->obj = NULL;
	worker->nfree[context]++;
}

/*
 * What an NMI may free. In a kernel with kmemleak it cannot free the smallest
 * noscan objects; those of the cache would have to be freed as others are.
 */
static bool nmi_may_free(const struct shelf *shelf)
{
	return shelf->kind == PLAIN || (shelf->kind == NOSCAN && shelf->size >= 16);
}

/* One shelf: what is there goes, and where there is nothing something comes. */
static void step(struct worker *worker, enum context context)
{
	struct shelf *shelf = &shelves[random(&worker->random[context]) % SHELVES];

	if (test_and_set_bit_lock(0, &shelf->busy))
		return;
	if (!shelf->obj)
		shelf_fill(worker, shelf, context);
	else if (context != NMI || nmi_may_free(shelf))
		shelf_empty(worker, shelf, context);
	clear_bit_unlock(0, &shelf->busy);
}

static void steps(struct worker *worker, enum context context, unsigned int n)
{
	while (n--)
		step(worker, context);
}

/* The contexts */

#ifdef CONFIG_X86_LOCAL_APIC

static int stress_nmi(unsigned int type, struct pt_regs *regs)
{
	struct worker *worker = this_cpu_ptr(&workers);

	if (!xchg(&worker->nmi_sent, 0))
		return NMI_DONE;
	steps(worker, NMI, 2);
	return NMI_HANDLED;
}

static int nmi_start(void)
{
	return register_nmi_handler(NMI_LOCAL, stress_nmi, 0, "kspan_stress");
}

static void nmi_stop(void)
{
	unregister_nmi_handler(NMI_LOCAL, "kspan_stress");
}

/* To this CPU: it is sure to be there. */
static void nmi_send(struct worker *worker)
{
	WRITE_ONCE(worker->nmi_sent, 1);
	apic->send_IPI(smp_processor_id(), NMI_VECTOR);
}

#else

static int nmi_start(void)
{
	return -EOPNOTSUPP;
}

static void nmi_stop(void)
{
}

static void nmi_send(struct worker *worker)
{
}

#endif

static void stress_tasklet(struct tasklet_struct *tasklet)
{
	struct worker *worker = from_tasklet(worker, tasklet, tasklet);
	u64 start = ktime_get_ns();

	steps(worker, SOFTIRQ, 8);
	WRITE_ONCE(worker->soft_ns, ktime_get_ns() - start);
}

static enum hrtimer_restart stress_timer(struct hrtimer *timer)
{
	struct worker *worker = container_of(timer, struct worker, timer);
	u64 start = ktime_get_ns();

	if (READ_ONCE(stopping))
		return HRTIMER_NORESTART;
	steps(worker, HARDIRQ, 8);
	tasklet_schedule(&worker->tasklet);
	if (nmi)
		nmi_send(this_cpu_ptr(&workers));
	/* leave most of the time to the others, however slow the machine is */
	hrtimer_forward_now(timer, TIMER_NS + 4 * (ktime_get_ns() - start +
						   READ_ONCE(worker->soft_ns)));
	return HRTIMER_RESTART;
}

/* Let page allocations of this thread fail, as fail_page_alloc is told to. */
static void may_fail(void)
{
#ifdef CONFIG_FAULT_INJECTION
	current->make_it_fail = 1;
#endif
}

static int stress_thread(void *arg)
{
	struct worker *worker = arg;

	may_fail();
	while (!kthread_should_stop()) {
		steps(worker, PROCESS, 100);
		if (random(&worker->random[PROCESS]) % 64 == 0)
			kspan_release_memory();
		cond_resched();
	}
	return 0;
}

/* Caches come and go. */

static void construct(void *obj)
{
	memset(obj, 0x5a, 64);
}

/* A cache's life: objects are constructed, kept as they were left, and go. */
static void cache_life(u32 *state)
{
	static void *obj[200];
	unsigned int n = 1 + random(state) % ARRAY_SIZE(obj), i, got = 0;
	unsigned int flags = random(state) & (KSPAN_TYPESAFE_BY_RCU | KSPAN_NOSCAN);
	struct kspan_cache *c = kspan_cache_create("kspan_stress_life", 64 + random(state) % 900,
						   8, flags, construct);

	if (!c)
		return;
	for (i = 0; i < n; i++) {
		obj[got] = kspan_cache_alloc(c, GFP_KERNEL | __GFP_NOWARN);
		if (!obj[got])
			continue;
		if (memchr_inv(obj[got], 0x5a, 64))
			atomic_inc(&ncorrupt);
		got++;
	}
	for (i = 0; i < got; i++)
		kspan_cache_free(c, obj[i]);
	if (kspan_cache_destroy(c))
		atomic_inc(&nbad);
	atomic_inc(&ncaches);
}

static int cache_thread(void *arg)
{
	u32 state = 4711;

	may_fail();
	while (!kthread_should_stop()) {
		cache_life(&state);
		cond_resched();
	}
	return 0;
}

/* Start, wait, stop, judge */

static void worker_start(void *unused)
{
	hrtimer_start(&this_cpu_ptr(&workers)->timer, ns_to_ktime(TIMER_NS), HRTIMER_MODE_REL_HARD);
}

static void workers_start(void)
{
	int cpu, i;

	for_each_possible_cpu(cpu) {
		struct worker *worker = per_cpu_ptr(&workers, cpu);

		for (i = 0; i < NR_CONTEXTS; i++)
			worker->random[i] = cpu * NR_CONTEXTS + i + 1;
		compat_hrtimer_setup(&worker->timer, stress_timer, HRTIMER_MODE_REL_HARD);
		tasklet_setup(&worker->tasklet, stress_tasklet);
		threads[cpu] = kthread_run(stress_thread, worker, "kspan_stress/%d", cpu);
	}
	threads[nr_cpu_ids] = kthread_run(cache_thread, NULL, "kspan_stress/c");
	on_each_cpu(worker_start, NULL, 1);
}

static void workers_stop(void)
{
	int cpu;

	WRITE_ONCE(stopping, true);
	for (cpu = 0; cpu <= nr_cpu_ids; cpu++)
		if (!IS_ERR_OR_NULL(threads[cpu]))
			kthread_stop(threads[cpu]);
	for_each_possible_cpu(cpu) {
		hrtimer_cancel(&per_cpu_ptr(&workers, cpu)->timer);
		tasklet_kill(&per_cpu_ptr(&workers, cpu)->tasklet);
	}
}

static void shelves_clear(void)
{
	struct worker *worker = per_cpu_ptr(&workers, 0);
	int i;

	for (i = 0; i < SHELVES; i++)
		if (shelves[i].obj)
			shelf_empty(worker, &shelves[i], PROCESS);
	kspan_rcu_barrier();
}

/* Every context has done something, unless it is not to be had here. */
static int report(bool with_nmi)
{
	int cpu, i, err = 0;

	for (i = 0; i < NR_CONTEXTS; i++) {
		u64 nalloc = 0, nfree = 0;

		for_each_possible_cpu(cpu) {
			nalloc += per_cpu(workers.nalloc[i], cpu);
			nfree += per_cpu(workers.nfree[i], cpu);
		}
		pr_info("%s: %llu allocations, %llu frees\n", context_name[i], nalloc, nfree);
		if ((!nalloc || !nfree) && (i != NMI || with_nmi))
			err = -EIO;
	}
	pr_info("%d caches came and went\n", atomic_read(&ncaches));
	return atomic_read(&ncaches) ? err : -EIO;
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

static int judge(u64 live)
{
	u64 now = objects_live();
	int violations = kspan_verify();

	if (atomic_read(&ncorrupt))
		pr_err("%d objects were not as they had been left\n", atomic_read(&ncorrupt));
	if (atomic_read(&nbad))
		pr_err("%d caches could not be destroyed\n", atomic_read(&nbad));
	if (violations)
		pr_err("the heap is not sound: %d violations\n", violations);
	if (now != live)
		pr_err("%llu objects are live, %llu were before\n", now, live);
	return atomic_read(&ncorrupt) || atomic_read(&nbad) || violations || now != live ? -EIO : 0;
}

static int __init stress_init(void)
{
	u64 live = objects_live();
	bool with_nmi = nmi && nmi_start() == 0;
	int err, worked;

	nmi = with_nmi;
	cache = kspan_cache_create("kspan_stress", CACHE_SIZE, 8, 0, NULL);
	if (!cache)
		return -ENOMEM;
	workers_start();
	ssleep(seconds);
	workers_stop();
	if (with_nmi)
		nmi_stop();
	shelves_clear();
	err = kspan_cache_destroy(cache);
	worked = report(with_nmi);
	return judge(live) ?: err ?: worked;
}

static void __exit stress_exit(void)
{
}

module_init(stress_init);
module_exit(stress_exit);
MODULE_DESCRIPTION("kspan: every context of every CPU at once");
MODULE_LICENSE("Dual MIT/GPL");
