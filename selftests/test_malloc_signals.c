// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * malloc() in signal handlers, whatever they interrupted: each lock of the heap
 * held, a slot in use, and at random places of busy threads. Runs a second time
 * without rseq.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "again.h"
#include "malloc_test.h"
#include "port.h"

#if !SANITIZED

#define NTHREADS	4
#define NSIGNALS	20000
#define NKEPT		64

static size_t odd_size(u32 *seed)
{
	u32 r = next(seed);

	if (r % 100 == 0)
		return 40000 + next(seed) % 100000;
	return r % 10 ? 1 + next(seed) % 300 : 1 + next(seed) % 5000;
}

/* One lock held by the thread that the signal finds */

static u32 nwrong;

static void check(bool right)
{
	if (!right)
		__atomic_fetch_add(&nwrong, 1, __ATOMIC_RELAXED);
}

static void *from_outside[3];
static void *kept;

/* Everything that a handler might call. */
static void try_all(int sig)
{
	static const size_t sizes[] = { 0, 1, 8, 100, 1000, 30000, 100000, 5 << 20 };
	int saved = errno;
	size_t i;
	char *p;

	(void)sig;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		p = hide(calloc(1, sizes[i]));
		check(p && (uintptr_t)p % 16 == 0 && malloc_usable_size(p) >= sizes[i]);
		check(!sizes[i] || (!p[0] && !p[sizes[i] - 1]));
		paint(p, sizes[i]);
		check(is_painted(p, sizes[i]));
		memset(p, 7, sizes[i]);
		p = hide(realloc(p, sizes[i] + 5000));
		check(p && malloc_usable_size(p) >= sizes[i] + 5000);
		check(!sizes[i] || (p[0] == 7 && p[sizes[i] - 1] == 7));
		free(p);
	}
	p = hide(aligned_alloc(4096, 100));
	check(p && (uintptr_t)p % 4096 == 0);
	free(p);
	check(!posix_memalign((void **)&p, 64, 1000) && (uintptr_t)p % 64 == 0);
	free(p);
	errno = 0;
	check(!hide(malloc(PTRDIFF_MAX)) && errno == ENOMEM);
	for (i = 0; i < ARRAY_SIZE(from_outside); i++)
		free(from_outside[i]);
	malloc_trim(0);
	mallinfo2();
	kept = hide(malloc(777));
	check(kept != NULL);
	memset(kept, 5, 777);
	errno = saved;
}

static void interrupt(void)
{
	struct sigaction act = { .sa_handler = try_all };

	from_outside[0] = hide(malloc(100));
	from_outside[1] = hide(malloc(2000));
	from_outside[2] = hide(malloc(200000));
	sigaction(SIGUSR1, &act, NULL);
	alarm(20);
}

/* What the handler kept is an object like any other afterwards. */
static void resume(void)
{
	char *p = hide(realloc(kept, 10000));

	alarm(0);
	check(p && p[0] == 5 && p[776] == 5);
	free(p);
	free(hide(malloc(50000)));
}

static void interrupt_holding(port_lock_t *lock)
{
	unsigned long flags;

	interrupt();
	flags = port_lock(lock);
	raise(SIGUSR1);
	port_unlock(lock, flags);
	resume();
}

TEST(each_lock)
{
	struct kspan_heap *heap = &kspan_heap0;
	u64 nalloc = malloc_nested.nalloc, ndeferred = heap->ndeferred;
	u32 i;

	free(hide(malloc(1)));
	for (i = 0; i < KSPAN_NR_STACKS; i += 7)
		interrupt_holding(&heap->node0.central[i].lock);
	for (i = 0; i < KSPAN_NR_FIX; i++)
		interrupt_holding(heap->fix[i].lock);
	interrupt_holding(&heap->lock);
	interrupt_holding(&heap->slots.os.lock);
	interrupt_holding(&port_start_lock.lock);
	interrupt_holding(&port_background_lock.lock);
	interrupt();
	port_slots_freeze(&heap->slots);
	raise(SIGUSR1);
	port_slots_thaw(&heap->slots);
	resume();
	ASSERT_EQ(0, nwrong);
	ASSERT_LT(nalloc, malloc_nested.nalloc);
	ASSERT_EQ(malloc_nested.nalloc, malloc_nested.nfree);
	ASSERT_LT(ndeferred, heap->ndeferred);
	ASSERT_EQ(0, heap_verify(heap));
}

