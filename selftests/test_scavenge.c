// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * scavenge.c: idle pages go back after one to two epochs, everything when asked;
 * what came back reads as zero, and what lives is never touched.
 */
#include "testheap.h"

TESTHEAP_FIXTURE(scavenge)

static struct kspan_stats stats;
static void *objs[3000];

static const struct kspan_stats *now(void)
{
	heap_get_stats(heap, &stats);
	must(stats.sys_bytes == test.ts.out);
	must(stats.sys_bytes == stats.inuse_bytes + stats.idle_bytes + stats.released_bytes +
	     stats.meta_bytes);
	must(heap_verify(heap) == 0);
	return &stats;
}

static void fill(u32 n, size_t size)
{
	u32 i;

	for (i = 0; i < n; i++) {
		objs[i] = get(heap, size);
		must(objs[i]);
		pattern_write(objs[i], size, i);
	}
}

static void empty(u32 n)
{
	while (n--)
		put(heap, objs[n]);
}

TEST_F(scavenge, release_gives_everything_idle)
{
	size_t idle, returned;

	fill(100, 100000);
	empty(100);
	idle = now()->idle_bytes;
	ASSERT_GE(idle, 100 * 100000);
	returned = heap_release_memory(heap);
	ASSERT_EQ(idle, returned);
	ASSERT_EQ(0, now()->idle_bytes);
	ASSERT_EQ(idle, stats.nscavenged_bytes);
	ASSERT_EQ(1, stats.nrelease);
	/* the kernel's pages are gone; a program's stay, without memory */
	ASSERT_EQ(variant->kernel ? 0 : idle, stats.released_bytes);
	ASSERT_EQ(0, heap_release_memory(heap));
}

TEST_F(scavenge, small_objects_leave_the_caches_too)
{
	fill(3000, 500);
	empty(3000);
	heap_release_memory(heap);
	ASSERT_EQ(0, now()->inuse_bytes);
	ASSERT_EQ(0, stats.cached_bytes);
	ASSERT_EQ(0, stats.idle_bytes);
}

/* Not in the epoch that they became idle in, in the next one at the latest. */
TEST_F(scavenge, pages_go_after_one_to_two_epochs)
{
	size_t idle;

	heap_scavenge(heap);
	fill(100, 100000);
	empty(100);
	idle = now()->idle_bytes;
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_EQ(idle, now()->idle_bytes);
	heap_scavenge(heap);
	ASSERT_EQ(0, now()->idle_bytes);
	/* and then there is nothing more to do */
	ASSERT_FALSE(heap_scavenge(heap));
}

/* More arenas than are looked at in one go, the idle ones at either end. */
TEST_F(scavenge, pages_of_every_group_go)
{
	u32 i, n = 3 * (1 << KSPAN_GROUP_SHIFT) / 2;

	for (i = 0; i < n; i++)
		ASSERT_NE(NULL, objs[i] = get(heap, 3 * MIB));
	ASSERT_GT(heap->node0.pages.n, 1 << KSPAN_GROUP_SHIFT);
	heap_release_memory(heap);
	for (i = 0; i < n; i++)
		if (i < 10 || i >= n - 10)
			put(heap, objs[i]);
	ASSERT_GE(now()->idle_bytes, 20 * 3 * MIB);
	ASSERT_TRUE(heap_scavenge(heap));
	heap_scavenge(heap);
	ASSERT_EQ(0, now()->idle_bytes);
	ASSERT_FALSE(heap_scavenge(heap));
	for (i = 10; i < n - 10; i++)
		put(heap, objs[i]);
	ASSERT_EQ((n - 20) * 3 * MIB, heap_release_memory(heap));
}

/* The slot that was used keeps its objects; the one that was not loses them. */
static pthread_barrier_t barrier;

