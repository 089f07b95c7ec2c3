// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * objcache.c: caches of one type of object, constructed once, of any geometry;
 * with KSPAN_TYPESAFE_BY_RCU memory stays an object's for a grace period.
 */
#include "testheap.h"
#include <urcu/urcu-bp.h>

TESTHEAP_FIXTURE(objcache)

static void *objs[3000];
static struct capture report;

static struct kspan_cache *create(size_t size, size_t align, u32 flags, void (*ctor)(void *obj))
{
	struct kspan_cache *cache = cache_create(heap, "test", size, align, flags, ctor);

	must(cache);
	return cache;
}

static void get_n(struct kspan_cache *cache, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		objs[i] = kspan_cache_alloc(cache, GFP_KERNEL);
		must(objs[i]);
	}
}

static struct kspan_cache_info info_of(u32 nth)
{
	struct kspan_cache_info info;

	must(objcache_info(heap, nth, &info));
	return info;
}

TEST_F(objcache, geometries)
{
	static const size_t sizes[] = {
		1, 8, 9, 24, 100, 333, 1000, 4000, 8192, 10000, 20000, 32768,
	};
	size_t align;
	u32 i, k, n;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (align = 0; align <= KSPAN_PAGE_SIZE; align = align ? align * 4 : 2) {
			struct kspan_cache *cache = create(sizes[i], align, 0, NULL);
			struct kspan_cache_info info = info_of(0);

			ASSERT_GE(info.size, sizes[i]);
			ASSERT_LE((size_t)info.nobjs * info.size, pages_to_bytes(info.npages));
			n = min(2 * info.nobjs + 1, 300u);
			get_n(cache, n);
			for (k = 0; k < n; k++) {
				ASSERT_EQ(0, (uintptr_t)objs[k] % max(align, sizeof(void *)));
				pattern_write(objs[k], info.size, k);
			}
			for (k = 0; k < n; k++) {
				ASSERT_TRUE(pattern_holds(objs[k], info.size, info.size, k));
				ASSERT_EQ(info.size, heap_size(heap, objs[k]));
			}
			ASSERT_EQ(0, heap_verify(heap));
			ASSERT_EQ(n, info_of(0).nlive);
			kspan_cache_free_bulk(cache, n, objs);
			ASSERT_EQ(0, info_of(0).nlive);
			ASSERT_EQ(0, cache_destroy(cache));
		}
	ASSERT_EQ(0, heap->node0.pages.ninuse);
}

TEST_F(objcache, what_cannot_be)
{
	errno = 0;
	ASSERT_EQ(NULL, cache_create(heap, NULL, 8, 0, 0, NULL));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(NULL, cache_create(heap, "x", 0, 0, 0, NULL));
	ASSERT_EQ(NULL, cache_create(heap, "x", KSPAN_MAX_SMALL_SIZE + 1, 0, 0, NULL));
	ASSERT_EQ(NULL, cache_create(heap, "x", (size_t)-8, 0, 0, NULL));
	ASSERT_EQ(NULL, cache_create(heap, "x", 8, 3, 0, NULL));
	ASSERT_EQ(NULL, cache_create(heap, "x", 8, 2 * KSPAN_PAGE_SIZE, 0, NULL));
	ASSERT_EQ(NULL, cache_create(heap, "x", 8, 0, 0x100, NULL));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_FALSE(objcache_info(heap, 0, &(struct kspan_cache_info){ }));
	ASSERT_EQ(0, kspan_cache_destroy(NULL));
}

TEST_F(objcache, names_are_cut_not_refused)
{
	struct kspan_cache *cache;

	cache = cache_create(heap, "a name that is much longer than thirty-one characters", 8, 0,
			     0, NULL);
	ASSERT_NE(NULL, cache);
	ASSERT_STREQ("a name that is much longer than", objcache_name(cache));
	ASSERT_STREQ("a name that is much longer than", info_of(0).name);
	ASSERT_EQ(0, cache_destroy(cache));
}

static u32 nctor;

static void construct(void *obj)
{
	nctor++;
	memset(obj, 0xc7, 56);
}

