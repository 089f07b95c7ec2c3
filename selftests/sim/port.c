// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The simulated port: memory accesses, locks, lists, time and people. Each
 * operation first lets the scheduler decide who goes on. See sched.c.
 */
#include <stdarg.h>
#include <stdlib.h>
#include "sim.h"

struct kspan_heap kspan_heap0;

/* Memory accesses */

static u64 peek(const volatile void *p, size_t size)
{
	switch (size) {
	case 1:
		return *(const volatile u8 *)p;
	case 2:
		return *(const volatile u16 *)p;
	case 4:
		return *(const volatile u32 *)p;
	default:
		return *(const volatile u64 *)p;
	}
}

static void poke(volatile void *p, u64 v, size_t size)
{
	switch (size) {
	case 1:
		*(volatile u8 *)p = v;
		break;
	case 2:
		*(volatile u16 *)p = v;
		break;
	case 4:
		*(volatile u32 *)p = v;
		break;
	default:
		*(volatile u64 *)p = v;
	}
}

u64 sim_load(const volatile void *p, size_t size)
{
	sim_point(EV_LOAD, p);
	shadow_access(p, size);
	return peek(p, size);
}

u64 sim_load_acquire(const volatile void *p, size_t size)
{
	sim_point(EV_ACQUIRE, p);
	shadow_access(p, size);
	return peek(p, size);
}

void sim_store(volatile void *p, u64 v, size_t size)
{
	sim_point(EV_STORE, p);
	shadow_access(p, size);
	poke(p, v, size);
}

void sim_store_release(volatile void *p, u64 v, size_t size)
{
	sim_point(EV_RELEASE, p);
	shadow_access(p, size);
	poke(p, v, size);
}

void sim_add(volatile void *p, u64 v, size_t size)
{
	sim_point(EV_RMW, p);
	shadow_access(p, size);
	poke(p, peek(p, size) + v, size);
}

u32 port_fetch_add32(u32 *p, u32 v)
{
	u32 old;

	sim_point(EV_RMW, p);
	old = *p;
	*p += v;
	return old;
}

bool sim_cas(volatile void *p, u64 old, u64 new, u32 size)
{
	sim_point(EV_RMW, p);
	shadow_access(p, size);
	if (peek(p, size) != old)
		return false;
	poke(p, new, size);
	return true;
}

u32 port_or32(u32 *p, u32 mask)
{
	u32 old;

	sim_point(EV_RMW, p);
	old = *p;
	*p |= mask;
	return old;
}

u32 port_andnot32(u32 *p, u32 mask)
{
	u32 old;

	sim_point(EV_RMW, p);
	old = *p;
	*p &= ~mask;
	return old;
}

/* Locks */

void port_lock_init(port_lock_t *lock, u32 rank)
{
	memset(lock, 0, sizeof(*lock));
	lock->rank = rank;
}

static u32 holder_id(const struct sim_ctx *ctx)
{
	return ctx->id + 1;
}

static bool lock_is_free(struct sim_ctx *ctx, void *arg)
{
	return !((port_lock_t *)arg)->holder;
}

static void lock_check_order(const port_lock_t *lock)
{
	struct sim_ctx *ctx;
	u32 rank;

	if (lock->rank > PORT_RANK_MUTEX)
		sim_fail("a lock that was never initialised is taken");
	for (rank = lock->rank; rank < KSPAN_NR_RANKS; rank++)
		if (sim.self->held[rank])
			sim_fail("a lock of rank %u is taken under one of rank %u",
				 lock->rank, rank);
	for (ctx = sim.self; ctx; ctx = ctx->over)
		if (lock->holder == holder_id(ctx))
			sim_fail("context %d takes a lock that context %d under it holds",
				 sim.self->id, ctx->id);
}

unsigned long port_lock(port_lock_t *lock)
{
	struct sim_ctx *self = sim.self;

	sim_point(EV_LOCK, lock);
	if (sim_in_nmi())
		sim_fail("an NMI waits for a lock of rank %u", lock->rank);
	lock_check_order(lock);
	self->irq_off++;
	sim_wait(lock_is_free, lock, cfg(CFG_BUSY));
	lock->holder = holder_id(self);
	self->held[lock->rank]++;
	return self->irq_off;
}

