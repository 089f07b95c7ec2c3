// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * stats.c: the equations between the counters, against a model that counts what
 * it was given, over every kind of object.
 */
#include "testheap.h"

TESTHEAP_FIXTURE(stats)

static struct kspan_stats stats;

struct model {
	u64 nmalloc[KSPAN_STATS_CLASSES];
	u64 nfree[KSPAN_STATS_CLASSES];
	u64 nlarge, nlarge_free, large_bytes;
	u64 ntiny, ntiny_free;
	u64 live_bytes;		/* without tiny objects */
};

static struct model model;

static void model_count(void *obj, size_t size, bool noscan, bool is_free)
{
	u32 c = size <= KSPAN_MAX_SMALL_SIZE ? span_class(size_to_class(size), noscan) : 0;
	size_t nbytes = heap_size(heap, obj);

	if (c)
		(is_free ? model.nfree : model.nmalloc)[c]++;
	else if (is_free)
		model.nlarge_free++;
	else
		model.nlarge++;
	model.live_bytes += is_free ? -nbytes : nbytes;
	if (!c)
		model.large_bytes += is_free ? -nbytes : nbytes;
}

/* What must be so at any time that nobody uses the heap. */
static void check_equations(void)
{
	u64 nmalloc = 0, nfree = 0, nhit = 0, cached = 0, span_bytes = 0;
	u32 c;

	heap_get_stats(heap, &stats);
	for (c = 0; c < KSPAN_STATS_CLASSES; c++) {
		const struct kspan_class_stats *cls = &stats.cls[c];

		must(cls->size == (c >= 2 ? kspan_class_to_size[c >> 1] : 0));
		must(cls->nhit <= cls->nmalloc && cls->nfree <= cls->nmalloc);
		must(cls->span_bytes == cls->nspan *
		     pages_to_bytes(kspan_class_to_npages[c >> 1]) || c < 2);
		must((cls->nmalloc - cls->nfree + cls->ncached) * cls->size <= cls->span_bytes);
		nmalloc += cls->nmalloc;
		nfree += cls->nfree;
		nhit += cls->nhit;
		cached += cls->ncached * cls->size;
		span_bytes += cls->span_bytes;
	}
	must(stats.nmalloc == nmalloc + stats.ntiny_malloc + stats.nlarge_malloc +
	     stats.cache_nmalloc);
	must(stats.nfree == nfree + stats.ntiny_free + stats.nlarge_free + stats.cache_nfree);
	must(stats.nhit >= nhit && stats.cached_bytes >= cached);
	must(stats.sys_bytes == stats.inuse_bytes + stats.idle_bytes + stats.released_bytes +
	     stats.meta_bytes);
	must(stats.sys_bytes == test.ts.out);
	must(span_bytes + stats.large_bytes <= stats.inuse_bytes);
	must(stats.live_bytes + stats.cached_bytes <= stats.inuse_bytes);
}

static void check_model(void)
{
	u32 c;

	check_equations();
	for (c = 2; c < KSPAN_STATS_CLASSES; c++) {
		must(stats.cls[c].nmalloc == model.nmalloc[c]);
		must(stats.cls[c].nfree == model.nfree[c]);
	}
	must(stats.nlarge_malloc == model.nlarge && stats.nlarge_free == model.nlarge_free);
	must(stats.large_bytes == model.large_bytes);
	must(stats.ntiny_malloc == model.ntiny && stats.ntiny_free == model.ntiny_free);
	must(stats.live_bytes >= model.live_bytes);
	must(stats.live_bytes <= model.live_bytes +
	     (model.ntiny - model.ntiny_free) * KSPAN_TINY_SIZE);
}

struct object {
	void *ptr;
	size_t size;
	bool noscan;
	bool tiny;
};

static void object_get(struct object *object, u64 *seed)
{
	object->noscan = random_below(seed, 2);
	object->tiny = random_below(seed, 8) == 0;
	object->size = 1 + random_below(seed, random_below(seed, 20) ? 2000 : 100000);
	if (object->tiny) {
		object->ptr = tiny_alloc(heap, 1 + random_below(seed, 15), GFP_KERNEL, 0);
		model.ntiny++;
		return;
	}
	object->ptr = heap_alloc(heap, object->size, object->noscan, GFP_KERNEL, 0);
	must(object->ptr);
	model_count(object->ptr, object->size, object->noscan, false);
}

static void object_put(struct object *object)
{
	if (object->tiny)
		model.ntiny_free++;
	else
		model_count(object->ptr, object->size, object->noscan, true);
	put(heap, object->ptr);
	object->ptr = NULL;
}

TEST_F(stats, an_unused_heap)
{
	heap_get_stats(heap, &stats);
	ASSERT_EQ(0, stats.nmalloc);
	ASSERT_EQ(0, stats.live_bytes);
	ASSERT_EQ(0, stats.inuse_bytes);
	ASSERT_EQ(test.ts.out, stats.meta_bytes);
	ASSERT_EQ(stats.sys_bytes, stats.meta_bytes);
}

