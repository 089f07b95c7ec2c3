// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The page allocator: which pages of the arenas are free.
 *
 * First fit by address over one bitmap per arena, with summaries above, the
 * shape of Go's mpagealloc.go since 1.14: low addresses fill up, high ones
 * drain and can go back. A summary is an upper bound of the longest free run:
 * freeing raises it, a search that fails lowers it below what it wanted, so nobody
 * ever recomputes one for its own sake. Runs do not cross arenas; what is
 * longer than an arena gets a mapping to itself (heap.c). Each NUMA node has an
 * allocator to itself. Everything here happens under the heap's lock. See alloc.c.
 */
#include <kspan/heap.h>

#define GROUP_ARENAS	(1u << KSPAN_GROUP_SHIFT)
#define NO_PAGE		KSPAN_ARENA_PAGES

/* Free pages that may keep their memory above the peak of those in use: 1 MiB and 3 %. */
#define SLACK_PAGES	128
#define SLACK_PART	32

/* Bit maps of KSPAN_ARENA_PAGES bits. */

/* First bit at or after @pos that is zero; NO_PAGE if none is. */
static u32 map_next_zero(const u64 *map, u32 pos)
{
	u32 word;
	u64 bits;

	if (pos >= KSPAN_ARENA_PAGES)
		return NO_PAGE;
	word = pos / 64;
	bits = ~map[word] & (~0ull << (pos % 64));
	while (!bits) {
		if (++word == KSPAN_ARENA_WORDS)
			return NO_PAGE;
		bits = ~map[word];
	}
	return word * 64 + port_ctz64(bits);
}

/* The bits of map word @word that lie in @first .. @first + @n - 1. */
static inline u64 map_mask(u32 word, u32 first, u32 n)
{
	u32 lo = word * 64;
	u64 mask = ~0ull;

	if (first > lo)
		mask <<= first - lo;
	if (first + n < lo + 64)
		mask &= ~0ull >> (lo + 64 - first - n);
	return mask;
}

/* Stored whole: heap_free_unknown() reads a word of @free without the lock. */
static void map_clear(u64 *map, u32 first, u32 n)
{
	u32 word;

	for (word = first / 64; word <= (first + n - 1) / 64; word++)
		port_store(&map[word], map[word] & ~map_mask(word, first, n));
}

/* The first bit of the run of ones that ends before @pos; @pos if there is none. */
static u32 map_run_start(const u64 *map, u32 pos)
{
	while (pos) {
		u32 word = (pos - 1) / 64, n = pos - word * 64;
		u64 zeros = ~map[word] << (64 - n);

		if (zeros)
			return pos - port_clz64(zeros);
		pos -= n;
	}
	return 0;
}

/* Room for one more arena; takes and drops the heap's lock. */
static bool pages_has_room(struct kspan_heap *heap, const struct kspan_pages *pages, u32 *cap)
{
	unsigned long flags = port_lock(&heap->lock);
	bool room = pages->n < pages->cap;

	*cap = pages->cap;
	port_unlock(&heap->lock, flags);
	return room;
}

/* Move the arrays to @mem, which has room for @cap arenas. */
static void pages_move(struct kspan_pages *pages, void *mem, u32 cap)
{
	struct kspan_arena **arena = mem;
	u16 *maxrun = (u16 *)(arena + cap);
	u16 *groupmax = maxrun + cap;

	if (pages->n) {
		port_memcpy(arena, pages->arena, pages->n * sizeof(*arena));
		port_memcpy(maxrun, pages->maxrun, pages->n * sizeof(*maxrun));
		port_memcpy(groupmax, pages->groupmax,
			    ((pages->n + GROUP_ARENAS - 1) >> KSPAN_GROUP_SHIFT) *
			    sizeof(*groupmax));
	}
	pages->arena = arena;
	pages->maxrun = maxrun;
	pages->groupmax = groupmax;
	pages->cap = cap;
}

