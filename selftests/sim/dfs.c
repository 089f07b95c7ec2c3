// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Exhaustive search: all schedules with up to a bound of preemptions, depth
 * first. A run repeats the decisions of the last one but for the deepest that
 * has an alternative left. What happens without anybody being interrupted (the
 * running context waits or ends) costs nothing.
 *
 * To go to another context matters only before an access to what two contexts
 * use and one writes; other points are passed by. Which words these are is
 * learned on the way: when a search ends that met new ones, it starts again.
 * See sched.c.
 */
#include "sim.h"

#define DEPTH_MAX	100000

#define WORDS_MAX	(1u << 16)

/* The words that were used, open addressing. */
static struct word {
	uintptr_t key;		/* address / 8 */
	u32 users;		/* contexts, as bits */
	bool written;
	bool shared;		/* taken for shared in this search */
} words[WORDS_MAX];
static bool met_new;

static struct {
	struct {
		u8 n, chosen, cost;
	} at[DEPTH_MAX];
	u32 depth;	/* decisions of this run so far */
	u32 len;	/* decisions that are fixed */
	u32 cost;	/* preemptions so far */
	u32 bound;
} dfs;

static struct word *word_find(uintptr_t key)
{
	u32 i = (key * 0x9e3779b97f4a7c15ull) >> 48;

	while (words[i].key && words[i].key != key)
		i = (i + 1) & (WORDS_MAX - 1);
	words[i].key = key;
	return &words[i];
}

/* @ctx is about to use @addr: whether that is a point to go to another. */
bool dfs_touch(const volatile void *addr, int ctx, bool writes)
{
	struct word *word = word_find((uintptr_t)addr / 8);

	word->users |= 1u << ctx;
	word->written |= writes;
	if (!word->shared && word->written && (word->users & (word->users - 1)))
		met_new = true;
	return word->shared;
}

/* Nothing is known of any word. */
void dfs_forget(void)
{
	memset(words, 0, sizeof(words));
}

/* Whether the search has to be made again, with what it has learned. */
bool dfs_again(void)
{
	bool again = met_new;
	u32 i;

	for (i = 0; i < WORDS_MAX; i++)
		words[i].shared = words[i].written && (words[i].users & (words[i].users - 1));
	met_new = false;
	return again;
}

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
