// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The memory rows of `make bench`: what a process holds during and after a
 * spike of 512 MiB.
 *
 *	spike ROW
 *
 * prints "name value" lines: requested and usable bytes of the objects, resident
 * KiB before (base_kib) and at the spike's height (full_kib), and then, 1 s and
 * 10 s after the frees, resident KiB and how much of that the kernel may take
 * without asking (rss1_kib, lazy1_kib, rss10_kib, lazy10_kib). Every object is
 * written from end to end. From the last free on nothing of the malloc family is
 * called until all is measured.
 */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SPIKE		((size_t)512 << 20)
#define NROWS		(sizeof(rows) / sizeof(rows[0]))

/**
 * struct row - a row
 * @name: as on the command line
 * @lo: bytes of the smallest object
 * @hi: bytes of the largest
 * @keep: how many of 100 objects stay
 * @cross: another thread allocates them
 */
static const struct row {
	const char *name;
	uint32_t lo, hi;
	uint32_t keep;
	bool cross;
} rows[] = {
	{ "spike-all", 16, 1024, 0, false },
	{ "spike-98", 16, 1024, 2, false },
	{ "spike-cross", 16, 1024, 0, true },
	{ "spike-large", 65536, 1 << 20, 0, false },
	{ "full-64", 64, 64, 100, false },
	{ "full-mixed", 16, 1024, 100, false },
};

/* Of the process, in KiB. */
struct held {
	long rss;
	long lazy;
};

static const struct row *row;
static uint64_t rng = 0x9e3779b97f4a7c15ull;
static void **obj;		/* mapped, and unmapped before anything is measured */
static size_t nobj, max_obj, requested, usable;
static pthread_barrier_t barrier;

static uint32_t below(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 32) * n >> 32;
}

/* The number behind "@key:" in the text, 0 without one. */
static long number_of(const char *text, const char *key)
{
	const char *s = strstr(text, key);

	return s ? strtol(s + strlen(key) + 1, NULL, 10) : 0;
}

static struct held held(void)
{
	char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		abort();
	close(fd);
	text[n] = 0;
	return (struct held){ number_of(text, "\nRss"), number_of(text, "\nLazyFree") };
}

static void sleep_s(time_t s)
{
	struct timespec ts = { .tv_sec = s };

	while (nanosleep(&ts, &ts))
		;
}

static void fill(void)
{
	while (requested < SPIKE) {
		size_t size = row->lo + below(row->hi - row->lo + 1);

		obj[nobj] = malloc(size);
		if (!obj[nobj])
			abort();
		memset(obj[nobj], 0xa5, size);
		requested += size;
		nobj++;
	}
}

/* In random order, all but those that are to stay. */
static void empty(void)
{
	size_t i, j, n = nobj - nobj * row->keep / 100;
	void *p;

	for (i = 0; i < n; i++) {
		j = i + below(nobj - i);
		p = obj[j];
		obj[j] = obj[i];
		free(p);
	}
}

static void *other_thread(void *arg)
{
	fill();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);	/* alive and idle until the end */
	return arg;
}

static void run(void)
{
	struct held base, full, now;
	pthread_t thread;
	size_t i;

	max_obj = 2 * SPIKE / (row->lo + row->hi) * 5 / 4 + 1024;
	obj = mmap(NULL, max_obj * sizeof(*obj), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (obj == MAP_FAILED)
		abort();
	pthread_barrier_init(&barrier, NULL, 2);
	free(malloc(1));
	base = held();
	if (row->cross) {
		if (pthread_create(&thread, NULL, other_thread, NULL))
			abort();
		pthread_barrier_wait(&barrier);
	} else {
		fill();
	}
	full = held();
	for (i = 0; i < nobj; i++)
		usable += malloc_usable_size(obj[i]);
	printf("requested %zu\nusable %zu\nbase_kib %ld\nfull_kib %ld\n", requested, usable,
	       base.rss - (long)(max_obj * sizeof(*obj) / 1024),
	       full.rss - (long)(max_obj * sizeof(*obj) / 1024));
	fflush(stdout);
	if (row->keep == 100)
		return;
	empty();
	munmap(obj, max_obj * sizeof(*obj));
	sleep_s(1);
	now = held();
	sleep_s(9);
	full = held();
	printf("rss1_kib %ld\nlazy1_kib %ld\nrss10_kib %ld\nlazy10_kib %ld\n", now.rss, now.lazy,
	       full.rss, full.lazy);
	if (row->cross) {
		pthread_barrier_wait(&barrier);
		pthread_join(thread, NULL);
	}
}

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < NROWS; i++) {
		if (argc == 2 && !strcmp(argv[1], rows[i].name)) {
			row = &rows[i];
			run();
			return 0;
		}
		if (argc == 2 && !strcmp(argv[1], "-l"))
			puts(rows[i].name);
	}
	return argc != 2 || strcmp(argv[1], "-l");
}
