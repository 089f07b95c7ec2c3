// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * fork(): the child has one thread, and the locks as they were at that moment.
 * So all of the default heap's are taken before and let go in both processes.
 *
 * A restartable sequence of another thread ends or has not begun in the child,
 * as for any interrupted one. Threads' slots whose thread is not there go to
 * the pool as they are; a busy flag of theirs means nothing any more.
 *
 * A signal handler may have interrupted somebody who holds one of the locks. A
 * fork() there takes none: what is interrupted goes on in both processes. A
 * lock of another thread stays taken in the child then; POSIX says that such a
 * child, if there were threads, may do no more than a handler may.
 *
 * fork() itself takes the lock of the list of streams after this handler, and a
 * thread in fflush(NULL) may have that while it waits for a stream whose user waits
 * in malloc(). So where the C library lets it be had, it is taken before ours, as it
 * does for its own malloc(); it is recursive.
 *
 * The locks are taken in the order of enum kspan_rank, but several of a rank,
 * which debug builds would take for a mistake: hence not by port_lock().
 */
#include <pthread.h>
#include "port.h"

static void lock_raw(port_lock_t *lock)
{
	u32 old = 0;

	if (!__atomic_compare_exchange_n(&lock->state, &old, 1, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		port_lock_wait(lock);
}

static void unlock_raw(port_lock_t *lock)
{
	if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2)
		port_lock_wake(lock);
}

/* All locks of @heap in their order; in the child nobody waits for them. */
static void heap_each_lock(struct kspan_heap *heap, void (*fn)(port_lock_t *lock))
{
	u32 i, node;

	fn(&heap->caches_lock.lock);
	fn(&heap->slots.os.freezer.lock);
	fn(&heap->rcu_lock);
	for (node = 0; node < heap->nnodes; node++)
		for (i = 0; i < KSPAN_NR_STACKS; i++)
			fn(&heap->central[node][i].lock);
	fn(&heap->lock);
	for (i = 0; i < KSPAN_NR_FIX; i++)
		fn(&heap->fix[i].lock);
	fn(&heap->slots.os.lock);
}

static void each_lock(void (*fn)(port_lock_t *lock))
{
	fn(&port_background_lock.lock);
	fn(&port_start_lock.lock);
	fn(&port_sets_lock.lock);
	if (port_load(&kspan_heap0.ready))
		heap_each_lock(&kspan_heap0, fn);
}

/* The C library's own; not in its headers, so not in every one. */
#pragma weak _IO_list_lock
#pragma weak _IO_list_unlock
#pragma weak _IO_list_resetlock
void _IO_list_lock(void);
void _IO_list_unlock(void);
void _IO_list_resetlock(void);

static bool streams_have_lock(void)
{
	return _IO_list_lock && _IO_list_unlock && _IO_list_resetlock;
}

/* The locks were taken by this thread's fork(). */
static __thread bool locked __attribute__((tls_model("initial-exec")));

static void fork_prepare(void)
{
	if (port_is_nested())
		return;
	if (streams_have_lock())
		_IO_list_lock();
	port_hold();
	each_lock(lock_raw);
	locked = true;
}

static void fork_end(void)
{
	locked = false;
	each_lock(unlock_raw);
	port_unhold();
}

static void fork_parent(void)
{
	if (!locked)
		return;
	fork_end();
	if (streams_have_lock())
		_IO_list_unlock();
}

static void fork_child(void)
{
	port_background_after_fork();
	if (!locked)
		return;
	port_slots_after_fork();
	fork_end();
	/* the library may have done so before */
	if (streams_have_lock())
		_IO_list_resetlock();
}

/*
 * Called early, so that handlers registered later, which may allocate, run
 * outside of the time in which the locks are held.
 */
void port_fork_start(void)
{
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}
