// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The CPUs' caches: how a stack is filled when it is empty, flushed when it is
 * full, and how large it may become. After Go's mcache.go; the stacks are
 * arrays of pointers as in tcmalloc's and SLUB's per-CPU layers.
 *
 * A stack starts small and grows by half at each miss, inside a budget of
 * bytes per CPU; when that is used up it takes capacity from the next stack in
 * turn, so that capacity follows the misses. See alloc.c.
 */
#include <kspan/heap.h>

#define BATCH		64	/* objects that move at once: a word of a bitmap */
#define FIRST_CAPACITY	8

/* Bytes of the objects on stack @c of a heap's slotset. */
static u32 stack_bytes_each(struct kspan_central *central, u32 c)
{
	if (central->cache)
		return central->size;
	return central->heap->central[0][c].size;
}

/*
 * Lower other stacks' limits until @nbytes of the budget are free or enough
 * were asked. What they hold above their new limit goes at their next flush.
 */
static void slot_steal(struct kspan_slotset *ss, struct kspan_slot *slot,
		       struct kspan_central *central, size_t nbytes)
{
	u32 tries;
	size_t found = 0;

	for (tries = 0; tries < ss->nstacks && found < nbytes; tries++) {
		u32 c = port_load(&slot->hand) % ss->nstacks;
		u32 limit = port_load(slot_limit(ss, slot, c));
		u32 give, each;

		port_store(&slot->hand, c + 1);
		if (c == central->stack || limit <= ss->base[c])
			continue;
		give = (limit - ss->base[c] + 1) / 2;
		each = stack_bytes_each(central, c);
		port_store(slot_limit(ss, slot, c), limit - give);
		port_add(&slot->budget_used, -(give * each));
		found += give * each;
	}
}

/*
 * After a miss: let the stack of this CPU hold more. A hint of the slot is
 * good enough: at worst another CPU's stack grows.
 *
 * Returns how many objects to move.
 */
static u32 cache_grow_stack(struct kspan_slotset *ss, struct kspan_central *central)
{
	u32 c = central->stack, cap, add, used;
	struct kspan_slot *slot = port_slot_this(ss);
	const size_t budget = central->heap->config.cache_bytes;

	if (!ss->max[c] || slot->closed)
		return 1;
	if (!(port_load(&slot->word[c]) & KSPAN_SLOT_TOP)) {
		port_slot_open(ss, c);
		slot = port_slot_this(ss);
		if (slot->closed || !(port_load(&slot->word[c]) & KSPAN_SLOT_TOP))
			return 1;	/* moved to another CPU: its turn comes */
	}
	cap = port_load(slot_limit(ss, slot, c));
	cap = cap ? cap - ss->base[c] : 0;
	add = cap ? (cap + 1) / 2 : FIRST_CAPACITY;
	if (cap + add > ss->max[c])
		add = ss->max[c] - cap;
	if (add) {
		used = port_load(&slot->budget_used);
		if (used + (size_t)add * central->size > budget)
			slot_steal(ss, slot, central, used + add * central->size - budget);
		port_add(&slot->budget_used, add * central->size);
		cap += add;
		port_store(slot_limit(ss, slot, c), ss->base[c] + cap);
	}
	return cap / 2 < 1 ? 1 : cap / 2 > BATCH ? BATCH : cap / 2;
}

/**
 * cache_refill - an object for a caller whose stack was empty
 * @ss: slots to refill
 * @central: where objects come from
 * @gfp: may it sleep
 * @caller: for whom
 *
 * A batch is taken; the lowest object goes to the caller, the rest on the
 * stack so that they come off by ascending address.
 *
 * Context: no lock held.
 * Return: the object or NULL.
 */
void *cache_refill(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		   uintptr_t caller)
{
	u32 i, put, n = cache_grow_stack(ss, central);
	void *objs[BATCH];

	n = central_take(central, objs, n, gfp, caller);
	if (!n)
		return NULL;
	port_add(&central->ndirect, 1);
	for (i = 0; i < n / 2; i++) {
		void *tmp = objs[i];

		objs[i] = objs[n - 1 - i];
		objs[n - 1 - i] = tmp;
	}
	put = port_slot_fill(ss, central->stack, objs, n - 1);
	if (put < n - 1)
		central_put(central->heap, objs + put, n - 1 - put, caller);
	return objs[n - 1];
}

/* What leaves a stack goes to the spans; of tiny blocks, those that are free. */
static void cache_put(struct kspan_heap *heap, bool tiny, void **objs, u32 n,
		      uintptr_t caller)
{
	if (tiny)
		n = tiny_retire(heap, objs, n);
	central_put(heap, objs, n, caller);
}

