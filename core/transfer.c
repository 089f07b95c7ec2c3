// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The transfer caches: for each central list an array of free objects on their
 * way from one stack to another. A full stack leaves a batch there and an empty
 * one takes it up, with one copy and no look at the objects' spans: that is
 * what makes objects that one CPU allocates and another frees cheap, and large
 * batches on a single CPU. What nobody wants for an epoch goes to the spans
 * (scavenge.c), so that idle memory still comes back.
 *
 * How much one may hold follows the need, so that a program which only frees
 * does not leave its objects there: it begins with a batch, doubles
 * when a stack finds nothing after there had been no room for what another gave
 * up, and loses what lay idle.
 *
 * After tcmalloc's transfer cache, and the depot of Bonwick and Adams,
 * Magazines and Vmem (USENIX 2001). See alloc.c.
 */
#include <kspan/heap.h>

#define FIRST_MAX	64	/* objects that there may be at first: a batch */
#define CACHES		8	/* of how many CPUs' caches the bytes may be here */

/* Objects that the array has room for. */
static u32 transfer_room(const struct kspan_central *central)
{
	const struct kspan_config *config = &central->heap->config;
	size_t n, nbytes = config->transfer_bytes;

	if (nbytes > config->cache_bytes * CACHES)
		nbytes = config->cache_bytes * CACHES;
	n = nbytes / central->size;
	return n < config->transfer_objs ? n : config->transfer_objs;
}

/* Have an array, and use @max entries of it at first; false: do without. */
static bool transfer_make(struct kspan_central *central, u32 max)
{
	struct kspan_fix *fix = &central->heap->fix[FIX_TRANSFER];
	unsigned long flags;
	void *array;

	/* with several nodes each has its own objects back, from their spans */
	if (central->heap->nnodes > 1 || !transfer_room(central))
		return false;
	array = fix_alloc(fix, GFP_NOWAIT | __GFP_NOWARN);
	if (!array)
		return false;
	flags = port_lock(&central->lock);
	if (!central->transfer) {
		if (max > FIRST_MAX)
			max = FIRST_MAX;
		if (max > transfer_room(central))
			max = transfer_room(central);
		central->transfer_max = max;
		port_store(&central->transfer, array);
		array = NULL;
	}
	port_unlock(&central->lock, flags);
	fix_free(fix, array);
	return true;
}

/* A stack found nothing: there should have been room for what others gave up. */
static void transfer_missed(struct kspan_central *central)
{
	unsigned long flags = port_lock(&central->lock);
	u32 max = central->transfer_max * 2, room = transfer_room(central);

	if (central->transfer_over)
		central->transfer_max = max < room ? max : room;
	port_store(&central->transfer_over, false);
	port_unlock(&central->lock, flags);
}

/* @n objects are gone from the end. */
static void transfer_took(struct kspan_central *central, u32 n)
{
	port_assert_held(&central->lock);
	port_store(&central->ntransfer, central->ntransfer - n);
	if (central->transfer_low > central->ntransfer)
		central->transfer_low = central->ntransfer;
	central->nrefill++;
}

/**
 * transfer_refill - fill a stack that was empty with what others gave up
 * @ss: its slotset
 * @central: the stack's central list
 * @n: how many objects at most
 *
 * Context: no lock held.
 * Return: one more object, for the caller; NULL when there was none.
 */
void *transfer_refill(struct kspan_slotset *ss, struct kspan_central *central, u32 n)
{
	unsigned long flags;
	void *obj = NULL, **objs;
	u32 put;

	if (!port_load(&central->ntransfer)) {
		if (port_load(&central->transfer_over))
			transfer_missed(central);
		return NULL;
	}
	flags = port_lock(&central->lock);
	if (n > central->ntransfer)
		n = central->ntransfer;
	if (n) {
		objs = central->transfer + central->ntransfer - n;
		obj = objs[--n];
		put = port_slot_fill(ss, central->stack, objs, n);
		if (put < n)	/* the others close the gap */
			port_memmove(objs, objs + put, (n - put) * sizeof(*objs));
		transfer_took(central, put + 1);
	}
	port_unlock(&central->lock, flags);
	return obj;
}

/**
 * transfer_flush - take objects off a stack that is full
 * @ss: its slotset
 * @central: the stack's central list; not the tiny one, whose stack has more than
 *	free objects
 * @n: how many
 *
 * Context: no lock held.
 * Return: how many it took; 0 when there is no room, or the stack is empty.
 */
