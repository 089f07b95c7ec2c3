// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * libkspan under AddressSanitizer: who uses a free object is reported at once, with the
 * address, each in a process of its own; and what is right is not.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <kspan.h>
#include "child.h"
#include "sanitized.h"

static volatile char sink;

/* In the child */

/* The compiler forgets where the address is from; the report must have it. */
static volatile char *watch(const void *obj, size_t at)
{
	volatile char *p = (volatile char *)obj + at;

	__asm__ __volatile__("" : "+r"(p));
	fprintf(stderr, "about %p\n", (void *)p);
	return p;
}

static int late_read(void)
{
	char *obj = kspan_alloc(40, GFP_KERNEL);
	volatile char *at = watch(obj, 7);

	kspan_free(obj);
	sink = *at;
	return 0;
}

static int late_write(void)
{
	char *obj = kspan_zalloc(3000, GFP_KERNEL);
	volatile char *at = watch(obj, 2999);

	kspan_free_sized(obj, 3000);
	*at = 'x';
	return 0;
}

static int late_bulk(void)
{
	void *objs[70];
	volatile char *at;

	if (kspan_alloc_bulk(100, GFP_KERNEL | __GFP_ZERO, 70, objs) != 70)
		return 1;
	at = watch(objs[33], 0);
	*at = 'r';
	kspan_free_bulk(70, objs);
	*at = 'x';
	return 0;
}

static int late_large(void)
{
	char *obj = kspan_alloc(100000, GFP_KERNEL);
	volatile char *at = watch(obj, 99999);

	kspan_free(obj);
	*at = 'x';
	return 0;
}

static int late_tiny(void)
{
	char *obj[8];
	volatile char *at;
	int i;

	for (i = 0; i < 8; i++) {
		obj[i] = kspan_alloc_noscan(8, GFP_KERNEL);
		*(volatile long *)obj[i] = i;
	}
	at = watch(obj[3], 1);
	for (i = 0; i < 8; i++)
		kspan_free(obj[i]);
	*at = 'x';
	return 0;
}

/* The contents go along, and the old address is wrong. */
static int late_realloc(void)
{
	char *obj = kspan_strdup("contents", GFP_KERNEL);
	char *new;
	volatile char *at;

	new = kspan_realloc(obj, 100, GFP_KERNEL);
	at = watch(new, 5);
	new = kspan_realloc(new, 1000, GFP_KERNEL | __GFP_ZERO);
	if (strcmp(new, "contents"))
		return 1;
	memset(new, 'r', 1000);
	*at = 'x';
	return 0;
}

/* Right until the grace period is over. */
static int late_rcu(void)
{
	char *obj = kspan_alloc(64, GFP_KERNEL);
	volatile char *at = watch(obj, 63);

	kspan_free_rcu(obj);
	*at = 'r';
	kspan_rcu_barrier();
	*at = 'x';
	return 0;
}

static int late_nolock(void)
{
	char *obj = kspan_zalloc_nolock(64, GFP_KERNEL);
	volatile char *at;

	if (!obj) {
		kspan_free(kspan_alloc(64, GFP_KERNEL));
		obj = kspan_zalloc_nolock(64, GFP_KERNEL);
	}
	at = watch(obj, 0);
	*at = 'r';
	kspan_free_nolock(obj);
	*at = 'x';
	return 0;
}

static int late_cache(void)
{
	struct kspan_cache *cache = kspan_cache_create("late", 200, 0, 0, NULL);
	char *obj = kspan_cache_alloc(cache, GFP_KERNEL);
	volatile char *at = watch(obj, 100);

	kspan_cache_free(cache, obj);
	*at = 'x';
	return 0;
}

/* A span has objects that nobody was ever given: the lowest go first. */
static int never(void)
{
	struct kspan_cache *cache = kspan_cache_create("never", 200, 0, 0, NULL);
	char *obj = kspan_cache_alloc(cache, GFP_KERNEL);

	*watch(obj, 5 * 200) = 'x';
	return 0;
}

/* When the object is another's, if it was not held back: with quarantine. */
static int late_quarantine(void)
{
	char *obj = kspan_alloc(40, GFP_KERNEL);
	volatile char *at = watch(obj, 9);

	kspan_free(obj);
	obj = kspan_alloc(40, GFP_KERNEL);
	*at = 'x';
	kspan_free(obj);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
	const char *options;
} wrong[] = {
	{ "late_read", late_read, NULL },
	{ "late_write", late_write, NULL },
	{ "late_bulk", late_bulk, NULL },
	{ "late_large", late_large, NULL },
	{ "late_tiny", late_tiny, NULL },
	{ "late_realloc", late_realloc, NULL },
	{ "late_rcu", late_rcu, NULL },
	{ "late_nolock", late_nolock, NULL },
	{ "late_cache", late_cache, NULL },
	{ "never", never, NULL },
	{ "late_quarantine", late_quarantine, "quarantine=1m" },
};

