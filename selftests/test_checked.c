// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Wrong frees in the default heap, checked and not, fatal and not: each in a
 * process of its own. What DESIGN calls for: one clear report, a count, the
 * object is not recycled, the heap stays sound; a checked heap reports at the
 * wrong free itself, the default one at the latest when the object leaves the
 * CPU's cache.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <signal.h>
#include <kspan.h>
#include "child.h"

#define NAGAIN	300

/* The fast path leaves the call site to a tail call, and TSan lets none be. */
#ifdef __has_feature
#define TAIL_CALLS	(!__has_feature(thread_sanitizer))
#elif defined(__SANITIZE_THREAD__)
#define TAIL_CALLS	0
#else
#define TAIL_CALLS	1
#endif

/**
 * struct misuse - a way to free wrongly
 * @name: .
 * @says: what the report must call it
 * @at_once: reported at the free by a heap that is not checked, too
 * @size: of the object
 * @off: what is freed, from its start
 * @times: how often that is freed
 */
struct misuse {
	const char *name;
	const char *says;
	bool at_once;
	size_t size;
	size_t off;
	unsigned int times;
};

static const struct misuse misuses[] = {
	{ "double", "double free", false, 64, 0, 2 },
	{ "double_32k", "double free", false, 32768, 0, 2 },
	{ "double_large", "double free", true, 100000, 0, 2 },
	{ "double_tiny", "double free", true, 5, 0, 2 },
	{ "interior", "free of a pointer into an object", false, 64, 8, 1 },
	{ "interior_odd", "free of a pointer into an object", false, 1000, 1, 1 },
	{ "interior_page", "free of a pointer into an object", false, 32768, 8192, 1 },
	{ "interior_large", "free of a pointer into an object", true, 100000, 65536, 1 },
	{ "interior_tiny", "free of a pointer into an object", true, 5, 2, 1 },
	{ "foreign_data", "free of memory that is not kspan's", true, 0, 8, 1 },
	{ "foreign_stack", "free of memory that is not kspan's", true, 0, 0, 1 },
	{ "foreign_wild", "free of memory that is not kspan's", true, 0, 0, 1 },
};

/* In the child */

static char *make_object(const struct misuse *m, char *onstack)
{
	static char data[64];

	if (m->size)
		return m->size < 16 ? kspan_alloc_noscan(m->size, GFP_KERNEL) :
				      kspan_alloc(m->size, GFP_KERNEL);
	if (!strcmp(m->name, "foreign_data"))
		return data;
	return !strcmp(m->name, "foreign_stack") ? onstack : (char *)0x123456789000;
}

static u64 nreports(const struct kspan_stats *stats)
{
	return stats->ndouble + stats->ninterior + stats->nforeign;
}

/* Whoever allocates from now on gets what was freed once, if at all, once. */
static bool recycled(const struct misuse *m, char *obj)
{
	static char *again[NAGAIN];
	unsigned int i, k;

	for (i = 0; i < NAGAIN; i++) {
		again[i] = m->size < 16 ? kspan_alloc_noscan(m->size, GFP_KERNEL) :
					  kspan_alloc(m->size, GFP_KERNEL);
		if (!again[i])
			return true;
		if (m->times == 1 && again[i] + m->size > obj && again[i] < obj + m->size)
			return true;
		for (k = 0; k < i; k++)
			if (again[k] == again[i])
				return true;
	}
	for (i = 0; i < NAGAIN; i++)
		kspan_free(again[i]);
	return false;
}

