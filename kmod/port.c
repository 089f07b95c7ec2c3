// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The kernel's half of the port contract: the slots of the CPUs, pages from
 * alloc_pages(), the scavenger's work, reports. See kspan/port.h and
 * core/alloc.c.
 *
 * Each slotset has a pointer per CPU to the slot that the CPU works on. A
 * slot is made before its CPU comes up and is drained after the CPU is dead;
 * it is kept for the CPU's return, since counters live in it. To freeze is to
 * point every CPU to the shared closed slot and to wait until whoever was
 * inside an operation has left it: operations run with preemption off, and a
 * grace period of RCU waits for all such sections, of interrupts and NMIs too.
 *
 * slots_lock -> freezer -> the locks of the core.
 */
#define pr_fmt(fmt) "kspan: " fmt

#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include <kspan/heap.h>
#include "kmod.h"

static_assert(offsetof(struct kspan_heap, slots) == PORT_HEAP_SLOTS_OFF,
	      "port_slot.h knows where a heap keeps its slotset");

struct kspan_heap kspan_heap0;

DEFINE_PER_CPU(struct kspan_slot *, kspan_slot0);

struct lock_class_key port_lock_key[KSPAN_NR_RANKS];
const char *const port_lock_name[KSPAN_NR_RANKS] = {
	[KSPAN_RANK_RCU]	= "kspan_rcu",
	[KSPAN_RANK_CENTRAL]	= "kspan_central",
	[KSPAN_RANK_HEAP]	= "kspan_heap",
	[KSPAN_RANK_META]	= "kspan_meta",
};

/* The slots of the CPUs */

/* slots_lock: the two that follow, and which CPUs have slots */
static DEFINE_MUTEX(slots_lock);
static LIST_HEAD(slots_all);
static cpumask_t slots_cpus;
static int slots_hotplug_state;

/*
 * Zeroed memory without the rounding of kmalloc(), which would waste up to
 * half of a slot of many pages.
 */
static void *slot_mem_alloc(size_t nbytes, int node, gfp_t gfp)
{
	struct page *page;
	unsigned int i;

	if (nbytes <= PAGE_SIZE)
		return kzalloc_node(nbytes, gfp, node);
	page = alloc_pages_node(node, gfp | __GFP_ZERO | __GFP_NOWARN | __GFP_NORETRY,
				get_order(nbytes));
	if (!page)
		return vzalloc_node(nbytes, node);
	split_page(page, get_order(nbytes));
	for (i = PFN_UP(nbytes); i < 1u << get_order(nbytes); i++)
		__free_page(page + i);
	return page_address(page);
}

static void slot_mem_free(void *mem, size_t nbytes)
{
	if (!mem)
		return;
	if (nbytes <= PAGE_SIZE)
		kfree(mem);
	else if (is_vmalloc_addr(mem))
		vfree(mem);
	else
		free_pages_exact(mem, nbytes);
}

/* Of a closed slot only the header, the words and the limits are ever read. */
static struct kspan_slot *slot_make_closed(const struct kspan_slotset *ss, gfp_t gfp)
{
	struct kspan_slot *slot;
	size_t words = offsetof(struct kspan_slot, word[ss->nstacks]);
	size_t limits = ss->limit_off + ss->nstacks * sizeof(u16);

	slot = kzalloc(max(words, limits), gfp);
	if (slot)
		slot->closed = 1;
	return slot;
}

static void slot_set_cur(struct kspan_slotset *ss, int cpu, struct kspan_slot *slot)
{
	/* pairs with the address dependency of port_slot_cur() */
	smp_store_release(per_cpu_ptr(ss->os.cur, cpu), slot);
}

/* Have @cpu work on a slot of its own. Without memory it does without one. */
static void slot_attach(struct kspan_slotset *ss, int cpu, gfp_t gfp)
{
	struct port_slotset *os = &ss->os;

	lockdep_assert_held(&slots_lock);
	if (!os->slot[cpu])
		/* pairs with port_slotset_slot(): who sees the slot sees it empty */
		smp_store_release(&os->slot[cpu], slot_mem_alloc(ss->slot_bytes,
								 cpu_to_node(cpu), gfp));
	if (!os->slot[cpu])
		return;
	mutex_lock(&os->freezer);
	if (!ss->off)
		slot_set_cur(ss, cpu, os->slot[cpu]);
	mutex_unlock(&os->freezer);
}

