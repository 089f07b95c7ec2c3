// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Fixed-size metadata: spans, arenas, marks. After Go's mfixalloc.go.
 *
 * Chunks come from the heap's page source and go back only when the heap ends,
 * so that a reader without a lock (the free of a wild pointer) may follow a
 * stale pointer to metadata and find metadata, if of something else. What the
 * system can have earlier is the memory under chunks without an object, where the
 * source can give it back and keep the addresses: they read as zero then. Objects
 * are zeroed when they are handed out. See alloc.c.
 */
#include <kspan/heap.h>

/**
 * struct kspan_fix_chunk - what ends a chunk, so that its objects begin where it does
 * @next: of the fix's, with objects or without
 * @first: first object
 * @nobjs: how many there are
 * @nfree: fix_trim()'s
 */
struct kspan_fix_chunk {
	struct kspan_fix_chunk *next;
	char *first;
	u32 nobjs;
	u32 nfree;
};

#define CHUNK_TAIL	sizeof(struct kspan_fix_chunk)

#define FIX_CHUNK_MIN	((size_t)16 << 10)
#define FIX_CHUNK_MAX	((size_t)256 << 10)
#define FIX_TRIM_MIN	((size_t)512 << 10)	/* free bytes that are worth a look */

/* @lock: what protects it, if not a lock of its own. */
void fix_init(struct kspan_fix *fix, struct kspan_heap *heap, size_t size, port_lock_t *lock)
{
	port_lock_init(&fix->own, KSPAN_RANK_META);
	fix->lock = lock ? lock : &fix->own;
	fix->heap = heap;
	fix->size = (size + 15) & ~(size_t)15;
	fix->free = NULL;
	fix->bump = NULL;
	fix->end = NULL;
	fix->chunks = NULL;
	fix->empty = NULL;
	fix->nobjs = 0;
	fix->ninuse = 0;
}

static char *chunk_end(const struct kspan_fix *fix, const struct kspan_fix_chunk *chunk)
{
	return chunk->first + chunk->nobjs * fix->size;
}

/* Objects come from @chunk next, one after the other. */
static void fix_use_chunk(struct kspan_fix *fix, struct kspan_fix_chunk *chunk)
{
	port_assert_held(fix->lock);
	chunk->next = fix->chunks;
	fix->chunks = chunk;
	fix->bump = chunk->first;
	fix->end = chunk_end(fix, chunk);
	fix->nobjs += chunk->nobjs;
}

static void *fix_pop(struct kspan_fix *fix)
{
	struct kspan_fix_chunk *empty = fix->empty;
	void *obj = fix->free;

	port_assert_held(fix->lock);
	if (!obj && empty && (size_t)(fix->end - fix->bump) < fix->size) {
		fix->empty = empty->next;
		fix_use_chunk(fix, empty);
	}
	if (obj) {
		fix->free = *(void **)obj;
	} else if ((size_t)(fix->end - fix->bump) >= fix->size) {
		obj = fix->bump;
		fix->bump += fix->size;
	}
	return obj;
}

static void fix_push(struct kspan_fix *fix, void *obj)
{
	port_assert_held(fix->lock);
	*(void **)obj = fix->free;
	fix->free = obj;
}

/**
 * fix_take - a piece of metadata that is at hand
 * @fix: of this size; its lock is held
 *
 * Return: the object, not zeroed; NULL: fix_alloc() may find one.
 */
void *fix_take(struct kspan_fix *fix)
{
	void *obj = fix_pop(fix);

	fix->ninuse += obj != NULL;
	return obj;
}

/* As fix_free(), of an object, with the lock held. */
void fix_give(struct kspan_fix *fix, void *obj)
{
	fix_push(fix, obj);
	fix->ninuse--;
}

/* Another caller may have brought a chunk meanwhile: keep the rest of both. */
static void fix_add_chunk(struct kspan_fix *fix, char *mem, size_t nbytes)
{
	struct kspan_fix_chunk *chunk = (void *)(mem + nbytes - CHUNK_TAIL);

	port_assert_held(fix->lock);
	while ((size_t)(fix->end - fix->bump) >= fix->size) {
		fix_push(fix, fix->bump);
		fix->bump += fix->size;
	}
	chunk->first = mem;
	chunk->nobjs = (nbytes - CHUNK_TAIL) / fix->size;
	fix_use_chunk(fix, chunk);
}

/* A sixteenth of the metadata so far, so that a large heap asks seldom. */
static size_t fix_chunk_size(struct kspan_fix *fix)
{
	size_t nbytes = port_load(&fix->heap->meta_bytes) / 16;

	if (nbytes < FIX_CHUNK_MIN)
		nbytes = FIX_CHUNK_MIN;
	if (nbytes > FIX_CHUNK_MAX)
		nbytes = FIX_CHUNK_MAX;
	if (nbytes < 2 * fix->size + CHUNK_TAIL)
		nbytes = 2 * fix->size + CHUNK_TAIL;
	return pages_to_bytes(bytes_to_pages(nbytes));
}

/**
 * fix_alloc - a zeroed piece of metadata
 * @fix: of this size
 * @gfp: may it sleep
 *
 * Context: no lock held that ranks after KSPAN_RANK_META; none at all when
 * @gfp allows sleeping.
 * Return: the object, or NULL when the source has no pages.
 */
