// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What goes wrong in the middle: a default heap that cannot start, requests of which
 * a part fails, limits that are lowered while the source is asked, objects that are
 * freed twice while the scavenger has their span. Nothing is lost, and the caller is
 * told.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <sys/resource.h>
#include "sanitized.h"
#include "testheap.h"

TESTHEAP_FIXTURE(failures)

/* There are no addresses to be had. Returns what there were. */
static struct rlimit no_memory(void)
{
	struct rlimit none, was;

	must(!getrlimit(RLIMIT_AS, &was));
	none = was;
	none.rlim_cur = 0;
	must(!setrlimit(RLIMIT_AS, &none));
	return was;
}

TEST(the_default_heap_cannot_start)
{
	static struct kspan_stats stats;
	struct rlimit was;
	void *objs[2];

	/* sanitizers need address space of their own */
	if (SANITIZED)
		SKIP(return, "a sanitizer's memory would be limited");
	was = no_memory();
	must(!kspan_alloc(64, GFP_KERNEL) && errno == ENOMEM);
	must(!kspan_zalloc(64, GFP_KERNEL));
	must(!kspan_alloc_noscan(8, GFP_KERNEL));
	must(!kspan_alloc(100000, GFP_KERNEL));
	must(!kspan_alloc_aligned(100000, 8192, GFP_KERNEL));
	must(!kspan_alloc_node(64, GFP_KERNEL, 0));
	must(!kspan_alloc_nolock(64, GFP_KERNEL));
	must(!kspan_alloc_bulk(64, GFP_KERNEL, 2, objs));
	must(!kspan_reserve_prefill(64, GFP_KERNEL, 2));
	must(!kspan_cache_create("none", 64, 0, 0, NULL));
	must(kspan_release_memory() == 0);
	must(kspan_verify() == 0);
	kspan_get_stats(&stats);
	must(stats.nmalloc == 0 && stats.sys_bytes == 0);
	kspan_free(NULL);
	must(!setrlimit(RLIMIT_AS, &was));
	/* and it can later */
	objs[0] = kspan_alloc(64, GFP_KERNEL);
	must(objs[0]);
	kspan_free(objs[0]);
}

/* The default heap's @every-th request that takes the slow path fails; 0: none. */
static void fail_every(u32 every)
{
	struct kspan_debug_config config = {
		.flags = every ? KSPAN_DEBUG_FAIL : 0,
		.fail_every = every,
	};

	must(!heap_set_debug(&kspan_heap0, &config));
}

static u64 nlive0(void)
{
	static struct kspan_stats stats;

	kspan_get_stats(&stats);
	return stats.nmalloc - stats.nfree;
}

TEST(reserves_that_cannot_be_filled)
{
	struct kspan_reserve *reserve;
	u64 before;
	u32 every, nmade = 0;

	kspan_free(kspan_alloc(100000, GFP_KERNEL));	/* the heap is there */
	before = nlive0();
	ASSERT_EQ(NULL, kspan_reserve_prefill(64, GFP_KERNEL, SIZE_MAX / 4));
	ASSERT_EQ(ENOMEM, errno);
	ASSERT_EQ(NULL, kspan_reserve_prefill(64, GFP_KERNEL, SIZE_MAX / 8));
	ASSERT_EQ(NULL, kspan_reserve_prefill(0, GFP_KERNEL, 1));
	ASSERT_EQ(EINVAL, errno);
	for (every = 1; every < 20; every++) {
		fail_every(every);
		kspan_heap0.debug.nasked = 0;
		reserve = kspan_reserve_prefill(100000, GFP_KERNEL, 4);
		nmade += reserve != NULL;
		kspan_reserve_return(reserve);
		ASSERT_EQ(before, nlive0());
	}
	ASSERT_LT(0, nmade);
	ASSERT_GT(19, nmade);
	fail_every(0);
}

