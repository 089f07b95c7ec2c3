/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A slot: the stacks of free objects that one CPU (or thread) owns.
 *
 * A slot is an array of 64-bit entries. Entry 0 is always zero; a header and
 * one state word per stack follow, then the limits and what the scavenger remembers,
 * then the stacks:
 *
 *   entry  0        8             8+nstacks             base[c]          base[c]+max[c]
 *         +--+------+-------------+---------+------+----+----+-----------+----
 *         |0 |header| word[c] ... | limits  | seen | .. | 0  | objects ..| ..
 *         +--+------+-------------+---------+------+----+----+-----------+----
 *
 *   word[c]:  63                     16 15       0
 *            +-------------------------+----------+
 *            | pops since the start    | top      |  top: entry of the last object
 *            +-------------------------+----------+
 *
 * One 64-bit store changes a stack, which is what a restartable sequence can
 * commit, and the count of pops (the allocations that hit) rides along in the
 * same add: pop adds 0xffff (top - 1, pops + 1), push adds 1. A stack ends in
 * a zero entry, so that pop needs no comparison with a bound. An all-zero slot
 * is a valid one whose every stack is closed: top 0 shows entry 0, which is
 * zero, and limit 0 refuses every push. A frozen, a checked and a not yet
 * started heap all use such a slot, at no cost to the fast path.
 *
 * The idea of one word per stack that a restartable sequence commits is
 * tcmalloc's (per-CPU mode); the counter in it and the closed slot are ours.
 */
#ifndef KSPAN_SLOT_H
#define KSPAN_SLOT_H

#define KSPAN_SLOT_HDR		8		/* entries before word[0] */
#define KSPAN_SLOT_TOP		0xffffull	/* mask of a word's top */
#define KSPAN_SLOT_POP		0xffffull	/* what a pop adds to a word */
#define KSPAN_SLOT_POPS_SHIFT	16

/**
 * struct kspan_slot - header of a slot
 * @zero: entry 0, the end of every closed stack; never written
 * @busy: the owner is inside an operation (ports without restartable sequences)
 * @closed: set in the shared slot that stands in for a frozen one: no stack of
 *	it may ever be opened
 * @hand: next stack to give up capacity when the budget is used up
 * @budget_used: bytes of objects that the limits of this slot add up to; any
 *	CPU, atomic
 * @ntiny_malloc: tiny objects handed out here; any CPU, atomic
 * @ntiny_free: tiny objects taken back here; any CPU, atomic
 * @pad: to KSPAN_SLOT_HDR entries
 * @word: state of each stack; written by the owner only
 */
struct kspan_slot {
	u64 zero;
	u32 busy;
	u32 closed;
	u32 hand;
	u32 budget_used;
	u64 ntiny_malloc;
	u64 ntiny_free;
	u64 pad[3];
	u64 word[];
};

_Static_assert(offsetof(struct kspan_slot, word) == KSPAN_SLOT_HDR * sizeof(u64),
	       "the header takes KSPAN_SLOT_HDR entries");

/**
 * struct kspan_slotset - the slots of all CPUs for one set of stacks
 * @nstacks: stacks in each slot
 * @limit_off: bytes from a slot's start to its array of limits
 * @seen_off: the same to the lower halves of the words that the scavenger saw last
 * @slot_bytes: bytes of a slot
 * @off: whoever thaws the slots leaves them closed; changed while they are frozen
 * @base: for each stack the entry of its bottom (always zero)
 * @max: for each stack the most objects it can ever hold
 * @central: node 0's central lists of the stacks: with several nodes there are no
 *	transfer caches, and nothing else asks for them
 * @os: the port's own
 *
 * All but @os and @off is fixed before port_slotset_init().
 */
struct kspan_slotset {
	u32 nstacks;
	u32 limit_off;
	u32 seen_off;
	u32 slot_bytes;
	u32 off;
	const u16 *base;
	const u16 *max;
	struct kspan_central *central;
	struct port_slotset os;
};

