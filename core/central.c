// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Central lists: the spans of one span class on one node, with and without
 * free objects. After Go's mcentral.go; free is explicit here, so a span comes
 * back to the partial list when its first object does, and goes to the heap
 * when its last one does. See alloc.c.
 */
#include <kspan/heap.h>

/* Objects of @size bytes in @npages pages. */
static u32 objects_in(u32 npages, u32 size)
{
	return pages_to_bytes(npages) / size;
}

/**
 * central_init - make an empty central list
 * @central: which
 * @heap: its heap
 * @size: bytes per object; 0 for a stack that stays closed
 * @pclass: page class of its spans
 * @stack: the stack its objects are cached on
 * @nodeid: NUMA node
 *
 * The span geometry is that of the size class; an object cache sets its own
 * afterwards.
 */
void central_init(struct kspan_central *central, struct kspan_heap *heap, u32 size,
		  u32 pclass, u32 stack, int nodeid)
{
	port_memset(central, 0, sizeof(*central));
	port_lock_init(&central->lock, KSPAN_RANK_CENTRAL);
	port_list_init(&central->partial);
	port_list_init(&central->full);
	port_list_init(&central->spare);
	central->heap = heap;
	central->pclass = pclass;
	central->stack = stack;
	central->nodeid = nodeid;
	central->size = size;
	if (!size)
		return;
	central->magic = kspan_class_to_magic[size_to_class(size)];
	central->npages = kspan_class_to_npages[size_to_class(size)];
	central->align = kspan_class_to_span_align[size_to_class(size)];
	central->nobjs = objects_in(central->npages, size);
	central->noscan = pclass == KSPAN_PC_TINY || (pclass & 1);
}

/* What a new span needs besides itself. */
static bool central_span_extras(struct kspan_central *central, struct kspan_span *span,
				gfp_t gfp)
{
	struct kspan_heap *heap = central->heap;

	if (central->pclass == KSPAN_PC_TINY) {
		span->marks = fix_alloc(&heap->fix[FIX_MARKS], gfp);
		if (!span->marks)
			return false;
	}
	return true;
}

/* The list of the same objects on another node, where the heap has something. */
static struct kspan_central *central_on(struct kspan_central *central, u32 nodeid)
{
	if (central->cache)	/* an array by node */
		return central + ((int)nodeid - (int)central->nodeid);
	return &heap_node(central->heap, nodeid)->central[central->stack];
}

/*
 * A new span, all its objects free, on no list yet. Its central is that of the node
 * which had memory for it, the one asked for or another.
 */
static struct kspan_span *central_grow(struct kspan_central *central, gfp_t gfp)
{
	struct kspan_span *span;

	span = heap_span_alloc(central->heap, central->npages, central->align,
			       central->nobjs, central->pclass, central->nodeid, gfp);
	if (!span)
		return NULL;
	central = central_on(central, span->nodeid);
	span->nobjs = central->nobjs;	/* heap_span_free() goes by it */
	if (!central_span_extras(central, span, gfp)) {
		span->central = central;
		heap_span_free(central->heap, span);
		return NULL;
	}
	if (central->cache)
		objcache_span_init(central, span);
	span_init(span, central);
	return span;
}

/* How many pages of spare spans the node had. */
static u32 span_set_spare(struct kspan_central *central, struct kspan_span *span, bool spare)
{
	struct kspan_node *node = heap_node(central->heap, central->nodeid);

	port_assert_held(&central->lock);
	span->spare = spare;
	return port_fetch_add32(&node->spare_pages, spare ? span->npages : -span->npages);
}

/* The span to take from, or NULL. */
static struct kspan_span *central_first(struct kspan_central *central)
{
	struct kspan_span *span;

	port_assert_held(&central->lock);
	if (!port_list_empty(&central->partial))
		return port_list_first_entry(&central->partial, struct kspan_span, node);
	if (port_list_empty(&central->spare))
		return NULL;
	span = port_list_first_entry(&central->spare, struct kspan_span, node);
	span_set_spare(central, span, false);
	span->kept = false;
	port_list_move(&span->node, &central->partial);
	return span;
}

/*
 * Take up to @n objects from the spans at hand; the lowest of each come last. The
 * central's lock is held.
 */
u32 central_take_locked(struct kspan_central *central, void **objs, u32 n)
{
	struct kspan_span *span;
	u32 left = n;

	port_assert_held(&central->lock);
	while (left && (span = central_first(central)) != NULL) {
		u32 took = span_take(span, objs + left, left);

		left -= took;
		if (!span->nfree) {
			span_set_state(span, SPAN_FULL);
			port_list_move(&span->node, &central->full);
		}
	}
	if (left && left < n)
		port_memmove(objs, objs + left, (n - left) * sizeof(*objs));
	central->nout += n - left;
	central->nrefill += left != n;
	return n - left;
}

