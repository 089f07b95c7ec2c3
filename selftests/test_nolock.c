// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * nolock.c: nothing is waited for, nothing is lost. Locks that are held, slots that
 * are frozen, wrong frees, and handlers of signals at any place of busy threads.
 */
#include "testheap.h"
#include <signal.h>

TESTHEAP_FIXTURE(nolock)

static u64 nlive(void)
{
	static struct kspan_stats stats;

	heap_get_stats(heap, &stats);
	return stats.nmalloc - stats.nfree;
}

static void *get_nolock(size_t size)
{
	return heap_alloc_nolock(heap, size, 0, 0);
}

static void put_nolock(void *obj)
{
	heap_free_nolock(heap, obj, 0);
}

static const size_t some_sizes[] = { 1, 8, 24, 100, 1000, 8192, 32768, 40000, 300000 };

/* No pages are asked for, and what was lacking is there the next time. */
TEST_F(nolock, what_is_at_hand)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(some_sizes); i++) {
		size_t size = some_sizes[i];
		u64 nget = test.ts.nget;
		void *obj = get_nolock(size);

		ASSERT_EQ(nget, test.ts.nget);
		if (!obj) {
			heap_catch_up(heap);
			nget = test.ts.nget;
			obj = get_nolock(size);
			ASSERT_EQ(nget, test.ts.nget);
		}
		ASSERT_NE(NULL, obj);
		ASSERT_LE(size, heap_size(heap, obj));
		memset(obj, 1, size);
		put_nolock(obj);
		ASSERT_EQ(0, heap_verify(heap));
	}
	ASSERT_EQ(ZERO_SIZE_PTR, get_nolock(0));
	put_nolock(ZERO_SIZE_PTR);
	put_nolock(NULL);
	ASSERT_EQ(NULL, get_nolock(KSPAN_ARENA_SIZE + 1));
	ASSERT_EQ(0, nlive());
}

/* Take every page that is free. An object of this size is all of a span. */
static u32 take_all_pages(void **objs, u32 max)
{
	u32 n;

	for (n = 0; heap->node0.pages.nfree; n++) {
		must(n < max);
		objs[n] = get(heap, KSPAN_PAGE_SIZE);
	}
	return n;
}

/* A span of 4 pages at a multiple of 4; the only 5 in one piece that are free have none. */
TEST_F(nolock, lacking_at_an_alignment)
{
	static void *rest[KSPAN_ARENA_PAGES], *objs[64];
	u32 i, nrest, n = 0, page;
	void *obj;

	do {
		ASSERT_LT(n, ARRAY_SIZE(objs));
		objs[n] = get(heap, 5 * KSPAN_PAGE_SIZE);
		page = addr_to_page((uintptr_t)objs[n++]);
	} while (page % 4 != 1 && page % 4 != 2);
	nrest = take_all_pages(rest, ARRAY_SIZE(rest));
	put(heap, objs[--n]);
	ASSERT_EQ(NULL, get_nolock(32768));
	ASSERT_EQ(5, heap->node0.pages.nfree);
	heap_catch_up(heap);
	obj = get_nolock(32768);
	ASSERT_NE(NULL, obj);
	put(heap, obj);
	for (i = 0; i < nrest; i++)
		put(heap, rest[i]);
	for (i = 0; i < n; i++)
		put(heap, objs[i]);
}

/* What cannot be had is not in the way of what can, whichever is asked for first. */
TEST(lacking_what_cannot_be_had)
{
	void *obj;
	u32 i;

	for (i = 0; i < 2; i++) {
		testheap_prepare(&test, true, KSPAN_ARENA_SIZE);
		testheap_start(&test);
		/* metadata is of the same range, so it is never whole */
		if (i)
			ASSERT_EQ(NULL, get_nolock(KSPAN_ARENA_SIZE));
		ASSERT_EQ(NULL, get_nolock(64));
		if (!i)
			ASSERT_EQ(NULL, get_nolock(KSPAN_ARENA_SIZE));
		heap_catch_up(heap);
		obj = get_nolock(64);
		ASSERT_NE(NULL, obj);
		put(heap, obj);
		ASSERT_EQ(NULL, get_nolock(KSPAN_ARENA_SIZE));
		testheap_end(&test);
	}
}

