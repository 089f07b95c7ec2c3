/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The simulated half of the port contract (see kspan/port.h): every operation
 * that another CPU could see is a call into the simulator, which may let any
 * other context run first. What happens between two such calls is indivisible.
 * See sched.c.
 */
#ifndef KSPAN_PORT_OS_H
#define KSPAN_PORT_OS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
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

/* Memory and bits */
#define port_memset(p, c, n)	memset(p, c, n)
#define port_memcpy(d, s, n)	memcpy(d, s, n)
#define port_memmove(d, s, n)	memmove(d, s, n)
#define port_strlen(s)		strlen(s)
#define port_obj_fill(p, c, n)	memset(p, c, n)
#define port_obj_copy(d, s, n)	memcpy(d, s, n)
#define PORT_UNCHECKED
#define port_ctz64(x)		((u32)__builtin_ctzll(x))
#define port_clz64(x)		((u32)__builtin_clzll(x))
#define port_popcount64(x)	((u32)__builtin_popcountll(x))

/* Atomics: @size is 1, 2, 4 or 8 */
u64 sim_load(const volatile void *p, size_t size);
u64 sim_load_acquire(const volatile void *p, size_t size);
void sim_store(volatile void *p, u64 v, size_t size);
void sim_store_release(volatile void *p, u64 v, size_t size);
void sim_add(volatile void *p, u64 v, size_t size);
u32 port_fetch_add32(u32 *p, u32 v);
bool sim_cas(volatile void *p, u64 old, u64 new, u32 size);
u32 port_or32(u32 *p, u32 mask);
u32 port_andnot32(u32 *p, u32 mask);

#define port_load(p)		((__typeof__(*(p)))sim_load(p, sizeof(*(p))))
#define port_load_acquire(p)	((__typeof__(*(p)))sim_load_acquire(p, sizeof(*(p))))
#define port_store(p, v)	sim_store(p, (u64)(__typeof__(*(p)))(v), sizeof(*(p)))
#define port_store_release(p, v)					\
	sim_store_release(p, (u64)(__typeof__(*(p)))(v), sizeof(*(p)))
#define port_cas(p, old, new)						\
	sim_cas(p, (u64)(uintptr_t)(old), (u64)(uintptr_t)(new), sizeof(*(p)))
#define port_add(p, v)		sim_add(p, (u64)(v), sizeof(*(p)))

/**
 * struct port_lock_t - a lock: interrupts are off while it is held
 * @holder: 1 + the context that has it, 0 free
 * @rank: its place in the lock order
 */
typedef struct {
	u32 holder;
	u32 rank;
} port_lock_t;

void port_lock_init(port_lock_t *lock, u32 rank);
unsigned long port_lock(port_lock_t *lock);
bool port_trylock(port_lock_t *lock, unsigned long *flags);
void port_unlock(port_lock_t *lock, unsigned long flags);
void port_assert_held(port_lock_t *lock);

/* Mutexes: as locks, but sleep, and rank before all locks. */
#define PORT_RANK_MUTEX		((u32)KSPAN_NR_RANKS)

typedef struct {
	port_lock_t lock;
} port_mutex_t;

void port_mutex_init(port_mutex_t *mutex);
void port_mutex_lock(port_mutex_t *mutex);
void port_mutex_unlock(port_mutex_t *mutex);

/* Lists, which are sound before and after each operation or the run fails. */
typedef struct port_list {
	struct port_list *next;
	struct port_list *prev;
} port_list_t;

void sim_list_add(port_list_t *node, port_list_t *prev, port_list_t *next);
void port_list_del(port_list_t *node);

static inline void port_list_init(port_list_t *list)
{
	list->next = list;
	list->prev = list;
}

static inline void port_list_add(port_list_t *node, port_list_t *list)
{
	sim_list_add(node, list, list->next);
}

static inline void port_list_add_tail(port_list_t *node, port_list_t *list)
{
	sim_list_add(node, list->prev, list);
}

static inline bool port_list_empty(const port_list_t *list)
{
	return list->next == list;
}

static inline void port_list_move(port_list_t *node, port_list_t *list)
{
	port_list_del(node);
	port_list_add(node, list);
}

static inline void port_list_move_tail(port_list_t *node, port_list_t *list)
{
	port_list_del(node);
	port_list_add_tail(node, list);
}