/* Once for each object of a span, however often it is allocated. */
TEST_F(objcache, constructed_once)
{
	struct kspan_cache *cache = create(56, 0, 0, construct);
	u32 i, k, round, made;

	nctor = 0;
	one_cpu();
	for (round = 0; round < 5; round++) {
		get_n(cache, 1000);
		for (i = 0; i < 1000; i++)
			for (k = 0; k < 56; k++)
				ASSERT_EQ(0xc7, ((u8 *)objs[i])[k]);
		/* the first keep their spans, so nothing is made anew */
		kspan_cache_free_bulk(cache, 900, objs + 100);
		made = nctor;
		get_n(cache, 0);
		ASSERT_EQ(900, kspan_cache_alloc_bulk(cache, GFP_KERNEL, 900, objs + 100));
		ASSERT_LE(nctor - made, 900);
		kspan_cache_free_bulk(cache, 1000, objs);
	}
	ASSERT_EQ(0, nctor % info_of(0).nobjs);
	errno = 0;
	ASSERT_EQ(NULL, kspan_cache_zalloc(cache, GFP_KERNEL));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(0, cache_destroy(cache));
}

TEST_F(objcache, zalloc)
{
	struct kspan_cache *cache = create(120, 0, KSPAN_NOSCAN, NULL);
	u32 i;

	get_n(cache, 100);
	for (i = 0; i < 100; i++)
		memset(objs[i], 0xff, 120);
	kspan_cache_free_bulk(cache, 100, objs);
	for (i = 0; i < 100; i++) {
		objs[i] = i & 1 ? kspan_cache_zalloc(cache, GFP_KERNEL) :
				  kspan_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO);
		ASSERT_TRUE(all_zero(objs[i], 120));
		ASSERT_TRUE(pagemap_span(heap, (uintptr_t)objs[i])->noscan);
	}
	kspan_cache_free_bulk(cache, 100, objs);
	ASSERT_EQ(0, cache_destroy(cache));
}

TEST_F(objcache, bulk_is_all_or_nothing)
{
	struct kspan_cache *cache = create(100, 0, 0, NULL);

	ASSERT_EQ(0, kspan_cache_alloc_bulk(cache, GFP_KERNEL, 0, objs));
	ASSERT_EQ(3000, kspan_cache_alloc_bulk(cache, GFP_KERNEL, 3000, objs));
	kspan_cache_free_bulk(cache, 3000, objs);
	kspan_cache_shrink(cache);
	heap_release_memory(heap);
	test.ts.fail_all = true;
	heap->config.limit_hard = heap->meta_bytes + 64 * KIB;
	ASSERT_EQ(0, kspan_cache_alloc_bulk(cache, GFP_KERNEL, 3000, objs));
	ASSERT_EQ(0, info_of(0).nlive);
	heap->config.limit_hard = 0;
	test.ts.fail_all = false;
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_EQ(0, cache_destroy(cache));
}

TEST_F(objcache, shrink_gives_back)
{
	struct kspan_cache *cache = create(1000, 0, 0, NULL);

	get_n(cache, 1000);
	kspan_cache_free_bulk(cache, 1000, objs);
	ASSERT_GE(kspan_cache_shrink(cache), 1000 * 1000);
	ASSERT_EQ(0, info_of(0).nspan);
	ASSERT_EQ(0, info_of(0).ncached);
	if (variant->kernel)
		ASSERT_EQ(heap->meta_bytes, test.ts.out);
	ASSERT_EQ(0, cache_destroy(cache));
}

TEST_F(objcache, general_free_knows_them)
{
	struct kspan_cache *cache = create(72, 0, 0, NULL);
	u32 i;

	get_n(cache, 300);
	for (i = 0; i < 300; i++)
		put(heap, objs[i]);
	ASSERT_EQ(0, info_of(0).nlive);
	ASSERT_EQ(0, misuses(heap));
	ASSERT_EQ(0, heap_verify(heap));
	ASSERT_EQ(0, cache_destroy(cache));
}

TEST_F(objcache, destroy_with_objects_out)
{
	struct kspan_cache *cache = create(72, 0, 0, NULL);

	get_n(cache, 3);
	capture_begin(&report);
	ASSERT_EQ(-EBUSY, cache_destroy(cache));
	capture_end(&report);
	ASSERT_EQ(1, capture_count(&report, "3 objects out"));
	ASSERT_EQ(3, capture_count(&report, "leak: "));
	/* it stays usable */
	ASSERT_NE(NULL, objs[3] = kspan_cache_alloc(cache, GFP_KERNEL));
	kspan_cache_free_bulk(cache, 4, objs);
	ASSERT_EQ(0, cache_destroy(cache));
}

