// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The heap: spans of pages, growth, metadata memory, beginning and end.
 *
 * Pages are asked of the source with no lock held, then entered under the
 * heap's lock; whoever comes too late finds the work done and tries again.
 * See alloc.c.
 */
#include <kspan/heap.h>

/*
 * A heap grows by an eighth of what it has, between 64 KiB and an arena: a
 * user of a hundred objects must not cost 4 MiB, a large heap should ask
 * seldom. The source rounds up to its own grain.
 */
#define GROW_MIN_PAGES		8
#define GROW_SHIFT		3

/**
 * struct kspan_chunk - head of a piece of metadata memory
 * @next: next of the heap's
 * @nbytes: as the source gave it
 */
struct kspan_chunk {
	struct kspan_chunk *next;
	size_t nbytes;
};

#define CHUNK_HEAD	64	/* so that what follows is cache-line aligned */

_Static_assert(sizeof(struct kspan_chunk) <= CHUNK_HEAD, "the head fits");

/**
 * heap_meta_get - memory for metadata
 * @heap: whose; it stays until heap_destroy()
 * @nbytes: how much
 * @gfp: may it sleep
 * @got: set to how much it is
 *
 * Context: no lock held.
 * Return: memory aligned to 64 bytes, not zeroed; NULL when there is none.
 */
void *heap_meta_get(struct kspan_heap *heap, size_t nbytes, gfp_t gfp, size_t *got)
{
	struct kspan_source *source = heap->config.source;
	struct kspan_chunk *chunk;
	unsigned long flags;

	nbytes = pages_to_bytes(bytes_to_pages(nbytes + CHUNK_HEAD));
	chunk = source->get(source, nbytes, nbytes, KSPAN_PAGE_SIZE, gfp, -1, got);
	if (!chunk)
		return NULL;
	chunk->nbytes = *got;
	flags = port_lock(&heap->lock);
	chunk->next = heap->chunks;
	heap->chunks = chunk;
	heap->sys_bytes += *got;
	/* read without the lock by fix_chunk_size() */
	port_store(&heap->meta_bytes, heap->meta_bytes + *got);
	port_unlock(&heap->lock, flags);
	*got -= CHUNK_HEAD;
	return (char *)chunk + CHUNK_HEAD;
}

/* Enter new memory into arenas and the page allocator. */
static void heap_add_pages(struct kspan_heap *heap, uintptr_t addr, size_t nbytes, int node)
{
	size_t npages = bytes_to_pages(nbytes);
	unsigned long flags = port_lock(&heap->lock);

	heap->sys_bytes += nbytes;
	heap->ngrow++;
	while (npages) {
		struct kspan_arena *arena = pagemap_arena(heap, addr);
		u32 first = addr_to_page(addr);
		u32 n = KSPAN_ARENA_PAGES - first;

		if (n > npages)
			n = npages;
		arena->nodeid = node < 0 ? 0 : node;
		pages_free(&heap->pages, arena, first, n, !heap->config.source->zeroed);
		addr += pages_to_bytes(n);
		npages -= n;
	}
	port_unlock(&heap->lock, flags);
}

