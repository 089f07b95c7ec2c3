// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The public API, function by function, with nothing but the API: the same
 * file is linked into a program and into a module. See api_tests.h.
 *
 * Kernel stacks are small, so whatever is large is static: the tests run one
 * at a time.
 */
#include "api_tests.h"

/* Ends a test at the first thing that is not so. */
#define EXPECT(cond)			\
	do {				\
		if (!(cond))		\
			return __LINE__;\
	} while (0)

#define TRY(call)			\
	do {				\
		int line_ = (call);	\
					\
		if (line_)		\
			return line_;	\
	} while (0)

#define KIB	((size_t)1 << 10)
#define MIB	((size_t)1 << 20)
#define SMALL	(32 * KIB)
#define NOBJS	2000

static void *objs[NOBJS];
static struct kspan_stats before, after;

/*
 * The functions below are not inlined, so that the compiler, which was told
 * the size of each object by the API's attributes, does not hold the tests to
 * it: they use objects up to kspan_size().
 */
static noinline void fill(void *obj, size_t from, size_t to, unsigned int seed)
{
	unsigned char *p = obj;

	for (; from < to; from++)
		p[from] = (unsigned char)(from * 7 + seed);
}

static noinline bool filled(const void *obj, size_t n, unsigned int seed)
{
	const unsigned char *p = obj;
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != (unsigned char)(i * 7 + seed))
			return false;
	return true;
}

