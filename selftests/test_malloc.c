// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The malloc family as C, POSIX and glibc describe it: this program is linked
 * with libkspan-malloc. It runs a second time without rseq, and single cases
 * in children with other options.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <kspan.h>
#include "again.h"
#include "malloc_test.h"
#include "port.h"

#if !SANITIZED

/* C23's, which the headers here may be older than. */
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size);

/* Calls that the compiler cannot recognise, for what it would warn of. */
static void any_free(void *p)
{
	void (*fn)(void *p) = free;

	__asm__ volatile("" : "+r" (fn));
	fn(p);
}

static void *any_realloc(void *p, size_t size)
{
	void *(*fn)(void *p, size_t size) = realloc;

	__asm__ volatile("" : "+r" (fn));
	return fn(p, size);
}

static void *any_reallocarray(void *p, size_t n, size_t size)
{
	void *(*fn)(void *p, size_t n, size_t size) = reallocarray;

	__asm__ volatile("" : "+r" (fn));
	return fn(p, n, size);
}

static size_t hide_size(size_t n)
{
	__asm__ volatile("" : "+r" (n));
	return n;
}

TEST(this_is_kspan)
{
	void *p = hide(malloc(33));

	ASSERT_EQ(48, malloc_usable_size(p));
	free(p);
}

TEST(every_size_is_aligned_and_holds_what_it_says)
{
	size_t size, step;

	for (size = 0; size < 200000; size += step) {
		char *p = hide(malloc(size));

		ASSERT_NE(NULL, p);
		ASSERT_LE(size, malloc_usable_size(p));
		ASSERT_EQ(0, (uintptr_t)p % 16);
		memset(p, 0xa5, malloc_usable_size(p));
		free(p);
		step = size < 2048 ? 1 : size / 50;
	}
}

/* Programs keep tags in the four low bits: glibc's malloc() leaves them zero for every size. */
TEST(the_smallest_have_four_bits_for_tags)
{
	void *p[10];
	size_t size, i, k;

	for (size = 0; size <= 16; size++) {
		p[0] = hide(malloc(size));
		p[1] = hide(calloc(size, 1));
		p[2] = hide(realloc(NULL, size));
		p[3] = hide(realloc(malloc(100), size + 1));
		p[4] = hide(realloc(malloc(size), size + 1));
		p[5] = any_reallocarray(NULL, size, 1);
		p[6] = hide(aligned_alloc(hide_size(1), size));
		p[7] = hide(memalign(hide_size(2), size));
		ASSERT_EQ(0, posix_memalign(&p[8], 8, size));
		p[9] = hide(strndup("0123456789abcdef", size));
		for (i = 0; i < 10; i++) {
			ASSERT_NE(NULL, p[i]);
			ASSERT_EQ(0, (uintptr_t)p[i] % 16) {
				TH_LOG("way %zu, %zu bytes: %p", i, size, p[i]);
			}
			ASSERT_LE(16, malloc_usable_size(p[i]));
			for (k = 0; k < i; k++)
				ASSERT_NE(p[k], p[i]);
		}
		for (i = 0; i < 10; i++)
			free(p[i]);
	}
}

TEST(nothing_is_something)
{
	void *p = hide(malloc(0)), *q = hide(malloc(0));

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, q);
	ASSERT_NE(p, q);
	free(p);
	free(q);
	free(NULL);
	ASSERT_EQ(0, malloc_usable_size(NULL));
	p = hide(calloc(0, 8));
	ASSERT_NE(NULL, p);
	ASSERT_EQ(NULL, hide(realloc(p, 0)));
}

