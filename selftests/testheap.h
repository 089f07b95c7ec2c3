/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Private heaps for the tests, over a page source that counts, checks and fails.
 *
 * A source hands out pieces of one reserved range of addresses and knows of
 * each page whether it is out, so a page given back twice, or never, is seen.
 * Two kinds, as the two worlds have them:
 *
 *	kernel	grain 8 KiB, no release, pieces of any size between least and
 *		wanted, at scattered addresses, full of junk
 *	user	grain 4 MiB, with release, whole arenas that read as zero
 *
 * A source may have several NUMA nodes: equal parts of its range, from the lowest.
 *
 * What fails a test deep in a helper or in a thread is must(), which aborts:
 * the harness runs each test in a process of its own.
 */
#ifndef TESTHEAP_H
#define TESTHEAP_H

#ifndef TESTHEAP_NO_HARNESS	/* for programs of several files: it defines functions */
#include "kselftest_harness.h"
#endif
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "port.h"

#define KIB		((size_t)1024)
#define MIB		((size_t)1024 * 1024)
#define GIB		((size_t)1024 * 1024 * 1024)

#define JUNK		0xa5
#define SYS_PAGE	((size_t)4096)

#define must(cond)							\
	((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__))

static inline void must_failed(const char *cond, const char *file, int line)
{
	char buf[256];
	int n = snprintf(buf, sizeof(buf), "# %s:%d: not so: %s\n", file, line, cond);

	if (write(STDOUT_FILENO, buf, n) < 0)
		_exit(1);
	abort();
}

/* TSan sees every access and takes its time: less to do, so that no test times out. */
#if defined(__SANITIZE_THREAD__)
#define TEST_TSAN	true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN	true
#endif
#endif
#ifndef TEST_TSAN
#define TEST_TSAN	false
#endif

#define TEST_SLOWER	(TEST_TSAN ? 8 : 1)
#define test_rounds(n)	((n) / TEST_SLOWER)

/* xorshift64*: the same numbers everywhere. */
static inline u64 random_next(u64 *state)
{
	u64 x = *state ? *state : 88172645463325252ull;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 2685821657736338717ull;
}

static inline u32 random_below(u64 *state, u32 n)
{
	return (random_next(state) >> 32) * n >> 32;
}

/* The page source */

enum test_place {
	PLACE_SCATTER,	/* at random addresses */
	PLACE_UP,	/* the lowest that fits */
	PLACE_DOWN,	/* the highest that fits */
};

#define TEST_NODES	4	/* at most */

/**
 * struct testsource - a page source for tests
 * @src: what the heap sees
 * @lock: all that follows
 * @base: the range that pieces come from
 * @npages: its length
 * @owner: for each of its pages whether it is out
 * @nnodes: parts that it is cut into
 * @node_full: nodes that have no memory left
 * @lo: first page of where a piece is looked for
 * @hi: end of that
 * @place: where in it the next piece is put
 * @seed: of the random places and lengths
 * @out: bytes out
 * @peak: the most they ever were
 * @nget: calls of get, failed ones too
 * @nput: calls of put
 * @nrelease: calls of release that were obeyed
 * @nfailed: calls of get made to fail
 * @fail_at: the get with this number (counted by @nget from 1) fails
 * @fail_from: this one and all later ones fail
 * @fail_all: every get fails; may change at any time
 * @fail_percent: so many of a hundred fail, by @seed
 * @release_fails: release does nothing and says so
 * @move_fails: so does move, which a source has only when a test gives it one
 */
struct testsource {
	struct kspan_source src;
	pthread_mutex_t lock;
	char *base;
	size_t npages;
	u8 *owner;
	u32 nnodes;
	bool node_full[TEST_NODES];
	size_t lo;
	size_t hi;
	enum test_place place;
	u64 seed;
	size_t out;
	size_t peak;
	u64 nget;
	u64 nput;
	u64 nrelease;
	u64 nfailed;
	u64 fail_at;
	u64 fail_from;
	bool fail_all;
	u32 fail_percent;
	bool release_fails;
	bool move_fails;
};