/* fork() in such a handler: both go on. */
static void fork_there(int sig)
{
	pid_t pid = fork();
	int status;

	(void)sig;
	if (!pid) {
		free(hide(malloc(3000)));
		return;
	}
	check(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
}

TEST(fork_in_a_handler)
{
	struct sigaction act = { .sa_handler = fork_there };
	unsigned long flags;
	pid_t self = getpid();

	free(hide(malloc(1)));
	sigaction(SIGUSR1, &act, NULL);
	alarm(20);
	flags = port_lock(&kspan_heap0.lock);
	raise(SIGUSR1);
	port_unlock(&kspan_heap0.lock, flags);
	free(hide(malloc(300000)));
	if (getpid() != self)
		_exit(heap_verify(&kspan_heap0) != 0);
	alarm(0);
	ASSERT_EQ(0, nwrong);
}

/* However many: none is lost. */
static void *crowd[4000];

static void free_crowd(int sig)
{
	u32 i;

	(void)sig;
	for (i = 0; i < ARRAY_SIZE(crowd); i++)
		free(crowd[i]);
}

static u64 nlive(void)
{
	static struct kspan_stats stats;

	heap_get_stats(&kspan_heap0, &stats);
	return stats.nmalloc - stats.nfree;
}

TEST(a_crowd_is_put_off)
{
	struct sigaction act = { .sa_handler = free_crowd };
	u64 put = kspan_heap0.ndeferred, before = nlive();
	unsigned long flags;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(crowd); i++)
		crowd[i] = hide(malloc(i % 2 ? 100 : 50000));
	sigaction(SIGUSR1, &act, NULL);
	alarm(20);
	flags = port_lock(&kspan_heap0.lock);
	raise(SIGUSR1);
	port_unlock(&kspan_heap0.lock, flags);
	alarm(0);
	/* the large ones at least */
	ASSERT_LE(ARRAY_SIZE(crowd) / 2, kspan_heap0.ndeferred - put);
	/* a thread of the heap's own may have come up meanwhile, with what it needs */
	ASSERT_GE(before + 16, nlive());
	ASSERT_EQ(0, heap_verify(&kspan_heap0));
}

/* Any place of busy threads */

static void *hand_over[NKEPT];	/* from handlers to anybody */
static u32 nhandled;
static u32 nfinished;

struct painted {
	size_t size;
	char body[];
};

static struct painted *painted_make(u32 *seed)
{
	size_t size = odd_size(seed);
	struct painted *p = hide(malloc(sizeof(*p) + size));

	if (p) {
		p->size = size;
		paint(p->body, size);
	}
	return p;
}

static void painted_free(struct painted *p)
{
	check(!p || is_painted(p->body, p->size));
	free(p);
}

static struct painted *painted_resize(struct painted *p, u32 *seed)
{
	size_t size = odd_size(seed), old = p->size, i;
	unsigned char want = (uintptr_t)p->body >> 4 ^ old;
	struct painted *q = hide(realloc(p, sizeof(*p) + size));

	if (!q)
		return p;
	for (i = 0; i < min(old, size); i++)
		if ((unsigned char)q->body[i] != want)
			break;
	check(i == min(old, size));
	q->size = size;
	paint(q->body, size);
	return q;
}

static void on_signal(int sig)
{
	u32 seed = __atomic_add_fetch(&nhandled, 1, __ATOMIC_RELAXED), i;
	int saved = errno;

	(void)sig;
	for (i = 0; i < 4; i++) {
		struct painted *p = painted_make(&seed);

		if (p && next(&seed) % 2)
			p = painted_resize(p, &seed);
		painted_free(__atomic_exchange_n(&hand_over[next(&seed) % NKEPT], p,
						 __ATOMIC_ACQ_REL));
	}
	errno = saved;
}

/* Long runs of the same, so that most of the time goes by in slow paths. */
static void *busy(void *arg)
{
	u32 seed = (uintptr_t)arg, i;
	struct painted *p[300];

	while (__atomic_load_n(&nhandled, __ATOMIC_RELAXED) < NSIGNALS) {
		for (i = 0; i < ARRAY_SIZE(p); i++)
			p[i] = painted_make(&seed);
		for (i = 0; i < ARRAY_SIZE(p); i++)
			if (p[i] && next(&seed) % 4 == 0)
				p[i] = painted_resize(p[i], &seed);
		for (i = 0; i < ARRAY_SIZE(p); i++)
			painted_free(p[i]);
	}
	__atomic_add_fetch(&nfinished, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&nfinished, __ATOMIC_ACQUIRE) <= NTHREADS)
		sched_yield();
	return NULL;
}

static void send_signals(pthread_t *thread)
{
	u32 i;

	for (i = 0; __atomic_load_n(&nhandled, __ATOMIC_RELAXED) < NSIGNALS; i++) {
		pthread_kill(thread[i % NTHREADS], SIGUSR2);
		usleep(i % 8 ? 0 : 50);
	}
	/* On a slow machine more of them would keep the threads from ever ending. */
	while (__atomic_load_n(&nfinished, __ATOMIC_ACQUIRE) < NTHREADS)
		usleep(1000);
	__atomic_add_fetch(&nfinished, 1, __ATOMIC_RELEASE);
}

FIXTURE(busy) { };
FIXTURE_SETUP(busy) { }
FIXTURE_TEARDOWN(busy) { }

TEST_F_TIMEOUT(busy, handlers_of_busy_threads, 200)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t thread[NTHREADS];
	u32 i;

	sigaction(SIGUSR2, &act, NULL);
	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, busy, (void *)(i + 1ul)));
	send_signals(thread);
	for (i = 0; i < NTHREADS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < NKEPT; i++)
		painted_free(hand_over[i]);
	free(hide(malloc(100000)));
	TH_LOG("%u handlers; %llu objects from the region, %llu frees put off", nhandled,
	       (unsigned long long)malloc_nested.nalloc,
	       (unsigned long long)kspan_heap0.ndeferred);
	ASSERT_EQ(0, nwrong);
	ASSERT_EQ(malloc_nested.nalloc, malloc_nested.nfree);
	ASSERT_EQ(0, heap_verify(&kspan_heap0));
}

FIXTURE(again) { };
FIXTURE_SETUP(again) { }
FIXTURE_TEARDOWN(again) { }

TEST_F_TIMEOUT(again, without_rseq, 200)
{
	if (!is_again())
		ASSERT_EQ(0, run_again());
}

#endif /* !SANITIZED */

TEST_HARNESS_MAIN
