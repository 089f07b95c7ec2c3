// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Everything at once: every entry point of the malloc family and the operators of
 * C++, sizes as programs have them, threads that come and go, objects that one
 * allocates and another frees, forks, and signals whose handlers allocate. What an
 * object holds is looked at whenever it is touched.
 *
 * A bounded number of rounds; `make stress` has it go on for a time, and the forks and
 * threads whose memory is counted be many:
 *
 *	KSPAN_STRESS_SECONDS=300 KSPAN_STRESS_FORKS=10000 KSPAN_STRESS_THREADS=100000
 *
 * Where a sanitizer has malloc() for itself the same is done with the API: under
 * ThreadSanitizer that is the path for threads' slots, without forks and signals.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "again.h"
#include "port.h"
#include "sanitized.h"

#define NTHREADS	4
#define NLOCAL		1000u
#define NSHARED		512u
#if SANITIZED
#define NOPS		2000u
#define NROUNDS		5u
#else
#define NOPS		10000u
#define NROUNDS		20u
#endif

static u32 next(u32 *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 12;
}

static long setting(const char *name, long otherwise)
{
	const char *s = getenv(name);

	return s ? atol(s) : otherwise;
}

/* Who sees something wrong ends the process: the harness has one for each test. */
static void wrong(const char *what, const void *p, size_t size)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "# %s: %p of %zu bytes\n", what, p, size);

	if (write(STDOUT_FILENO, text, n) == n)
		abort();
	_exit(1);
}

/* How an object is got and given back */

enum kind {
	PLAIN,
	ALIGNED,
	NEW,
	NEW_ARRAY,
	NEW_ALIGNED,
};

#if SANITIZED

static void *get(enum kind kind, size_t size, size_t align, u32 r)
{
	if (kind == ALIGNED)
		return kspan_alloc_aligned(size, align, GFP_KERNEL);
	return r % 4 ? kspan_alloc(size, GFP_KERNEL) :
	       r % 8 ? kspan_alloc_noscan(size, GFP_KERNEL) : kspan_zalloc(size, GFP_KERNEL);
}

static void put(enum kind kind, void *p, size_t size, size_t align, u32 r)
{
	kspan_free(p);
}

static void *resize(void *p, size_t size, u32 r)
{
	return kspan_realloc(p, size, GFP_KERNEL);
}

static size_t room(void *p)
{
	return kspan_size(p);
}

static bool is_zeroed(enum kind kind, u32 r)
{
	return kind != ALIGNED && r % 8 == 0;
}

static enum kind some_kind(u32 r)
{
	return r % 8 ? PLAIN : ALIGNED;
}

static void ask(u32 r)
{
	static __thread struct kspan_stats stats;

	if (r % 4)
		kspan_release_memory();
	else
		kspan_get_stats(&stats);
}

#else

void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size);

/* operator new and delete */
void *_Znwm(size_t size);
void *_Znam(size_t size);
void *_ZnwmRKSt9nothrow_t(size_t size, const void *tag);
void *_ZnamRKSt9nothrow_t(size_t size, const void *tag);
void *_ZnwmSt11align_val_t(size_t size, size_t align);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t align, const void *tag);
void _ZdlPv(void *p);
void _ZdaPv(void *p);
void _ZdlPvm(void *p, size_t size);
void _ZdaPvm(void *p, size_t size);
void _ZdlPvRKSt9nothrow_t(void *p, const void *tag);
void _ZdaPvRKSt9nothrow_t(void *p, const void *tag);
void _ZdlPvSt11align_val_t(void *p, size_t align);
void _ZdlPvmSt11align_val_t(void *p, size_t size, size_t align);

static void *get_plain(size_t size, u32 r)
{
	switch (r % 8) {
	case 0:
		return calloc(1, size);
	case 1:
		return realloc(NULL, size);
	case 2:
		return reallocarray(NULL, size, 1);
	default:
		return malloc(size);
	}
}

static bool is_zeroed(enum kind kind, u32 r)
{
	return kind == PLAIN && r % 8 == 0;
}

static void *get_aligned(size_t size, size_t align, u32 r)
{
	void *p;

	switch (r % 8) {
	case 0:
		return valloc(size);
	case 1:
		return pvalloc(size);
	case 2:
		return memalign(align, size);
	case 3:
		return posix_memalign(&p, align, size) ? NULL : p;
	default:
		return aligned_alloc(align, size);
	}
}