TEST(too_much_is_refused)
{
	static const size_t absurd[] = { SIZE_MAX, SIZE_MAX - 4096, PTRDIFF_MAX, SIZE_MAX / 2 + 1 };
	void *p = hide(malloc(10)), *q;
	size_t i;

	for (i = 0; i < sizeof(absurd) / sizeof(*absurd); i++) {
		errno = 0;
		ASSERT_EQ(NULL, hide(malloc(hide_size(absurd[i]))));
		ASSERT_EQ(ENOMEM, errno);
		errno = 0;
		ASSERT_EQ(NULL, hide(calloc(hide_size(absurd[i]), 1)));
		ASSERT_EQ(ENOMEM, errno);
		errno = 0;
		ASSERT_EQ(NULL, any_realloc(p, absurd[i]));
		ASSERT_EQ(ENOMEM, errno);
		ASSERT_EQ(ENOMEM, posix_memalign(&q, 64, hide_size(absurd[i])));
		errno = 0;
		ASSERT_EQ(NULL, hide(pvalloc(hide_size(absurd[i]))));
		ASSERT_EQ(ENOMEM, errno);
	}
	errno = 0;
	ASSERT_EQ(NULL, hide(calloc(hide_size(SIZE_MAX / 2), 3)));
	ASSERT_EQ(ENOMEM, errno);
	errno = 0;
	ASSERT_EQ(NULL, any_reallocarray(p, SIZE_MAX / 2, 3));
	ASSERT_EQ(ENOMEM, errno);
	free(p);
}

TEST(free_keeps_errno)
{
	static void *objs[5000];
	size_t i, big;

	for (big = 0; big < 2; big++) {
		for (i = 0; i < 5000; i++)
			objs[i] = malloc(big ? (i % 40) << 12 : i);
		errno = 12345;
		for (i = 0; i < 5000; i++)
			free(objs[i]);
		ASSERT_EQ(12345, errno);
	}
}

TEST(calloc_is_zero_on_used_memory)
{
	static const size_t sizes[] = { 1, 8, 24, 100, 1000, 5000, 40000, 300000, 5000000 };
	size_t i, j, k;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *p[8];

		for (j = 0; j < 8; j++)
			memset(p[j] = malloc(sizes[i]), 0xff, sizes[i]);
		for (j = 0; j < 8; j++)
			free(p[j]);
		for (j = 0; j < 8; j++) {
			p[j] = hide(calloc(sizes[i], 1));
			for (k = 0; k < sizes[i]; k++)
				ASSERT_EQ(0, p[j][k]);
		}
		for (j = 0; j < 8; j++)
			free(p[j]);
	}
}

TEST(realloc_keeps_contents)
{
	unsigned char *p = NULL;
	size_t have = 0, want, i;
	uint32_t seed = 1, round;

	for (round = 0; round < 3000; round++) {
		want = 1 + (next(&seed) % 100 ? next(&seed) % 70000 : next(&seed) % 9000000);
		p = realloc(p, want);
		ASSERT_NE(NULL, p);
		ASSERT_EQ(0, (uintptr_t)p % 16);
		for (i = 0; i < have && i < want; i += i < 100 ? 1 : 97)
			ASSERT_EQ(i * 7 % 251, p[i]);
		for (i = 0; i < want; i++)
			p[i] = i * 7 % 251;
		have = want;
	}
	free(p);
}

/* kspan_alloc() aligns to what divides the size; realloc() as malloc() does. */
TEST(realloc_aligns_what_kspan_alloc_did_not)
{
	unsigned char *p[8];
	size_t want, i, k;

	for (want = 1; want <= 40; want++) {
		for (i = 0; i < 8; i++) {
			p[i] = kspan_alloc(24, GFP_KERNEL);
			ASSERT_NE(NULL, p[i]);
			memset(p[i], i + 1, 24);
		}
		for (i = 0; i < 8; i++) {
			p[i] = realloc(p[i], want);
			ASSERT_NE(NULL, p[i]);
			ASSERT_EQ(0, (uintptr_t)p[i] % 16);
			ASSERT_LE(want, malloc_usable_size(p[i]));
			for (k = 0; k < want && k < 24; k++)
				ASSERT_EQ(i + 1, p[i][k]);
		}
		for (i = 0; i < 8; i++)
			free(p[i]);
	}
}