/**
 * pages_reserve - make room for one more arena in the summaries
 * @heap: whose
 * @pages: of one of its nodes
 * @gfp: may it sleep
 *
 * Context: no lock held. Growth doubles, and the old arrays stay with the
 * heap's metadata, so that all of them together are smaller than the new ones.
 * Two callers may share the room of one: pages_insert_arena() copes.
 * Return: false when there is no memory.
 */
bool pages_reserve(struct kspan_heap *heap, struct kspan_pages *pages, gfp_t gfp)
{
	u32 cap, old;

	while (!pages_has_room(heap, pages, &old)) {
		size_t got;
		unsigned long flags;
		void *mem;

		cap = old ? 2 * old : 2 * GROUP_ARENAS;
		mem = heap_meta_get(heap, cap * (sizeof(void *) + 2 * sizeof(u16)), gfp, &got);
		if (!mem)
			return false;
		flags = port_lock(&heap->lock);
		if (pages->cap < cap)
			pages_move(pages, mem, cap);
		port_unlock(&heap->lock, flags);
	}
	return true;
}

static void pages_refresh_group(struct kspan_pages *pages, u32 group)
{
	u32 i, end = (group + 1) << KSPAN_GROUP_SHIFT;
	u16 max = 0;

	if (end > pages->n)
		end = pages->n;
	for (i = group << KSPAN_GROUP_SHIFT; i < end; i++)
		if (pages->maxrun[i] > max)
			max = pages->maxrun[i];
	pages->groupmax[group] = max;
}