TEST_F_TIMEOUT(stats, against_the_model, 100)
{
	static struct object objs[800];
	u64 seed = 1;
	u32 i, k;

	for (i = 0; i < 20000; i++) {
		k = random_below(&seed, ARRAY_SIZE(objs));
		if (objs[k].ptr)
			object_put(&objs[k]);
		else
			object_get(&objs[k], &seed);
		if (i % 500 == 0)
			check_model();
		if (i % 3000 == 0)
			heap_release_memory(heap);
		if (i % 1700 == 0)
			heap_scavenge(heap);
	}
	check_model();
	for (k = 0; k < ARRAY_SIZE(objs); k++)
		if (objs[k].ptr)
			object_put(&objs[k]);
	heap_release_memory(heap);
	check_model();
	ASSERT_EQ(stats.nmalloc, stats.nfree);
	ASSERT_EQ(0, stats.live_bytes);
	ASSERT_EQ(0, stats.cached_bytes);
	ASSERT_EQ(0, stats.inuse_bytes);
}

/* Counts outlive the slots' freezing and the threads that made them. */
static void *some(void *arg)
{
	u32 i;

	for (i = 0; i < 1000; i++)
		put(heap, get(heap, 64));
	return NULL;
}

TEST_F(stats, threads_that_are_gone_count)
{
	pthread_t thread[4];
	u32 i, c = span_class(size_to_class(64), false);

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, some, NULL));
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	check_equations();
	ASSERT_EQ(4000, stats.cls[c].nmalloc);
	ASSERT_EQ(4000, stats.cls[c].nfree);
	cache_drain(heap, &heap->slots);
	check_equations();
	ASSERT_EQ(4000, stats.cls[c].nmalloc);
	ASSERT_EQ(4000, stats.cls[c].nfree);
	ASSERT_EQ(0, stats.cached_bytes);
}

TEST_F(stats, hits_are_counted_apart)
{
	const struct kspan_class_stats *cls = &stats.cls[span_class(size_to_class(64), false)];
	u32 i;

	one_cpu();
	put(heap, get(heap, 64));
	heap_get_stats(heap, &stats);
	ASSERT_EQ(0, cls->nhit);
	ASSERT_EQ(1, cls->nrefill);
	for (i = 0; i < 10; i++)
		put(heap, get(heap, 64));
	heap_get_stats(heap, &stats);
	ASSERT_EQ(10, cls->nhit);
	ASSERT_EQ(11, cls->nmalloc);
	ASSERT_EQ(1, cls->nrefill);
}

TEST_F(stats, failures_are_counted)
{
	u64 before = heap->nfail;

	test.ts.fail_all = true;
	ASSERT_EQ(NULL, get(heap, 100));
	ASSERT_EQ(NULL, get(heap, 100000));
	ASSERT_EQ(NULL, get(heap, (size_t)-1));
	test.ts.fail_all = false;
	heap_get_stats(heap, &stats);
	ASSERT_EQ(before + 3, stats.nfail);
	ASSERT_EQ(0, stats.nmalloc);
}

TEST_F(stats, growth_and_release_are_counted)
{
	void *obj = get(heap, 3 * MIB);

	heap_get_stats(heap, &stats);
	ASSERT_EQ(1, stats.ngrow);
	ASSERT_EQ(0, stats.nrelease);
	put(heap, obj);
	heap_release_memory(heap);
	heap_get_stats(heap, &stats);
	ASSERT_EQ(1, stats.nrelease);
	ASSERT_GE(stats.nscavenged_bytes, 3 * MIB);
}

/* Bytes of metadata per MiB of small objects, which a person may want to know. */
TEST_F(stats, metadata_is_small)
{
	static void *objs[200000];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 64);
	heap_get_stats(heap, &stats);
	TH_LOG("%llu bytes of metadata for %llu KiB of objects of 64 bytes",
	       (unsigned long long)stats.meta_bytes, (unsigned long long)stats.live_bytes / 1024);
	ASSERT_LE(stats.meta_bytes * 20, stats.live_bytes);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
}

static bool accept_odd(uintptr_t site, void *arg)
{
	return site & 1;
}

TEST(leaks_by_call_site)
{
	static struct capture report;
	void *objs[100];
	u32 i;

	testheap_prepare(&test, false, TEST_SPACE);
	test.config.debug.flags = KSPAN_DEBUG_CHECK;
	testheap_start(&test);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = heap_alloc(heap, 1 + i * 500, i & 1, GFP_KERNEL, 1000 + i);
	ASSERT_EQ(100, heap_leaks(heap, false));
	ASSERT_EQ(50, heap_leaks_of(heap, accept_odd, NULL, false));
	capture_begin(&report);
	heap_leaks_of(heap, accept_odd, NULL, true);
	capture_end(&report);
	ASSERT_LE(1, capture_count(&report, "leak: "));
	for (i = 1; i < ARRAY_SIZE(objs); i += 2)
		put(heap, objs[i]);
	ASSERT_EQ(0, heap_leaks_of(heap, accept_odd, NULL, false));
	ASSERT_EQ(50, heap_leaks(heap, false));
	for (i = 0; i < ARRAY_SIZE(objs); i += 2)
		put(heap, objs[i]);
	testheap_end(&test);
}

TEST_HARNESS_MAIN
