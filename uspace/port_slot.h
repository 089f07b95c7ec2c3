/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The operations on a cache slot in userspace.
 *
 * With rseq a slot belongs to a CPU (by mm_cid: to one of as many threads as
 * run at a time) and an operation is a restartable sequence. Without it a slot
 * belongs to a thread; the restartable sequence is still what runs first, on a
 * closed slot with a made-up index, and its miss leads to the _slow twin. So
 * the fast path has no test of its own for the world it finds itself in, nor
 * for a heap that is frozen or not started: both show closed slots.
 * See port.c.
 */
#ifndef KSPAN_PORT_SLOT_H
#define KSPAN_PORT_SLOT_H

#include <kspan/sizeclass.h>

#define KSPAN_SLOT_SHIFT	19
#define KSPAN_SLOT_STRIDE	((size_t)1 << KSPAN_SLOT_SHIFT)

/* Where heap0's slots lie in it and their limits in them: port.c asserts it. */
#define KSPAN_HEAP0_SLOTS	offsetof(struct { void *r; u64 slots; }, slots)
#define KSPAN_HEAP0_LIMITS	((KSPAN_SLOT_HDR + KSPAN_NR_STACKS) * sizeof(u64))

void *port_slot_pop_slow(struct kspan_slotset *ss, u32 c) KSPAN_HIDDEN;
bool port_slot_push_slow(struct kspan_slotset *ss, u32 c, void *obj) KSPAN_HIDDEN;
u32 port_slot_fill(struct kspan_slotset *ss, u32 c, void **objs, u32 n) KSPAN_HIDDEN;
u32 port_slot_drain(struct kspan_slotset *ss, u32 c, void **objs, u32 n) KSPAN_HIDDEN;
void port_slot_open(struct kspan_slotset *ss, u32 c) KSPAN_HIDDEN;
struct kspan_slot *port_slot_this(struct kspan_slotset *ss) KSPAN_HIDDEN;
int port_slotset_init(struct kspan_slotset *ss, struct kspan_heap *heap,
		      gfp_t gfp) KSPAN_HIDDEN;
void port_slotset_destroy(struct kspan_slotset *ss) KSPAN_HIDDEN;
u32 port_slotset_nr(struct kspan_slotset *ss) KSPAN_HIDDEN;
struct kspan_slot *port_slotset_slot(struct kspan_slotset *ss, u32 i) KSPAN_HIDDEN;
void port_slots_freeze(struct kspan_slotset *ss) KSPAN_HIDDEN;
void port_slots_thaw(struct kspan_slotset *ss) KSPAN_HIDDEN;

/*
 * Whether the caller, a signal handler then, has interrupted an operation on its
 * thread's slot: to wait for its end, as a freeze does, would be for ever.
 */
bool port_slot_is_inside(struct kspan_slotset *ss) KSPAN_HIDDEN;

/* Whether slots belong to CPUs, for tests and for people. */
bool port_slots_are_percpu(void) KSPAN_HIDDEN;

/* Known at compile time to be heap0's, so that its layout is constant. */
static __always_inline bool slotset_is_heap0(const struct kspan_slotset *ss)
{
	return __builtin_constant_p((char *)ss == (char *)&kspan_heap0 + KSPAN_HEAP0_SLOTS) &&
	       (char *)ss == (char *)&kspan_heap0 + KSPAN_HEAP0_SLOTS;
}

/* TSan must see every access that matters. */
#if defined(__SANITIZE_THREAD__) && !defined(KSPAN_NO_RSEQ)
#define KSPAN_NO_RSEQ
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(KSPAN_NO_RSEQ)
#define KSPAN_NO_RSEQ
#endif
#endif

#if defined(KSPAN_NO_RSEQ)
#include "rseq-none.h"
#elif defined(__x86_64__)
#include "rseq-x86_64.h"
#elif defined(__aarch64__)
#include "rseq-aarch64.h"
#else
#include "rseq-none.h"
#endif

#define port_slot_pop_fast(ss, c)		rseq_pop(ss, c)
#define port_slot_push_fast(ss, c, obj)		rseq_push(ss, c, obj)

static __always_inline void *port_slot_pop(struct kspan_slotset *ss, u32 c)
{
	void *obj = rseq_pop(ss, c);

	return likely(obj) ? obj : port_slot_pop_slow(ss, c);
}

static __always_inline bool port_slot_push(struct kspan_slotset *ss, u32 c, void *obj)
{
	return likely(rseq_push(ss, c, obj)) || port_slot_push_slow(ss, c, obj);
}

#endif /* KSPAN_PORT_SLOT_H */
