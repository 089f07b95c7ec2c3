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
 * A heap grows by a 16th of what it has, between 128 KiB and an arena: a
 * user of a hundred objects must not cost 4 MiB, a large heap should ask
 * seldom, and what it has not used yet nobody else can; but each piece that
 * lies by itself costs metadata for an arena. The source rounds up to its own
 * grain.
 */
#define GROW_MIN_PAGES		16
#define GROW_SHIFT		4

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

	if (!port_may_ask_source())
		return heap_lack(heap, 1, 1, port_node());
	nbytes = pages_to_bytes(bytes_to_pages(nbytes + CHUNK_HEAD));
	if (!heap_within_limit(heap, nbytes, gfp))
		return NULL;
	gfp &= ~(__GFP_THISNODE | __GFP_ACCOUNT);
	chunk = source->get(source, nbytes, nbytes, KSPAN_PAGE_SIZE, gfp, -1, got);
	if (!chunk && source->meta)
		chunk = source->meta(source, nbytes, gfp, got);
	if (!chunk)
		return NULL;
	chunk->nbytes = *got;
	flags = port_lock(&heap->lock);
	if (!heap_may_use(heap, *got, gfp)) {
		port_unlock(&heap->lock, flags);
		source->put(source, chunk, *got);
		return NULL;
	}
	chunk->next = heap->chunks;
	heap->chunks = chunk;
	heap->sys_bytes += *got;
	/* read without the lock by fix_chunk_size() */
	port_store(&heap->meta_bytes, heap->meta_bytes + *got);
	port_unlock(&heap->lock, flags);
	*got -= CHUNK_HEAD;
	return (char *)chunk + CHUNK_HEAD;
}

/* Bytes of an object on stack @c; 0 for a stack that stays closed. */
static u32 stack_object_size(u32 c)
{
	if (c == KSPAN_STACK_TINY)
		return KSPAN_TINY_SIZE;
	return c < KSPAN_NUM_SPAN_CLASSES ? kspan_class_to_size[c >> 1] : 0;
}

static void heap_node_init(struct kspan_heap *heap, struct kspan_node *node, int nodeid)
{
	u32 c;

	port_memset(&node->pages, 0, sizeof(node->pages));
	node->spare_pages = 0;
	for (c = 0; c < KSPAN_NR_STACKS; c++)
		central_init(&node->central[c], heap, stack_object_size(c),
			     c == KSPAN_STACK_TINY ? KSPAN_PC_TINY : c, c, nodeid);
}

/**
 * heap_node_make - have the structures of a node
 * @heap: whose
 * @nodeid: the node's number
 * @gfp: may it sleep
 *
 * Context: no lock held.
 * Return: the node; NULL when there is no such node, or no memory.
 */
struct kspan_node *heap_node_make(struct kspan_heap *heap, int nodeid, gfp_t gfp)
{
	struct kspan_node *node = heap_node(heap, nodeid);
	unsigned long flags;
	size_t got;

	if (likely(node) || (u32)nodeid >= heap->nnodes)
		return node;
	node = heap_meta_get(heap, sizeof(*node), gfp, &got);
	if (!node)
		return NULL;
	heap_node_init(heap, node, nodeid);
	flags = port_lock(&heap->lock);
	/* of two who make one at a time the second's memory stays with the metadata */
	if (!heap->node[nodeid])
		/* pairs with the load in heap_node(): who sees it sees what is in it */
		port_store_release(&heap->node[nodeid], node);
	port_unlock(&heap->lock, flags);
	return heap->node[nodeid];
}

/* The counters of all nodes' pages. */
void heap_sum_pages(struct kspan_heap *heap, struct kspan_page_counts *sum)
{
	struct kspan_node *node;
	u32 i;

	port_assert_held(&heap->lock);
	port_memset(sum, 0, sizeof(*sum));
	heap_for_each_node(heap, node, i) {
		sum->nfree += node->pages.nfree;
		sum->nreleased += node->pages.nreleased;
		sum->ninuse += node->pages.ninuse;
		sum->nspare += port_load(&node->spare_pages);
		sum->nmoving += node->pages.nmoving;
	}
}

/* The page allocator that @arena belongs to. */
static struct kspan_pages *arena_pages(struct kspan_heap *heap, const struct kspan_arena *arena)
{
	return &heap_node(heap, arena->nodeid)->pages;
}

/*
 * Enter new memory into arenas and the page allocator. False: it shall be node
 * @only's (-1: any), and lies where another node began.
 */
