/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The operations on the running CPU's slot, in the kernel.
 *
 * Preemption is off and the slot's busy flag set while one runs. An interrupt
 * or NMI that comes in between finds the flag, fails, and takes the slow path:
 * nobody ever waits for the flag, and a whole operation of an interrupt inside
 * the few instructions before the flag is set is as if it had come earlier.
 * Plain accesses do, since all of it happens on one CPU.
 *
 * A CPU whose slot is frozen, or that has none yet, works on a closed slot
 * that several CPUs may share: there an operation writes nothing but the busy
 * flag, and fails whatever it reads from it.
 *
 * The cost of a hit, beside that of the plain operation of slot.h: preemption
 * off and on (3 instructions), the slot's address (1 for the default heap, 2
 * otherwise), the flag (4).
 */
#ifndef KSPAN_PORT_SLOT_H
#define KSPAN_PORT_SLOT_H

#include <linux/preempt.h>

#include <kspan/sizeclass.h>

extern struct kspan_heap kspan_heap0;

/* The default heap's kspan_slotset.os.cur: a variable of the fast path's own. */
DECLARE_PER_CPU(struct kspan_slot *, kspan_slot0);

/* &kspan_heap0.slots before struct kspan_heap is known; port.c checks it. */
#define PORT_HEAP_SLOTS_OFF	sizeof(void *)
#define PORT_SLOTS0	((struct kspan_slotset *)((char *)&kspan_heap0 + PORT_HEAP_SLOTS_OFF))

/* Known at compile time to be the default heap's. */
static __always_inline bool port_slots_are_0(const struct kspan_slotset *ss)
{
	return __builtin_constant_p(ss == PORT_SLOTS0) && ss == PORT_SLOTS0;
}

/*
 * The running CPU's element of @cur, in one access that is not repeated: others
 * store to it. raw_cpu_read() is that on x86, in one instruction; elsewhere it
 * is a plain load.
 */
#ifdef CONFIG_X86
#define slot_read(cur)		raw_cpu_read(*(cur))
#else
#define slot_read(cur)		READ_ONCE(*raw_cpu_ptr(cur))
#endif

/* Preemption must be off, unless a hint will do. */
static __always_inline struct kspan_slot *port_slot_cur(const struct kspan_slotset *ss)
{
	if (port_slots_are_0(ss))
		return slot_read(&kspan_slot0);
	return slot_read(ss->os.cur);
}

/*
 * Set the busy flag; false when it is set already, by what this interrupt
 * interrupted. Not atomic towards other CPUs: there are none.
 */
#ifdef CONFIG_X86
static __always_inline bool slot_claim(struct kspan_slot *slot)
{
	bool busy;

	asm volatile("btsl $0, %1" : "=@ccc" (busy), "+m" (slot->busy) : : "memory");
	return !busy;
}
#else
static __always_inline bool slot_claim(struct kspan_slot *slot)
{
	if (READ_ONCE(slot->busy))
		return false;
	WRITE_ONCE(slot->busy, 1);
	barrier();	/* the flag is up before the first access */
	return true;
}
#endif

/* Have the CPU's slot for oneself; false when it is busy. */
static __always_inline bool port_slot_enter(const struct kspan_slotset *ss,
					    struct kspan_slot **slot)
{
	preempt_disable();
	*slot = port_slot_cur(ss);
	if (likely(slot_claim(*slot)))
		return true;
	preempt_enable();
	return false;
}

static __always_inline void port_slot_leave(struct kspan_slot *slot)
{
	barrier();	/* and until after the last */
	WRITE_ONCE(slot->busy, 0);
	preempt_enable();
}

/* The highest entry that stack @c may use; for the default heap at a fixed place. */
static __always_inline u16 port_slot_limit(const struct kspan_slotset *ss,
					   struct kspan_slot *slot, unsigned long c)
{
	if (!port_slots_are_0(ss))
		return READ_ONCE(*slot_limit(ss, slot, c));
	/* others may change a limit, to any value; a plain read folds into the compare */
	return data_race(((u16 *)&slot->word[KSPAN_NR_STACKS])[c]);
}

