// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The timed rows of `make bench`: one row per call, over whatever malloc() the
 * process was started with.
 *
 *	bench ROW [MILLISECONDS]	nanoseconds per operation
 *	bench -l			the rows
 *	bench -w			whose malloc() it is
 *
 * A row does batches of operations until the time is over, once to warm up and
 * once for the record. Inside a batch nothing of the C library is called but the
 * malloc family; only a thread that waits long for another gives up the CPU.
 * The first word of every object is written, unless the row says otherwise. What
 * the rows need for themselves is static, so that the heap is the row's alone.
 *
 * Rows of one thread are measured in CPU time of the process, its background
 * threads included: others that want the CPU do not disturb it. Rows of several
 * threads are measured by the wall clock, since waiting is what they are about. Each
 * thread has a CPU of its own, all begin a batch together, and it is the batch in the
 * middle that counts: in the slowest a thread had lost its CPU, in the fastest it was
 * alone.
 *
 * Documentation/benchmarks/index.rst tells what each row is good for.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAIRS		4096	/* operations of a short batch */
#define LIFO		64
#define MIXED		10000
#define CHURN		100000
#define OWN		1000	/* objects of each thread */
#define SWAPS		1024	/* places that two threads swap through */
#define RING		512	/* objects on their way to the consumer; a power of two */
#define RING_STEP	32	/* after how many the other side hears of it */
#define LARGE		16
#define BUFFERS		4
#define SHORT_LIFE	100	/* allocations of a thread that comes and goes */
#define MAX_THREADS	16
#define MAX_BATCHES	65536	/* of a thread, that are remembered */
#define SYS_PAGE	4096

struct worker;

/**
 * struct row - a row
 * @name: as on the command line
 * @batch: does some operations, returns how many
 * @size: for @batch: bytes of each object; 0 for mixed
 * @threads: how many do @batch
 * @other: what every second one does instead
 */
struct row {
	const char *name;
	uint64_t (*batch)(struct worker *w);
	size_t size;
	unsigned int threads;
	uint64_t (*other)(struct worker *w);
};

/**
 * struct worker - one thread's part in a row
 * @row: the row
 * @batch: what it does in it
 * @rng: state of its random numbers
 * @nops: operations since the clock started
 * @ns: CPU time that they took
 * @nbatches: the entries of @batch_ns
 * @batch_ns: how long each batch took per operation, by the wall clock
 * @live: its objects
 */
struct worker {
	const struct row *row;
	uint64_t (*batch)(struct worker *w);
	uint64_t rng;
	uint64_t nops;
	uint64_t ns;
	uint32_t nbatches;
	float batch_ns[MAX_BATCHES];
	void *live[OWN];
} __attribute__((aligned(128)));

static struct worker worker[MAX_THREADS];
static uint64_t run_ms = 300;

