// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Idle memory goes back while the program does nothing, and the thread that does it
 * is no surprise: none in a program that is small and has no thread itself; no signal
 * is handled there; setuid() reaches it; fork() may come at any time, in a handler
 * that interrupted fork() as well; it ends when there is nothing left to do; it has
 * room beside the program's thread-local variables; the C library does not come upon it
 * with locks held; what is done without it takes no system call that a sandbox may miss.
 * Each case is a process of its own, in which an
 * epoch is short.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include "child.h"
#include "malloc_test.h"
#include "port.h"

#if !SANITIZED

#define EPOCH_MS	20
#define EPOCH		"epoch_ms=20"
#define OBJ		1000u
#define NSMALL		8000u		/* 8 MB */
#define NMUCH		80000u		/* 80 MB */
#define NFORKS		300

/* Every thread's stack has a copy of it, the library's as well; as large as small ones are. */
static __thread char local[60 << 10];

static void sleep_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&t, &t))
		;
}

/*
 * Entries of /proc/self/task; @other is set to one that is not the caller's. Nothing
 * here allocates: that would give the thread something to do.
 */
static u32 tasks(pid_t *other)
{
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
	char buf[4096] __attribute__((aligned(8)));
	u32 n = 0;
	long len, at;

	*other = 0;
	while ((len = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
		for (at = 0; at < len; at += ((struct dirent64 *)(buf + at))->d_reclen) {
			pid_t tid = atoi(((struct dirent64 *)(buf + at))->d_name);

			if (tid && tid != gettid())
				*other = tid;
			n += tid != 0;
		}
	close(fd);
	return n;
}

static u32 ntasks(void)
{
	pid_t other;

	return tasks(&other);
}

/* What /proc says of a thread behind "@key:"; false: it is not there any more. */
static bool task_status(pid_t tid, const char *key, char *value, size_t len)
{
	char path[64], text[4096], *at = NULL;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n > 0) {
		text[n] = '\0';
		at = strstr(text, key);
	}
	if (at)
		snprintf(value, len, "%.*s", (int)strcspn(at + strlen(key), "\n"),
			 at + strlen(key));
	return at;
}

static long resident_kib(void)
{
	char value[64];

	return task_status(getpid(), "VmRSS:", value, sizeof(value)) ? atol(value) : -1;
}

/* Memory that was used, and is free. */
static void spike(u32 n)
{
	void **obj = hide(malloc(n * sizeof(*obj)));
	u32 i;

	for (i = 0; i < n; i++)
		memset(obj[i] = hide(malloc(OBJ)), 1, OBJ);
	for (i = 0; i < n; i++)
		free(obj[i]);
	free(obj);
}

/* Past the first epoch, in which there is no thread without much memory. */
static void grow_old(void)
{
	sleep_ms(3 * EPOCH_MS);
}

/* Who hangs here has failed. */
static void wait_for_one_task(void)
{
	while (ntasks() > 1)
		sleep_ms(EPOCH_MS);
}

/* A thread of the library's, which tries to exist. */
static pid_t its_thread(void)
{
	pid_t tid;

	grow_old();
	do {
		spike(NMUCH);
	} while (tasks(&tid) < 2);
	return tid;
}

/* Its memory goes back in its own calls. */
static int child_small(void)
{
	u32 round;

	grow_old();
	for (round = 0; round < 20; round++) {
		spike(NSMALL);
		sleep_ms(EPOCH_MS);
		if (ntasks() != 1)
			return 2;
	}
	while (!kspan_heap0.nscavenged_bytes) {
		free(hide(malloc(100000)));
		sleep_ms(EPOCH_MS);
	}
	return ntasks() == 1 ? 0 : 3;
}

static int child_much(void)
{
	its_thread();
	while (resident_kib() > 16 << 10)
		sleep_ms(EPOCH_MS);
	wait_for_one_task();
	return 0;
}

/* One buffer, which has a mapping to itself, is kept for a while; small the program is not. */
static int child_buffer(void)
{
	size_t nbytes = (size_t)40 << 20;
	char *buffer;

	grow_old();
	buffer = hide(malloc(nbytes));
	memset(buffer, 1, nbytes);
	free(hide(buffer));
	while (resident_kib() > 16 << 10)
		sleep_ms(EPOCH_MS);
	wait_for_one_task();
	return 0;
}

/* Is a buffer of so many MiB that was used and freed still resident? */
static bool buffer_stays(u32 mib)
{
	char *buffer = hide(malloc((size_t)mib << 20));

	memset(buffer, 1, (size_t)mib << 20);
	free(hide(buffer));
	return resident_kib() > 10 << 10;
}

/* In the first epoch there will be no thread for it: no more than of other memory. */
static int child_early(void)
{
	if (buffer_stays(40))
		return 2;
	if (!buffer_stays(20))
		return 3;
	if (buffer_stays(40))
		return 4;
	return ntasks() == 1 ? 0 : 5;
}

static int child_never(void)
{
	return buffer_stays(20) ? 2 : 0;
}

static void *nothing(void *arg)
{
	return arg;
}

/* A program that has had a thread has ours, however small. */
static int child_threads(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		return 2;
	grow_old();
	do {
		spike(NSMALL);
	} while (ntasks() == 1);
	wait_for_one_task();
	return 0;
}

static int child_without(void)
{
	grow_old();
	spike(NMUCH);
	sleep_ms(5 * EPOCH_MS);
	return ntasks() == 1 && !kspan_heap0.nscavenged_bytes ? 0 : 2;
}

/* All that can be blocked is. */
static int child_signals(void)
{
	char value[64];

	while (!task_status(its_thread(), "SigBlk:", value, sizeof(value)))
		;
	return strtoull(value, NULL, 16) >> 34 == ((u64)1 << 30) - 1 ? 0 : 2;
}

static int child_setuid(void)
{
	char value[64];
	int uids[4], i;

	for (;;) {
		pid_t tid = its_thread();

		if (setresuid(65534, 65534, 65534))
			return 2;
		if (task_status(tid, "Uid:", value, sizeof(value)))
			break;
	}
	if (sscanf(value, "%d %d %d %d", &uids[0], &uids[1], &uids[2], &uids[3]) != 4)
		return 3;
	for (i = 0; i < 4; i++)
		if (uids[i] != 65534)
			return 4;
	return 0;
}

static bool reaped(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return !status;
}

static u32 nforked, nfailed;
static volatile sig_atomic_t forking;

static void fork_there(int sig)
{
	int saved = errno;
	pid_t pid = fork();

	(void)sig;
	if (!pid)
		_exit(0);
	nforked++;
	nfailed += pid < 0 || !reaped(pid);
	errno = saved;
}

/* In the middle of the fork() that is interrupted; not of the handler's own. */
static void prepare(void)
{
	if (forking) {
		forking = 0;
		raise(SIGUSR1);
	}
}

static int fork_among_signals(void)
{
	struct sigaction act = { .sa_handler = fork_there, .sa_flags = SA_RESTART };
	u32 i;

	pthread_atfork(prepare, NULL, NULL);
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGALRM, &act, NULL);
	for (i = 0; i < NFORKS; i++) {
		/*
		 * one for each fork(), at another moment of it each time: where a timer goes
		 * on, a machine that needs longer for a handler comes to nothing else
		 */
		struct itimerval once = { .it_value = { 0, 1 + i * 37 % 1000 } };
		pid_t pid;

		setitimer(ITIMER_REAL, &once, NULL);
		forking = 1;
		pid = fork();
		forking = 0;
		if (!pid) {
			free(hide(malloc(3000)));
			_exit(heap_verify(&kspan_heap0) != 0);
		}
		nfailed += pid < 0 || !reaped(pid);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ }, NULL);
	return nforked < NFORKS ? 2 : nfailed ? 3 : heap_verify(&kspan_heap0) ? 4 : 0;
}