/*
 * Change a stack's word: one addition in memory, of which WRITE_ONCE() would make
 * three instructions. Others read the word meanwhile, once and whole, for statistics and
 * as a hint (slot_count(), slot_look()): a race that is meant.
 */
static __always_inline void port_slot_add(struct kspan_slot *slot, unsigned long c, u64 n)
{
	/* see above */
	data_race(slot->word[c] += n);
}

/*
 * slot_pop() and slot_push() in fewer instructions: an index as wide as a
 * register, of the word first the top alone and then one addition in memory,
 * and a way out of their own for hits and misses, so that nobody looks twice
 * at which it was.
 */
static __always_inline void *port_slot_pop_fast(const struct kspan_slotset *ss, unsigned long c)
{
	struct kspan_slot *slot;
	u64 obj;

	if (unlikely(!port_slot_enter(ss, &slot)))
		return NULL;
	obj = slot_entries(slot)[slot->word[c] & KSPAN_SLOT_TOP];
	if (unlikely(!obj)) {
		port_slot_leave(slot);
		return NULL;
	}
	barrier();	/* not in one register from here to there */
	port_slot_add(slot, c, KSPAN_SLOT_POP);
	port_slot_leave(slot);
	return (void *)obj;
}

static __always_inline bool port_slot_push_fast(const struct kspan_slotset *ss, unsigned long c,
						void *obj)
{
	struct kspan_slot *slot;
	unsigned long top;

	if (unlikely(!port_slot_enter(ss, &slot)))
		return false;
	top = slot->word[c] & KSPAN_SLOT_TOP;
	if (unlikely(top >= port_slot_limit(ss, slot, c))) {
		port_slot_leave(slot);
		return false;
	}
	slot_entries(slot)[top + 1] = (uintptr_t)obj;
	barrier();	/* as above; and the entry before the count of it */
	port_slot_add(slot, c, 1);
	port_slot_leave(slot);
	return true;
}

static inline void *port_slot_pop(const struct kspan_slotset *ss, u32 c)
{
	return port_slot_pop_fast(ss, c);
}

static inline bool port_slot_push(const struct kspan_slotset *ss, u32 c, void *obj)
{
	return port_slot_push_fast(ss, c, obj);
}

static inline u32 port_slot_fill(const struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	struct kspan_slot *slot;
	u32 done;

	if (unlikely(!port_slot_enter(ss, &slot)))
		return 0;
	done = slot_fill(ss, slot, c, objs, n);
	port_slot_leave(slot);
	return done;
}

static inline u32 port_slot_drain(const struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	struct kspan_slot *slot;
	u32 done = 0;

	if (unlikely(!port_slot_enter(ss, &slot)))
		return 0;
	if (slot_count(ss, slot, c))
		done = slot_drain(ss, slot, c, objs, n);
	port_slot_leave(slot);
	return done;
}

static inline void port_slot_open(const struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot;

	if (unlikely(!port_slot_enter(ss, &slot)))
		return;
	slot_open(ss, slot, c);
	port_slot_leave(slot);
}

static inline struct kspan_slot *port_slot_this(const struct kspan_slotset *ss)
{
	return port_slot_cur(ss);
}

int port_slotset_init(struct kspan_slotset *ss, struct kspan_heap *heap, gfp_t gfp);
void port_slotset_destroy(struct kspan_slotset *ss);
u32 port_slotset_nr(const struct kspan_slotset *ss);
struct kspan_slot *port_slotset_slot(const struct kspan_slotset *ss, u32 i);
void port_slots_freeze(struct kspan_slotset *ss);
void port_slots_thaw(struct kspan_slotset *ss);

#endif /* KSPAN_PORT_SLOT_H */