/* Take up to @n objects of a new span. */
static u32 central_take_new(struct kspan_central *central, void **objs, u32 n, gfp_t gfp)
{
	struct kspan_span *span = central_grow(central, gfp);
	unsigned long flags;
	u32 got;

	if (!span)
		return 0;
	central = span->central;
	flags = port_lock(&central->lock);
	/* first: another may have grown too, and no span here is all free */
	port_list_add(&span->node, &central->partial);
	central->nspan++;
	got = central_take_locked(central, objs, n);
	port_unlock(&central->lock, flags);
	return got;
}

/* Take up to @n objects from the spans at hand of any other node. */
static u32 central_take_remote(struct kspan_central *central, void **objs, u32 n)
{
	struct kspan_heap *heap = central->heap;
	u32 i, got = 0;

	for (i = 0; i < heap->nnodes && !got; i++) {
		struct kspan_central *other;
		unsigned long flags;

		if (i == central->nodeid || !heap_node(heap, i))
			continue;
		other = central_on(central, i);
		flags = port_lock(&other->lock);
		got = central_take_locked(other, objs, n);
		port_unlock(&other->lock, flags);
	}
	return got;
}

/**
 * central_take - take a batch of objects for a CPU's cache or for a caller
 * @central: of their class
 * @objs: where to put them
 * @n: how many at most
 * @gfp: may it sleep
 *
 * Fills from the spans at hand; only when there is no object at all does the
 * heap give a new span. When the node's own memory is used up objects of others
 * serve, unless @gfp has __GFP_THISNODE. The object to use first is the last.
 *
 * Context: no lock held.
 * Return: how many, at least 1; 0 when there is no memory.
 */
u32 central_take(struct kspan_central *central, void **objs, u32 n, gfp_t gfp)
{
	bool here = central->heap->nnodes == 1 || (gfp & __GFP_THISNODE);
	unsigned long flags = port_lock(&central->lock);
	u32 got = central_take_locked(central, objs, n);

	port_unlock(&central->lock, flags);
	if (got)
		return got;
	got = central_take_new(central, objs, n, here ? gfp : gfp_here(gfp));
	if (got || here)
		return got;
	got = central_take_remote(central, objs, n);
	return got ? got : central_take_new(central, objs, n, gfp);
}

/* The central of the span that @obj lies in, or NULL. */
static struct kspan_central *central_of(struct kspan_heap *heap, void *obj,
					struct kspan_span **span)
{
	*span = pagemap_span(heap, (uintptr_t)obj);
	return *span ? port_load_acquire(&(*span)->central) : NULL;
}

/*
 * Whether all objects of @span are free and it may go. Who put off the free of an
 * object that is free already still has the span on the heap's list: see nolock.c.
 */
static bool span_may_go(struct kspan_span *span)
{
	if (span->nfree != span->nobjs)
		return false;
	span->kept = port_load(&span->npending) != 0;
	return !span->kept;
}

/* The span goes, by way of *@empty. */
static void central_let_leave(struct kspan_central *central, struct kspan_span *span,
			      port_list_t *empty)
{
	port_assert_held(&central->lock);
	if (span->spare)
		span_set_spare(central, span, false);
	port_list_move(&span->node, empty);
	central->nspan--;
}

/* Whether a span that may go is worth to be kept. */
static bool central_keeps(const struct kspan_central *central)
{
	const struct kspan_heap *heap = central->heap;

	return heap->config.spares && !central->cache && central->pclass != KSPAN_PC_TINY &&
	       !heap_checked(heap) && !port_load(&heap->config.limit_soft) &&
	       !port_load(&heap->config.limit_hard);
}

/*
 * A span whose last object was put back goes to *@empty, or is kept; the scavenger has to
 * hear of the first of those (*@kick).
 */
static void central_put_span(struct kspan_central *central, struct kspan_span *span,
			     port_list_t *empty, bool *kick)
{
	port_assert_held(&central->lock);
	if (!central_keeps(central)) {
		central_let_leave(central, span, empty);
		return;
	}
	span_set_state(span, SPAN_PARTIAL);
	port_list_move(&span->node, &central->spare);
	*kick |= !span_set_spare(central, span, true);
}

/* Put one object back into its span. Returns the kind of misuse, or -1 when all is well. */
static int central_put_one(struct kspan_central *central, struct kspan_span *span, void *obj,
			   port_list_t *empty, bool *kick)
{
	bool exact;
	u32 idx = span_index(span, (uintptr_t)obj, &exact);

	port_assert_held(&central->lock);
	if (!exact || idx >= span->nobjs)
		return KSPAN_INTERIOR_FREE;
	if (!span_put(span, idx))
		return KSPAN_DOUBLE_FREE;
	central->nout--;
	if (span_may_go(span)) {
		central_put_span(central, span, empty, kick);
	} else if (span->nfree == 1) {
		span_set_state(span, SPAN_PARTIAL);
		port_list_move(&span->node, &central->partial);
	}
	return -1;
}