static bool heap_add_pages(struct kspan_heap *heap, uintptr_t addr, size_t nbytes, int only)
{
	size_t npages = bytes_to_pages(nbytes);
	unsigned long flags = port_lock(&heap->lock);

	if (only >= 0 && pagemap_arena(heap, addr)->nodeid != only) {
		port_unlock(&heap->lock, flags);
		return false;
	}
	heap->sys_bytes += nbytes;
	heap->ngrow++;
	while (npages) {
		struct kspan_arena *arena = pagemap_arena(heap, addr);
		u32 first = addr_to_page(addr);
		u32 n = KSPAN_ARENA_PAGES - first;

		if (n > npages)
			n = npages;
		pages_free(arena_pages(heap, arena), arena, first, n,
			   !heap->config.source->zeroed);
		addr += pages_to_bytes(n);
		npages -= n;
	}
	port_unlock(&heap->lock, flags);
	return true;
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
	struct kspan_page_counts sum;
	size_t want;

	heap_sum_pages(heap, &sum);
	port_unlock(&heap->lock, flags);
	want = pages_to_bytes(sum.ninuse >> GROW_SHIFT);
	if (want < pages_to_bytes(GROW_MIN_PAGES))
		want = pages_to_bytes(GROW_MIN_PAGES);
	if (want > KSPAN_ARENA_SIZE)
		want = KSPAN_ARENA_SIZE;
	if (want < min)
		want = min;
	return round_up_to(want, heap->config.source->grain);
}

/* What a source is told of the node, which it need not know of when there is one. */
static int source_node(struct kspan_heap *heap, int nodeid)
{
	return heap->nnodes > 1 ? nodeid : -1;
}

/* The node that memory from the source lies on. */
static int source_node_of(struct kspan_heap *heap, const void *mem)
{
	struct kspan_source *source = heap->config.source;

	return heap->nnodes > 1 ? source->node_of(source, mem) : 0;
}

/*
 * Get pages from the source: at least @npages in one aligned piece; of node @nodeid
 * at best, and in any case with __GFP_THISNODE.
 */
static bool heap_grow(struct kspan_heap *heap, u32 npages, u32 align, int nodeid, gfp_t gfp)
{
	struct kspan_source *source = heap->config.source;
	size_t got, min = round_up_to(pages_to_bytes(npages), source->grain);
	void *mem;

	if (!port_may_ask_source())
		return heap_lack(heap, npages, align, nodeid);
	warm_flush_huge(heap);
	mem = source->get(source, min, grow_bytes(heap, min),
			  piece_align(heap, npages, align), gfp, source_node(heap, nodeid), &got);
	if (!mem)
		return false;
	if (!pagemap_cover(heap, (uintptr_t)mem, got, false, source_node_of(heap, mem), gfp) ||
	    !heap_add_pages(heap, (uintptr_t)mem, got, gfp & __GFP_THISNODE ? nodeid : -1)) {
		source->put(source, mem, got);
		return false;
	}
	/* which may be elsewhere than was asked for */
	heap_keep_to_peak(heap, pagemap_arena(heap, (uintptr_t)mem)->nodeid, bytes_to_pages(got));
	return true;
}