static size_t round_up_to(size_t n, size_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

/*
 * The alignment, in bytes, of a piece in which a span of @npages at @align lies
 * whole in one arena: no multiple of a power of two that is at least its length
 * is inside it.
 */
static size_t piece_align(struct kspan_heap *heap, u32 npages, u32 align)
{
	size_t unit = heap->config.source->grain;

	while (unit < pages_to_bytes(align) || unit < pages_to_bytes(npages))
		unit *= 2;
	return unit;
}

/* How much to ask for when @min bytes are needed. */
static size_t grow_bytes(struct kspan_heap *heap, size_t min)
{
	unsigned long flags = port_lock(&heap->lock);
	size_t want = pages_to_bytes(heap->pages.ninuse >> GROW_SHIFT);

	port_unlock(&heap->lock, flags);
	if (want < pages_to_bytes(GROW_MIN_PAGES))
		want = pages_to_bytes(GROW_MIN_PAGES);
	if (want > KSPAN_ARENA_SIZE)
		want = KSPAN_ARENA_SIZE;
	if (want < min)
		want = min;
	return round_up_to(want, heap->config.source->grain);
}

/* Get pages from the source: at least @npages in one aligned piece. */
static bool heap_grow(struct kspan_heap *heap, u32 npages, u32 align, int node, gfp_t gfp)
{
	struct kspan_source *source = heap->config.source;
	size_t got, min = round_up_to(pages_to_bytes(npages), source->grain);
	void *mem;

	mem = source->get(source, min, grow_bytes(heap, min),
			  piece_align(heap, npages, align), gfp, node, &got);
	if (!mem)
		return false;
	if (!pagemap_cover(heap, (uintptr_t)mem, got, false, gfp)) {
		source->put(source, mem, got);
		return false;
	}
	heap_add_pages(heap, (uintptr_t)mem, got, node);
	return true;
}

/* Fill in a span whose pages were just taken. The heap's lock is held. */
static void heap_span_enter(struct kspan_heap *heap, struct kspan_span *span, uintptr_t addr,
			    size_t npages, u32 pclass, bool needzero)
{
	struct kspan_arena *arena = pagemap_arena(heap, addr);

	port_assert_held(&heap->lock);
	span->start = addr;
	span->npages = npages;
	span->pclass = pclass;
	span->needzero = needzero;
	span->nodeid = arena->nodeid;
	if (pclass == KSPAN_PC_LARGE) {
		span_set_state(span, SPAN_LARGE);
		span->nobjs = 1;
		port_list_add(&span->node, &heap->large);
		heap->nlarge_malloc++;
		heap->large_bytes += pages_to_bytes(npages);
	}
	pagemap_set(heap, span);
}

/* The length of a mapping of its own for @npages. */
static size_t huge_bytes(struct kspan_heap *heap, size_t npages)
{
	size_t grain = heap->config.source->grain;

	return round_up_to(pages_to_bytes(npages),
			   grain > KSPAN_ARENA_SIZE ? grain : KSPAN_ARENA_SIZE);
}

/*
 * A large span longer than an arena: a mapping of its own, of whole arenas, so
 * that no other piece of memory can lie in one of them.
 */
static bool heap_span_map_huge(struct kspan_heap *heap, struct kspan_span *span,
			       size_t npages, size_t align, int node, gfp_t gfp)
{
	struct kspan_source *source = heap->config.source;
	size_t got, nbytes = huge_bytes(heap, npages);
	size_t unit = pages_to_bytes(align);
	unsigned long flags;
	void *mem;

	mem = source->get(source, nbytes, nbytes,
			  unit > KSPAN_ARENA_SIZE ? unit : KSPAN_ARENA_SIZE, gfp, node, &got);
	if (!mem)
		return false;
	if (!pagemap_cover(heap, (uintptr_t)mem, got, true, gfp)) {
		source->put(source, mem, got);
		return false;
	}
	flags = port_lock(&heap->lock);
	heap->sys_bytes += got;
	heap->ngrow++;
	pages_add_inuse(&heap->pages, bytes_to_pages(got));
	heap_span_enter(heap, span, (uintptr_t)mem, bytes_to_pages(got), KSPAN_PC_LARGE,
			!source->zeroed);
	port_unlock(&heap->lock, flags);
	return true;
}

/* Pages for @span from the arenas; which may have to grow. */
static bool heap_span_map(struct kspan_heap *heap, struct kspan_span *span, u32 npages,
			  u32 align, u32 pclass, int node, gfp_t gfp)
{
	unsigned long flags;
	uintptr_t addr;
	bool needzero;

	if (!heap_within_limit(heap, pages_to_bytes(npages)))
		return false;
	for (;;) {
		flags = port_lock(&heap->lock);
		addr = pages_alloc(&heap->pages, npages, align, node, &needzero);
		if (addr)
			heap_span_enter(heap, span, addr, npages, pclass, needzero);
		port_unlock(&heap->lock, flags);
		if (addr)
			return true;
		if (heap_grow(heap, npages, align, node, gfp))
			continue;
		if (node < 0)
			return false;
		node = -1;	/* rather remote memory than none */
	}
}

static struct kspan_fix *span_fix(struct kspan_heap *heap, u32 nobjs)
{
	return &heap->fix[nobjs <= 128 ? FIX_SPAN_SMALL : FIX_SPAN_BIG];
}

/**
 * heap_span_alloc - a span of pages
 * @heap: from this heap
 * @npages: length in pages
 * @align: alignment in pages, a power of two
 * @nobjs: objects that it shall hold (1 for a large span)
 * @pclass: page class of its pages
 * @node: NUMA node it had best be on, or -1
 * @gfp: may it sleep
 *
 * A large span is on the heap's list of those when this returns; any other the
 * caller initialises with span_init() and puts on its central's list.
 *
 * Context: no lock held.
 * Return: the span, or NULL when there is no memory.
 */
struct kspan_span *heap_span_alloc(struct kspan_heap *heap, size_t npages, size_t align,
				   u32 nobjs, u32 pclass, int node, gfp_t gfp)
{
	struct kspan_span *span = fix_alloc(span_fix(heap, nobjs), gfp);
	bool ok;

	if (!span)
		return NULL;
	port_kick(heap);
	if (heap->nnodes == 1)
		node = -1;
	if (npages > KSPAN_ARENA_PAGES || align > KSPAN_ARENA_PAGES)
		ok = heap_within_limit(heap, pages_to_bytes(npages)) &&
		     heap_span_map_huge(heap, span, npages, align, node, gfp);
	else
		ok = heap_span_map(heap, span, npages, align, pclass, node, gfp);
	if (ok)
		return span;
	fix_free(span_fix(heap, nobjs), span);
	return NULL;
}

static void heap_span_unmap_huge(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_arena *arena = pagemap_arena(heap, span->start);
	size_t nbytes = pages_to_bytes(span->npages);
	unsigned long flags = port_lock(&heap->lock);

	pagemap_clear(heap, span);
	pagemap_uncover(heap, span->start, nbytes);
	pages_add_inuse(&heap->pages, -(size_t)span->npages);
	heap->sys_bytes -= nbytes;
	port_unlock(&heap->lock, flags);
	fix_free(&heap->fix[FIX_ARENA], arena);
	heap->config.source->put(heap->config.source, (void *)span->start, nbytes);
}

/**
 * heap_span_free - give a span's pages back to the page allocator
 * @heap: its heap
 * @span: on no list, all its objects free
 *
 * Context: no lock held.
 */
void heap_span_free(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_arena *arena = pagemap_arena(heap, span->start);
	unsigned long flags;

	if (arena->huge) {
		heap_span_unmap_huge(heap, span);
	} else {
		flags = port_lock(&heap->lock);
		pagemap_clear(heap, span);
		pages_add_inuse(&heap->pages, -(size_t)span->npages);
		pages_free(&heap->pages, arena, addr_to_page(span->start), span->npages,
			   true);
		port_unlock(&heap->lock, flags);
	}
	span_set_state(span, SPAN_FREE);
	if (span->pclass == KSPAN_PC_TINY)
		fix_free(&heap->fix[FIX_MARKS], span->marks);
	if (span->central)
		fix_free(&heap->fix[span->nobjs <= 128 ? FIX_SITES_SMALL : FIX_SITES_BIG],
			 span->sites);
	fix_free(span_fix(heap, span->nobjs), span);
	port_kick(heap);
}

/*
 * Account for a huge span as it is, or take that back. With it the invariants hold
 * while the span is between two places: it is on the list of large spans, but in
 * no arena.
 */
static void huge_count(struct kspan_heap *heap, struct kspan_span *span, bool in)
{
	size_t npages = in ? span->npages : -(size_t)span->npages;

	port_assert_held(&heap->lock);
	pages_add_inuse(&heap->pages, npages);
	heap->sys_bytes += pages_to_bytes(npages);
	heap->large_bytes += pages_to_bytes(npages);
}

/* Enter a huge span whose memory lies at @addr now. */
static void huge_enter(struct kspan_heap *heap, struct kspan_span *span, uintptr_t addr,
		       size_t nbytes, struct kspan_arena *arena)
{
	unsigned long flags = port_lock(&heap->lock);

	span->start = addr;
	span->npages = bytes_to_pages(nbytes);
	pagemap_recover(heap, addr, nbytes, arena);
	pagemap_set(heap, span);
	huge_count(heap, span, true);
	port_unlock(&heap->lock, flags);
}

static void huge_leave(struct kspan_heap *heap, struct kspan_span *span)
{
	unsigned long flags = port_lock(&heap->lock);

	huge_count(heap, span, false);
	pagemap_clear(heap, span);
	pagemap_uncover(heap, span->start, pages_to_bytes(span->npages));
	port_unlock(&heap->lock, flags);
}

/* Give back the end of a huge span. */
static void huge_cut(struct kspan_heap *heap, struct kspan_span *span, size_t nbytes)
{
	struct kspan_source *source = heap->config.source;
	uintptr_t end = span->start + nbytes;
	size_t over = pages_to_bytes(span->npages) - nbytes;
	unsigned long flags = port_lock(&heap->lock);

	huge_count(heap, span, false);
	pagemap_uncover(heap, end, over);
	span->npages = bytes_to_pages(nbytes);
	huge_count(heap, span, true);
	port_unlock(&heap->lock, flags);
	source->put(source, (void *)end, over);
}

/*
 * Have a huge span's memory at other addresses, where there are @nbytes for it.
 * Before the old ones can be anybody else's they are gone from the map; the
 * caller owns the span, so nobody looks for it meanwhile.
 */
static bool huge_move(struct kspan_heap *heap, struct kspan_span *span, size_t nbytes)
{
	struct kspan_source *source = heap->config.source;
	struct kspan_arena *arena = pagemap_arena(heap, span->start), *room;
	size_t got, have = pages_to_bytes(span->npages);
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	unsigned long flags;
	uintptr_t from = span->start, to;

	if (!source->move || !heap_within_limit(heap, nbytes - have))
		return false;
	to = (uintptr_t)source->get(source, nbytes, nbytes, KSPAN_ARENA_SIZE, gfp, -1, &got);
	if (!to)
		return false;
	if (!pagemap_cover(heap, to, got, true, gfp)) {
		source->put(source, (void *)to, got);
		return false;
	}
	room = pagemap_arena(heap, to);
	huge_leave(heap, span);
	if (source->move(source, (void *)from, have, (void *)to, got)) {
		room->nodeid = arena->nodeid;
		huge_enter(heap, span, to, got, room);
		fix_free(&heap->fix[FIX_ARENA], arena);
		return true;
	}
	flags = port_lock(&heap->lock);
	pagemap_uncover(heap, to, got);
	port_unlock(&heap->lock, flags);
	huge_enter(heap, span, from, have, arena);
	fix_free(&heap->fix[FIX_ARENA], room);
	return false;
}

/* Neither shorter than an arena, where it would not be huge, nor aligned beyond one. */
static bool huge_resize(struct kspan_heap *heap, struct kspan_span *span, size_t npages)
{
	size_t nbytes = huge_bytes(heap, npages), have = pages_to_bytes(span->npages);

	if (npages <= KSPAN_ARENA_PAGES)
		return false;
	if (nbytes > have)
		return huge_move(heap, span, nbytes);
	if (nbytes < have)
		huge_cut(heap, span, nbytes);
	return true;
}

/**
 * heap_span_resize - change a large span's length
 * @heap: its heap
 * @span: a large span; one with a mapping of its own may have another address
 *	afterwards, others stay where they are
 * @npages: its new length, at least
 *
 * Context: no lock held; the caller owns the span.
 * Return: false when it cannot be done without a copy; nothing changed then.
 */
bool heap_span_resize(struct kspan_heap *heap, struct kspan_span *span, size_t npages)
{
	struct kspan_arena *arena = pagemap_arena(heap, span->start);
	u32 end = addr_to_page(span->start) + span->npages;
	unsigned long flags;
	bool needzero, ok = true;

	if (arena->huge)
		return huge_resize(heap, span, npages);
	if (npages > KSPAN_ARENA_PAGES)
		return false;
	if (npages > span->npages &&
	    !heap_within_limit(heap, pages_to_bytes(npages - span->npages)))
		return false;
	flags = port_lock(&heap->lock);
	heap->large_bytes -= pages_to_bytes(span->npages);
	if (npages > span->npages) {
		ok = pages_extend(&heap->pages, arena, end, npages - span->npages, &needzero);
		if (ok)
			span->npages = npages;
	} else if (npages < span->npages) {
		pagemap_clear(heap, span);
		pages_add_inuse(&heap->pages, npages - span->npages);
		pages_free(&heap->pages, arena, end - (span->npages - npages),
			   span->npages - npages, true);
		span->npages = npages;
	}
	pagemap_set(heap, span);
	heap->large_bytes += pages_to_bytes(span->npages);
	port_unlock(&heap->lock, flags);
	return ok;
}

static const char *const misuse_name[KSPAN_NR_MISUSE] = {
	[KSPAN_DOUBLE_FREE] = "double free",
	[KSPAN_INTERIOR_FREE] = "free of a pointer into an object",
	[KSPAN_FOREIGN_FREE] = "free of memory that is not kspan's",
};

/**
 * heap_misuse - report a wrong free
 * @heap: whose
 * @kind: what is wrong
 * @ptr: what was freed
 * @caller: by whom, 0 when it was not seen at the free itself
 *
 * One report, one count; what follows (abort or go on) is the world's choice.
 *
 * Context: any; no lock held.
 */
void heap_misuse(struct kspan_heap *heap, enum kspan_misuse kind, const void *ptr,
		 uintptr_t caller)
{
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)ptr);
	uintptr_t site = 0;
	bool exact;

	port_add(&heap->nmisuse[kind], 1);
	if (span && span->pclass == KSPAN_PC_LARGE) {
		site = span->site;
	} else if (span && span->central && span->sites) {
		u32 idx = span_index(span, (uintptr_t)ptr, &exact);

		site = idx < span->nobjs ? port_load(&span->sites[idx]) : 0;
	}
	if (span)
		port_report("%s: %p, span %p+%zu, object size %u, freed by " PORT_SITE
			    ", allocated by " PORT_SITE,
			    misuse_name[kind], ptr, (void *)span->start,
			    pages_to_bytes(span->npages), span->size, (void *)caller,
			    (void *)site);
	else
		port_report("%s: %p, freed by " PORT_SITE, misuse_name[kind], ptr, (void *)caller);
	port_error(heap);
}

