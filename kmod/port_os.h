/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The kernel's half of the port contract (see kspan/port.h): everything but
 * the four operations on a slot, which are in port_slot.h.
 */
#ifndef KSPAN_PORT_OS_H
#define KSPAN_PORT_OS_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/topology.h>
#include <linux/tracepoint-defs.h>
#include <linux/types.h>

#define port_memset(p, c, n)		memset(p, c, n)
#define port_memcpy(d, s, n)		memcpy(d, s, n)
#define port_memmove(d, s, n)		memmove(d, s, n)
#define port_strlen(s)			strlen(s)
/* Of objects that KASAN takes for free, or not yet for allocated: it does not look. */
#ifdef CONFIG_KASAN_GENERIC
#define port_obj_fill(p, c, n)		__memset(p, c, n)
#define port_obj_copy(d, s, n)		__memcpy(d, s, n)
#else
#define port_obj_fill(p, c, n)		memset(p, c, n)
#define port_obj_copy(d, s, n)		memcpy(d, s, n)
#endif
#define PORT_UNCHECKED			__no_sanitize_address noinline
#define port_ctz64(x)			((u32)__ffs64(x))
#define port_clz64(x)			((u32)(63 - __fls(x)))
#define port_popcount64(x)		((u32)hweight64(x))

#define port_load(p)			READ_ONCE(*(p))
#define port_store(p, v)		WRITE_ONCE(*(p), v)
/* the core names the pair of each */
#define port_load_acquire(p)		smp_load_acquire(p)
/* and of each of these */
#define port_store_release(p, v)	smp_store_release(p, v)

/*
 * The core's counters are plain integers, which is what userspace's atomics
 * work on; the kernel's work on a struct of the same layout.
 */
static_assert(sizeof(atomic_t) == sizeof(u32) && sizeof(atomic64_t) == sizeof(u64),
	      "an atomic is as large as its integer");

static __always_inline void port_add_sized(void *p, u64 v, size_t size)
{
	if (size == sizeof(u32))
		atomic_add((int)v, (atomic_t *)p);
	else
		atomic64_add((s64)v, (atomic64_t *)p);
}

#define port_add(p, v)							\
do {									\
	BUILD_BUG_ON(sizeof(*(p)) != sizeof(u32) &&			\
		     sizeof(*(p)) != sizeof(u64));			\
	port_add_sized(p, v, sizeof(*(p)));				\
} while (0)

/* Full barriers, from any context. */
static inline u32 port_fetch_add32(u32 *p, u32 v)
{
	return atomic_fetch_add((int)v, (atomic_t *)p);
}

#define port_cas(p, old, new)							\
({									\
	__typeof__(*(p)) was_ = (old);					\
									\
	cmpxchg(p, was_, new) == was_;					\
})

static inline u32 port_or32(u32 *p, u32 mask)
{
	return atomic_fetch_or((int)mask, (atomic_t *)p);
}

static inline u32 port_andnot32(u32 *p, u32 mask)
{
	return atomic_fetch_andnot((int)mask, (atomic_t *)p);
}

/*
 * Interrupts are off under every lock, so that an interrupt may allocate.
 * A lockdep class per rank: two locks of one rank at a time, and an order that
 * contradicts one seen before, are reported.
 */
typedef raw_spinlock_t port_lock_t;

extern struct lock_class_key port_lock_key[KSPAN_NR_RANKS];
extern const char *const port_lock_name[KSPAN_NR_RANKS];

#define port_lock_init(lock, rank)					\
do {									\
	raw_spin_lock_init(lock);					\
	lockdep_set_class_and_name(lock, &port_lock_key[rank],		\
				   port_lock_name[rank]);		\
} while (0)

static inline unsigned long port_lock(port_lock_t *lock)
	__acquires(lock)
{
	unsigned long flags;

	raw_spin_lock_irqsave(lock, flags);
	return flags;
}

/*
 * In a kernel for one CPU a lock is no more than interrupts off, and can always be had:
 * an NMI cannot see that it has interrupted the holder. It takes none there.
 */
static inline bool port_trylock(port_lock_t *lock, unsigned long *flags)
{
	if (!IS_ENABLED(CONFIG_SMP) && in_nmi())
		return false;
	return raw_spin_trylock_irqsave(lock, *flags);
}

static inline void port_unlock(port_lock_t *lock, unsigned long flags)
	__releases(lock)
{
	raw_spin_unlock_irqrestore(lock, flags);
}