TEST(alignments)
{
	size_t align, size;
	void *p = NULL;

	for (align = 8; align <= 8 << 20; align *= 2) {
		for (size = 0; size < 200000; size = size * 3 + 1) {
			errno = 77;
			ASSERT_EQ(0, posix_memalign(&p, align, size));
			ASSERT_EQ(77, errno);
			ASSERT_EQ(0, (uintptr_t)p % align);
			paint(p, size);
			free(p);
			p = hide(aligned_alloc(align, size));
			ASSERT_EQ(0, (uintptr_t)p % align);
			p = realloc(p, size + 100);
			ASSERT_NE(NULL, p);
			free(p);
		}
	}
	p = (void *)1;
	ASSERT_EQ(EINVAL, posix_memalign(&p, 0, 8));
	ASSERT_EQ(EINVAL, posix_memalign(&p, 4, 8));
	ASSERT_EQ(EINVAL, posix_memalign(&p, 24, 8));
	ASSERT_EQ((void *)1, p);
	errno = 0;
	ASSERT_EQ(NULL, hide(aligned_alloc(hide_size(24), 8)));
	ASSERT_EQ(EINVAL, errno);
	p = hide(memalign(hide_size(48), 8));	/* glibc rounds up */
	ASSERT_EQ(0, (uintptr_t)p % 64);
	free(p);
	p = hide(valloc(10));
	ASSERT_EQ(0, (uintptr_t)p % 4096);
	free(p);
	p = hide(pvalloc(4097));
	ASSERT_EQ(0, (uintptr_t)p % 4096);
	ASSERT_LE(8192, malloc_usable_size(p));
	free(p);
}

TEST(info_and_trim)
{
	struct mallinfo2 before = mallinfo2(), with, after;
	char *p = hide(malloc(64 << 20));

	memset(p, 1, 64 << 20);
	with = mallinfo2();
	ASSERT_LE(before.uordblks + (64 << 20), with.uordblks);
	free(p);
	ASSERT_EQ(1, malloc_trim(0));
	after = mallinfo2();
	ASSERT_GE(before.uordblks + 4096, after.uordblks);
	ASSERT_GE(16 << 20, after.fordblks);
}

/* A number that @text has behind @key. */
static long long number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