/* A large span has an owner from here on. The heap's lock is held. */
void heap_span_enter_large(struct kspan_heap *heap, struct kspan_span *span)
{
	span_set_state(span, SPAN_LARGE);
	port_list_add(&span->node, &heap->large);
	heap->nlarge_malloc++;
	heap->large_bytes += pages_to_bytes(span->npages);
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
		span->nobjs = 1;
		heap_span_enter_large(heap, span);
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
 * that no other piece of memory can lie in one of them. The limits have let it be.
 */
static bool huge_map(struct kspan_heap *heap, struct kspan_span *span, size_t npages,
		     size_t align, int nodeid, gfp_t gfp)
{
	struct kspan_source *source = heap->config.source;
	size_t got, nbytes = huge_bytes(heap, npages);
	size_t unit = pages_to_bytes(align);
	unsigned long flags;
	void *mem;

	mem = source->get(source, nbytes, nbytes,
			  unit > KSPAN_ARENA_SIZE ? unit : KSPAN_ARENA_SIZE, gfp,
			  source_node(heap, nodeid), &got);
	if (!mem)
		return false;
	if (!pagemap_cover(heap, (uintptr_t)mem, got, true, source_node_of(heap, mem), gfp)) {
		source->put(source, mem, got);
		return false;
	}
	flags = port_lock(&heap->lock);
	heap->sys_bytes += got;
	heap->ngrow++;
	pages_add_inuse(arena_pages(heap, pagemap_arena(heap, (uintptr_t)mem)),
			bytes_to_pages(got));
	heap_span_enter(heap, span, (uintptr_t)mem, bytes_to_pages(got), KSPAN_PC_LARGE,
			!source->zeroed);
	port_unlock(&heap->lock, flags);
	heap_keep_to_peak(heap, span->nodeid, bytes_to_pages(got));
	return true;
}

static bool heap_span_map_huge(struct kspan_heap *heap, struct kspan_span *span,
			       size_t npages, size_t align, int nodeid, gfp_t gfp)
{
	size_t nbytes = huge_bytes(heap, npages);
	bool ok;

	warm_flush_huge(heap);
	if (!heap_charge(heap, nbytes, gfp))
		return false;
	ok = huge_map(heap, span, npages, align, nodeid, gfp);
	heap_uncharge(heap, nbytes);
	return ok;
}

/*
 * Free pages of @node's for a span; warm spans go for it rather than memory that nobody
 * has touched, if they are no use.
 */
static uintptr_t node_pages_alloc(struct kspan_heap *heap, struct kspan_node *node, u32 npages,
				  u32 align, u32 pclass, bool *needzero)
{
	struct kspan_pages *pages = &node->pages;
	uintptr_t addr = pages_alloc(pages, npages, align, needzero);

	if ((addr && *needzero) || !heap->warm.npages)
		return addr;
	if (addr && !warm_is_no_use(heap, pclass))
		return addr;
	if (addr) {
		pages_add_inuse(pages, -(size_t)npages);
		pages_free(pages, pagemap_arena(heap, addr), addr_to_page(addr), npages, false);
	}
	warm_flush_locked(heap);
	return pages_alloc(pages, npages, align, needzero);
}

/*
 * Free pages for @span: of node @nodeid, and without __GFP_THISNODE as well of others.
 * *@room: false when the limit does not let it have any.
 */
static bool heap_span_take(struct kspan_heap *heap, struct kspan_span *span, u32 npages,
			   u32 align, u32 pclass, int nodeid, gfp_t gfp, bool *room)
{
	bool needzero, any = heap->nnodes > 1 && !(gfp & __GFP_THISNODE);
	struct kspan_node *node = heap_node(heap, nodeid);
	unsigned long flags = port_lock(&heap->lock);
	uintptr_t addr = 0;
	u32 i = 0;

	*room = heap_may_use(heap, pages_to_bytes(npages), gfp);
	if (!*room)
		any = false;
	else if (node)
		addr = node_pages_alloc(heap, node, npages, align, pclass, &needzero);
	while (!addr && any && (node = heap_next_node(heap, &i)) != NULL)
		addr = pages_alloc(&node->pages, npages, align, &needzero);
	if (addr)
		heap_span_enter(heap, span, addr, npages, pclass, needzero);
	port_unlock(&heap->lock, flags);
	return addr != 0;
}

/* The same; growing where there are none. */
static bool heap_span_take_grow(struct kspan_heap *heap, struct kspan_span *span, u32 npages,
				u32 align, u32 pclass, int nodeid, gfp_t gfp)
{
	bool room, more, dropped = false;

	do {
		if (heap_span_take(heap, span, npages, align, pclass, nodeid, gfp, &room))
			return true;
		/* once: others may keep some meanwhile */
		more = room && !dropped && heap_drop_spares(heap);
		dropped = true;
	} while (more || (room && heap_grow(heap, npages, align, nodeid, gfp)));
	return false;
}

/*
 * Pages for @span from the arenas, which may have to grow. What its node has or can
 * get at once comes first, then what others have, then whatever the system finds.
 */
static bool heap_span_map(struct kspan_heap *heap, struct kspan_span *span, u32 npages,
			  u32 align, u32 pclass, int nodeid, gfp_t gfp)
{
	if (heap->nnodes > 1 && !(gfp & __GFP_THISNODE) &&
	    heap_span_take_grow(heap, span, npages, align, pclass, nodeid, gfp_here(gfp)))
		return true;
	return heap_span_take_grow(heap, span, npages, align, pclass, nodeid, gfp);
}

/* The most objects of a span, by its kind of metadata. */
static const u16 span_fix_objs[] = {
	[FIX_SPAN_WORD] = 64, [FIX_SPAN_SMALL] = 128, [FIX_SPAN_MANY] = 512,
	[FIX_SPAN_BIG] = KSPAN_MAX_OBJS,
};

static struct kspan_fix *span_fix(struct kspan_heap *heap, u32 nobjs)
{
	u32 i = FIX_SPAN_WORD;

	while (nobjs > span_fix_objs[i])
		i++;
	return &heap->fix[i];
}

/* Pages for a large span that are to be charged. */
static bool charged_map(struct kspan_heap *heap, struct kspan_span *span, u32 npages, u32 align,
			int nodeid, gfp_t gfp)
{
	struct kspan_source *source = heap->config.source;
	size_t got, nbytes = pages_to_bytes(npages);
	unsigned long flags;
	void *mem;

	mem = source->get(source, nbytes, nbytes, piece_align(heap, npages, align), gfp,
			  source_node(heap, nodeid), &got);
	if (!mem)
		return false;
	if (!pagemap_cover(heap, (uintptr_t)mem, got, false, source_node_of(heap, mem),
			   gfp & ~__GFP_ACCOUNT)) {
		source->put(source, mem, got);
		return false;
	}
	flags = port_lock(&heap->lock);
	heap->sys_bytes += got;
	heap->ngrow++;
	pages_add_inuse(arena_pages(heap, pagemap_arena(heap, (uintptr_t)mem)), npages);
	heap_span_enter(heap, span, (uintptr_t)mem, npages, KSPAN_PC_LARGE, !source->zeroed);
	span->charged = true;
	port_unlock(&heap->lock, flags);
	return true;
}

/*
 * They come from the source, and no more than the span's, so that they are nobody else's
 * until they go back there.
 */
static bool heap_span_map_charged(struct kspan_heap *heap, struct kspan_span *span, u32 npages,
				  u32 align, int nodeid, gfp_t gfp)
{
	bool ok;

	if (!port_may_ask_source() || !heap_charge(heap, pages_to_bytes(npages), gfp))
		return false;
	ok = charged_map(heap, span, npages, align, nodeid, gfp);
	heap_uncharge(heap, pages_to_bytes(npages));
	return ok;
}

static void heap_span_unmap_charged(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_source *source = heap->config.source;
	struct kspan_arena *arena = pagemap_arena(heap, span->start);
	unsigned long flags = port_lock(&heap->lock);

	pagemap_clear(heap, span);
	pages_add_inuse(arena_pages(heap, arena), -(size_t)span->npages);
	heap->sys_bytes -= pages_to_bytes(span->npages);
	port_unlock(&heap->lock, flags);
	source->put(source, (void *)span->start, pages_to_bytes(span->npages));
	span_set_state(span, SPAN_FREE);
	fix_free(span_fix(heap, span->nobjs), span);
}

/* A span of @node's free pages, if there is a free structure and the limit lets it. */
static struct kspan_span *node_span_at_hand(struct kspan_heap *heap, struct kspan_node *node,
					    u32 npages, u32 align, u32 nobjs, u32 pclass)
{
	struct kspan_fix *fix = span_fix(heap, nobjs);
	struct kspan_span *span;
	uintptr_t addr;
	bool needzero;

	port_assert_held(&heap->lock);
	if (!heap_may_use(heap, pages_to_bytes(npages), 0))
		return NULL;
	span = fix_take(fix);
	if (!span)
		return NULL;
	addr = node_pages_alloc(heap, node, npages, align, pclass, &needzero);
	if (!addr) {
		fix_give(fix, span);
		return NULL;
	}
	port_memset(span, 0, fix->size);
	heap_span_enter(heap, span, addr, npages, pclass, needzero);
	return span;
}

/* The common case: all is there, and one lock does. */
static struct kspan_span *heap_span_at_hand(struct kspan_heap *heap, u32 npages, u32 align,
					    u32 nobjs, u32 pclass, int nodeid)
{
	struct kspan_node *node = heap_node(heap, nodeid);
	unsigned long flags;
	struct kspan_span *span;

	if (!node)
		return NULL;
	flags = port_lock(&heap->lock);
	span = node_span_at_hand(heap, node, npages, align, nobjs, pclass);
	port_unlock(&heap->lock, flags);
	return span;
}

/* A span for which the heap or its metadata may have to grow. */
static struct kspan_span *heap_span_get(struct kspan_heap *heap, size_t npages, size_t align,
					u32 nobjs, u32 pclass, int nodeid, gfp_t gfp)
{
	struct kspan_fix *fix = span_fix(heap, nobjs);
	struct kspan_span *span = fix_alloc(fix, gfp & ~__GFP_ACCOUNT);
	bool ok;

	if (!span)
		return NULL;
	if (npages > KSPAN_ARENA_PAGES || align > KSPAN_ARENA_PAGES)
		ok = heap_span_map_huge(heap, span, npages, align, nodeid,
					gfp & ~__GFP_ACCOUNT);
	else if (gfp & __GFP_ACCOUNT)
		ok = heap_span_map_charged(heap, span, npages, align, nodeid, gfp);
	else
		ok = heap_span_map(heap, span, npages, align, pclass, nodeid, gfp);
	if (ok)
		return span;
	fix_free(fix, span);
	return NULL;
}

/**
 * heap_span_alloc - a span of pages
 * @heap: from this heap
 * @npages: length in pages
 * @align: alignment in pages, a power of two
 * @nobjs: objects that it shall hold (1 for a large span)
 * @pclass: page class of its pages
 * @nodeid: NUMA node that it had best be on, and must with __GFP_THISNODE; there is
 *	none of this number: node 0
 * @gfp: may it sleep
 *
 * A large span is on the heap's list of those when this returns; any other the
 * caller initialises with span_init() and puts on its central's list.
 *
 * Context: no lock held.
 * Return: the span, or NULL when there is no memory.
 */
struct kspan_span *heap_span_alloc(struct kspan_heap *heap, size_t npages, size_t align,
				   u32 nobjs, u32 pclass, int nodeid, gfp_t gfp)
{
	bool huge = npages > KSPAN_ARENA_PAGES || align > KSPAN_ARENA_PAGES;
	bool charge = (gfp & __GFP_ACCOUNT) && pclass == KSPAN_PC_LARGE &&
		      heap->config.source->charges;
	struct kspan_span *span = NULL;

	if (!charge)
		gfp &= ~__GFP_ACCOUNT;
	if ((u32)nodeid >= heap->nnodes)
		nodeid = 0;
	port_kick(heap);
	if (!huge && !heap_within_limit(heap, pages_to_bytes(npages), gfp))
		return NULL;
	if (!huge && !charge)
		span = heap_span_at_hand(heap, npages, align, nobjs, pclass, nodeid);
	if (!span)
		span = heap_span_get(heap, npages, align, nobjs, pclass, nodeid, gfp);
	if (span)
		port_event_span_alloc(span->start, span->npages, pclass, span->nodeid);
	return span;
}

/**
 * heap_span_alloc_nolock - a span of the pages at hand
 * @heap: as heap_span_alloc(), which has the same parameters
 * @npages: .
 * @align: .
 * @nobjs: .
 * @pclass: .
 * @nodeid: of this node, -1 for any
 *
 * Context: any; no lock is waited for. A central's may be held.
 * Return: the span; NULL when pages or metadata are not at hand, or are in use.
 */
struct kspan_span *heap_span_alloc_nolock(struct kspan_heap *heap, u32 npages, u32 align,
					  u32 nobjs, u32 pclass, int nodeid)
{
	struct kspan_span *span = NULL;
	struct kspan_node *node;
	unsigned long flags;
	u32 i;

	if (!port_trylock(&heap->lock, &flags))
		return NULL;
	heap_for_each_node(heap, node, i)
		if (!span && (nodeid < 0 || node == heap_node(heap, nodeid)))
			span = node_span_at_hand(heap, node, npages, align, nobjs, pclass);
	port_unlock(&heap->lock, flags);
	if (span)
		port_event_span_alloc(span->start, span->npages, pclass, span->nodeid);
	return span;
}

/**
 * heap_huge_forget - have a span with a mapping to itself be the heap's no more
 * @heap: whose
 * @span: on no list
 *
 * Context: the heap's lock is held.
 * Return: its arena, for heap_huge_put().
 */
struct kspan_arena *heap_huge_forget(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_arena *arena = pagemap_arena(heap, span->start);
	size_t nbytes = pages_to_bytes(span->npages);

	port_assert_held(&heap->lock);
	pagemap_clear(heap, span);
	pagemap_uncover(heap, span->start, nbytes);
	pages_add_inuse(arena_pages(heap, arena), -(size_t)span->npages);
	heap->sys_bytes -= nbytes;
	return arena;
}

/**
 * heap_huge_put - give back what is left of such a span: memory and structures
 * @heap: whose
 * @span: as heap_huge_forget() had it
 * @arena: what that returned
 *
 * Context: no lock held; the source is given memory.
 */
void heap_huge_put(struct kspan_heap *heap, struct kspan_span *span, struct kspan_arena *arena)
{
	fix_free(&heap->fix[FIX_ARENA], arena);
	heap->config.source->put(heap->config.source, (void *)span->start,
				 pages_to_bytes(span->npages));
	span_set_state(span, SPAN_FREE);
	fix_free(span_fix(heap, span->nobjs), span);
}

static void heap_span_unmap_huge(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_arena *arena;
	unsigned long flags = port_lock(&heap->lock);

	arena = heap_huge_forget(heap, span);
	port_unlock(&heap->lock, flags);
	heap_huge_put(heap, span, arena);
}

/*
 * Give the pages of a span to the page allocator, which had them before, and its
 * structure. The heap's lock is held.
 */
void heap_span_free_locked(struct kspan_heap *heap, struct kspan_span *span)
{
	struct kspan_arena *arena = pagemap_arena(heap, span->start);

	port_assert_held(&heap->lock);
	pagemap_clear(heap, span);
	pages_add_inuse(arena_pages(heap, arena), -(size_t)span->npages);
	pages_free(arena_pages(heap, arena), arena, addr_to_page(span->start), span->npages,
		   true);
	span_set_state(span, SPAN_FREE);
	fix_give(span_fix(heap, span->nobjs), span);
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
	u32 *marks = span->pclass == KSPAN_PC_TINY ? span->marks : NULL;
	unsigned long flags;

	port_event_span_free(span->start, span->npages, span->pclass, span->nodeid);
	debug_span_end(heap, span);
	if (span->charged) {
		heap_span_unmap_charged(heap, span);
	} else if (span_is_mapped(heap, span)) {
		heap_span_unmap_huge(heap, span);
	} else {
		flags = port_lock(&heap->lock);
		heap_span_free_locked(heap, span);
		port_unlock(&heap->lock, flags);
	}
	fix_free(&heap->fix[FIX_MARKS], marks);
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
	pages_add_inuse(&heap_node(heap, span->nodeid)->pages, npages);
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

	to = (uintptr_t)source->get(source, nbytes, nbytes, KSPAN_ARENA_SIZE, gfp,
				    source_node(heap, span->nodeid), &got);
	if (!to)
		return false;
	/* the pages themselves move, and stay on their node */
	if (!pagemap_cover(heap, to, got, true, span->nodeid, gfp)) {
		source->put(source, (void *)to, got);
		return false;
	}
	room = pagemap_arena(heap, to);
	huge_leave(heap, span);
	if (source->move(source, (void *)from, have, (void *)to, got)) {
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

static bool huge_grow(struct kspan_heap *heap, struct kspan_span *span, size_t nbytes)
{
	size_t more = nbytes - pages_to_bytes(span->npages);
	bool ok;

	warm_flush_huge(heap);
	if (!heap->config.source->move || !heap_charge(heap, more, 0))
		return false;
	ok = huge_move(heap, span, nbytes);
	heap_uncharge(heap, more);
	return ok;
}

/* Neither shorter than an arena, where it would not be huge, nor aligned beyond one. */
static bool huge_resize(struct kspan_heap *heap, struct kspan_span *span, size_t npages)
{
	size_t nbytes = huge_bytes(heap, npages), have = pages_to_bytes(span->npages);

	if (npages <= KSPAN_ARENA_PAGES)
		return false;
	if (nbytes > have)
		return huge_grow(heap, span, nbytes);
	if (nbytes < have)
		huge_cut(heap, span, nbytes);
	return true;
}

/* The pages that follow a span; what is warm there is not worth a copy. */
static bool heap_extend(struct kspan_heap *heap, struct kspan_arena *arena, u32 first, u32 npages,
			bool *needzero)
{
	struct kspan_pages *pages = arena_pages(heap, arena);

	if (pages_extend(pages, arena, first, npages, needzero))
		return true;
	if (!heap->warm.npages)
		return false;
	warm_flush_locked(heap);
	return pages_extend(pages, arena, first, npages, needzero);
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
	if (npages > KSPAN_ARENA_PAGES || span->charged)
		return false;
	if (npages > span->npages &&
	    !heap_within_limit(heap, pages_to_bytes(npages - span->npages), 0))
		return false;
	flags = port_lock(&heap->lock);
	heap->large_bytes -= pages_to_bytes(span->npages);
	if (npages > span->npages) {
		ok = heap_may_use(heap, pages_to_bytes(npages - span->npages), 0) &&
		     heap_extend(heap, arena, end, npages - span->npages, &needzero);
		if (ok)
			span->npages = npages;
	} else if (npages < span->npages) {
		pagemap_clear(heap, span);
		pages_add_inuse(arena_pages(heap, arena), npages - span->npages);
		pages_free(arena_pages(heap, arena), arena, end - (span->npages - npages),
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

/* What is known of the object, and only that: outside a checked heap who had it is not. */
static void misuse_report(struct kspan_heap *heap, struct kspan_span *span, const char *what,
			  const void *ptr, uintptr_t caller)
{
	uintptr_t site = debug_site(heap, span, ptr);
	uintptr_t freed = debug_free_site(heap, span, ptr);
	size_t nbytes = pages_to_bytes(span->npages);
	size_t size = span->pclass == KSPAN_PC_LARGE ? nbytes : span->size;

	if (site && freed)
		port_report("%s: %p, span %p+%zu, object size %zu, freed by " PORT_SITE
			    ", allocated by " PORT_SITE ", freed before by " PORT_SITE,
			    what, ptr, (void *)span->start, nbytes, size,
			    (void *)caller, (void *)site, (void *)freed);
	else if (site)
		port_report("%s: %p, span %p+%zu, object size %zu, freed by " PORT_SITE
			    ", allocated by " PORT_SITE, what, ptr, (void *)span->start,
			    nbytes, size, (void *)caller, (void *)site);
	else if (caller)
		port_report("%s: %p, span %p+%zu, object size %zu, freed by " PORT_SITE,
			    what, ptr, (void *)span->start, nbytes, size,
			    (void *)caller);
	else
		port_report("%s: %p, span %p+%zu, object size %zu", what, ptr,
			    (void *)span->start, nbytes, size);
}

/**
 * heap_misuse - report a wrong free
 * @heap: whose
 * @kind: what is wrong
 * @ptr: what was freed
 * @caller: by whom, 0 when it was not seen at the free itself
 *
 * One count, and one report unless there were too many just now; what follows (abort or
 * go on) is the world's choice.
 *
 * Context: any; no lock held.
 */
void heap_misuse(struct kspan_heap *heap, enum kspan_misuse kind, const void *ptr,
		 uintptr_t caller)
{
	struct kspan_span *span = pagemap_find(heap, (uintptr_t)ptr);

	port_add(&heap->nmisuse[kind], 1);
	if (!port_may_report())
		return port_error(heap);
	if (span)
		misuse_report(heap, span, misuse_name[kind], ptr, caller);
	else if (caller)
		port_report("%s: %p, freed by " PORT_SITE, misuse_name[kind], ptr, (void *)caller);
	else
		port_report("%s: %p", misuse_name[kind], ptr);
	debug_report_stacks(heap, ptr);
	port_error(heap);
}

static void heap_init_fix(struct kspan_heap *heap)
{
	u32 i;

	for (i = FIX_SPAN_WORD; i <= FIX_SPAN_BIG; i++)
		fix_init(&heap->fix[i], heap, sizeof(struct kspan_span) +
			 2 * span_words(span_fix_objs[i]) * sizeof(u64), &heap->lock);
	fix_init(&heap->fix[FIX_ARENA], heap, sizeof(struct kspan_arena), NULL);
	fix_init(&heap->fix[FIX_MARKS], heap,
		 KSPAN_PAGE_SIZE / KSPAN_TINY_SIZE * sizeof(u32), NULL);
	fix_init(&heap->fix[FIX_RECORD], heap, debug_records_size(1), NULL);
	fix_init(&heap->fix[FIX_RECORDS_SMALL], heap, debug_records_size(128), NULL);
	fix_init(&heap->fix[FIX_RECORDS_BIG], heap, debug_records_size(KSPAN_MAX_OBJS), NULL);
	fix_init(&heap->fix[FIX_CACHE], heap, objcache_size(heap->nnodes), NULL);
	fix_init(&heap->fix[FIX_TRANSFER], heap, heap->config.transfer_objs * sizeof(void *), NULL);
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
	ss->seen_off = entry * sizeof(u64);
	entry += (ss->nstacks * sizeof(u32) + sizeof(u64) - 1) / sizeof(u64);
	for (c = 0; c < ss->nstacks; c++) {
		base[c] = entry;
		entry += ss->max[c] ? ss->max[c] + 1 : 0;
	}
	ss->base = base;
	ss->slot_bytes = entry * sizeof(u64);
}

/* False: the stacks are more than the top of a stack's word can tell apart. */
static bool heap_init_slots(struct kspan_heap *heap)
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
		heap->max[c] = max;
	}
	heap->slots.nstacks = KSPAN_NR_STACKS;
	heap->slots.off = 0;
	heap->slots.max = heap->max;
	slotset_layout(&heap->slots, heap->base);
	return heap->slots.slot_bytes / sizeof(u64) <= KSPAN_SLOT_TOP;
}

/* Node 0 is part of the heap; what others take is taken when they are met. */
static bool heap_init_nodes(struct kspan_heap *heap)
{
	size_t got, n = heap->nnodes;
	struct kspan_node **node;

	/* there is a node, for the limits, before there is metadata */
	heap->nnodes = 1;
	heap->node = heap->only;
	heap_node_init(heap, &heap->node0, 0);
	heap->node[0] = &heap->node0;
	heap->slots.central = heap->node0.central;
	if (n == 1)
		return true;
	node = heap_meta_get(heap, n * sizeof(*node), GFP_KERNEL, &got);
	if (!node)
		return false;
	port_memset(node, 0, n * sizeof(*node));
	node[0] = &heap->node0;
	heap->node = node;
	heap->nnodes = n;
	return true;
}

/* Give back the free pages of an arena. */
static void heap_put_arena(struct kspan_heap *heap, const struct kspan_arena *arena)
{
	struct kspan_source *source = heap->config.source;
	u32 i, first = KSPAN_ARENA_PAGES;

	for (i = 0; i <= KSPAN_ARENA_PAGES; i++) {
		bool mine = i < KSPAN_ARENA_PAGES && arena->free[i / 64] >> (i % 64) & 1;

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

/* Give everything back: pages of the arenas that are free, then metadata. May sleep. */
static void heap_put_all(struct kspan_heap *heap)
{
	struct kspan_source *source = heap->config.source;
	struct kspan_chunk *chunk = heap->chunks;
	struct kspan_node *node;
	u32 cursor, i;

	heap_for_each_node(heap, node, i)
		for (cursor = 0; cursor < node->pages.n; cursor++) {
			heap_put_arena(heap, node->pages.arena[cursor]);
			port_relax();
		}
	while (chunk) {
		struct kspan_chunk *next = chunk->next;

		heap->sys_bytes -= chunk->nbytes;
		source->put(source, chunk, chunk->nbytes);
		port_relax();
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
	int err;

	if (!source_is_sane(config->source) || !config->stack_objs ||
	    config->stack_objs > KSPAN_SLOT_TOP || config->nr_nodes > KSPAN_MAX_NODES ||
	    (config->nr_nodes > 1 && !config->source->node_of))
		return -EINVAL;
	port_store(&heap->ready, false);
	heap->config = *config;
	port_store(&heap->checked, false);
	port_memset(&heap->debug, 0, sizeof(heap->debug));
	port_lock_init(&heap->debug.quarantine.lock, KSPAN_RANK_META);
	heap->nnodes = config->nr_nodes ? config->nr_nodes : 1;
	if (heap->nnodes > 1)
		heap->config.warm_pages = heap->config.warm_huge_bytes = 0;
	if (!heap->config.apart_bytes)
		heap->config.apart_bytes = KSPAN_MAX_SMALL_SIZE;
	port_memset(&heap->warm, 0, sizeof(heap->warm));
	heap->regions = &kspan_no_regions;
	heap->chunks = NULL;
	heap->sys_bytes = heap->meta_bytes = heap->charged_bytes = 0;
	heap->nlarge_malloc = heap->nlarge_free = heap->large_bytes = 0;
	heap->ngrow = heap->nrelease = heap->nscavenged_bytes = 0;
	heap->cache_nmalloc = heap->cache_nfree = 0;
	heap->ntiny_malloc = heap->ntiny_free = heap->nfail = 0;
	port_memset(heap->nmisuse, 0, sizeof(heap->nmisuse));
	heap->rcu_batch = NULL;
	heap->rcu_done = heap->rcu_want = 0;
	heap->pending = heap->waiting = NULL;
	heap->freeing = 0;
	heap->nfreeing[0] = heap->nfreeing[1] = 0;
	heap->lacking = 0;
	heap->ndeferred = 0;
	port_lock_init(&heap->lock, KSPAN_RANK_HEAP);
	port_mutex_init(&heap->caches_lock);
	port_lock_init(&heap->rcu_lock, KSPAN_RANK_RCU);
	port_list_init(&heap->large);
	port_list_init(&heap->warm.huge);
	port_list_init(&heap->caches);
	heap_init_fix(heap);
	if (!heap_init_slots(heap))
		return -EINVAL;
	err = heap_init_nodes(heap) ? port_slotset_init(&heap->slots, heap, GFP_KERNEL) :
				      -ENOMEM;
	if (err) {
		heap_put_all(heap);
		return err;
	}
	if (config->debug.flags && heap_set_debug(heap, &config->debug)) {
		heap_destroy(heap);
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
 * holds one does no harm: that memory is lost, and listed by heap_leaks(). Object caches
 * that are left are ended.
 *
 * Context: process; sleeps.
 * Return: bytes lost, 0 if every object had been freed.
 */
size_t heap_destroy(struct kspan_heap *heap)
{
	heap_release_memory(heap);
	objcache_end_all(heap);
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