static void heap_init_fix(struct kspan_heap *heap)
{
	static const u16 nobjs[] = { [FIX_SPAN_SMALL] = 128, [FIX_SPAN_BIG] = KSPAN_MAX_OBJS };
	u32 i;

	for (i = FIX_SPAN_SMALL; i <= FIX_SPAN_BIG; i++)
		fix_init(&heap->fix[i], heap, sizeof(struct kspan_span) +
			 span_words(nobjs[i]) * sizeof(u64));
	fix_init(&heap->fix[FIX_ARENA], heap, sizeof(struct kspan_arena));
	fix_init(&heap->fix[FIX_MARKS], heap,
		 KSPAN_PAGE_SIZE / KSPAN_TINY_SIZE * sizeof(u32));
	fix_init(&heap->fix[FIX_SITES_SMALL], heap, 128 * sizeof(uintptr_t));
	fix_init(&heap->fix[FIX_SITES_BIG], heap, KSPAN_MAX_OBJS * sizeof(uintptr_t));
	fix_init(&heap->fix[FIX_CACHE], heap, objcache_size(heap->nnodes));
}

/* Bytes of an object on stack @c; 0 for a stack that stays closed. */
static u32 stack_object_size(u32 c)
{
	if (c == KSPAN_STACK_TINY)
		return KSPAN_TINY_SIZE;
	return c < KSPAN_NUM_SPAN_CLASSES ? kspan_class_to_size[c >> 1] : 0;
}

