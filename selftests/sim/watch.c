// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Who observes objects, as the kernel's port does for tracepoints (setting watch 1)
 * and for kmemleak (2), which is not told of what kspan_alloc_nolock() gives and cannot
 * be told anything in an NMI. Each object is announced once while it is out, and
 * ends once: what does not pair fails the run. See sched.c.
 */
#include "sim.h"

#define BUCKETS		1024
#define SEEN_MAX	8192

/**
 * struct seen - an object that is out
 * @p: the object
 * @next: of its bucket, or free
 * @waits: it was given to kspan_free_rcu()
 */
struct seen {
	const void *p;
	struct seen *next;
	bool waits;
};

static struct seen pool[SEEN_MAX], *bucket[BUCKETS], *unused;
static u32 npool, nseen;

void watch_reset(void)
{
	if (npool)
		memset(bucket, 0, sizeof(bucket));
	npool = nseen = 0;
	unused = NULL;
}

u32 watch_count(void)
{
	return nseen;
}

/* The link to the object, or to where it would be. */
static struct seen **seen_find(const void *p)
{
	struct seen **link = &bucket[(uintptr_t)p / 8 * 0x9e3779b97f4a7c15ull >> 54];

	while (*link && (*link)->p != p)
		link = &(*link)->next;
	return link;
}

bool watch_sees(const void *p)
{
	return *seen_find(p) != NULL;
}

bool port_watch_alloc(void)
{
	return cfg(CFG_WATCH) || port_poisons();
}

bool port_watch_free(void)
{
	return cfg(CFG_WATCH) || port_poisons();
}

bool port_frees_are_seen(void)
{
	return cfg(CFG_WATCH);
}

static void seen_alloc(const void *p)
{
	struct seen **link, *seen;

	if (!cfg(CFG_WATCH) || ZERO_OR_NULL_PTR(p))
		return;
	sim_point(EV_WATCH, p);
	link = seen_find(p);
	if (*link)
		sim_fail("an object is seen to be allocated that is out");
	seen = unused;
	if (seen)
		unused = seen->next;
	else if (npool < SEEN_MAX)
		seen = &pool[npool++];
	else
		sim_fail("too many objects are seen");
	*seen = (struct seen){ .p = p };
	*link = seen;
	nseen++;
}

void port_obj_alloc(const void *p, size_t size, gfp_t gfp, bool noscan, uintptr_t caller)
{
	seen_alloc(p);
	if (port_poisons())
		poison_alloc(p);
}

/* kmemleak is not told of these; here everybody is, so that the free has a pair. */
void port_obj_alloc_nolock(const void *p, size_t size, gfp_t gfp, uintptr_t caller)
{
	port_obj_alloc(p, size, gfp, false, caller);
}

static void seen_free(const void *p)
{
	struct seen **link, *seen;

	if (!cfg(CFG_WATCH) || ZERO_OR_NULL_PTR(p))
		return;
	sim_point(EV_WATCH, p);
	link = seen_find(p);
	seen = *link;
	if (!seen) {
		if (!model_wrong_frees())
			sim_fail("a free is seen of what was not seen to be allocated");
		return;
	}
	*link = seen->next;
	seen->next = unused;
	unused = seen;
	nseen--;
}

void port_obj_free(const void *p, uintptr_t caller)
{
	seen_free(p);
	if (port_poisons())
		poison_free(p);
}

bool port_obj_free_now(const void *p, uintptr_t caller)
{
	if (cfg(CFG_WATCH) == 2 && sim_in_nmi())
		return false;
	port_obj_free(p, caller);
	return true;
}

void port_obj_wait(const void *p)
{
	struct seen *seen;

	if (!cfg(CFG_WATCH) || ZERO_OR_NULL_PTR(p))
		return;
	sim_point(EV_WATCH, p);
	seen = *seen_find(p);
	if (!seen || seen->waits) {
		if (!model_wrong_frees())
			sim_fail("an object waits for readers that is not out");
		return;
	}
	seen->waits = true;
}