bool port_trylock(port_lock_t *lock, unsigned long *flags)
{
	struct sim_ctx *self = sim.self;

	sim_point(EV_LOCK, lock);
	if (lock->rank > PORT_RANK_MUTEX)
		sim_fail("a lock that was never initialised is tried");
	if (lock->holder)
		return false;
	*flags = ++self->irq_off;
	lock->holder = holder_id(self);
	self->held[lock->rank]++;
	return true;
}

void port_unlock(port_lock_t *lock, unsigned long flags)
{
	struct sim_ctx *self = sim.self;

	port_assert_held(lock);
	if (flags != self->irq_off)
		sim_fail("locks are given up with the flags of another");
	self->held[lock->rank]--;
	lock->holder = 0;
	self->irq_off--;
	sim_point(EV_UNLOCK, lock);
}

void port_assert_held(port_lock_t *lock)
{
	if (lock->holder != holder_id(sim.self))
		sim_fail("a lock of rank %u is not held", lock->rank);
}

void port_mutex_init(port_mutex_t *mutex)
{
	memset(mutex, 0, sizeof(*mutex));
	mutex->lock.rank = PORT_RANK_MUTEX;
}

void port_mutex_lock(port_mutex_t *mutex)
{
	struct sim_ctx *self = sim.self;

	sim_point(EV_MUTEX, mutex);
	if (sim_atomic(self))
		sim_fail("context %d takes a mutex where it must not sleep", self->id);
	if (mutex->lock.holder == holder_id(self))
		sim_fail("a mutex is taken twice");
	sim_wait(lock_is_free, &mutex->lock, false);
	mutex->lock.holder = holder_id(self);
	self->nmutex++;
}

void port_mutex_unlock(port_mutex_t *mutex)
{
	if (mutex->lock.holder != holder_id(sim.self))
		sim_fail("a mutex is given up by who does not hold it");
	mutex->lock.holder = 0;
	sim.self->nmutex--;
	sim_point(EV_UNLOCK, mutex);
}

/* Lists */

void sim_list_add(port_list_t *node, port_list_t *prev, port_list_t *next)
{
	if (prev->next != next || next->prev != prev)
		sim_fail("a list is broken where something is added");
	if (node == prev || node == next)
		sim_fail("something is added to a list twice");
	next->prev = node;
	node->next = next;
	node->prev = prev;
	prev->next = node;
}

void port_list_del(port_list_t *node)
{
	if (!node->next || !node->prev)
		sim_fail("something that is on no list is taken off it");
	if (node->next->prev != node || node->prev->next != node)
		sim_fail("a list is broken where something is taken off");
	node->next->prev = node->prev;
	node->prev->next = node->next;
	node->next = NULL;
	node->prev = NULL;
}

/* Time, place, people */

u64 port_now_ns(void)
{
	sim.now += 1000;
	return sim.now;
}

int port_node(void)
{
	return sim.self->cpu < 0 ? 0 : sim.self->cpu % cfg(CFG_NODES);
}

void port_report(const char *fmt, ...)
{
	va_list args;

	if (!sim.verbose)
		return;
	va_start(args, fmt);
	fputs("# kspan: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

void port_set_errno(int e)
{
	(void)e;
}

void port_relax(void)
{
	if (sim_atomic(sim.self) || sim.self->rcu_nest)
		sim_fail("context %d reschedules where it must not sleep", sim.self->id);
}

/* As on PREEMPT_RT, where the page allocator's locks sleep. */
bool port_may_ask_source(void)
{
	return !cfg(CFG_RT) || !sim_atomic(sim.self);
}

/* Scripts say when the scavenger comes. */
void port_kick(struct kspan_heap *heap)
{
	(void)heap;
}

bool port_heap_start(struct kspan_heap *heap)
{
	(void)heap;
	return false;
}

/* Scripts say when somebody catches up. */
void port_defer(struct kspan_heap *heap)
{
	(void)heap;
}