/* Spans that became empty go to the heap, or wait there for a grace period. */
static void central_free_empty(struct kspan_heap *heap, port_list_t *empty)
{
	struct kspan_span *span, *tmp;

	port_list_for_each_entry_safe(span, tmp, empty, node) {
		port_list_del(&span->node);
		if (span->central->cache)
			objcache_span_free(span->central, span);
		else
			heap_span_free(heap, span);
	}
}

/*
 * Put the objects that belong to the same central as objs[0], under one lock,
 * up to the first wrong one. Returns how many were dealt with.
 */
static u32 central_put_run(struct kspan_heap *heap, void **objs, u32 n, int *misuse)
{
	struct kspan_span *span;
	struct kspan_central *central = central_of(heap, objs[0], &span);
	port_list_t empty;
	unsigned long flags;
	bool kick = false;
	u32 i = 0;

	if (!central) {
		*misuse = KSPAN_DOUBLE_FREE;	/* of an object whose span is gone */
		return 1;
	}
	*misuse = -1;
	port_list_init(&empty);
	flags = port_lock(&central->lock);
	central->nflush++;
	/* under the lock for each: a wild pointer's span may be on its way out */
	while (*misuse < 0 && i < n && central_of(heap, objs[i], &span) == central) {
		if (unlikely(span->nfree == span->nobjs))
			*misuse = KSPAN_DOUBLE_FREE;
		else
			*misuse = central_put_one(central, span, objs[i], &empty, &kick);
		i++;
	}
	if (unlikely(!i)) {
		*misuse = KSPAN_DOUBLE_FREE;
		i = 1;
	}
	port_unlock(&central->lock, flags);
	central_free_empty(heap, &empty);
	if (kick)
		port_kick(heap);
	return i;
}

/**
 * central_let_go - frees of a span's objects that were put off are done
 * @span: small objects'; it is the caller's, as nolock.c says
 * @n: how many
 *
 * The span may be gone afterwards.
 *
 * Context: no lock held.
 * Return: false when more were put off meanwhile: the span is the caller's still.
 */
bool central_let_go(struct kspan_span *span, u32 n)
{
	struct kspan_central *central = port_load_acquire(&span->central);
	unsigned long flags = port_lock(&central->lock);
	bool done = port_fetch_add32(&span->npending, -n) == n;
	port_list_t empty;

	port_list_init(&empty);
	if (done && span->kept && span_may_go(span))
		central_let_leave(central, span, &empty);
	port_unlock(&central->lock, flags);
	central_free_empty(central->heap, &empty);
	return done;
}

/**
 * central_drop_spares - give the heap the spans that were kept with no object out
 * @central: whose
 *
 * As long as they are kept the next batch needs no new span, which costs several times as
 * much. They go before the heap grows, so that it is no larger for them, and at the end of
 * every epoch.
 *
 * Context: no lock held.
 */
void central_drop_spares(struct kspan_central *central)
{
	struct kspan_span *span, *tmp;
	port_list_t empty;
	unsigned long flags;

	port_list_init(&empty);
	flags = port_lock(&central->lock);
	port_list_for_each_entry_safe(span, tmp, &central->spare, node)
		if (span_may_go(span))
			central_let_leave(central, span, &empty);
	port_unlock(&central->lock, flags);
	central_free_empty(central->heap, &empty);
}

/**
 * central_put - put objects back into their spans, wherever those are
 * @heap: theirs
 * @objs: objects of any classes; best of one
 * @n: how many
 * @caller: who freed them, 0 if it is not known
 *
 * Wrong frees that the fast path let into a cache are found and reported here:
 * they change nothing.
 *
 * Context: no lock held; any that may take a spinlock.
 */
void central_put(struct kspan_heap *heap, void **objs, u32 n, uintptr_t caller)
{
	while (n) {
		int misuse;
		u32 done = central_put_run(heap, objs, n, &misuse);

		if (misuse >= 0)
			heap_misuse(heap, misuse, objs[done - 1], caller);
		objs += done;
		n -= done;
	}
}

/*
 * The scavenger holds the free objects of a span, so that nobody takes one
 * while the memory under them goes back, with no lock held.
 */
struct trim {
	u64 held[KSPAN_MAX_OBJS / 64];
	u32 nheld;
	void *twice;	/* a held object that somebody freed meanwhile */
};

static void trim_hold(struct kspan_central *central, struct kspan_span *span,
		      struct trim *trim)
{
	u32 w;

