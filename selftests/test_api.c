// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The public API in a program: the tests of api_tests.c, and what only a
 * program has: errno, threads that come and go, fork, readers of liburcu.
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <urcu/urcu-bp.h>
#include "api_tests.h"

/* Misuse shall be survived. Before main(): the heap reads this once. */
static __attribute__((constructor)) void go_on_after_misuse(void)
{
	setenv("KSPAN_OPTIONS", "on_error=warn", 0);
}

FIXTURE(api) {
	int unused;
};

FIXTURE_VARIANT(api) {
	unsigned int first;
	unsigned int step;
};

FIXTURE_SETUP(api) {}
FIXTURE_TEARDOWN(api) {}

/* One after the other in one heap, and from the last to the first. */
FIXTURE_VARIANT_ADD(api, in_order) {
	.first = 0,
	.step = 1,
};

FIXTURE_VARIANT_ADD(api, backwards) {
	.first = (unsigned int)-1,
	.step = (unsigned int)-1,
};

TEST_F_TIMEOUT(api, shared, 300)
{
	unsigned int i, k = variant->first ? n_api_tests - 1 : 0;

	for (i = 0; i < n_api_tests; i++, k += variant->step) {
		int line = api_tests[k].run();

		EXPECT_EQ(line, 0)
			TH_LOG("%s: api_tests.c:%d", api_tests[k].name, line);
	}
}

TEST(errno_no_memory)
{
	size_t big = hidden((size_t)1 << 62);
	size_t cap = 0;
	void *objs[1];

	errno = 0;
	ASSERT_EQ(kspan_alloc(big, GFP_KERNEL), NULL);
	ASSERT_EQ(errno, ENOMEM);
	errno = 0;
	ASSERT_EQ(kspan_zalloc(big, GFP_KERNEL), NULL);
	ASSERT_EQ(errno, ENOMEM);
	errno = 0;
	ASSERT_EQ(kspan_alloc_array(big, 8, GFP_KERNEL), NULL);
	ASSERT_EQ(errno, ENOMEM);
	errno = 0;
	ASSERT_EQ(kspan_realloc(NULL, big, GFP_KERNEL), NULL);
	ASSERT_EQ(errno, ENOMEM);
	errno = 0;
	ASSERT_EQ(kspan_grow_array(NULL, &cap, big, 8, GFP_KERNEL), NULL);
	ASSERT_EQ(errno, ENOMEM);
	errno = 0;
	ASSERT_EQ(kspan_alloc_bulk(big, GFP_KERNEL, 1, objs), 0);
	ASSERT_EQ(errno, ENOMEM);
	errno = 0;
	ASSERT_EQ(kspan_alloc_aligned(big, 64, GFP_KERNEL), NULL);
	ASSERT_EQ(errno, ENOMEM);
}

TEST(errno_bad_argument)
{
	struct kspan_cache *cache;

	errno = 0;
	ASSERT_EQ(kspan_alloc_aligned(8, 24, GFP_KERNEL), NULL);
	ASSERT_EQ(errno, EINVAL);
	errno = 0;
	ASSERT_EQ(kspan_alloc_aligned(8, 0, GFP_KERNEL), NULL);
	ASSERT_EQ(errno, EINVAL);
	errno = 0;
	cache = kspan_cache_create("bad", 8, 3, 0, NULL);
	ASSERT_EQ(cache, NULL);
	ASSERT_EQ(errno, EINVAL);
	errno = 0;
	cache = kspan_cache_create("bad", 0, 0, 0, NULL);
	ASSERT_EQ(cache, NULL);
	ASSERT_EQ(errno, EINVAL);
}

/* What succeeds leaves errno alone, however deep it had to go. */
TEST(errno_untouched)
{
	void *obj;
	size_t size;

	errno = EXDEV;
	for (size = 1; size < (size_t)32 << 20; size = size * 2 + 1) {
		obj = kspan_zalloc(size, GFP_KERNEL);
		ASSERT_NE(obj, NULL);
		kspan_free(obj);
	}
	kspan_release_memory();
	ASSERT_EQ(errno, EXDEV);
}