TEST(reserves_that_cannot_grow)
{
	struct kspan_reserve *reserve, *old;
	u64 before = nlive0();
	u32 every, nfail = 0;
	void *obj;

	for (every = 1; every < 8; every++) {
		reserve = kspan_reserve_prefill(100000, GFP_KERNEL, 2);
		old = reserve;
		obj = kspan_reserve_alloc(reserve, GFP_KERNEL);
		fail_every(every);
		kspan_heap0.debug.nasked = 0;
		if (kspan_reserve_refill(&reserve, GFP_KERNEL, 2)) {
			nfail++;
			ASSERT_EQ(1, kspan_reserve_count(reserve));
		}
		if (kspan_reserve_refill(&reserve, GFP_KERNEL, 5)) {
			nfail++;
			ASSERT_EQ(old, reserve);
			ASSERT_GE(2, kspan_reserve_count(reserve));
		} else {
			ASSERT_EQ(5, kspan_reserve_count(reserve));
		}
		fail_every(0);
		kspan_free(obj);
		kspan_reserve_return(reserve);
		ASSERT_EQ(before, nlive0());
	}
	ASSERT_LT(0, nfail);
}

TEST(arrays_that_no_memory_has_room_for)
{
	size_t cap = SIZE_MAX / 4 * 3;

	ASSERT_EQ(NULL, kspan_grow_array(NULL, &cap, SIZE_MAX - 1, 1, GFP_KERNEL));
	ASSERT_EQ(SIZE_MAX / 4 * 3, cap);
	/* what it would grow to is too much for a size_t, what is needed is not */
	cap = SIZE_MAX / 8;
	ASSERT_EQ(NULL, kspan_grow_array(NULL, &cap, SIZE_MAX / 8 + 1, 7, GFP_KERNEL));
	ASSERT_EQ(SIZE_MAX / 8, cap);
	/* nothing to begin with, and of elements without a size */
	cap = 10;
	ASSERT_EQ(ZERO_SIZE_PTR, kspan_grow_array(NULL, &cap, 4, 0, GFP_KERNEL));
}

TEST(nodes_that_there_are_not)
{
	u8 *obj = kspan_zalloc_node(100, GFP_KERNEL, 0);

	ASSERT_NE(NULL, obj);
	ASSERT_TRUE(all_zero(obj, 100));
	kspan_free(obj);
	ASSERT_EQ(NULL, kspan_alloc_node(100, GFP_KERNEL | __GFP_THISNODE, 60));
}

static void construct(void *obj)
{
	*(u64 *)obj = 17;
}