TEST(malloc_info_is_xml_of_the_usual_shape)
{
	static char text[65536];
	FILE *fp = fmemopen(text, sizeof(text), "w");
	void *p = hide(malloc(5 << 20));

	ASSERT_NE(NULL, fp);
	ASSERT_EQ(EINVAL, malloc_info(1, fp));
	ASSERT_EQ(0, malloc_info(0, fp));
	fclose(fp);
	ASSERT_EQ(0, strstr(text, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n") - text);
	ASSERT_NE(NULL, strstr(text, "<size from=\"33\" to=\"48\" total=\""));
	ASSERT_NE(NULL, strstr(text, "</sizes>\n<total type=\"fast\" count=\""));
	ASSERT_LE(1, number_after(text, "<total type=\"mmap\" count=\""));
	ASSERT_LE(5 << 20, number_after(text, "<system type=\"current\" size=\""));
	ASSERT_EQ(0, strcmp(strstr(text, "</malloc>"), "</malloc>\n"));
	free(p);
}

TEST(mallinfo_adds_up)
{
	struct mallinfo2 before = mallinfo2(), after;
	struct mallinfo narrow;
	void *p[1000];
	size_t i;

	for (i = 0; i < 1000; i++)
		p[i] = hide(malloc(1000));
	after = mallinfo2();
	ASSERT_LE(before.uordblks + 1000 * 1024, after.uordblks);
	ASSERT_EQ(before.hblks, after.hblks);
	for (i = 0; i < 1000; i++)
		free(p[i]);
	after = mallinfo2();
	ASSERT_LE(after.smblks, after.ordblks);
	ASSERT_LT(0, after.smblks);
	ASSERT_LE(1024 * after.smblks / 1000, after.fsmblks);
	ASSERT_LE(after.uordblks + after.fordblks, after.arena);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	narrow = mallinfo();
#pragma GCC diagnostic pop
	ASSERT_EQ(narrow.arena, after.arena);
}

static void add_sys_bytes(size_t n)
{
	unsigned long flags = port_lock(&kspan_heap0.lock);

	kspan_heap0.sys_bytes += n;
	port_unlock(&kspan_heap0.lock, flags);
}

/*
 * Nobody is stopped while the numbers are put together: those of objects may be of a
 * later moment than those of pages, when the heap has grown. Nothing is less than none.
 */
TEST(mallinfo_of_a_heap_that_grows_meanwhile)
{
	static char text[65536];
	FILE *fp = fmemopen(text, sizeof(text), "w");
	void *p = hide(malloc(64 << 20));
	struct mallinfo2 info;

	ASSERT_NE(NULL, fp);
	add_sys_bytes(-((size_t)64 << 20));
	info = mallinfo2();
	malloc_info(0, fp);
	add_sys_bytes((size_t)64 << 20);
	fclose(fp);
	ASSERT_LE(64 << 20, info.uordblks);
	ASSERT_GE(64 << 20, info.fordblks);
	ASSERT_LE(0, number_after(strstr(text, "<total type=\"rest\""), "size=\""));
	free(p);
}

static void *ask_all(void *arg)
{
	struct mallinfo2 *info = arg;
	FILE *fp = fopen("/dev/null", "w");

	*info = mallinfo2();
	if (fp && !malloc_info(0, fp))
		fclose(fp);
	malloc_trim(0);
	return arg;
}

/* The least that POSIX lets a thread have is enough. */
TEST(a_small_stack_is_enough)
{
	struct mallinfo2 info = { };
	pthread_attr_t attr;
	pthread_t thread;
	void *ret = NULL;

	ASSERT_EQ(0, pthread_attr_init(&attr));
	ASSERT_EQ(0, pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN));
	ASSERT_EQ(0, pthread_create(&thread, &attr, ask_all, &info));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(&info, ret);
	ASSERT_LT(0, info.uordblks);
	pthread_attr_destroy(&attr);
}

TEST(mallopt_says_what_it_takes)
{
	ASSERT_EQ(1, mallopt(M_MMAP_THRESHOLD, 1 << 20));
	ASSERT_EQ(0, mallopt(M_MMAP_THRESHOLD, 1 << 30));
	ASSERT_EQ(1, mallopt(M_MXFAST, 160));
	ASSERT_EQ(0, mallopt(M_MXFAST, 161));
	ASSERT_EQ(1, mallopt(M_ARENA_MAX, 1));
	ASSERT_EQ(1, mallopt(M_TRIM_THRESHOLD, -1));
	ASSERT_EQ(0, mallopt(M_PERTURB, 1));
	ASSERT_EQ(0, mallopt(-99, 1));
	ASSERT_EQ(1, mallopt(M_CHECK_ACTION, 3));
}

TEST(frees_that_are_told_the_size)
{
	size_t live = mallinfo2().uordblks;

	free_sized(hide(malloc(1000)), 1000);
	free_sized(NULL, 0);
	free_aligned_sized(hide(aligned_alloc(256, 512)), 256, 512);
	free_aligned_sized(hide(aligned_alloc(1 << 20, 1 << 20)), 1 << 20, 1 << 20);
	/* the scavenger's thread may have come meanwhile */
	ASSERT_GE(live + 4096, mallinfo2().uordblks);
}

/* Errors: each in a child, which must die of abort() after a report that says so. */

static void free_foreign(void)
{
	static char here[64];

	free(hide(here + 16));
}

/* A member of a structure that is not there: the address that kspan_alloc(0) gives. */
static void free_member_of_null(void)
{
	free(hide((void *)16));
}

static void realloc_member_of_null(void)
{
	free(any_realloc((void *)16, 100));
}

static void free_twice(void)
{
	void *p = malloc(100);

	any_free(p);
	any_free(p);
}

static void free_inside(void)
{
	char *p = malloc(100);

	free(hide(p + 16));
}

static void free_large_twice(void)
{
	void *p = malloc(1 << 20);

	any_free(p);
	any_free(p);
}

static void free_large_inside(void)
{
	char *p = malloc(1 << 20);

	free(hide(p + 8192));
}

static void *free_cancelled(void *arg)
{
	pthread_cancel(pthread_self());
	free_foreign();
	exit(0);	/* with on_error=warn: it was not cancelled there */
	return arg;
}

/* The report must not be where a thread ends that somebody has cancelled. */
static void free_foreign_cancelled(void)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, free_cancelled, NULL))
		pthread_join(thread, NULL);
	_exit(98);
}