TEST(large_and_aligned)
{
	static const size_t sizes[] = {
		((size_t)4 << 20) - 1, (size_t)4 << 20, ((size_t)4 << 20) + 1, (size_t)70 << 20
	};
	unsigned int i;
	size_t align;

	for (i = 0; i < 4; i++) {
		char *obj = kspan_zalloc(sizes[i], GFP_KERNEL);

		ASSERT_NE(obj, NULL);
		ASSERT_GE(kspan_size(obj), sizes[i]);
		ASSERT_EQ(obj[0] | obj[sizes[i] / 2] | obj[sizes[i] - 1], 0);
		obj[0] = 'a';
		obj[sizes[i] - 1] = 'z';
		ASSERT_EQ(kspan_verify(), 0);
		obj = kspan_realloc(obj, sizes[i] * 2, GFP_KERNEL);
		ASSERT_NE(obj, NULL);
		ASSERT_EQ(obj[0], 'a');
		ASSERT_EQ(obj[sizes[i] - 1], 'z');
		kspan_free(obj);
	}
	for (align = 128 << 10; align <= (size_t)8 << 20; align *= 2)
		for (i = 0; i < 4; i++) {
			char *obj = kspan_alloc_aligned(i ? sizes[i] : 100, align, GFP_KERNEL);

			ASSERT_NE(obj, NULL);
			ASSERT_EQ((uintptr_t)obj & (align - 1), 0);
			obj[0] = 1;
			kspan_free(obj);
		}
	ASSERT_EQ(kspan_verify(), 0);
}

/* Threads */

#define NSHARED		4096
#define NTHREADS	4

static void *shared[NSHARED];