TEST(caches_in_every_way)
{
	struct kspan_cache *plain = kspan_cache_create("plain", 100, 0, 0, NULL);
	struct kspan_cache *built = kspan_cache_create("built", 2000, 0, 0, construct);
	static void *objs[70000];
	u8 *obj;

	obj = kspan_cache_alloc_node(plain, GFP_KERNEL, NUMA_NO_NODE);
	ASSERT_NE(NULL, obj);
	kspan_cache_free(plain, obj);
	obj = kspan_cache_alloc_node(plain, GFP_KERNEL | __GFP_ZERO, 60);
	ASSERT_NE(NULL, obj);
	ASSERT_TRUE(all_zero(obj, 100));
	kspan_cache_free(plain, obj);
	ASSERT_EQ(NULL, kspan_cache_alloc_node(plain, GFP_KERNEL | __GFP_THISNODE, 60));
	ASSERT_EQ(NULL, kspan_cache_alloc_node(built, GFP_KERNEL | __GFP_ZERO, 0));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(NULL, kspan_cache_alloc_nolock(built, GFP_NOWAIT | __GFP_ZERO));
	ASSERT_EQ(EINVAL, errno);
	errno = 0;
	ASSERT_EQ(0, kspan_cache_alloc_bulk(built, GFP_KERNEL | __GFP_ZERO, 2, objs));
	ASSERT_EQ(EINVAL, errno);
	/* only what was constructed before */
	ASSERT_EQ(NULL, kspan_cache_alloc_nolock(built, GFP_NOWAIT));
	ASSERT_EQ(ENOMEM, errno);
	ASSERT_EQ(ARRAY_SIZE(objs), kspan_cache_alloc_bulk(plain, GFP_KERNEL, ARRAY_SIZE(objs), objs));
	kspan_cache_free_bulk(plain, ARRAY_SIZE(objs), objs);
	fail_every(1);
	ASSERT_EQ(NULL, kspan_cache_alloc(plain, GFP_KERNEL));
	ASSERT_NE(NULL, obj = kspan_cache_alloc(plain, GFP_KERNEL | __GFP_NOFAIL));
	kspan_cache_free(plain, obj);
	ASSERT_EQ(NULL, kspan_cache_alloc_node(plain, GFP_KERNEL, 0));
	ASSERT_EQ(0, kspan_cache_alloc_bulk(plain, GFP_KERNEL, 2, objs));
	ASSERT_EQ(0, kspan_alloc_bulk(64, GFP_KERNEL, 2, objs));
	ASSERT_EQ(NULL, kspan_alloc_node(64, GFP_KERNEL, 0));
	ASSERT_EQ(NULL, kspan_alloc_aligned(64, 65536, GFP_KERNEL));
	ASSERT_EQ(NULL, kspan_reserve_prefill(64, GFP_KERNEL, 2));
	obj = kspan_cache_alloc_nolock(plain, GFP_NOWAIT);
	if (obj)
		kspan_free_nolock(obj);
	fail_every(0);
	ASSERT_EQ(0, kspan_cache_destroy(plain));
	ASSERT_EQ(0, kspan_cache_destroy(built));
}

TEST(more_than_a_stack_can_count)
{
	static void *objs[70000];

	ASSERT_EQ(ARRAY_SIZE(objs), kspan_alloc_bulk(8, GFP_KERNEL, ARRAY_SIZE(objs), objs));
	kspan_free_bulk(ARRAY_SIZE(objs), objs);
}

/* A heap that is to be checked from its first moment, with each call failing in turn. */
TEST(a_checked_heap_cannot_be_made)
{
	static struct testheap t;
	u32 n, nfail = 0;
	int err;

	for (n = 1; n < 8; n++) {
		testheap_prepare(&t, true, 64 * MIB);
		t.config.debug.flags = KSPAN_DEBUG_QUARANTINE;
		t.config.debug.quarantine_bytes = MIB;
		testsource_fail_nth(&t.ts, n);
		err = heap_init(&t.heap, &t.config);
		nfail += err == -ENOMEM;
		if (!err)
			testheap_end(&t);
		ASSERT_EQ(0, t.ts.out);
	}
	ASSERT_LT(0, nfail);
}

TEST(sources_that_make_no_sense)
{
	static struct testheap t;

	testheap_prepare(&t, false, 64 * MIB);
	t.ts.src.unit = 2048;
	ASSERT_EQ(-EINVAL, heap_init(&t.heap, &t.config));
	t.ts.src.unit = 16384;
	ASSERT_EQ(-EINVAL, heap_init(&t.heap, &t.config));
	t.ts.src.unit = 5000;
	ASSERT_EQ(-EINVAL, heap_init(&t.heap, &t.config));
}

