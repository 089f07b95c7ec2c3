/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The userspace half of the port contract (see kspan/port.h): libc and
 * compiler builtins, liburcu's lists, a futex for a lock. Nothing here may
 * call malloc(): this code is what malloc() is made of.
 */
#ifndef KSPAN_PORT_OS_H
#define KSPAN_PORT_OS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <urcu/list.h>
#include <kspan/types.h>

#ifndef likely
#define likely(x)	__builtin_expect(!!(x), 1)
#endif
#ifndef unlikely
#define unlikely(x)	__builtin_expect(!!(x), 0)
#endif
#ifndef noinline
#define noinline	__attribute__((noinline))
#endif
#ifndef __always_inline
#define __always_inline	inline __attribute__((always_inline))
#endif
#ifndef container_of
#define container_of(ptr, type, member)					\
	((type *)((char *)(ptr) - offsetof(type, member)))
#endif
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif
#ifndef min
#define min(a, b)							\
	({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#endif
#ifndef max
#define max(a, b)							\
	({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#endif

#define KSPAN_HIDDEN	__attribute__((visibility("hidden")))

/* Said before their other declarations, so that no access goes by the GOT. */
extern struct kspan_heap kspan_heap0 KSPAN_HIDDEN;
extern struct kspan_regions kspan_no_regions KSPAN_HIDDEN;
extern struct kspan_arena kspan_no_arena KSPAN_HIDDEN;

/* Memory and bits */
#define port_memset(p, c, n)	memset(p, c, n)
#define port_memcpy(d, s, n)	memcpy(d, s, n)
#define port_memmove(d, s, n)	memmove(d, s, n)
#define port_strlen(s)		strlen(s)
#define port_ctz64(x)		((u32)__builtin_ctzll(x))
#define port_clz64(x)		((u32)__builtin_clzll(x))
#define port_popcount64(x)	((u32)__builtin_popcountll(x))

/* Atomics: one access, not torn, for integers and pointers */
#define port_load(p)		__atomic_load_n(p, __ATOMIC_RELAXED)
#define port_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define port_store(p, v)	__atomic_store_n(p, v, __ATOMIC_RELAXED)
#define port_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define port_add(p, v)		((void)__atomic_fetch_add(p, v, __ATOMIC_RELAXED))

static inline u32 port_fetch_add32(u32 *p, u32 v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}

#define port_cas(p, old, new)							\
({									\
	__typeof__(*(p)) was_ = (old);					\
									\
	__atomic_compare_exchange_n(p, &was_, new, false, __ATOMIC_SEQ_CST,	\
				    __ATOMIC_RELAXED);			\
})

static inline u32 port_or32(u32 *p, u32 mask)
{
	return __atomic_fetch_or(p, mask, __ATOMIC_SEQ_CST);
}

static inline u32 port_andnot32(u32 *p, u32 mask)
{
	return __atomic_fetch_and(p, ~mask, __ATOMIC_SEQ_CST);
}

/**
 * struct port_lock_t - a mutex of one word
 * @state: 0 free, 1 taken, 2 taken and somebody may sleep on it
 * @rank: debug builds: its place in the lock order
 * @holder: debug builds: identity of the thread that has it
 *
 * Held for short, so a waiter spins a little before it sleeps.
 */
typedef struct {
	u32 state;
#ifdef KSPAN_DEBUG
	u32 rank;
	const void *holder;
#endif
} port_lock_t;

void port_lock_wait(port_lock_t *lock) KSPAN_HIDDEN;
void port_lock_wake(port_lock_t *lock) KSPAN_HIDDEN;

#ifdef KSPAN_DEBUG
void port_lock_taking(port_lock_t *lock) KSPAN_HIDDEN;
void port_lock_taken(port_lock_t *lock) KSPAN_HIDDEN;
void port_lock_leaving(port_lock_t *lock) KSPAN_HIDDEN;
void port_lock_check(port_lock_t *lock) KSPAN_HIDDEN;
#else
static inline void port_lock_taking(port_lock_t *lock) { (void)lock; }
static inline void port_lock_taken(port_lock_t *lock) { (void)lock; }
static inline void port_lock_leaving(port_lock_t *lock) { (void)lock; }
static inline void port_lock_check(port_lock_t *lock) { (void)lock; }
#endif

static inline void port_lock_init(port_lock_t *lock, u32 rank)
{
	memset(lock, 0, sizeof(*lock));
#ifdef KSPAN_DEBUG
	lock->rank = rank;
#else
	(void)rank;
#endif
}

/*
 * Locks that this thread has or is about to have. A signal handler that finds
 * it not to be 0 has interrupted one: it must take none, see malloc_nested.c.
 * Handlers leave it as they found it, so plain accesses do.
 */
extern __thread u32 port_nheld KSPAN_HIDDEN __attribute__((tls_model("initial-exec")));

static inline bool port_is_nested(void)
{
	return port_load(&port_nheld) != 0;
}

static inline void port_hold(void)
{
	port_store(&port_nheld, port_load(&port_nheld) + 1);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void port_unhold(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	port_store(&port_nheld, port_load(&port_nheld) - 1);
}

static inline unsigned long port_lock(port_lock_t *lock)
{
	u32 old = 0;

	port_hold();
	port_lock_taking(lock);
	/* pairs with the release in port_unlock() */
	if (unlikely(!__atomic_compare_exchange_n(&lock->state, &old, 1, false,
						  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		port_lock_wait(lock);
	port_lock_taken(lock);
	return 0;
}

/* A handler may try a lock while its thread holds others: no order is kept. */
static inline bool port_trylock(port_lock_t *lock, unsigned long *flags)
{
	u32 old = 0;

	*flags = 0;
	port_hold();
	/* pairs with the release in port_unlock() */
	if (__atomic_compare_exchange_n(&lock->state, &old, 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED)) {
		port_lock_taken(lock);
		return true;
	}
	port_unhold();
	return false;
}

static inline void port_unlock(port_lock_t *lock, unsigned long flags)
{
	(void)flags;
	port_lock_leaving(lock);
	/* pairs with the acquire in port_lock() and port_lock_wait() */
	if (unlikely(__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2))
		port_lock_wake(lock);
	port_unhold();
}

#define port_assert_held(lock)	port_lock_check(lock)

/* Mutexes: the same, ranked before every lock. */
#define PORT_RANK_MUTEX		((u32)KSPAN_NR_RANKS)

typedef struct {
	port_lock_t lock;
} port_mutex_t;

static inline void port_mutex_init(port_mutex_t *mutex)
{
	port_lock_init(&mutex->lock, PORT_RANK_MUTEX);
}

static inline void port_mutex_lock(port_mutex_t *mutex)
{
	port_lock(&mutex->lock);
}

static inline void port_mutex_unlock(port_mutex_t *mutex)
{
	port_unlock(&mutex->lock, 0);
}

#ifdef KSPAN_DEBUG
#define PORT_MUTEX_INIT		{ .lock = { .rank = PORT_RANK_MUTEX } }
#else
#define PORT_MUTEX_INIT		{ }
#endif

/* Lists */
typedef struct cds_list_head port_list_t;

#define port_list_init(list)			CDS_INIT_LIST_HEAD(list)
#define port_list_add(node, list)		cds_list_add(node, list)
#define port_list_add_tail(node, list)		cds_list_add_tail(node, list)
#define port_list_del(node)			cds_list_del(node)
#define port_list_empty(list)			cds_list_empty(list)
#define port_list_move(node, list)		cds_list_move(node, list)
#define port_list_first_entry(list, type, member)			\
	cds_list_first_entry(list, type, member)
/*
 * Not liburcu's loops: at their end they look into the entry that the list's
 * head would be in, which it is not, and UBSan says that it is misaligned.
 */
#define port_list_is_head(pos, list, member)				\
	((char *)(pos) + offsetof(__typeof__(*(pos)), member) == (char *)(list))
#define port_list_for_each_entry(pos, list, member)			\
	for (pos = container_of((list)->next, __typeof__(*(pos)), member);	\
	     !port_list_is_head(pos, list, member);			\
	     pos = container_of((pos)->member.next, __typeof__(*(pos)), member))
#define port_list_for_each_entry_safe(pos, tmp, list, member)		\
	for (pos = container_of((list)->next, __typeof__(*(pos)), member);	\
	     !port_list_is_head(pos, list, member) &&			\
	     (tmp = container_of((pos)->member.next, __typeof__(*(pos)), member), true); \
	     pos = tmp)

static inline void port_list_move_tail(port_list_t *node, port_list_t *list)
{
	cds_list_del(node);
	cds_list_add_tail(node, list);
}

/* RCU: rcu.c, or its absence in the malloc library (norcu.c) */
typedef struct {
	void *opaque[4];
} port_rcu_t;

void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head)) KSPAN_HIDDEN;
void port_rcu_barrier(void) KSPAN_HIDDEN;
void port_synchronize_rcu(void) KSPAN_HIDDEN;

/* Threads are preempted anywhere. */
static inline void port_relax(void)
{
}

/* Time, place, people */
u64 port_now_ns(void) KSPAN_HIDDEN;
void port_report(const char *fmt, ...) KSPAN_HIDDEN __attribute__((format(printf, 1, 2)));
void port_error(struct kspan_heap *heap) KSPAN_HIDDEN;
bool port_heap_start(struct kspan_heap *heap) KSPAN_HIDDEN;

static inline bool port_may_report(void)
{
	return true;
}

static inline int port_node(void)
{
	return 0;
}

static inline void port_set_errno(int e)
{
	errno = e;
}

/* A code address in a report. */
#define PORT_SITE	"%p"

/* background.c */
void port_kick(struct kspan_heap *heap) KSPAN_HIDDEN;
bool port_may_keep(struct kspan_heap *heap, size_t nbytes) KSPAN_HIDDEN;

/* Nobody observes, but AddressSanitizer. */
#include "asan.h"
#define port_watch_alloc()				port_poisons()
#define port_watch_free()				port_poisons()
#define port_obj_alloc(p, size, gfp, noscan, caller)	((void)(noscan), port_asan_alloc(p))
#define port_obj_free(p, caller)			port_asan_free(p)
#define port_obj_alloc_nolock(p, size, gfp, caller)	port_asan_alloc(p)
#define port_obj_free_now(p, caller)			(port_asan_free(p), true)
#define port_frees_are_seen()				false
#define port_obj_wait(p)				((void)(p))
#define port_event_refill(size, wanted, got, node)	((void)(got))
#define port_event_span_alloc(start, npages, pclass, node)	((void)(start))
#define port_event_span_free(start, npages, pclass, node)	((void)(start))

static __always_inline bool port_may_ask_source(void)
{
	return true;
}

/* The next call that misses its cache catches up, or the scavenger. */
static inline void port_defer(struct kspan_heap *heap)
{
	(void)heap;
}

/* What a checked heap may ask for and nobody here has. */
#define port_checked()					true
#define port_set_checked(on)				((void)(on))
#define port_stack_save(gfp)				((void)(gfp), 0u)
#define port_stack_report(what, stack)			((void)(stack))
#define port_should_fail(size, gfp)			false
#define port_guard_alloc(size, gfp, caller)		((void *)NULL)
#define port_guard_free(heap, p, caller)		false
#define port_guard_size(p)				((size_t)0)

/**
 * struct port_slotset - the userspace part of struct kspan_slotset
 * @cur: where the fast operations find slot 0: @slots, or closed slots while
 *	frozen and in processes without rseq. Written by the freezer, read by
 *	every operation inside its restartable sequence.
 * @slots: slots of the CPUs, KSPAN_SLOT_STRIDE apart; NULL without rseq
 * @standin: a closed slot whose header may be written: what port_slot_this()
 *	gives where there is no other
 * @heap: whose objects the slots hold
 * @freezer: held from freeze to thaw, and by a thread that gives its slot back
 * @nshut: vfork() children that share the slots; @freezer
 * @frozen: set while frozen; written under @freezer, read by the operations on
 *	threads' slots
 * @id: place in the threads' arrays of slots, or -1: no caching for threads
 * @gen: tells this slotset from an earlier one with its @id
 * @lock: KSPAN_RANK_META; the following
 * @thread_slot: every slot that a thread has or had
 * @nthread: how many; only grows
 * @pool: 1 + index of the first slot without a thread, 0: none
 */
struct port_slotset {
	char *cur;
	char *slots;
	struct kspan_slot *standin;
	struct kspan_heap *heap;
	port_mutex_t freezer;
	u32 nshut;
	u32 frozen;
	int id;
	u64 gen;
	port_lock_t lock;
	struct kspan_slot **thread_slot;
	u32 nthread;
	u32 pool;
};

#endif /* KSPAN_PORT_OS_H */
