// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * From an address to its page's class and span, without a lock.
 *
 * A table indexed by address >> 22 gives the arena, the arena has a class byte
 * and a span pointer per page: two dependent loads for free(). The table
 * covers the range of addresses that the heap has met, and is replaced by a
 * larger one when the heap meets others: so it costs what the heap's spread
 * costs, needs no knowledge of where memory can be (physical memory added
 * after boot, a limit on address space), and is the same in both worlds.
 * See alloc.c.
 */
#include <kspan/heap.h>

#define REGIONS_MIN	256	/* entries of the first table: 1 GiB */

struct kspan_arena kspan_no_arena;
struct kspan_regions kspan_no_regions;

static bool regions_cover(const struct kspan_regions *regions, uintptr_t lo, uintptr_t hi)
{
	return lo >= regions->lo && hi - regions->lo < regions->n;
}

/* Copy @old into @new, which covers a larger range. */
static void regions_copy(struct kspan_regions *new, const struct kspan_regions *old)
{
	if (old->n)
		port_memcpy(&new->off[old->lo - new->lo], old->off,
			    old->n * sizeof(old->off[0]));
}

/* The region's entry, for all to see. The heap's lock is held. */
static void regions_set(struct kspan_regions *regions, uintptr_t r,
			const struct kspan_arena *arena)
{
	port_store_release(&regions->off[r - regions->lo],
			   (char *)arena - (char *)&kspan_no_arena);
}

/*
 * The range of a table that is to cover @lo..@hi too: at least twice the old
 * one, with the room on the side that the heap grows to.
 */
static void regions_range(const struct kspan_regions *old, uintptr_t lo, uintptr_t hi,
			  uintptr_t *first, uintptr_t *n)
{
	uintptr_t need, room;

	*first = lo;
	if (old->n) {
		if (old->lo < lo)
			*first = old->lo;
		if (old->lo + old->n - 1 > hi)
			hi = old->lo + old->n - 1;
	}
	need = hi - *first + 1;
	*n = need > 2 * old->n ? need : 2 * old->n;
	if (*n < REGIONS_MIN)
		*n = REGIONS_MIN;
	room = *n - need;
	if (!old->n)
		room /= 2;
	else if (lo >= old->lo)
		room = 0;
	*first -= room < *first ? room : *first;
}

/* Have a table that covers @lo..@hi. Takes and drops the heap's lock. */
static bool regions_grow(struct kspan_heap *heap, uintptr_t lo, uintptr_t hi, gfp_t gfp)
{
	struct kspan_regions *old, *new;
	uintptr_t first, n;
	unsigned long flags;
	size_t nbytes, got;

	for (;;) {
		flags = port_lock(&heap->lock);
		old = heap->regions;
		port_unlock(&heap->lock, flags);
		if (regions_cover(old, lo, hi))
			return true;

		regions_range(old, lo, hi, &first, &n);
		nbytes = sizeof(*new) + n * sizeof(new->off[0]);
		new = heap_meta_get(heap, nbytes, gfp, &got);
		if (!new)
			return false;
		if (!heap->config.source->zeroed)
			port_memset(new, 0, nbytes);
		new->lo = first;
		new->n = n;
		new->bytes = nbytes;

		flags = port_lock(&heap->lock);
		if (old == heap->regions) {
			new->old = old;
			regions_copy(new, old);
			/* pairs with the acquire load in pagemap_arena() */
			port_store_release(&heap->regions, new);
		}
		port_unlock(&heap->lock, flags);
	}
}

/* The page allocator of the arena's node. */
static struct kspan_pages *arena_pages(struct kspan_heap *heap, const struct kspan_arena *arena)
{
	return &heap->node[arena->nodeid]->pages;
}

/*
 * Give region number @r an arena, and that to its node's page allocator. False when another caller was first, or took the room there.
 * Takes and drops the heap's lock.
 */
static bool regions_add_arena(struct kspan_heap *heap, uintptr_t r, struct kspan_arena *arena)
{
	unsigned long flags = port_lock(&heap->lock);
	struct kspan_regions *regions = heap->regions;
	bool mine = regions_get(regions, r - regions->lo) == &kspan_no_arena;

	if (mine) {
		arena->base = r << KSPAN_ARENA_SHIFT;
		mine = pages_insert_arena(arena_pages(heap, arena), arena);
	}
	if (mine)
		regions_set(regions, r, arena);
	port_unlock(&heap->lock, flags);
	return mine;
}

/*
 * Give region number @r, which a huge span has for itself, that span's arena.
 * The region may have one from pages that went back to the source since.
 * Takes and drops the heap's lock.
 */
static void regions_set_huge(struct kspan_heap *heap, uintptr_t r, struct kspan_arena *arena)
{
	unsigned long flags = port_lock(&heap->lock);
	struct kspan_regions *regions = heap->regions;
	struct kspan_arena *old = regions_get(regions, r - regions->lo);

	regions_set(regions, r, arena);
	if (old != &kspan_no_arena)
		pages_remove_arena(arena_pages(heap, old), old);
	port_unlock(&heap->lock, flags);
	if (old != &kspan_no_arena)
		fix_free(&heap->fix[FIX_ARENA], old);
}