/**
 * slotset_layout - lay out the stacks of a slotset
 * @ss: nstacks, base and max set (max filled in)
 * @base: where to put the bases, of ss->nstacks entries
 *
 * Each stack takes max[c] entries and a zero below them.
 */
void slotset_layout(struct kspan_slotset *ss, u16 *base)
{
	u32 c, entry = KSPAN_SLOT_HDR + ss->nstacks;

	ss->limit_off = entry * sizeof(u64);
	entry += (ss->nstacks * sizeof(u16) + sizeof(u64) - 1) / sizeof(u64);
	for (c = 0; c < ss->nstacks; c++) {
		base[c] = entry;
		entry += ss->max[c] ? ss->max[c] + 1 : 0;
	}
	ss->base = base;
	ss->slot_bytes = entry * sizeof(u64);
}

static void heap_init_slots(struct kspan_heap *heap)
{
	const struct kspan_config *config = &heap->config;
	u32 c;

	for (c = 0; c < KSPAN_NR_STACKS; c++) {
		u32 size = stack_object_size(c);
		size_t max = size ? config->stack_bytes / size : 0;

		if (max > config->stack_objs)
			max = config->stack_objs;
		if (size && max < 2)
			max = 2;
		/* no stack of a checked heap ever opens: each call goes the slow way */
		heap->max[c] = config->checked ? 0 : max;
	}
	heap->slots.nstacks = KSPAN_NR_STACKS;
	heap->slots.max = heap->max;
	slotset_layout(&heap->slots, heap->base);
}