static void *get(enum kind kind, size_t size, size_t align, u32 r)
{
	switch (kind) {
	case ALIGNED:
		return get_aligned(size, align, r);
	case NEW:
		return r % 2 ? _Znwm(size) : _ZnwmRKSt9nothrow_t(size, NULL);
	case NEW_ARRAY:
		return r % 2 ? _Znam(size) : _ZnamRKSt9nothrow_t(size, NULL);
	case NEW_ALIGNED:
		return r % 2 ? _ZnwmSt11align_val_t(size, align) :
			       _ZnwmSt11align_val_tRKSt9nothrow_t(size, align, NULL);
	default:
		return get_plain(size, r);
	}
}

static void put_plain(void *p, size_t size, u32 r)
{
	if (r % 8 == 0)
		free_sized(p, size);
	else if (r % 8 > 1)
		free(p);
	else if (realloc(p, 0))
		wrong("realloc() to nothing gives something", NULL, size);
}

static void put_new(void *p, size_t size, u32 r)
{
	switch (r % 3) {
	case 0:
		_ZdlPv(p);
		break;
	case 1:
		_ZdlPvm(p, size);
		break;
	default:
		_ZdlPvRKSt9nothrow_t(p, NULL);
	}
}

static void put_new_array(void *p, size_t size, u32 r)
{
	switch (r % 3) {
	case 0:
		_ZdaPv(p);
		break;
	case 1:
		_ZdaPvm(p, size);
		break;
	default:
		_ZdaPvRKSt9nothrow_t(p, NULL);
	}
}

static void put(enum kind kind, void *p, size_t size, size_t align, u32 r)
{
	int before = errno;

	switch (kind) {
	case ALIGNED:
		if (r % 2)
			free_aligned_sized(p, align, size);
		else
			free(p);
		break;
	case NEW:
		put_new(p, size, r);
		break;
	case NEW_ARRAY:
		put_new_array(p, size, r);
		break;
	case NEW_ALIGNED:
		if (r % 2)
			_ZdlPvSt11align_val_t(p, align);
		else
			_ZdlPvmSt11align_val_t(p, size, align);
		break;
	default:
		put_plain(p, size, r);
	}
	if (errno != before)
		wrong("errno is not what it was", NULL, size);
}

static void *resize(void *p, size_t size, u32 r)
{
	return r % 2 ? realloc(p, size) : reallocarray(p, 1, size);
}

static size_t room(void *p)
{
	return malloc_usable_size(p);
}

static enum kind some_kind(u32 r)
{
	static const enum kind kinds[] = { ALIGNED, NEW, NEW_ARRAY, NEW_ALIGNED };

	return r % 8 < ARRAY_SIZE(kinds) ? kinds[r % 8] : PLAIN;
}

static void ask(u32 r)
{
	FILE *fp;

	switch (r % 4) {
	case 0:
		fp = fopen("/dev/null", "w");
		if (!fp || malloc_info(0, fp))
			wrong("malloc_info() fails", fp, 0);
		fclose(fp);
		break;
	case 1:
		mallinfo2();
		break;
	default:
		malloc_trim(0);
	}
}

#endif /* SANITIZED */

/* Objects */

struct object {
	u8 *p;
	size_t size;
	size_t align;
	enum kind kind;
	u8 seed;
};

/* Half of them up to 64 bytes, few over a page, one in 500 of megabytes. */
static size_t some_size(u32 *seed)
{
	u32 r = next(seed) % 1000, more = next(seed);

	if (r < 500)
		return 1 + more % 64;
	if (r < 800)
		return 65 + more % 192;
	if (r < 940)
		return 257 + more % 1792;
	if (r < 985)
		return 2049 + more % 30000;
	if (r < 998)
		return 32769 + more % 400000;
	return 1000000 + more % 7000000;
}

/* Large ones are looked at in places: both ends, and one byte of each page. */
static size_t stride_at(size_t i, size_t size)
{
	return i < 4096 || i + 64 >= size ? 1 : min((size_t)1021, size - 64 - i + 1);
}

static u8 byte_at(const struct object *o, size_t i)
{
	return o->seed + i * 7;
}

static void paint(const struct object *o)
{
	size_t i;

	for (i = 0; i < o->size; i += stride_at(i, o->size))
		o->p[i] = byte_at(o, i);
}

static void look(const struct object *o, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += stride_at(i, o->size))
		if (o->p[i] != byte_at(o, i))
			wrong("changed contents", o->p, o->size);
	if (room(o->p) < o->size)
		wrong("too little room", o->p, o->size);
}

static bool object_make(struct object *o, u32 *seed)
{
	u32 r = next(seed);
	size_t i;

	o->kind = some_kind(next(seed));
	o->size = some_size(seed);
	o->align = (size_t)16 << next(seed) % (next(seed) % 50 ? 5 : 12);
	o->seed = next(seed);
	o->p = get(o->kind, o->size, o->align, r);
	if (!o->p)
		return false;
	if ((o->kind == ALIGNED || o->kind == NEW_ALIGNED) && (uintptr_t)o->p % o->align)
		if (r % 8 > 1)		/* valloc() and pvalloc() have their own */
			wrong("wrong alignment", o->p, o->size);
	for (i = 0; is_zeroed(o->kind, r) && i < o->size; i += stride_at(i, o->size))
		if (o->p[i])
			wrong("not zero", o->p, o->size);
	paint(o);
	return true;
}