static u32 next_random(u32 *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* The first word of a shared object is its address, the second its size. */
static void *shared_make(u32 *seed)
{
	size_t size = 16 + next_random(seed) % (next_random(seed) % 64 ? 500 : 50000);
	uintptr_t *obj = kspan_alloc(size, GFP_KERNEL);

	if (!obj)
		abort();
	obj[0] = (uintptr_t)obj;
	obj[1] = size;
	return obj;
}

static void shared_free(void *p)
{
	uintptr_t *obj = p;

	if (obj[0] != (uintptr_t)obj || kspan_size(obj) < obj[1])
		abort();
	obj[0] = 0;
	kspan_free(obj);
}

/* Swap objects with whoever else does: most are freed by another thread. */
static void *swap_objects(void *arg)
{
	u32 i, seed = (uintptr_t)arg * 77;

	for (i = 0; i < 100000; i++) {
		void *mine = shared_make(&seed);
		void *other = __atomic_exchange_n(&shared[next_random(&seed) % NSHARED], mine,
						  __ATOMIC_ACQ_REL);

		if (other)
			shared_free(other);
	}
	return NULL;
}

static bool all_is_well(void)
{
	static struct kspan_stats stats;

	kspan_rcu_barrier();
	kspan_get_stats(&stats);
	return kspan_verify() == 0 && stats.nmalloc == stats.nfree &&
	       !stats.ndouble && !stats.ninterior && !stats.nforeign;
}

TEST(threads_swap_objects)
{
	pthread_t thread[NTHREADS];
	uintptr_t i;

	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(pthread_create(&thread[i], NULL, swap_objects, (void *)(i + 1)), 0);
	for (i = 0; i < 20; i++)
		ASSERT_EQ(kspan_verify(), 0);
	for (i = 0; i < NTHREADS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < NSHARED; i++)
		if (shared[i])
			shared_free(shared[i]);
	ASSERT_TRUE(all_is_well());
}

/* Ends with caches that are as full as they get, and an object for main. */
static void *fill_caches(void *arg)
{
	static __thread void *objs[1000];
	size_t size;
	u32 i;

	(void)arg;
	for (size = 8; size <= 4096; size *= 2) {
		for (i = 0; i < 1000; i++)
			objs[i] = kspan_alloc(size, GFP_KERNEL);
		for (i = 0; i < 1000; i++)
			kspan_free(objs[i]);
	}
	return kspan_strdup("the thread's last words", GFP_KERNEL);
}

TEST(threads_come_and_go)
{
	static struct kspan_stats stats;
	u64 settled = 0;
	cpu_set_t one;
	u32 i;

	/* another CPU would have a cache of its own to fill */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	for (i = 0; i < 120; i++) {
		pthread_t thread;
		void *words;

		ASSERT_EQ(pthread_create(&thread, NULL, fill_caches, NULL), 0);
		ASSERT_EQ(pthread_join(thread, &words), 0);
		ASSERT_STREQ(words, "the thread's last words");
		kspan_free(words);
		kspan_get_stats(&stats);
		if (i == 20)
			settled = stats.sys_bytes;
	}
	/* what a thread's caches held is of use to those that come after it */
	ASSERT_LE(stats.sys_bytes, settled);
	ASSERT_TRUE(all_is_well());
	kspan_release_memory();
	kspan_get_stats(&stats);
	ASSERT_EQ(stats.cached_bytes, 0);
	ASSERT_EQ(stats.idle_bytes, 0);
}

static void *release_and_ask(void *arg)
{
	static __thread struct kspan_stats stats;
	u32 i;

	for (i = 0; i < 200; i++) {
		kspan_release_memory();
		kspan_get_stats(&stats);
		if (kspan_verify())
			abort();
	}
	return arg;
}

/* The functions that look at all caches, while others use them. */
TEST(threads_and_release)
{
	pthread_t thread[3];
	uintptr_t i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&thread[i], NULL, swap_objects, (void *)(i + 1)), 0);
	ASSERT_EQ(pthread_create(&thread[2], NULL, release_and_ask, NULL), 0);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < NSHARED; i++)
		if (shared[i])
			shared_free(shared[i]);
	ASSERT_TRUE(all_is_well());
}

/* fork() */

static int child_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* A child has the parent's objects and a heap that works. */
TEST(fork_keeps_the_heap)
{
	u32 i, seed = 5;
	void *objs[64];
	pid_t pid;

	for (i = 0; i < 64; i++)
		objs[i] = shared_make(&seed);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		for (i = 0; i < 64; i++)
			shared_free(objs[i]);
		swap_objects((void *)3);
		for (i = 0; i < NSHARED; i++)
			if (shared[i])
				shared_free(shared[i]);
		_exit(kspan_verify() ? 1 : 0);
	}
	ASSERT_EQ(child_status(pid), 0);
	for (i = 0; i < 64; i++)
		shared_free(objs[i]);
	ASSERT_TRUE(all_is_well());
}

static bool stop;

static void *work_until_told(void *arg)
{
	u32 seed = (uintptr_t)arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		void *obj = shared_make(&seed);

		shared_free(obj);
	}
	return NULL;
}

#if defined(__SANITIZE_THREAD__)
#define FORKS_WITH_THREADS	0	/* TSan's own locks do not survive it */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FORKS_WITH_THREADS	0
#endif
#endif
#ifndef FORKS_WITH_THREADS
#define FORKS_WITH_THREADS	50
#endif

