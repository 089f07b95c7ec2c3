// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Heaps of several NUMA nodes, over a source that has them: objects are of the
 * node that was asked for, spans on their own node's lists, and frees from
 * elsewhere go home. The tests themselves run on node 0.
 */
#include "testheap.h"
#include <limits.h>

static struct testheap test;
static struct kspan_heap *const heap = &test.heap;

FIXTURE(numa) { };
FIXTURE_VARIANT(numa) {
	bool kernel;
};
FIXTURE_VARIANT_ADD(numa, kernel) {
	.kernel = true,
};
FIXTURE_VARIANT_ADD(numa, user) {
	.kernel = false,
};
FIXTURE_SETUP(numa)
{
	testheap_prepare(&test, variant->kernel, TEST_SPACE);
	testheap_nodes(&test, 2);
	testheap_start(&test);
}
FIXTURE_TEARDOWN(numa)
{
	testheap_end(&test);
}

static const size_t sizes[] = { 1, 8, 100, 4096, 32768, 32769, 100000, MIB };

static void *get_on(size_t size, int node, gfp_t more)
{
	return heap_alloc_node(heap, size, GFP_KERNEL | more, node, 0);
}

static int node_of(const void *obj)
{
	return testsource_node_of(&test.ts.src, obj);
}

/* Objects that are not in their spans, of a size on a node. */
static u64 nout(size_t size, int node)
{
	return heap_node(heap, node)->central[span_class(size_to_class(size), false)].nout;
}

TEST_F(numa, objects_are_of_the_node_asked_for)
{
	void *objs[2][ARRAY_SIZE(sizes)];
	u32 node, i;

	for (node = 0; node < 2; node++)
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			objs[node][i] = get_on(sizes[i], node, i & 1 ? __GFP_THISNODE : 0);
			ASSERT_NE(NULL, objs[node][i]);
			ASSERT_EQ(node, node_of(objs[node][i]));
			ASSERT_EQ(node, pagemap_span(heap, (uintptr_t)objs[node][i])->nodeid);
		}
	ASSERT_EQ(0, heap_verify(heap));
	for (node = 0; node < 2; node++)
		for (i = 0; i < ARRAY_SIZE(sizes); i++)
			put(heap, objs[node][i]);
}

TEST_F(numa, refills_are_of_the_own_node)
{
	void *objs[1000];
	u32 i;

	put(heap, get_on(64, 1, 0));	/* node 1 has free objects and pages */
	cache_drain(heap, &heap->slots);
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = get(heap, 64);
		ASSERT_EQ(0, node_of(objs[i]));
	}
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
}

TEST_F(numa, remote_frees_go_home)
{
	void *objs[1000];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get_on(64, 1, 0);
	ASSERT_EQ(ARRAY_SIZE(objs), nout(64, 1));
	ASSERT_EQ(0, nout(64, 0));
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
	ASSERT_EQ(0, heap_verify(heap));
	cache_drain(heap, &heap->slots);
	ASSERT_EQ(0, nout(64, 1));
	ASSERT_EQ(0, heap_node(heap, 1)->pages.ninuse);
	ASSERT_LT(0, heap_node(heap, 1)->pages.nfree);
	ASSERT_EQ(0, heap->node0.pages.nfree);
}

/* What lies on the CPU's stack serves its own node only if it is of that node. */
TEST_F(numa, own_node_by_name)
{
	struct kspan_stats before, after;
	void *far, *near;

	one_cpu();
	put(heap, get(heap, 64));
	far = get_on(64, 1, 0);
	heap_get_stats(heap, &before);
	put(heap, far);			/* on the stack, on top */
	near = get_on(64, 0, 0);
	ASSERT_EQ(0, node_of(near));
	ASSERT_EQ(0, nout(64, 1));	/* went home */
	heap_get_stats(heap, &after);
	ASSERT_EQ(before.nmalloc + 1, after.nmalloc);
	ASSERT_EQ(before.nfree + 1, after.nfree);
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, near);
}