/* Of free objects, too: no sanitizer is to look. */
static noinline __no_sanitize_address bool zero(const void *obj, size_t n)
{
	const unsigned char *p = obj;
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static bool aligned(const void *obj, size_t align)
{
	return !((uintptr_t)obj & (align - 1));
}

static u64 live(const struct kspan_stats *stats)
{
	return stats->nmalloc - stats->nfree;
}

/* The next size class above @size, and 0 after the last one. */
static size_t next_class(size_t size)
{
	return size < SMALL ? kspan_good_size(size + 1) : 0;
}

static const size_t large_sizes[] = {
	SMALL + 1, 40 * KIB, 40 * KIB + 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB - 1, MIB
};

/* What nobody can have, whatever the machine. */
static const size_t absurd_sizes[] = {
	(size_t)-1, (size_t)-1 - 8, (size_t)-1 - 8 * KIB, (size_t)-1 / 2, (size_t)-1 / 2 + 1,
	(size_t)-1 / 2 - 8 * MIB, (size_t)1 << 62, (size_t)1 << 48, (size_t)1 << 47
};

/* Two objects of @size: usable to their ends, and apart. */
static int check_size(size_t size)
{
	size_t good = kspan_good_size(size);
	void *a = kspan_alloc(size, GFP_KERNEL);
	void *b = kspan_alloc(size, GFP_KERNEL);

	EXPECT(a && b && a != b);
	EXPECT(aligned(a, 8) && aligned(b, 8));
	EXPECT(good >= size);
	EXPECT(kspan_size(a) == good && kspan_size(b) == good);
	fill(a, 0, good, 1);
	fill(b, 0, good, 2);
	EXPECT(filled(a, good, 1) && filled(b, good, 2));
	kspan_free(a);
	EXPECT(filled(b, good, 2));
	kspan_free(b);
	return 0;
}

static int test_sizes(void)
{
	size_t size, last = 0;
	unsigned int i, nclasses = 0;

	for (size = next_class(0); size; last = size, size = next_class(size)) {
		nclasses++;
		TRY(check_size(last + 1));
		TRY(check_size(last + (size - last + 1) / 2));
		TRY(check_size(size));
	}
	EXPECT(nclasses == 67 && last == SMALL);
	for (i = 0; i < ARRAY_SIZE(large_sizes); i++)
		TRY(check_size(large_sizes[i]));
	EXPECT(!kspan_verify());
	return 0;
}

static int test_good_size(void)
{
	size_t size, last = 0;
	unsigned int i;

	EXPECT(kspan_good_size(0) == 0);
	for (size = 1; size <= SMALL + 20 * KIB; size++) {
		size_t good = kspan_good_size(size);

		EXPECT(good >= size && good >= last);
		EXPECT(kspan_good_size(good) == good);
		/* Go's bound: what is wasted by rounding a size up to its class */
		EXPECT(size < 1024 || size > SMALL || good - size <= size / 4);
		last = good;
	}
	EXPECT(kspan_good_size(SMALL + 1) == SMALL + 8 * KIB);
	for (i = 0; i < ARRAY_SIZE(absurd_sizes); i++)
		EXPECT(kspan_good_size(absurd_sizes[i]) >= absurd_sizes[i]);
	return 0;
}

static int test_zero_size(void)
{
	void *pair[2] = { NULL, NULL };
	size_t none = hidden(0);

	EXPECT(kspan_alloc(none, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_zalloc(none, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_alloc_noscan(none, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_alloc_noscan(none, GFP_KERNEL | __GFP_ZERO) == ZERO_SIZE_PTR);
	EXPECT(kspan_alloc_array(none, 8, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_alloc_array(8, none, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_zalloc_array(none, none, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_alloc_aligned(none, 64, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_alloc_node(none, GFP_KERNEL, 0) == ZERO_SIZE_PTR);
	EXPECT(kspan_memdup(pair, none, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_realloc(NULL, none, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_realloc(ZERO_SIZE_PTR, none, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kspan_alloc_bulk(none, GFP_KERNEL, 2, pair) == 2);
	EXPECT(pair[0] == ZERO_SIZE_PTR && pair[1] == ZERO_SIZE_PTR);
	EXPECT(kspan_size(ZERO_SIZE_PTR) == 0);
	kspan_free_bulk(2, pair);
	return 0;
}

/* Frees of nothing: they count as nothing, too. */
static int test_free_nothing(void)
{
	void *nothing[2] = { NULL, ZERO_SIZE_PTR };
	unsigned int i;

	kspan_get_stats(&before);
	for (i = 0; i < 2; i++) {
		kspan_free(nothing[i]);
		kspan_free_sized(nothing[i], 0);
		kspan_free_sensitive(nothing[i]);
		kspan_free_rcu(nothing[i]);
		EXPECT(kspan_size(nothing[i]) == 0);
	}
	kspan_free_bulk(2, nothing);
	kspan_free_bulk(0, NULL);
	EXPECT(kspan_alloc_bulk(8, GFP_KERNEL, 0, NULL) == 0);
	kspan_rcu_barrier();
	kspan_get_stats(&after);
	EXPECT(after.nfree == before.nfree && after.nmalloc == before.nmalloc);
	EXPECT(after.ndouble == before.ndouble && after.nforeign == before.nforeign);
	EXPECT(!kspan_strdup(NULL, GFP_KERNEL));
	return 0;
}

static int test_overflow(void)
{
	size_t big = hidden((size_t)1 << 33), max = hidden((size_t)-1), cap = 4;
	unsigned int *array;

	EXPECT(!kspan_alloc_array(big, big, GFP_KERNEL));
	EXPECT(!kspan_alloc_array(max, 2, GFP_KERNEL));
	EXPECT(!kspan_alloc_array(2, max / 2 + 1, GFP_KERNEL));
	EXPECT(!kspan_zalloc_array(big, big, GFP_KERNEL));
	EXPECT(!kspan_zalloc_array(max / 4 + 1, 4, GFP_KERNEL));

	array = kspan_alloc_array(4, sizeof(*array), GFP_KERNEL);
	EXPECT(array);
	fill(array, 0, 4 * sizeof(*array), 3);
	EXPECT(!kspan_realloc_array(array, big, big, GFP_KERNEL));
	EXPECT(!kspan_realloc_array(array, max, sizeof(*array), GFP_KERNEL));
	EXPECT(!kspan_grow_array(array, &cap, max, sizeof(*array), GFP_KERNEL));
	EXPECT(!kspan_grow_array(array, &cap, max / 4 + 1, sizeof(*array), GFP_KERNEL));
	EXPECT(!kspan_grow_array(array, &cap, big, big, GFP_KERNEL));
	EXPECT(cap == 4 && filled(array, 4 * sizeof(*array), 3));
	kspan_free(array);
	return 0;
}

static int check_absurd(size_t size)
{
	void *pair[2];
	void *obj = kspan_alloc(100, GFP_KERNEL);

	EXPECT(obj);
	fill(obj, 0, 100, 4);
	EXPECT(!kspan_alloc(size, GFP_KERNEL));
	EXPECT(!kspan_alloc(size, GFP_ATOMIC));
	EXPECT(!kspan_zalloc(size, GFP_KERNEL));
	EXPECT(!kspan_alloc_noscan(size, GFP_KERNEL));
	EXPECT(!kspan_alloc_aligned(size, 64, GFP_KERNEL));
	EXPECT(!kspan_alloc_aligned(size, 64 * KIB, GFP_KERNEL));
	EXPECT(!kspan_alloc_aligned(8, (size_t)1 << 63, GFP_KERNEL));
	EXPECT(!kspan_alloc_node(size, GFP_KERNEL, 0));
	EXPECT(!kspan_alloc_bulk(size, GFP_KERNEL, 2, pair));
	EXPECT(!kspan_realloc(NULL, size, GFP_KERNEL));
	EXPECT(!kspan_realloc(obj, size, GFP_KERNEL));
	EXPECT(filled(obj, 100, 4) && kspan_size(obj) == kspan_good_size(100));
	kspan_free(obj);
	return 0;
}

static int test_absurd_sizes(void)
{
	unsigned int i;

	kspan_get_stats(&before);
	for (i = 0; i < ARRAY_SIZE(absurd_sizes); i++)
		TRY(check_absurd(hidden(absurd_sizes[i])));
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before));
	EXPECT(after.nfail >= before.nfail + 10 * ARRAY_SIZE(absurd_sizes));
	EXPECT(!kspan_verify());
	return 0;
}

static int test_bad_alignment(void)
{
	static const size_t bad[] = { 0, 3, 24, 48, 4097, (size_t)-1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT(!kspan_alloc_aligned(100, bad[i], GFP_KERNEL));
		EXPECT(!kspan_alloc_aligned(hidden(0), bad[i], GFP_KERNEL));
	}
	return 0;
}

static int check_aligned(size_t size, size_t align, gfp_t extra)
{
	void *a = kspan_alloc_aligned(size, align, GFP_KERNEL | extra);
	void *b = kspan_alloc_aligned(size, align, GFP_KERNEL | extra);

	EXPECT(a && b && a != b);
	EXPECT(aligned(a, align) && aligned(b, align));
	EXPECT(kspan_size(a) >= size && kspan_size(b) >= size);
	if (extra)
		EXPECT(zero(a, size) && zero(b, size));
	fill(a, 0, kspan_size(a), 5);
	fill(b, 0, kspan_size(b), 6);
	EXPECT(filled(a, kspan_size(a), 5));
	kspan_free(a);
	EXPECT(filled(b, kspan_size(b), 6));
	kspan_free_sized(b, size);
	return 0;
}

static int test_alignment(void)
{
	size_t align;

	for (align = 1; align <= 64 * KIB; align *= 2) {
		TRY(check_aligned(1, align, 0));
		TRY(check_aligned(24, align, 0));
		TRY(check_aligned(100, align, __GFP_ZERO));
		TRY(check_aligned(align, align, __GFP_ZERO));
		TRY(check_aligned(align + 1, align, 0));
		TRY(check_aligned(3 * align, align, 0));
		TRY(check_aligned(40000, align, __GFP_ZERO));
	}
	EXPECT(!kspan_verify());
	return 0;
}

/* As kmalloc() guarantees, and the two lesser promises of kspan_alloc(). */
static int test_natural_alignment(void)
{
	size_t size;
	unsigned int i;

	for (size = 8; size <= SMALL; size = next_class(size)) {
		size_t align = size & (size - 1) ? 8 : size;

		if (align == 8 && size >= 32 && !(size % 16))
			align = 16;
		for (i = 0; i < 20; i++) {
			objs[i] = i % 2 ? kspan_zalloc(size, GFP_KERNEL) :
					  kspan_alloc_array(size / 8, 8, GFP_KERNEL);
			EXPECT(objs[i] && aligned(objs[i], align));
		}
		kspan_free_bulk(20, objs);
		if (size == SMALL)
			break;
	}
	return 0;
}

/* Leaves dirty memory of @size behind. */
static int make_dirty(size_t size, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		objs[i] = kspan_alloc(size, GFP_KERNEL);
		EXPECT(objs[i]);
		fill(objs[i], 0, size, 0xa5);
	}
	kspan_free_bulk(n, objs);
	return 0;
}

static int check_zalloc(size_t size)
{
	unsigned int i, n = size > SMALL ? 2 : 5;

	TRY(make_dirty(size, n));
	for (i = 0; i < n; i++) {
		switch (i) {
		case 0:
			objs[i] = kspan_zalloc(size, GFP_KERNEL);
			break;
		case 1:
			objs[i] = kspan_zalloc_array(1, size, GFP_KERNEL);
			break;
		case 2:
			objs[i] = kspan_alloc(size, GFP_KERNEL | __GFP_ZERO);
			break;
		case 3:
			objs[i] = kspan_alloc_node(size, GFP_KERNEL | __GFP_ZERO, 0);
			break;
		default:
			objs[i] = kspan_realloc(NULL, size, GFP_KERNEL | __GFP_ZERO);
		}
		EXPECT(objs[i] && zero(objs[i], size));
	}
	kspan_free_bulk(n, objs);
	return 0;
}

static int test_zalloc(void)
{
	size_t size, last = 0;
	unsigned int i;

	for (size = next_class(0); size; last = size, size = next_class(size)) {
		TRY(check_zalloc(last + 1));
		TRY(check_zalloc(size));
	}
	for (i = 0; i < ARRAY_SIZE(large_sizes); i++)
		TRY(check_zalloc(large_sizes[i]));
	kspan_release_memory();
	TRY(check_zalloc(64));
	TRY(check_zalloc(100 * KIB));

	/* zeroed bulk and noscan objects, over the dirt of both kinds */
	TRY(make_dirty(64, 200));
	EXPECT(kspan_alloc_bulk(64, GFP_KERNEL | __GFP_ZERO, 200, objs) == 200);
	for (i = 0; i < 200; i++)
		EXPECT(zero(objs[i], 64));
	kspan_free_bulk(200, objs);
	for (size = 1; size <= 40; size++) {
		void *obj = kspan_alloc_noscan(size, GFP_KERNEL);

		EXPECT(obj);
		fill(obj, 0, size, 0xff);
		kspan_free(obj);
		obj = kspan_alloc_noscan(size, GFP_KERNEL | __GFP_ZERO);
		EXPECT(obj && zero(obj, size));
		kspan_free(obj);
	}
	return 0;
}

/* Tiny objects: alignment by Go's rule, exact sizes, no overlap, any order. */
static int test_noscan(void)
{
	unsigned int i, n = 600;

	kspan_get_stats(&before);
	for (i = 0; i < n; i++) {
		size_t size = 1 + i * 5 % 40;
		size_t align = size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;

		objs[i] = kspan_alloc_noscan(size, GFP_KERNEL);
		EXPECT(objs[i] && aligned(objs[i], size < 16 ? align : 8));
		EXPECT(kspan_size(objs[i]) >= size);
		fill(objs[i], 0, kspan_size(objs[i]), i);
	}
	EXPECT(!kspan_verify());
	for (i = 0; i < n; i++)
		EXPECT(filled(objs[i], kspan_size(objs[i]), i));
	for (i = 0; i < n; i += 2)
		kspan_free(objs[i]);
	for (i = 1; i < n; i += 2) {
		EXPECT(filled(objs[i], kspan_size(objs[i]), i));
		kspan_free(objs[i]);
	}
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before) && after.live_bytes <= before.live_bytes + 16);
	EXPECT(!kspan_verify());
	return 0;
}

static int test_realloc(void)
{
	size_t size, had = 1;
	unsigned int i;
	void *obj = kspan_realloc(NULL, 1, GFP_KERNEL);

	EXPECT(obj);
	fill(obj, 0, 1, 7);
	for (size = next_class(0); size; had = size, size = next_class(size)) {
		obj = kspan_realloc(obj, size, GFP_KERNEL);
		EXPECT(obj && kspan_size(obj) >= size && filled(obj, had, 7));
		fill(obj, had, size, 7);
	}
	for (i = 0; i < ARRAY_SIZE(large_sizes); had = large_sizes[i++]) {
		obj = kspan_realloc(obj, large_sizes[i], GFP_KERNEL);
		EXPECT(obj && kspan_size(obj) >= large_sizes[i] && filled(obj, had, 7));
		fill(obj, had, large_sizes[i], 7);
	}
	for (size = had; size; size = size / 3) {
		obj = kspan_realloc(obj, size, GFP_KERNEL);
		EXPECT(obj && kspan_size(obj) >= size && filled(obj, size, 7));
	}
	EXPECT(kspan_realloc(obj, hidden(0), GFP_KERNEL) == ZERO_SIZE_PTR);
	obj = kspan_realloc(ZERO_SIZE_PTR, 10, GFP_KERNEL);
	EXPECT(obj && kspan_size(obj) == 16);
	kspan_free(obj);
	EXPECT(!kspan_verify());
	return 0;
}

/* A shrunk object gives back what it does not need. */
static int test_realloc_shrinks(void)
{
	void *obj = kspan_alloc(MIB, GFP_KERNEL);

	EXPECT(obj);
	fill(obj, 0, MIB, 8);
	obj = kspan_realloc(obj, 100 * KIB, GFP_KERNEL);
	EXPECT(obj && kspan_size(obj) < MIB / 2 && filled(obj, 100 * KIB, 8));
	obj = kspan_realloc(obj, 100, GFP_KERNEL);
	EXPECT(obj && kspan_size(obj) <= 1 * KIB && filled(obj, 100, 8));
	kspan_free(obj);
	return 0;
}

static int test_realloc_zero(void)
{
	size_t size, had;
	void *obj;

	TRY(make_dirty(MIB, 1));
	TRY(make_dirty(3 * KIB, 4));
	obj = kspan_alloc(8, GFP_KERNEL);
	EXPECT(obj);
	fill(obj, 0, 8, 9);
	for (size = 24; size < MIB; size = size * 3 + 8) {
		had = kspan_size(obj);
		obj = kspan_realloc(obj, size, GFP_KERNEL | __GFP_ZERO);
		EXPECT(obj && filled(obj, 8, 9));
		if (size > had)
			EXPECT(zero((char *)obj + had, size - had));
	}
	kspan_free(obj);
	return 0;
}

/* Objects of a noscan class and tiny ones keep their contents too. */
static int test_realloc_noscan(void)
{
	size_t size, had = 3;
	char *obj = kspan_alloc_noscan(3, GFP_KERNEL);

	EXPECT(obj);
	fill(obj, 0, 3, 10);
	for (size = 5; size < 100 * KIB; had = size, size = size * 2 + 1) {
		obj = kspan_realloc(obj, size, GFP_KERNEL);
		EXPECT(obj && filled(obj, had, 10));
		fill(obj, had, size, 10);
	}
	obj = kspan_realloc(obj, 5, GFP_KERNEL);
	EXPECT(obj && filled(obj, 5, 10));
	kspan_free(obj);
	return 0;
}

static int test_realloc_fails(void)
{
	static const size_t sizes[] = { 1, 16, 100, SMALL, SMALL + 1, MIB };
	unsigned int i, k;
	void *obj;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		obj = kspan_alloc(sizes[i], GFP_KERNEL);
		EXPECT(obj);
		fill(obj, 0, sizes[i], 11);
		for (k = 0; k < ARRAY_SIZE(absurd_sizes); k++)
			EXPECT(!kspan_realloc(obj, hidden(absurd_sizes[k]), GFP_KERNEL));
		EXPECT(kspan_size(obj) == kspan_good_size(sizes[i]));
		EXPECT(filled(obj, sizes[i], 11));
		kspan_free(obj);
	}
	EXPECT(!kspan_verify());
	return 0;
}

static int test_realloc_array(void)
{
	unsigned int *array, i;

	array = kspan_realloc_array(NULL, 3, sizeof(*array), GFP_KERNEL);
	EXPECT(array);
	for (i = 0; i < 3; i++)
		array[i] = i;
	array = kspan_realloc_array(array, 3000, sizeof(*array), GFP_KERNEL);
	EXPECT(array && kspan_size(array) >= 3000 * sizeof(*array));
	for (i = 0; i < 3; i++)
		EXPECT(array[i] == i);
	EXPECT(kspan_realloc_array(array, hidden(0), 4, GFP_KERNEL) == ZERO_SIZE_PTR);
	return 0;
}

/* Appending one by one: the array moves seldom, and is as long as its class. */
static int check_grow(size_t each, size_t n)
{
	size_t i, cap = 0, last = 0, ngrown = 0;
	unsigned char *array = NULL;

	for (i = 0; i < n; i++) {
		array = kspan_grow_array(array, &cap, i + 1, each, GFP_KERNEL);
		EXPECT(array && cap > i);
		if (cap != last) {
			EXPECT(kspan_size(array) / each == cap);
			ngrown++;
		}
		last = cap;
		array[i * each] = (unsigned char)i;
	}
	for (i = 0; i < n; i++)
		EXPECT(array[i * each] == (unsigned char)i);
	EXPECT(ngrown <= 40);
	EXPECT(cap <= 2 * n + 1024);
	/* there is room already: nothing happens, whatever is asked */
	EXPECT(kspan_grow_array(array, &cap, cap, each, GFP_KERNEL) == array);
	EXPECT(kspan_grow_array(array, &cap, hidden(0), each, GFP_KERNEL) == array);
	EXPECT(cap == last);
	kspan_free(array);
	return 0;
}

static int test_grow_array(void)
{
	size_t cap = 0;
	void *array;

	TRY(check_grow(1, 20000));
	TRY(check_grow(8, 20000));
	TRY(check_grow(24, 3000));
	TRY(check_grow(1000, 200));
	/* a jump goes where it must, and a little further to fill the class */
	array = kspan_grow_array(NULL, &cap, 5, 8, GFP_KERNEL);
	EXPECT(array && cap == 6);
	array = kspan_grow_array(array, &cap, 1000, 8, GFP_KERNEL);
	EXPECT(array && cap == kspan_good_size(8000) / 8);
	kspan_free(array);
	return 0;
}

static int test_memdup(void)
{
	static const size_t sizes[] = { 1, 7, 8, 100, 4096, SMALL + 5 };
	unsigned int i;
	char *copy;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *src = kspan_alloc(sizes[i], GFP_KERNEL);

		EXPECT(src);
		fill(src, 0, sizes[i], i);
		copy = kspan_memdup(src, sizes[i], GFP_KERNEL | __GFP_ZERO);
		EXPECT(copy && copy != src && !memcmp(copy, src, sizes[i]));
		kspan_free(copy);
		kspan_free(src);
	}
	return 0;
}

static int test_strdup(void)
{
	static const char text[] = "fifteen chars..and some more than that";
	static char string[sizeof(text)];
	unsigned int i, n = sizeof(text) - 1;

	for (i = 0; i <= n; i++) {
		memcpy(string, text, i);
		string[i] = '\0';
		objs[i] = kspan_strdup(string, GFP_KERNEL | __GFP_ZERO);
		EXPECT(objs[i] && objs[i] != string && !strcmp(objs[i], string));
	}
	for (i = 0; i <= n; i++)
		EXPECT(strlen(objs[i]) == i && !memcmp(objs[i], text, i));
	kspan_free_bulk(n + 1, objs);
	return 0;
}

static int check_bulk(size_t size, unsigned int n)
{
	unsigned int i;

	EXPECT(kspan_alloc_bulk(size, GFP_KERNEL, n, objs) == n);
	for (i = 0; i < n; i++) {
		EXPECT(objs[i] && kspan_size(objs[i]) == kspan_good_size(size));
		fill(objs[i], 0, size, i);
	}
	for (i = 0; i < n; i++)
		EXPECT(filled(objs[i], size, i));
	kspan_free_bulk(n, objs);
	return 0;
}

static int test_bulk(void)
{
	kspan_get_stats(&before);
	TRY(check_bulk(1, 1));
	TRY(check_bulk(8, NOBJS));
	TRY(check_bulk(64, 1000));
	TRY(check_bulk(100, 333));
	TRY(check_bulk(8 * KIB, 20));
	TRY(check_bulk(SMALL, 5));
	TRY(check_bulk(50 * KIB, 3));
	kspan_get_stats(&after);
	EXPECT(after.nmalloc - before.nmalloc == 1 + NOBJS + 1000 + 333 + 20 + 5 + 3);
	EXPECT(live(&after) == live(&before) && after.live_bytes == before.live_bytes);
	EXPECT(!kspan_verify());
	return 0;
}

static int test_free_bulk_mixed(void)
{
	unsigned int i, n = 400;

	kspan_get_stats(&before);
	for (i = 0; i < n; i++) {
		size_t size = (i * 97) % 3000;

		if (i % 50 == 49)
			size = SMALL + i;
		objs[i] = i % 3 ? kspan_alloc(size, GFP_KERNEL) :
				  kspan_alloc_noscan(size % 20, GFP_KERNEL);
		EXPECT(objs[i]);
		if (i % 40 == 7) {
			kspan_free(objs[i]);
			objs[i] = NULL;
		}
	}
	kspan_free_bulk(n, objs);
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before));
	EXPECT(after.ndouble == before.ndouble);
	EXPECT(!kspan_verify());
	return 0;
}

static int test_free_sized(void)
{
	static const size_t sizes[] = { 1, 15, 16, 17, 1000, SMALL, SMALL + 1, 100 * KIB };
	unsigned int i;

	kspan_get_stats(&before);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *obj = kspan_alloc(sizes[i], GFP_KERNEL);

		EXPECT(obj);
		kspan_free_sized(obj, sizes[i]);
		obj = kspan_alloc_noscan(sizes[i], GFP_KERNEL);
		EXPECT(obj);
		kspan_free_sized(obj, sizes[i]);
	}
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before));
	return 0;
}