/* Quarantine that is asked for where there is no memory for it: nothing changed. */
TEST_F(failures, no_memory_for_quarantine)
{
	struct kspan_debug_config config = {
		.flags = KSPAN_DEBUG_QUARANTINE, .quarantine_bytes = 8 * MIB,
	};
	static void *objs[5000];
	u32 i;

	test.ts.fail_all = true;
	ASSERT_EQ(-ENOMEM, heap_set_debug(heap, &config));
	ASSERT_FALSE(heap->checked);
	test.ts.fail_all = false;
	ASSERT_EQ(0, heap_set_debug(heap, &config));
	/* the same again: what is held stays */
	put(heap, get(heap, 8));
	ASSERT_EQ(0, heap_set_debug(heap, &config));
	ASSERT_EQ(1, heap->debug.quarantine.n);
	ASSERT_EQ(0, heap_leaks(heap, true));
	/* more objects than it has room for, of whatever size */
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 8);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
	ASSERT_LE(4000, heap->debug.quarantine.n);
	ASSERT_GE(4096, heap->debug.quarantine.n);
	/* and one that it never has room for */
	config.quarantine_bytes = 1000;
	ASSERT_EQ(0, heap_set_debug(heap, &config));
	put(heap, get(heap, 2000));
	config.flags = 0;
	ASSERT_EQ(0, heap_set_debug(heap, &config));
	ASSERT_EQ(0, heap->debug.quarantine.n);
}

/* The call sites of objects whose code is about to go are forgotten. */
static bool owns_site_7(uintptr_t site, void *arg)
{
	(void)arg;
	return site == 7;
}

static bool owns_no_site(uintptr_t site, void *arg)
{
	(void)arg;
	return site == 99;
}

TEST_F(failures, call_sites_are_forgotten)
{
	struct kspan_debug_config config = { .flags = KSPAN_DEBUG_CHECK };
	void *obj;

	ASSERT_EQ(0, heap_set_debug(heap, &config));
	obj = heap_alloc(heap, 100, false, GFP_KERNEL, 7);
	ASSERT_EQ(1, heap_leaks_of(heap, owns_site_7, NULL, false));
	heap_rename_sites(heap, owns_no_site, NULL, 8);
	ASSERT_EQ(1, heap_leaks_of(heap, owns_site_7, NULL, false));
	heap_rename_sites(heap, owns_site_7, NULL, 8);
	ASSERT_EQ(0, heap_leaks_of(heap, owns_site_7, NULL, false));
	ASSERT_EQ(1, heap_leaks(heap, false));
	put(heap, obj);
	config.flags = 0;
	ASSERT_EQ(0, heap_set_debug(heap, &config));
	/* what was allocated since has none */
	obj = get(heap, 100);
	ASSERT_EQ(0, heap_leaks_of(heap, owns_site_7, NULL, false));
	put(heap, obj);
}

/* While the source is asked somebody lowers the limit. */
static void *get_and_limit(struct kspan_source *src, size_t min, size_t want, size_t align,
			   gfp_t gfp, int node, size_t *got)
{
	void *mem = testsource_get(src, min, want, align, gfp, node, got);

	port_store(&heap->config.limit_hard, 1);
	return mem;
}

TEST_F(failures, the_limit_is_lowered_meanwhile)
{
	static const size_t sizes[] = { 64, 3000, 100000, 9 * MIB };
	void *warm = get(heap, 8), *obj;
	u64 out, i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		heap_release_memory(heap);
		out = test.ts.out;
		test.ts.src.get = get_and_limit;
		port_store(&heap->config.limit_hard, GIB);
		obj = get(heap, sizes[i]);
		test.ts.src.get = testsource_get;
		port_store(&heap->config.limit_hard, 0);
		put(heap, obj);
		heap_release_memory(heap);
		/* but for metadata */
		ASSERT_GE(out + MIB, test.ts.out);
		ASSERT_EQ(0, heap_verify(heap));
	}
	put(heap, warm);
}

/* Metadata of which the source is asked under a limit that is gone when it has answered. */
TEST_F(failures, the_limit_is_lowered_under_metadata)
{
	u64 out = test.ts.out;
	size_t got;
	void *mem;

	port_store(&heap->config.limit_hard, GIB);
	test.ts.src.get = get_and_limit;
	mem = heap_meta_get(heap, 10000, GFP_KERNEL, &got);
	test.ts.src.get = testsource_get;
	port_store(&heap->config.limit_hard, 0);
	ASSERT_EQ(NULL, mem);
	ASSERT_EQ(out, test.ts.out);
}