static inline void *test_map(size_t nbytes)
{
	void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(p != MAP_FAILED);
	return p;
}

static inline bool all_zero(const void *obj, size_t size)
{
	const char *p = obj;

	return !size || (!p[0] && !memcmp(p, p + 1, size - 1));
}

static inline bool testsource_fails(struct testsource *ts)
{
	bool fails = port_load(&ts->fail_all) || ts->nget == ts->fail_at ||
		     (ts->fail_from && ts->nget >= ts->fail_from) ||
		     (ts->fail_percent && random_below(&ts->seed, 100) < ts->fail_percent);

	ts->nfailed += fails;
	return fails;
}

/* Whether @n pages from @page on are in; else *@busy is one that is out. */
static inline bool testsource_is_in(struct testsource *ts, size_t page, size_t n, size_t *busy)
{
	const u8 *hit = memchr(ts->owner + page, 1, n);

	if (hit)
		*busy = hit - ts->owner;
	return !hit;
}

/* The first place at or after page @from and below @hi; npages if there is none. */
static inline size_t testsource_find_up(struct testsource *ts, size_t from, size_t n,
					size_t unit)
{
	size_t skew = ((uintptr_t)ts->base >> KSPAN_PAGE_SHIFT) & (unit - 1);
	size_t busy, page = ((from + skew + unit - 1) & ~(unit - 1)) - skew;

	for (; page + n <= ts->hi;
	     page = ((busy + 1 + skew + unit - 1) & ~(unit - 1)) - skew)
		if (testsource_is_in(ts, page, n, &busy))
			return page;
	return ts->npages;
}

static inline size_t testsource_find_down(struct testsource *ts, size_t n, size_t unit)
{
	size_t skew = ((uintptr_t)ts->base >> KSPAN_PAGE_SHIFT) & (unit - 1);
	size_t busy, page;

	if (n > ts->hi - ts->lo)
		return ts->npages;
	page = ((ts->hi - n + skew) & ~(unit - 1)) - skew;
	for (; page >= ts->lo && page < ts->hi; page -= unit)
		if (testsource_is_in(ts, page, n, &busy))
			return page;
	return ts->npages;
}

static inline size_t testsource_find(struct testsource *ts, size_t nbytes, size_t align)
{
	size_t n = bytes_to_pages(nbytes), unit = bytes_to_pages(align), page;

	if (unit > ts->npages)
		return ts->npages;
	if (ts->place == PLACE_DOWN)
		return testsource_find_down(ts, n, unit);
	if (ts->place == PLACE_UP)
		return testsource_find_up(ts, ts->lo, n, unit);
	page = testsource_find_up(ts, ts->lo + random_next(&ts->seed) % (ts->hi - ts->lo), n,
				  unit);
	return page < ts->npages ? page : testsource_find_up(ts, ts->lo, n, unit);
}

/* The node's part of the range is what a piece is looked for in. */
static inline void testsource_look_on(struct testsource *ts, u32 node)
{
	ts->lo = ts->npages / ts->nnodes * node;
	ts->hi = ts->lo + ts->npages / ts->nnodes;
}

/* A place for @want bytes, or for @min, on the node; npages if there is none. */
static inline size_t testsource_find_on(struct testsource *ts, u32 node, size_t min,
					size_t want, size_t align, size_t *got)
{
	size_t page;

	if (ts->node_full[node])
		return ts->npages;
	testsource_look_on(ts, node);
	*got = want;
	page = testsource_find(ts, want, align);
	if (page < ts->npages)
		return page;
	*got = min;
	return testsource_find(ts, min, align);
}

static inline int testsource_node_of(struct kspan_source *src, const void *addr)
{
	struct testsource *ts = container_of(src, struct testsource, src);
	size_t page = ((char *)addr - ts->base) >> KSPAN_PAGE_SHIFT;

	must(page < ts->npages);
	return page / (ts->npages / ts->nnodes);
}

/*
 * Memory that is in reads as zero, or as the junk that testsource_put() left: nobody wrote
 * to it since. Pages that the system has no memory for do, and are not touched, which
 * would cost most of a test's time. Up to an arena; true if all of it is junk.
 */