/*
 * Nothing but zeros is left, to the object's end and no further: neighbours
 * keep their contents, and the span mapped, so that one may look.
 */
static int test_free_sensitive(void)
{
	static const size_t sizes[] = { 8, 24, 100, 1000, 4096 };
	unsigned int i, k, n = 16;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = kspan_good_size(sizes[i]);

		for (k = 0; k < n; k++) {
			objs[k] = kspan_alloc(sizes[i], GFP_KERNEL);
			EXPECT(objs[k]);
			fill(objs[k], 0, size, k + 1);
		}
		for (k = 0; k < n; k += 2) {
			kspan_free_sensitive(objs[k]);
			EXPECT(zero(objs[k], size));
		}
		for (k = 1; k < n; k += 2) {
			EXPECT(filled(objs[k], size, k + 1));
			kspan_free(objs[k]);
		}
	}
	objs[0] = kspan_alloc(70 * KIB, GFP_KERNEL);
	EXPECT(objs[0]);
	kspan_free_sensitive(objs[0]);
	return 0;
}

/* Tiny neighbours share a block: the zeros must not spill over. */
static int test_free_sensitive_tiny(void)
{
	unsigned int k, n = 64;

	for (k = 0; k < n; k++) {
		objs[k] = kspan_alloc_noscan(3, GFP_KERNEL);
		EXPECT(objs[k]);
		fill(objs[k], 0, 3, k + 1);
	}
	for (k = 0; k < n; k += 2)
		kspan_free_sensitive(objs[k]);
	for (k = 1; k < n; k += 2) {
		EXPECT(filled(objs[k], 3, k + 1));
		kspan_free(objs[k]);
	}
	return 0;
}