TEST_F(nolock, zeroed)
{
	void *obj = get(heap, 500);

	memset(obj, 1, 500);
	put(heap, obj);
	obj = heap_alloc_nolock(heap, 500, __GFP_ZERO, 0);
	ASSERT_NE(NULL, obj);
	ASSERT_TRUE(all_zero(obj, 500));
	put_nolock(obj);
}

/* A lock on the way down that is taken: no memory, and nothing is changed. */
TEST_F(nolock, a_lock_is_taken)
{
	struct kspan_central *central = heap_central(heap, span_class(size_to_class(3000), false), 0);
	port_lock_t *lock[] = { &central->lock, &heap->lock };
	size_t i;

	put(heap, get(heap, 100000));
	for (i = 0; i < ARRAY_SIZE(lock); i++) {
		unsigned long flags = port_lock(lock[i]);

		ASSERT_EQ(NULL, get_nolock(3000));
		if (i)
			ASSERT_EQ(NULL, get_nolock(100000));
		port_unlock(lock[i], flags);
		ASSERT_EQ(0, heap_verify(heap));
	}
	put_nolock(get_nolock(3000));
}

/* The hard limit holds for these too. */
TEST_F(nolock, hard_limit)
{
	put(heap, get(heap, MIB));
	heap->config.limit_hard = heap->meta_bytes + MIB / 2;
	ASSERT_EQ(NULL, get_nolock(MIB));
	heap->config.limit_hard = 0;
	put_nolock(get_nolock(MIB));
}

#define NOBJS	700

/* Frees that find every slot closed: all put off, none lost, no object written to. */
static void put_off_all(struct __test_metadata *_metadata, void **objs, size_t size)
{
	u64 ndeferred = heap->ndeferred;
	size_t i;

	port_slots_freeze(&heap->slots);
	for (i = 0; i < NOBJS; i++)
		put_nolock(objs[i]);
	ASSERT_EQ(NOBJS, heap->ndeferred - ndeferred);
	for (i = 0; i < NOBJS; i++)
		ASSERT_TRUE(pattern_holds(objs[i], size, size, i));
	port_slots_thaw(&heap->slots);
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(NULL, heap->pending);
	ASSERT_EQ(0, misuses(heap));
}

TEST_F(nolock, put_off)
{
	static const size_t sizes[] = { 8, 48, 1024, 5000, 40000 };
	static void *objs[NOBJS];
	size_t i, k;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		for (i = 0; i < NOBJS; i++) {
			objs[i] = get(heap, sizes[k]);
			pattern_write(objs[i], sizes[k], i);
		}
		put_off_all(_metadata, objs, sizes[k]);
	}
}

TEST_F(nolock, put_off_tiny)
{
	static void *objs[NOBJS];
	size_t i;

	for (i = 0; i < NOBJS; i++)
		objs[i] = tiny_alloc(heap, 1 + i % 15, GFP_KERNEL, 0);
	port_slots_freeze(&heap->slots);
	for (i = 0; i < NOBJS; i++)
		put_nolock(objs[i]);
	port_slots_thaw(&heap->slots);
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_EQ(0, misuses(heap));
}

/* Where nothing is in the way the blocks are on the CPU's stack at once. */
TEST_F(nolock, tiny_blocks)
{
	static void *objs[16];
	size_t i;

	one_cpu();
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = tiny_alloc(heap, 15, GFP_KERNEL, 0);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put_nolock(objs[i]);
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_EQ(0, misuses(heap));
}

TEST_F(nolock, put_off_of_a_cache)
{
	struct kspan_cache *cache = cache_create(heap, "nolock", 120, 8, 0, NULL);
	static void *objs[NOBJS];
	size_t i;

	ASSERT_NE(NULL, cache);
	for (i = 0; i < NOBJS; i++) {
		objs[i] = kspan_cache_alloc(cache, GFP_KERNEL);
		pattern_write(objs[i], 120, i);
	}
	for (i = 0; i < NOBJS; i++)
		put_nolock(objs[i]);	/* most find the one stack full */
	ASSERT_LT(0, heap->ndeferred);
	ASSERT_EQ(0, nlive());
	for (i = 0; i < NOBJS; i++) {
		objs[i] = kspan_cache_alloc_nolock(cache, 0);
		if (!objs[i])
			heap_catch_up(heap);
	}
	for (i = 0; i < NOBJS; i++)
		put_nolock(objs[i]);
	ASSERT_EQ(0, cache_destroy(cache));
	ASSERT_EQ(0, misuses(heap));
}