u32 transfer_flush(struct kspan_slotset *ss, struct kspan_central *central, u32 n)
{
	unsigned long flags;

	if (!port_load(&central->transfer) && !transfer_make(central, ss->max[central->stack]))
		return 0;
	flags = port_lock(&central->lock);
	if (n <= central->transfer_max - central->ntransfer) {
		n = port_slot_drain(ss, central->stack,
				    central->transfer + central->ntransfer, n);
		port_store(&central->ntransfer, central->ntransfer + n);
		central->nflush += n != 0;
	} else {
		port_store(&central->transfer_over, true);
		n = 0;
	}
	port_unlock(&central->lock, flags);
	return n;
}

/**
 * transfer_give - take what a caller frees who has many
 * @ss: the slotset of their stack
 * @central: as for transfer_flush()
 * @objs: the objects
 * @n: how many
 *
 * Context: no lock held.
 * Return: how many it took, from the first on.
 */
u32 transfer_give(struct kspan_slotset *ss, struct kspan_central *central, void **objs, u32 n)
{
	unsigned long flags;
	u32 room;

	if (!port_load(&central->transfer) && !transfer_make(central, ss->max[central->stack]))
		return 0;
	flags = port_lock(&central->lock);
	room = central->transfer_max - central->ntransfer;
	if (n > room) {
		port_store(&central->transfer_over, true);
		n = room;
	}
	port_memcpy(central->transfer + central->ntransfer, objs, n * sizeof(*objs));
	port_store(&central->ntransfer, central->ntransfer + n);
	central->nflush += n != 0;
	port_unlock(&central->lock, flags);
	return n;
}

/**
 * transfer_take - take objects for a caller who wants many
 * @central: of which list
 * @objs: where to put them
 * @n: how many at most
 *
 * Context: no lock held.
 * Return: how many there were.
 */
u32 transfer_take(struct kspan_central *central, void **objs, u32 n)
{
	unsigned long flags;

	if (!n)
		return 0;
	if (port_load(&central->ntransfer) < n && port_load(&central->transfer_over))
		transfer_missed(central);
	if (!port_load(&central->ntransfer))
		return 0;
	flags = port_lock(&central->lock);
	if (n > central->ntransfer)
		n = central->ntransfer;
	port_memcpy(objs, central->transfer + central->ntransfer - n, n * sizeof(*objs));
	if (n)
		transfer_took(central, n);
	port_unlock(&central->lock, flags);
	return n;
}

/* Take out up to @n objects that nobody wanted since the last look. */
static u32 transfer_take_idle(struct kspan_central *central, void **objs, u32 n)
{
	unsigned long flags = port_lock(&central->lock);

	if (n > central->transfer_low)
		n = central->transfer_low;
	central->transfer_low -= n;
	port_store(&central->ntransfer, central->ntransfer - n);
	port_memcpy(objs, central->transfer, n * sizeof(*objs));
	port_memmove(central->transfer, central->transfer + n,
		     central->ntransfer * sizeof(*objs));
	port_unlock(&central->lock, flags);
	return n;
}

/*
 * @nidle objects that lay idle are gone: there need be no room for half of them. Stays
 * above 0, to double from there, and at what is left.
 */
static void transfer_lower(struct kspan_central *central, u32 nidle)
{
	u32 less = nidle / 2, half = central->transfer_max / 2;
	u32 room = central->transfer_max - central->ntransfer;

	port_assert_held(&central->lock);
	if (less > half)
		less = half;
	central->transfer_max -= less < room ? less : room;
}

/**
 * transfer_age - have idle objects go to their spans
 * @central: of which list
 * @all: all objects, not only those that nobody wanted since the last call
 *
 * Of several at a time each counts as idle what it takes out itself.
 *
 * Context: no lock held.
 * Return: how many are left.
 */
u32 transfer_age(struct kspan_central *central, bool all)
{
	void *objs[64];
	unsigned long flags;
	u32 n, nidle, took = 0;

	if (!port_load(&central->ntransfer))
		return 0;
	flags = port_lock(&central->lock);
	nidle = central->transfer_low;
	if (all)
		central->transfer_low = central->ntransfer;
	port_unlock(&central->lock, flags);
	while ((n = transfer_take_idle(central, objs, 64)) != 0) {
		central_put(central->heap, objs, n, 0);
		took += n;
	}
	flags = port_lock(&central->lock);
	transfer_lower(central, took < nidle ? took : nidle);
	n = central->transfer_low = central->ntransfer;
	port_unlock(&central->lock, flags);
	return n;
}

/* Give up the array of a central list that ends, empty. */
void transfer_destroy(struct kspan_central *central)
{
	fix_free(&central->heap->fix[FIX_TRANSFER], central->transfer);
	central->transfer = NULL;
}