static int test_free_rcu(void)
{
	unsigned int round, i;

	kspan_rcu_barrier();
	kspan_get_stats(&before);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < NOBJS; i++) {
			objs[i] = i % 100 == 99 ? kspan_alloc(SMALL + 1, GFP_KERNEL) :
				  i % 3 ? kspan_alloc(1 + i % 500, GFP_KERNEL) :
					  kspan_alloc_noscan(1 + i % 15, GFP_KERNEL);
			EXPECT(objs[i]);
			if (round)
				kspan_free_rcu(objs[i]);
		}
		for (i = 0; !round && i < NOBJS; i++)
			kspan_free_rcu(objs[i]);
		if (round != 1)
			kspan_rcu_barrier();
	}
	kspan_get_stats(&after);
	EXPECT(after.nmalloc - before.nmalloc >= 3 * NOBJS);
	EXPECT(live(&after) == live(&before));
	EXPECT(after.live_bytes <= before.live_bytes + 16);
	EXPECT(!kspan_verify());
	return 0;
}

static int test_alloc_node(void)
{
	static const int nodes[] = { NUMA_NO_NODE, 0, 0, NUMA_NO_NODE };
	static const size_t sizes[] = { 1, 64, 5000, SMALL, SMALL + 1 };
	unsigned int i, k;
	void *obj;

	kspan_get_stats(&before);
	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		for (k = 0; k < ARRAY_SIZE(sizes); k++) {
			obj = kspan_alloc_node(sizes[k], GFP_KERNEL, nodes[i]);
			EXPECT(obj && kspan_size(obj) == kspan_good_size(sizes[k]));
			fill(obj, 0, sizes[k], 12);
			kspan_free(obj);
		}
	}
	kspan_get_stats(&after);
	EXPECT(after.nmalloc - before.nmalloc == 20 && live(&after) == live(&before));
	EXPECT(!kspan_verify());
	return 0;
}

/* An allocation that may not sleep, from fresh memory too. */
static int test_gfp_atomic(void)
{
	unsigned int i, n = 500;

	kspan_release_memory();
	for (i = 0; i < n; i++) {
		objs[i] = kspan_alloc(1 + i * 13 % 2000, i % 2 ? GFP_ATOMIC : GFP_NOWAIT);
		EXPECT(objs[i]);
	}
	kspan_free_bulk(n, objs);
	EXPECT(!kspan_verify());
	return 0;
}