TEST_F(objcache, wrong_frees)
{
	struct kspan_cache *a = create(64, 0, 0, NULL), *b = create(64, 0, 0, NULL);
	void *obj = get(heap, 64);
	char *mine;

	get_n(a, 10);
	mine = objs[0];
	capture_begin(&report);
	kspan_cache_free(b, mine);
	kspan_cache_free(a, obj);
	kspan_cache_free(a, &report);
	ASSERT_EQ(3, heap->nmisuse[KSPAN_FOREIGN_FREE]);
	kspan_cache_free(a, mine + 8);
	kspan_cache_free(a, objs[1]);
	kspan_cache_free(a, objs[1]);
	kspan_cache_shrink(a);
	capture_end(&report);
	ASSERT_EQ(1, heap->nmisuse[KSPAN_INTERIOR_FREE]);
	ASSERT_EQ(1, heap->nmisuse[KSPAN_DOUBLE_FREE]);
	ASSERT_EQ(5, capture_count(&report, "kspan: "));
	ASSERT_EQ(0, heap_verify(heap));
	kspan_cache_free(a, NULL);
	kspan_cache_free(a, objs[0]);
	kspan_cache_free_bulk(a, 8, objs + 2);
	put(heap, obj);
	ASSERT_EQ(0, cache_destroy(a));
	ASSERT_EQ(0, cache_destroy(b));
}

/* Among many objects each wrong one is told apart, and the rest is freed. */
TEST_F(objcache, wrong_frees_in_bulk)
{
	struct kspan_cache *a = create(64, 0, 0, NULL), *b = create(64, 0, 0, NULL);
	void *obj = get(heap, 64), *other = kspan_cache_alloc(b, GFP_KERNEL);
	void *mixed[130];
	u32 i;

	must(other);
	get_n(a, 126);
	for (i = 0; i < 126; i++)
		mixed[i < 70 ? i : i + 3] = objs[i];
	mixed[70] = NULL;
	mixed[71] = other;
	mixed[72] = obj;
	mixed[129] = (char *)objs[0] + 8;
	capture_begin(&report);
	kspan_cache_free_bulk(a, ARRAY_SIZE(mixed), mixed);
	kspan_cache_shrink(a);
	capture_end(&report);
	ASSERT_EQ(2, heap->nmisuse[KSPAN_FOREIGN_FREE]);
	ASSERT_EQ(1, heap->nmisuse[KSPAN_INTERIOR_FREE]);
	ASSERT_EQ(0, heap->nmisuse[KSPAN_DOUBLE_FREE]);
	ASSERT_EQ(0, info_of(0).nlive);
	ASSERT_EQ(1, info_of(1).nlive);
	ASSERT_EQ(0, heap_verify(heap));
	kspan_cache_free(b, other);
	put(heap, obj);
	ASSERT_EQ(0, cache_destroy(a));
	ASSERT_EQ(0, cache_destroy(b));
}

TEST_F(objcache, counted)
{
	static struct kspan_stats stats;
	struct kspan_cache *cache = create(100, 0, 0, NULL);
	struct kspan_cache_info info;

	get_n(cache, 500);
	kspan_cache_free_bulk(cache, 200, objs);
	info = info_of(0);
	ASSERT_EQ(500, info.nmalloc);
	ASSERT_EQ(200, info.nfree);
	ASSERT_EQ(300, info.nlive);
	heap_get_stats(heap, &stats);
	ASSERT_EQ(500, stats.cache_nmalloc);
	ASSERT_EQ(300 * info.size, stats.live_bytes);
	kspan_cache_free_bulk(cache, 300, objs + 200);
	ASSERT_EQ(0, cache_destroy(cache));
	heap_get_stats(heap, &stats);
	ASSERT_EQ(500, stats.cache_nmalloc);
	ASSERT_EQ(500, stats.cache_nfree);
	ASSERT_EQ(0, stats.live_bytes);
}

