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
#define STACK_MIN	2	/* objects that a stack may hold whatever the budget */

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
		/* a cache's slotset has one stack, so @c is none of its */
		each = central->heap->node0.central[c].size;
		port_store(slot_limit(ss, slot, c), limit - give);
		port_add(&slot->budget_used, -(give * each));
		found += give * each;
	}
}

/*
 * Book @add more objects for a stack of capacity @cap, or as many as the budget
 * allows, but for the first two, which every stack may have. Returns how many.
 */
static u32 slot_budget(struct kspan_slotset *ss, struct kspan_slot *slot,
		       struct kspan_central *central, u32 cap, u32 add)
{
	const size_t budget = central->heap->config.cache_bytes;
	size_t used = port_load(&slot->budget_used), want = (size_t)add * central->size;

	if (used + want > budget) {
		slot_steal(ss, slot, central, used + want - budget);
		used = port_load(&slot->budget_used);
		if (used + want > budget)
			add = used < budget ? (budget - used) / central->size : 0;
		if (cap + add < STACK_MIN)
			add = STACK_MIN - cap;
	}
	port_add(&slot->budget_used, add * central->size);
	return add;
}

/*
 * After a miss: let the stack of this CPU hold more. A hint of the slot is
 * good enough: at worst another CPU's stack grows.
 *
 * Returns how many objects to move.
 */
static u32 cache_grow_stack(struct kspan_slotset *ss, struct kspan_central *central)
{
	u32 c = central->stack, cap, add;
	struct kspan_slot *slot = port_slot_this(ss);

	if (!ss->max[c] || slot->closed || heap_checked(central->heap))
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
	if (add)
		add = slot_budget(ss, slot, central, cap, add);
	if (add) {
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
 * A batch is taken; the last object goes to the caller, the rest on the stack.
 *
 * Context: no lock held.
 * Return: the object or NULL.
 */
void *cache_refill(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		   uintptr_t caller)
{
	u32 put, n, want = cache_grow_stack(ss, central);
	void *obj, *objs[BATCH];

	obj = transfer_refill(ss, central, want);
	if (obj) {
		port_add(&central->ndirect, 1);
		return obj;
	}
	n = central_take(central, objs, want, gfp);
	port_event_refill(central->size, want, n, central->nodeid);
	if (!n)
		return NULL;
	port_add(&central->ndirect, 1);
	put = port_slot_fill(ss, central->stack, objs, n - 1);
	if (put < n - 1)
		central_put(central->heap, objs + put, n - 1 - put, caller);
	return objs[n - 1];
}

/**
 * cache_alloc_node - an object of one node
 * @ss: slots that may have one
 * @central: the spans of the node
 * @gfp: may it sleep; with __GFP_THISNODE of no other node
 * @caller: for whom
 *
 * On the node itself the stack serves, if what lies on it is the node's: others'
 * objects that were freed here may be on their way home.
 *
 * Context: no lock held.
 * Return: the object or NULL.
 */
void *cache_alloc_node(struct kspan_slotset *ss, struct kspan_central *central, gfp_t gfp,
		       uintptr_t caller)
{
	struct kspan_heap *heap = central->heap;
	void *obj = NULL;

	if (central->nodeid == port_node()) {
		obj = port_slot_pop(ss, central->stack);
		if (!obj)
			return cache_refill(ss, central, gfp, caller);
		if (pagemap_span(heap, (uintptr_t)obj)->nodeid == central->nodeid)
			return obj;
		port_add(&central->ndirect, -1);	/* the pop counted it as handed out */
		central_put(heap, &obj, 1, caller);
		obj = NULL;
	}
	if (central_take(central, &obj, 1, gfp))
		port_add(&central->ndirect, 1);
	return obj;
}

/* What leaves for the spans: of tiny blocks, those that are free. */
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
 * The stack may grow, half of it goes, and the object takes the room if it is
 * still there.
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
	if (!tiny && transfer_flush(ss, central, n) &&
	    port_slot_push(ss, central->stack, obj))
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

	got += transfer_take(central, objs + got, n - got);
	while (got < n) {
		u32 took = central_take(central, objs + got, n - got, gfp);

		if (!took)
			break;
		got += took;
	}
	port_add(&central->ndirect, got);
	return got;
}

/**
 * cache_free_bulk - free many objects of one stack at once
 * @ss: slots to put them into
 * @central: of the stack; not the tiny one
 * @objs: the objects
 * @n: how many
 * @caller: by whom
 *
 * What finds no room on the CPU's stack goes to others by the transfer cache, or to its
 * spans, without a detour over the stack.
 *
 * Context: no lock held.
 */
void cache_free_bulk(struct kspan_slotset *ss, struct kspan_central *central, void **objs,
		     u32 n, uintptr_t caller)
{
	u32 put = port_slot_fill(ss, central->stack, objs, n);

	if (likely(put == n))
		return;
	cache_grow_stack(ss, central);
	put += port_slot_fill(ss, central->stack, objs + put, n - put);
	put += transfer_give(ss, central, objs + put, n - put);
	if (put < n)
		central_put(central->heap, objs + put, n - put, caller);
}

/* Take @want objects off a stack of a slot that its owner does not use, or all there are. */
static void drain_stack(struct kspan_heap *heap, struct kspan_slotset *ss,
			struct kspan_slot *slot, u32 c, u32 want)
{
	bool tiny = ss->nstacks > 1 && c == KSPAN_STACK_TINY;
	void *objs[BATCH];
	u32 n;

	for (; want; want -= n) {
		n = slot_drain(ss, slot, c, objs, want < BATCH ? want : BATCH);
		if (!n)
			break;
		cache_put(heap, tiny, objs, n, 0);
	}
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
	u32 c;

	for (c = 0; c < ss->nstacks; c++)
		drain_stack(heap, ss, slot, c, ~0u);
}

/* Age the transfer caches of a slotset. Returns how many objects stay in them. */
static u64 cache_age_transfers(struct kspan_slotset *ss, bool all)
{
	u64 left = 0;
	u32 i;

	for (i = 0; i < ss->nstacks; i++)
		left += transfer_age(&ss->central[i], all);
	return left;
}

/**
 * cache_drain - empty all slots of a slotset, and the transfer caches behind them
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
	cache_age_transfers(ss, true);
}

/*
 * How many objects of stack @c nobody came to since the scavenger last saw it: those that
 * were there then, less what was popped. (65,536 pops look like none: that costs a refill.)
 */
static u32 stack_idle(struct kspan_slotset *ss, struct kspan_slot *slot, u32 c)
{
	u32 word = port_load(&slot->word[c]), seen = *slot_seen(ss, slot, c);
	u32 pops = (u16)((word >> KSPAN_SLOT_POPS_SHIFT) - (seen >> KSPAN_SLOT_POPS_SHIFT));
	u32 n = slot_count(ss, slot, c), had = seen & KSPAN_SLOT_TOP;

	if (had <= ss->base[c] + pops)
		return 0;
	return had - ss->base[c] - pops < n ? had - ss->base[c] - pops : n;
}

/* Whether any slot has such. */
static bool slots_have_idle(struct kspan_slotset *ss)
{
	u32 i, c;

	for (i = 0; i < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);

		for (c = 0; slot && !slot->closed && c < ss->nstacks; c++)
			if (stack_idle(ss, slot, c))
				return true;
	}
	return false;
}