static int test_stats(void)
{
	const struct kspan_class_stats *a, *b;
	unsigned int i, c = 0, n = 300;

	kspan_release_memory();
	kspan_get_stats(&before);
	EXPECT(kspan_alloc_bulk(200, GFP_KERNEL, n, objs) == n);
	for (i = n; i < n + 10; i++) {
		objs[i] = kspan_alloc_noscan(5, GFP_KERNEL);
		EXPECT(objs[i]);
	}
	objs[n + 10] = kspan_alloc(90 * KIB, GFP_KERNEL);
	EXPECT(objs[n + 10]);
	kspan_get_stats(&after);

	while (c < KSPAN_STATS_CLASSES && after.cls[c].size != kspan_good_size(200))
		c++;
	EXPECT(c < KSPAN_STATS_CLASSES && !(c & 1));
	a = &after.cls[c];
	b = &before.cls[c];
	EXPECT(a->nmalloc - b->nmalloc == n && a->nfree == b->nfree);
	EXPECT(a->nspan > b->nspan && a->span_bytes >= n * 200);
	EXPECT(a->nrefill > b->nrefill);
	EXPECT(after.nmalloc - before.nmalloc == n + 11);
	EXPECT(after.nfree == before.nfree);
	/* a checked heap has no tiny objects: each is one of the smallest class */
	EXPECT(after.ntiny_malloc - before.ntiny_malloc +
	       after.cls[3].nmalloc - before.cls[3].nmalloc == 10);
	EXPECT(after.nlarge_malloc - before.nlarge_malloc == 1);
	EXPECT(after.large_bytes - before.large_bytes == kspan_good_size(90 * KIB));
	EXPECT(after.live_bytes - before.live_bytes >=
	       n * kspan_good_size(200) + kspan_good_size(90 * KIB));
	EXPECT(after.inuse_bytes > before.inuse_bytes);
	EXPECT(after.sys_bytes == after.inuse_bytes + after.idle_bytes + after.released_bytes +
	       after.meta_bytes);

	kspan_free_bulk(n + 11, objs);
	kspan_get_stats(&after);
	EXPECT(after.cls[c].nfree - before.cls[c].nfree == n);
	EXPECT(after.nfree - before.nfree == n + 11);
	EXPECT(after.ntiny_free - before.ntiny_free +
	       after.cls[3].nfree - before.cls[3].nfree == 10);
	EXPECT(after.nlarge_free - before.nlarge_free == 1);
	EXPECT(after.large_bytes == before.large_bytes);
	return 0;
}

static int test_release_memory(void)
{
	unsigned int i;

	kspan_release_memory();
	kspan_get_stats(&before);
	EXPECT(kspan_alloc_bulk(1 * KIB, GFP_KERNEL, NOBJS, objs) == NOBJS);
	for (i = 0; i < NOBJS; i++)
		fill(objs[i], 0, 1 * KIB, i);
	kspan_free_bulk(NOBJS, objs);
	EXPECT(kspan_release_memory() > 0);
	kspan_get_stats(&after);
	EXPECT(after.inuse_bytes == before.inuse_bytes);
	EXPECT(after.idle_bytes == 0);
	EXPECT(after.cached_bytes <= before.cached_bytes);
	EXPECT(after.nrelease > before.nrelease);
	EXPECT(after.nscavenged_bytes >= before.nscavenged_bytes + 1900 * KIB);
	EXPECT(!kspan_verify());
	/* what was given back comes again, and zeroed where that is asked */
	TRY(check_zalloc(1 * KIB));
	TRY(check_bulk(1 * KIB, NOBJS));
	return 0;
}

/* Object caches */

struct thing {
	u64 magic;
	u64 nuses;
	unsigned char data[40];
};

#define THING_MAGIC	0x7468696e67210001ull

static u64 nconstructed;

static void thing_construct(void *obj)
{
	struct thing *thing = obj;

	thing->magic = THING_MAGIC;
	thing->nuses = 0;
	nconstructed++;
}

static int test_cache_ctor(void)
{
	unsigned int round, i, n = 200;
	struct kspan_cache *cache;
	u64 first = 0;

	nconstructed = 0;
	cache = kspan_cache_create("things", sizeof(struct thing), 0, 0, thing_construct);
	EXPECT(cache);
	for (round = 0; round < 4; round++) {
		for (i = 0; i < n; i++) {
			struct thing *thing = kspan_cache_alloc(cache, GFP_KERNEL);

			EXPECT(thing && thing->magic == THING_MAGIC);
			thing->nuses++;
			objs[i] = thing;
		}
		if (!round)
			first = nconstructed;
		for (i = 0; i < n; i++)
			kspan_cache_free(cache, objs[i]);
	}
	EXPECT(first >= n);
	EXPECT(!kspan_cache_zalloc(cache, GFP_KERNEL));
	EXPECT(!kspan_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO));
	EXPECT(kspan_cache_destroy(cache) == 0);
	EXPECT(!kspan_verify());
	return 0;
}

static unsigned int nkept, nagain;

/* Every tenth of objs[] is out: nothing in its span is constructed again. */
static void thing_construct_once(void *obj)
{
	unsigned int i;

	for (i = 0; i < nkept; i += 10)
		nagain += (uintptr_t)obj / (8 * KIB) == (uintptr_t)objs[i] / (8 * KIB);
	thing_construct(obj);
}

/*
 * While an object of each span is out, no constructor runs a second time. On more spans
 * it may: what was freed can lie in the cache of a CPU that the test has left.
 */
static int test_cache_ctor_once(void)
{
	unsigned int round, i, n = 200;
	struct kspan_cache *cache;
	u64 nuses = 0;

	nkept = 0;
	nagain = 0;
	cache = kspan_cache_create("things", sizeof(struct thing), 0, 0, thing_construct_once);
	EXPECT(cache);
	EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL, n, objs) == n);
	nkept = n;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < n; i++) {
			struct thing *thing = objs[i];

			EXPECT(thing->magic == THING_MAGIC);
			thing->nuses++;
		}
		for (i = 0; i < n; i++)
			if (i % 10)
				kspan_cache_free(cache, objs[i]);
		for (i = 0; i < n; i++)
			if (i % 10)
				objs[i] = kspan_cache_alloc(cache, GFP_KERNEL);
		for (i = 0; i < n; i++)
			nuses += ((struct thing *)objs[i])->nuses;
	}
	EXPECT(!nagain && nuses > n);
	kspan_cache_free_bulk(cache, n, objs);
	EXPECT(kspan_cache_destroy(cache) == 0);
	return 0;
}

static int check_cache(size_t size, size_t align, unsigned int flags)
{
	struct kspan_cache *cache = kspan_cache_create("check", size, align, flags, NULL);
	unsigned int i, n = size > 4096 ? 12 : 150;

	EXPECT(cache);
	for (i = 0; i < n; i++) {
		objs[i] = i % 2 ? kspan_cache_alloc(cache, GFP_KERNEL) :
				  kspan_cache_zalloc(cache, GFP_KERNEL);
		EXPECT(objs[i] && aligned(objs[i], align ? align : sizeof(void *)));
		EXPECT(kspan_size(objs[i]) >= size);
		EXPECT(i % 2 || zero(objs[i], size));
		fill(objs[i], 0, kspan_size(objs[i]), i);
	}
	EXPECT(!kspan_verify());
	for (i = 0; i < n; i++)
		EXPECT(filled(objs[i], kspan_size(objs[i]), i));
	for (i = 0; i < n; i += 2)
		kspan_cache_free(cache, objs[i]);
	for (i = 0; i < n; i += 2) {
		objs[i] = kspan_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO);
		EXPECT(objs[i] && zero(objs[i], size));
	}
	for (i = 1; i < n; i += 2)
		EXPECT(filled(objs[i], kspan_size(objs[i]), i));
	kspan_cache_free_bulk(cache, n, objs);
	EXPECT(kspan_cache_destroy(cache) == 0);
	return 0;
}

