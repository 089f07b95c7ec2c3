// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * When idle memory goes back: by a thread of our own, or in the program's calls.
 *
 * Only a thread can give memory back while the program does not call in: a timer's
 * signal would interrupt the program's system calls, and no kernel does it for us.
 * But a thread is a thing that others can see, so there is one as seldom as can be:
 *
 *   - not before the program's first epoch is over, unless it has much memory;
 *   - while the program has no thread of its own and its heap is small, never: what
 *     needs one thread only (unshare(), capset(), seccomp) stays as it was. Memory
 *     goes back in calls that make or end spans, once an epoch;
 *   - only while there is something to give back: it ends when an epoch left
 *     nothing to do for the next;
 *   - with background=0 none, and memory goes back when the program asks.
 *
 * It is made by pthread_create(), so that setuid() and all else that must reach
 * every thread does (a bare clone() would keep root's rights in a process that has
 * given them away); with every signal blocked, so that none is handled there;
 * detached, so that nobody need know of it. A child of fork() has no such thread
 * until its own first kick, and fork() waits for the end of a pass, so that no page
 * is in its hands. What fork() in a signal handler needs besides: malloc_fork.c.
 */
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <time.h>
#include "port.h"

#define STACK_BYTES	((size_t)64 << 10)
#define MUCH_PAGES	(((size_t)64 << 20) / KSPAN_PAGE_SIZE)
#define RETRY_NS	(10 * 1000000000ull)

/* A heap of fewer arenas, warm ones too, has no thread if the program has none: 32 MiB. */
#define FEW_ARENAS	8u

/* Calls that do without the clock where passes are made in calls. */
#define KICKS_MISSED	16

bool kspan_background = true;
bool port_background_first;

/* Held during a pass, and over fork(). */
port_mutex_t port_background_lock = PORT_MUTEX_INIT;

static u32 running;		/* a thread is there or being made, or a pass; atomic */
static u64 not_before;		/* when to try (again) to make one, or the next pass */

static void sleep_ms(u32 ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
}

/* Whether the next pass may have something to do. */
static bool background_pass(struct kspan_heap *heap)
{
	bool more;

	port_mutex_lock(&port_background_lock);
	more = heap_scavenge(heap);
	port_mutex_unlock(&port_background_lock);
	return more;
}

/*
 * After the thread has said that it is gone: whether pages became idle since its
 * last pass, whose kick found it running (selftests/litmus/kick.litmus), and it
 * goes on for them. Nobody else may have begun.
 */
static bool background_again(struct kspan_heap *heap)
{
	unsigned long flags = port_lock(&heap->lock);
	bool idle = heap->node0.pages.nfree != heap->node0.pages.nreleased ||
		    warm_pages(heap);
	u32 none = 0;

	port_unlock(&heap->lock, flags);
	return idle && __atomic_compare_exchange_n(&running, &none, 1, false, __ATOMIC_ACQUIRE,
						   __ATOMIC_RELAXED);
}

static void *background_main(void *arg)
{
	struct kspan_heap *heap = arg;

	port_cgroup_adopt(heap);
	do {
		do {
			sleep_ms(heap->config.epoch_ms);
		} while (background_pass(heap));
		port_store_release(&running, 0);
	} while (background_again(heap));
	return NULL;
}

/*
 * The C library frees a thread's variables with the lock of its stacks held, which
 * pthread_create() takes, and dlopen() allocates while its lists are half made. These
 * calls come from the loader's code, and in a static program, which has none, from a
 * function of a hundred bytes. Hidden, so that it is found there alone.
 */
#pragma weak _dl_deallocate_tls
void _dl_deallocate_tls(void *tcb, bool all) KSPAN_HIDDEN;

#define DEALLOCATE_BYTES	512

struct port_code port_loader;
__thread u32 port_nquiet;

/* What every stack of the process has room for besides, at its top; 0: not known yet. */
static size_t tls_bytes;

/* By its name, which all of the C library's ports begin so; it may be run as a program. */
static bool is_loader(const char *path)
{
	const char *name = strrchr(path, '/');

	return name && !strncmp(name, "/ld-linux", 9);
}

static int look_at_object(struct dl_phdr_info *info, size_t len, void *sum)
{
	bool loader = is_loader(info->dlpi_name);
	u32 i;

	(void)len;
	for (i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		size_t nbytes = info->dlpi_phdr[i].p_memsz;
		u32 type = info->dlpi_phdr[i].p_type;

		if (type == PT_TLS)
			*(size_t *)sum += nbytes + info->dlpi_phdr[i].p_align;
		else if (loader && type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X)
			port_loader = (struct port_code){ start, nbytes };
	}
	return 0;
}

