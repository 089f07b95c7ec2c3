// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * core/debug.c: each facility of a checked heap catches what it is for, says
 * nothing of what is right, and does nothing while it is off. A heap that becomes
 * checked and ceases to be while threads work in it loses nothing, and has no
 * wrong alarm.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <pthread.h>
#include "testheap.h"
#include "child.h"

static struct testheap test;
static struct kspan_heap *heap;

extern bool kspan_user_warn;

static void set_debug(u32 flags, size_t quarantine, u32 fail_every)
{
	struct kspan_debug_config config = {
		.flags = flags, .quarantine_bytes = quarantine, .fail_every = fail_every,
	};

	if (heap_set_debug(heap, &config))
		abort();
}

static void *get_at(size_t size)
{
	return heap_alloc(heap, size, false, GFP_KERNEL, 1);
}

static void put_at(void *obj)
{
	heap_free(heap, obj, 2);
}

static u64 nmisuse(enum kspan_misuse kind)
{
	return heap->nmisuse[kind];
}

FIXTURE(debug) {};

FIXTURE_SETUP(debug)
{
	kspan_user_warn = true;
	testheap_prepare(&test, false, TEST_SPACE);
	testheap_start(&test);
	heap = &test.heap;
}

FIXTURE_TEARDOWN(debug)
{
	set_debug(0, 0, 0);
	EXPECT_EQ(0, heap_verify(heap));
	testheap_end(&test);
}

/* Sizes with a red zone: small ones of both kinds, and large ones. */
static const size_t zoned[] = { 1, 40, 100, 1000, 20000, 32760, 40000, 100001 };

TEST_F(debug, redzone_sees_the_first_byte_past_the_end)
{
	unsigned int i;
	char *obj;

	for (i = 0; i < ARRAY_SIZE(zoned); i++) {
		set_debug(KSPAN_DEBUG_REDZONE, 0, 0);
		obj = get_at(zoned[i]);
		ASSERT_EQ(zoned[i], heap_size(heap, obj));
		memset(obj, 'x', zoned[i]);
		put_at(obj);
		EXPECT_EQ(i, nmisuse(KSPAN_OVERFLOW));
		obj = get_at(zoned[i]);
		obj[zoned[i]] = 'x';
		put_at(obj);
		EXPECT_EQ(i + 1, nmisuse(KSPAN_OVERFLOW)) TH_LOG("size %zu", zoned[i]);
		set_debug(0, 0, 0);
		obj = get_at(zoned[i]);
		obj[zoned[i]] = 'x';
		put_at(obj);
		EXPECT_EQ(i + 1, nmisuse(KSPAN_OVERFLOW));
	}
}

TEST_F(debug, redzone_goes_with_realloc_and_alignment)
{
	char *obj;

	set_debug(KSPAN_DEBUG_REDZONE, 0, 0);
	obj = get_at(40);
	memset(obj, 'r', 40);
	obj = heap_realloc(heap, obj, 44, GFP_KERNEL, 1);
	ASSERT_EQ(44, heap_size(heap, obj));
	EXPECT_EQ('r', obj[39]);
	memset(obj, 'x', 44);
	obj = heap_realloc(heap, obj, 20, GFP_KERNEL, 1);
	EXPECT_EQ(0, nmisuse(KSPAN_OVERFLOW));
	obj[20] = 'x';
	put_at(obj);
	EXPECT_EQ(1, nmisuse(KSPAN_OVERFLOW));
	obj = heap_alloc_aligned(heap, 100, 64, GFP_KERNEL, 1);
	obj[100] = 'x';
	put_at(obj);
	EXPECT_EQ(2, nmisuse(KSPAN_OVERFLOW));
}