static int test_cache_geometry(void)
{
	static const size_t sizes[] = { 1, 8, 24, 100, 1000, 4096, 5000, 12345, 32768 };
	unsigned int i;
	size_t align;

	kspan_get_stats(&before);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		TRY(check_cache(sizes[i], 0, 0));
		TRY(check_cache(sizes[i], 1, KSPAN_NOSCAN));
		TRY(check_cache(sizes[i], 64, KSPAN_TYPESAFE_BY_RCU));
	}
	for (align = 2; align <= 8 * KIB; align *= 2)
		TRY(check_cache(24, align, 0));
	kspan_rcu_barrier();
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before));
	EXPECT(after.inuse_bytes <= before.inuse_bytes + 64 * KIB);
	EXPECT(!kspan_verify());
	return 0;
}

static int test_cache_bad_arguments(void)
{
	static const char name[] =
		"a name of more than the thirty-one characters of which reports are made";
	struct kspan_cache *cache;

	EXPECT(!kspan_cache_create(NULL, 8, 0, 0, NULL));
	EXPECT(!kspan_cache_create("none", 0, 0, 0, NULL));
	EXPECT(!kspan_cache_create("large", SMALL + 1, 0, 0, NULL));
	EXPECT(!kspan_cache_create("absurd", hidden((size_t)-1), 0, 0, NULL));
	EXPECT(!kspan_cache_create("absurd", hidden((size_t)-1), 64, 0, NULL));
	EXPECT(!kspan_cache_create("align", 8, 3, 0, NULL));
	EXPECT(!kspan_cache_create("align", 8, 48, 0, NULL));
	EXPECT(!kspan_cache_create("align", 8, 16 * KIB, 0, NULL));
	EXPECT(!kspan_cache_create("flags", 8, 0, 0x80, NULL));
	EXPECT(kspan_cache_destroy(NULL) == 0);
	cache = kspan_cache_create(name, 8, 0, 0, NULL);
	EXPECT(cache);
	kspan_cache_free(cache, NULL);
	kspan_cache_free_bulk(cache, 0, NULL);
	EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL, 0, NULL) == 0);
	EXPECT(kspan_cache_destroy(cache) == 0);
	return 0;
}

static int test_cache_bulk(void)
{
	struct kspan_cache *cache;
	unsigned int i, n = 1000;

	kspan_get_stats(&before);
	cache = kspan_cache_create("bulk", 48, 0, KSPAN_NOSCAN, NULL);
	EXPECT(cache);
	EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL, n, objs) == n);
	for (i = 0; i < n; i++)
		fill(objs[i], 0, 48, i);
	for (i = 0; i < n; i++)
		EXPECT(filled(objs[i], 48, i));
	kspan_get_stats(&after);
	EXPECT(after.cache_nmalloc - before.cache_nmalloc == n);
	EXPECT(live(&after) - live(&before) == n);
	kspan_cache_free_bulk(cache, n, objs);
	EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL | __GFP_ZERO, 50, objs) == 50);
	for (i = 0; i < 50; i++)
		EXPECT(zero(objs[i], 48));
	kspan_cache_free_bulk(cache, 50, objs);
	EXPECT(kspan_cache_destroy(cache) == 0);
	kspan_get_stats(&after);
	EXPECT(after.cache_nmalloc - before.cache_nmalloc == n + 50);
	EXPECT(after.cache_nfree - before.cache_nfree == n + 50);
	return 0;
}

/*
 * What goes to the system is counted in the heap: on a slow machine the scavenger, or
 * the kernel's shrinker, may have been there between the frees and the call.
 */
static int test_cache_shrink(void)
{
	struct kspan_cache *cache = kspan_cache_create("shrink", 512, 0, 0, NULL);
	unsigned int n = 1000;
	size_t shrunk;

	EXPECT(cache);
	kspan_release_memory();
	EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL, n, objs) == n);
	kspan_get_stats(&before);
	kspan_cache_free_bulk(cache, n, objs);
	shrunk = kspan_cache_shrink(cache);
	kspan_get_stats(&after);
	EXPECT(after.nscavenged_bytes - before.nscavenged_bytes >= 400 * KIB);
	EXPECT(after.nscavenged_bytes - before.nscavenged_bytes >= shrunk);
	EXPECT(after.inuse_bytes + 400 * KIB <= before.inuse_bytes);
	EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL, n, objs) == n);
	kspan_cache_free_bulk(cache, n, objs);
	EXPECT(kspan_cache_destroy(cache) == 0);
	EXPECT(!kspan_verify());
	return 0;
}

static int test_cache_destroy_busy(void)
{
	struct kspan_cache *cache;
	unsigned int i, n = 5;

	cache = kspan_cache_create("busy", sizeof(struct thing), 0, 0, thing_construct);
	EXPECT(cache);
	EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL, n, objs) == n);
	for (i = 1; i < n; i++)
		kspan_cache_free(cache, objs[i]);
	fill(objs[0], 0, sizeof(struct thing), 13);
	EXPECT(kspan_cache_destroy(cache) == -EBUSY);
	EXPECT(filled(objs[0], sizeof(struct thing), 13));
	for (i = 1; i < n; i++) {
		objs[i] = kspan_cache_alloc(cache, GFP_KERNEL);
		EXPECT(objs[i] && objs[i] != objs[0]);
	}
	EXPECT(kspan_cache_destroy(cache) == -EBUSY);
	EXPECT(!kspan_verify());
	kspan_cache_free_bulk(cache, n, objs);
	EXPECT(kspan_cache_destroy(cache) == 0);
	return 0;
}

/* kspan_free() and its like take objects of caches too. */
static int test_cache_plain_free(void)
{
	struct kspan_cache *cache = kspan_cache_create("plain", 40, 0, 0, NULL);
	unsigned int i, n = 400;

	EXPECT(cache);
	kspan_get_stats(&before);
	EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL, n, objs) == n);
	EXPECT(kspan_size(objs[0]) == 40);
	for (i = 0; i < 100; i++)
		kspan_free(objs[i]);
	for (; i < 200; i++)
		kspan_free_sensitive(objs[i]);
	for (; i < 300; i++)
		kspan_free_rcu(objs[i]);
	kspan_free_bulk(100, objs + 300);
	kspan_rcu_barrier();
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before) && after.nforeign == before.nforeign);
	EXPECT(kspan_cache_destroy(cache) == 0);
	return 0;
}

/*
 * The spans wait for a grace period with the type's state in them, and are
 * there again afterwards. (That readers find it is for tests that know how
 * their world reads.)
 */
static int test_cache_typesafe(void)
{
	struct kspan_cache *cache;
	unsigned int round, i, n = 500;

	kspan_rcu_barrier();
	kspan_get_stats(&before);
	cache = kspan_cache_create("typesafe", sizeof(struct thing), 0, KSPAN_TYPESAFE_BY_RCU,
				   thing_construct);
	EXPECT(cache);
	for (round = 0; round < 5; round++) {
		EXPECT(kspan_cache_alloc_bulk(cache, GFP_KERNEL, n, objs) == n);
		for (i = 0; i < n; i++)
			EXPECT(((struct thing *)objs[i])->magic == THING_MAGIC);
		kspan_cache_free_bulk(cache, n, objs);
		kspan_cache_shrink(cache);
		if (round == 3)
			kspan_rcu_barrier();
		EXPECT(!kspan_verify());
	}
	EXPECT(kspan_cache_destroy(cache) == 0);
	kspan_release_memory();
	kspan_get_stats(&after);
	EXPECT(after.inuse_bytes <= before.inuse_bytes);
	return 0;
}

/* Misuse: one count each, nothing freed, nothing corrupted */

static int counted(u64 ndouble, u64 ninterior, u64 nforeign)
{
	/* what the fast path let into a CPU's cache is found when it leaves */
	kspan_release_memory();
	kspan_get_stats(&after);
	EXPECT(after.ndouble - before.ndouble == ndouble);
	EXPECT(after.ninterior - before.ninterior == ninterior);
	EXPECT(after.nforeign - before.nforeign == nforeign);
	EXPECT(!kspan_verify());
	return 0;
}

