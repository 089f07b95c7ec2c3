// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The size classes: the tables against the rules that they come from, computed
 * here once more, and the conversions of sizeclass.h.
 */
#include "testheap.h"

/* The smallest class that holds @size, the slow way. */
static u32 class_by_search(size_t size)
{
	u32 class = 1;

	while (kspan_class_to_size[class] < size)
		class++;
	return class;
}

TEST(lookup_finds_the_smallest_class_for_every_size)
{
	size_t size;

	for (size = 1; size <= KSPAN_MAX_SMALL_SIZE; size++)
		ASSERT_EQ(class_by_search(size), size_to_class(size));
}

TEST(classes_ascend_by_multiples_of_eight)
{
	u32 class;

	ASSERT_EQ(0, kspan_class_to_size[0]);
	ASSERT_EQ(8, kspan_class_to_size[1]);
	ASSERT_EQ(KSPAN_MAX_SMALL_SIZE, kspan_class_to_size[KSPAN_NUM_SIZE_CLASSES - 1]);
	for (class = 1; class < KSPAN_NUM_SIZE_CLASSES; class++) {
		ASSERT_LT(kspan_class_to_size[class - 1], kspan_class_to_size[class]);
		ASSERT_EQ(0, kspan_class_to_size[class] % 8);
	}
}

TEST(spans_waste_an_eighth_of_their_tail_at_most)
{
	u32 class;

	for (class = 1; class < KSPAN_NUM_SIZE_CLASSES; class++) {
		size_t nbytes = pages_to_bytes(kspan_class_to_npages[class]);
		size_t nobjs = nbytes / kspan_class_to_size[class];

		ASSERT_GE(nobjs, 1);
		ASSERT_LE(nobjs, KSPAN_MAX_OBJS);
		ASSERT_LE((nbytes % kspan_class_to_size[class]) * 8, nbytes);
	}
}

/* Division by multiplication is exact for every offset into every span. */
TEST(magic_divides_exactly)
{
	u32 class, off;

	for (class = 1; class < KSPAN_NUM_SIZE_CLASSES; class++) {
		u32 size = kspan_class_to_size[class];
		u32 end = pages_to_bytes(kspan_class_to_npages[class]);

		for (off = 0; off < end; off++)
			if (((u64)off * kspan_class_to_magic[class]) >> 32 != off / size)
				break;
		ASSERT_EQ(end, off);
	}
}

TEST(powers_of_two_are_classes_and_their_spans_aligned)
{
	size_t size;

	for (size = 8; size <= KSPAN_MAX_SMALL_SIZE; size *= 2) {
		u32 class = size_to_class(size);

		ASSERT_EQ(size, kspan_class_to_size[class]);
		ASSERT_EQ(0, pages_to_bytes(kspan_class_to_span_align[class]) %
			  max(size, KSPAN_PAGE_SIZE));
	}
}

TEST(page_classes_do_not_collide)
{
	u32 class;
	bool noscan;

	for (class = 1; class < KSPAN_NUM_SIZE_CLASSES; class++)
		for (noscan = false;; noscan = true) {
			u32 span = span_class(class, noscan);

			ASSERT_GT(span, KSPAN_PC_LARGE);
			ASSERT_LT(span, KSPAN_PC_TINY);
			ASSERT_EQ(class, span >> 1);
			ASSERT_EQ(noscan, span & 1);
			if (noscan)
				break;
		}
	ASSERT_LE(KSPAN_NR_STACKS, 256);	/* a page class is a byte */
}

TEST(pages_and_bytes)
{
	ASSERT_EQ(0, bytes_to_pages(0));
	ASSERT_EQ(1, bytes_to_pages(1));
	ASSERT_EQ(1, bytes_to_pages(KSPAN_PAGE_SIZE));
	ASSERT_EQ(2, bytes_to_pages(KSPAN_PAGE_SIZE + 1));
	ASSERT_EQ(KSPAN_ARENA_SIZE, pages_to_bytes(KSPAN_ARENA_PAGES));
	ASSERT_EQ(0, addr_to_page(7 * KSPAN_ARENA_SIZE));
	ASSERT_EQ(KSPAN_ARENA_PAGES - 1, addr_to_page(7 * KSPAN_ARENA_SIZE - 1));
}

TEST(good_size_is_what_an_object_gets)
{
	static struct testheap test;
	size_t size;

	testheap_init(&test, false);
	for (size = 1; size <= 40000; size++) {
		void *obj = get(&test.heap, size);

		ASSERT_NE(NULL, obj);
		ASSERT_EQ(kspan_good_size(size), heap_size(&test.heap, obj));
		ASSERT_GE(kspan_good_size(size), size);
		ASSERT_EQ(kspan_good_size(size), kspan_good_size(kspan_good_size(size)));
		put(&test.heap, obj);
	}
	testheap_end(&test);
}

TEST(good_size_at_the_ends)
{
	ASSERT_EQ(0, kspan_good_size(0));
	ASSERT_EQ(8, kspan_good_size(1));
	ASSERT_EQ(KSPAN_MAX_SMALL_SIZE, kspan_good_size(KSPAN_MAX_SMALL_SIZE));
	ASSERT_EQ(5 * KSPAN_PAGE_SIZE, kspan_good_size(KSPAN_MAX_SMALL_SIZE + 1));
	ASSERT_EQ((size_t)-1, kspan_good_size((size_t)-1));
	ASSERT_LE((size_t)-1 - KSPAN_PAGE_SIZE, kspan_good_size((size_t)-1 - KSPAN_PAGE_SIZE));
}

TEST_HARNESS_MAIN
