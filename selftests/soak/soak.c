// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Mixed load on all CPUs for a long time, with kspan as malloc(): does memory stay
 * flat, and everything right? Linked with libkspan-malloc.a, of which it also calls
 * what the shared library does not show, kspan_verify() and kspan_get_stats().
 *
 *	soak SECONDS SAMPLES [DUTY]
 *
 * Threads keep tables of objects whose size goes up and down in waves, eight of them
 * in the whole time, so that what later ones need can be held against what earlier
 * ones did: on average, since one high sample says which thread had to wait, not that
 * anything stays. Objects pass between threads, grow, are aligned, are large now and
 * then; a thread lives for a while and another takes its place. DUTY is the per cent
 * of the time in which a thread works (default 100). SAMPLES gets a line per sample:
 *
 *	seconds rss live sys released		(bytes)
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <malloc.h>
#include <kspan.h>

#define WAVES		8
#define TABLE		60000	/* objects of a thread at the top of a wave */
#define MAILBOXES	1024
#define MAX_THREADS	64
#define MAX_SAMPLES	4000
#define STEPS		1000	/* between two looks at the clock */
#define LIFE_SECONDS	20	/* of a thread */
#define EDGE		32	/* bytes that are checked at each end of an object */

struct object {
	size_t size;
	unsigned char *data;
};

struct sample {
	double at, rss, live, sys, released;
};

static struct object table[MAX_THREADS][TABLE];
static _Atomic(struct object *) mailbox[MAILBOXES];
static struct sample samples[MAX_SAMPLES];
static double start, seconds;
static unsigned int duty = 100;
static atomic_bool stop;
static atomic_ulong nbad, nsteps, nthreads;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static uint32_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* Mostly small; one in 4096 large. */
static size_t draw_size(uint64_t *state)
{
	uint32_t r = draw(state);

	if (r % 4096 == 0)
		return 32769 + draw(state) % (1 << 20);
	if (r % 64 == 0)
		return 1 + draw(state) % 16384;
	if (r % 8 == 0)
		return 1 + draw(state) % 1024;
	return 1 + draw(state) % 128;
}

static unsigned char mark(const struct object *obj)
{
	return (uintptr_t)obj->data >> 3 ^ obj->size;
}

static void object_fill(struct object *obj)
{
	size_t n = obj->size < EDGE ? obj->size : EDGE;

	memset(obj->data, mark(obj), n);
	memset(obj->data + obj->size - n, mark(obj), n);
}

static void object_check(const struct object *obj)
{
	size_t i, n = obj->size < EDGE ? obj->size : EDGE;

	for (i = 0; i < n; i++)
		if (obj->data[i] != mark(obj) || obj->data[obj->size - 1 - i] != mark(obj)) {
			atomic_fetch_add(&nbad, 1);
			return;
		}
}

static void object_free(struct object *obj)
{
	if (!obj->data)
		return;
	object_check(obj);
	free(obj->data);
	obj->data = NULL;
}

static void object_make(struct object *obj, uint64_t *state)
{
	obj->size = draw_size(state);
	switch (draw(state) % 16) {
	case 0:
		obj->data = aligned_alloc(64, (obj->size + 63) & ~63ul);
		break;
	case 1:
		obj->data = calloc(1, obj->size);
		if (obj->data && (obj->data[0] || obj->data[obj->size - 1]))
			atomic_fetch_add(&nbad, 1);
		break;
	default:
		obj->data = malloc(obj->size);
	}
	if (obj->data)
		object_fill(obj);
	else
		atomic_fetch_add(&nbad, 1);
}

static void object_resize(struct object *obj, uint64_t *state)
{
	unsigned char old = mark(obj), *data;
	size_t size = draw_size(state);

	object_check(obj);
	data = realloc(obj->data, size);
	if (!data || data[0] != old)
		atomic_fetch_add(&nbad, 1);
	if (!data)
		return;
	obj->data = data;
	obj->size = size;
	object_fill(obj);
}

/* Give an object to whoever comes by, and free what lay there. */
static void object_post(struct object *obj, uint64_t *state)
{
	struct object *copy = malloc(sizeof(*copy)), *old;

	if (!copy) {
		atomic_fetch_add(&nbad, 1);
		return;
	}
	*copy = *obj;
	obj->data = NULL;
	old = atomic_exchange(&mailbox[draw(state) % MAILBOXES], copy);
	if (old)
		object_free(old);
	free(old);
}

/* How much of a table is in use now: a wave between a fifth and all of it. */
static size_t wave(void)
{
	double at = (now() - start) / seconds * WAVES, up = at - (long)at;

	up = up < 0.5 ? 2 * up : 2 - 2 * up;
	return TABLE * (0.2 + 0.8 * up);
}

static void step(struct object *mine, size_t top, uint64_t *state)
{
	struct object *obj = &mine[draw(state) % TABLE];
	uint32_t r = draw(state) % 32;

	if ((size_t)(obj - mine) >= top || (obj->data && r < 24))
		object_free(obj);
	else if (!obj->data)
		object_make(obj, state);
	else if (r < 28)
		object_resize(obj, state);
	else
		object_post(obj, state);
}

/* A turn of @me's work; the thread that takes over finds its table. */
static void *work(void *me)
{
	size_t id = (size_t)me;
	uint64_t state = id * 77 + (uint64_t)(now() * 1000);
	double begin = now(), at, worked;
	unsigned int i;

	for (at = begin; !stop && at < begin + LIFE_SECONDS; at = now()) {
		size_t top = wave();

		for (i = 0; i < STEPS; i++)
			step(table[id], top, &state);
		atomic_fetch_add(&nsteps, STEPS);
		worked = now() - at;
		if (duty < 100)
			usleep(worked * 1e6 * (100 - duty) / duty);
	}
	return NULL;
}