static int child_misuse(const struct misuse *m)
{
	static struct kspan_stats stats;
	char onstack[16];
	char *obj = make_object(m, onstack), *neighbour = make_object(m, onstack);
	unsigned int i;
	u64 count;

	if (!obj)
		return 2;
	fprintf(stderr, "address %p\n", obj + m->off);
	for (i = 0; i < m->times; i++)
		kspan_free(obj + m->off);
	fprintf(stderr, "freed\n");
	kspan_release_memory();	/* the caches are emptied */
	fprintf(stderr, "emptied\n");

	kspan_get_stats(&stats);
	count = m->times == 2 ? stats.ndouble : m->off && m->size ? stats.ninterior : stats.nforeign;
	if (count != 1 || nreports(&stats) != 1)
		return 3;
	if (kspan_verify())
		return 4;
	if (m->size && recycled(m, obj))
		return 5;
	if (m->size)
		kspan_free(neighbour);
	if (m->size && m->times == 1)
		kspan_free(obj);
	kspan_get_stats(&stats);
	if (stats.nmalloc != stats.nfree || nreports(&stats) != 1)
		return 6;
	return kspan_verify() ? 7 : 0;
}

/* Frees by the other functions are no less looked at. */
static int child_other_frees(void)
{
	static struct kspan_stats stats;
	static u64 data[2];
	void *objs[2] = { &data[0], &data[1] };
	char *obj = kspan_alloc(100, GFP_KERNEL);

	if (!obj)
		return 2;
	kspan_free_sized(data, 8);
	kspan_free_sensitive(data);
	kspan_free_bulk(2, objs);
	kspan_free_rcu(data);
	kspan_rcu_barrier();
	if (kspan_realloc(data, 100, GFP_KERNEL))
		return 3;
	kspan_get_stats(&stats);
	if (stats.nforeign != 6)
		return 4;
	kspan_free_sized(obj, 100);
	kspan_free_sized(obj, 100);
	kspan_release_memory();
	kspan_get_stats(&stats);
	return stats.ndouble == 1 && !kspan_verify() ? 0 : 5;
}

static void construct(void *obj)
{
	memset(obj, 0x17, 200);
}

/*
 * In a checked heap an object that is free is none: it has no size, cannot be
 * reallocated in place or elsewhere, and is not written to.
 */
static int child_freed(void)
{
	struct kspan_cache *cache = kspan_cache_create("built", 200, 0, 0, construct);
	/* the first of each stays, so that its span does */
	char *stays = kspan_cache_alloc(cache, GFP_KERNEL);
	char *built = kspan_cache_alloc(cache, GFP_KERNEL);
	char *sized = kspan_alloc(100, GFP_KERNEL), *obj = kspan_alloc(100, GFP_KERNEL);
	static struct kspan_stats stats;

	if (!sized || !obj || !built || !stays)
		return 2;
	kspan_free(obj);
	if (kspan_size(obj))
		return 3;
	if (kspan_realloc(obj, 90, GFP_KERNEL) || kspan_realloc(obj, 500, GFP_KERNEL))
		return 4;
	kspan_cache_free(cache, built);
	kspan_free_sensitive(built);
	if (kspan_cache_alloc(cache, GFP_KERNEL) != built || built[0] != 0x17)
		return 5;
	kspan_free_sized(sized, 5000);	/* reported, but no wrong free */
	kspan_get_stats(&stats);
	return stats.ndouble == 3 && !kspan_verify() ? 0 : 6;
}

/*
 * Each function that allocates, called from code with a place of its own. What
 * it gives is freed twice: the report must name that place, not one in kspan.
 */
#define IN_PLACE __attribute__((section("client_text"), noinline))

extern char __start_client_text[], __stop_client_text[];

#define N_MAKERS	13

