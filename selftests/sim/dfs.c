// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Exhaustive search: all schedules with up to a bound of preemptions, depth
 * first. A run repeats the decisions of the last one but for the deepest that
 * has an alternative left. What happens without anybody being interrupted (the
 * running context waits or ends) costs nothing. See sched.c.
 */
#include "sim.h"

#define DEPTH_MAX	100000

static struct {
	struct {
		u8 n, chosen, cost;
	} at[DEPTH_MAX];
	u32 depth;	/* decisions of this run so far */
	u32 len;	/* decisions that are fixed */
	u32 cost;	/* preemptions so far */
	u32 bound;
} dfs;

void dfs_reset(u32 bound)
{
	dfs.len = 0;
	dfs.bound = bound;
	dfs_rewind();
}

void dfs_rewind(void)
{
	dfs.depth = 0;
	dfs.cost = 0;
}

/* Choose one of @n, the first of which is free, as the others if @is_free. */
u32 dfs_choose(u32 n, bool is_free)
{
	u32 chosen, cost = is_free ? 0 : 1;

	if (n <= 1 || dfs.cost + cost > dfs.bound)
		return 0;
	if (dfs.depth == dfs.len) {
		if (dfs.len == DEPTH_MAX)
			return 0;
		dfs.at[dfs.len].n = n;
		dfs.at[dfs.len].chosen = 0;
		dfs.at[dfs.len].cost = cost;
		dfs.len++;
	}
	if (dfs.at[dfs.depth].n != n)
		sim_fail("the search is not repeatable");
	chosen = dfs.at[dfs.depth++].chosen;
	dfs.cost += chosen ? cost : 0;
	return chosen;
}

/* Prepare the next run; false: all were made. */
bool dfs_next(void)
{
	while (dfs.len && dfs.at[dfs.len - 1].chosen + 1 == dfs.at[dfs.len - 1].n)
		dfs.len--;
	if (!dfs.len)
		return false;
	dfs.at[dfs.len - 1].chosen++;
	dfs_rewind();
	return true;
}