/* Take the slot from @cpu, which is dead, and its objects from the slot. */
static void slot_detach(struct kspan_slotset *ss, int cpu)
{
	struct port_slotset *os = &ss->os;

	lockdep_assert_held(&slots_lock);
	mutex_lock(&os->freezer);
	slot_set_cur(ss, cpu, os->closed);
	if (os->slot[cpu])
		cache_drain_slot(os->heap, ss, os->slot[cpu]);
	mutex_unlock(&os->freezer);
}

static int slots_cpu_prepare(unsigned int cpu)
{
	struct kspan_slotset *ss;

	mutex_lock(&slots_lock);
	cpumask_set_cpu(cpu, &slots_cpus);
	list_for_each_entry(ss, &slots_all, os.node)
		slot_attach(ss, cpu, GFP_KERNEL);
	mutex_unlock(&slots_lock);
	return 0;
}

static int slots_cpu_dead(unsigned int cpu)
{
	struct kspan_slotset *ss;

	mutex_lock(&slots_lock);
	cpumask_clear_cpu(cpu, &slots_cpus);
	list_for_each_entry(ss, &slots_all, os.node)
		slot_detach(ss, cpu);
	mutex_unlock(&slots_lock);
	return 0;
}

static int slots_alloc(struct kspan_slotset *ss, gfp_t gfp)
{
	struct port_slotset *os = &ss->os;

	os->slot = kcalloc(nr_cpu_ids + 2, sizeof(*os->slot), gfp);
	os->closed = slot_make_closed(ss, gfp);
	if (ss == PORT_SLOTS0)
		os->cur = &kspan_slot0;
	else
		os->cur = alloc_percpu_gfp(struct kspan_slot *, gfp);
	if (!os->slot || !os->closed || !os->cur)
		return -ENOMEM;
	/* a slotset may lie in memory that kmemleak does not look into */
	kmemleak_not_leak(os->slot);
	kmemleak_not_leak(os->closed);
	/* it looks into this; since 6.12 it wants to see who has memory per CPU */
	os->slot[nr_cpu_ids + 1] = (void *)(__force uintptr_t)os->cur;
	return 0;
}

static void slots_free(struct kspan_slotset *ss)
{
	struct port_slotset *os = &ss->os;
	int cpu;

	if (os->slot)
		for_each_possible_cpu(cpu)
			slot_mem_free(os->slot[cpu], ss->slot_bytes);
	if (os->cur != &kspan_slot0)
		free_percpu(os->cur);
	kfree(os->closed);
	kfree(os->slot);
	memset(os, 0, sizeof(*os));
}

/**
 * port_slotset_init - make slots for the CPUs that are there
 * @ss: filled in but for @ss->os
 * @heap: whose objects the slots will hold
 * @gfp: for the memory; must allow sleeping
 *
 * Slots start zeroed: every stack of theirs is closed. A CPU for whose slot
 * there is no memory does without.
 *
 * Context: may sleep; no lock held.
 * Return: 0, or -ENOMEM and nothing done.
 */
int port_slotset_init(struct kspan_slotset *ss, struct kspan_heap *heap, gfp_t gfp)
{
	struct port_slotset *os = &ss->os;
	int cpu;

	memset(os, 0, sizeof(*os));
	if (slots_alloc(ss, gfp)) {
		slots_free(ss);
		return -ENOMEM;
	}
	mutex_init(&os->freezer);
	os->heap = heap;
	os->slot[nr_cpu_ids] = os->closed;
	for_each_possible_cpu(cpu)
		slot_set_cur(ss, cpu, os->closed);

	mutex_lock(&slots_lock);
	for_each_cpu(cpu, &slots_cpus)
		slot_attach(ss, cpu, gfp);
	list_add_tail(&os->node, &slots_all);
	mutex_unlock(&slots_lock);
	return 0;
}

/**
 * port_slotset_destroy - free the slots
 * @ss: nobody works on it any more, and its slots are empty
 *
 * Context: may sleep; no lock held.
 */
void port_slotset_destroy(struct kspan_slotset *ss)
{
	if (!ss->os.slot)
		return;
	mutex_lock(&slots_lock);
	list_del(&ss->os.node);
	mutex_unlock(&slots_lock);
	slots_free(ss);
}

/* The slots of the CPUs, and the closed one for the counters in its header. */
u32 port_slotset_nr(const struct kspan_slotset *ss)
{
	return nr_cpu_ids + 1;
}

struct kspan_slot *port_slotset_slot(const struct kspan_slotset *ss, u32 i)
{
	return READ_ONCE(ss->os.slot[i]);
}

/**
 * port_slots_freeze - have all operations on the slots fail, and none running
 * @ss: the slots
 *
 * Context: may sleep, for a grace period of RCU. Until port_slots_thaw() the
 * caller holds the freezer.
 */
