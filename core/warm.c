// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Warm spans: large objects that were just freed.
 *
 * Their pages, their entry in the map and their structure stay as they are, for the
 * next request of about their length: up to a quarter longer than what is asked for
 * will do. That saves the search for free pages and all its book-keeping, which
 * cost most of what a large object costs. What is kept is no more than twice
 * what is in use, and must not make the heap any larger: all of it goes back to the page
 * allocator before that takes memory that nobody has touched, unless most large
 * requests are served from here; before the heap grows; and at the end of every
 * epoch, so that memory that lies idle goes back to the system. All of it is under
 * the heap's lock. See alloc.c.
 */
#include <kspan/heap.h>

_Static_assert(KSPAN_WARM_PAGES == 64 * 2, "a bit each in two words");

/* The shortest from @npages on, up to a quarter longer; 0 when there is none. */
static u32 warm_find(const struct kspan_warm *warm, u32 npages)
{
	u32 i = npages - 1, word = i / 64;
	u64 bits = warm->has[word] & (~0ull << (i % 64));

	if (!bits && !word) {
		word = 1;
		bits = warm->has[1];
	}
	if (!bits)
		return 0;
	i = word * 64 + port_ctz64(bits) + 1;
	return i <= npages + npages / 4 ? i : 0;
}

static struct kspan_span *warm_pop(struct kspan_warm *warm, u32 npages)
{
	struct kspan_span *span = warm->first[npages - 1];

	warm->first[npages - 1] = span->next_warm;
	if (!span->next_warm)
		warm->has[(npages - 1) / 64] &= ~(1ull << ((npages - 1) % 64));
	/* read without the lock */
	port_store(&warm->npages, warm->npages - npages);
	return span;
}

static struct kspan_span *warm_take_locked(struct kspan_heap *heap, u32 npages)
{
	struct kspan_warm *warm = &heap->warm;
	struct kspan_span *span;
	u32 n = warm_find(warm, npages);

	port_assert_held(&heap->lock);
	if (!n || !heap_may_use(heap, pages_to_bytes(n), 0)) {
		warm->nmiss++;
		return NULL;
	}
	warm->nhit++;
	span = warm_pop(warm, n);
	span->needzero = true;
	heap_span_enter_large(heap, span);
	return span;
}

/**
 * warm_take_slow - a large span that was just freed; called by warm_take()
 * @heap: which
 * @npages: its length, at least; up to KSPAN_WARM_PAGES
 *
 * Context: no lock held.
 * Return: the span, as heap_span_alloc() gives it; NULL: there is none.
 */
struct kspan_span *warm_take_slow(struct kspan_heap *heap, u32 npages)
{
	unsigned long flags = port_lock(&heap->lock);
	struct kspan_span *span = warm_take_locked(heap, npages);

	port_unlock(&heap->lock, flags);
	if (span)
		port_event_span_alloc(span->start, span->npages, KSPAN_PC_LARGE, span->nodeid);
	return span;
}

static void warm_del_huge(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_warm *warm = &heap->warm;

	port_assert_held(&heap->lock);
	port_list_del(&span->node);
	port_store(&warm->huge_pages, warm->huge_pages - span->npages);
	port_store(&warm->huge_bytes, warm->huge_bytes - span->bytes);
}

/* No more of it may have been touched than a quarter more than @size. */
static bool warm_fits_huge(const struct kspan_span *span, size_t size)
{
	return pages_to_bytes(span->npages) >= size && span->bytes <= size + size / 4;
}

static struct kspan_span *warm_take_huge_locked(struct kspan_heap *heap, size_t size)
{
	struct kspan_span *span;

	port_assert_held(&heap->lock);
	port_list_for_each_entry(span, &heap->warm.huge, node)
		if (warm_fits_huge(span, size) &&
		    heap_may_use(heap, pages_to_bytes(span->npages), 0)) {
			warm_del_huge(heap, span);
			span->needzero = true;
			heap_span_enter_large(heap, span);
			return span;
		}
	return NULL;
}

/**
 * warm_take_huge - a span with a mapping to itself that was just freed
 * @heap: which
 * @size: bytes wanted
 *
 * Context: no lock held.
 * Return: the span, as heap_span_alloc() gives it; NULL: there is none.
 */
struct kspan_span *warm_take_huge(struct kspan_heap *heap, size_t size)
{
	unsigned long flags = port_lock(&heap->lock);
	struct kspan_span *span = warm_take_huge_locked(heap, size);