static inline bool testsource_check_in(struct testsource *ts, char *addr, size_t nbytes)
{
	u8 there[KSPAN_ARENA_SIZE / SYS_PAGE];
	bool junk = true;
	size_t off;

	must(!mincore(addr, nbytes, there));
	for (off = 0; off < nbytes; off += 1024) {
		u64 word = there[off / SYS_PAGE] ? *(const u64 *)(addr + off) : 0;

		must(!word || (!ts->src.zeroed && word == JUNK * 0x0101010101010101ull));
		junk = junk && word;
	}
	return junk;
}

static inline void *testsource_take(struct testsource *ts, size_t page, size_t nbytes)
{
	char *addr = ts->base + pages_to_bytes(page);
	size_t off, n;

	memset(ts->owner + page, 1, bytes_to_pages(nbytes));
	ts->out += nbytes;
	if (ts->out > ts->peak)
		ts->peak = ts->out;
	for (off = 0; off < nbytes; off += n) {
		n = min(nbytes - off, KSPAN_ARENA_SIZE);
		if (!testsource_check_in(ts, addr + off, n) && !ts->src.zeroed)
			memset(addr + off, JUNK, n);
	}
	return addr;
}

static inline void *testsource_get(struct kspan_source *src, size_t min, size_t want,
				   size_t align, gfp_t gfp, int node, size_t *got)
{
	struct testsource *ts = container_of(src, struct testsource, src);
	void *mem = NULL;
	size_t page;
	u32 i, n;

	must(min && min <= want && !(align & (align - 1)) && align >= KSPAN_PAGE_SIZE);
	must(!(min % KSPAN_PAGE_SIZE) && !(want % KSPAN_PAGE_SIZE));
	pthread_mutex_lock(&ts->lock);
	ts->nget++;
	if (testsource_fails(ts))
		goto out;
	must(node < (int)ts->nnodes && (node >= 0 || !(gfp & __GFP_THISNODE)));
	if (ts->place == PLACE_SCATTER && want > min)
		want = min + random_next(&ts->seed) % ((want - min) / KSPAN_PAGE_SIZE + 1) /
			     (src->grain / KSPAN_PAGE_SIZE) * src->grain;
	page = ts->npages;
	n = gfp & __GFP_THISNODE ? 1 : ts->nnodes;
	for (i = 0; i < n && page == ts->npages; i++)
		page = testsource_find_on(ts, ((u32)(node < 0 ? 0 : node) + i) % ts->nnodes,
					  min, want, align, got);
	if (page < ts->npages)
		mem = testsource_take(ts, page, *got);
out:
	pthread_mutex_unlock(&ts->lock);
	return mem;
}

/* The page number of @addr; every one of its pages is out. */
static inline size_t testsource_page(struct testsource *ts, void *addr, size_t nbytes)
{
	size_t page = ((char *)addr - ts->base) >> KSPAN_PAGE_SHIFT;

	must((char *)addr >= ts->base && !((uintptr_t)addr % KSPAN_PAGE_SIZE));
	must(nbytes && !(nbytes % KSPAN_PAGE_SIZE));
	must(page + bytes_to_pages(nbytes) <= ts->npages);
	must(!memchr(ts->owner + page, 0, bytes_to_pages(nbytes)));
	return page;
}

static inline void testsource_put(struct kspan_source *src, void *addr, size_t nbytes)
{
	struct testsource *ts = container_of(src, struct testsource, src);

	pthread_mutex_lock(&ts->lock);
	memset(ts->owner + testsource_page(ts, addr, nbytes), 0, bytes_to_pages(nbytes));
	ts->nput++;
	ts->out -= nbytes;
	/* what is full of junk stays there: to fault it in again would cost most of a test's time */
	if (!src->zeroed)
		memset(addr, JUNK, nbytes);
	else
		must(!madvise(addr, nbytes, MADV_DONTNEED));
	pthread_mutex_unlock(&ts->lock);
}