static void object_free(struct object *o, u32 *seed)
{
	look(o, o->size);
	put(o->kind, o->p, o->size, o->align, next(seed));
	o->p = NULL;
}

/* realloc() keeps no alignment and takes nothing from new. */
static void object_resize(struct object *o, u32 *seed)
{
	size_t size = next(seed) % 4 ? some_size(seed) : o->size + next(seed) % 100;
	struct object old = *o;
	u8 *p;

	if (o->kind != PLAIN || !size)
		return;
	look(o, o->size);
	p = resize(o->p, size, next(seed));
	if (!p)
		return;
	/* as far as both go, in the places of the smaller: each of them was painted */
	old.p = p;
	old.size = min(old.size, size);
	if (old.size < 4096)
		look(&old, old.size);
	else
		look(&old, 4096);
	o->p = p;
	o->size = size;
	paint(o);
}

/* Objects on their way from one thread, handler or process to another */

static struct object *shared[NSHARED];

static void exchange(struct object *o, u32 *seed)
{
	struct object *box = get(PLAIN, sizeof(*box), 16, 3), *old;

	if (!box)
		return;
	*box = *o;
	o->p = NULL;
	old = __atomic_exchange_n(&shared[next(seed) % NSHARED], box, __ATOMIC_ACQ_REL);
	if (!old)
		return;
	object_free(old, seed);
	put(PLAIN, old, sizeof(*old), 16, 3);
}

static void shared_empty(void)
{
	u32 i, seed = 1;

	for (i = 0; i < NSHARED; i++) {
		struct object *old = shared[i];

		shared[i] = NULL;
		if (!old)
			continue;
		object_free(old, &seed);
		put(PLAIN, old, sizeof(*old), 16, 3);
	}
}

static void step(struct object *table, u32 *seed)
{
	struct object *o = &table[next(seed) % NLOCAL];
	u32 r = next(seed) % 100;

	if (!o->p)
		object_make(o, seed);
	else if (r < 40)
		object_free(o, seed);
	else if (r < 55)
		object_resize(o, seed);
	else if (r < 75)
		exchange(o, seed);
	else
		look(o, o->size);
	if (next(seed) % 20000 == 0)
		ask(next(seed));
}

static void steps(u32 seed, u32 n)
{
	struct object *table = get(PLAIN, NLOCAL * sizeof(*table), 16, 3);
	u32 i;

	if (!table)
		wrong("no table", table, 0);
	memset(table, 0, NLOCAL * sizeof(*table));
	for (i = 0; i < n; i++)
		step(table, &seed);
	for (i = 0; i < NLOCAL; i++)
		if (table[i].p)
			object_free(&table[i], &seed);
	put(PLAIN, table, NLOCAL * sizeof(*table), 16, 3);
}

/* A thread leaves some of what it made to the others. */
static void *worker(void *arg)
{
	steps((uintptr_t)arg, NOPS);
	return NULL;
}

#if !SANITIZED

static u32 nsignals;

static void on_signal(int sig)
{
	u32 seed = __atomic_add_fetch(&nsignals, 1, __ATOMIC_RELAXED) * 2654435761u, i;
	int saved = errno;
	struct object o;

	(void)sig;
	for (i = 0; i < 8; i++) {
		if (!object_make(&o, &seed))
			continue;
		object_resize(&o, &seed);
		if (i % 2)
			exchange(&o, &seed);
		else
			object_free(&o, &seed);
	}
	errno = saved;
}

static void signals(bool on)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval every = { };

	sigaction(SIGALRM, &act, NULL);
	if (on)
		every.it_value.tv_usec = every.it_interval.tv_usec = 2000;
	setitimer(ITIMER_REAL, &every, NULL);
}

/* The child has the heap as it was, with the objects of threads that it has not. */
static bool fork_works(u32 seed)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		steps(seed, NOPS / 20);
		_exit(heap_verify(&kspan_heap0) ? 2 : 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (pid < 0 || errno != EINTR)
			return false;
	return !status;
}

static int verify(void)
{
	return heap_verify(&kspan_heap0);
}

#else

static void signals(bool on)
{
}

static bool fork_works(u32 seed)
{
	return true;
}

static int verify(void)
{
	return kspan_verify();
}

#endif

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

FIXTURE(stress) { };
FIXTURE_SETUP(stress) { }
FIXTURE_TEARDOWN(stress) { }