	port_unlock(&heap->lock, flags);
	if (span)
		port_event_span_alloc(span->start, span->npages, KSPAN_PC_LARGE, span->nodeid);
	return span;
}

static bool warm_put_huge(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_warm *warm = &heap->warm;
	size_t nbytes = warm->huge_bytes + span->bytes;

	port_assert_held(&heap->lock);
	if (nbytes > heap->config.warm_huge_bytes || !port_may_keep(heap, span->bytes))
		return false;
	span->active = true;
	port_list_add(&span->node, &warm->huge);
	port_store(&warm->huge_pages, warm->huge_pages + span->npages);
	port_store(&warm->huge_bytes, nbytes);
	return true;
}

/**
 * warm_put - keep a large span that was just freed
 * @heap: whose
 * @span: in state LIMBO, in no list
 *
 * Context: the heap's lock is held.
 * Return: false: it is too long, or there are enough.
 */
bool warm_put(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_warm *warm = &heap->warm;
	u32 i = span->npages - 1, npages = warm->npages + span->npages;

	port_assert_held(&heap->lock);
	if (span_is_mapped(heap, span))
		return warm_put_huge(heap, span);
	/* no more than twice what other spans have */
	if (i >= KSPAN_WARM_PAGES || npages > heap->config.warm_pages ||
	    npages / 2 > heap->node0.pages.ninuse - warm->huge_pages - npages)
		return false;
	span->next_warm = warm->first[i];
	warm->first[i] = span;
	warm->has[i / 64] |= 1ull << (i % 64);
	port_store(&warm->npages, npages);
	return true;
}

/* Whether the page allocator had better have those that are before new memory is taken. */
bool warm_is_no_use(const struct kspan_heap *heap, u32 pclass)
{
	const struct kspan_warm *warm = &heap->warm;

	return pclass != KSPAN_PC_LARGE || warm->nhit < warm->nmiss;
}

/* The page allocator has all of them. The heap's lock is held. */
void warm_flush_locked(struct kspan_heap *heap)
{
	struct kspan_warm *warm = &heap->warm;
	u32 word;

	port_assert_held(&heap->lock);
	for (word = 0; word < 2; word++)
		while (warm->has[word])
			heap_span_free_locked(heap, warm_pop(warm, word * 64 + 1 +
							     port_ctz64(warm->has[word])));
	warm->nhit = 0;
	warm->nmiss = 0;
}

void warm_flush(struct kspan_heap *heap)
{
	unsigned long flags;

	if (!port_load(&heap->warm.npages))
		return;
	flags = port_lock(&heap->lock);
	warm_flush_locked(heap);
	port_unlock(&heap->lock, flags);
}

/* The last to come that was there at the end of an epoch, or @any. */
static struct kspan_span *warm_find_huge(struct kspan_heap *heap, bool any)
{
	struct kspan_span *span;

	port_assert_held(&heap->lock);
	port_list_for_each_entry(span, &heap->warm.huge, node)
		if (any || !span->active)
			return span;
	return NULL;
}

/* One of them leaves the heap. */
static bool warm_drop_huge(struct kspan_heap *heap, bool any)
{
	struct kspan_arena *arena = NULL;
	unsigned long flags = port_lock(&heap->lock);
	struct kspan_span *span = warm_find_huge(heap, any);

	if (span) {
		warm_del_huge(heap, span);
		arena = heap_huge_forget(heap, span);
	}
	port_unlock(&heap->lock, flags);
	if (span)
		heap_huge_put(heap, span, arena);
	return span;
}

/**
 * warm_flush_huge - give all with a mapping to themselves back to the system
 * @heap: whose
 *
 * Context: no lock held; the source is given memory.
 */
void warm_flush_huge(struct kspan_heap *heap)
{
	while (port_load(&heap->warm.huge_pages) && warm_drop_huge(heap, true))
		;
}

/**
 * warm_age_huge - give those back that came before the last epoch's end
 * @heap: whose
 *
 * Context: as warm_flush_huge(), at the end of an epoch.
 * Return: whether there are others.
 */
bool warm_age_huge(struct kspan_heap *heap)
{
	struct kspan_span *span;
	unsigned long flags;
	bool more;

	while (port_load(&heap->warm.huge_pages) && warm_drop_huge(heap, false))
		;
	flags = port_lock(&heap->lock);
	port_list_for_each_entry(span, &heap->warm.huge, node)
		span->active = false;
	more = heap->warm.huge_pages;
	port_unlock(&heap->lock, flags);
	return more;
}