static bool heap_init_central(struct kspan_heap *heap)
{
	size_t got, nbytes = heap->nnodes * sizeof(struct kspan_central *);
	u32 c, node;

	heap->central = heap_meta_get(heap, nbytes + heap->nnodes * KSPAN_NR_STACKS *
				      sizeof(struct kspan_central) + 64, GFP_KERNEL, &got);
	if (!heap->central)
		return false;
	for (node = 0; node < heap->nnodes; node++) {
		heap->central[node] = (struct kspan_central *)
			(((uintptr_t)heap->central + nbytes + 63) & ~(uintptr_t)63) +
			node * KSPAN_NR_STACKS;
		for (c = 0; c < KSPAN_NR_STACKS; c++)
			central_init(&heap->central[node][c], heap, stack_object_size(c),
				     c == KSPAN_STACK_TINY ? KSPAN_PC_TINY : c, c, node);
	}
	return true;
}

/* Give everything back: pages of the arenas that are free, then metadata. */
static void heap_put_all(struct kspan_heap *heap)
{
	struct kspan_source *source = heap->config.source;
	struct kspan_chunk *chunk = heap->chunks;
	u32 cursor, i;

	for (cursor = 0; cursor < heap->pages.n; cursor++) {
		struct kspan_arena *arena = heap->pages.arena[cursor];
		u32 first = KSPAN_ARENA_PAGES;

		for (i = 0; i <= KSPAN_ARENA_PAGES; i++) {
			bool mine = i < KSPAN_ARENA_PAGES &&
				    arena->free[i / 64] >> (i % 64) & 1;

			if (mine && first == KSPAN_ARENA_PAGES)
				first = i;
			if (mine || first == KSPAN_ARENA_PAGES)
				continue;
			source->put(source, (void *)(arena->base + pages_to_bytes(first)),
				    pages_to_bytes(i - first));
			heap->sys_bytes -= pages_to_bytes(i - first);
			first = KSPAN_ARENA_PAGES;
		}
	}
	while (chunk) {
		struct kspan_chunk *next = chunk->next;

		heap->sys_bytes -= chunk->nbytes;
		source->put(source, chunk, chunk->nbytes);
		chunk = next;
	}
}

