// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vfork() children that allocate before they exec or exit, beside busy threads:
 * the objects of both are disjoint and the heap is sound. The same for what
 * follows from them: nested ones, one that forks, a fork() beside one.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "malloc_test.h"
#include "port.h"

#if !SANITIZED

#define NTHREADS	4
#define NCHILDREN	200
#define NOBJS		200

static u32 stop, nwrong;

/* Allocates, marks, looks again and frees; what is out at a time is disjoint. */
static void work(u64 mark, u32 rounds)
{
	u64 *obj[NOBJS];
	u32 i, r;

	for (r = 0; r < rounds; r++) {
		for (i = 0; i < NOBJS; i++) {
			obj[i] = malloc(64);
			obj[i][0] = obj[i][7] = mark + i;
		}
		if (r % 16 == 0)
			sched_yield();
		for (i = 0; i < NOBJS; i++) {
			if (obj[i][0] != mark + i || obj[i][7] != mark + i)
				__atomic_store_n(&nwrong, 1, __ATOMIC_RELAXED);
			free(obj[i]);
		}
	}
}

static void *busy(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		work((uintptr_t)arg << 32, 10);
	return NULL;
}

/* Its own function: nothing of the caller's frame changes in the child. */
static noinline pid_t child_works(u32 rounds)
{
	pid_t pid = vfork();

	if (!pid) {
		work(99ull << 32, rounds);
		_exit(7);
	}
	return pid;
}

FIXTURE(beside) {
	pthread_t thread[NTHREADS];
};

FIXTURE_SETUP(beside)
{
	u32 i;

	stop = nwrong = 0;
	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(0, pthread_create(&self->thread[i], NULL, busy, (void *)(i + 1ul)));
}

FIXTURE_TEARDOWN(beside)
{
	u32 i;

	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < NTHREADS; i++)
		pthread_join(self->thread[i], NULL);
	EXPECT_EQ(0, nwrong);
	EXPECT_EQ(0, kspan_heap0.slots.os.nshut);
	EXPECT_EQ(0, heap_verify(&kspan_heap0));
}

static bool exited(pid_t pid, int code)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == code;
}

TEST_F(beside, a_child_that_allocates)
{
	u32 i;

	for (i = 0; i < NCHILDREN; i++)
		ASSERT_TRUE(exited(child_works(30), 7));
}

static noinline pid_t child_execs(const char *path)
{
	pid_t pid = vfork();

	if (!pid) {
		work(99ull << 32, 1);
		execl(path, path, NULL);
		_exit(9);
	}
	return pid;
}

TEST_F(beside, a_child_that_execs)
{
	u32 i;

	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(exited(child_execs("/bin/true"), 0));
		ASSERT_TRUE(exited(child_execs("/nowhere"), 9));
	}
}

static noinline pid_t child_vforks(void)
{
	pid_t pid = vfork();

	if (!pid) {
		bool ok = exited(child_works(5), 7);

		work(98ull << 32, 5);
		_exit(ok ? 8 : 1);
	}
	return pid;
}

TEST_F(beside, a_child_that_vforks)
{
	u32 i;

	for (i = 0; i < 20; i++)
		ASSERT_TRUE(exited(child_vforks(), 8));
}

/* Its own child has memory of its own, threads, and no rseq. */
static void grandchild(void)
{
	pthread_t thread;

	stop = 0;
	alarm(20);
	if (pthread_create(&thread, NULL, busy, (void *)1ul))
		_exit(1);
	work(97ull << 32, 200);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	_exit(nwrong || heap_verify(&kspan_heap0) ? 1 : 0);
}

static noinline pid_t child_forks(void)
{
	pid_t pid = vfork();

	if (!pid) {
		pid_t own = fork();

		if (!own)
			grandchild();
		_exit(exited(own, 0) ? 8 : 1);
	}
	return pid;
}

TEST_F(beside, a_child_that_forks)
{
	u32 i;

	for (i = 0; i < 10; i++)
		ASSERT_TRUE(exited(child_forks(), 8));
}

static void *forker(void *arg)
{
	u32 *bad = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pid_t pid = fork();

		if (!pid)
			_exit(kspan_heap0.slots.os.nshut || kspan_heap0.slots.os.frozen);
		if (!exited(pid, 0))
			*bad = 1;
	}
	return NULL;
}

/* The process of a fork() beside a vfork() child has its slots open. */
TEST_F(beside, a_fork_meanwhile)
{
	pthread_t thread;
	u32 bad = 0, i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, forker, &bad));
	for (i = 0; i < 50; i++)
		ASSERT_TRUE(exited(child_works(20), 7));
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, bad);
}

static noinline int failing_vfork(void)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(0);
	return pid;
}

TEST(vfork_that_fails)
{
	struct rlimit none = { }, old;

	if (!getuid() && setuid(65534))
		SKIP(return, "root's processes are not limited");
	getrlimit(RLIMIT_NPROC, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NPROC, &none);
	errno = 0;
	ASSERT_EQ(-1, failing_vfork());
	ASSERT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, kspan_heap0.slots.os.nshut);
	setrlimit(RLIMIT_NPROC, &old);
}

#endif /* !SANITIZED */

TEST_HARNESS_MAIN