#define port_assert_held(lock)			lockdep_assert_held(lock)

typedef struct mutex port_mutex_t;

#define port_mutex_init(mutex)			mutex_init(mutex)
#define port_mutex_lock(mutex)			mutex_lock(mutex)
#define port_mutex_unlock(mutex)		mutex_unlock(mutex)

typedef struct list_head port_list_t;

#define port_list_init(list)			INIT_LIST_HEAD(list)
#define port_list_add(node, list)		list_add(node, list)
#define port_list_add_tail(node, list)		list_add_tail(node, list)
#define port_list_del(node)			list_del(node)
#define port_list_empty(list)			list_empty(list)
#define port_list_move(node, list)		list_move(node, list)
#define port_list_move_tail(node, list)		list_move_tail(node, list)
#define port_list_first_entry(list, type, member)			\
	list_first_entry(list, type, member)
#define port_list_for_each_entry(pos, list, member)			\
	list_for_each_entry(pos, list, member)
#define port_list_for_each_entry_safe(pos, tmp, list, member)		\
	list_for_each_entry_safe(pos, tmp, list, member)

typedef struct rcu_head port_rcu_t;

static inline void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head))
{
	call_rcu(head, fn);
}

#define port_rcu_barrier()			rcu_barrier()
#define port_synchronize_rcu()			synchronize_rcu()

/* For kernels that preempt only where they are told to; elsewhere nothing. */
#define port_relax()				cond_resched()

/* A code address in a report. */
#define PORT_SITE				"%pS"

static inline u64 port_now_ns(void)
{
	return ktime_get_mono_fast_ns();
}

static inline int port_node(void)
{
	return numa_mem_id();
}

void port_report(const char *fmt, ...) __printf(1, 2);
bool port_may_report(void);

/*
 * The page allocator's locks sleep on PREEMPT_RT. Those of kspan do not, so an
 * allocation where one must not sleep fails only when the heap has to grow.
 */
static inline bool port_may_ask_source(void)
{
	return !IS_ENABLED(CONFIG_PREEMPT_RT) || preemptible();
}

void port_kick(struct kspan_heap *heap);

static inline bool port_may_keep(struct kspan_heap *heap, size_t nbytes)
{
	return true;
}

void port_defer(struct kspan_heap *heap);

/* A report is all: the machine goes on, and so does whoever erred. */
static inline void port_error(struct kspan_heap *heap)
{
}

static inline void port_set_errno(int e)
{
}

/* The module makes the default heap before anybody can call it. */
static inline bool port_heap_start(struct kspan_heap *heap)
{
	return false;
}

/*
 * Observation. An event that is off costs a nop: tracepoint_enabled() is a
 * static branch, and the call behind it lies out of the way. The code that the
 * event needs is in trace.c.
 */
DECLARE_TRACEPOINT(kspan_alloc);
DECLARE_TRACEPOINT(kspan_free);
DECLARE_TRACEPOINT(kspan_refill);
DECLARE_TRACEPOINT(kspan_span_alloc);
DECLARE_TRACEPOINT(kspan_span_free);

void port_trace_alloc(unsigned long caller, const void *ptr, size_t size, gfp_t gfp,
		      bool noscan);
void port_trace_free(unsigned long caller, const void *ptr);
void port_trace_refill(u32 size, u32 wanted, u32 got, int node);
void port_trace_span_alloc(unsigned long start, size_t npages, u32 pclass, int node);
void port_trace_span_free(unsigned long start, size_t npages, u32 pclass, int node);

size_t kspan_size(const void *ptr);

/*
 * KASAN, the generic one: the others tell objects by tags in their pointers. kasan.c,
 * which is there where it is. Any context: they write to KASAN's shadow, no more.
 */
#define port_poisons()				IS_ENABLED(CONFIG_KASAN_GENERIC)
void port_poison(const void *p, size_t nbytes);
void port_unpoison(const void *p, size_t nbytes);

/* core/poison.c */
void poison_alloc(const void *ptr);
void poison_free(const void *ptr);

/*
 * Of the parts for kmemleak, KASAN and CONFIG_DEBUG_ATOMIC_SLEEP nothing is left in a kernel
 * without them. Where
 * they are, what a wrong free says is looked at before they hear of it: kmemleak would
 * forget, and KASAN take for free, an object of somebody else's.
 */
static __always_inline bool port_watch_alloc(void)
{
	return IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) || IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP) ||
	       port_poisons() || tracepoint_enabled(kspan_alloc);
}