TEST_F(numa, a_full_node_borrows)
{
	void *objs[ARRAY_SIZE(sizes)];
	u32 i;

	test.ts.node_full[1] = true;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(NULL, get_on(sizes[i], 1, __GFP_THISNODE));
		objs[i] = get_on(sizes[i], 1, 0);
		ASSERT_NE(NULL, objs[i]);
		ASSERT_EQ(0, node_of(objs[i]));
	}
	ASSERT_EQ(ARRAY_SIZE(sizes), heap->nfail);
	ASSERT_EQ(0, heap_verify(heap));	/* and the spans are node 0's */
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		put(heap, objs[i]);
}

/* The heap grows on another node than was asked for, of which it knows nothing yet. */
TEST_F(numa, a_full_node_that_is_not_met)
{
	static void *objs[600];
	struct kspan_stats stats;
	u32 i;

	test.ts.node_full[1] = true;
	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = get_on(60000, 0, 0);
		pattern_write(objs[i], 60000, i);
	}
	for (i = 0; i < ARRAY_SIZE(objs); i += 2)
		put(heap, objs[i]);
	for (i = 0; i < ARRAY_SIZE(objs); i += 2) {
		objs[i] = get_on(70000, 1, 0);
		ASSERT_EQ(0, node_of(objs[i]));
	}
	ASSERT_EQ(NULL, heap_node(heap, 1));
	/* the holes that lose their memory are beside the new objects */
	heap_get_stats(heap, &stats);
	ASSERT_EQ(variant->kernel, stats.nscavenged_bytes == 0);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
}

/* A node's memory is met before there is any for what the heap knows of the node. */
TEST_F(numa, no_memory_for_a_node)
{
	void *obj = NULL;
	u32 n;

	test.ts.node_full[0] = true;
	for (n = 1; n < 10 && !obj; n++) {
		test.ts.fail_from = test.ts.nget + n;
		obj = get_on(100000, 0, 0);
		ASSERT_EQ(0, heap_verify(heap));
	}
	test.ts.fail_from = 0;
	ASSERT_LT(2, n);
	ASSERT_EQ(1, node_of(obj));
	put(heap, obj);
}

/* Without any memory left in the system, free objects and pages of others serve. */
TEST_F(numa, others_have_free_objects)
{
	void *kept = get_on(64, 1, 0), *large = get_on(MIB, 1, 0), *obj;

	ASSERT_EQ(1, node_of(large));
	put(heap, large);
	test.ts.fail_all = true;
	obj = get(heap, 64);
	ASSERT_NE(NULL, obj);
	ASSERT_EQ(1, node_of(obj));
	large = get(heap, 512 * KIB);
	ASSERT_NE(NULL, large);
	ASSERT_EQ(1, node_of(large));
	ASSERT_EQ(NULL, get_on(64, 0, __GFP_THISNODE));
	ASSERT_EQ(NULL, get_on(MIB / 2, 0, __GFP_THISNODE));
	test.ts.fail_all = false;
	put(heap, obj);
	put(heap, large);
	put(heap, kept);
}

TEST_F(numa, nodes_that_are_not_there)
{
	static const int nodes[] = { 2, 7, 100000, -2, INT_MAX };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		void *small = get_on(64, nodes[i], 0), *large = get_on(MIB, nodes[i], 0);

		ASSERT_NE(NULL, small);
		ASSERT_NE(NULL, large);
		ASSERT_EQ(NULL, get_on(64, nodes[i], __GFP_THISNODE));
		ASSERT_EQ(NULL, get_on(MIB, nodes[i], __GFP_THISNODE));
		put(heap, small);
		put(heap, large);
	}
}

/* A node costs nothing before it has something. */
TEST_F(numa, nodes_are_made_when_met)
{
	void *obj = get(heap, 64);

	ASSERT_EQ(NULL, heap_node(heap, 1));
	put(heap, obj);
	obj = get_on(64, 1, 0);
	ASSERT_NE(NULL, heap_node(heap, 1));
	put(heap, obj);
	ASSERT_EQ(NULL, heap_node(heap, 2));
	ASSERT_EQ(NULL, heap_node(heap, -1));
}

