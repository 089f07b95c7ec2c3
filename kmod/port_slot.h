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

extern struct kspan_heap kspan_heap0;

/* The default heap's kspan_slotset.os.cur: a variable of the fast path's own. */
DECLARE_PER_CPU(struct kspan_slot *, kspan_slot0);

/* &kspan_heap0.slots before struct kspan_heap is known; port.c checks it. */
#define PORT_HEAP_SLOTS_OFF	sizeof(void *)
#define PORT_SLOTS0	((struct kspan_slotset *)((char *)&kspan_heap0 + PORT_HEAP_SLOTS_OFF))

/* Preemption must be off, unless a hint will do. */
static __always_inline struct kspan_slot *port_slot_cur(const struct kspan_slotset *ss)
{
	if (__builtin_constant_p(ss == PORT_SLOTS0) && ss == PORT_SLOTS0)
		return raw_cpu_read(kspan_slot0);
	return raw_cpu_read(*ss->os.cur);
}

/* The CPU's slot, made busy; NULL when it was busy already. */
static __always_inline struct kspan_slot *port_slot_enter(const struct kspan_slotset *ss)
{
	struct kspan_slot *slot;

	preempt_disable();
	slot = port_slot_cur(ss);
	if (unlikely(READ_ONCE(slot->busy))) {
		preempt_enable();
		return NULL;
	}
	WRITE_ONCE(slot->busy, 1);
	barrier();	/* the flag is up before the first access: an interrupt */
	return slot;
}

static __always_inline void port_slot_leave(struct kspan_slot *slot)
{
	barrier();	/* and until after the last */
	WRITE_ONCE(slot->busy, 0);
	preempt_enable();
}

static __always_inline void *port_slot_pop(const struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot = port_slot_enter(ss);
	void *obj;

	if (unlikely(!slot))
		return NULL;
	obj = slot_pop(slot, c);
	port_slot_leave(slot);
	return obj;
}

static __always_inline bool port_slot_push(const struct kspan_slotset *ss, u32 c, void *obj)
{
	struct kspan_slot *slot = port_slot_enter(ss);
	bool done;

	if (unlikely(!slot))
		return false;
	done = slot_push(ss, slot, c, obj);
	port_slot_leave(slot);
	return done;
}

#define port_slot_pop_fast(ss, c)	port_slot_pop(ss, c)
#define port_slot_push_fast(ss, c, obj)	port_slot_push(ss, c, obj)

static inline u32 port_slot_fill(const struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	struct kspan_slot *slot = port_slot_enter(ss);
	u32 done;

	if (unlikely(!slot))
		return 0;
	done = slot_fill(ss, slot, c, objs, n);
	port_slot_leave(slot);
	return done;
}

static inline u32 port_slot_drain(const struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	struct kspan_slot *slot = port_slot_enter(ss);
	u32 done = 0;

	if (unlikely(!slot))
		return 0;
	if (slot_count(ss, slot, c))
		done = slot_drain(ss, slot, c, objs, n);
	port_slot_leave(slot);
	return done;
}

static inline void port_slot_open(const struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot = port_slot_enter(ss);

	if (unlikely(!slot))
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
