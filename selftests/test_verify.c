// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * verify.c: it finds nothing in a sound heap, leaves it as it was, and finds
 * each kind of damage, which the tests do and undo.
 */
#include "testheap.h"

TESTHEAP_FIXTURE(verify)

static void *objs[500];
static struct capture report;

/* A heap with some of everything, half of it freed. */
static void populate(void)
{
	u64 seed = 4;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(objs); i++) {
		size_t size = random_below(&seed, 8) ? 1 + random_below(&seed, 3000) :
			      1 + random_below(&seed, 300000);

		objs[i] = i % 9 ? get(heap, size) :
			  tiny_alloc(heap, 1 + i % 15, GFP_KERNEL, 0);
	}
	for (i = 0; i < ARRAY_SIZE(objs); i += 2)
		put(heap, objs[i]);
}

static void depopulate(void)
{
	u32 i;

	must(heap_verify(heap) == 0);
	for (i = 1; i < ARRAY_SIZE(objs); i += 2)
		put(heap, objs[i]);
}

/* Whether the damage is seen, and said. */
static bool seen(void)
{
	int n;

	capture_begin(&report);
	n = heap_verify(heap);
	capture_end(&report);
	return n > 0 && capture_count(&report, "verify: ") > 0;
}

/* A span of small objects with some free and some out. */
static struct kspan_span *some_span(void)
{
	u32 i;

	cache_drain(heap, &heap->slots);
	for (i = 1; i < ARRAY_SIZE(objs); i += 2) {
		struct kspan_span *span = pagemap_span(heap, (uintptr_t)objs[i]);

		if (span->central && span->nfree && span->pclass < KSPAN_PC_TINY &&
		    span->nobjs < 64 * span_words(span->nobjs))
			return span;
	}
	must(false);
	return NULL;
}

TEST_F(verify, changes_nothing)
{
	static struct kspan_stats before, after;
	u32 i;

	populate();
	heap_get_stats(heap, &before);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, heap_verify(heap));
	heap_get_stats(heap, &after);
	ASSERT_EQ(0, memcmp(&before, &after, sizeof(before)));
	depopulate();
}

TEST_F(verify, a_wrong_count_of_free_objects)
{
	struct kspan_span *span;

	populate();
	span = some_span();
	span->nfree--;
	ASSERT_TRUE(seen());
	span->nfree++;
	depopulate();
}

TEST_F(verify, a_bit_that_is_not_so)
{
	struct kspan_span *span;
	u64 word;
	u32 w;

	populate();
	span = some_span();
	for (w = 0; !span->free[w]; w++)
		;
	word = span->free[w];
	span->free[w] &= word - 1;
	ASSERT_TRUE(seen());
	/* with a count that fits, it is still missed among those that are out */
	span->nfree--;
	ASSERT_TRUE(seen());
	span->nfree++;
	span->free[w] = word;
	depopulate();
}

TEST_F(verify, a_state_that_does_not_fit_the_list)
{
	struct kspan_span *span;

	populate();
	span = some_span();
	span->state = SPAN_FULL;
	ASSERT_TRUE(seen());
	span->state = SPAN_PARTIAL;
	depopulate();
}

TEST_F(verify, objects_out_that_are_not)
{
	struct kspan_span *span;

	populate();
	span = some_span();
	span->central->nout++;
	ASSERT_TRUE(seen());
	span->central->nout -= 2;
	ASSERT_TRUE(seen());
	span->central->nout++;
	span->central->nspan++;
	ASSERT_TRUE(seen());
	span->central->nspan--;
	depopulate();
}

/* An object in two places: on a stack twice, or on a stack and free. */
TEST_F(verify, an_object_twice)
{
	void *obj, *other;

	populate();
	one_cpu();
	obj = get(heap, 64);
	other = get(heap, 64);
	put(heap, obj);
	put(heap, obj);
	ASSERT_TRUE(seen());
	capture_begin(&report);
	cache_drain(heap, &heap->slots);
	capture_end(&report);
	ASSERT_EQ(1, capture_count(&report, "double free"));
	ASSERT_EQ(0, heap_verify(heap));
	put(heap, obj = get(heap, 64));
	cache_drain(heap, &heap->slots);
	put(heap, obj);
	ASSERT_TRUE(seen());
	capture_begin(&report);
	cache_drain(heap, &heap->slots);
	capture_end(&report);
	put(heap, other);
	depopulate();
}