TEST_F(numa, pages_go_back_by_node)
{
	void *a = get_on(MIB, 0, 0), *b = get_on(MIB, 1, 0);

	put(heap, a);
	put(heap, b);
	ASSERT_GE(heap_release_node(heap, 1, KSPAN_IDLE_ALL, -1, GFP_KERNEL), MIB);
	ASSERT_EQ(0, heap_release_node(heap, 1, KSPAN_IDLE_ALL, -1, GFP_KERNEL));
	ASSERT_EQ(0, heap_release_node(heap, 2, KSPAN_IDLE_ALL, -1, GFP_KERNEL));
	ASSERT_GE(heap_release_node(heap, 0, KSPAN_IDLE_ALL, -1, GFP_KERNEL), MIB);
}

TEST_F(numa, object_caches)
{
	struct kspan_cache *cache = cache_create(heap, "numa", 200, 0, 0, NULL);
	static void *rest[KSPAN_ARENA_SIZE / 200];
	void *objs[2][100], *obj;
	u32 node, i, n = 0;

	ASSERT_NE(NULL, cache);
	for (node = 0; node < 2; node++)
		for (i = 0; i < 100; i++) {
			objs[node][i] = kspan_cache_alloc_node(cache, GFP_KERNEL, node);
			ASSERT_EQ(node, node_of(objs[node][i]));
		}
	ASSERT_EQ(NULL, kspan_cache_alloc_node(cache, GFP_KERNEL | __GFP_THISNODE, 2));
	obj = kspan_cache_alloc_node(cache, GFP_KERNEL | __GFP_ZERO, 1);
	ASSERT_TRUE(all_zero(obj, 200));
	kspan_cache_free(cache, obj);
	test.ts.node_full[1] = true;
	while ((obj = kspan_cache_alloc_node(cache, GFP_KERNEL | __GFP_THISNODE, 1))) {
		ASSERT_EQ(1, node_of(obj));	/* what its spans and pages have left */
		ASSERT_LT(n, ARRAY_SIZE(rest));
		rest[n++] = obj;
	}
	ASSERT_EQ(0, heap_verify(heap));
	while (n)
		kspan_cache_free(cache, rest[--n]);
	for (node = 0; node < 2; node++)
		for (i = 0; i < 100; i++)
			kspan_cache_free(cache, objs[node][i]);
	ASSERT_EQ(0, cache_destroy(cache));
}

/* An object without waiting, of a node that need not be the caller's. */
static void *get_nolock_on(size_t size, int node)
{
	return central_take_nolock(heap_central(heap, span_class(size_to_class(size), false), node));
}

/* What another node has is not what was lacking. */
TEST_F(numa, what_is_lacking_is_brought_to_its_node)
{
	void *obj;

	ASSERT_NE(NULL, heap_node_make(heap, 1, GFP_KERNEL));
	put(heap, get_on(MIB, 0, 0));
	ASSERT_LT(0, heap->node0.pages.nfree);
	ASSERT_EQ(NULL, get_nolock_on(32768, 1));
	heap_catch_up(heap);
	obj = get_nolock_on(32768, 1);
	ASSERT_NE(NULL, obj);
	ASSERT_EQ(1, node_of(obj));
	put(heap, obj);
}

/* A node that has no memory gets none; when it has some again, a call that fails notes it. */
TEST_F(numa, what_is_lacking_on_a_full_node)
{
	void *obj;

	ASSERT_NE(NULL, heap_node_make(heap, 1, GFP_KERNEL));
	test.ts.node_full[1] = true;
	ASSERT_EQ(NULL, get_nolock_on(64, 1));
	heap_catch_up(heap);
	ASSERT_EQ(NULL, get_nolock_on(64, 1));
	ASSERT_EQ(0, heap_verify(heap));
	test.ts.node_full[1] = false;
	heap_catch_up(heap);
	obj = get_nolock_on(64, 1);
	ASSERT_NE(NULL, obj);
	ASSERT_EQ(1, node_of(obj));
	put(heap, obj);
}