/* Of wrong frees each is counted once, when it is put off or when it is done. */
TEST_F(nolock, wrong_frees)
{
	struct capture capture;
	char *obj = get(heap, 200), *large = get(heap, 100000), *odd = get(heap, 24);
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)odd);
	int mine;

	capture_begin(&capture);
	port_slots_freeze(&heap->slots);
	put_nolock(obj + 8);
	ASSERT_EQ(1, heap->nmisuse[KSPAN_INTERIOR_FREE]);
	put_nolock(large + 8192);
	put_nolock(span_object(span, span->nobjs));
	ASSERT_EQ(3, heap->nmisuse[KSPAN_INTERIOR_FREE]);
	put_nolock(&mine);
	ASSERT_EQ(1, heap->nmisuse[KSPAN_FOREIGN_FREE]);
	put_nolock(obj);
	put_nolock(obj);
	ASSERT_EQ(1, heap->nmisuse[KSPAN_DOUBLE_FREE]);
	port_slots_thaw(&heap->slots);
	put(heap, obj);			/* while it waits to be freed */
	heap_release_memory(heap);
	ASSERT_EQ(2, heap->nmisuse[KSPAN_DOUBLE_FREE]);
	put(heap, large);
	put(heap, odd);
	capture_end(&capture);
	ASSERT_EQ(6, misuses(heap));
	ASSERT_EQ(0, heap_verify(heap));
}

/* Handlers at any place of busy threads, which they hand objects to */

#define NTHREADS	4
#define NSIGNALS	test_rounds(40000)
#define NKEPT		64

static struct testheap *const shared = &test;
static void *hand_over[NKEPT];
static u32 nhandled, ngot, nfinished;

static void exchange(void *obj, u64 *seed)
{
	put_nolock(__atomic_exchange_n(&hand_over[random_below(seed, NKEPT)], obj,
				       __ATOMIC_ACQ_REL));
}

static void on_signal(int sig)
{
	u64 seed = __atomic_add_fetch(&nhandled, 1, __ATOMIC_RELAXED);
	int saved = errno, i;

	for (i = 0; i < 4; i++) {
		size_t size = some_sizes[random_below(&seed, ARRAY_SIZE(some_sizes))];
		void *obj = get_nolock(size);

		if (obj) {
			((char *)obj)[0] = ((char *)obj)[size - 1] = sig;
			__atomic_add_fetch(&ngot, 1, __ATOMIC_RELAXED);
		}
		exchange(obj, &seed);
	}
	errno = saved;
}

/* Long runs of the same, so that most of the time goes by in slow paths. */
static void *busy(void *arg)
{
	u64 seed = (uintptr_t)arg;
	void *objs[200];
	size_t i;

	while (__atomic_load_n(&nhandled, __ATOMIC_RELAXED) < NSIGNALS) {
		for (i = 0; i < ARRAY_SIZE(objs); i++)
			objs[i] = get(&shared->heap,
				      some_sizes[random_below(&seed, ARRAY_SIZE(some_sizes))]);
		exchange(objs[0], &seed);
		for (i = 1; i < ARRAY_SIZE(objs); i++)
			put(&shared->heap, objs[i]);
		if (seed % 16 == 0)
			heap_release_memory(&shared->heap);
	}
	__atomic_add_fetch(&nfinished, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&nfinished, __ATOMIC_ACQUIRE) <= NTHREADS)
		sched_yield();
	return NULL;
}