#define port_list_first_entry(list, type, member)			\
	container_of((list)->next, type, member)
#define port_list_for_each_entry(pos, list, member)			\
	for (pos = container_of((list)->next, __typeof__(*pos), member);	\
	     &pos->member != (list);					\
	     pos = container_of(pos->member.next, __typeof__(*pos), member))
#define port_list_for_each_entry_safe(pos, tmp, list, member)		\
	for (pos = container_of((list)->next, __typeof__(*pos), member),	\
	     tmp = container_of(pos->member.next, __typeof__(*pos), member); \
	     &pos->member != (list);					\
	     pos = tmp,							\
	     tmp = container_of(tmp->member.next, __typeof__(*pos), member))

/**
 * struct port_rcu_t - a callback that waits for a grace period
 * @next: in the order in which they were given
 * @fn: what to call
 * @gen: for each context the section it was in, plus one; 0 for none
 */
typedef struct port_rcu {
	struct port_rcu *next;
	void (*fn)(struct port_rcu *head);
	u32 gen[16];
} port_rcu_t;

void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head));
void port_rcu_barrier(void);
void port_synchronize_rcu(void);

/* Others have their turn anywhere: what is looked at is whether one may sleep here. */
void port_relax(void);

/* Time, place, people */
u64 port_now_ns(void);
int port_node(void);
void port_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void port_error(struct kspan_heap *heap);
void port_set_errno(int e);
void port_kick(struct kspan_heap *heap);

static inline bool port_may_report(void)
{
	return true;
}

static inline bool port_may_keep(struct kspan_heap *heap, size_t nbytes)
{
	return true;
}

bool port_heap_start(struct kspan_heap *heap);
void port_defer(struct kspan_heap *heap);

/* Where pages may be asked for and given back: with the setting rt not everywhere. */
bool port_may_ask_source(void);

/* Observation: see watch.c. */
bool port_watch_alloc(void);
bool port_watch_free(void);
void port_obj_alloc(const void *p, size_t size, gfp_t gfp, bool noscan, uintptr_t caller);
void port_obj_alloc_nolock(const void *p, size_t size, gfp_t gfp, uintptr_t caller);
void port_obj_free(const void *p, uintptr_t caller);
bool port_obj_free_now(const void *p, uintptr_t caller);
bool port_frees_are_seen(void);
void port_obj_wait(const void *p);

/* A sanitizer, with the setting poisons: see shadow.c. */
bool port_poisons(void);
void port_poison(const void *p, size_t nbytes);
void port_unpoison(const void *p, size_t nbytes);

#define port_event_refill(size, wanted, got, node)	((void)(got))
#define port_event_span_alloc(start, npages, pclass, node)	((void)(start))
#define port_event_span_free(start, npages, pclass, node)	((void)(start))

/* What a checked heap may ask for: see guard.c. */
#define port_checked()					true
#define port_set_checked(on)				((void)(on))
u32 port_stack_save(gfp_t gfp);
void port_stack_report(const char *what, u32 stack);
bool port_should_fail(size_t size, gfp_t gfp);
void *port_guard_alloc(size_t size, gfp_t gfp, uintptr_t caller);
bool port_guard_free(struct kspan_heap *heap, void *ptr, uintptr_t caller);
size_t port_guard_size(const void *ptr);

#define PORT_SITE	"%p"

/**
 * struct port_slotset - the simulated part of struct kspan_slotset
 * @cur: the slot that each CPU works on: its own, or @closed while frozen or dead
 * @slot: each CPU's own slot
 * @closed: the closed slot
 * @thread: slots of threads; NULL until the first thread has one
 * @owner: whose each of these is: 1 + a context, 0 nobody's
 * @frozen: no thread may begin to work on its slot
 * @freezer: held from freeze to thaw, and while a dead CPU or thread is drained
 * @heap: whose objects the slots hold
 */
struct port_slotset {
	struct kspan_slot *cur[4];
	struct kspan_slot *slot[4];
	struct kspan_slot *closed;
	struct kspan_slot *thread[6];
	u32 owner[6];
	u32 frozen;
	port_mutex_t freezer;
	struct kspan_heap *heap;
};

#endif /* KSPAN_PORT_OS_H */
