// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The simulator's random numbers: splitmix64. See sched.c. */
#include "sim.h"

u64 rng_next(struct sim_rng *rng)
{
	u64 z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

u32 rng_below(struct sim_rng *rng, u32 n)
{
	return n ? (u32)(rng_next(rng) >> 32) % n : 0;
}