#define NO_TIMEOUT	100000

TEST_F_TIMEOUT(stress, everything, NO_TIMEOUT)
{
	long seconds = setting("KSPAN_STRESS_SECONDS", 0);
	time_t end = now() + seconds;
	pthread_t thread[NTHREADS];
	u32 round, i;

	for (round = 0; seconds ? now() < end : round < NROUNDS; round++) {
		signals(true);
		for (i = 0; i < NTHREADS; i++)
			ASSERT_EQ(0, pthread_create(&thread[i], NULL, worker,
						    (void *)(uintptr_t)(round * NTHREADS + i)));
		ASSERT_TRUE(fork_works(round));
		for (i = 0; i < NTHREADS; i++)
			pthread_join(thread[i], NULL);
		signals(false);
		ASSERT_EQ(0, verify());
	}
	shared_empty();
	ASSERT_EQ(0, verify());
	TH_LOG("%u rounds of %u operations", round, NTHREADS * NOPS);
#if !SANITIZED
	ASSERT_LT(0, nsignals);
	TH_LOG("%u signals; %llu objects made where a lock was held", nsignals,
	       (unsigned long long)malloc_nested.nalloc);
	ASSERT_EQ(malloc_nested.nalloc, malloc_nested.nfree);
#endif
}

/* Memory before and after */

#if !SANITIZED

/* What is left of a tenth of them, so that all that is kept for later is there. */
struct held {
	u64 live;
	u64 sys;
	long mapped_kib;
};

static struct held held(void)
{
	struct mallinfo2 info;
	struct held h = { };
	char line[256];
	FILE *fp = fopen("/proc/self/status", "r");

	while (fp && fgets(line, sizeof(line), fp))
		if (!strncmp(line, "VmSize:", 7))
			h.mapped_kib = atol(line + 7);
	if (fp)
		fclose(fp);
	malloc_trim(0);
	info = mallinfo2();
	h.live = info.uordblks;
	h.sys = info.arena;
	return h;
}

static void *short_life(void *arg)
{
	u32 seed = (uintptr_t)arg, i;
	void *p[50];

	for (i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = malloc(some_size(&seed) % 5000);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		free(p[i]);
	/* errno, stdio and the like have thread data of their own */
	return strerror(i) ? NULL : arg;
}

static bool lives(u32 n, bool threads)
{
	pthread_t thread[8];
	u32 i, k;

	for (i = 0; i < n; i += ARRAY_SIZE(thread)) {
		for (k = 0; k < ARRAY_SIZE(thread) && threads; k++)
			if (pthread_create(&thread[k], NULL, short_life, (void *)(i + k + 1ul)))
				return false;
		for (k = 0; k < ARRAY_SIZE(thread) && threads; k++)
			pthread_join(thread[k], NULL);
		for (k = 0; k < ARRAY_SIZE(thread) && !threads; k++) {
			pid_t pid = fork();
			int status;

			if (!pid)
				_exit(short_life((void *)(i + k + 1ul)) != NULL);
			if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
				return false;
		}
	}
	return true;
}

/* One leaked object each would be at least @n times 8 bytes. */
static void keeps_nothing(struct __test_metadata *_metadata, u32 n, bool threads)
{
	struct held before, after;

	ASSERT_TRUE(lives(n / 10 + 8, threads));
	before = held();
	ASSERT_TRUE(lives(n, threads));
	after = held();
	TH_LOG("%u %s: %llu -> %llu bytes live, %llu -> %llu KiB of the heap, %ld -> %ld KiB mapped",
	       n, threads ? "threads" : "forks", (unsigned long long)before.live,
	       (unsigned long long)after.live, (unsigned long long)before.sys >> 10,
	       (unsigned long long)after.sys >> 10, before.mapped_kib, after.mapped_kib);
	EXPECT_LT(after.live, before.live + 8 * n);
	EXPECT_LE(after.sys, before.sys + (4 << 20));	/* an arena, if it fell so */
	EXPECT_LE(after.mapped_kib, before.mapped_kib + (4 << 10));
	EXPECT_EQ(0, heap_verify(&kspan_heap0));
}

TEST_F_TIMEOUT(stress, forks_keep_nothing, NO_TIMEOUT)
{
	keeps_nothing(_metadata, setting("KSPAN_STRESS_FORKS", 500), false);
}

TEST_F_TIMEOUT(stress, threads_keep_nothing, NO_TIMEOUT)
{
	keeps_nothing(_metadata, setting("KSPAN_STRESS_THREADS", 4000), true);
}

TEST_F_TIMEOUT(stress, without_rseq, NO_TIMEOUT)
{
	if (!is_again())
		ASSERT_EQ(0, run_again());
}

#endif /* !SANITIZED */

TEST_HARNESS_MAIN