static void ctor(void *obj)
{
	memset(obj, 'c', 200);
}

/* Constructed objects keep what is in them. */
static int constructed(void)
{
	struct kspan_cache *cache = kspan_cache_create("ctor", 200, 0, 0, ctor);
	char *obj;
	int i, k;

	for (i = 0; i < 100; i++) {
		obj = kspan_cache_alloc(cache, GFP_KERNEL);
		for (k = 0; k < 200; k++)
			if (obj[k] != 'c')
				return 1;
		kspan_cache_free(cache, obj);
	}
	return kspan_cache_destroy(cache);
}

/* Readers may look at a free object of such a cache. */
static int typesafe(void)
{
	struct kspan_cache *cache = kspan_cache_create("typesafe", 200, 0,
						       KSPAN_TYPESAFE_BY_RCU, NULL);
	char *obj = kspan_cache_alloc(cache, GFP_KERNEL);
	volatile char *at = watch(obj, 100);

	kspan_cache_free(cache, obj);
	sink = *at;
	return kspan_cache_destroy(cache);
}

/* All of an object is its user's, and what it was does not matter. */
static int reuse(void)
{
	static const size_t sizes[] = { 1, 8, 15, 16, 100, 1000, 5000, 32768, 40000, 5 << 20 };
	size_t i, round;

	for (round = 0; round < 4; round++)
		for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			char *a = kspan_alloc(sizes[i], GFP_KERNEL);
			char *b = kspan_zalloc(sizes[i], GFP_KERNEL);
			char *c = kspan_alloc_noscan(sizes[i], GFP_KERNEL);

			memset(a, 1, kspan_size(a));
			memset(b, 2, kspan_size(b));
			memset(c, 3, kspan_size(c));
			kspan_free(a);
			b = kspan_realloc(b, 2 * sizes[i], GFP_KERNEL);
			memset(b, 2, kspan_size(b));
			b = kspan_realloc(b, sizes[i] / 2 + 1, GFP_KERNEL);
			memset(b, 2, kspan_size(b));
			kspan_free_sensitive(b);
			kspan_free_rcu(c);
		}
	kspan_rcu_barrier();
	kspan_release_memory();
	return kspan_verify();
}

static const struct {
	const char *name;
	int (*run)(void);
	const char *options;
} right[] = {
	{ "constructed", constructed, NULL },
	{ "typesafe", typesafe, NULL },
	{ "reuse", reuse, NULL },
	{ "reuse", reuse, "redzone=1,poison=1,quarantine=64k" },
};

static int child_main(const char *action)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		if (!strcmp(action, wrong[i].name))
			return wrong[i].run();
	for (i = 0; i < ARRAY_SIZE(right); i++)
		if (!strcmp(action, right[i].name))
			return right[i].run();
	return 125;
}

/* In the test */

static struct child child;

FIXTURE(asan) {
};

FIXTURE_SETUP(asan)
{
	setenv("ASAN_OPTIONS", "exitcode=99:detect_leaks=0:symbolize=0", 1);
}

FIXTURE_TEARDOWN(asan)
{
}

TEST_F_TIMEOUT(asan, sees_what_is_wrong, 600)
{
	char at[64];
	size_t i;

	if (!SANITIZED_ADDRESS)
		SKIP(return, "built without AddressSanitizer");
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		child_run(&child, wrong[i].name, wrong[i].options, NULL);
		EXPECT_EQ(99, child.status)
			TH_LOG("%s: %s", wrong[i].name, child.text);
		if (sscanf(child.text, "about %40s", at) != 1)
			at[0] = '!';
		/* ASan writes all digits of it */
		EXPECT_NE(NULL, strstr(strstr(child.text, "use-after-poison on address") ?: "",
				       at + 2))
			TH_LOG("%s: %s", wrong[i].name, child.text);
	}
}

TEST_F_TIMEOUT(asan, does_not_mind_what_is_right, 600)
{
	size_t i;

	if (!SANITIZED_ADDRESS)
		SKIP(return, "built without AddressSanitizer");
	for (i = 0; i < ARRAY_SIZE(right); i++) {
		child_run(&child, right[i].name, right[i].options, NULL);
		EXPECT_EQ(0, child.status)
			TH_LOG("%s: %s", right[i].name, child.text);
	}
}

TEST_HARNESS_MAIN