void *fix_alloc(struct kspan_fix *fix, gfp_t gfp)
{
	unsigned long flags = port_lock(fix->lock);
	void *obj = fix_pop(fix);

	while (!obj) {
		size_t nbytes;
		char *mem;

		port_unlock(fix->lock, flags);
		mem = heap_meta_get(fix->heap, fix_chunk_size(fix), gfp, &nbytes);
		if (!mem && fix_chunk_size(fix) > FIX_CHUNK_MIN)
			mem = heap_meta_get(fix->heap, fix->size + CHUNK_TAIL, gfp, &nbytes);
		if (!mem)
			return NULL;
		flags = port_lock(fix->lock);
		fix_add_chunk(fix, mem, nbytes);
		obj = fix_pop(fix);
	}
	fix->ninuse++;
	port_unlock(fix->lock, flags);
	port_memset(obj, 0, fix->size);
	return obj;
}

void fix_free(struct kspan_fix *fix, void *obj)
{
	unsigned long flags;

	if (!obj)
		return;
	flags = port_lock(fix->lock);
	fix_give(fix, obj);
	port_unlock(fix->lock, flags);
}

static bool chunk_has(const struct kspan_fix *fix, const struct kspan_fix_chunk *chunk,
		      const char *obj)
{
	return obj >= chunk->first && obj < chunk_end(fix, chunk);
}

/* The chunk that @obj lies in: there is one; mostly @last, that of the object before. */
static struct kspan_fix_chunk *chunk_of(const struct kspan_fix *fix,
					struct kspan_fix_chunk *chunks,
					struct kspan_fix_chunk *last, const char *obj)
{
	struct kspan_fix_chunk *chunk = chunks;

	if (chunk_has(fix, last, obj))
		return last;
	while (!chunk_has(fix, chunk, obj))
		chunk = chunk->next;
	return chunk;
}

/* Count the objects of @list by their chunk. */
static void chunks_count(const struct kspan_fix *fix, struct kspan_fix_chunk *chunks,
			 void *list)
{
	struct kspan_fix_chunk *chunk;
	void *obj;

	for (chunk = chunks; chunk; chunk = chunk->next)
		chunk->nfree = 0;
	chunk = chunks;
	for (obj = list; obj; obj = *(void **)obj) {
		chunk = chunk_of(fix, chunks, chunk, obj);
		chunk->nfree++;
	}
}

/* Put back those of @list whose chunk has other objects. The lock is held. */
static void fix_put_back(struct kspan_fix *fix, struct kspan_fix_chunk *chunks, void *list)
{
	struct kspan_fix_chunk *chunk = chunks;
	void *obj, *next;

	for (obj = list; obj; obj = next) {
		next = *(void **)obj;
		chunk = chunk_of(fix, chunks, chunk, obj);
		if (chunk->nfree != chunk->nobjs)
			fix_push(fix, obj);
	}
}

/* Take the chunks without objects out of the list of those that have some. */
static struct kspan_fix_chunk *fix_take_empty(struct kspan_fix *fix,
					      struct kspan_fix_chunk *chunks)
{
	struct kspan_fix_chunk **link = &fix->chunks, *chunk, *empty = NULL;

	port_assert_held(fix->lock);
	/* newer ones were not looked at */
	while (*link != chunks)
		link = &(*link)->next;
	while ((chunk = *link) != NULL) {
		if (chunk->nfree != chunk->nobjs) {
			link = &chunk->next;
			continue;
		}
		*link = chunk->next;
		chunk->next = empty;
		empty = chunk;
		fix->nobjs -= chunk->nfree;
	}
	return empty;
}

/* Give back the whole pages under a chunk's objects. */
static size_t chunk_release(struct kspan_fix *fix, struct kspan_fix_chunk *chunk)
{
	struct kspan_source *source = fix->heap->config.source;
	size_t unit = source->unit;
	uintptr_t from = ((uintptr_t)chunk->first + unit - 1) & ~(unit - 1);
	uintptr_t to = (uintptr_t)chunk_end(fix, chunk) & ~(unit - 1);

	if (from >= to || !source->release(source, (void *)from, to - from))
		return 0;
	return to - from;
}

/**
 * fix_trim - give back memory of chunks that have no object
 * @fix: which; nothing happens if there is little to be had
 *
 * Context: no lock held; the source must have release(). One caller at a time.
 * Return: bytes given back.
 */
size_t fix_trim(struct kspan_fix *fix)
{
	unsigned long flags = port_lock(fix->lock);
	struct kspan_fix_chunk *chunks = fix->chunks, *chunk, *empty;
	void *list = NULL;
	size_t nbytes = 0;

	if ((fix->nobjs - fix->ninuse) * fix->size >= FIX_TRIM_MIN &&
	    fix->ninuse < fix->nobjs / 2) {
		list = fix->free;
		fix->free = NULL;
	}
	port_unlock(fix->lock, flags);
	if (!list)
		return 0;
	chunks_count(fix, chunks, list);
	flags = port_lock(fix->lock);
	fix_put_back(fix, chunks, list);
	empty = fix_take_empty(fix, chunks);
	port_unlock(fix->lock, flags);
	while ((chunk = empty) != NULL) {
		empty = chunk->next;
		nbytes += chunk_release(fix, chunk);
		flags = port_lock(fix->lock);
		chunk->next = fix->empty;
		fix->empty = chunk;
		port_unlock(fix->lock, flags);
	}
	return nbytes;
}