/* With the thread that made this a process of two: glibc's fork() has locks now. */
static int child_fork(void)
{
	its_thread();
	return fork_among_signals();
}

/* A child of such a process has a thread when it needs one. */
static int child_fork_child(void)
{
	pid_t pid;

	its_thread();
	pid = fork();
	if (!pid) {
		if (ntasks() != 1)
			_exit(2);
		_exit(child_much());
	}
	return reaped(pid) ? 0 : 3;
}

/* After vfork() the child's threads would end in the middle of what they do. */
static noinline pid_t vfork_spike(void)
{
	pid_t pid = vfork();

	if (!pid) {
		pid_t other;

		spike(NMUCH);
		_exit(tasks(&other) != 1);
	}
	return pid;
}

static int child_vfork(void)
{
	grow_old();
	if (!reaped(vfork_spike()))
		return 2;
	return child_much();
}

/* From now on who makes this system call is killed. */
static int forbid(u32 nr)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(filter), .filter = filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* A small program needs no more of the kernel than it did over the C library. */
static int child_sandbox(void)
{
	static const u32 forbidden[] = {
		SYS_membarrier, SYS_clone, SYS_clone3, SYS_openat, SYS_sched_yield,
	};
	u32 i;

	grow_old();
	free(hide(malloc(1)));
	for (i = 0; i < ARRAY_SIZE(forbidden); i++)
		if (forbid(forbidden[i]))
			return 2;
	while (!kspan_heap0.nscavenged_bytes) {
		spike(NSMALL);
		sleep_ms(EPOCH_MS);
	}
	malloc_trim(0);
	return 0;
}

#define NCROWD	60u		/* their stacks are more than the C library keeps */

static pthread_barrier_t all_there;

