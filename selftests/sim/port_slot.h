/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The operations on a cache slot in the simulator, in three models: that of the
 * kernel (preemption off, a busy flag that an interrupt may find set), that of
 * restartable sequences (start over when preempted before the commit), and that
 * of threads' slots. Which one a run uses is part of its script. See slots.c.
 */
#ifndef KSPAN_PORT_SLOT_H
#define KSPAN_PORT_SLOT_H

void *port_slot_pop(struct kspan_slotset *ss, u32 c);
bool port_slot_push(struct kspan_slotset *ss, u32 c, void *obj);
void *port_slot_pop_fast(struct kspan_slotset *ss, u32 c);
bool port_slot_push_fast(struct kspan_slotset *ss, u32 c, void *obj);
u32 port_slot_fill(struct kspan_slotset *ss, u32 c, void **objs, u32 n);
u32 port_slot_drain(struct kspan_slotset *ss, u32 c, void **objs, u32 n);
void port_slot_open(struct kspan_slotset *ss, u32 c);
struct kspan_slot *port_slot_this(struct kspan_slotset *ss);
int port_slotset_init(struct kspan_slotset *ss, struct kspan_heap *heap, gfp_t gfp);
void port_slotset_destroy(struct kspan_slotset *ss);
u32 port_slotset_nr(struct kspan_slotset *ss);
struct kspan_slot *port_slotset_slot(struct kspan_slotset *ss, u32 i);
void port_slots_freeze(struct kspan_slotset *ss);
void port_slots_thaw(struct kspan_slotset *ss);

#endif /* KSPAN_PORT_SLOT_H */
