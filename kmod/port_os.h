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
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/topology.h>
#include <linux/types.h>

#define port_memset(p, c, n)		memset(p, c, n)
#define port_memcpy(d, s, n)		memcpy(d, s, n)
#define port_strlen(s)			strlen(s)
#define port_ctz64(x)			((u32)__ffs64(x))
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
#define port_synchronize_rcu()			synchronize_rcu()

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

static inline int port_nr_nodes(void)
{
	return nr_node_ids;
}

#define PORT_SITE				"%pS"

void port_report(const char *fmt, ...) __printf(1, 2);
void port_kick(struct kspan_heap *heap);

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

/* Without kmemleak in the kernel there is nothing left of these two. */
static __always_inline void port_obj_alloc(const void *p, size_t size, gfp_t gfp, bool noscan)
{
	if (ZERO_OR_NULL_PTR(p))
		return;
	kmemleak_alloc(p, size, 1, gfp);
	if (noscan)
		kmemleak_no_scan(p);
}

static __always_inline void port_obj_free(const void *p)
{
	if (!ZERO_OR_NULL_PTR(p))
		kmemleak_free(p);
}

/**
 * struct port_slotset - the kernel's part of struct kspan_slotset
 * @cur: the slot that each CPU works on: its own, or @closed while frozen and
 *	while the CPU has none. Changed with @freezer held; read by the CPU
 *	itself with preemption off, which is what a freezer waits for.
 * @slot: each CPU's own slot, or NULL; once made it stays until the end. Its
 *	last element, after those of the CPUs, is @closed.
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