/* Where the threads of a row wait for each other. */
static struct {
	_Atomic uint64_t here __attribute__((aligned(128)));
	_Atomic uint64_t last;	/* the turn after which the first one stops */
} meeting = { .last = UINT64_MAX };

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* It takes long only where somebody else has the other's CPU. */
static inline void wait_a_little(unsigned int *tries)
{
	if (++*tries % 256 == 0)
		sched_yield();
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* All threads of the row pass together; false when the last turn is over. */
static bool meet(struct worker *w, uint64_t turn)
{
	unsigned int tries = 0;

	atomic_fetch_add(&meeting.here, 1);
	while (atomic_load(&meeting.here) < turn * w->row->threads)
		wait_a_little(&tries);
	return turn <= atomic_load(&meeting.last);
}

/* xorshift64 */
static inline uint64_t rnd(struct worker *w)
{
	uint64_t x = w->rng;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	w->rng = x;
	return x;
}

/* A number below @n, which is less than 2^32. */
static inline uint32_t below(struct worker *w, uint32_t n)
{
	return (rnd(w) >> 32) * n >> 32;
}

/* 16..1024 bytes. */
static inline size_t mixed_size(struct worker *w)
{
	return 16 + below(w, 1009);
}

/* Writes the first word. Without memory there is nothing to measure. */
static inline void touch(void *p)
{
	if (__builtin_expect(!p, 0))
		abort();
	*(volatile uint64_t *)p = (uintptr_t)p;
}

static uint64_t pair(struct worker *w)
{
	size_t size = w->row->size;
	int i;

	for (i = 0; i < PAIRS; i++) {
		void *p = malloc(size);

		touch(p);
		free(p);
	}
	return PAIRS;
}

static uint64_t lifo(struct worker *w)
{
	size_t size = w->row->size;
	int i, n;

	for (n = 0; n < PAIRS / LIFO; n++) {
		for (i = 0; i < LIFO; i++) {
			w->live[i] = malloc(size);
			touch(w->live[i]);
		}
		while (i--)
			free(w->live[i]);
	}
	return PAIRS;
}

static uint64_t mixed(struct worker *w)
{
	static void *live[MIXED];
	static uint16_t size[MIXED], order[MIXED];
	int i;

	if (!size[0]) {
		for (i = 0; i < MIXED; i++) {
			int j = below(w, i + 1);

			size[i] = mixed_size(w);
			order[i] = order[j];
			order[j] = i;
		}
	}
	for (i = 0; i < MIXED; i++) {
		live[i] = malloc(size[i]);
		touch(live[i]);
	}
	for (i = 0; i < MIXED; i++)
		free(live[order[i]]);
	return MIXED;
}

static uint64_t churn(struct worker *w)
{
	static void *live[CHURN];
	int i;

	if (!live[0]) {
		for (i = 0; i < CHURN; i++) {
			live[i] = malloc(mixed_size(w));
			touch(live[i]);
		}
	}
	for (i = 0; i < PAIRS; i++) {
		void **p = &live[below(w, CHURN)];

		free(*p);
		*p = malloc(mixed_size(w));
		touch(*p);
	}
	return PAIRS;
}

/* The objects' way from the one that allocates to the one that frees. */
static struct {
	_Atomic uint64_t put __attribute__((aligned(128)));
	_Atomic uint64_t taken __attribute__((aligned(128)));
	void *obj[RING] __attribute__((aligned(128)));
} ring;

static uint64_t produce(struct worker *w)
{
	uint64_t put = atomic_load_explicit(&ring.put, memory_order_relaxed);
	size_t size = w->row->size;
	unsigned int tries = 0;
	int i, n;

	for (n = 0; n < PAIRS / RING_STEP; n++) {
		/* pairs with the release in consume() */
		while (put + RING_STEP - atomic_load_explicit(&ring.taken, memory_order_acquire) > RING)
			wait_a_little(&tries);
		for (i = 0; i < RING_STEP; i++) {
			void *p = malloc(size ? size : mixed_size(w));

			touch(p);
			ring.obj[put++ % RING] = p;
		}
		/* pairs with the acquire in consume() */
		atomic_store_explicit(&ring.put, put, memory_order_release);
	}
	return PAIRS;
}

static uint64_t consume(struct worker *w)
{
	uint64_t taken = atomic_load_explicit(&ring.taken, memory_order_relaxed);
	unsigned int tries = 0;
	int i, n;

	(void)w;
	for (n = 0; n < PAIRS / RING_STEP; n++) {
		/* pairs with the release in produce() */
		while (atomic_load_explicit(&ring.put, memory_order_acquire) == taken)
			wait_a_little(&tries);
		for (i = 0; i < RING_STEP; i++) {
			uint64_t *p = ring.obj[taken++ % RING];

			if (*p != (uintptr_t)p)
				abort();
			free(p);
		}
		/* pairs with the acquire in produce() */
		atomic_store_explicit(&ring.taken, taken, memory_order_release);
	}
	return PAIRS;
}

static uint64_t swap(struct worker *w)
{
	static _Atomic(void *) place[SWAPS];
	int i;

	for (i = 0; i < PAIRS; i++) {
		void *p = malloc(mixed_size(w));

		touch(p);
		free(atomic_exchange_explicit(&place[below(w, SWAPS)], p,
					      memory_order_acq_rel));
	}
	return PAIRS;
}

static uint64_t own(struct worker *w)
{
	int i;

	for (i = 0; i < PAIRS; i++) {
		void **p = &w->live[below(w, OWN)];

		free(*p);
		*p = malloc(16 + below(w, 241));
		touch(*p);
	}
	return PAIRS;
}

static void *short_life(void *arg)
{
	struct worker *w = arg;
	int i;

	for (i = 0; i < SHORT_LIFE; i++) {
		w->live[i] = malloc(mixed_size(w));
		touch(w->live[i]);
	}
	while (i--)
		free(w->live[i]);
	return arg;
}

static uint64_t thread_exit(struct worker *w)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, short_life, w))
		abort();
	pthread_join(thread, NULL);
	return 1;
}