/* A large object cannot become longer where the limit ends. */
TEST_F(failures, the_limit_stops_what_grows)
{
	void *obj = get(heap, 100000), *same;

	ASSERT_NE(NULL, obj);
	port_store(&heap->config.limit_hard, 150000);
	same = heap_realloc(heap, obj, 400000, GFP_KERNEL, 0);
	ASSERT_EQ(NULL, same);
	port_store(&heap->config.limit_hard, 0);
	/* the same length: nothing to do */
	ASSERT_TRUE(heap_span_resize(heap, pagemap_span(heap, (uintptr_t)obj),
				     pagemap_span(heap, (uintptr_t)obj)->npages));
	put(heap, obj);
}

/* Charged objects: past the limit, and where the map has no room. */
TEST_F(failures, charged_objects)
{
	u64 out, n;
	void *obj;

	test.ts.src.charges = true;
	port_store(&heap->config.limit_hard, 100000);
	ASSERT_EQ(NULL, heap_alloc(heap, 200000, false, GFP_KERNEL | __GFP_ACCOUNT, 0));
	port_store(&heap->config.limit_hard, 0);
	for (n = 1; n < 6; n++) {
		out = test.ts.out;
		testsource_fail_nth(&test.ts, n);
		obj = heap_alloc(heap, 200000, false, GFP_KERNEL | __GFP_ACCOUNT, 0);
		testsource_fail_nth(&test.ts, 0);
		put(heap, obj);
		ASSERT_EQ(0, heap_verify(heap));
		ASSERT_GE(out + 8 * MIB, test.ts.out);
	}
}

/* While the scavenger has the span's free objects one of them is freed. */
static void *free_meanwhile;

static bool release_and_free(struct kspan_source *src, void *addr, size_t nbytes)
{
	void *obj = free_meanwhile;

	free_meanwhile = NULL;
	if (obj)
		central_put(heap, &obj, 1, 0);
	return testsource_release(src, addr, nbytes);
}

TEST_F(failures, a_double_free_under_the_scavenger)
{
	struct kspan_central *central = heap_central(heap, span_class(size_to_class(2048), false), 0);
	struct capture capture;
	void *objs[64];
	u64 before;
	u32 i;

	if (variant->kernel)
		SKIP(return, "its source does not release");
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 2048);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		if (i % 8)
			put(heap, objs[i]);
	cache_drain(heap, &heap->slots);
	central_trim(central);	/* they were active until now */
	before = misuses(heap);
	free_meanwhile = objs[1];
	test.ts.src.release = release_and_free;
	capture_begin(&capture);
	ASSERT_LT(0, central_trim(central));
	capture_end(&capture);
	test.ts.src.release = testsource_release;
	ASSERT_EQ(before + 1, misuses(heap));
	ASSERT_EQ(1, capture_count(&capture, "double free"));
	ASSERT_EQ(0, heap_verify(heap));
	for (i = 0; i < ARRAY_SIZE(objs); i += 8)
		put(heap, objs[i]);
}

/* Of two that free a large object at once one has taken it already. */
TEST_F(failures, a_large_object_that_another_frees)
{
	void *obj = get(heap, 100000);
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)obj);
	struct capture capture;

	span_set_state(span, SPAN_LIMBO);
	capture_begin(&capture);
	put(heap, obj);
	capture_end(&capture);
	ASSERT_EQ(1, capture_count(&capture, "double free"));
	span_set_state(span, SPAN_LARGE);
	put(heap, obj);
}