static const struct {
	const char *name;
	void (*misuse)(void);
	int by_default;
} crimes[] = {
	{ "foreign", free_foreign, 1 },
	{ "foreign-cancelled", free_foreign_cancelled, 1 },
	{ "member-of-null", free_member_of_null, 1 },
	{ "realloc-member-of-null", realloc_member_of_null, 1 },
	{ "double", free_twice, 0 },
	{ "interior", free_inside, 0 },
	{ "double-large", free_large_twice, 1 },
	{ "interior-large", free_large_inside, 1 },
};

/* Runs this program again as "test_malloc crime <name>"; returns its wait status. */
static int commit_crime(const char *name, const char *options, char *report, size_t len)
{
	int fds[2], status;
	ssize_t n, got = 0;
	pid_t pid;

	if (pipe(fds))
		return -1;
	pid = fork();
	if (!pid) {
		setenv("KSPAN_OPTIONS", options, 1);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl("/proc/self/exe", "test_malloc", "crime", name, NULL);
		_exit(99);
	}
	close(fds[1]);
	while (got + 1 < (ssize_t)len && (n = read(fds[0], report + got, len - 1 - got)) > 0)
		got += n;
	report[got] = 0;
	close(fds[0]);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

TEST(misuse_is_reported)
{
	char report[4096];
	size_t i;
	int status;

	for (i = 0; i < sizeof(crimes) / sizeof(*crimes); i++) {
		status = commit_crime(crimes[i].name, "checked=1", report, sizeof(report));
		ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
			TH_LOG("%s, checked: %x %s", crimes[i].name, status, report);
		}
		ASSERT_NE(NULL, strstr(report, "kspan: "));
		status = commit_crime(crimes[i].name, "checked=1,on_error=warn", report,
				      sizeof(report));
		ASSERT_EQ(0, status);
		ASSERT_NE(NULL, strstr(report, "kspan: "));
		if (!crimes[i].by_default)
			continue;
		status = commit_crime(crimes[i].name, "on_error=abort", report, sizeof(report));
		ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
			TH_LOG("%s, default: %x %s", crimes[i].name, status, report);
		}
	}
}

TEST(bad_options_are_refused_by_name)
{
	static const char *const bad[] = {
		"nonsense=1", "checked=2", "limit_hard=lots", "limit_hard=12Q", "limit_hard=",
		"on_error=shrug", "epoch_ms=999999999999", "checked", "=1",
	};
	char report[4096];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int status = commit_crime("none", bad[i], report, sizeof(report));

		ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 127) {
			TH_LOG("%s: %x", bad[i], status);
		}
		ASSERT_NE(NULL, strstr(report, bad[i][0] == 'n' ? "nonsense" : bad[i])) {
			TH_LOG("%s: %s", bad[i], report);
		}
	}
	ASSERT_EQ(0, commit_crime("none", "checked=0,limit_soft=1G,limit_hard=2g,cache=1M", report,
				  sizeof(report)));
}

/* Threads */

#define NTHREADS	4
#define NBOXES		512

struct parcel {
	size_t size;
	unsigned char body[];
};

static struct parcel *boxes[NBOXES];
static int torn;