TEST_F_TIMEOUT(nolock, handlers_of_busy_threads, 300)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t thread[NTHREADS];
	u32 i;

	sigaction(SIGUSR2, &act, NULL);
	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, busy, (void *)(i + 1ul)));
	for (i = 0; __atomic_load_n(&nfinished, __ATOMIC_ACQUIRE) < NTHREADS; i++) {
		pthread_kill(thread[i % NTHREADS], SIGUSR2);
		usleep(i % 8 ? 0 : 50);
	}
	__atomic_add_fetch(&nfinished, 1, __ATOMIC_RELEASE);
	for (i = 0; i < NTHREADS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < NKEPT; i++)
		put_nolock(hand_over[i]);
	TH_LOG("%u handlers got %u objects; %llu frees put off", nhandled, ngot,
	       (unsigned long long)heap->ndeferred);
	ASSERT_LT(0, ngot);
	ASSERT_LT(0, heap->ndeferred);
	ASSERT_EQ(0, nlive());
	ASSERT_EQ(0, misuses(heap));
}

/* Two objects that are all of a span. */
static void pair_of_a_span(void **a, void **b)
{
	struct kspan_span *span;
	void *first = get(heap, 4096), *second = get(heap, 4096);
	void *more[64];
	u32 i, n = 0;

	while ((span = pagemap_span(heap, (uintptr_t)first)) !=
	       pagemap_span(heap, (uintptr_t)second) || span->nobjs != 2) {
		must(n < ARRAY_SIZE(more));
		more[n++] = first;
		first = second;
		second = get(heap, 4096);
	}
	for (i = 0; i < n; i++)
		put(heap, more[i]);
	*a = first;
	*b = second;
}

/*
 * An object is freed, and its free put off once more; then the last other object of
 * the span goes. The second free is reported, and the span, which the heap's list has,
 * stays until then.
 */
static void double_free_of_a_span_that_ends(bool checked)
{
	struct kspan_debug_config config = { .flags = checked ? KSPAN_DEBUG_CHECK : 0 };
	struct capture capture;
	void *a, *b, *objs[40];
	u32 i;

	/* pages and metadata for them */
	put(heap, get(heap, MIB));
	must(!heap_set_debug(heap, &config));
	pair_of_a_span(&a, &b);
	capture_begin(&capture);
	if (!checked)
		port_slots_freeze(&heap->slots);
	else
		put_nolock(b);
	put(heap, b);
	if (!checked)
		put_nolock(b);
	put(heap, a);
	if (!checked)
		port_slots_thaw(&heap->slots);
	must(heap_verify(heap) == 0);
	/* spans that get the memory of one that went; these do not catch up */
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get_nolock(64 + 64 * i);
	heap_catch_up(heap);
	capture_end(&capture);
	must(heap_verify(heap) == 0);
	must(capture_count(&capture, "double free") == 1);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
	config.flags = 0;
	must(!heap_set_debug(heap, &config));
}

TEST_F(nolock, a_double_free_that_was_put_off)
{
	double_free_of_a_span_that_ends(true);
}

TEST_F(nolock, a_double_free_while_slots_are_frozen)
{
	double_free_of_a_span_that_ends(false);
}

/* All objects of a span that was kept with none out are known to be free. */
TEST_F(nolock, a_double_free_of_a_spare_span)
{
	struct capture capture;
	void *a, *b;

	testheap_end(&test);
	testheap_prepare(&test, true, TEST_SPACE);
	test.config.spares = true;
	testheap_start(&test);
	put(heap, get(heap, MIB));
	pair_of_a_span(&a, &b);
	capture_begin(&capture);
	port_slots_freeze(&heap->slots);
	central_put(heap, (void *[]){ a, b }, 2, 0);
	must(heap->node0.spare_pages);
	put_nolock(b);
	port_slots_thaw(&heap->slots);
	capture_end(&capture);
	ASSERT_EQ(1, capture_count(&capture, "double free"));
	ASSERT_EQ(NULL, heap->pending);
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_TRUE(heap_drop_spares(heap));
	ASSERT_FALSE(heap_drop_spares(heap));
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(nolock, a_large_double_free_that_was_put_off)
{
	struct capture capture;
	void *obj = get(heap, 100000);

	capture_begin(&capture);
	put_nolock(obj);
	put(heap, obj);
	heap_catch_up(heap);
	put_nolock(obj);
	heap_catch_up(heap);
	capture_end(&capture);
	ASSERT_EQ(2, misuses(heap));
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_HARNESS_MAIN
