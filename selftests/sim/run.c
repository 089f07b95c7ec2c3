// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * One run: a heap is made, the setup done, the tasks scheduled, and at the end
 * everything proved and given back. See sched.c.
 */
#include <setjmp.h>
#include <sys/time.h>
#include "sim.h"

#define SECONDS_MAX	5	/* of CPU time for a run */

/* SIGVTALRM ends a run that loops without a scheduling point. */
static void watch_time(bool on)
{
	struct itimerval limit = { .it_value.tv_sec = on ? SECONDS_MAX : 0 };

	setitimer(ITIMER_VIRTUAL, &limit, NULL);
}

static bool heap_start(void)
{
	struct kspan_config config = {
		.source = &sim_source,
		.debug.flags = cfg(CFG_CHECKED) ? KSPAN_DEBUG_CHECK : 0,
		.limit_soft = cfg(CFG_SOFT),
		.limit_hard = cfg(CFG_HARD),
		.cache_bytes = cfg(CFG_CACHE_BYTES),
		.stack_bytes = cfg(CFG_STACK_BYTES),
		.stack_objs = cfg(CFG_STACK_OBJS),
		.transfer_bytes = cfg(CFG_STACK_BYTES),
		.transfer_objs = cfg(CFG_STACK_OBJS),
		.warm_pages = KSPAN_WARM_PAGES,
		.warm_huge_bytes = 16 << 20,
		.spares = cfg(CFG_SPARES),
		.apart_bytes = 8192,
		.nr_nodes = cfg(CFG_NODES),
	};
	static bool (*release)(struct kspan_source *src, void *addr, size_t nbytes);
	static bool (*move)(struct kspan_source *src, void *from, size_t nbytes, void *to,
			    size_t want);

	static void *(*meta)(struct kspan_source *src, size_t nbytes, gfp_t gfp, size_t *got);

	if (!release) {
		release = sim_source.release;
		move = sim_source.move;
		meta = sim_source.meta;
	}
	sim_source.meta = cfg(CFG_META) ? meta : NULL;
	sim_source.charges = cfg(CFG_CHARGES);
	sim_source.move = cfg(CFG_MOVE) ? move : NULL;
	sim_source.release = cfg(CFG_RELEASE) ? release : NULL;
	sim_source.unit = 4096;
	sim_source.grain = cfg(CFG_GRAIN);
	sim_source.zeroed = cfg(CFG_ZEROED);
	return !heap_init(&kspan_heap0, &config);
}

static void run_all(void)
{
	u32 i;

	if (!heap_start()) {
		if (source_outstanding())
			sim_fail("a heap that could not be made keeps memory");
		if (!cfg(CFG_FAIL_AT))
			sim_fail("the heap cannot be made");
		return;
	}
	for (i = 0; i < sim.script->setup.n; i++)
		model_run_op(sim.self, &sim.script->setup.op[i]);
	sim_schedule();
	model_quiesce(false);
	model_quiesce(true);
}

/**
 * sim_run - run a script
 * @script: .
 *
 * Return: whether all went well; else sim.message says what did not.
 */
bool sim_run(const struct sim_script *script)
{
	sim_reset(script);
	source_reset();
	watch_reset();
	guards_reset();
	slots_reset();
	rcu_reset();
	model_reset();
	memset(&kspan_heap0, 0, sizeof(kspan_heap0));
	kspan_heap0.regions = &kspan_no_regions;
	watch_time(true);
	if (!_setjmp(sim.fail_jb))
		run_all();
	watch_time(false);
	return !sim.failed;
}
