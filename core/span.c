// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Spans: a run of pages cut into objects of one size, and the bitmap that
 * tells which of them are free. Nothing here touches the objects themselves.
 * See alloc.c.
 */
#include <kspan/heap.h>

/* The one place where a span changes state: the legal moves are in span.h. */
void span_set_state(struct kspan_span *span, enum kspan_span_state state)
{
	port_store(&span->state, state);
}

/**
 * span_init - cut a new span into free objects
 * @span: from heap_span_alloc(), still the caller's alone
 * @central: the list that it will belong to
 */
void span_init(struct kspan_span *span, struct kspan_central *central)
{
	u32 w, n = central->nobjs;

	span->size = central->size;
	span->magic = central->magic;
	span->noscan = central->noscan;
	span->nobjs = n;
	span->nfree = n;
	span->kept = false;
	span->spare = false;
	for (w = 0; w < span_words(n); w++)
		span->free[w] = n - 64 * w >= 64 ? ~0ull : (1ull << (n - 64 * w)) - 1;
	if (port_poisons())
		poison_span(central->heap, span, !central->cache ||
			    !objcache_is_typesafe(central->cache));
	/* pairs with the load in central_of(): a reader who sees it sees the rest */
	port_store_release(&span->central, central);
	span_set_state(span, SPAN_PARTIAL);
}

/**
 * span_take - take free objects out of a span
 * @span: its central's lock is held
 * @end: put them below this, by descending address
 * @n: how many at most
 *
 * Goes by words of the bitmap: up to 64 objects for one store. The lowest
 * come last, so that they are the first to be popped off a stack.
 *
 * Return: how many.
 */
u32 span_take(struct kspan_span *span, void **end, u32 n)
{
	u32 w, got = 0;

	for (w = 0; w < span_words(span->nobjs) && got < n; w++) {
		u64 bits = span->free[w];

		while (bits && got < n) {
			*--end = span_object(span, w * 64 + port_ctz64(bits));
			bits &= bits - 1;
			got++;
		}
		port_store(&span->free[w], bits);
	}
	span->nfree -= got;
	span->active = true;
	span->trimmed = false;
	return got;
}

/**
 * span_put - mark an object free
 * @span: its central's lock is held
 * @idx: which object
 *
 * Return: false when it is free already.
 */
bool span_put(struct kspan_span *span, u32 idx)
{
	u64 bit = 1ull << (idx % 64);

	if (span->free[idx / 64] & bit)
		return false;
	port_store(&span->free[idx / 64], span->free[idx / 64] | bit);
	span->nfree++;
	span->active = true;
	return true;
}