/* Other threads may be anywhere in the allocator: the child must not care. */
TEST(fork_among_threads)
{
	pthread_t thread[2];
	uintptr_t i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&thread[i], NULL, work_until_told, (void *)i), 0);
	for (i = 0; i < FORKS_WITH_THREADS; i++) {
		pid_t pid = fork();

		ASSERT_GE(pid, 0);
		if (!pid) {
			u32 k, seed = i;

			alarm(10);
			for (k = 0; k < 1000; k++)
				shared_free(shared_make(&seed));
			_exit(kspan_verify() ? 1 : 0);
		}
		ASSERT_EQ(child_status(pid), 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(kspan_verify(), 0);
}

static struct kspan_cache *forked_cache;

#define NCACHED		500

/* Mostly in the locks of the cache: more at a time than a CPU's stack has. */
static void swap_cached(void)
{
	void *objs[NCACHED];
	u32 n = kspan_cache_alloc_bulk(forked_cache, GFP_KERNEL, NCACHED, objs);

	kspan_cache_free_bulk(forked_cache, n, objs);
	kspan_cache_shrink(forked_cache);
}

static void *swap_cached_until_told(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		swap_cached();
	return arg;
}

TEST(fork_among_threads_with_an_object_cache)
{
	pthread_t thread[2];
	u32 i;

	forked_cache = kspan_cache_create("forked", 128, 0, 0, NULL);
	ASSERT_NE(NULL, forked_cache);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&thread[i], NULL, swap_cached_until_told, NULL), 0);
	for (i = 0; i < FORKS_WITH_THREADS; i++) {
		pid_t pid = fork();

		ASSERT_GE(pid, 0);
		if (!pid) {
			alarm(10);
			swap_cached();
			/* the other threads' objects are out for ever */
			_exit(kspan_verify() ? 1 : 0);
		}
		ASSERT_EQ(child_status(pid), 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(kspan_cache_destroy(forked_cache), 0);
	ASSERT_EQ(kspan_verify(), 0);
}

/* Readers */

struct node {
	u64 magic;
	u64 data[15];
};

#define NODE_MAGIC	0x6e6f6465ull

static void node_construct(void *obj)
{
	((struct node *)obj)->magic = NODE_MAGIC;
}

/* In a read section what was freed stays as it was. */
TEST(free_rcu_waits_for_readers)
{
	static u64 *objs[1000];
	u32 i;

	urcu_bp_read_lock();
	for (i = 0; i < 1000; i++) {
		objs[i] = kspan_alloc(64, GFP_KERNEL);
		ASSERT_NE(objs[i], NULL);
		objs[i][0] = i;
		kspan_free_rcu(objs[i]);
	}
	usleep(50000);
	kspan_release_memory();
	for (i = 0; i < 1000; i++) {
		u64 *obj = kspan_alloc(64, GFP_KERNEL);

		ASSERT_NE(obj, NULL);
		obj[0] = -1;
	}
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(objs[i][0], i);
	urcu_bp_read_unlock();
	kspan_rcu_barrier();
	ASSERT_EQ(kspan_verify(), 0);
}

/* In a read section the memory of an object stays an object of the cache. */
TEST(typesafe_by_rcu)
{
	struct kspan_cache *cache = kspan_cache_create("nodes", sizeof(struct node), 0,
						       KSPAN_TYPESAFE_BY_RCU, node_construct);
	static struct node *node[1000];
	static void *other[1000];
	u32 i;

	ASSERT_NE(cache, NULL);
	ASSERT_EQ(kspan_cache_alloc_bulk(cache, GFP_KERNEL, 1000, (void **)node), 1000);
	urcu_bp_read_lock();
	kspan_cache_free_bulk(cache, 1000, (void **)node);
	kspan_cache_shrink(cache);
	usleep(50000);
	for (i = 0; i < 1000; i++) {
		other[i] = kspan_zalloc(sizeof(struct node), GFP_KERNEL);
		ASSERT_NE(other[i], NULL);
	}
	kspan_release_memory();
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(node[i]->magic, NODE_MAGIC);
	urcu_bp_read_unlock();
	kspan_free_bulk(1000, other);
	ASSERT_EQ(kspan_cache_destroy(cache), 0);
	ASSERT_TRUE(all_is_well());
}

TEST_HARNESS_MAIN