static __always_inline bool port_watch_free(void)
{
	return IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) || port_poisons() ||
	       tracepoint_enabled(kspan_free);
}

static __always_inline void port_obj_alloc(const void *p, size_t size, gfp_t gfp, bool noscan,
					   uintptr_t caller)
{
	/* as SLUB: who must not sleep is told so even if the object was at hand */
	if (IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP))
		might_alloc(gfp);
	if (tracepoint_enabled(kspan_alloc))
		port_trace_alloc(caller, p, size, gfp, noscan);
	if (port_poisons())
		poison_alloc(p);
	if (!IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) || ZERO_OR_NULL_PTR(p))
		return;
	kmemleak_alloc(p, size, 1, gfp);
	if (noscan)
		kmemleak_no_scan(p);
}

static __always_inline void port_obj_free(const void *p, uintptr_t caller)
{
	if (tracepoint_enabled(kspan_free))
		port_trace_free(caller, p);
	if (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) && !ZERO_OR_NULL_PTR(p) && kspan_size(p))
		kmemleak_free(p);
	if (port_poisons())
		poison_free(p);
}

/* kmemleak takes locks, and an NMI may have interrupted it. */
static __always_inline bool port_frees_are_seen(void)
{
	return IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) || tracepoint_enabled(kspan_free);
}

static __always_inline bool port_obj_free_now(const void *p, uintptr_t caller)
{
	if (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) && in_nmi())
		return false;
	port_obj_free(p, caller);
	return true;
}

static __always_inline void port_obj_alloc_nolock(const void *p, size_t size, gfp_t gfp,
						  uintptr_t caller)
{
	if (tracepoint_enabled(kspan_alloc))
		port_trace_alloc(caller, p, size, gfp, false);
	if (port_poisons())
		poison_alloc(p);
}

/*
 * Nobody but a list that kmemleak does not see points to it from now on, so it is to be
 * forgotten. Not by kmemleak_ignore(), which complains of an object that was never
 * known, as one of kspan_alloc_nolock() is.
 */
static __always_inline void port_obj_wait(const void *p)
{
	if (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) && !ZERO_OR_NULL_PTR(p) && kspan_size(p))
		kmemleak_free(p);
}

static __always_inline void port_event_refill(u32 size, u32 wanted, u32 got, int node)
{
	if (tracepoint_enabled(kspan_refill))
		port_trace_refill(size, wanted, got, node);
}

static __always_inline void port_event_span_alloc(uintptr_t start, size_t npages, u32 pclass,
						  int node)
{
	if (tracepoint_enabled(kspan_span_alloc))
		port_trace_span_alloc(start, npages, pclass, node);
}

static __always_inline void port_event_span_free(uintptr_t start, size_t npages, u32 pclass,
						 int node)
{
	if (tracepoint_enabled(kspan_span_free))
		port_trace_span_free(start, npages, pclass, node);
}

/* debug.c: whether the heap is checked; a nop while it is not. */
DECLARE_STATIC_KEY_FALSE(kspan_checked_key);
#define port_checked()				static_branch_unlikely(&kspan_checked_key)
void port_set_checked(bool on);
u32 port_stack_save(gfp_t gfp);
void port_stack_report(const char *what, u32 stack);
bool port_should_fail(size_t size, gfp_t gfp);

/* guard.c */
void *port_guard_alloc(size_t size, gfp_t gfp, uintptr_t caller);
bool port_guard_free(struct kspan_heap *heap, void *ptr, uintptr_t caller);
size_t port_guard_size(const void *ptr);

/**
 * struct port_slotset - the kernel's part of struct kspan_slotset
 * @cur: the slot that each CPU works on: its own, or @closed while frozen and
 *	while the CPU has none. Changed with @freezer held; read by the CPU
 *	itself with preemption off, which is what a freezer waits for.
 * @slot: each CPU's own slot, or NULL; once made it stays until the end. After
 *	those of the CPUs comes @closed, and then @cur, for kmemleak.
 * @closed: a closed slot, without room for objects
 * @heap: whose objects the slots hold
 * @freezer: held from freeze to thaw
 * @node: on the list of all slotsets
 */
struct port_slotset {
	struct kspan_slot *__percpu *cur;
	struct kspan_slot **slot;
	struct kspan_slot *closed;
	struct kspan_heap *heap;
	struct mutex freezer;	/* of @cur, and of the slots while frozen */
	struct list_head node;
};

#endif /* KSPAN_PORT_OS_H */