static inline bool testsource_release(struct kspan_source *src, void *addr, size_t nbytes)
{
	struct testsource *ts = container_of(src, struct testsource, src);
	uintptr_t start = (uintptr_t)addr & -KSPAN_PAGE_SIZE;
	uintptr_t end = ((uintptr_t)addr + nbytes + KSPAN_PAGE_SIZE - 1) & -KSPAN_PAGE_SIZE;
	bool obeys;

	must(nbytes && !((uintptr_t)addr % src->unit) && !(nbytes % src->unit));
	pthread_mutex_lock(&ts->lock);
	testsource_page(ts, (void *)start, end - start);
	obeys = !ts->release_fails;
	if (obeys) {
		ts->nrelease++;
		must(!madvise(addr, nbytes, MADV_DONTNEED));
	}
	pthread_mutex_unlock(&ts->lock);
	return obeys;
}

/* What is at @from appears at @to; where it fails what was at @to is lost. */
static inline bool testsource_move(struct kspan_source *src, void *from, size_t nbytes,
				   void *to, size_t want)
{
	struct testsource *ts = container_of(src, struct testsource, src);
	size_t at;

	if (ts->move_fails) {
		testsource_put(src, to, want);
		return false;
	}
	/* what was never touched is not touched here */
	for (at = 0; at < nbytes; at += SYS_PAGE)
		if (!all_zero((char *)from + at, SYS_PAGE))
			memcpy((char *)to + at, (char *)from + at, SYS_PAGE);
	testsource_put(src, from, nbytes);
	return true;
}

/* A source over @nbytes of addresses, aligned to them (a power of two). */
static inline void testsource_init(struct testsource *ts, bool kernel, size_t nbytes)
{
	char *mem = test_map(2 * nbytes);

	memset(ts, 0, sizeof(*ts));
	pthread_mutex_init(&ts->lock, NULL);
	ts->base = (char *)(((uintptr_t)mem + nbytes - 1) & -nbytes);
	ts->npages = bytes_to_pages(nbytes);
	ts->owner = test_map(ts->npages);
	ts->nnodes = 1;
	ts->place = kernel ? PLACE_SCATTER : PLACE_UP;
	ts->seed = 1;
	ts->src.get = testsource_get;
	ts->src.put = testsource_put;
	ts->src.node_of = testsource_node_of;
	ts->src.release = kernel ? NULL : testsource_release;
	ts->src.unit = SYS_PAGE;
	ts->src.grain = kernel ? KSPAN_PAGE_SIZE : KSPAN_ARENA_SIZE;
	ts->src.zeroed = !kernel;
}

/* From now on the @n-th get fails; 0: none. */
static inline void testsource_fail_nth(struct testsource *ts, u64 n)
{
	ts->fail_at = n ? ts->nget + n : 0;
}

/* Heaps */

struct testheap {
	struct testsource ts;
	struct kspan_config config;
	struct kspan_heap heap;
};

#define TEST_SPACE	GIB	/* addresses of a source, unless a test says otherwise */

static inline void testheap_prepare(struct testheap *t, bool kernel, size_t space)
{
	testsource_init(&t->ts, kernel, space);
	t->config = (struct kspan_config) {
		.source = &t->ts.src,
		.cache_bytes = MIB,
		.stack_bytes = 64 * KIB,
		.stack_objs = 128,
		.transfer_bytes = 16 * KIB,
		.transfer_objs = 250,
		.warm_pages = KSPAN_WARM_PAGES,
		.warm_huge_bytes = kernel ? 0 : 16 * MIB,
		.apart_bytes = 8192,
	};
}

/* Before the heap starts: the source and the heap have @n nodes. */
static inline void testheap_nodes(struct testheap *t, u32 n)
{
	must(n <= TEST_NODES);
	t->ts.nnodes = n;
	t->config.nr_nodes = n;
}

static inline void testheap_start(struct testheap *t)
{
	must(heap_init(&t->heap, &t->config) == 0);
}

static inline void testheap_init(struct testheap *t, bool kernel)
{
	testheap_prepare(t, kernel, TEST_SPACE);
	testheap_start(t);
}