static size_t random_size(uint32_t *seed)
{
	uint32_t r = next(seed) % 1000;

	if (r < 800)
		return next(seed) % 256;
	if (r < 990)
		return next(seed) % 8192;
	return next(seed) % 300000;
}

static struct parcel *parcel_make(uint32_t *seed)
{
	size_t size = random_size(seed);
	struct parcel *parcel = malloc(sizeof(*parcel) + size);

	parcel->size = size;
	paint(parcel->body, size);
	return parcel;
}

static void parcel_open(struct parcel *parcel)
{
	if (parcel && !is_painted(parcel->body, parcel->size))
		__atomic_store_n(&torn, 1, __ATOMIC_RELAXED);
	free(parcel);
}

/* Puts objects where other threads find them, and frees those of others. */
static void *swapper(void *arg)
{
	uint32_t seed = (uintptr_t)arg, i;

	for (i = 0; i < 100000; i++) {
		struct parcel *mine = parcel_make(&seed);

		parcel_open(__atomic_exchange_n(&boxes[next(&seed) % NBOXES], mine,
						__ATOMIC_ACQ_REL));
	}
	return NULL;
}

static void boxes_empty(void)
{
	uint32_t i;

	for (i = 0; i < NBOXES; i++) {
		parcel_open(boxes[i]);
		boxes[i] = NULL;
	}
}

TEST(threads_free_what_others_allocated)
{
	pthread_t thread[NTHREADS];
	size_t i;

	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, swapper, (void *)(i + 1)));
	for (i = 0; i < NTHREADS; i++)
		pthread_join(thread[i], NULL);
	boxes_empty();
	ASSERT_EQ(0, torn);
}

static void *short_life(void *arg)
{
	uint32_t seed = (uintptr_t)arg, i;

	for (i = 0; i < 50; i++)
		parcel_open(parcel_make(&seed));
	return NULL;
}

static void live_and_die(size_t n)
{
	pthread_t thread;
	size_t i;

	for (i = 0; i < n; i++)
		if (!pthread_create(&thread, NULL, short_life, (void *)(i + 1)))
			pthread_join(thread, NULL);
}

TEST(threads_come_and_go)
{
	size_t before, after;

	live_and_die(500);
	before = mallinfo2().arena;
	live_and_die(3000);
	after = mallinfo2().arena;
	ASSERT_LE(after, before + (8 << 20));
}

/* Forks */

static int stop;

static void *restless(void *arg)
{
	uint32_t seed = (uintptr_t)arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		parcel_open(parcel_make(&seed));
	return NULL;
}

static void child_life(void)
{
	struct parcel *parcel[100];
	uint32_t seed = getpid(), i;

	torn = 0;
	for (i = 0; i < 100; i++)
		parcel[i] = parcel_make(&seed);
	for (i = 0; i < 100; i++)
		parcel_open(parcel[i]);
	live_and_die(2);
	_exit(torn ? 1 : 0);
}

TEST(children_of_busy_threads)
{
	pthread_t thread[NTHREADS];
	int status = 0;
	size_t i;

	stop = 0;
	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, restless, (void *)(i + 1)));
	for (i = 0; i < 100 && !status; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(20);	/* a deadlock must not look like a success */
			child_life();
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < NTHREADS; i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, torn);
}

FIXTURE(again) { };
FIXTURE_SETUP(again) { }
FIXTURE_TEARDOWN(again) { }

TEST_F_TIMEOUT(again, without_rseq, 200)
{
	if (!is_again())
		ASSERT_EQ(0, run_again());
}

/* Before the harness looks at the arguments. */
__attribute__((constructor)) static void criminal(int argc, char **argv)
{
	size_t i;

	if (argc != 3 || strcmp(argv[1], "crime"))
		return;
	for (i = 0; i < sizeof(crimes) / sizeof(*crimes); i++)
		if (!strcmp(argv[2], crimes[i].name))
			crimes[i].misuse();
	_exit(0);
}

#endif /* !SANITIZED */

TEST_HARNESS_MAIN
