// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * span.c: the bitmap of a span against a plain array of flags, for every class,
 * and the index of every address in it.
 */
#include "testheap.h"

static struct testheap test;
static struct kspan_heap *const heap = &test.heap;
static bool is_free[KSPAN_MAX_OBJS];
static void *objs[KSPAN_MAX_OBJS];

FIXTURE(span) { };

FIXTURE_SETUP(span)
{
	testheap_init(&test, false);
}

FIXTURE_TEARDOWN(span)
{
	testheap_end(&test);
}

static struct kspan_span *make(u32 class)
{
	struct kspan_central *central = heap_central(heap, span_class(class, false), 0);
	struct kspan_span *span;

	span = heap_span_alloc(heap, central->npages, central->align, central->nobjs,
			       central->pclass, 0, GFP_KERNEL);
	must(span);
	span_init(span, central);
	return span;
}

static u32 popcount(const struct kspan_span *span)
{
	u32 w, n = 0;

	for (w = 0; w < span_words(span->nobjs); w++)
		n += port_popcount64(span->free[w]);
	return n;
}

TEST_F(span, begins_with_every_object_free)
{
	u32 class;

	for (class = 1; class < KSPAN_NUM_SIZE_CLASSES; class++) {
		struct kspan_span *span = make(class);

		ASSERT_EQ(pages_to_bytes(kspan_class_to_npages[class]) /
			  kspan_class_to_size[class], span->nobjs);
		ASSERT_EQ(span->nobjs, span->nfree);
		ASSERT_EQ(span->nobjs, popcount(span));
		ASSERT_EQ(SPAN_PARTIAL, span->state);
		ASSERT_EQ(span, pagemap_span(heap, span->start));
		heap_span_free(heap, span);
	}
}

TEST_F(span, take_gives_each_object_once_the_lowest_last)
{
	u32 class;

	for (class = 1; class < KSPAN_NUM_SIZE_CLASSES; class++) {
		struct kspan_span *span = make(class);
		u32 i, got = 0, n = 1;

		/* batches of growing length, across the words of the bitmap */
		while (span->nfree) {
			u32 took = span_take(span, objs + span->nobjs - got, n);

			ASSERT_EQ(min(n, (u32)span->nobjs - got), took);
			got += took;
			n += 13;
		}
		ASSERT_EQ(span->nobjs, got);
		ASSERT_EQ(0, span_take(span, objs + 1, 1));
		for (i = 0; i < got; i++)
			ASSERT_EQ(span_object(span, got - 1 - i), objs[i]);
		for (i = 0; i < got; i++)
			ASSERT_TRUE(span_put(span, i));
		ASSERT_EQ(span->nobjs, popcount(span));
		heap_span_free(heap, span);
	}
}

TEST_F(span, index_knows_every_byte)
{
	u32 class;

	for (class = 1; class < KSPAN_NUM_SIZE_CLASSES; class++) {
		struct kspan_span *span = make(class);
		u32 off, nbytes = pages_to_bytes(span->npages);

		for (off = 0; off < nbytes; off++) {
			bool exact;
			u32 idx = span_index(span, span->start + off, &exact);

			if (idx != off / span->size || exact != !(off % span->size))
				break;
		}
		ASSERT_EQ(nbytes, off);
		heap_span_free(heap, span);
	}
}

static void step(struct kspan_span *span, u64 *seed)
{
	u32 i, n, idx = random_below(seed, span->nobjs);

	if (random_below(seed, 3)) {
		must(span_put(span, idx) == !is_free[idx]);
		is_free[idx] = true;
		return;
	}
	n = span_take(span, objs + 100, random_below(seed, 100));
	for (i = 100 - n; i < 100; i++) {
		bool exact;

		idx = span_index(span, (uintptr_t)objs[i], &exact);
		must(exact && is_free[idx]);
		is_free[idx] = false;
	}
}

TEST_F(span, random_against_flags)
{
	u32 i, k, class;
	u64 seed = 1;

	for (class = 1; class < KSPAN_NUM_SIZE_CLASSES; class += 3) {
		struct kspan_span *span = make(class);

		for (i = 0; i < span->nobjs; i++)
			is_free[i] = true;
		for (i = 0; i < 3000; i++) {
			step(span, &seed);
			ASSERT_EQ(span->nfree, popcount(span));
		}
		for (k = 0; k < span->nobjs; k++)
			ASSERT_EQ(is_free[k], span->free[k / 64] >> (k % 64) & 1);
		heap_span_free(heap, span);
	}
}

TEST_HARNESS_MAIN