void port_slots_freeze(struct kspan_slotset *ss)
{
	int cpu;

	mutex_lock(&ss->os.freezer);
	for_each_possible_cpu(cpu)
		slot_set_cur(ss, cpu, ss->os.closed);
	synchronize_rcu_expedited();
}

void port_slots_thaw(struct kspan_slotset *ss)
{
	int cpu;

	/* A CPU that is down has a slot too, empty: it may have it already. */
	for_each_possible_cpu(cpu) {
		struct kspan_slot *slot = port_slotset_slot(ss, cpu);

		if (slot && !ss->off)
			slot_set_cur(ss, cpu, slot);
	}
	mutex_unlock(&ss->os.freezer);
}

/* The page source */

/* The largest block that alloc_pages() may be asked for here. */
static unsigned int source_max_order(void)
{
	return get_order(min_t(size_t, KSPAN_ARENA_SIZE,
			       (size_t)MAX_ORDER_NR_PAGES << PAGE_SHIFT));
}

/* Pages show in Slab: of /proc/meminfo, where a reader looks for such memory. */
static void source_account(struct page *page, ssize_t nbytes)
{
	mod_node_page_state(page_pgdat(page), NR_SLAB_UNRECLAIMABLE_B, nbytes);
}

/*
 * Orders above the least are tried without effort: no reclaim, no reserves.
 * The least is asked for as the caller's flags say.
 */
static struct page *source_get_pages(unsigned int least, unsigned int *order, gfp_t gfp,
				     int node)
{
	gfp_t try = gfp & ~(__GFP_RECLAIM | __GFP_HIGH | __GFP_MEMALLOC | __GFP_NOFAIL |
			    __GFP_RETRY_MAYFAIL);
	bool must = (gfp & __GFP_NOFAIL) && gfpflags_allow_blocking(gfp);
	struct page *page;

	for (; *order > least; --*order) {
		page = alloc_pages_node(node, try | __GFP_NOWARN | __GFP_NORETRY |
					__GFP_NOMEMALLOC, *order);
		if (page)
			return page;
	}
	/* The page allocator objects to __GFP_NOFAIL for large blocks: see below. */
	if (least <= 1)
		return alloc_pages_node(node, gfp, least);
	for (;;) {
		page = alloc_pages_node(node, gfp & ~__GFP_NOFAIL, least);
		if (page || !must)
			return page;
		/*
		 * A memory cgroup at its limit may have nothing to reclaim, and kills nobody
		 * for so large a block or if the caller is dying already. It is charged beyond
		 * the limit with __GFP_NOFAIL or with this flag alone, which lets the page
		 * allocator take as much of its reserves as __GFP_NOFAIL does.
		 */
		if (gfp & __GFP_ACCOUNT)
			gfp |= __GFP_HIGH;
		schedule_timeout_uninterruptible(1);
	}
}

/*
 * A block of 2^order pages lies on a multiple of its size, which gives the
 * alignment. It is split so that any page of it can be given back alone, and
 * what rounding added beyond @want goes back at once.
 */
static void *source_get(struct kspan_source *src, size_t min, size_t want, size_t align,
			gfp_t gfp, int node, size_t *got)
{
	unsigned int least = get_order(max(min, align));
	unsigned int order = max_t(unsigned int, least, get_order(want));
	struct page *page;
	size_t i;

	if (least > source_max_order())
		return NULL;
	order = min(order, source_max_order());
	/* a node may be possible and never come; the page allocator wants none of those */
	if (node != NUMA_NO_NODE && !node_online(node)) {
		if (gfp & __GFP_THISNODE)
			return NULL;
		node = NUMA_NO_NODE;
	}
	gfp &= ~(GFP_ZONEMASK | __GFP_ZERO | __GFP_COMP | __GFP_RECLAIMABLE);
	page = source_get_pages(least, &order, gfp, node);
	if (!page)
		return NULL;
	split_page(page, order);
	*got = min(PAGE_SIZE << order, want);
	for (i = *got >> PAGE_SHIFT; i < 1ul << order; i++)
		__free_page(page + i);
	source_account(page, *got);
	/* the table of regions goes by addresses, with no tag of KASAN's in them */
	return kasan_reset_tag(page_address(page));
}

/*
 * The table of regions alone may have to be larger than any block: where physical
 * memory is spread over 1 TiB and more.
 */
