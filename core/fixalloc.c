// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Fixed-size metadata: spans, arenas, marks. After Go's mfixalloc.go.
 *
 * Chunks come from the heap's page source and go back only when the heap ends,
 * so that a reader without a lock (the free of a wild pointer) may follow a
 * stale pointer to metadata and find metadata, if of something else. Objects
 * are zeroed when they are handed out. See alloc.c.
 */
#include <kspan/heap.h>

#define FIX_CHUNK_MIN	((size_t)16 << 10)
#define FIX_CHUNK_MAX	((size_t)256 << 10)

void fix_init(struct kspan_fix *fix, struct kspan_heap *heap, size_t size)
{
	port_lock_init(&fix->lock, KSPAN_RANK_META);
	fix->heap = heap;
	fix->size = (size + 15) & ~(size_t)15;
	fix->free = NULL;
	fix->bump = NULL;
	fix->end = NULL;
	fix->ninuse = 0;
}

static void *fix_pop(struct kspan_fix *fix)
{
	void *obj = fix->free;

	port_assert_held(&fix->lock);
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
	port_assert_held(&fix->lock);
	*(void **)obj = fix->free;
	fix->free = obj;
}

/* Another caller may have brought a chunk meanwhile: keep the rest of both. */
static void fix_add_chunk(struct kspan_fix *fix, char *chunk, size_t nbytes)
{
	port_assert_held(&fix->lock);
	while ((size_t)(fix->end - fix->bump) >= fix->size) {
		fix_push(fix, fix->bump);
		fix->bump += fix->size;
	}
	fix->bump = chunk;
	fix->end = chunk + nbytes;
}

/* An eighth of the metadata so far, so that a large heap asks seldom. */
static size_t fix_chunk_size(struct kspan_fix *fix)
{
	size_t nbytes = port_load(&fix->heap->meta_bytes) / 8;

	if (nbytes < FIX_CHUNK_MIN)
		nbytes = FIX_CHUNK_MIN;
	if (nbytes > FIX_CHUNK_MAX)
		nbytes = FIX_CHUNK_MAX;
	if (nbytes < 2 * fix->size)
		nbytes = 2 * fix->size;
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
	unsigned long flags = port_lock(&fix->lock);
	void *obj = fix_pop(fix);

	while (!obj) {
		size_t nbytes;
		char *chunk;

		port_unlock(&fix->lock, flags);
		chunk = heap_meta_get(fix->heap, fix_chunk_size(fix), gfp, &nbytes);
		if (!chunk && fix_chunk_size(fix) > FIX_CHUNK_MIN)
			chunk = heap_meta_get(fix->heap,
					      pages_to_bytes(bytes_to_pages(fix->size + 64)),
					      gfp, &nbytes);
		if (!chunk)
			return NULL;
		flags = port_lock(&fix->lock);
		fix_add_chunk(fix, chunk, nbytes);
		obj = fix_pop(fix);
	}
	fix->ninuse++;
	port_unlock(&fix->lock, flags);
	port_memset(obj, 0, fix->size);
	return obj;
}

void fix_free(struct kspan_fix *fix, void *obj)
{
	unsigned long flags;

	if (!obj)
		return;
	flags = port_lock(&fix->lock);
	fix_push(fix, obj);
	fix->ninuse--;
	port_unlock(&fix->lock, flags);
}