static IN_PLACE void *make_by(unsigned int maker)
{
	size_t cap = 0;
	void *obj = NULL;

	switch (maker) {
	case 0:
		obj = kspan_alloc(100, GFP_KERNEL);
		break;
	case 1:
		obj = kspan_zalloc(100, GFP_KERNEL);
		break;
	case 2:
		obj = kspan_alloc_noscan(100, GFP_KERNEL);
		break;
	case 3:
		obj = kspan_alloc_array(10, 10, GFP_KERNEL);
		break;
	case 4:
		obj = kspan_zalloc_array(10, 10, GFP_KERNEL);
		break;
	case 5:
		obj = kspan_alloc_aligned(100, 64, GFP_KERNEL);
		break;
	case 6:
		obj = kspan_alloc_node(100, GFP_KERNEL, 0);
		break;
	case 7:
		obj = kspan_realloc(NULL, 100, GFP_KERNEL);
		break;
	case 8:
		obj = kspan_realloc_array(NULL, 10, 10, GFP_KERNEL);
		break;
	case 9:
		obj = kspan_grow_array(NULL, &cap, 10, 10, GFP_KERNEL);
		break;
	case 10:
		obj = kspan_memdup("a hundred", 10, GFP_KERNEL);
		break;
	case 11:
		obj = kspan_strdup("a hundred", GFP_KERNEL);
		break;
	case 12:
		if (!kspan_alloc_bulk(100, GFP_KERNEL, 1, &obj))
			obj = NULL;
		break;
	}
	/* not in tail position, where the caller would be another */
	__asm__ volatile("" : "+r"(obj));
	return obj;
}

static IN_PLACE void free_by(unsigned int maker, void *obj)
{
	switch (maker % 4) {
	case 0:
		kspan_free(obj);
		break;
	case 1:
		kspan_free_sized(obj, 10);
		break;
	case 2:
		kspan_free_sensitive(obj);
		break;
	case 3:
		kspan_free_bulk(1, &obj);
		break;
	}
	__asm__ volatile("" : : : "memory");
}

static int child_sites(void)
{
	unsigned int i;

	fprintf(stderr, "place from %p\nplace to %p\n", __start_client_text,
		__stop_client_text);
	for (i = 0; i < N_MAKERS; i++) {
		void *neighbour = make_by(i), *obj = make_by(i);

		if (!obj || !neighbour)
			return 2;
		free_by(i, obj);
		free_by(i, obj);
		kspan_free(neighbour);
	}
	return 0;
}

static int child_main(const char *action)
{
	unsigned int i;

	if (!strcmp(action, "sites"))
		return child_sites();
	if (!strcmp(action, "other"))
		return child_other_frees();
	if (!strcmp(action, "freed"))
		return child_freed();
	for (i = 0; i < ARRAY_SIZE(misuses); i++)
		if (!strcmp(action, misuses[i].name))
			return child_misuse(&misuses[i]);
	return 100;
}

/* In the test */

FIXTURE(misuse) {
	struct child child;
};

FIXTURE_VARIANT(misuse) {
	const char *options;
	bool checked;
	bool fatal;
	const char *tunables;
};

FIXTURE_SETUP(misuse) {}
FIXTURE_TEARDOWN(misuse) {}

FIXTURE_VARIANT_ADD(misuse, by_default) {
	.options = NULL, .fatal = true,
};

FIXTURE_VARIANT_ADD(misuse, fatal) {
	.options = "on_error=abort", .fatal = true,
};

FIXTURE_VARIANT_ADD(misuse, warn) {
	.options = "on_error=warn",
};

FIXTURE_VARIANT_ADD(misuse, checked) {
	.options = "checked=1", .checked = true, .fatal = true,
};

FIXTURE_VARIANT_ADD(misuse, checked_warn) {
	.options = "checked=1,on_error=warn", .checked = true,
};

FIXTURE_VARIANT_ADD(misuse, warn_without_rseq) {
	.options = "on_error=warn", .tunables = "glibc.pthread.rseq=0",
};

FIXTURE_VARIANT_ADD(misuse, fatal_without_rseq) {
	.options = "on_error=abort", .fatal = true, .tunables = "glibc.pthread.rseq=0",
};

/* Text between two places. */
static bool says(const char *from, const char *end, const char *text)
{
	return memmem(from, end - from, text, strlen(text));
}

/*
 * The report names the address, in a checked heap both call sites, and nothing that is not
 * known.
 */