/* A reader sees memory that stays an object of the cache, live or not. */
TEST_F(objcache, typesafe_by_rcu)
{
	struct kspan_cache *cache = create(64, 0, KSPAN_TYPESAFE_BY_RCU, construct);
	struct kspan_span *span;
	u32 i;

	get_n(cache, 1000);
	span = pagemap_span(heap, (uintptr_t)objs[500]);
	urcu_bp_read_lock();
	kspan_cache_free_bulk(cache, 1000, objs);
	kspan_cache_shrink(cache);
	ASSERT_EQ(0, heap_verify(heap));
	for (i = 0; i < 1000; i++)
		ASSERT_NE(NULL, pagemap_span(heap, (uintptr_t)objs[i]));
	ASSERT_EQ(span, pagemap_span(heap, (uintptr_t)objs[500]));
	ASSERT_EQ(0xc7, *(u8 *)objs[500]);
	urcu_bp_read_unlock();
	port_rcu_barrier();
	port_rcu_barrier();
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(NULL, pagemap_span(heap, (uintptr_t)objs[i]));
	ASSERT_EQ(0, cache_destroy(cache));
	port_rcu_barrier();
}

static struct kspan_cache *shared;

static void *churn(void *arg)
{
	u64 seed = (uintptr_t)arg;
	void *mine[100] = { };
	u32 i, k;

	for (i = 0; i < test_rounds(30000); i++) {
		k = random_below(&seed, ARRAY_SIZE(mine));
		if (mine[k]) {
			must(pattern_holds(mine[k], 48, 48, (uintptr_t)&mine[k]));
			kspan_cache_free(shared, mine[k]);
			mine[k] = NULL;
		} else {
			mine[k] = kspan_cache_alloc(shared, GFP_KERNEL);
			must(mine[k]);
			pattern_write(mine[k], 48, (uintptr_t)&mine[k]);
		}
		if (i % 1000 == 0)
			kspan_cache_shrink(shared);
	}
	for (k = 0; k < ARRAY_SIZE(mine); k++)
		kspan_cache_free(shared, mine[k]);
	return NULL;
}

static void churn_threads(u32 flags)
{
	pthread_t thread[4];
	u32 i;

	shared = create(48, 0, flags, NULL);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		must(!pthread_create(&thread[i], NULL, churn, (void *)(uintptr_t)(i + 1)));
	for (i = 0; i < 20; i++) {
		must(heap_verify(heap) == 0);
		usleep(1000);
	}
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	must(info_of(0).nlive == 0);
	must(cache_destroy(shared) == 0);
	port_rcu_barrier();
}

TEST_F_TIMEOUT(objcache, threads, 100)
{
	churn_threads(0);
	churn_threads(KSPAN_TYPESAFE_BY_RCU);
}

TEST_F(objcache, many)
{
	struct kspan_cache *caches[100];
	void *obj[100];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		caches[i] = create(8 + 8 * i, 0, 0, NULL);
		obj[i] = kspan_cache_alloc(caches[i], GFP_KERNEL);
		pattern_write(obj[i], 8 + 8 * i, i);
	}
	ASSERT_EQ(0, heap_verify(heap));
	heap_release_memory(heap);
	ASSERT_EQ(ARRAY_SIZE(caches), heap_leaks(heap, false));
	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		ASSERT_TRUE(pattern_holds(obj[i], 8 + 8 * i, 8 + 8 * i, i));
		kspan_cache_free(caches[i], obj[i]);
		ASSERT_EQ(0, cache_destroy(caches[i]));
	}
}

/* A heap that ends names the caches that were forgotten, and waits for their spans. */
TEST(forgotten)
{
	static struct testheap test;
	struct kspan_cache *cache;

	testheap_prepare(&test, false, TEST_SPACE);
	testheap_start(&test);
	cache = cache_create(&test.heap, "test", 64, 0, KSPAN_TYPESAFE_BY_RCU, NULL);
	ASSERT_NE(NULL, cache);
	get_n(cache, 1);
	kspan_cache_free(cache, objs[0]);
	ASSERT_NE(NULL, cache_create(&test.heap, "test", 100, 0, 0, NULL));
	capture_begin(&report);
	testheap_end(&test);
	capture_end(&report);
	ASSERT_EQ(2, capture_count(&report, "kspan: object cache test was never destroyed"));
}

TEST_HARNESS_MAIN