TEST_F(debug, poison_sees_a_write_after_free)
{
	char *obj, *keep;

	set_debug(KSPAN_DEBUG_POISON, 0, 0);
	keep = get_at(64);
	obj = get_at(64);
	put_at(obj);
	EXPECT_EQ(0x6b, obj[63]);
	EXPECT_EQ(obj, get_at(64));
	EXPECT_EQ(0, nmisuse(KSPAN_WRITE_AFTER_FREE));
	put_at(obj);
	obj[63] ^= 1;
	EXPECT_EQ(obj, get_at(64));
	EXPECT_EQ(1, nmisuse(KSPAN_WRITE_AFTER_FREE));
	put_at(obj);
	/* the span's last object: what is wrong in any of them shows now */
	obj[0] = 'x';
	put_at(keep);
	EXPECT_EQ(2, nmisuse(KSPAN_WRITE_AFTER_FREE));
}

TEST_F(debug, quarantine_holds_objects_back)
{
	char *obj, *other;
	u32 i;

	set_debug(KSPAN_DEBUG_QUARANTINE | KSPAN_DEBUG_POISON, 64000, 0);
	obj = get_at(64);
	put_at(obj);
	for (i = 0; i < 900; i++) {
		other = get_at(64);
		ASSERT_NE(obj, other);
		put_at(other);
	}
	EXPECT_EQ(901, heap->debug.quarantine.n);
	put_at(obj);
	EXPECT_EQ(1, nmisuse(KSPAN_DOUBLE_FREE));
	/* the budget is kept, the oldest leave first */
	obj[5] = 'x';
	for (i = 0; i < 200; i++)
		put_at(get_at(64));
	EXPECT_EQ(1000, heap->debug.quarantine.n);
	EXPECT_EQ(1, nmisuse(KSPAN_WRITE_AFTER_FREE));
	/* large objects are not held, nor what is larger than the budget */
	put_at(get_at(40000));
	EXPECT_EQ(1000, heap->debug.quarantine.n);
	put_at(get_at(32768));
	EXPECT_GT(500, heap->debug.quarantine.n);
	EXPECT_GE(64000, heap->debug.quarantine.nbytes);
	set_debug(KSPAN_DEBUG_CHECK, 0, 0);
	EXPECT_EQ(0, heap->debug.quarantine.n);
	EXPECT_EQ(0, heap->node0.pages.ninuse);
}

/* So what asks for its size first, to write to it, leaves it alone. */
TEST_F(debug, held_object_is_free)
{
	char *obj;

	set_debug(KSPAN_DEBUG_QUARANTINE | KSPAN_DEBUG_POISON, 64000, 0);
	obj = get_at(100);
	put_at(obj);
	EXPECT_EQ(1, heap->debug.quarantine.n);
	EXPECT_EQ(0, heap_size(heap, obj));
	EXPECT_EQ(NULL, heap_realloc(heap, obj, 90, GFP_KERNEL, 3));
	EXPECT_EQ(NULL, heap_realloc(heap, obj, 500, GFP_KERNEL, 3));
	EXPECT_EQ(2, nmisuse(KSPAN_DOUBLE_FREE));
	set_debug(KSPAN_DEBUG_CHECK, 0, 0);
	EXPECT_EQ(0, nmisuse(KSPAN_WRITE_AFTER_FREE));
}

TEST_F(debug, contents)
{
	char *obj = get_at(64), *keep = get_at(64);

	memset(obj, 'x', 64);
	put_at(obj);
	set_debug(KSPAN_DEBUG_INIT_ALLOC, 0, 0);
	EXPECT_EQ(obj, get_at(64));
	EXPECT_EQ(0, obj[63]);
	memset(obj, 'x', 64);
	put_at(obj);
	EXPECT_EQ('x', obj[63]);
	set_debug(KSPAN_DEBUG_INIT_FREE, 0, 0);
	EXPECT_EQ(obj, get_at(64));
	EXPECT_EQ('x', obj[63]);
	put_at(obj);
	EXPECT_EQ(0, obj[63]);
	set_debug(KSPAN_DEBUG_JUNK, 0, 0);
	EXPECT_EQ(obj, get_at(64));
	EXPECT_EQ((char)0xa5, obj[63]);
	put_at(obj);
	EXPECT_EQ(0x5a, obj[63]);
	put_at(keep);
}

static int nbuilt;

static void build(void *obj)
{
	memset(obj, 'c', 100);
	nbuilt++;
}

