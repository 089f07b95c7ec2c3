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

typedef void lock_fn(port_lock_t *lock);

static void freezer_of(struct kspan_slotset *ss, void *fn)
{
	((lock_fn *)fn)(&ss->os.freezer.lock);
}

static void threads_of(struct kspan_slotset *ss, void *fn)
{
	((lock_fn *)fn)(&ss->os.lock);
}

/* All locks of @heap in their order, but for the one of the list of object caches. */
static void heap_each_lock(struct kspan_heap *heap, lock_fn *fn)
{
	struct kspan_node *node;
	u32 i, k;

	freezer_of(&heap->slots, fn);
	objcache_each_slotset(heap, freezer_of, fn);
	fn(&heap->rcu_lock);
	objcache_each_lock(heap, KSPAN_RANK_RCU, fn);
	heap_for_each_node(heap, node, k)
		for (i = 0; i < KSPAN_NR_STACKS; i++)
			fn(&node->central[i].lock);
	objcache_each_lock(heap, KSPAN_RANK_CENTRAL, fn);
	fn(&heap->lock);
	for (i = 0; i < KSPAN_NR_FIX; i++)
		fn(&heap->fix[i].own);
	fn(&heap->debug.quarantine.lock);
	threads_of(&heap->slots, fn);
	objcache_each_slotset(heap, threads_of, fn);
}

static void lock_all(struct kspan_heap *heap)
{
	lock_raw(&port_background_lock.lock);
	lock_raw(&port_start_lock.lock);
	lock_raw(&port_sets_lock.lock);
	if (!port_load(&heap->ready))
		return;
	lock_raw(&heap->caches_lock.lock);
	heap_each_lock(heap, lock_raw);
}

/* What says which there are comes last: whether the heap is there, the list of caches. */
static void unlock_all(struct kspan_heap *heap)
{
	if (port_load(&heap->ready)) {
		heap_each_lock(heap, unlock_raw);
		unlock_raw(&heap->caches_lock.lock);
	}
	unlock_raw(&port_sets_lock.lock);
	unlock_raw(&port_start_lock.lock);
	unlock_raw(&port_background_lock.lock);
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

/*
 * How many fork()s of this thread took no locks: in a handler that interrupted a lock,
 * which a fork() may have, whose locks these must leave alone.
 */
static __thread u32 nwithout __attribute__((tls_model("initial-exec")));

static void fork_prepare(void)
{
	if (port_is_nested()) {
		nwithout++;
		return;
	}
	if (streams_have_lock())
		_IO_list_lock();
	port_hold();
	lock_all(&kspan_heap0);
}

static void fork_end(void)
{
	unlock_all(&kspan_heap0);
	port_unhold();
}

static bool fork_was_without(void)
{
	if (!nwithout)
		return false;
	nwithout--;
	return true;
}

static void fork_parent(void)
{
	if (fork_was_without())
		return;
	fork_end();
	if (streams_have_lock())
		_IO_list_unlock();
}

static void fork_child(void)
{
	port_background_after_fork();
	if (fork_was_without())
		return;
	port_slots_after_fork();
	/* the threads that did are gone, with what they had in their hands */
	port_store(&kspan_heap0.nfreeing[0], 0);
	port_store(&kspan_heap0.nfreeing[1], 0);
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
