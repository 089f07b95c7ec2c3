// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the port brings to a checked heap, after kmod/guard.c and kmod/debug.c: guarded
 * objects, whose page goes a grace period after their free, stacks, and requests that
 * fail. A guard goes from EMPTY or GONE to MAKING, LIVE, FREED, GONE; each step is made
 * once, or a wrong free is reported. A stack is who was running. See sched.c.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "sim.h"

#define NR_GUARDS	8
#define PAGE		((size_t)4096)
#define GUARD_BASE	0x280000000000ull
#define GUARD_BYTE	0xbb
#define GONE_BYTE	0xd7
#define STACK_TAG	0x57ac0000u

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

enum guard_state { GUARD_EMPTY, GUARD_MAKING, GUARD_LIVE, GUARD_FREED, GUARD_GONE };

static struct guard {
	u32 state;
	char *obj;
	size_t size;
	port_rcu_t rcu;
} guards[NR_GUARDS];
static bool mapped;

/* Behind each page is one that is not there. */
static char *guard_page(const struct guard *guard)
{
	return (char *)GUARD_BASE + (guard - guards) * 2 * PAGE;
}

static void guards_map(void)
{
	u32 i;

	for (i = 0; i < NR_GUARDS; i++) {
		char *page = guard_page(&guards[i]);

		if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			 MAP_FIXED_NOREPLACE, -1, 0) != page) {
			perror("the simulator's addresses are not free");
			exit(2);
		}
	}
	mapped = true;
}

void guards_reset(void)
{
	if (!mapped)
		guards_map();
	memset(guards, 0, sizeof(guards));
}

/* Where @p is among the guarded objects, without the address; 0 outside. */
u64 guard_offset(const volatile void *p)
{
	u64 at = (uintptr_t)p - GUARD_BASE;

	return at < NR_GUARDS * 2 * PAGE ? 1 + at : 0;
}

static u32 guards_in(u32 state)
{
	u32 i, n = 0;

	for (i = 0; i < NR_GUARDS; i++)
		n += guards[i].state == state;
	return n;
}

u32 guards_live(void)
{
	return guards_in(GUARD_LIVE);
}

/* Those that are neither with somebody nor at their end. */
u32 guards_changing(void)
{
	return guards_in(GUARD_MAKING) + guards_in(GUARD_FREED);
}

static struct guard *guard_take(void)
{
	u32 i;

	for (i = 0; i < cfg(CFG_GUARDS) && i < NR_GUARDS; i++) {
		sim_point(EV_GUARD, &guards[i].state);
		if (guards[i].state == GUARD_EMPTY || guards[i].state == GUARD_GONE) {
			guards[i].state = GUARD_MAKING;
			return &guards[i];
		}
	}
	return NULL;
}

/* As near to the end of the page as the alignment of its size class allows. */
static void guard_place(struct guard *guard, size_t size)
{
	size_t class = kspan_good_size(size), align = class & -class;

	if (align > PAGE)
		align = PAGE;
	guard->size = size;
	guard->obj = guard_page(guard) + ((PAGE - size) & ~(align - 1));
	memset(guard_page(guard), GUARD_BYTE, PAGE);
	memset(guard->obj, 0, size);
}

void *port_guard_alloc(size_t size, gfp_t gfp, uintptr_t caller)
{
	struct guard *guard;

	if (!size || size > PAGE || !(gfp & __GFP_DIRECT_RECLAIM))
		return NULL;
	if (sim_atomic(sim.self))
		sim_fail("context %d makes a guarded object where it must not sleep",
			 sim.self->id);
	guard = guard_take();
	if (!guard)
		return NULL;
	if (sim_should_fail()) {
		guard->state = GUARD_EMPTY;
		return NULL;
	}
	guard_place(guard, size);
	sim_point(EV_GUARD, &guard->state);
	guard->state = GUARD_LIVE;
	return guard->obj;
}

/* The guard of the page of @ptr that was made, or NULL. */
static struct guard *guard_find(const void *ptr)
{
	u64 at = (uintptr_t)ptr - GUARD_BASE;
	struct guard *guard;

	if (!guard_offset(ptr))
		return NULL;
	guard = &guards[at / (2 * PAGE)];
	sim_point(EV_GUARD, &guard->state);
	return at % (2 * PAGE) < PAGE && guard->state >= GUARD_LIVE ? guard : NULL;
}

/* What lies beside the object must be as it was. */
static void guard_check(const struct guard *guard)
{
	const char *page = guard_page(guard), *p;

	for (p = page; p < page + PAGE; p++)
		if ((p < guard->obj || p >= guard->obj + guard->size) && *p != (char)GUARD_BYTE)
			sim_fail("something beside a guarded object was written to");
}

static void guard_gone(port_rcu_t *rcu)
{
	struct guard *guard = container_of(rcu, struct guard, rcu);

	if (guard->state != GUARD_FREED)
		sim_fail("a guard goes in state %u", guard->state);
	memset(guard_page(guard), GONE_BYTE, PAGE);
	guard->state = GUARD_GONE;
}

bool port_guard_free(struct kspan_heap *heap, void *ptr, uintptr_t caller)
{
	struct guard *guard = guard_find(ptr);

	if (!guard)
		return false;
	if (ptr != guard->obj) {
		heap_misuse(heap, KSPAN_INTERIOR_FREE, ptr, caller);
		return true;
	}
	if (guard->state != GUARD_LIVE) {
		heap_misuse(heap, KSPAN_DOUBLE_FREE, ptr, caller);
		return true;
	}
	guard->state = GUARD_FREED;
	guard_check(guard);
	port_call_rcu(&guard->rcu, guard_gone);
	return true;
}

size_t port_guard_size(const void *ptr)
{
	struct guard *guard = guard_find(ptr);

	return guard && guard->state == GUARD_LIVE && guard->obj == ptr ? guard->size : 0;
}

/* Stacks: the depot may have no room. */
u32 port_stack_save(gfp_t gfp)
{
	if ((gfp & __GFP_DIRECT_RECLAIM) && sim_atomic(sim.self))
		sim_fail("context %d may sleep where a stack is saved", sim.self->id);
	return sim_should_fail() ? 0 : STACK_TAG | sim.self->id;
}

/* Of a free of a pointer into an object the allocator's must be its owner's. */
void port_stack_report(const char *what, u32 stack)
{
	int owner = model_wild_owner();

	if (stack < STACK_TAG || stack >= STACK_TAG + SIM_MAX_CTX)
		sim_fail("%s: a stack that nobody saved", what);
	if (owner >= 0 && !strcmp(what, "allocated at") && stack != (STACK_TAG | owner))
		sim_fail("an object of context %d was allocated by %u", owner,
			 stack - STACK_TAG);
	port_report("%s: context %u", what, stack - STACK_TAG);
}

bool port_should_fail(size_t size, gfp_t gfp)
{
	return sim_should_fail();
}