static int test_misuse_foreign(void)
{
	static u64 variable[4];
	u64 onstack[4];

	kspan_get_stats(&before);
	kspan_free(&variable[1]);
	kspan_free(onstack);
	kspan_free((void *)0x1234567ul);
	kspan_free((void *)~0xffful);
	TRY(counted(0, 0, 4));
	EXPECT(kspan_size(variable) == 0 && kspan_size(onstack) == 0);
	EXPECT(!kspan_realloc(variable, 100, GFP_KERNEL));
	TRY(counted(0, 0, 5));
	kspan_free_sensitive(variable);
	kspan_free_rcu(variable);
	kspan_rcu_barrier();
	TRY(counted(0, 0, 7));
	return 0;
}

static int check_double(size_t size)
{
	void *neighbour = kspan_alloc(size, GFP_KERNEL);
	void *obj = kspan_alloc(size, GFP_KERNEL);

	EXPECT(obj && neighbour);
	kspan_release_memory();
	kspan_get_stats(&before);
	kspan_free(obj);
	kspan_free(obj);
	TRY(counted(1, 0, 0));
	EXPECT(after.nfree - before.nfree == 1);
	kspan_free(neighbour);
	return 0;
}

static int check_interior(size_t size, size_t off)
{
	char *obj = kspan_alloc(size, GFP_KERNEL);

	EXPECT(obj);
	fill(obj, 0, size, 14);
	kspan_release_memory();
	kspan_get_stats(&before);
	kspan_free(obj + off);
	TRY(counted(0, 1, 0));
	EXPECT(after.nfree == before.nfree && filled(obj, size, 14));
	kspan_free(obj);
	TRY(counted(0, 1, 0));
	return 0;
}

static int test_misuse_double(void)
{
	TRY(check_double(8));
	TRY(check_double(100));
	TRY(check_double(SMALL));
	TRY(check_double(100 * KIB));
	return 0;
}

static int test_misuse_interior(void)
{
	TRY(check_interior(16, 8));
	TRY(check_interior(100, 1));
	TRY(check_interior(5000, 4096));
	TRY(check_interior(SMALL, 8 * KIB));
	TRY(check_interior(100 * KIB, 16));
	TRY(check_interior(100 * KIB, 64 * KIB));
	return 0;
}

static int test_misuse_tiny(void)
{
	char *a = kspan_alloc_noscan(6, GFP_KERNEL);
	char *b = kspan_alloc_noscan(6, GFP_KERNEL);

	EXPECT(a && b);
	fill(b, 0, 6, 15);
	kspan_get_stats(&before);
	kspan_free(b + 2);
	EXPECT(filled(b, 6, 15));
	TRY(counted(0, 1, 0));
	kspan_free(a);
	kspan_free(a);
	TRY(counted(1, 1, 0));
	EXPECT(filled(b, 6, 15));
	kspan_free(b);
	TRY(counted(1, 1, 0));
	return 0;
}

/* An object that was freed twice is not handed out twice. */
static int test_misuse_not_recycled(void)
{
	unsigned int i, k, n = 16;

	EXPECT(kspan_alloc_bulk(64, GFP_KERNEL, n, objs) == n);
	kspan_release_memory();
	kspan_get_stats(&before);
	for (i = 0; i < n; i += 2)
		kspan_free(objs[i]);
	for (i = 0; i < n; i += 2)
		kspan_free(objs[i]);
	TRY(counted(n / 2, 0, 0));
	for (i = 0; i < n; i += 2) {
		objs[i] = kspan_alloc(64, GFP_KERNEL);
		EXPECT(objs[i]);
	}
	for (i = 0; i < n; i++)
		for (k = 0; k < i; k++)
			EXPECT(objs[i] != objs[k]);
	kspan_free_bulk(n, objs);
	return 0;
}

static int test_misuse_wrong_cache(void)
{
	struct kspan_cache *one = kspan_cache_create("one", 64, 0, 0, NULL);
	struct kspan_cache *two = kspan_cache_create("two", 64, 0, 0, NULL);
	void *obj, *plain = kspan_alloc(64, GFP_KERNEL);
	static u64 variable;

	EXPECT(one && two && plain);
	obj = kspan_cache_alloc(one, GFP_KERNEL);
	EXPECT(obj);
	fill(obj, 0, 64, 16);
	kspan_get_stats(&before);
	kspan_cache_free(two, obj);
	kspan_cache_free(two, plain);
	kspan_cache_free(one, &variable);
	TRY(counted(0, 0, 3));
	EXPECT(after.nfree == before.nfree && filled(obj, 64, 16));
	EXPECT(kspan_cache_destroy(one) == -EBUSY);
	kspan_cache_free(one, (char *)obj + 8);
	TRY(counted(0, 1, 3));
	kspan_cache_free(one, obj);
	kspan_free(plain);
	TRY(counted(0, 1, 3));
	EXPECT(kspan_cache_destroy(one) == 0 && kspan_cache_destroy(two) == 0);
	return 0;
}

/* Everything at once, checked against a model: which object holds what. */
static int test_random_walk(void)
{
	static u32 size_of[NOBJS];
	unsigned int step, n = 500;
	u32 seed = 1;

	kspan_get_stats(&before);
	memset(objs, 0, sizeof(objs));
	for (step = 0; step < 20000; step++) {
		unsigned int i;

		seed = seed * 1664525u + 1013904223u;
		i = (seed >> 8) % n;
		if (objs[i]) {
			EXPECT(filled(objs[i], size_of[i], i));
			kspan_free(objs[i]);
			objs[i] = NULL;
			continue;
		}
		size_of[i] = (seed >> 4) % (step % 16 ? 300 : 9000) + 1;
		objs[i] = seed & (1u << 30) ? kspan_alloc(size_of[i], GFP_KERNEL) :
					      kspan_alloc_noscan(size_of[i], GFP_KERNEL);
		EXPECT(objs[i]);
		fill(objs[i], 0, size_of[i], i);
	}
	EXPECT(!kspan_verify());
	kspan_free_bulk(n, objs);
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before));
	EXPECT(!kspan_verify());
	return 0;
}

/* As many as were asked for, whatever the heap says meanwhile. */
static int check_reserve(struct kspan_reserve *reserve, size_t size, size_t n)
{
	size_t i;

	EXPECT(reserve);
	EXPECT(kspan_reserve_count(reserve) == n);
	for (i = 0; i < n; i++) {
		objs[i] = kspan_reserve_alloc(reserve, i & 1 ? __GFP_ZERO : 0);
		EXPECT(objs[i] && kspan_size(objs[i]) >= size);
		EXPECT(!(i & 1) || zero(objs[i], size));
		fill(objs[i], 0, size, i);
	}
	EXPECT(!kspan_reserve_alloc(reserve, 0));
	EXPECT(!kspan_reserve_count(reserve));
	for (i = 0; i < n; i++)
		EXPECT(filled(objs[i], size, i));
	kspan_free_bulk(n, objs);
	return 0;
}

static int test_reserve(void)
{
	static const size_t sizes[] = { 1, 40, 3000, SMALL, 50 * KIB };
	struct kspan_reserve *reserve;
	size_t i;

	kspan_get_stats(&before);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		reserve = kspan_reserve_prefill(sizes[i], GFP_KERNEL, 20);
		TRY(check_reserve(reserve, sizes[i], 20));
		EXPECT(kspan_reserve_refill(&reserve, GFP_KERNEL, 5) == 0);
		EXPECT(kspan_reserve_count(reserve) == 5);
		EXPECT(kspan_reserve_refill(&reserve, GFP_KERNEL, 30) == 0);
		EXPECT(kspan_reserve_refill(&reserve, GFP_KERNEL, 10) == 0);
		TRY(check_reserve(reserve, sizes[i], 30));
		EXPECT(kspan_reserve_refill(&reserve, GFP_KERNEL, 3) == 0);
		EXPECT(kspan_reserve_refill(&reserve, GFP_NOWAIT | __GFP_NOWARN,
					    (size_t)-1 / 8) == -ENOMEM);
		EXPECT(kspan_reserve_count(reserve) == 3);
		kspan_reserve_return(reserve);	/* with some left */
	}
	reserve = kspan_reserve_prefill(0, GFP_KERNEL, 1);
	EXPECT(!reserve);
	reserve = kspan_reserve_prefill(8, GFP_KERNEL, 0);
	EXPECT(reserve && !kspan_reserve_alloc(reserve, 0));
	kspan_reserve_return(reserve);
	kspan_reserve_return(NULL);
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before));
	return 0;
}