/* The place of the first arena at @base or above; n if there is none. */
static u32 pages_place(const struct kspan_pages *pages, uintptr_t base)
{
	u32 lo = 0, hi = pages->n;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (pages->arena[mid]->base < base)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * The place of @arena. Others that come and go do not tell it that it was moved, which
 * would be a cache miss for each arena above: it is looked for when it is wanted.
 */
static u32 arena_place(const struct kspan_pages *pages, struct kspan_arena *arena)
{
	if (arena->index >= pages->n || pages->arena[arena->index] != arena)
		arena->index = pages_place(pages, arena->base);
	return arena->index;
}

/**
 * pages_insert_arena - enter an arena, so far without pages, by its address
 * @pages: where
 * @arena: with base set
 *
 * Context: the heap's lock is held.
 * Return: false when there is no room (two callers reserved the same).
 */
bool pages_insert_arena(struct kspan_pages *pages, struct kspan_arena *arena)
{
	u32 i, pos, above;

	if (pages->n == pages->cap)
		return false;
	pos = pages_place(pages, arena->base);
	above = pages->n - pos;
	port_memmove(&pages->arena[pos + 1], &pages->arena[pos], above * sizeof(*pages->arena));
	port_memmove(&pages->maxrun[pos + 1], &pages->maxrun[pos],
		     above * sizeof(*pages->maxrun));
	pages->arena[pos] = arena;
	pages->maxrun[pos] = 0;
	arena->index = pos;
	port_store(&pages->n, pages->n + 1);
	for (i = pos >> KSPAN_GROUP_SHIFT; i <= (pages->n - 1) >> KSPAN_GROUP_SHIFT; i++)
		pages_refresh_group(pages, i);
	return true;
}

/* Forget an arena that has no pages. The heap's lock is held. */
void pages_remove_arena(struct kspan_pages *pages, struct kspan_arena *arena)
{
	u32 i, pos = arena_place(pages, arena), above = pages->n - 1 - pos;

	port_store(&pages->n, pages->n - 1);
	port_memmove(&pages->arena[pos], &pages->arena[pos + 1], above * sizeof(*pages->arena));
	port_memmove(&pages->maxrun[pos], &pages->maxrun[pos + 1],
		     above * sizeof(*pages->maxrun));
	for (i = pos >> KSPAN_GROUP_SHIFT; i << KSPAN_GROUP_SHIFT < pages->n; i++)
		pages_refresh_group(pages, i);
}

/* A free run of @run pages is in @arena now. */
static void pages_raise(struct kspan_pages *pages, struct kspan_arena *arena, u32 run)
{
	u32 i = arena_place(pages, arena), group = i >> KSPAN_GROUP_SHIFT;

	arena->unfit_pages = 0;
	if (pages->maxrun[i] < run)
		pages->maxrun[i] = run;
	if (pages->groupmax[group] < run)
		pages->groupmax[group] = run;
}

/* Of the set bits in @bits those at which @n set bits begin: a step shows twice as many. */
static u64 word_runs(u64 bits, u32 n)
{
	u32 shown, step;

	for (shown = 1; shown < n; shown += step) {
		step = n - shown < shown ? n - shown : shown;
		bits &= bits >> step;
	}
	return bits;
}

/* Lowest of the set bits in @bits at which @npages set bits begin, 64 if none does. */
static u32 word_find(u64 bits, u32 npages, u32 align)
{
	u32 pos;

	if (npages >= 64 || align >= 64)
		return 64;
	for (bits = word_runs(bits, npages); bits; bits &= bits - 1) {
		pos = port_ctz64(bits);
		if (!(pos & (align - 1)))
			return pos;
	}
	return 64;
}

/*
 * Lowest fitting run, or NO_PAGE. A word at a time, however many short runs it
 * has: what long use makes of an arena is hundreds of them.
 */
static u32 arena_find(const struct kspan_arena *arena, u32 npages, u32 align)
{
	u32 pos, begin = 0;	/* of the free pages right before @pos */

	for (pos = 0; pos < KSPAN_ARENA_PAGES; pos += 64) {
		u64 free = arena->free[pos / 64];
		u32 first, n;

		if (!free) {
			begin = pos + 64;
			continue;
		}
		n = ~free ? port_ctz64(~free) : 64;
		first = (begin + align - 1) & ~(align - 1);
		if (first + npages <= pos + n)
			return first;
		if (n == 64)
			continue;
		n = word_find(free, npages, align);
		if (n < 64)
			return pos + n;
		begin = pos + 64 - port_clz64(~free);
	}
	return NO_PAGE;
}

/* Is it known from a search before that no such run is free? */
static bool arena_is_unfit(const struct kspan_arena *arena, u32 npages, u32 align)
{
	return arena->unfit_pages && arena->unfit_pages <= npages && arena->unfit_align <= align;
}

/* A search in arena @i failed: what is known now. */
static void arena_unfit(struct kspan_pages *pages, u32 i, u32 npages, u32 align)
{
	u32 most = npages + align - 2;	/* a longer run would have had an aligned place */

	if (pages->maxrun[i] > most)
		pages->maxrun[i] = most;
	if (align > 1) {
		pages->arena[i]->unfit_pages = npages;
		pages->arena[i]->unfit_align = align;
	}
}

/* Pages of spans. The heap's lock is held, but ports look without it. */
void pages_add_inuse(struct kspan_pages *pages, size_t npages)
{
	port_store(&pages->ninuse, pages->ninuse + npages);
	if (pages->peak < pages->ninuse)
		port_store(&pages->peak, pages->ninuse);
}

/* The free pages in @mask read as zero from now on, or are not free any more. */
static u64 arena_clean(struct kspan_pages *pages, struct kspan_arena *arena, u32 word, u64 mask)
{
	u64 dirty = arena->dirty[word] & mask;

	if (dirty)
		port_store(&pages->ndirty, pages->ndirty - port_popcount64(dirty));
	arena->dirty[word] &= ~mask;
	return dirty;
}

/* Take free pages for a span. */
static void arena_take(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
		       u32 npages, bool *needzero)
{
	u32 word;
	u64 dirty = 0;

	for (word = first / 64; word <= (first + npages - 1) / 64; word++) {
		u64 mask = map_mask(word, first, npages);

		port_store(&arena->free[word], arena->free[word] & ~mask);
		arena->idle[word] &= ~mask;
		if (arena->released[word] & mask) {
			port_store(&pages->nreleased, pages->nreleased -
				   port_popcount64(arena->released[word] & mask));
			arena->released[word] &= ~mask;
		}
		dirty |= arena_clean(pages, arena, word, mask);
	}
	*needzero = dirty != 0;
	port_store(&pages->nfree, pages->nfree - npages);
	pages_add_inuse(pages, npages);
}

static u32 pages_find_in_group(struct kspan_pages *pages, u32 group, u32 npages, u32 align,
			       u32 *index)
{
	u32 i, end = (group + 1) << KSPAN_GROUP_SHIFT;

	if (end > pages->n)
		end = pages->n;
	for (i = group << KSPAN_GROUP_SHIFT; i < end; i++) {
		u32 first;

		if (pages->maxrun[i] < npages || arena_is_unfit(pages->arena[i], npages, align))
			continue;
		first = arena_find(pages->arena[i], npages, align);
		if (first != NO_PAGE) {
			*index = i;
			return first;
		}
		arena_unfit(pages, i, npages, align);
	}
	pages_refresh_group(pages, group);
	return NO_PAGE;
}

/**
 * pages_alloc - take a run of free pages
 * @pages: from these
 * @npages: length, 1 .. KSPAN_ARENA_PAGES
 * @align: alignment in pages, a power of two up to KSPAN_ARENA_PAGES
 * @needzero: set to whether any of it may not read as zero
 *
 * Context: the heap's lock is held.
 * Return: the address, or 0 when no run fits.
 */
uintptr_t pages_alloc(struct kspan_pages *pages, u32 npages, u32 align, bool *needzero)
{
	u32 group, ngroups = (pages->n + GROUP_ARENAS - 1) >> KSPAN_GROUP_SHIFT;

	for (group = 0; group < ngroups; group++) {
		u32 index, first;

		if (pages->groupmax[group] < npages)
			continue;
		first = pages_find_in_group(pages, group, npages, align, &index);
		if (first == NO_PAGE)
			continue;
		arena_take(pages, pages->arena[index], first, npages, needzero);
		return pages->arena[index]->base + pages_to_bytes(first);
	}
	return 0;
}

/*
 * Put pages that were nobody's into the free map, into @map too if there is one, and
 * into the summaries.
 */
static void arena_add_free(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
			   u32 npages, u64 *map)
{
	u32 lo, hi, word;

	for (word = first / 64; word <= (first + npages - 1) / 64; word++) {
		u64 mask = map_mask(word, first, npages);

		port_store(&arena->free[word], arena->free[word] | mask);
		if (map)
			map[word] |= mask;
	}
	port_store(&pages->nfree, pages->nfree + npages);
	lo = map_run_start(arena->free, first);
	hi = map_next_zero(arena->free, first + npages);
	pages_raise(pages, arena, hi - lo);
}

/**
 * pages_free - give back the pages of a span, or add new ones
 * @pages: to these
 * @arena: where they lie
 * @first: first page
 * @npages: length
 * @dirty: they may not read as zero
 *
 * Context: the heap's lock is held. The caller accounts for ninuse.
 */
void pages_free(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
		u32 npages, bool dirty)
{
	if (dirty)
		port_store(&pages->ndirty, pages->ndirty + npages);
	arena_add_free(pages, arena, first, npages, dirty ? arena->dirty : NULL);
}

/**
 * pages_extend - take the pages that follow a span, if they are free
 * @pages: from these
 * @arena: where the span lies
 * @first: the page after it
 * @npages: how many
 * @needzero: set to whether any of them may not read as zero
 *
 * Context: the heap's lock is held.
 * Return: false when they are not all free; nothing changed then.
 */
bool pages_extend(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
		  u32 npages, bool *needzero)
{
	if (first + npages > KSPAN_ARENA_PAGES ||
	    map_next_zero(arena->free, first) < first + npages)
		return false;
	arena_take(pages, arena, first, npages, needzero);
	return true;
}

/* Those of @arena that are meant. */
static u64 arena_idle(const struct kspan_arena *arena, u32 word, enum kspan_idle which)
{
	u64 pages = arena->free[word] & ~arena->released[word];

	switch (which) {
	case KSPAN_IDLE_EPOCH:
		return pages & arena->idle[word];
	case KSPAN_IDLE_DIRTY:
		return pages & arena->dirty[word];
	default:
		return pages;
	}
}

/* The bit after the last one of @map; 0 if there is none. */
static u32 map_end(const u64 *map)
{
	u32 word;

	for (word = KSPAN_ARENA_WORDS; word; word--)
		if (map[word - 1])
			return word * 64 - port_clz64(map[word - 1]);
	return 0;
}

/**
 * pages_take_idle - take a run of pages whose memory the system could have
 * @pages: from these, the highest first: they are the last to be used again
 * @cursor: how many arenas have been looked at; advanced, by a group at most, so that
 *	the lock is not held for longer. Start with 0.
 * @which: which pages
 * @max: so many pages at most
 * @addr: set to the run's address
 *
 * The pages are nobody's, and counted in nmoving by this function, until the
 * caller has freed them again or put them to the source.
 *
 * Context: the heap's lock is held.
 * Return: length in pages; 0: there were none in this group, and none are left if
 * @cursor has come to the number of arenas.
 */
u32 pages_take_idle(struct kspan_pages *pages, u32 *cursor, enum kspan_idle which, u32 max,
		    uintptr_t *addr)
{
	u32 end = *cursor + GROUP_ARENAS;

	for (; *cursor < pages->n && *cursor < end; (*cursor)++) {
		struct kspan_arena *arena = pages->arena[pages->n - 1 - *cursor];
		u64 map[KSPAN_ARENA_WORDS];
		u32 i, first, n, end;

		for (i = 0; i < KSPAN_ARENA_WORDS; i++)
			map[i] = arena_idle(arena, i, which);
		end = map_end(map);
		if (!end)
			continue;
		n = end - map_run_start(map, end);
		if (n > max)
			n = max;
		first = end - n;
		for (i = first / 64; i <= (end - 1) / 64; i++)
			arena_clean(pages, arena, i, map_mask(i, first, n));
		map_clear(arena->free, first, n);
		map_clear(arena->idle, first, n);
		port_store(&pages->nfree, pages->nfree - n);
		pages->nmoving += n;
		*addr = arena->base + pages_to_bytes(first);
		return n;
	}
	return 0;
}

/**
 * pages_over_peak - how many dirty pages are too many
 * @pages: these
 *
 * What is in use and what was, together, shall not be much more than what was in use at
 * one time in this epoch.
 *
 * Context: any; exact with the heap's lock held.
 * Return: how many there are to be released; 0 when all is well.
 */
size_t pages_over_peak(const struct kspan_pages *pages)
{
	size_t peak = port_load(&pages->peak);
	size_t most = peak + peak / SLACK_PART + SLACK_PAGES;
	size_t have = port_load(&pages->ninuse) + port_load(&pages->ndirty);

	return have > most ? have - most : 0;
}

/* As pages_free(), of pages whose memory the system has back. */
void pages_free_released(struct kspan_pages *pages, struct kspan_arena *arena, u32 first,
			 u32 npages)
{
	port_store(&pages->nreleased, pages->nreleased + npages);
	arena_add_free(pages, arena, first, npages, arena->released);
}

/**
 * pages_age - begin a scavenger epoch: what is free now is idle from here on
 * @pages: these
 * @cursor: how many arenas have begun it; advanced, by a group at most. Start with 0.
 *
 * The caller lets go of the lock between groups, so arenas may come and go. One that
 * comes below the cursor has an arena begin twice: the epoch is shorter, by next to
 * nothing, for what was freed there in between. One that goes from there has an arena
 * left out: what was idle there still is, as a page that is taken ceases to be, and what
 * came since stays for an epoch more.
 *
 * Context: the heap's lock is held.
 * Return: whether there are arenas left.
 */
bool pages_age(struct kspan_pages *pages, u32 *cursor)
{
	u32 w, end = *cursor + GROUP_ARENAS;

	if (!*cursor)
		port_store(&pages->peak, pages->ninuse);
	for (; *cursor < pages->n && *cursor < end; (*cursor)++) {
		struct kspan_arena *arena = pages->arena[*cursor];

		for (w = 0; w < KSPAN_ARENA_WORDS; w++)
			arena->idle[w] = arena->free[w] & ~arena->released[w];
	}
	return *cursor < pages->n;
}