static void note_central_1(struct kspan_central *central, void *arg)
{
	if (central->nodeid == 1)
		*(struct kspan_central **)arg = central;
}

/* The cache has a list for a node that the heap has not met. */
TEST_F(numa, what_is_lacking_for_a_cache)
{
	struct kspan_cache *cache = cache_create(heap, "numa", 200, 0, 0, NULL);
	struct kspan_central *central = NULL;
	void *obj;

	ASSERT_NE(NULL, cache);
	objcache_each_central(heap, note_central_1, &central);
	ASSERT_NE(NULL, central);
	put(heap, get_on(MIB, 0, 0));
	ASSERT_EQ(NULL, heap_node(heap, 1));
	ASSERT_EQ(NULL, central_take_nolock(central));
	heap_catch_up(heap);
	obj = central_take_nolock(central);
	ASSERT_NE(NULL, obj);
	ASSERT_EQ(1, node_of(obj));
	kspan_cache_free(cache, obj);
	ASSERT_EQ(0, cache_destroy(cache));
}

/* Everything at once, with memory that comes and does not. */
TEST_F(numa, random)
{
	static void *objs[2000];
	u64 seed = 7;
	u32 i, n = test_rounds(60000);

	test.ts.fail_percent = 20;
	for (i = 0; i < n; i++) {
		void **obj = &objs[random_below(&seed, ARRAY_SIZE(objs))];
		int node = (int)random_below(&seed, 4) - 1;
		size_t size = random_below(&seed, 20) ? random_below(&seed, 2000) :
							random_below(&seed, 200000);
		bool only = !random_below(&seed, 3) && node >= 0 && size;

		put(heap, *obj);
		*obj = get_on(size, node, only ? __GFP_THISNODE : 0);
		if (*obj && only)
			ASSERT_EQ(node, node_of(*obj));
		if (!random_below(&seed, 2000))
			test.ts.node_full[random_below(&seed, 2)] ^= true;
		if (!random_below(&seed, 500))
			heap_scavenge(heap);
		if (!random_below(&seed, 5000))
			ASSERT_EQ(0, heap_verify(heap));
	}
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
}

/* Where nodes meet inside an arena it is the first's, and orders are still obeyed. */
TEST(nodes_that_share_an_arena)
{
	void *first, *second, *objs[64];
	u32 i, n = 0;

	testheap_prepare(&test, true, 2 * KSPAN_ARENA_SIZE);
	testheap_nodes(&test, 4);
	testheap_start(&test);
	first = get_on(KSPAN_PAGE_SIZE, 1, __GFP_THISNODE);
	ASSERT_NE(NULL, first);
	ASSERT_EQ(1, node_of(first));
	ASSERT_EQ(NULL, get_on(KSPAN_PAGE_SIZE, 0, __GFP_THISNODE));
	second = get_on(KSPAN_PAGE_SIZE, 0, 0);
	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, heap_verify(heap));
	while (n < ARRAY_SIZE(objs) && (objs[n] = get(heap, 200 * KIB)))
		n++;
	ASSERT_GT(n, 20);	/* no part of the memory is out of reach */
	for (i = 0; i < n; i++)
		put(heap, objs[i]);
	put(heap, first);
	put(heap, second);
	testheap_end(&test);
}

TEST(heaps_that_ask_for_nonsense)
{
	testheap_prepare(&test, true, TEST_SPACE);
	testheap_nodes(&test, 2);
	test.ts.src.node_of = NULL;
	ASSERT_EQ(-EINVAL, heap_init(heap, &test.config));
	test.config.nr_nodes = 1;
	testheap_start(&test);
	testheap_end(&test);
	test.ts.src.node_of = testsource_node_of;
	test.config.nr_nodes = KSPAN_MAX_NODES + 1;
	ASSERT_EQ(-EINVAL, heap_init(heap, &test.config));
}

/* A heap of one node begins without metadata. */
TEST(one_node_costs_nothing)
{
	testheap_init(&test, true);
	ASSERT_EQ(0, test.ts.out);
	testheap_end(&test);
}

TEST_HARNESS_MAIN