/* What a constructor built is nobody's to fill, and its red zone is seen. */
TEST_F(debug, object_caches)
{
	struct kspan_cache *cache = cache_create(heap, "built", 100, 0, 0, build);
	char *obj;

	ASSERT_NE(NULL, cache);
	set_debug(KSPAN_DEBUG_POISON | KSPAN_DEBUG_REDZONE | KSPAN_DEBUG_JUNK |
		  KSPAN_DEBUG_INIT_ALLOC | KSPAN_DEBUG_QUARANTINE, 64000, 0);
	obj = kspan_cache_alloc(cache, GFP_KERNEL);
	EXPECT_EQ('c', obj[0]);
	EXPECT_EQ('c', obj[99]);
	kspan_cache_free(cache, obj);
	EXPECT_EQ('c', obj[50]);
	EXPECT_EQ(1, heap->debug.quarantine.n);
	obj = kspan_cache_alloc(cache, GFP_KERNEL);
	EXPECT_EQ('c', obj[50]);
	obj[101] = 'x';
	EXPECT_EQ(-EBUSY, cache_destroy(cache));
	kspan_cache_free(cache, obj);
	EXPECT_EQ(1, nmisuse(KSPAN_OVERFLOW));
	EXPECT_EQ(0, cache_destroy(cache));
}

TEST_F(debug, every_nth_request_fails)
{
	unsigned int i, n = 0;
	void *obj;

	set_debug(KSPAN_DEBUG_FAIL, 0, 7);
	for (i = 0; i < 700; i++) {
		obj = get_at(i * 100);
		n += !obj;
		if (obj)
			put_at(obj);
	}
	EXPECT_EQ(99, n);	/* of 699: the first asked for nothing */
	EXPECT_NE(NULL, get_at(0));
	set_debug(0, 0, 0);
	EXPECT_EQ(99, heap->nfail);
}

/* Without a number it is the port that picks them, and userspace's picks none. */
TEST_F(debug, no_request_fails)
{
	unsigned int i;

	set_debug(KSPAN_DEBUG_FAIL, 0, 0);
	for (i = 0; i < 100; i++)
		put_at(get_at(100));
	EXPECT_EQ(0, heap->nfail);
}

TEST_F(debug, behind_the_last_object)
{
	char *obj = get_at(24);
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)obj);

	set_debug(KSPAN_DEBUG_CHECK, 0, 0);
	put_at(span_object(span, span->nobjs));
	EXPECT_EQ(1, nmisuse(KSPAN_INTERIOR_FREE));
	put_at(obj);
}

/* An object keeps its call sites only as long as somebody sees to them. */
TEST_F(debug, call_sites_of_an_earlier_time_do_not_count)
{
	void *obj, *same;

	set_debug(KSPAN_DEBUG_CHECK, 0, 0);
	obj = get_at(64);
	EXPECT_EQ(1, debug_site(heap, pagemap_span(heap, (uintptr_t)obj), obj));
	set_debug(0, 0, 0);
	put_at(obj);
	same = heap_alloc(heap, 64, false, GFP_KERNEL, 3);
	set_debug(KSPAN_DEBUG_CHECK, 0, 0);
	EXPECT_EQ(0, debug_site(heap, pagemap_span(heap, (uintptr_t)same), same));
	put_at(same);
	EXPECT_EQ(0, nmisuse(KSPAN_DOUBLE_FREE));
	EXPECT_EQ(0, nmisuse(KSPAN_OVERFLOW));
}

/* Under load */

#define BOXES	512

static char *box[BOXES];
static bool stop, damaged;

static u32 next_random(u32 *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Objects of all sizes, every byte of them used, that others free. */
static void *worker(void *arg)
{
	u32 state = (uintptr_t)arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		u32 r = next_random(&state);
		size_t size = r % 64 ? 8 + r % 600 : 33000 + r % 30000;
		char *obj = get_at(size), *old;

		if (obj) {
			memset(obj, (u8)size, size);
			*(u32 *)obj = size;
		}
		old = __atomic_exchange_n(&box[next_random(&state) % BOXES], obj, __ATOMIC_ACQ_REL);
		if (!old)
			continue;
		size = *(u32 *)old;
		if (old[size - 1] != (char)size || heap_size(heap, old) < size)
			__atomic_store_n(&damaged, true, __ATOMIC_RELAXED);
		put_at(old);
	}
	return NULL;
}