static void *source_meta(struct kspan_source *src, size_t nbytes, gfp_t gfp, size_t *got)
{
	if (!gfpflags_allow_blocking(gfp) || get_order(nbytes) <= PAGE_ALLOC_COSTLY_ORDER)
		return NULL;
	*got = PAGE_ALIGN(nbytes);
	return __vmalloc(nbytes, gfp);
}

static void source_put(struct kspan_source *src, void *addr, size_t nbytes)
{
	void *end = addr + nbytes;

	if (is_vmalloc_addr(addr)) {
		vfree(addr);
		return;
	}
	for (; addr < end; addr += PAGE_SIZE) {
		struct page *page = virt_to_page(addr);

		source_account(page, -(ssize_t)PAGE_SIZE);
		__free_page(page);
	}
}

static int source_node_of(struct kspan_source *src, const void *addr)
{
	return page_to_nid(virt_to_page(addr));
}

/*
 * Pages of the kernel's linear map, from alloc_pages().
 *
 * A page that is given back cannot come back at its address, so there is no
 * release: idle pages are put.
 */
struct kspan_source kspan_page_source = {
	.get = source_get,
	.meta = source_meta,
	.put = source_put,
	.node_of = source_node_of,
	.grain = KSPAN_PAGE_SIZE,
	.charges = true,
};

static_assert(PAGE_SIZE <= KSPAN_PAGE_SIZE, "any page of ours can be given back alone");

/* The scavenger */

static void scavenge_fn(struct work_struct *work)
{
	if (heap_scavenge(&kspan_heap0))
		port_kick(&kspan_heap0);
}

/* Deferrable: an idle machine is not woken to tidy up. */
static DECLARE_DEFERRABLE_WORK(scavenge_work, scavenge_fn);
static bool scavenge_stopped;

/**
 * port_kick - have heap_scavenge() called at the end of an epoch
 * @heap: the default heap; others are scavenged by whoever made them
 *
 * Context: any but NMI.
 */
void port_kick(struct kspan_heap *heap)
{
	unsigned int epoch_ms = READ_ONCE(heap->config.epoch_ms);
	unsigned long delay = msecs_to_jiffies(epoch_ms);

	if (heap == &kspan_heap0 && epoch_ms && !READ_ONCE(scavenge_stopped))
		queue_delayed_work(system_power_efficient_wq, &scavenge_work, max(delay, 1ul));
}

/* What an NMI left to do: on PREEMPT_RT in a thread, else in an interrupt. */
static void catch_up_fn(struct irq_work *work)
{
	heap_catch_up(&kspan_heap0);
}

static struct irq_work catch_up_work = IRQ_WORK_INIT(catch_up_fn);

/**
 * port_defer - have heap_catch_up() called soon, where locks may be taken
 * @heap: the default heap; of others whoever made them takes care
 *
 * Context: any.
 */
void port_defer(struct kspan_heap *heap)
{
	if (heap == &kspan_heap0)
		irq_work_queue(&catch_up_work);
}

void port_kick_stop(void)
{
	irq_work_sync(&catch_up_work);
	WRITE_ONCE(scavenge_stopped, true);
	cancel_delayed_work_sync(&scavenge_work);
}

/* Reports */

static struct task_struct *capture_task;
static struct seq_file *capture_seq;

/**
 * port_report_capture - copy the reports of this task to a file
 * @m: the file, or NULL to end it. One task at a time.
 */
void port_report_capture(struct seq_file *m)
{
	capture_seq = m;
	WRITE_ONCE(capture_task, m ? current : NULL);
}

/* A client that frees wrongly with each packet shall not fill the log. */
bool port_may_report(void)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 500);

	return __ratelimit(&limit);
}

/**
 * port_report - tell a person
 * @fmt: as printk()'s, one line without its end
 */
void port_report(const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	pr_err("%pV\n", &vaf);
	va_end(args);

	if (READ_ONCE(capture_task) == current && in_task()) {
		va_start(args, fmt);
		seq_vprintf(capture_seq, fmt, args);
		seq_putc(capture_seq, '\n');
		va_end(args);
	}
}

/**
 * port_start - begin to follow the CPUs
 *
 * Return: 0 or a negative errno.
 */
int __init port_start(void)
{
	int state;

	/* want_init_on_alloc(): the kernel was told to zero what it hands out. */
	kspan_page_source.zeroed = want_init_on_alloc(0);
	state = cpuhp_setup_state(CPUHP_BP_PREPARE_DYN, "kspan:prepare",
				  slots_cpu_prepare, slots_cpu_dead);
	if (state < 0)
		return state;
	slots_hotplug_state = state;
	return 0;
}

void port_stop(void)
{
	cpuhp_remove_state_nocalls(slots_hotplug_state);
}
