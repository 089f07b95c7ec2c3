// SPDX-License-Identifier: GPL-2.0 OR MIT
/* fixalloc.c: metadata of a fixed size, zeroed, never given back before the end. */
#include "testheap.h"

#define NOBJS	2000

static struct kspan_fix fix;
static void *objs[NOBJS];

TESTHEAP_FIXTURE(fixalloc)

static void take_all(size_t size)
{
	u32 i;

	fix_init(&fix, heap, size, NULL);
	for (i = 0; i < NOBJS; i++) {
		objs[i] = fix_alloc(&fix, GFP_KERNEL);
		must(objs[i]);
		must(all_zero(objs[i], size));
		pattern_write(objs[i], size, i);
	}
}

TEST_F(fixalloc, objects_are_zeroed_apart_and_aligned)
{
	static const size_t sizes[] = { 8, 16, 24, 100, 512, sizeof(struct kspan_arena) };
	u32 i, k;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		take_all(sizes[k]);
		ASSERT_EQ(NOBJS, fix.ninuse);
		for (i = 0; i < NOBJS; i++) {
			ASSERT_EQ(0, (uintptr_t)objs[i] % 16);
			ASSERT_TRUE(pattern_holds(objs[i], sizes[k], sizes[k], i));
			fix_free(&fix, objs[i]);
		}
		ASSERT_EQ(0, fix.ninuse);
	}
}

TEST_F(fixalloc, freed_objects_come_back_zeroed_before_new_memory)
{
	size_t before;
	u32 i;

	take_all(64);
	before = test.ts.out;
	for (i = 0; i < NOBJS; i++)
		fix_free(&fix, objs[i]);
	for (i = 0; i < NOBJS; i++) {
		objs[i] = fix_alloc(&fix, GFP_KERNEL);
		ASSERT_NE(NULL, objs[i]);
		ASSERT_TRUE(all_zero(objs[i], 64));
		memset(objs[i], 0xff, 64);
	}
	ASSERT_EQ(before, test.ts.out);
}

/* Chunks without an object lose their memory, and serve again. */
TEST_F(fixalloc, memory_under_free_objects_goes_back)
{
	size_t before, given;
	u32 i, k;

	take_all(512);
	for (k = 0; k < 3; k++) {
		before = test.ts.out;
		/* the oldest stay, all over the first chunks */
		for (i = 100; i < NOBJS; i++)
			fix_free(&fix, objs[i]);
		given = test.ts.src.release ? fix_trim(&fix) : 0;
		if (test.ts.src.release)
			ASSERT_LE(NOBJS * 512 / 2, given);
		ASSERT_EQ(100, fix.ninuse);
		for (i = 0; i < 100; i++)
			ASSERT_TRUE(pattern_holds(objs[i], 512, 512, i));
		for (i = 100; i < NOBJS; i++) {
			objs[i] = fix_alloc(&fix, GFP_KERNEL);
			ASSERT_TRUE(all_zero(objs[i], 512));
			pattern_write(objs[i], 512, i);
		}
		for (i = 0; i < NOBJS; i++)
			ASSERT_TRUE(pattern_holds(objs[i], 512, 512, i));
		ASSERT_EQ(before, test.ts.out);
	}
}

TEST_F(fixalloc, null_is_nothing)
{
	fix_init(&fix, heap, 64, NULL);
	fix_free(&fix, NULL);
	ASSERT_EQ(0, fix.ninuse);
}

TEST_F(fixalloc, chunks_count_as_metadata_and_stay)
{
	struct kspan_stats stats;
	u64 before;
	u32 i;

	heap_get_stats(heap, &stats);
	before = stats.meta_bytes;
	take_all(256);
	for (i = 0; i < NOBJS; i++)
		fix_free(&fix, objs[i]);
	heap_release_memory(heap);
	heap_get_stats(heap, &stats);
	ASSERT_GE(stats.meta_bytes, before + NOBJS * 256);
	ASSERT_LE(stats.meta_bytes, stats.sys_bytes);
	/* a growing heap asks seldom, but does not take much more than it needs */
	ASSERT_LE(stats.meta_bytes, before + NOBJS * 256 * 5 / 4 + 64 * KIB);
}

/* When the large chunk is not to be had, a small one will do; then none. */
TEST_F(fixalloc, every_request_refused)
{
	u32 n = 0;

	fix_init(&fix, heap, 512, NULL);
	test.ts.fail_all = true;
	ASSERT_EQ(NULL, fix_alloc(&fix, GFP_KERNEL));
	ASSERT_EQ(0, fix.ninuse);
	test.ts.fail_all = false;
	test.ts.fail_percent = 50;
	while (n < NOBJS) {
		objs[n] = fix_alloc(&fix, GFP_KERNEL);
		n += objs[n] != NULL;
	}
	ASSERT_GT(test.ts.nfailed, 2);
	ASSERT_EQ(NOBJS, fix.ninuse);
	ASSERT_EQ(0, heap_verify(heap));
}

static void *churn(void *arg)
{
	u64 seed = (uintptr_t)arg;
	void *mine[50] = { };
	u32 i, k;

	for (i = 0; i < 20000; i++) {
		k = random_below(&seed, ARRAY_SIZE(mine));
		if (mine[k]) {
			must(pattern_holds(mine[k], 48, 48, (uintptr_t)&mine[k]));
			fix_free(&fix, mine[k]);
			mine[k] = NULL;
			continue;
		}
		mine[k] = fix_alloc(&fix, GFP_KERNEL);
		must(mine[k] && all_zero(mine[k], 48));
		pattern_write(mine[k], 48, (uintptr_t)&mine[k]);
	}
	for (k = 0; k < ARRAY_SIZE(mine); k++)
		fix_free(&fix, mine[k]);
	return NULL;
}

TEST_F(fixalloc, threads)
{
	pthread_t thread[4];
	u32 i;

	fix_init(&fix, heap, 48, NULL);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, churn, (void *)(uintptr_t)(i + 1)));
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(0, fix.ninuse);
}

static bool enough;

static void *take_more(void *arg)
{
	static u64 *mine[30000];
	u32 i;

	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
		for (i = 0; i < ARRAY_SIZE(mine); i++) {
			mine[i] = fix_alloc(&fix, GFP_KERNEL);
			must(mine[i] && !*mine[i]);
			*mine[i] = i + 1;
		}
		for (i = 0; i < ARRAY_SIZE(mine); i++) {
			must(*mine[i] == i + 1);
			fix_free(&fix, mine[i]);
		}
	}
	return arg;
}

/*
 * While one looks which chunks have no object, which takes a while with so many,
 * others make more of them.
 */
TEST(chunks_come_while_others_go)
{
	static void *many[100000];
	pthread_t thread;
	u32 i, k;

	testheap_init(&test, false);
	fix_init(&fix, heap, 64, NULL);
	__atomic_store_n(&enough, false, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_create(&thread, NULL, take_more, NULL));
	for (k = 0; k < test_rounds(50); k++) {
		for (i = 0; i < ARRAY_SIZE(many); i++)
			many[i] = fix_alloc(&fix, GFP_KERNEL);
		for (i = 0; i < ARRAY_SIZE(many); i++)
			fix_free(&fix, many[i]);
		fix_trim(&fix);
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, fix.ninuse);
	testheap_end(&test);
}

TEST_HARNESS_MAIN