/* Take the idle objects out of a slot, if it is frozen, and remember the others. */
static bool drain_idle_slot(struct kspan_heap *heap, struct kspan_slotset *ss,
			    struct kspan_slot *slot, bool frozen)
{
	bool left = false;
	u32 c;

	for (c = 0; c < ss->nstacks; c++) {
		if (frozen)
			drain_stack(heap, ss, slot, c, stack_idle(ss, slot, c));
		*slot_seen(ss, slot, c) = port_load(&slot->word[c]);
		left |= slot_count(ss, slot, c) != 0;
	}
	return left;
}

/**
 * cache_drain_idle - take the objects that nobody came to since the last call
 * @heap: the heap
 * @ss: which slotset; with the transfer caches behind it
 *
 * Each stack by itself, and of one that is in use what lies below: a program that now
 * allocates little must not keep what it once needed.
 *
 * Context: process; sleeps. One caller at a time.
 * Return: whether there are objects left, to look at again.
 */
bool cache_drain_idle(struct kspan_heap *heap, struct kspan_slotset *ss)
{
	bool idle = slots_have_idle(ss), left = false;
	u32 i;

	if (idle)
		port_slots_freeze(ss);
	for (i = 0; i < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);

		/* of a closed one there is no more than its words and limits */
		if (slot && !slot->closed)
			left |= drain_idle_slot(heap, ss, slot, idle);
	}
	if (idle)
		port_slots_thaw(ss);
	return cache_age_transfers(ss, false) || left;
}
