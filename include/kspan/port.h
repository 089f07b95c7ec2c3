/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The port contract: everything core/ needs from the world it runs in.
 *
 * A world binds it at compile time with two headers on its include path:
 * "port_os.h" (types, locks, lists, time, reports) and "port_slot.h" (the four
 * operations on a CPU's cache slot). There is no table of function pointers
 * and no imitation of one world's headers in the other. Documentation/port.rst
 * gives the contract operation by operation; the short of it:
 *
 * port_os.h
 *   u8 u16 u32 u64 uintptr_t size_t bool, likely() unlikely() noinline
 *   __always_inline, port_memset() port_memcpy() port_memmove() port_strlen()
 *   port_load(p) port_load_acquire(p) port_store(p, v) port_store_release(p, v)
 *	one access, not torn, for integers and pointers
 *   port_add(p, v)			relaxed atomic add to a u64 or u32
 *   port_or32(p, m) port_andnot32(p, m)	atomic, acquire and release, old value
 *   port_ctz64() port_clz64() port_popcount64()
 *   port_lock_t, port_lock_init(l, rank), flags = port_lock(l),
 *   port_unlock(l, flags), port_assert_held(l)
 *	short, never slept under, safe against an interrupt of its own CPU
 *   port_mutex_t, port_mutex_init(m), port_mutex_lock(m), port_mutex_unlock(m)
 *	sleeps; ranks before every port_lock_t
 *   port_list_t and port_list_*()	circular doubly linked lists
 *   port_rcu_t, port_call_rcu(head, fn), port_rcu_barrier(), port_synchronize_rcu()
 *   port_relax()			long work, where one may sleep: others have their turn
 *   port_now_ns()			monotonic time
 *   port_node()			NUMA node of the caller, a hint
 *   port_report(fmt, ...)		one line for a person, printf's format
 *   port_may_report()			whether there were not too many wrong frees just now
 *   PORT_SITE				printf's format for a code address
 *   port_error(heap)			after a report of misuse: abort, or go on
 *   port_set_errno(e)		errno where there is one
 *   port_kick(heap)		spans came or went: have heap_scavenge(heap) called each
 *	epoch until it returns false; by somebody else, since the caller may have
 *	frozen the slots
 *   port_may_keep(heap, nbytes)	whether heap_scavenge() will be called by itself for so
 *	much memory that is to lie idle beside other (a small program's own calls will
 *	do); under the heap's lock
 *   port_heap_start(heap)		the default heap was used before it was made
 *   port_obj_alloc(p, size, gfp, noscan, caller), port_obj_free(p, caller)
 *   port_obj_wait(p), port_watch_alloc(), port_watch_free()
 *	observation of objects: tracing, leak detectors and sanitizers; wait: it
 *	will be freed after a grace period; watch: whether the hit path must call
 *	the first two (a static branch)
 *   port_poisons(), port_poison(p, nbytes), port_unpoison(p, nbytes)
 *	whether a sanitizer is told of memory that nobody may use (a constant, but in
 *	the simulator: where it is false poison.c need not be built), and the telling.
 *	port_obj_alloc() and port_obj_free() call poison_alloc() and poison_free() then
 *   port_obj_fill(p, c, n), port_obj_copy(d, s, n), PORT_UNCHECKED
 *	port_memset() and port_memcpy() of objects that may be poisoned, and what is
 *	said of a function that reads such: no sanitizer looks at them
 *   port_checked(), port_set_checked(on)
 *	whether any heap of the world is checked (a static branch), and the switch
 *   u32 port_stack_save(gfp), port_stack_report(what, stack)
 *	the stack that led here, 0 when there is none; a report of it
 *   port_should_fail(size, gfp)	the port wants this request to fail
 *   port_guard_alloc(size, gfp, caller), port_guard_free(heap, p, caller),
 *   port_guard_size(p)
 *	objects of the port's own with an end that traps: NULL where there is none to
 *	be had; false and 0 for what is not one. Freed like any other
 *   port_event_refill(size, wanted, got, node)
 *   port_event_span_alloc(start, npages, pclass, node), port_event_span_free(the same)
 *	observation of the rarer steps
 *
 * port_slot.h, on the slot of the CPU (or thread) that runs the caller:
 *   void *port_slot_pop(ss, c)		NULL: empty, closed or busy
 *   bool port_slot_push(ss, c, obj)		false: full, closed or busy
 *   port_slot_pop_fast(ss, c), port_slot_push_fast(ss, c, obj)
 *	the same, for the fast path: may fail where the others would not
 *   u32 port_slot_fill(ss, c, objs, n)		how many were taken, from objs[0] on
 *   u32 port_slot_drain(ss, c, objs, n)	how many were given
 *   void port_slot_open(ss, c)		open the stack if it is closed: slot_open()
 *	each happens wholly or not at all, whatever interrupts it
 *   struct kspan_slot *port_slot_this(ss)	a hint: may be another's by now
 *   int port_slotset_init(ss, heap, gfp), port_slotset_destroy(ss)
 *	0 or -errno; the heap is the one whose objects the slots will hold
 *   u32 port_slotset_nr(ss), struct kspan_slot *port_slotset_slot(ss, i)
 *	every slot that may hold objects; NULL where none was made
 *   port_slots_freeze(ss), port_slots_thaw(ss)
 *	between the two nobody is inside one of the four operations and all of
 *	them fail, so that the caller may read and change every slot with the
 *	plain operations of slot.h. May sleep; one freezer at a time.
 */
#ifndef KSPAN_PORT_H
#define KSPAN_PORT_H

/*
 * The lock order, from the first taken to the last. Debug builds check it.
 * None of them is held while pages are asked of a page source. Before all of
 * them come two mutexes: heap->caches_lock, then the freeze of a slotset.
 */
enum kspan_rank {
	KSPAN_RANK_RCU,		/* batches of kspan_free_rcu() */
	KSPAN_RANK_CENTRAL,	/* one span class (or object cache) on one node */
	KSPAN_RANK_HEAP,	/* pages, arenas, the region table */
	KSPAN_RANK_META,	/* fixed-size metadata */
	KSPAN_NR_RANKS
};

struct kspan_heap;
struct kspan_slotset;

#include "port_os.h"
#include <kspan/slot.h>
#include "port_slot.h"

#endif /* KSPAN_PORT_H */