/* What the verifier finds on a stack that must not be there. */
TEST_F(failures, the_verifier_looks_at_stacks)
{
	u32 stack = span_class(size_to_class(512), false);
	char *obj = get(heap, 512), *other = get(heap, 1024);
	struct capture capture;

	one_cpu();
	capture_begin(&capture);
	put(heap, get(heap, 512));
	put(heap, get(heap, 1024));
	ASSERT_TRUE(port_slot_push(&heap->slots, stack, obj + 8));
	ASSERT_NE(0, heap_verify(heap));
	ASSERT_EQ(obj + 8, port_slot_pop(&heap->slots, stack));
	ASSERT_TRUE(port_slot_push(&heap->slots, stack, other));
	ASSERT_NE(0, heap_verify(heap));
	ASSERT_EQ(other, port_slot_pop(&heap->slots, stack));
	capture_end(&capture);
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, obj);
	put(heap, other);
}

/* A reallocation of what is no object, or none any more. */
TEST_F(failures, wrong_reallocations)
{
	char *small = get(heap, 100), *large = get(heap, 100000);
	struct capture capture;
	u64 before = misuses(heap);

	capture_begin(&capture);
	ASSERT_EQ(NULL, heap_realloc(heap, small + 8, 200, GFP_KERNEL, 0));
	ASSERT_EQ(NULL, heap_realloc(heap, large + 8192, 200, GFP_KERNEL, 0));
	capture_end(&capture);
	ASSERT_EQ(before + 2, misuses(heap));
	ASSERT_EQ(2, capture_count(&capture, "free of a pointer into an object"));
	put(heap, small);
	put(heap, large);
}

/* Frees that wait for nothing while the slots are frozen: tiny, and wrong. */
TEST_F(failures, frees_while_slots_are_frozen)
{
	char *tiny = get_noscan(heap, 200), *obj = get(heap, 100);
	struct capture capture;
	u64 before = misuses(heap);
	void *block[8];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(block); i++)
		block[i] = tiny_alloc(heap, 8, GFP_KERNEL, 0);
	port_slots_freeze(&heap->slots);
	for (i = 0; i < ARRAY_SIZE(block); i++)
		heap_free_nolock(heap, block[i], 0);
	capture_begin(&capture);
	heap_free_nolock(heap, obj + 8, 0);
	capture_end(&capture);
	port_slots_thaw(&heap->slots);
	ASSERT_EQ(before + 1, misuses(heap));
	heap_catch_up_all(heap);
	put(heap, tiny);
	put(heap, obj);
}

/* Little memory at a time, of a node that there is not, of a stack of one. */
TEST_F(failures, small_numbers)
{
	void *objs[20];
	u32 i;

	ASSERT_EQ(0, heap_release_node(heap, 0, KSPAN_IDLE_ALL, 0, GFP_KERNEL));
	put(heap, get(heap, MIB));
	ASSERT_EQ(KSPAN_PAGE_SIZE, heap_release_node(heap, 0, KSPAN_IDLE_ALL, 1, GFP_KERNEL));
	ASSERT_FALSE(pages_insert_arena(&(struct kspan_pages){ .n = 0 }, NULL));
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 32768);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
}

TEST(a_stack_of_one)
{
	static struct testheap t;
	void *objs[20];
	u32 i;

	testheap_prepare(&t, true, 64 * MIB);
	t.config.stack_objs = 1;
	testheap_start(&t);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(&t.heap, 64);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(&t.heap, objs[i]);
	testheap_end(&t);
}

/* It would have had pages of its own. */
TEST(a_realloc_that_cannot_grow_says_so)
{
	static struct testheap t;
	struct kspan_stats stats;
	void *obj;

	testheap_init(&t, false);
	obj = get(&t.heap, 9000);
	must(obj);
	port_store(&t.heap.config.limit_hard, KSPAN_PAGE_SIZE);
	errno = 0;
	ASSERT_EQ(NULL, heap_realloc(&t.heap, obj, 20000, GFP_KERNEL, 0));
	ASSERT_EQ(ENOMEM, errno);
	heap_get_stats(&t.heap, &stats);
	ASSERT_EQ(1, stats.nfail);
	port_store(&t.heap.config.limit_hard, 0);
	put(&t.heap, obj);
	testheap_end(&t);
}

TEST_HARNESS_MAIN