static bool report_is_clear(const struct child *child, const struct misuse *m, bool checked)
{
	const char *report = strstr(child->text, "kspan: ");
	const char *said = strstr(child->text, "address ");
	char address[40], *end;

	if (!report || !said)
		return false;
	if (sscanf(said, "address %39s", address) != 1)
		return false;
	end = strchrnul(report, '\n');
	if (memcmp(report + 7, m->says, strlen(m->says)) ||
	    memcmp(report + 7 + strlen(m->says), ": ", 2) ||
	    memcmp(report + 9 + strlen(m->says), address, strlen(address)))
		return false;
	if (says(report, end, "(nil)") || says(report, end, "object size 0"))
		return false;
	return !checked || says(report, end, "freed by ");
}

TEST_F(misuse, each)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(misuses); i++) {
		const struct misuse *m = &misuses[i];
		bool at_once = variant->checked || m->at_once;
		const char *report, *freed;

		child_run(&self->child, m->name, variant->options, variant->tunables);
		EXPECT_EQ(self->child.status, variant->fatal ? 1000 + SIGABRT : 0) {
			TH_LOG("%s: %s", m->name, self->child.text);
		}
		EXPECT_EQ(child_reports(&self->child), 1) {
			TH_LOG("%s: %s", m->name, self->child.text);
		}
		EXPECT_TRUE(report_is_clear(&self->child, m, variant->checked)) {
			TH_LOG("%s: %s", m->name, self->child.text);
		}
		report = strstr(self->child.text, "kspan: ");
		freed = strstr(self->child.text, "freed\n");
		if (at_once)
			EXPECT_TRUE(!freed || (report && report < freed)) {
				TH_LOG("%s: reported late: %s", m->name, self->child.text);
			}
		if (variant->fatal)
			EXPECT_EQ(strstr(self->child.text, "emptied"), NULL);
	}
}

TEST(other_frees)
{
	static const char *const options[] = {
		"on_error=warn", "checked=1,on_error=warn"
	};
	static struct child child;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		child_run(&child, "other", options[i], NULL);
		EXPECT_EQ(child.status, 0)
			TH_LOG("%s: %s", options[i], child.text);
		EXPECT_EQ(child_reports(&child), 7)
			TH_LOG("%s: %s", options[i], child.text);
	}
}

TEST(freed_is_no_object)
{
	static struct child child;

	child_run(&child, "freed", "checked=1,on_error=warn", NULL);
	EXPECT_EQ(child.status, 0)
		TH_LOG("%s", child.text);
	EXPECT_EQ(child_reports(&child), 4)
		TH_LOG("%s", child.text);
	EXPECT_NE(strstr(child.text, "with size 5000, but the object has 112 bytes"), NULL);
}

/* The address that follows @word in @text. */
static char *address_after(const char *text, const char *word)
{
	const char *found = strstr(text, word);

	return found ? (char *)strtoull(found + strlen(word), NULL, 16) : NULL;
}

/* A checked heap knows who allocated and who freed: not kspan itself. */
TEST(call_sites)
{
	static struct child child;
	char *lo, *hi, *by, *from, *line;
	unsigned int n = 0;

	child_run(&child, "sites", "checked=1,on_error=warn", NULL);
	ASSERT_EQ(child.status, 0);
	lo = address_after(child.text, "place from ");
	hi = address_after(child.text, "place to ");
	for (line = strstr(child.text, "kspan: "); line; line = strstr(line + 1, "kspan: "), n++) {
		by = address_after(line, "freed by ");
		from = address_after(line, "allocated by ");
		EXPECT_TRUE(!TAIL_CALLS || (by > lo && by < hi))
			TH_LOG("freed by another, report %u: %s", n, line);
		EXPECT_TRUE(!TAIL_CALLS || (from > lo && from < hi))
			TH_LOG("allocated by another, report %u: %s", n, line);
	}
	ASSERT_EQ(n, N_MAKERS);
}

TEST_HARNESS_MAIN