/*
 * One arena structure for the many regions of a large span that has a mapping
 * to itself, so that a pointer into any part of it is recognised.
 */
static bool pagemap_cover_huge(struct kspan_heap *heap, uintptr_t lo, uintptr_t hi, int nodeid,
			       gfp_t gfp)
{
	struct kspan_arena *arena = fix_alloc(&heap->fix[FIX_ARENA], gfp);
	uintptr_t r;

	if (!arena)
		return false;
	arena->huge = true;
	arena->nodeid = nodeid;
	arena->base = lo << KSPAN_ARENA_SHIFT;
	for (r = lo; r <= hi; r++)
		regions_set_huge(heap, r, arena);
	return true;
}

/* Try to give region number @r an arena; false when there is no memory. */
static bool pagemap_cover_region(struct kspan_heap *heap, uintptr_t r, int nodeid, gfp_t gfp)
{
	struct kspan_arena *arena;

	if (!pages_reserve(heap, &heap_node(heap, nodeid)->pages, gfp))
		return false;
	arena = fix_alloc(&heap->fix[FIX_ARENA], gfp);
	if (!arena)
		return false;
	arena->nodeid = nodeid;
	if (!regions_add_arena(heap, r, arena))
		fix_free(&heap->fix[FIX_ARENA], arena);
	return true;
}

/**
 * pagemap_cover - have the map know of new memory
 * @heap: whose
 * @addr: start of the memory
 * @nbytes: its length
 * @huge: it will be one large span that has the mapping for itself
 * @nodeid: NUMA node that it lies on
 * @gfp: may it sleep
 *
 * Context: no lock held.
 * Return: whether every page of it now has an arena, if perhaps one that counts as
 * another node's; what was made before a failure stays and serves later.
 */
bool pagemap_cover(struct kspan_heap *heap, uintptr_t addr, size_t nbytes, bool huge,
		   int nodeid, gfp_t gfp)
{
	uintptr_t lo = addr >> KSPAN_ARENA_SHIFT;
	uintptr_t hi = (addr + nbytes - 1) >> KSPAN_ARENA_SHIFT;
	uintptr_t r;

	if (!heap_node_make(heap, nodeid, gfp) || !regions_grow(heap, lo, hi, gfp))
		return false;
	if (huge)
		return pagemap_cover_huge(heap, lo, hi, nodeid, gfp);
	for (r = lo; r <= hi; r++)
		while (pagemap_arena(heap, r << KSPAN_ARENA_SHIFT) == &kspan_no_arena)
			if (!pagemap_cover_region(heap, r, nodeid, gfp))
				return false;
	return true;
}

static void pagemap_write(struct kspan_heap *heap, struct kspan_span *span,
			  struct kspan_span *value, u8 pclass)
{
	struct kspan_arena *arena = pagemap_arena(heap, span->start);
	u32 first = addr_to_page(span->start);
	u32 i, n = span->pclass == KSPAN_PC_LARGE ? 1 : span->npages;

	port_assert_held(&heap->lock);
	for (i = first; i < first + n; i++) {
		port_store(&arena->span[i], value);
		port_store(&arena->pclass[i], pclass);
	}
}

/*
 * Enter @span for all its pages; a large one for its first, since only a wrong free
 * looks at the others, and pagemap_find() helps that. The heap's lock is held.
 */
void pagemap_set(struct kspan_heap *heap, struct kspan_span *span)
{
	pagemap_write(heap, span, span, span->pclass);
}

/* Take back what pagemap_set() did. The heap's lock is held. */
void pagemap_clear(struct kspan_heap *heap, struct kspan_span *span)
{
	pagemap_write(heap, span, NULL, KSPAN_PC_NONE);
}

/**
 * pagemap_find - the span that an address lies in, also inside a large one
 * @heap: whose
 * @addr: any address
 *
 * Context: any. For reports: whoever holds no object there may see a span that
 * is on its way out.
 * Return: the span, or NULL.
 */
struct kspan_span *pagemap_find(const struct kspan_heap *heap, uintptr_t addr)
{
	struct kspan_arena *arena = pagemap_arena(heap, addr);
	struct kspan_span *span = NULL;
	u32 page = addr_to_page(addr);

	if (arena->huge)
		return port_load(&arena->span[0]);
	do
		span = port_load(&arena->span[page]);
	while (!span && page--);
	if (!span || addr - port_load(&span->start) >= pages_to_bytes(span->npages))
		return NULL;
	return span;
}

/* Enter @arena for every region of a huge span, or of what it has for a mapping. */
void pagemap_recover(struct kspan_heap *heap, uintptr_t addr, size_t nbytes,
		     struct kspan_arena *arena)
{
	uintptr_t r;

	port_assert_held(&heap->lock);
	for (r = addr >> KSPAN_ARENA_SHIFT; r <= (addr + nbytes - 1) >> KSPAN_ARENA_SHIFT; r++)
		regions_set(heap->regions, r, arena);
}

/*
 * Forget a huge span's mapping, or the end of it, which is about to leave the
 * heap. The heap's lock is held.
 */
void pagemap_uncover(struct kspan_heap *heap, uintptr_t addr, size_t nbytes)
{
	pagemap_recover(heap, addr, nbytes, &kspan_no_arena);
}