/*
 * Here, since it takes the loader's lock. What is loaded later has its variables
 * elsewhere, or in a reserve of the C library's, which STACK_BYTES has room for.
 */
__attribute__((constructor(102))) static void background_start(void)
{
	size_t sum = 1;

	if (_dl_deallocate_tls)
		port_loader = (struct port_code){ (uintptr_t)_dl_deallocate_tls,
						  DEALLOCATE_BYTES };
	dl_iterate_phdr(look_at_object, &sum);
	tls_bytes = sum;
}

/* Before the library's constructors: as large as the C library likes it. */
static void set_stack(pthread_attr_t *attr)
{
	if (tls_bytes)
		pthread_attr_setstacksize(attr, STACK_BYTES + tls_bytes);
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
	set_stack(&attr);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	if (__libc_single_threaded)
		port_store(&port_background_first, true);
	err = pthread_create(&thread, &attr, background_main, heap);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return !err;
}

/* Whether it is, with @nbytes more that are warm. */
static inline bool is_small(struct kspan_heap *heap, size_t nbytes)
{
	nbytes += port_load(&heap->warm.huge_bytes);
	return port_load(&heap->node0.pages.n) + nbytes / KSPAN_ARENA_SIZE < FEW_ARENAS;
}

/* The program has none of its own, and shall have none of ours. */
static inline bool has_no_threads(struct kspan_heap *heap)
{
	return __libc_single_threaded && is_small(heap, 0);
}

/* Too early for a thread, or for the next pass. */
static bool is_early(struct kspan_heap *heap, u64 now)
{
	/* there is no other node; as of a moment ago is good enough */
	return now < port_load(&not_before) &&
	       port_load(&heap->node0.pages.ninuse) < MUCH_PAGES;
}

/**
 * port_may_keep - may large memory that was freed stay for a while
 * @heap: whose
 * @nbytes: how much
 *
 * What a small program has idle may stay until it calls again, as any of its memory; more
 * only if there is a thread, or can be one now.
 *
 * Context: the heap's lock is held.
 * Return: whether it may.
 */
bool port_may_keep(struct kspan_heap *heap, size_t nbytes)
{
	if (heap != &kspan_heap0)
		return true;
	if (!kspan_background || !heap->config.epoch_ms)
		return false;
	return is_small(heap, nbytes) || port_load(&running) || !is_early(heap, port_now_ns());
}

/* What is to be done now. */
enum duty {
	NOTHING,
	A_PASS,
	A_THREAD,
};

static enum duty duty(struct kspan_heap *heap, u64 now)
{
	if (is_early(heap, now) || port_slots_shut_here())
		return NOTHING;
	return has_no_threads(heap) ? A_PASS : A_THREAD;
}

static noinline void kick(struct kspan_heap *heap)
{
	int saved = errno;
	u32 none = 0;
	u64 now;
	enum duty todo;

	if (port_is_nested() || port_slot_is_inside(&heap->slots) || port_nquiet ||
	    !heap->config.epoch_ms)
		return;
	now = port_now_ns();
	todo = duty(heap, now);
	if (todo == NOTHING ||
	    !__atomic_compare_exchange_n(&running, &none, 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return;
	if (todo == A_PASS) {
		background_pass(heap);
		port_store(&not_before, now + (u64)heap->config.epoch_ms * 1000000);
		port_store_release(&running, 0);
	} else if (!background_create(heap)) {
		port_store(&not_before, now + RETRY_NS);
		port_store_release(&running, 0);
	}
	errno = saved;
}

/*
 * Called wherever spans come and go, but nothing happens while a pass has
 * the slots frozen: pthread_create() allocates; nor in calls by the loader; nor in a
 * handler that interrupted an operation on a thread's slot, whose end a pass waits for.
 * While a thread runs, or when there is to be none, that costs a load. Otherwise a
 * clock and a lock, where the work is to be done in calls: in every KICKS_MISSED-th of
 * them. errno stays as it is.
 */
void port_kick(struct kspan_heap *heap)
{
	static u32 nkick;
	u32 n;

	if (port_load(&running) || !kspan_background || heap != &kspan_heap0)
		return;
	if (has_no_threads(heap)) {
		n = port_load(&nkick);
		port_store(&nkick, n + 1);
		if (n % KICKS_MISSED)
			return;
	}
	kick(heap);
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