/**
 * cache_flush - free an object whose stack is full
 * @ss: slots to flush
 * @central: the object's, or one of the same stack
 * @obj: the object
 * @caller: by whom
 *
 * The stack may grow, half of it goes to the spans at once, and the object
 * takes the room if it is still there.
 *
 * Context: no lock held.
 */
void cache_flush(struct kspan_slotset *ss, struct kspan_central *central, void *obj,
		 uintptr_t caller)
{
	bool tiny = central->pclass == KSPAN_PC_TINY;
	u32 n = cache_grow_stack(ss, central);
	void *objs[BATCH + 1];

	if (port_slot_push(ss, central->stack, obj))
		return;
	n = port_slot_drain(ss, central->stack, objs, n);
	if (!n || !port_slot_push(ss, central->stack, obj))
		objs[n++] = obj;
	cache_put(central->heap, tiny, objs, n, caller);
}

/**
 * cache_alloc_bulk - many objects at once
 * @ss: slots to take from first
 * @central: where the rest comes from
 * @gfp: may it sleep
 * @n: how many
 * @objs: where to put them
 * @caller: for whom
 *
 * Context: no lock held.
 * Return: how many there were memory for.
 */
u32 cache_alloc_bulk(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		     u32 n, void **objs, uintptr_t caller)
{
	u32 got = port_slot_drain(ss, central->stack, objs, n);

	while (got < n) {
		u32 took = central_take(central, objs + got, n - got, gfp, caller);

		if (!took)
			break;
		got += took;
	}
	port_add(&central->ndirect, got);
	return got;
}

/**
 * cache_drain_slot - empty a slot that its owner does not use
 * @heap: its heap
 * @ss: its slotset
 * @slot: frozen, of a dead CPU, or of a thread that ends
 *
 * Its counters and limits stay.
 *
 * Context: no spinlock held.
 */
void cache_drain_slot(struct kspan_heap *heap, struct kspan_slotset *ss,
		      struct kspan_slot *slot)
{
	void *objs[BATCH];
	u32 c, n;

	for (c = 0; c < ss->nstacks; c++) {
		bool tiny = ss->nstacks > 1 && c == KSPAN_STACK_TINY;

		while ((n = slot_drain(ss, slot, c, objs, BATCH)) != 0)
			cache_put(heap, tiny, objs, n, 0);
	}
}

/**
 * cache_drain - empty all slots of a slotset
 * @heap: its heap
 * @ss: which
 *
 * Context: process; sleeps.
 */
void cache_drain(struct kspan_heap *heap, struct kspan_slotset *ss)
{
	u32 i;

	port_slots_freeze(ss);
	for (i = 0; i < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);

		if (slot)
			cache_drain_slot(heap, ss, slot);
	}
	port_slots_thaw(ss);
}

/* A number that changes with every use of the slot; *@n: objects on its stacks. */
static u64 slot_look(struct kspan_slotset *ss, struct kspan_slot *slot, u32 *n)
{
	u64 sum = 1;
	u32 c;

	*n = 0;
	for (c = 0; c < ss->nstacks; c++) {
		sum = sum * 31 + port_load(&slot->word[c]);
		*n += slot_count(ss, slot, c);
	}
	return sum;
}

/* Whether any slot has objects and was not used since the last call. */
static bool slots_have_idle(struct kspan_slotset *ss)
{
	u32 i, n;

	for (i = 0; i < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);

		if (slot && slot_look(ss, slot, &n) == slot->seen && n)
			return true;
	}
	return false;
}

/**
 * cache_drain_idle - empty the slots that were not used since the last call
 * @heap: their heap
 * @ss: which slotset
 *
 * Context: process; sleeps. One caller at a time.
 * Return: whether there are objects left in slots, to look at again.
 */
bool cache_drain_idle(struct kspan_heap *heap, struct kspan_slotset *ss)
{
	bool idle = slots_have_idle(ss), left = false;
	u32 i, n;

	if (idle)
		port_slots_freeze(ss);
	for (i = 0; i < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);
		u64 sum;

		if (!slot)
			continue;
		sum = slot_look(ss, slot, &n);
		if (idle && n && sum == slot->seen) {
			cache_drain_slot(heap, ss, slot);
			sum = slot_look(ss, slot, &n);
		}
		slot->seen = sum;
		left |= n != 0;
	}
	if (idle)
		port_slots_thaw(ss);
	return left;
}