	port_assert_held(&central->lock);
	for (w = 0; w < span_words(span->nobjs); w++) {
		trim->held[w] = span->free[w];
		port_store(&span->free[w], 0);
	}
	trim->nheld = span->nfree;
	central->nout += span->nfree;
	span->nfree = 0;
	span_set_state(span, SPAN_FULL);
	port_list_move(&span->node, &central->full);
}

/* The objects come back; the span goes to *@empty if they are all there is. */
static void trim_unhold(struct kspan_central *central, struct kspan_span *span,
			struct trim *trim, port_list_t *empty)
{
	u32 w;

	port_assert_held(&central->lock);
	trim->twice = NULL;
	for (w = 0; w < span_words(span->nobjs); w++) {
		u64 twice = span->free[w] & trim->held[w];

		if (unlikely(twice)) {
			trim->nheld -= port_popcount64(twice);
			trim->twice = span_object(span, w * 64 + port_ctz64(twice));
		}
		port_store(&span->free[w], span->free[w] | trim->held[w]);
	}
	span->nfree += trim->nheld;
	central->nout -= trim->nheld;
	span->trimmed = true;
	span_set_state(span, SPAN_PARTIAL);
	port_list_del(&span->node);
	if (span_may_go(span)) {
		port_list_add(&span->node, empty);
		central->nspan--;
	} else {
		port_list_add_tail(&span->node, &central->partial);
	}
}

/* The units of the span's memory that objects the scavenger does not hold lie on. */
static u32 trim_used_units(const struct kspan_span *span, const struct trim *trim, size_t unit)
{
	u32 i, used = 0;

	for (i = 0; i < span->nobjs; i++) {
		size_t off = (size_t)i * span->size;
		u32 first = off / unit, last = (off + span->size - 1) / unit;

		if (!(trim->held[i / 64] >> (i % 64) & 1))
			used |= (~0u >> (31 - last)) & (~0u << first);
	}
	return used;
}

/* Give back the units of @span that are not @used. Returns bytes given back. */
static size_t trim_release(struct kspan_heap *heap, struct kspan_span *span, u32 used)
{
	struct kspan_source *source = heap->config.source;
	u32 n = pages_to_bytes(span->npages) / source->unit, first, i;
	size_t nbytes = 0;

	for (i = 0; i < n; i++) {
		if (used >> i & 1)
			continue;
		first = i;
		while (i < n && !(used >> i & 1))
			i++;
		if (source->release(source, (char *)span->start + first * source->unit,
				    (i - first) * source->unit))
			nbytes += (i - first) * source->unit;
	}
	return nbytes;
}

/* The next span to trim, its free objects held; NULL when all were looked at. */
static struct kspan_span *trim_next(struct kspan_central *central, u64 *left,
				    struct trim *trim)
{
	size_t unit = central->heap->config.source->unit;

	port_assert_held(&central->lock);
	while (*left && !port_list_empty(&central->partial)) {
		struct kspan_span *span = port_list_first_entry(&central->partial,
								struct kspan_span, node);
		bool was_active = span->active;

		--*left;
		span->active = false;
		port_list_move_tail(&span->node, &central->partial);
		/* the memory of freed objects that are poisoned must stay */
		if (was_active || span->trimmed || heap_checked(central->heap) ||
		    (size_t)span->nfree * span->size < unit)
			continue;
		trim_hold(central, span, trim);
		return span;
	}
	return NULL;
}

/**
 * central_trim - give back memory under free objects of spans that lie idle
 * @central: which; not an object cache's, whose free objects may be constructed
 *
 * A span that nobody took from or freed to since the last call loses the
 * memory of every unit without a live object. That needs free objects that
 * nobody ever looks at: see alloc.c.
 *
 * Context: no lock held; the source must have release().
 * Return: bytes given back.
 */
size_t central_trim(struct kspan_central *central)
{
	struct kspan_heap *heap = central->heap;
	unsigned long flags;
	struct kspan_span *span;
	struct trim trim;
	port_list_t empty;
	size_t nbytes = 0;
	u64 left = 0;

	if (!central->size)
		return 0;
	port_list_init(&empty);
	flags = port_lock(&central->lock);
	/* each once: the second look would find that nothing happened since the first */
	port_list_for_each_entry(span, &central->partial, node)
		left++;
	while ((span = trim_next(central, &left, &trim)) != NULL) {
		port_unlock(&central->lock, flags);
		nbytes += trim_release(heap, span,
				       trim_used_units(span, &trim, heap->config.source->unit));
		flags = port_lock(&central->lock);
		trim_unhold(central, span, &trim, &empty);
		if (unlikely(trim.twice)) {
			port_unlock(&central->lock, flags);
			heap_misuse(heap, KSPAN_DOUBLE_FREE, trim.twice, 0);
			flags = port_lock(&central->lock);
		}
	}
	port_unlock(&central->lock, flags);
	central_free_empty(heap, &empty);
	return nbytes;
}