static void *meet(void *arg)
{
	pthread_barrier_wait(&all_there);
	free(hide(malloc(50)));
	return arg;
}

/*
 * The C library lets stacks go, and the memory that belongs to each, with a lock held
 * that pthread_create() takes. Without caches many of these frees end a span.
 */
static int child_stacks(void)
{
	pthread_t thread[NCROWD];
	u32 round, i;

	pthread_barrier_init(&all_there, NULL, NCROWD);
	for (round = 0; round < 100; round++) {
		for (i = 0; i < NCROWD; i++)
			if (pthread_create(&thread[i], NULL, meet, NULL))
				return 2;
		for (i = 0; i < NCROWD; i++)
			pthread_join(thread[i], NULL);
	}
	/* and the thread that the frees did not make is made by others */
	do {
		spike(NSMALL);
	} while (ntasks() == 1);
	return 0;
}

/*
 * A handler that interrupted an operation on its thread's slot: a pass there would wait
 * for the end of that operation.
 */
static int child_inside(void)
{
	struct kspan_slot *slot;
	u32 round;

	grow_old();
	free(hide(malloc(1)));
	slot = port_slot_this(&kspan_heap0.slots);
	if (!port_slots_are_percpu())
		port_store(&slot->busy, 1);
	for (round = 0; round < 5; round++) {
		spike(NSMALL);
		sleep_ms(2 * EPOCH_MS);
	}
	if (!port_slots_are_percpu())
		port_store(&slot->busy, 0);
	return child_small();
}

static const struct action {
	const char *name;
	const char *options;
	int (*fn)(void);
} actions[] = {
	{ "small", EPOCH, child_small },
	{ "much", EPOCH, child_much },
	{ "threads", EPOCH, child_threads },
	{ "without", EPOCH ",background=0", child_without },
	{ "signals", EPOCH, child_signals },
	{ "setuid", EPOCH, child_setuid },
	{ "fork", EPOCH, child_fork },
	{ "fork alone", EPOCH ",background=0", fork_among_signals },
	{ "fork child", EPOCH, child_fork_child },
	{ "vfork", EPOCH, child_vfork },
	{ "sandbox", EPOCH, child_sandbox },
	{ "stacks", "epoch_ms=1,cache=0", child_stacks },
	{ "inside", EPOCH, child_inside },
	{ "buffer", EPOCH, child_buffer },
	{ "early", "epoch_ms=3600000", child_early },
	{ "never", EPOCH ",background=0", child_never },
	{ "epochless", "epoch_ms=0", child_never },
};

static int child_main(const char *action)
{
	u32 i;

	*(char *)hide(local) = 1;
	for (i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(action, actions[i].name))
			return actions[i].fn();
	return 1;
}

FIXTURE(each) { };
FIXTURE_VARIANT(each) { u32 i; };
FIXTURE_SETUP(each) { }
FIXTURE_TEARDOWN(each) { }

FIXTURE_VARIANT_ADD(each, small) { 0 };
FIXTURE_VARIANT_ADD(each, much) { 1 };
FIXTURE_VARIANT_ADD(each, threads) { 2 };
FIXTURE_VARIANT_ADD(each, without) { 3 };
FIXTURE_VARIANT_ADD(each, signals) { 4 };
FIXTURE_VARIANT_ADD(each, setuid) { 5 };
FIXTURE_VARIANT_ADD(each, fork) { 6 };
FIXTURE_VARIANT_ADD(each, fork_alone) { 7 };
FIXTURE_VARIANT_ADD(each, fork_child) { 8 };
FIXTURE_VARIANT_ADD(each, vfork) { 9 };
FIXTURE_VARIANT_ADD(each, sandbox) { 10 };
FIXTURE_VARIANT_ADD(each, stacks) { 11 };
FIXTURE_VARIANT_ADD(each, inside) { 12 };
FIXTURE_VARIANT_ADD(each, buffer) { 13 };
FIXTURE_VARIANT_ADD(each, early) { 14 };
FIXTURE_VARIANT_ADD(each, never) { 15 };
FIXTURE_VARIANT_ADD(each, epochless) { 16 };

static struct child child;

TEST_F_TIMEOUT(each, case, 120)
{
	const struct action *action = &actions[variant->i];

	if (!strcmp(action->name, "setuid") && getuid())
		SKIP(return, "only root may be somebody else");
	child_run(&child, action->name, action->options, NULL);
	EXPECT_EQ(0, child.status)
		TH_LOG("%s: %d %s", action->name, child.status, child.text);
	child_run(&child, action->name, action->options, "glibc.pthread.rseq=0");
	EXPECT_EQ(0, child.status)
		TH_LOG("%s without rseq: %d %s", action->name, child.status, child.text);
}

#endif /* !SANITIZED */

TEST_HARNESS_MAIN