TEST_F(debug, on_and_off_under_load)
{
	static const u32 all = KSPAN_DEBUG_REDZONE | KSPAN_DEBUG_POISON |
			       KSPAN_DEBUG_QUARANTINE | KSPAN_DEBUG_CHECK;
	struct kspan_cache *cache = cache_create(heap, "beside", 100, 0, 0, NULL);
	pthread_t thread[4];
	unsigned int i;
	void *obj, *known;

	ASSERT_NE(NULL, cache);
	for (i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, worker, (void *)(uintptr_t)(i + 1));
	for (i = 0; i < 60; i++) {
		obj = kspan_cache_alloc(cache, GFP_KERNEL);
		set_debug(i % 5 == 4 ? KSPAN_DEBUG_POISON : all, 100000, 0);
		known = kspan_cache_alloc_node(cache, GFP_KERNEL, 0);
		ASSERT_NE(NULL, known);
		usleep(5000);
		kspan_cache_free(cache, known);
		set_debug(0, 0, 0);
		kspan_cache_free(cache, obj);
		usleep(2000);
		ASSERT_EQ(0, heap_verify(heap));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	EXPECT_FALSE(damaged);
	for (i = 0; i < KSPAN_NR_MISUSE; i++)
		EXPECT_EQ(0, nmisuse(i)) TH_LOG("kind %u", i);
	for (i = 0; i < BOXES; i++)
		put_at(box[i]);
	EXPECT_EQ(0, cache_destroy(cache));
	heap_release_memory(heap);
	EXPECT_EQ(0, heap->node0.pages.ninuse);
}

/* The libraries' options, in a process of its own */

/* What the heap makes of it is wanted, not what ASan does. */
static noinline __attribute__((no_sanitize("address"))) void unseen_write(volatile char *p)
{
	*p = 'x';
}

static int child_main(const char *action)
{
	void *keep = kspan_alloc(40, GFP_KERNEL), *again;
	volatile char *obj = kspan_alloc(40, GFP_KERNEL);
	static struct kspan_stats stats;

	if (!obj || !keep)
		return 2;
	__asm__ volatile("" : "+r"(obj));	/* of unknown size */
	if (!strcmp(action, "overflow"))
		obj[40] = 'x';
	kspan_free((void *)obj);
	if (!strcmp(action, "after_free"))
		unseen_write(obj + 1);
	again = kspan_alloc(40, GFP_KERNEL);
	kspan_get_stats(&stats);
	if (!strcmp(action, "held") && (again == obj || !stats.nquarantine))
		return 3;
	kspan_free(again);
	kspan_free(keep);
	return 0;
}

TEST(options)
{
	static const struct {
		const char *options, *action, *says;
	} tries[] = {
		{ "redzone=1", "overflow", "kspan: write past the end: " },
		{ "poison=1", "after_free", "kspan: write after free: " },
		{ "quarantine=64K", "held", NULL },
		{ "redzone=1,poison=1,quarantine=64K,init_on_alloc=1", "nothing", NULL },
		{ "redzone=1,redzone=0", "overflow", NULL },
	};
	static struct child child;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		child_run(&child, tries[i].action, tries[i].options, NULL);
		EXPECT_EQ(child.status, tries[i].says ? 1000 + SIGABRT : 0)
			TH_LOG("%s: %s", tries[i].options, child.text);
		EXPECT_EQ(child_reports(&child), tries[i].says != NULL)
			TH_LOG("%s: %s", tries[i].options, child.text);
		EXPECT_TRUE(!tries[i].says || strstr(child.text, tries[i].says))
			TH_LOG("%s: %s", tries[i].options, child.text);
	}
}

TEST_HARNESS_MAIN
