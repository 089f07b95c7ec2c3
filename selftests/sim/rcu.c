// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * RCU in the simulator. A grace period is over once every context that was in a
 * read-side critical section, or had preemption off, when it began has left it;
 * no sooner, and the scheduler decides how much later. See sched.c.
 */
#include "sim.h"

static struct {
	port_rcu_t *first;
	port_rcu_t **end;
	u64 ngiven;
	u64 ndone;
} rcu;

void rcu_reset(void)
{
	rcu.first = NULL;
	rcu.end = &rcu.first;
	rcu.ngiven = rcu.ndone = 0;
}

void rcu_read_lock(void)
{
	sim.self->rcu_nest++;
}

void rcu_read_unlock(void)
{
	if (!--sim.self->rcu_nest)
		sim.self->section++;
}

static bool reads(const struct sim_ctx *ctx)
{
	return ctx->live && (ctx->rcu_nest || ctx->preempt_off);
}

/* The sections that a grace period which begins now waits for. */
static void snapshot(u32 *gen)
{
	u32 i;

	for (i = 0; i < SIM_MAX_CTX; i++)
		gen[i] = reads(&sim.ctx[i]) ? sim.ctx[i].section + 1 : 0;
}

static bool snapshot_left(const u32 *gen)
{
	u32 i;

	for (i = 0; i < SIM_MAX_CTX; i++)
		if (gen[i] && reads(&sim.ctx[i]) && sim.ctx[i].section + 1 == gen[i])
			return false;
	return true;
}

static bool sections_over(struct sim_ctx *ctx, void *arg)
{
	return snapshot_left(arg);
}

void port_synchronize_rcu(void)
{
	u32 gen[SIM_MAX_CTX];

	sim_point(EV_RCU, NULL);
	if (sim_atomic(sim.self) || sim.self->rcu_nest)
		sim_fail("context %d waits for readers where it must not sleep", sim.self->id);
	snapshot(gen);
	sim_wait(sections_over, gen, false);
	/* the second with nothing but a look between them: it waits for somebody */
	if (sim.live && sim.self->nwaits++)
		sim_yield();
}

void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head))
{
	sim_point(EV_RCU, NULL);
	head->fn = fn;
	head->next = NULL;
	snapshot(head->gen);
	*rcu.end = head;
	rcu.end = &head->next;
	rcu.ngiven++;
}

static bool first_is_due(struct sim_ctx *ctx, void *arg)
{
	return rcu.first && snapshot_left(rcu.first->gen);
}

static void run_first(void)
{
	port_rcu_t *head = rcu.first;

	rcu.first = head->next;
	if (!rcu.first)
		rcu.end = &rcu.first;
	head->fn(head);
	rcu.ndone++;
}

/* What the context of the callbacks does, to the end of the run. */
void rcu_run(void)
{
	for (;;) {
		sim_wait(first_is_due, NULL, false);
		run_first();
		sim_point(EV_RCU, NULL);
	}
}

bool rcu_idle(void)
{
	return !rcu.first && rcu.ndone == rcu.ngiven;
}

/* Whether nobody ever gave a callback. */
bool rcu_unused(void)
{
	return !rcu.ngiven;
}

static bool done_up_to(struct sim_ctx *ctx, void *arg)
{
	return rcu.ndone >= *(u64 *)arg;
}

void port_rcu_barrier(void)
{
	u64 given = rcu.ngiven;

	sim_point(EV_RCU, NULL);
	if (!sim.live) {
		while (rcu.ndone < given)
			run_first();
		return;
	}
	if (sim_atomic(sim.self))
		sim_fail("context %d waits for callbacks where it must not sleep",
			 sim.self->id);
	sim_wait(done_up_to, &given, false);
}
