// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The verifier: proves the invariants of the structures.
 *
 *  - an object is in exactly one place: with the caller, on one stack, in the
 *    transfer cache, or free in its span's bitmap;
 *  - span.nfree == popcount(span.free); a span is on exactly the list that its
 *    state names;
 *  - nspan * nobjs - nout == sum of nfree, for each central list;
 *  - a page belongs to one span or to the page allocator, never to both, and
 *    the summaries are upper bounds of what they sum up;
 *  - sys_bytes == pages in spans + free pages + pages on their way + metadata.
 *
 * Stacks are frozen meanwhile. Central lists are looked at one by one under
 * their locks, the pages under the heap's. See alloc.c.
 */
#include <kspan/heap.h>

#define VIOLATIONS_LISTED	20

/* Note a violation of what is @expected; the value that is so. */
#define expect(n, cond)							\
	((cond) ? true : violation(n, #cond, __func__))

static bool violation(int *n, const char *cond, const char *where)
{
	if ((*n)++ < VIOLATIONS_LISTED)
		port_report("verify: %s: not so: %s", where, cond);
	return false;
}

static u32 span_count_free(const struct kspan_span *span)
{
	u32 w, n = 0;

	for (w = 0; w < span_words(span->nobjs); w++)
		n += port_popcount64(span->free[w]);
	return n;
}

static u64 verify_list(struct kspan_central *central, port_list_t *list,
		       enum kspan_span_state state, u64 *nspan, int *n)
{
	bool spare = list == &central->spare;
	struct kspan_span *span;
	u64 nfree = 0;

	port_assert_held(&central->lock);
	port_list_for_each_entry(span, list, node) {
		expect(n, span->central == central);
		expect(n, span->nodeid == central->nodeid);
		expect(n, pagemap_arena(central->heap, span->start)->nodeid == span->nodeid);
		expect(n, span->state == state);
		expect(n, (span->nfree == 0) == (state == SPAN_FULL));
		expect(n, span->nfree < span->nobjs || span->kept || spare);
		expect(n, span->spare == spare);
		expect(n, !spare || span->nfree == span->nobjs);
		expect(n, span->nfree == span_count_free(span));
		expect(n, span->pclass == central->pclass);
		expect(n, pagemap_span(central->heap, span->start) == span);
		nfree += span->nfree;
		(*nspan)++;
	}
	return nfree;
}

/*
 * One object on a stack. Mark it in its span's bitmap, so that it is missed
 * neither there nor when it is met on a second stack. False: a violation.
 */
static bool verify_cached(struct kspan_central *central, uintptr_t obj, bool *other, int *n)
{
	struct kspan_span *span = pagemap_span(central->heap, obj);
	bool exact;
	u32 idx;

	*other = span && span->central != central && span->central &&
		 span->central->stack == central->stack &&
		 span->central->cache == central->cache;
	if (*other)
		return true;
	if (!expect(n, span && span->central == central))
		return false;
	idx = span_index(span, obj, &exact);
	if (!expect(n, exact && idx < span->nobjs))
		return false;
	if (!expect(n, !(span->free[idx / 64] >> (idx % 64) & 1)))
		return false;
	port_store(&span->free[idx / 64], span->free[idx / 64] | 1ull << (idx % 64));
	return true;
}

static void unmark_cached(struct kspan_central *central, uintptr_t obj)
{
	struct kspan_span *span = pagemap_span(central->heap, obj);
	bool exact;
	u32 idx = span_index(span, obj, &exact);

	port_store(&span->free[idx / 64], span->free[idx / 64] & ~(1ull << (idx % 64)));
}

/*
 * The @i-th place where @central's free objects wait: its transfer cache, then stacks, of
 * which more may be added at the end.
 */
static u64 *cached_at(struct kspan_central *central, struct kspan_slotset *ss, u32 i, u32 *count)
{
	struct kspan_slot *slot;

	if (!i) {
		*count = central->ntransfer;
		return (u64 *)central->transfer;
	}
	slot = port_slotset_slot(ss, i - 1);
	*count = slot ? slot_count(ss, slot, central->stack) : 0;
	return *count ? slot_entries(slot) + ss->base[central->stack] + 1 : NULL;
}

/*
 * All objects of @central that are cached: check and mark (@limit NULL), or remove
 * the first *@limit marks. Stops at the first violation. How many were marked.
 */
static u64 verify_stacks(struct kspan_central *central, struct kspan_slotset *ss,
			 const u64 *limit, int *n)
{
	uintptr_t low = central->pclass == KSPAN_PC_TINY ? KSPAN_TINY_SIZE - 1 : 0;
	u64 marked = 0;
	u32 i, k, count;

	for (i = 0; i <= port_slotset_nr(ss); i++) {
		u64 *cached = cached_at(central, ss, i, &count);

		for (k = 0; k < count; k++) {
			uintptr_t obj = cached[k] & ~low;
			bool other = false;

			if (limit && marked == *limit)
				return marked;
			if (limit)
				other = pagemap_span(central->heap, obj)->central != central;
			else if (!verify_cached(central, obj, &other, n))
				return marked;
			if (other)
				continue;
			if (limit)
				unmark_cached(central, obj);
			marked++;
		}
	}
	return marked;
}

/**
 * central_verify - check a central list and the stacks it serves
 * @central: which
 * @ss: the stacks' slotset, frozen
 *
 * Return: number of violations.
 */
int central_verify(struct kspan_central *central, struct kspan_slotset *ss)
{
	unsigned long flags = port_lock(&central->lock);
	u64 nspan = 0, nfree, marked;
	int n = 0;

	nfree = verify_list(central, &central->partial, SPAN_PARTIAL, &nspan, &n);
	nfree += verify_list(central, &central->full, SPAN_FULL, &nspan, &n);
	nfree += verify_list(central, &central->spare, SPAN_PARTIAL, &nspan, &n);
	expect(&n, nspan == central->nspan);
	expect(&n, nspan * central->nobjs - central->nout == nfree);
	expect(&n, central->ntransfer <= central->transfer_max);
	expect(&n, central->transfer_max <= central->heap->config.transfer_objs);
	expect(&n, central->transfer_max || !central->transfer);
	expect(&n, central->transfer_low <= central->ntransfer);
	if (!n) {
		marked = verify_stacks(central, ss, NULL, &n);
		expect(&n, marked <= central->nout);
		verify_stacks(central, ss, &marked, &n);
	}
	port_unlock(&central->lock, flags);
	return n;
}

static bool map_bit(const u64 *map, u32 i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* The arena at place @index. */
static void verify_arena(const struct kspan_pages *pages, u32 index,
			 struct kspan_page_counts *counts, int *n)
{
	struct kspan_arena *arena = pages->arena[index];
	u32 i, run = 0, longest = 0, large = 0;

	for (i = 0; i < KSPAN_ARENA_PAGES; i++) {
		struct kspan_span *span = arena->span[i];
		uintptr_t addr = arena->base + pages_to_bytes(i);
		bool is_free = map_bit(arena->free, i);

		/* the pages of a large span after its first */
		if (large) {
			large--;
			expect(n, !span && !is_free);
			expect(n, arena->pclass[i] == KSPAN_PC_NONE);
			counts->ninuse++;
			run = 0;
			continue;
		}
		if (span && span->pclass == KSPAN_PC_LARGE)
			large = span->npages - 1;

		expect(n, !(is_free && span));
		expect(n, span || arena->pclass[i] == KSPAN_PC_NONE);
		expect(n, is_free || !map_bit(arena->released, i));
		expect(n, is_free || !map_bit(arena->idle, i));
		expect(n, is_free || !map_bit(arena->dirty, i));
		if (span && expect(n, addr >= span->start && addr - span->start <
				   pages_to_bytes(span->npages)))
			expect(n, arena->pclass[i] == span->pclass);
		run = is_free ? run + 1 : 0;
		if (run > longest)
			longest = run;
		if (run && arena->unfit_pages) {
			u32 mask = arena->unfit_align - 1;
			u32 first = (i + 1 - run + mask) & ~mask;

			expect(n, first + arena->unfit_pages > i + 1);
		}
		counts->nfree += is_free;
		counts->nreleased += map_bit(arena->released, i);
		counts->ndirty += map_bit(arena->dirty, i);
		counts->ninuse += span != NULL;
	}
	expect(n, !large);
	expect(n, longest <= pages->maxrun[index]);
	expect(n, longest <= pages->groupmax[index >> KSPAN_GROUP_SHIFT]);
}

/*
 * A node's pages of spans with a mapping to themselves, which are in no arena of the page
 * allocator. Found by the map, which has a span as long as its pages are counted:
 * the list of large spans loses one that is being freed before that.
 */
static size_t count_huge(struct kspan_heap *heap, u32 nodeid)
{
	const struct kspan_regions *regions = heap->regions;
	size_t npages = 0;
	uintptr_t i;

	port_assert_held(&heap->lock);
	for (i = 0; i < regions->n; i++) {
		uintptr_t addr = (regions->lo + i) << KSPAN_ARENA_SHIFT;
		const struct kspan_arena *arena = pagemap_arena(heap, addr);

		if (arena->huge && arena->base == addr && arena->nodeid == nodeid &&
		    arena->span[0])
			npages += arena->span[0]->npages;
	}
	return npages;
}

static void verify_node_pages(struct kspan_heap *heap, struct kspan_node *node,
			      struct kspan_page_counts *counts, int *n)
{
	const struct kspan_pages *pages = &node->pages;
	u32 i;

	port_assert_held(&heap->lock);
	for (i = 0; i < pages->n; i++) {
		struct kspan_arena *arena = pages->arena[i];

		expect(n, arena->nodeid == node->central[0].nodeid);
		expect(n, !i || pages->arena[i - 1]->base < arena->base);
		expect(n, pagemap_arena(heap, arena->base) == arena);
		verify_arena(pages, i, counts, n);
	}
	expect(n, counts->nfree == pages->nfree);
	expect(n, counts->nreleased == pages->nreleased);
	expect(n, counts->ndirty == pages->ndirty);
	expect(n, counts->ninuse + count_huge(heap, node->central[0].nodeid) == pages->ninuse);
}

/* Warm spans: of their length, in the map, and as many as are counted. */
static void verify_warm(struct kspan_heap *heap, int *n)
{
	const struct kspan_warm *warm = &heap->warm;
	struct kspan_span *span;
	size_t nbytes;
	u32 i, npages = 0;

	port_assert_held(&heap->lock);
	for (i = 0; i < KSPAN_WARM_PAGES; i++) {
		expect(n, (warm->first[i] != NULL) == map_bit(warm->has, i));
		for (span = warm->first[i]; span; span = span->next_warm) {
			expect(n, span->npages == i + 1);
			expect(n, span->state == SPAN_LIMBO);
			expect(n, pagemap_span(heap, span->start) == span);
			npages += span->npages;
		}
	}
	expect(n, npages == warm->npages);
	npages = 0;
	nbytes = 0;
	port_list_for_each_entry(span, &warm->huge, node) {
		expect(n, span->state == SPAN_LIMBO);
		expect(n, pagemap_span(heap, span->start) == span);
		npages += span->npages;
		nbytes += span->bytes;
	}
	expect(n, npages == warm->huge_pages);
	expect(n, nbytes == warm->huge_bytes);
}

static int verify_pages(struct kspan_heap *heap)
{
	unsigned long flags = port_lock(&heap->lock);
	struct kspan_page_counts sum;
	struct kspan_node *node;
	int n = 0;
	u32 i;

	heap_for_each_node(heap, node, i) {
		struct kspan_page_counts counts = { 0 };

		verify_node_pages(heap, node, &counts, &n);
	}
	verify_warm(heap, &n);
	heap_sum_pages(heap, &sum);
	expect(&n, heap->sys_bytes == heap->meta_bytes +
	       pages_to_bytes(sum.ninuse + sum.nfree + sum.nmoving));
	port_unlock(&heap->lock, flags);
	return n;
}

/**
 * heap_verify - prove that a heap is sound
 * @heap: which; others may use it meanwhile
 *
 * Context: process; sleeps.
 * Return: number of violations; the first are reported.
 */
int heap_verify(struct kspan_heap *heap)
{
	int n = 0;
	struct kspan_node *node;
	u32 c, i;

	port_slots_freeze(&heap->slots);
	heap_for_each_node(heap, node, i)
		for (c = 0; c < KSPAN_NR_STACKS; c++)
			n += central_verify(&node->central[c], &heap->slots);
	port_slots_thaw(&heap->slots);
	n += objcache_verify(heap);
	return n + verify_pages(heap);
}