/* The heap's end: every object was freed, so everything must come back. */
static inline void testheap_end(struct testheap *t)
{
	must(heap_verify(&t->heap) == 0);
	must(heap_destroy(&t->heap) == 0);
	must(t->ts.out == 0);
	must(!memchr(t->ts.owner, 1, t->ts.npages));
}

/* Both kinds of source for every test of a fixture. */
#define TESTHEAP_FIXTURE(name)						\
	static struct testheap test;					\
	static struct kspan_heap *const heap = &test.heap;		\
	FIXTURE(name) { };						\
	FIXTURE_VARIANT(name) {						\
		bool kernel;						\
	};								\
	FIXTURE_VARIANT_ADD(name, kernel) {				\
		.kernel = true,						\
	};								\
	FIXTURE_VARIANT_ADD(name, user) {				\
		.kernel = false,					\
	};								\
	FIXTURE_SETUP(name)						\
	{								\
		testheap_init(&test, variant->kernel);			\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		testheap_end(&test);					\
	}

/* Short forms: the caller is nobody. */
static inline void *get(struct kspan_heap *heap, size_t size)
{
	return heap_alloc(heap, size, false, GFP_KERNEL, 0);
}

static inline void *get_noscan(struct kspan_heap *heap, size_t size)
{
	return heap_alloc(heap, size, true, GFP_KERNEL, 0);
}

static inline void put(struct kspan_heap *heap, void *obj)
{
	heap_free(heap, obj, 0);
}

static inline void testheap_stats(struct kspan_heap *heap, struct kspan_stats *stats)
{
	heap_get_stats(heap, stats);
}

static inline u64 misuses(struct kspan_heap *heap)
{
	return heap->nmisuse[KSPAN_DOUBLE_FREE] + heap->nmisuse[KSPAN_INTERIOR_FREE] +
	       heap->nmisuse[KSPAN_FOREIGN_FREE];
}

/* The tests that count hits stay on one CPU, and so on one slot. */
static inline void one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* Patterns */

/* The bytes of an object that are written and looked at: all, of large ones some. */
static inline size_t pattern_step(size_t size)
{
	return size <= 2048 ? 1 : size <= 65536 ? 61 : 509;
}

static inline u8 pattern_byte(u64 id, size_t i)
{
	return (id * 0x9e3779b97f4a7c15ull >> 56) + i * 7;
}

static inline void pattern_write(void *obj, size_t size, u64 id)
{
	size_t i, step = pattern_step(size);

	for (i = 0; i < size; i += step)
		((u8 *)obj)[i] = pattern_byte(id, i);
	if (size)
		((u8 *)obj)[size - 1] = pattern_byte(id, size - 1);
}

/* Whether the first @n bytes of an object written as of @size bytes are as they were. */
static inline bool pattern_holds(const void *obj, size_t n, size_t size, u64 id)
{
	size_t i, step = pattern_step(size);

	for (i = 0; i < n; i += step)
		if (i != size - 1 && ((const u8 *)obj)[i] != pattern_byte(id, i))
			return false;
	return !size || n < size ||
	       ((const u8 *)obj)[size - 1] == pattern_byte(id, size - 1);
}

/* Reports: what goes to standard error between begin and end */

struct capture {
	int saved;
	int file;
	char text[16384];
};

static inline void capture_begin(struct capture *capture)
{
	kspan_user_warn = true;
	capture->saved = dup(STDERR_FILENO);
	capture->file = memfd_create("stderr", 0);
	must(capture->saved >= 0 && capture->file >= 0);
	must(dup2(capture->file, STDERR_FILENO) >= 0);
}

static inline void capture_end(struct capture *capture)
{
	ssize_t n = pread(capture->file, capture->text, sizeof(capture->text) - 1, 0);

	must(n >= 0);
	capture->text[n] = '\0';
	must(dup2(capture->saved, STDERR_FILENO) >= 0);
	close(capture->saved);
	close(capture->file);
}

/* How often @what is in what was captured. */
static inline u32 capture_count(const struct capture *capture, const char *what)
{
	const char *p = capture->text;
	u32 n = 0;

	while ((p = strstr(p, what)) != NULL) {
		n++;
		p += strlen(what);
	}
	return n;
}

#endif /* TESTHEAP_H */