/* One thread after another, until the end. */
static void *relay(void *me)
{
	pthread_t thread;

	while (!stop) {
		if (pthread_create(&thread, NULL, work, me)) {
			atomic_fetch_add(&nbad, 1);
			break;
		}
		atomic_fetch_add(&nthreads, 1);
		pthread_join(thread, NULL);
	}
	return NULL;
}

static double rss_bytes(void)
{
	FILE *in = fopen("/proc/self/statm", "r");
	double pages = 0;

	if (in && fscanf(in, "%*s %lf", &pages) != 1)
		pages = 0;
	if (in)
		fclose(in);
	return pages * sysconf(_SC_PAGESIZE);
}

static void sample_take(struct sample *s)
{
	struct kspan_stats stats;

	kspan_get_stats(&stats);
	s->at = now() - start;
	s->rss = rss_bytes();
	s->live = stats.live_bytes;
	s->sys = stats.sys_bytes;
	s->released = stats.released_bytes;
}

/* The RSS between two parts of the time: the mean, the highest in @most. */
static double mean_rss(unsigned int n, double from, double to, double *most)
{
	double sum = 0;
	unsigned int i, nin = 0;

	*most = 0;
	for (i = 0; i < n; i++) {
		if (samples[i].at < from * seconds || samples[i].at >= to * seconds)
			continue;
		sum += samples[i].rss;
		nin++;
		if (samples[i].rss > *most)
			*most = samples[i].rss;
	}
	return nin ? sum / nin : 0;
}

static unsigned long number;
static int failed;

static void result(int ok, const char *what)
{
	printf("%s %lu %s\n", ok ? "ok" : "not ok", ++number, what);
	failed |= !ok;
}

static void clean_up(long ncpus)
{
	long i, k;

	for (i = 0; i < ncpus; i++)
		for (k = 0; k < TABLE; k++)
			object_free(&table[i][k]);
	for (i = 0; i < MAILBOXES; i++) {
		struct object *obj = mailbox[i];

		if (obj)
			object_free(obj);
		free(obj);
	}
}

static void write_samples(const char *path, unsigned int n)
{
	FILE *out = fopen(path, "w");
	unsigned int i;

	if (!out) {
		perror(path);
		failed = 1;
		return;
	}
	for (i = 0; i < n; i++)
		fprintf(out, "%.1f %.0f %.0f %.0f %.0f\n", samples[i].at, samples[i].rss,
			samples[i].live, samples[i].sys, samples[i].released);
	fclose(out);
}

/* The tables and the samples are touched first: their pages are not the heap's. */
static double settle(void)
{
	memset(table, 0, sizeof(table));
	memset(samples, 0, sizeof(samples));
	return rss_bytes();
}

int main(int argc, char **argv)
{
	long ncpus = sysconf(_SC_NPROCESSORS_ONLN), i;
	pthread_t threads[MAX_THREADS];
	unsigned int n = 0, nverify = 0, nviolations = 0;
	double first, early, late, early_peak, late_peak, every;

	seconds = argc < 3 ? 0 : atof(argv[1]);
	if (seconds <= 0)
		return 2;
	if (argc > 3)
		duty = atoi(argv[3]);
	if (ncpus > MAX_THREADS)
		ncpus = MAX_THREADS;
	if (ncpus < 2)
		ncpus = 2;
	first = settle();
	start = now();
	every = seconds / 720 < 0.25 ? 0.25 : seconds / 720;
	for (i = 0; i < ncpus; i++)
		if (pthread_create(&threads[i], NULL, relay, (void *)i))
			return 1;
	while (now() - start < seconds) {
		usleep(every * 1e6);
		if (n < MAX_SAMPLES)
			sample_take(&samples[n++]);
		if (n % 4 == 0) {
			nviolations += kspan_verify();
			nverify++;
		}
	}
	stop = true;
	for (i = 0; i < ncpus; i++)
		pthread_join(threads[i], NULL);
	clean_up(ncpus);
	malloc_trim(0);
	if (n < MAX_SAMPLES)
		sample_take(&samples[n++]);

	/* the last three waves against the second, third and fourth */
	early = mean_rss(n, 1.0 / WAVES, 4.0 / WAVES, &early_peak);
	late = mean_rss(n, 5.0 / WAVES, 1, &late_peak);
	printf("TAP version 13\n1..5\n");
	printf("# %.0f s, %ld CPUs, duty %u %%: %lu steps, %lu threads, %u samples, verified %u times\n",
	       seconds, ncpus, duty, nsteps, nthreads, n, nverify);
	printf("# RSS in waves 2-4: mean %.1f MiB, peak %.1f; in waves 6-8: mean %.1f, peak %.1f\n",
	       early / 1048576, early_peak / 1048576, late / 1048576, late_peak / 1048576);
	printf("# RSS at the start %.1f MiB, when all was freed %.1f MiB; live bytes then %.0f\n",
	       first / 1048576, samples[n - 1].rss / 1048576, samples[n - 1].live);
	result(nbad == 0, "every object kept its contents");
	result(nverify && nviolations == 0, "the heap verified at each interval");
	result(early > 0 && late > 0 && late < early * 1.05, "memory does not rise");
	result(samples[n - 1].rss < first + (8 << 20), "memory goes back when all is freed");
	result(kspan_verify() == 0, "the heap verifies at the end");
	write_samples(argv[2], n);
	return failed;
}
