// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The scavenger's thread: gives idle memory back while the program does not
 * call in.
 *
 * It exists only while there is something to give back. port_kick() starts it
 * when spans come or go in a process that is older than an epoch or that has
 * much memory, so a short program never has one; it ends when an epoch left
 * nothing to do for the next. It is made by pthread_create(), so that setuid()
 * and all else that must reach every thread does; with every signal blocked,
 * so that none is handled there; detached, so that nobody need know of it. A
 * child of fork() has no such thread until its own first kick, and fork()
 * waits for the end of a pass, so that no page is in its hands. With
 * background=0 there is none, and memory goes back when the program asks.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "port.h"

#define STACK_BYTES	(64u << 10)
#define MUCH_PAGES	(((size_t)64 << 20) / KSPAN_PAGE_SIZE)
#define RETRY_NS	(10 * 1000000000ull)

bool kspan_background = true;

/* Held during a pass, and over fork(). */
port_mutex_t port_background_lock = PORT_MUTEX_INIT;

static u32 running;		/* a thread is there or being made; atomic */
static u64 not_before;		/* when to try (again) to make one */

static void sleep_ms(u32 ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
}

static void *background_main(void *arg)
{
	struct kspan_heap *heap = arg;
	bool more;

	port_cgroup_adopt(heap);
	do {
		sleep_ms(heap->config.epoch_ms);
		port_mutex_lock(&port_background_lock);
		more = heap_scavenge(heap);
		port_mutex_unlock(&port_background_lock);
	} while (more);
	port_store_release(&running, 0);
	return NULL;
}

static bool background_create(struct kspan_heap *heap)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (pthread_attr_init(&attr))
		return false;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&thread, &attr, background_main, heap);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return !err;
}

static bool much_in_use(struct kspan_heap *heap)
{
	unsigned long flags = port_lock(&heap->lock);
	bool much = heap->pages.ninuse >= MUCH_PAGES;

	port_unlock(&heap->lock, flags);
	return much;
}

/*
 * Called wherever spans come and go, but nothing happens while the thread has
 * the slots frozen: pthread_create() allocates. While a thread runs, or when there is to
 * be none, that costs a load. errno stays as it is.
 */
void port_kick(struct kspan_heap *heap)
{
	int saved = errno;
	u32 none = 0;
	u64 now;

	if (port_load(&running) || !kspan_background || heap != &kspan_heap0 ||
	    port_is_nested() || !heap->config.epoch_ms)
		return;
	now = port_now_ns();
	if (now < port_load(&not_before) && !much_in_use(heap))
		return;
	if (!__atomic_compare_exchange_n(&running, &none, 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return;
	if (!background_create(heap)) {
		port_store(&not_before, now + RETRY_NS);
		port_store_release(&running, 0);
	}
	errno = saved;
}

/* The default heap is about to start. */
void port_background_start(u32 epoch_ms)
{
	not_before = port_now_ns() + (u64)epoch_ms * 1000000;
}

/* In the child of a fork: the thread was not copied. */
void port_background_after_fork(void)
{
	running = 0;
}