TEST_F(verify, a_stack_with_what_is_no_object)
{
	u32 stack = span_class(size_to_class(64), false);
	void *obj;
	u64 *top, was;

	populate();
	one_cpu();
	obj = get(heap, 64);
	put(heap, obj);
	top = slot_entries(port_slot_this(&heap->slots)) + heap->base[stack] + 1;
	was = *top;
	*top = (uintptr_t)&report;
	ASSERT_TRUE(seen());
	obj = get(heap, 100000);
	*top = (uintptr_t)obj;
	ASSERT_TRUE(seen());
	*top = was;
	put(heap, obj);
	depopulate();
}

TEST_F(verify, a_page_of_two_owners)
{
	struct kspan_arena *arena;
	struct kspan_span *span;
	u32 page;

	populate();
	span = some_span();
	arena = pagemap_arena(heap, span->start);
	page = addr_to_page(span->start);
	arena->free[page / 64] |= 1ull << (page % 64);
	ASSERT_TRUE(seen());
	arena->free[page / 64] &= ~(1ull << (page % 64));
	arena->pclass[page] ^= 1;
	ASSERT_TRUE(seen());
	arena->pclass[page] ^= 1;
	arena->span[page] = NULL;
	ASSERT_TRUE(seen());
	arena->span[page] = span;
	depopulate();
}

TEST_F(verify, a_summary_that_is_too_low)
{
	u32 i;

	populate();
	put(heap, get(heap, 3 * MIB));
	for (i = 0; i < heap->node0.pages.n; i++) {
		u16 maxrun = heap->node0.pages.maxrun[i], groupmax = heap->node0.pages.groupmax[0];

		if (maxrun < 100)
			continue;
		heap->node0.pages.maxrun[i] = 10;
		ASSERT_TRUE(seen());
		heap->node0.pages.maxrun[i] = maxrun;
		heap->node0.pages.groupmax[i >> KSPAN_GROUP_SHIFT] = 10;
		ASSERT_TRUE(seen());
		heap->node0.pages.groupmax[i >> KSPAN_GROUP_SHIFT] = groupmax;
		break;
	}
	ASSERT_LT(i, heap->node0.pages.n);
	depopulate();
}

TEST_F(verify, counts_of_pages)
{
	populate();
	heap->node0.pages.nfree++;
	ASSERT_TRUE(seen());
	heap->node0.pages.nfree--;
	heap->node0.pages.ninuse++;
	ASSERT_TRUE(seen());
	heap->node0.pages.ninuse--;
	heap->node0.pages.nreleased++;
	ASSERT_TRUE(seen());
	heap->node0.pages.nreleased--;
	heap->sys_bytes += KSPAN_PAGE_SIZE;
	ASSERT_TRUE(seen());
	heap->sys_bytes -= KSPAN_PAGE_SIZE;
	depopulate();
}

TEST_F(verify, object_caches_too)
{
	struct kspan_cache *cache = cache_create(heap, "test", 64, 0, 0, NULL);
	void *obj = kspan_cache_alloc(cache, GFP_KERNEL);
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)obj);

	span->nfree--;
	ASSERT_TRUE(seen());
	span->nfree++;
	ASSERT_EQ(0, heap_verify(heap));
	kspan_cache_free(cache, obj);
	ASSERT_EQ(0, cache_destroy(cache));
}

/* Thousands of violations do not flood the log. */
TEST_F(verify, says_so_much_and_no_more)
{
	struct kspan_arena *arena;
	u32 i;

	populate();
	arena = heap->node0.pages.arena[0];
	for (i = 0; i < KSPAN_ARENA_PAGES; i++)
		arena->pclass[i] ^= 0x40;
	ASSERT_TRUE(seen());
	ASSERT_LE(capture_count(&report, "verify: "), 100);
	for (i = 0; i < KSPAN_ARENA_PAGES; i++)
		arena->pclass[i] ^= 0x40;
	depopulate();
}

TEST_HARNESS_MAIN