static bool source_is_sane(const struct kspan_source *source)
{
	size_t grain = source->grain, unit = source->unit;

	if (grain < KSPAN_PAGE_SIZE || (grain & (grain - 1)))
		return false;
	/* a span's units are bits of a word in central_trim() */
	return !source->release ||
	       (unit >= 4096 && unit <= KSPAN_PAGE_SIZE && !(unit & (unit - 1)));
}

/**
 * heap_init - make a heap
 * @heap: memory for it; what it holds does not matter, except that the default
 *	heap must not be in use yet
 * @config: see struct kspan_config
 *
 * Context: process; sleeps.
 * Return: 0; -EINVAL: the configuration makes no sense; -ENOMEM.
 */
int heap_init(struct kspan_heap *heap, const struct kspan_config *config)
{
	if (!source_is_sane(config->source) || !config->stack_objs ||
	    config->stack_objs > 400)
		return -EINVAL;
	heap->ready = false;
	heap->config = *config;
	heap->checked = config->checked;
	heap->nnodes = port_nr_nodes();
	heap->regions = &kspan_no_regions;
	heap->chunks = NULL;
	port_memset(&heap->pages, 0, sizeof(heap->pages));
	heap->sys_bytes = heap->meta_bytes = 0;
	heap->nlarge_malloc = heap->nlarge_free = heap->large_bytes = 0;
	heap->ngrow = heap->nrelease = heap->nscavenged_bytes = 0;
	heap->cache_nmalloc = heap->cache_nfree = 0;
	heap->ntiny_malloc = heap->ntiny_free = heap->nfail = 0;
	port_memset(heap->nmisuse, 0, sizeof(heap->nmisuse));
	heap->rcu_batch = NULL;
	heap->rcu_reserve_used = false;
	port_lock_init(&heap->lock, KSPAN_RANK_HEAP);
	port_mutex_init(&heap->caches_lock);
	port_lock_init(&heap->rcu_lock, KSPAN_RANK_RCU);
	port_list_init(&heap->large);
	port_list_init(&heap->caches);
	heap_init_fix(heap);
	heap_init_slots(heap);
	if (!heap_init_central(heap) ||
	    port_slotset_init(&heap->slots, heap, GFP_KERNEL)) {
		heap_put_all(heap);
		return -ENOMEM;
	}
	port_store_release(&heap->ready, true);
	return 0;
}

/**
 * heap_destroy - end a heap and give back what it holds
 * @heap: nobody uses it any more
 *
 * Spans with objects that are still out stay where they are, so that whoever
 * holds one does no harm: that memory is lost, and listed by heap_leaks().
 *
 * Context: process; sleeps.
 * Return: bytes lost, 0 if every object had been freed.
 */
size_t heap_destroy(struct kspan_heap *heap)
{
	heap_release_memory(heap);
	port_store_release(&heap->ready, false);
	port_slotset_destroy(&heap->slots);
	port_store_release(&heap->regions, &kspan_no_regions);
	heap_put_all(heap);
	return heap->sys_bytes;
}

bool heap_ready_slow(struct kspan_heap *heap)
{
	return heap == &kspan_heap0 && port_heap_start(heap);
}