static int test_cache_reserve(void)
{
	struct kspan_cache *cache = kspan_cache_create("reserve", 72, 8, 0, NULL);
	struct kspan_reserve *reserve;

	EXPECT(cache);
	reserve = kspan_cache_reserve_prefill(cache, GFP_KERNEL, 100);
	TRY(check_reserve(reserve, 72, 100));
	EXPECT(kspan_reserve_refill(&reserve, GFP_KERNEL, 150) == 0);
	EXPECT(kspan_cache_destroy(cache) != 0);	/* they count as out */
	kspan_reserve_return(reserve);
	EXPECT(kspan_cache_destroy(cache) == 0);
	return 0;
}

static int test_mempool_helpers(void)
{
	struct kspan_cache *cache = kspan_cache_create("pool", 72, 8, 0, NULL);
	void *obj;

	EXPECT(cache);
	obj = kspan_mempool_alloc(GFP_KERNEL, cache);
	EXPECT(obj);
	kspan_mempool_free(obj, cache);
	EXPECT(kspan_cache_destroy(cache) == 0);
	obj = kspan_mempool_alloc_sized(GFP_KERNEL, (void *)500);
	EXPECT(obj && kspan_size(obj) >= 500);
	kspan_mempool_free_sized(obj, (void *)500);
	return 0;
}

/*
 * What kspan_alloc_nolock() lacked is brought by others, soon: in a program by this
 * thread's next request that no stack serves, in a kernel by an interrupt.
 */
static void *zalloc_nolock_soon(size_t size)
{
	unsigned int tries;
	void *obj = NULL;

	for (tries = 0; tries < 5000 && !obj; tries++) {
		obj = kspan_zalloc_nolock(size, 0);
		if (!obj) {
			kspan_free(kspan_alloc(size, GFP_KERNEL));
			api_pause();
		}
	}
	return obj;
}

/* May fail, but not for ever; what it gives is as good as any other. */
static int test_nolock(void)
{
	static const size_t sizes[] = { 0, 1, 16, 100, 1000, 8 * KIB, SMALL, SMALL + 1, 100 * KIB };
	size_t i;

	kspan_get_stats(&before);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *a = kspan_alloc_nolock(sizes[i], 0), *b, *c;

		b = zalloc_nolock_soon(sizes[i]);
		EXPECT(b && kspan_size(b) >= sizes[i] && zero(b, sizes[i]));
		c = kspan_alloc(sizes[i], GFP_KERNEL);
		EXPECT(c && (c != a || !sizes[i]));
		if (a && a != ZERO_SIZE_PTR)
			fill(a, 0, kspan_size(a), i);
		if (b != ZERO_SIZE_PTR)
			fill(b, 0, kspan_size(b), i + 1);
		EXPECT(!a || filled(a, kspan_size(a), i));
		kspan_free_nolock(c);
		kspan_free_nolock(a);
		/* any way to free will do, whatever a leak detector was told */
		if (i % 2)
			kspan_free(b);
		else
			kspan_free_rcu(b);
	}
	kspan_rcu_barrier();
	kspan_free_nolock(kspan_alloc_noscan(5, GFP_KERNEL));
	kspan_free_nolock(NULL);
	for (i = 0; i < NOBJS; i++)
		EXPECT((objs[i] = kspan_alloc(300, GFP_KERNEL)) != NULL);
	for (i = 0; i < NOBJS; i++)
		kspan_free_nolock(objs[i]);
	kspan_get_stats(&after);
	EXPECT(live(&after) == live(&before));
	EXPECT(!kspan_verify());
	return 0;
}

static int test_cache_nolock(void)
{
	struct kspan_cache *cache = kspan_cache_create("nolock", 72, 8, 0, NULL);
	void *obj;

	EXPECT(cache);
	obj = kspan_cache_alloc(cache, GFP_KERNEL);
	EXPECT(obj);
	kspan_free_nolock(obj);
	obj = kspan_cache_alloc_nolock(cache, __GFP_ZERO);
	if (obj) {
		EXPECT(zero(obj, 72));
		kspan_cache_free(cache, obj);
	}
	EXPECT(kspan_cache_destroy(cache) == 0);
	return 0;
}

const struct api_test api_tests[] = {
	{ "sizes across every class border", test_sizes },
	{ "good_size", test_good_size },
	{ "zero size", test_zero_size },
	{ "free of nothing", test_free_nothing },
	{ "overflow of array sizes", test_overflow },
	{ "absurd sizes", test_absurd_sizes },
	{ "bad alignment", test_bad_alignment },
	{ "alignment", test_alignment },
	{ "natural alignment", test_natural_alignment },
	{ "zeroed memory", test_zalloc },
	{ "noscan and tiny objects", test_noscan },
	{ "realloc keeps contents", test_realloc },
	{ "realloc shrinks", test_realloc_shrinks },
	{ "realloc zeroes what is new", test_realloc_zero },
	{ "realloc of noscan objects", test_realloc_noscan },
	{ "realloc that fails", test_realloc_fails },
	{ "realloc_array", test_realloc_array },
	{ "grow_array", test_grow_array },
	{ "memdup", test_memdup },
	{ "strdup", test_strdup },
	{ "bulk", test_bulk },
	{ "free_bulk of mixed sizes", test_free_bulk_mixed },
	{ "free_sized", test_free_sized },
	{ "free_sensitive", test_free_sensitive },
	{ "free_sensitive of tiny objects", test_free_sensitive_tiny },
	{ "free_rcu and rcu_barrier", test_free_rcu },
	{ "alloc_node", test_alloc_node },
	{ "allocations that may not sleep", test_gfp_atomic },
	{ "reserves", test_reserve },
	{ "mempool functions", test_mempool_helpers },
	{ "allocations that wait for nothing", test_nolock },
	{ "statistics", test_stats },
	{ "release_memory", test_release_memory },
	{ "cache: constructor and kept state", test_cache_ctor },
	{ "cache: constructed once", test_cache_ctor_once },
	{ "cache: sizes, alignments, flags", test_cache_geometry },
	{ "cache: bad arguments", test_cache_bad_arguments },
	{ "cache: bulk", test_cache_bulk },
	{ "cache: shrink", test_cache_shrink },
	{ "cache: destroy while busy", test_cache_destroy_busy },
	{ "cache: plain free", test_cache_plain_free },
	{ "cache: typesafe by RCU", test_cache_typesafe },
	{ "cache: reserves", test_cache_reserve },
	{ "cache: without waiting", test_cache_nolock },
	{ "misuse: foreign free", test_misuse_foreign },
	{ "misuse: double free", test_misuse_double },
	{ "misuse: interior free", test_misuse_interior },
	{ "misuse: tiny objects", test_misuse_tiny },
	{ "misuse: not recycled", test_misuse_not_recycled },
	{ "misuse: wrong cache", test_misuse_wrong_cache },
	{ "random walk", test_random_walk },
	{ "a client, client.c", client_run },
};

const unsigned int n_api_tests = ARRAY_SIZE(api_tests);
