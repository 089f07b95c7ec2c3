// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Reserves: objects that were allocated beforehand, so that taking one cannot
 * fail. After SLUB's prefilled sheaves. And the functions that the kernel's
 * mempools want. See alloc.c.
 */
#include <kspan/heap.h>

/**
 * struct kspan_reserve - objects at hand; an object of the heap itself
 * @cache: the objects' cache, or NULL
 * @size: bytes of an object
 * @cap: objects there is room for
 * @n: objects there are
 * @objs: the objects
 */
struct kspan_reserve {
	struct kspan_cache *cache;
	size_t size;
	size_t cap;
	size_t n;
	void *objs[];
};

/* An empty reserve with room for @cap objects. */
static struct kspan_reserve *reserve_new(struct kspan_cache *cache, size_t size, gfp_t flags,
					 size_t cap)
{
	struct kspan_reserve *reserve;
	size_t nbytes;

	if (__builtin_mul_overflow(cap, sizeof(reserve->objs[0]), &nbytes) ||
	    __builtin_add_overflow(nbytes, sizeof(*reserve), &nbytes))
		return heap_fail(&kspan_heap0, ENOMEM);
	reserve = kspan_alloc(nbytes, flags & ~__GFP_ZERO);
	if (!reserve)
		return NULL;
	reserve->cache = cache;
	reserve->size = size;
	reserve->cap = cap;
	reserve->n = 0;
	return reserve;
}

/* Have @n objects in it, for which there is room. False: no memory, nothing changed. */
static bool reserve_fill(struct kspan_reserve *reserve, gfp_t flags, size_t n)
{
	void **objs = reserve->objs + reserve->n;
	size_t want = n > reserve->n ? n - reserve->n : 0, got;

	if (!want)
		return true;
	flags &= ~__GFP_ZERO;
	got = reserve->cache ? kspan_cache_alloc_bulk(reserve->cache, flags, want, objs) :
			       kspan_alloc_bulk(reserve->size, flags, want, objs);
	reserve->n += got;
	return got == want;
}

static struct kspan_reserve *reserve_make(struct kspan_cache *cache, size_t size, gfp_t flags,
					  size_t n)
{
	struct kspan_reserve *reserve = reserve_new(cache, size, flags, n);

	if (reserve && !reserve_fill(reserve, flags, n)) {
		kspan_free(reserve);
		return NULL;
	}
	return reserve;
}

/**
 * kspan_reserve_prefill - have objects at hand
 * @size: bytes of each, not 0
 * @flags: as kspan_alloc(); __GFP_ZERO counts for kspan_reserve_alloc() only
 * @n: how many
 *
 * The reserve is its caller's: of the functions on one reserve one runs at a time.
 *
 * Context: as kspan_alloc().
 * Return: the reserve, with @n objects in it; NULL when there is no memory for all.
 */
struct kspan_reserve *kspan_reserve_prefill(size_t size, gfp_t flags, size_t n)
{
	if (!size)
		return heap_fail(&kspan_heap0, EINVAL);
	return reserve_make(NULL, size, flags, n);
}

/**
 * kspan_cache_reserve_prefill - have objects of a cache at hand
 * @cache: which; it must not be destroyed before the reserve is returned
 * @flags: as kspan_reserve_prefill()
 * @n: how many
 *
 * Context: as kspan_reserve_prefill().
 * Return: as kspan_reserve_prefill().
 */
struct kspan_reserve *kspan_cache_reserve_prefill(struct kspan_cache *cache, gfp_t flags,
						  size_t n)
{
	return reserve_make(cache, 0, flags, n);
}

/**
 * kspan_reserve_refill - have objects at hand again
 * @reserve: the reserve, not NULL; a larger one replaces it where @n needs one
 * @flags: as for its prefill
 * @n: how many there shall be, at least
 *
 * Context: as kspan_alloc().
 * Return: 0; -ENOMEM when there is no memory for all: the reserve is as it was.
 */
int kspan_reserve_refill(struct kspan_reserve **reserve, gfp_t flags, size_t n)
{
	struct kspan_reserve *old = *reserve, *new;

	if (n <= old->cap)
		return reserve_fill(old, flags, n) ? 0 : -ENOMEM;
	new = reserve_new(old->cache, old->size, flags, n);
	if (!new)
		return -ENOMEM;
	port_memcpy(new->objs, old->objs, old->n * sizeof(old->objs[0]));
	new->n = old->n;
	if (!reserve_fill(new, flags, n)) {
		kspan_free(new);
		return -ENOMEM;
	}
	kspan_free(old);
	*reserve = new;
	return 0;
}

/**
 * kspan_reserve_alloc - take an object that is at hand
 * @reserve: from this
 * @flags: of them only __GFP_ZERO counts; not for a cache with constructor
 *
 * Context: any, NMI and signal handlers included; no lock is taken.
 * Return: the object, to be freed like any other; NULL when the reserve is used up,
 * and never before.
 */
void *kspan_reserve_alloc(struct kspan_reserve *reserve, gfp_t flags)
{
	void *obj;

	if (!reserve->n)
		return NULL;
	obj = reserve->objs[--reserve->n];
	if (flags & __GFP_ZERO)
		port_memset(obj, 0, reserve->cache ? kspan_size(obj) : reserve->size);
	return obj;
}

/**
 * kspan_reserve_count - how many objects are at hand
 * @reserve: the reserve
 *
 * Context: as kspan_reserve_alloc().
 * Return: so many calls of kspan_reserve_alloc() cannot fail.
 */
size_t kspan_reserve_count(const struct kspan_reserve *reserve)
{
	return reserve->n;
}

/**
 * kspan_reserve_return - end a reserve and free what is left in it
 * @reserve: the reserve; NULL is nothing
 *
 * Context: as kspan_free().
 */
void kspan_reserve_return(struct kspan_reserve *reserve)
{
	if (!reserve)
		return;
	if (reserve->cache)
		kspan_cache_free_bulk(reserve->cache, reserve->n, reserve->objs);
	else
		kspan_free_bulk(reserve->n, reserve->objs);
	kspan_free(reserve);
}

/**
 * kspan_mempool_alloc - for mempool_create(): an object of a cache
 * @flags: as kspan_cache_alloc()
 * @pool_data: the struct kspan_cache
 *
 * Context: as kspan_cache_alloc().
 * Return: as kspan_cache_alloc().
 */
void *kspan_mempool_alloc(gfp_t flags, void *pool_data)
{
	return kspan_cache_alloc(pool_data, flags);
}

/**
 * kspan_mempool_free - for mempool_create(): free what kspan_mempool_alloc() gave
 * @element: the object
 * @pool_data: the struct kspan_cache
 *
 * Context: as kspan_cache_free().
 */
void kspan_mempool_free(void *element, void *pool_data)
{
	kspan_cache_free(pool_data, element);
}

/**
 * kspan_mempool_alloc_sized - for mempool_create(): an object of a size
 * @flags: as kspan_alloc()
 * @pool_data: the size, as a pointer
 *
 * Context: as kspan_alloc().
 * Return: as kspan_alloc().
 */
void *kspan_mempool_alloc_sized(gfp_t flags, void *pool_data)
{
	return kspan_alloc((size_t)pool_data, flags);
}

/**
 * kspan_mempool_free_sized - for mempool_create(): the other half of that
 * @element: the object
 * @pool_data: the size, as a pointer
 *
 * Context: as kspan_free().
 */
void kspan_mempool_free_sized(void *element, void *pool_data)
{
	kspan_free_sized(element, (size_t)pool_data);
}