static void *user_of_a_slot(void *arg)
{
	u32 i;

	for (i = 0; i < 3; i++) {
		put(heap, get(heap, 64));
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

TEST_F(scavenge, idle_slots_are_emptied)
{
	struct kspan_slotset *ss = &heap->slots;
	u32 i, used, stack = span_class(size_to_class(64), false);
	pthread_t thread;
	void *objs[8];

	if (port_slots_are_percpu())
		one_cpu();
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = get(heap, 64);
	for (i = 0; i < ARRAY_SIZE(objs); i++)
		put(heap, objs[i]);
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_LT(0, slot_count(ss, port_slot_this(ss), stack));
	put(heap, get(heap, 64));
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_LT(0, slot_count(ss, port_slot_this(ss), stack));
	ASSERT_TRUE(heap_scavenge(heap));
	ASSERT_EQ(0, slot_count(ss, port_slot_this(ss), stack));
	if (port_slots_are_percpu())
		return;
	pthread_barrier_init(&barrier, NULL, 2);
	ASSERT_EQ(0, pthread_create(&thread, NULL, user_of_a_slot, NULL));
	put(heap, get(heap, 64));
	for (i = 0; i < 3; i++) {
		pthread_barrier_wait(&barrier);
		heap_scavenge(heap);
		used = stack_cached(ss, stack, &(u64){ 0 });
		ASSERT_LT(0, used);
		pthread_barrier_wait(&barrier);
	}
	ASSERT_EQ(0, slot_count(ss, port_slot_this(ss), stack));
	pthread_join(thread, NULL);
}

/* A closed slot has words and limits: what the scavenger remembers is not there. */
TEST_F(scavenge, closed_slots_are_left_alone)
{
	struct kspan_slotset *ss = &heap->slots;
	struct kspan_slot *closed = NULL;
	u32 i, c;

	for (i = 0; i < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);

		if (slot && slot->closed)
			closed = slot;
	}
	ASSERT_NE(NULL, closed);
	fill(100, 64);
	for (c = 0; c < ss->nstacks; c++)
		*slot_seen(ss, closed, c) = ~0u;
	heap_scavenge(heap);
	empty(100);
	heap_scavenge(heap);
	for (c = 0; c < ss->nstacks; c++) {
		ASSERT_EQ(~0u, *slot_seen(ss, closed, c));
		*slot_seen(ss, closed, c) = 0;
	}
}

TEST_F(scavenge, pages_in_use_again_stay)
{
	size_t idle;
	void *obj;

	fill(100, 100000);
	empty(100);
	heap_scavenge(heap);
	obj = get(heap, 3 * MIB);
	put(heap, obj);
	idle = now()->idle_bytes;
	heap_scavenge(heap);
	/* those that were used in the epoch have another one */
	ASSERT_GE(now()->idle_bytes, 3 * MIB);
	ASSERT_LT(stats.idle_bytes, idle);
	heap_scavenge(heap);
	ASSERT_EQ(0, now()->idle_bytes);
}

TEST_F(scavenge, live_objects_are_not_touched)
{
	u32 i;

	fill(3000, 700);
	for (i = 0; i < 3000; i++)
		if (i % 7)
			put(heap, objs[i]);
	for (i = 0; i < 5; i++) {
		heap_scavenge(heap);
		now();
	}
	heap_release_memory(heap);
	now();
	for (i = 0; i < 3000; i += 7) {
		ASSERT_TRUE(pattern_holds(objs[i], 700, 700, i));
		put(heap, objs[i]);
	}
}

/* Under free objects of a span that lies idle; they serve again afterwards. */
TEST_F(scavenge, trim)
{
	u64 before;
	u32 i;

	fill(3000, 32);
	for (i = 0; i < 3000; i++)
		if (i % 250)
			put(heap, objs[i]);
	heap_release_memory(heap);
	heap_scavenge(heap);
	before = now()->nscavenged_bytes;
	heap_scavenge(heap);
	heap_scavenge(heap);
	if (variant->kernel) {
		ASSERT_EQ(before, now()->nscavenged_bytes);
	} else {
		/* a dozen objects keep a dozen units of 4 KiB; the rest went */
		ASSERT_GE(now()->nscavenged_bytes, before + 8 * SYS_PAGE);
	}
	for (i = 0; i < 3000; i++) {
		if (i % 250 == 0) {
			ASSERT_TRUE(pattern_holds(objs[i], 32, 32, i));
		} else {
			objs[i] = get(heap, 32);
			pattern_write(objs[i], 32, i);
		}
	}
	for (i = 0; i < 3000; i++)
		ASSERT_TRUE(pattern_holds(objs[i], 32, 32, i));
	empty(3000);
}

/* A span that was used in the epoch keeps its memory, however many others there are. */
TEST_F(scavenge, trim_waits_for_an_epoch)
{
	struct kspan_central *central = heap_central(heap, span_class(size_to_class(32), false), 0);
	u32 i;

	fill(3000, 32);
	/* one span with few objects, all others full */
	for (i = 1000; i < 1200; i++)
		put(heap, objs[i]);
	cache_drain(heap, &heap->slots);
	if (!variant->kernel)
		ASSERT_EQ(0, central_trim(central));
	ASSERT_EQ(0, heap_verify(heap));
	for (i = 1000; i < 1200; i++)
		objs[i] = get(heap, 32);
	empty(3000);
}

/* The system may refuse: nothing happened, the pages stay dirty and in use. */
TEST_F(scavenge, release_refused)
{
	size_t idle;
	u8 *obj;

	obj = get(heap, 2 * MIB);
	memset(obj, 0x55, 2 * MIB);
	put(heap, obj);
	idle = now()->idle_bytes;
	test.ts.release_fails = true;
	heap_release_memory(heap);
	heap_scavenge(heap);
	heap_scavenge(heap);
	heap_scavenge(heap);
	if (!variant->kernel) {
		ASSERT_EQ(idle, now()->idle_bytes);
		ASSERT_EQ(0, stats.released_bytes);
		ASSERT_EQ(0, stats.nscavenged_bytes);
	}
	obj = heap_zalloc(heap, 2 * MIB, false, GFP_KERNEL, 0);
	ASSERT_TRUE(all_zero(obj, 2 * MIB));
	put(heap, obj);
	test.ts.release_fails = false;
	heap_release_memory(heap);
	ASSERT_EQ(0, now()->idle_bytes);
}

/* Memory that is in use and that was, together, and what there may be of it. */
static void at_most(const struct kspan_pages *pages, size_t *have, size_t *most)
{
	unsigned long flags = port_lock(&heap->lock);

	*have = pages->ninuse + pages->ndirty;
	*most = pages->peak + pages->peak / 20 + bytes_to_pages(6 * MIB);
	port_unlock(&heap->lock, flags);
}

/* Holes that nothing new fits into do not keep their memory beside it for long. */
TEST_F(scavenge, holes_go_when_new_memory_is_touched)
{
	const struct kspan_pages *pages = &heap->node0.pages;
	size_t have, most, peak;
	u32 i;

	fill(1000, 60000);
	for (i = 0; i < 1000; i += 2)
		put(heap, objs[i]);
	ASSERT_EQ(0, now()->nscavenged_bytes);
	peak = pages->peak;
	for (i = 0; i < 1000; i += 2) {
		objs[i] = get(heap, 70000);
		pattern_write(objs[i], 70000, i);
		at_most(pages, &have, &most);
		/* where memory and addresses go together it is not worth it */
		if (!variant->kernel)
			ASSERT_LE(have, most);
	}
	now();
	ASSERT_GT(pages->peak, peak);
	ASSERT_EQ(variant->kernel, stats.nscavenged_bytes == 0);
	/* no more than was needed */
	ASSERT_LE(stats.nscavenged_bytes, 500 * 70000 + 500 * KSPAN_PAGE_SIZE);
	for (i = 0; i < 1000; i++)
		ASSERT_TRUE(pattern_holds(objs[i], 60000, i % 2 ? 60000 : 70000, i));
	empty(1000);
}

/* While the heap has not been larger than it was there is nothing to do. */
TEST_F(scavenge, no_holes_go_below_the_peak)
{
	const struct kspan_pages *pages = &heap->node0.pages;
	u32 i;

	fill(1000, 60000);
	empty(1000);
	fill(100, 60000);
	for (i = 100; i < 200; i++)
		objs[i] = get(heap, 70000);
	ASSERT_EQ(0, now()->nscavenged_bytes);
	ASSERT_GT(pages->peak, pages->ninuse);
	/* the next epoch has a peak of its own */
	heap_scavenge(heap);
	ASSERT_EQ(pages->ninuse, pages->peak);
	empty(200);
}

/* It may be that the system does not want them. */
TEST_F(scavenge, holes_that_are_refused)
{
	u32 i;

	test.ts.release_fails = true;
	fill(1000, 60000);
	for (i = 0; i < 1000; i += 2)
		put(heap, objs[i]);
	for (i = 0; i < 1000; i += 2) {
		objs[i] = get(heap, 70000);
		ASSERT_NE(NULL, objs[i]);
	}
	ASSERT_EQ(0, now()->released_bytes);
	empty(1000);
	test.ts.release_fails = false;
}

TEST_F(scavenge, zero_again)
{
	u32 round;

	for (round = 0; round < 3; round++) {
		u8 *obj = heap_zalloc(heap, 3 * MIB, false, GFP_KERNEL, 0);

		ASSERT_TRUE(all_zero(obj, 3 * MIB));
		memset(obj, 0x55, 3 * MIB);
		put(heap, obj);
		heap_scavenge(heap);
		heap_scavenge(heap);
	}
}

/* An idle heap costs what is live in it, not what was. */
TEST_F(scavenge, after_a_spike)
{
	u32 i;

	fill(3000, 20000);
	ASSERT_GE(test.ts.out, 3000 * 20000);
	for (i = 10; i < 3000; i++)
		put(heap, objs[i]);
	for (i = 0; i < 5; i++)
		heap_scavenge(heap);
	now();
	ASSERT_LE(stats.sys_bytes - stats.released_bytes - stats.meta_bytes, 4 * MIB);
	empty(10);
}

static bool stop;

static void *allocate(void *arg)
{
	u64 seed = (uintptr_t)arg;
	void *mine[50] = { };
	u32 k, size[50];

	while (!port_load(&stop)) {
		k = random_below(&seed, 50);
		if (mine[k]) {
			must(pattern_holds(mine[k], size[k], size[k], k));
			put(heap, mine[k]);
			mine[k] = NULL;
			continue;
		}
		size[k] = 1 + random_below(&seed, random_below(&seed, 10) ? 500 : 300000);
		mine[k] = heap_zalloc(heap, size[k], false, GFP_KERNEL, 0);
		must(mine[k] && all_zero(mine[k], size[k]));
		pattern_write(mine[k], size[k], k);
	}
	for (k = 0; k < 50; k++)
		put(heap, mine[k]);
	return NULL;
}

TEST_F_TIMEOUT(scavenge, while_others_allocate, 100)
{
	pthread_t thread[2];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, allocate,
					    (void *)(uintptr_t)(i + 1)));
	for (i = 0; i < test_rounds(800); i++) {
		heap_scavenge(heap);
		if (i % 10 == 0)
			heap_release_memory(heap);
		if (i % 50 == 0)
			must(heap_verify(heap) == 0);
		usleep(500);
	}
	port_store(&stop, true);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
}

TEST_HARNESS_MAIN