static uint64_t zeroed(struct worker *w)
{
	size_t size = w->row->size;
	int i, n;

	for (n = 0; n < 4; n++) {
		for (i = 0; i < LIFO; i++) {
			w->live[i] = calloc(1, size);
			touch(w->live[i]);
		}
		while (i--)
			free(w->live[i]);
	}
	return 4 * LIFO;
}

/* A buffer that grows by half until it has @size bytes, all of its pages in use. */
static uint64_t grow(struct worker *w)
{
	size_t size, next, used = 0;
	char *p = NULL;

	for (size = 16;; size = next) {
		p = realloc(p, size);
		for (; used < size; used += SYS_PAGE)
			touch(p + used);
		if (size == w->row->size)
			break;
		next = (size + size / 2) & ~(size_t)7;
		if (next > w->row->size)
			next = w->row->size;
	}
	free(p);
	return 1;
}

static uint64_t aligned(struct worker *w)
{
	size_t align = w->row->size;
	int i, n;

	for (n = 0; n < PAIRS / LIFO; n++) {
		for (i = 0; i < LIFO; i++) {
			w->live[i] = aligned_alloc(align, align * (1 + below(w, 16)));
			touch(w->live[i]);
		}
		while (i--)
			free(w->live[i]);
	}
	return PAIRS;
}

static size_t large_size(struct worker *w)
{
	return 65536 + below(w, (1u << 20) - 65536 + 1);
}

static uint64_t large_untouched(struct worker *w)
{
	int i;

	for (i = 0; i < LIFO; i++) {
		void **p = &w->live[below(w, LARGE)];

		free(*p);
		*p = malloc(large_size(w));
	}
	return LIFO;
}

static void touch_pages(void *p, size_t size)
{
	size_t off;

	for (off = 0; off < size; off += SYS_PAGE)
		touch((char *)p + off);
}

static uint64_t large_touched(struct worker *w)
{
	int i;

	for (i = 0; i < LIFO; i++) {
		void **p = &w->live[below(w, LARGE)];
		size_t size = large_size(w);

		free(*p);
		*p = malloc(size);
		touch_pages(*p, size);
	}
	return LIFO;
}

static uint64_t buffer(struct worker *w)
{
	size_t size = w->row->size;
	int i;

	for (i = 0; i < BUFFERS; i++) {
		w->live[0] = malloc(size);
		touch_pages(w->live[0], size);
		free(w->live[0]);
	}
	return BUFFERS;
}

static const struct row rows[] = {
	{ "pair-16", pair, 16, 1 },
	{ "pair-64", pair, 64, 1 },
	{ "pair-256", pair, 256, 1 },
	{ "pair-1024", pair, 1024, 1 },
	{ "pair-8192", pair, 8192, 1 },
	{ "lifo-64", lifo, 64, 1 },
	{ "mixed-10000", mixed, 0, 1 },
	{ "churn-100000", churn, 0, 1 },
	{ "prodcons-same", produce, 64, 2, consume },
	{ "prodcons-mixed", produce, 0, 2, consume },
	{ "swap-2", swap, 0, 2 },
	{ "own-1", own, 0, 1 },
	{ "own-2", own, 0, 2 },
	{ "own-16", own, 0, 16 },
	{ "thread-exit", thread_exit, 0, 1 },
	{ "calloc-4096", zeroed, 4096, 1 },
	{ "realloc-1m", grow, 1 << 20, 1 },
	{ "aligned-64", aligned, 64, 1 },
	{ "large-untouched", large_untouched, 0, 1 },
	{ "large-touched", large_touched, 0, 1 },
	{ "buffer-12m", buffer, 12 << 20, 1 },
};