static __always_inline u64 *slot_entries(struct kspan_slot *slot)
{
	return (u64 *)slot;
}

/* The highest entry that stack @c may use; 0 while the stack is closed. */
static __always_inline u16 *slot_limit(const struct kspan_slotset *ss,
				       struct kspan_slot *slot, u32 c)
{
	return (u16 *)((char *)slot + ss->limit_off) + c;
}

/* What the scavenger last saw of stack @c's word; only it looks there. */
static inline u32 *slot_seen(const struct kspan_slotset *ss, struct kspan_slot *slot, u32 c)
{
	return (u32 *)((char *)slot + ss->seen_off) + c;
}

/* Objects on stack @c. */
static inline u32 slot_count(const struct kspan_slotset *ss,
			     struct kspan_slot *slot, u32 c)
{
	u32 top = port_load(&slot->word[c]) & KSPAN_SLOT_TOP;

	return top ? top - ss->base[c] : 0;
}

static inline u64 slot_pops(struct kspan_slot *slot, u32 c)
{
	return port_load(&slot->word[c]) >> KSPAN_SLOT_POPS_SHIFT;
}

/*
 * The plain operations: for ports that make them indivisible by other means,
 * and for whoever has frozen the slotset.
 */
static __always_inline void *slot_pop(struct kspan_slot *slot, u32 c)
{
	u64 word = slot->word[c];
	u64 obj = slot_entries(slot)[word & KSPAN_SLOT_TOP];

	if (unlikely(!obj))
		return NULL;
	port_store(&slot->word[c], word + KSPAN_SLOT_POP);
	return (void *)(uintptr_t)obj;
}

static __always_inline bool slot_push(const struct kspan_slotset *ss,
				      struct kspan_slot *slot, u32 c, void *obj)
{
	u64 word = slot->word[c];
	u32 top = word & KSPAN_SLOT_TOP;

	if (unlikely(top >= port_load(slot_limit(ss, slot, c))))
		return false;
	slot_entries(slot)[top + 1] = (uintptr_t)obj;
	port_store(&slot->word[c], word + 1);
	return true;
}

static inline u32 slot_fill(const struct kspan_slotset *ss, struct kspan_slot *slot,
			    u32 c, void **objs, u32 n)
{
	u64 word = slot->word[c];
	u32 top = word & KSPAN_SLOT_TOP;
	u32 limit = port_load(slot_limit(ss, slot, c));
	u32 i;

	if (!top || limit <= top)
		return 0;
	if (n > limit - top)
		n = limit - top;
	for (i = 0; i < n; i++)
		slot_entries(slot)[top + 1 + i] = (uintptr_t)objs[i];
	port_store(&slot->word[c], (word & ~KSPAN_SLOT_TOP) | (top + n));
	return n;
}

/*
 * Open a stack: its limit can be raised only once its word is known not to be
 * zero, or a push could land in the header. So the owner sets the word, alone,
 * and limits may then be changed by anybody.
 */
static inline void slot_open(const struct kspan_slotset *ss, struct kspan_slot *slot, u32 c)
{
	if (!slot->closed && !slot->word[c])
		port_store(&slot->word[c], ss->base[c]);
}

static inline u32 slot_drain(const struct kspan_slotset *ss, struct kspan_slot *slot,
			     u32 c, void **objs, u32 n)
{
	u32 have = slot_count(ss, slot, c);
	u64 word = slot->word[c];
	u32 top = word & KSPAN_SLOT_TOP;
	u32 i;

	if (n > have)
		n = have;
	if (!n)
		return 0;	/* not even the same value: a closed slot is others' too */
	for (i = 0; i < n; i++)
		objs[i] = (void *)(uintptr_t)slot_entries(slot)[top - i];
	port_store(&slot->word[c], word - n);
	return n;
}

#endif /* KSPAN_SLOT_H */