#define NROWS	(sizeof(rows) / sizeof(rows[0]))

/* Batches for @ms; the worker knows then how long they took. */
static void measure(struct worker *w, uint64_t ms, uint64_t *turn)
{
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t now = clock_ns(CLOCK_MONOTONIC), end = now + ms * 1000000;

	w->nops = 0;
	w->nbatches = 0;
	while (w->row->threads == 1 ? now < end : meet(w, ++*turn)) {
		uint64_t n, start = clock_ns(CLOCK_MONOTONIC);

		n = w->batch(w);
		now = clock_ns(CLOCK_MONOTONIC);
		w->nops += n;
		if (w->nbatches < MAX_BATCHES)
			w->batch_ns[w->nbatches++] = (float)(now - start) / n;
		if (w == worker && now >= end)
			atomic_store(&meeting.last, *turn);
	}
	w->ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

/* Threads that share a CPU do not meet. */
static void settle(unsigned int n)
{
	cpu_set_t mine, one;
	unsigned int cpu;

	if (sched_getaffinity(0, sizeof(mine), &mine))
		return;
	n %= CPU_COUNT(&mine);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &mine) || n--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
		return;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t turn = 0;

	if (w->row->threads > 1)
		settle(w - worker);
	measure(w, run_ms / 4, &turn);
	if (w->row->threads > 1)
		meet(w, ++turn);	/* all have seen the last turn */
	if (w == worker)
		atomic_store(&meeting.last, UINT64_MAX);
	measure(w, run_ms, &turn);
	return arg;
}

static int by_time(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* Of a worker's batches. */
static double median(struct worker *w)
{
	qsort(w->batch_ns, w->nbatches, sizeof(w->batch_ns[0]), by_time);
	return w->batch_ns[w->nbatches / 2];
}

/* Returns nanoseconds per operation of one thread, the mean of all threads. */
static double run(const struct row *row)
{
	pthread_t thread[MAX_THREADS];
	double sum = 0;
	unsigned int i;

	for (i = 0; i < row->threads; i++) {
		worker[i].row = row;
		worker[i].batch = i % 2 && row->other ? row->other : row->batch;
		worker[i].rng = 0x9e3779b97f4a7c15ull * (i + 1);
		if (i && pthread_create(&thread[i], NULL, work, &worker[i]))
			abort();
	}
	work(&worker[0]);
	for (i = 1; i < row->threads; i++)
		pthread_join(thread[i], NULL);
	if (row->threads == 1)
		return (double)worker[0].ns / worker[0].nops;
	for (i = 0; i < row->threads; i++)
		sum += median(&worker[i]);
	return sum / row->threads;
}

static void list_rows(void)
{
	size_t i;

	for (i = 0; i < NROWS; i++)
		printf("%s %u\n", rows[i].name, rows[i].threads);
}

static void whose_malloc(void)
{
	Dl_info info;

	puts(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) ? info.dli_fname : "?");
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc == 2 && !strcmp(argv[1], "-l")) {
		list_rows();
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "-w")) {
		whose_malloc();
		return 0;
	}
	if (argc > 2)
		run_ms = strtoul(argv[2], NULL, 10);
	for (i = 0; argc > 1 && i < NROWS; i++) {
		if (!strcmp(rows[i].name, argv[1])) {
			printf("%.3f\n", run(&rows[i]));
			return 0;
		}
	}
	fputs("usage: bench ROW [MILLISECONDS] | -l | -w\n", stderr);
	return 2;
}
