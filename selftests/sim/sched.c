// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The scheduler of the simulator.
 *
 * core/ is compiled against a port whose every operation is a scheduling point:
 * sim_point(). Tasks and interrupt handlers are coroutines on the simulated
 * CPUs, and at each point the strategy may let another one go on, preempt a
 * task or move it to another CPU, or have an interrupt come. Between two points
 * nothing else runs, so a run is a sequence of decisions and nothing but: one
 * seed gives one run, whatever the compiler. No decision looks at an address.
 *
 * Memory is sequentially consistent here. What a missing barrier would do has
 * to be modelled by the order of accesses.
 *
 * A run fails (sim_fail()) when the model finds a wrong answer, the verifier a
 * violated invariant, everybody waits, a lock is taken against its rank or by
 * an interrupt from under its holder, or somebody sleeps who must not.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "sim.h"

#define STACK_BYTES	((size_t)256 << 10)
#define STEPS_MAX	2000000

struct sim sim;

/* How a random schedule behaves; drawn from the seed. */
static struct {
	u32 one_in;		/* a switch */
	u32 irq_one_in;
	u32 move_one_in;
	u64 change[3];		/* priority schedules: steps at which one is lowered */
} taste;

void sim_note(u64 v)
{
	sim.hash = (sim.hash ^ v) * 0x100000001b3ull;
	sim.hash ^= sim.hash >> 29;
}

void sim_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(sim.message, sizeof(sim.message), fmt, args);
	va_end(args);
	sim.failed = true;
	sim.live = false;
	_longjmp(sim.fail_jb, 1);
}

/* Whether the call that asks fails: decided by the script. */
bool sim_should_fail(void)
{
	u32 n = ++sim.ncanfail;

	if (!sim.live && !cfg(CFG_FAIL_AT))
		return false;
	if (n == cfg(CFG_FAIL_AT))
		return true;
	return cfg(CFG_FAIL_RATE) && !rng_below(&sim.fault, cfg(CFG_FAIL_RATE));
}

/* Whether it must not sleep. */
bool sim_atomic(const struct sim_ctx *ctx)
{
	return ctx->irq_off || ctx->preempt_off || ctx->id >= SIM_CTX_IRQ;
}

/* Preemption: tasks of a kernel cannot be preempted everywhere, a thread can. */
static bool preemptible(const struct sim_ctx *ctx)
{
	if (ctx->under)
		return false;
	if (ctx->id >= SIM_CTX_IRQ && ctx->id < SIM_CTX_RCU)
		return !cfg(CFG_BUSY);	/* a signal handler */
	return !cfg(CFG_BUSY) || (!ctx->irq_off && !ctx->preempt_off);
}

static void leave_cpu(struct sim_ctx *ctx)
{
	if (ctx->cpu >= 0)
		sim.on_cpu[ctx->cpu] = NULL;
	ctx->cpu = -1;
	ctx->moved++;
}

static void enter_cpu(struct sim_ctx *ctx, int cpu)
{
	ctx->cpu = cpu;
	sim.on_cpu[cpu] = ctx;
}

/* A CPU for a context that has none: an idle one, else one whose task can go. */
static int find_cpu(void)
{
	u32 cpu;

	for (cpu = 0; cpu < cfg(CFG_CPUS); cpu++)
		if (!sim.on_cpu[cpu] && !sim.offline[cpu])
			return cpu;
	for (cpu = 0; cpu < cfg(CFG_CPUS); cpu++)
		if (!sim.offline[cpu] && preemptible(sim.on_cpu[cpu]))
			return cpu;
	return -1;
}

static bool runnable(struct sim_ctx *ctx)
{
	if (!ctx->live || ctx->under)
		return false;
	if (ctx->ready && !ctx->ready(ctx, ctx->arg))
		return false;
	return ctx->cpu >= 0 || find_cpu() >= 0;
}

/* Everybody who could go on, the running one first. */
static u32 candidates(struct sim_ctx **list)
{
	u32 i, n = 0;

	if (sim.self->id != SIM_CTX_MAIN && runnable(sim.self))
		list[n++] = sim.self;
	for (i = SIM_CTX_TASK; i < SIM_MAX_CTX; i++)
		if (&sim.ctx[i] != sim.self && runnable(&sim.ctx[i]))
			list[n++] = &sim.ctx[i];
	return n;
}

/* Interrupts */

static bool is_softirq(const struct sim_ctx *ctx)
{
	return ctx->id >= SIM_CTX_IRQ && ctx->id < SIM_CTX_IRQ + SIM_NR_SOFTIRQS;
}

bool sim_in_nmi(void)
{
	return sim.self->id == SIM_CTX_NMI;
}

static bool irq_may_come(const struct sim_ctx *irq, const struct sim_ctx *over)
{
	if (!irq->ops || irq->live || over->id == SIM_CTX_NMI)
		return false;
	if (irq->id == SIM_CTX_NMI)
		return true;
	return !over->irq_off && !(is_softirq(irq) && is_softirq(over));
}

/* The next interrupt of the script that may come where @ctx is now. */
static struct sim_ctx *next_irq(struct sim_ctx *ctx)
{
	u32 i;

	if (ctx->cpu < 0)
		return NULL;
	for (i = SIM_CTX_IRQ; i < SIM_CTX_RCU; i++)
		if (irq_may_come(&sim.ctx[i], ctx))
			return &sim.ctx[i];
	return NULL;
}

static void irq_begin(struct sim_ctx *irq, struct sim_ctx *over)
{
	irq->live = true;
	irq->irq_off = !is_softirq(irq);
	irq->cpu = over->cpu;
	irq->over = over;
	over->under = irq;
	over->moved++;
	sim.on_cpu[irq->cpu] = irq;
}

static void irq_end(struct sim_ctx *irq)
{
	irq->over->under = NULL;
	irq->over->cpu = irq->cpu;	/* a thread may have moved in its handler */
	sim.on_cpu[irq->cpu] = irq->over;
	irq->cpu = -1;
	irq->ops = NULL;
}

/* Coroutines */

static void ctx_main(void);

static void ctx_enter(struct sim_ctx *ctx)
{
	sim.self = ctx;
	if (ctx->entered || ctx->parked) {
		ctx->entered = true;
		_longjmp(ctx->jb, 1);
	}
	ctx->entered = true;
	getcontext(&ctx->uc);
	ctx->uc.uc_stack.ss_sp = ctx->stack;
	ctx->uc.uc_stack.ss_size = STACK_BYTES;
	ctx->uc.uc_link = NULL;
	makecontext(&ctx->uc, ctx_main, 0);
	setcontext(&ctx->uc);
}

static void switch_to(struct sim_ctx *next)
{
	struct sim_ctx *self = sim.self;

	if (next->cpu < 0) {
		int cpu = find_cpu();

		if (sim.on_cpu[cpu])
			leave_cpu(sim.on_cpu[cpu]);
		enter_cpu(next, cpu);
	}
	sim_note(next->id);
	if (next == self)
		return;
	if (!_setjmp(self->jb))
		ctx_enter(next);
}

/* What one context does from its start to its end. */
static void ctx_work(struct sim_ctx *ctx)
{
	if (ctx->id == SIM_CTX_RCU) {
		rcu_run();
		return;
	}
	for (ctx->pc = 0; ctx->pc < ctx->ops->n; ctx->pc++) {
		sim_point(EV_OP, NULL);
		model_run_op(ctx, &ctx->ops->op[ctx->pc]);
	}
	if (ctx->id < SIM_CTX_IRQ)
		slots_thread_exit();
}

static struct sim_ctx *choose_any(void);

/* A context ends: somebody else goes on, or the run is over. */
static void ctx_exit(struct sim_ctx *ctx)
{
	struct sim_ctx *next;

	ctx->live = false;
	if (ctx->irq_off != (ctx->over && !is_softirq(ctx)) || ctx->preempt_off || ctx->rcu_nest)
		sim_fail("context %d ends with interrupts or preemption off", ctx->id);
	if (ctx->over)
		irq_end(ctx);
	else
		leave_cpu(ctx);
	next = choose_any();
	if (_setjmp(ctx->jb))
		return;
	ctx->entered = false;
	ctx->parked = true;
	if (!next)
		_longjmp(sim.main_jb, 1);
	if (next->cpu < 0) {
		int cpu = find_cpu();

		if (sim.on_cpu[cpu])
			leave_cpu(sim.on_cpu[cpu]);
		enter_cpu(next, cpu);
	}
	ctx_enter(next);
}

static void ctx_main(void)
{
	struct sim_ctx *ctx = sim.self;

	for (;;) {
		ctx_work(ctx);
		ctx_exit(ctx);
	}
}

/* Strategies */

static struct sim_ctx *highest(struct sim_ctx **list, u32 n)
{
	struct sim_ctx *best = list[0];
	u32 i;

	for (i = 1; i < n; i++)
		if (list[i]->prio > best->prio)
			best = list[i];
	return best;
}

/* Somebody must be chosen: the running context waits or has ended. */
static struct sim_ctx *choose_any(void)
{
	struct sim_ctx *list[SIM_MAX_CTX];
	u32 i, n = candidates(list);

	if (!n) {
		for (i = SIM_CTX_TASK; i < SIM_MAX_CTX; i++)
			if (sim.ctx[i].live && (i != SIM_CTX_RCU || !rcu_idle()))
				sim_fail("deadlock: context %u waits for ever", i);
		return NULL;
	}
	if (n == 1)
		return list[0];
	switch (sim.strategy) {
	case STRAT_DFS:
		return list[dfs_choose(n, true)];
	case STRAT_PCT:
		return highest(list, n);
	default:
		return list[rng_below(&sim.rng, n)];
	}
}

/* The running task is preempted, and goes on at once on another CPU if there is one. */
static void move_self(struct sim_ctx *self, u32 cpu)
{
	struct sim_ctx *other = sim.on_cpu[cpu];
	int mine = self->cpu;

	if (!preemptible(self))
		return;
	if ((int)cpu == mine || sim.offline[cpu] || (other && !preemptible(other))) {
		self->moved++;
		return;
	}
	leave_cpu(self);
	if (other) {
		leave_cpu(other);
		enter_cpu(other, mine);
	}
	enter_cpu(self, cpu);
}

static struct sim_ctx *point_random(struct sim_ctx *self)
{
	struct sim_ctx *list[SIM_MAX_CTX], *irq;

	if (!rng_below(&sim.rng, taste.irq_one_in)) {
		irq = next_irq(self);
		if (irq) {
			irq_begin(irq, self);
			return irq;
		}
	}
	if (!rng_below(&sim.rng, taste.move_one_in))
		move_self(self, rng_below(&sim.rng, cfg(CFG_CPUS)));
	if (rng_below(&sim.rng, taste.one_in))
		return self;
	return list[rng_below(&sim.rng, candidates(list))];
}

static struct sim_ctx *point_pct(struct sim_ctx *self)
{
	struct sim_ctx *list[SIM_MAX_CTX], *irq;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(taste.change); i++) {
		if (taste.change[i] != sim.steps)
			continue;
		self->prio = ARRAY_SIZE(taste.change) - i;
		irq = next_irq(self);
		if (irq) {
			irq_begin(irq, self);
			return irq;
		}
		move_self(self, rng_below(&sim.rng, cfg(CFG_CPUS)));
	}
	return highest(list, candidates(list));
}

/* Stay, go to another, an interrupt, a preemption: in this order. */
static struct sim_ctx *point_dfs(struct sim_ctx *self, enum sim_event event,
				 const volatile void *addr)
{
	struct sim_ctx *list[SIM_MAX_CTX], *irq;
	bool restarts = event == EV_COMMIT, writes = event != EV_LOAD && event != EV_ACQUIRE;
	u32 n, pick;

	if (event == EV_UNLOCK || (addr && !dfs_touch(addr, self->id, writes) && !restarts))
		return self;
	irq = next_irq(self);
	n = candidates(list);
	pick = dfs_choose(n + !!irq + restarts, false);
	if (pick < n)
		return list[pick];
	if (pick == n && irq) {
		irq_begin(irq, self);
		return irq;
	}
	move_self(self, (self->cpu + 1) % cfg(CFG_CPUS));
	return self;
}

/**
 * sim_point - let somebody else run, perhaps
 * @event: what the caller is about to do
 * @addr: to what, or NULL
 */
void sim_point(enum sim_event event, const volatile void *addr)
{
	struct sim_ctx *self = sim.self, *next;

	if (!sim.live)
		return;
	if (++sim.steps > STEPS_MAX)
		sim_fail("no end after %u steps", STEPS_MAX);
	sim_note((u64)event << 8 | self->id);
	if (event > EV_ACQUIRE && event != EV_RCU)
		self->nwaits = 0;
	if (sim.verbose)
		fprintf(stderr, "%8llu ctx %d cpu %d event %d at %llx\n",
			(unsigned long long)sim.steps, self->id, self->cpu, event,
			(unsigned long long)source_offset(addr));
	switch (sim.strategy) {
	case STRAT_DFS:
		next = point_dfs(self, event, addr);
		break;
	case STRAT_PCT:
		next = point_pct(self);
		break;
	default:
		next = point_random(self);
	}
	if (next != self)
		switch_to(next);
}

/**
 * sim_wait - wait until something is so
 * @ready: whether it is; looks at nothing but the simulator's state
 * @arg: for it
 * @spins: the waiter keeps its CPU
 */
void sim_wait(bool (*ready)(struct sim_ctx *ctx, void *arg), void *arg, bool spins)
{
	struct sim_ctx *self = sim.self, *next;

	while (!ready(self, arg)) {
		if (!sim.live)
			sim_fail("the main context waits for ever");
		self->ready = ready;
		self->arg = arg;
		if (!spins)
			leave_cpu(self);
		next = choose_any();
		if (!next)
			_longjmp(sim.main_jb, 1);	/* but for callbacks that nobody gave */
		switch_to(next);
		self->ready = NULL;
	}
}

/* Who else could go on, but for those who yield, too. */
static u32 yielded_to(struct sim_ctx **list)
{
	u32 i, n = candidates(list), left = 0;

	for (i = 1; i < n; i++)
		if (list[i]->nwaits < 2)
			list[left++] = list[i];
	return left;
}

/**
 * sim_yield - let somebody else run, if anybody can
 *
 * For who waits in a loop: two of them could go on for ever between themselves.
 */
void sim_yield(void)
{
	struct sim_ctx *list[SIM_MAX_CTX];
	u32 n = yielded_to(list);

	if (!n)
		return;
	switch (sim.strategy) {
	case STRAT_DFS:
		switch_to(list[dfs_choose(n, true)]);
		break;
	case STRAT_PCT:
		switch_to(highest(list, n));
		break;
	default:
		switch_to(list[rng_below(&sim.rng, n)]);
	}
}

void preempt_off(void)
{
	sim.self->preempt_off++;
}

void preempt_on(void)
{
	if (!--sim.self->preempt_off)
		sim.self->section++;
}

/* Begin and end of a run */

static void taste_reset(void)
{
	static const u32 rate[] = { 2, 3, 6, 16, 60, 200 };
	static const u32 rare[] = { 8, 40, 200, 1000 };
	static const u32 length[] = { 60, 300, 1000, 4000 };
	u32 i, len = length[rng_below(&sim.rng, ARRAY_SIZE(length))];

	taste.one_in = rate[rng_below(&sim.rng, ARRAY_SIZE(rate))];
	taste.irq_one_in = rare[rng_below(&sim.rng, ARRAY_SIZE(rare))];
	taste.move_one_in = rare[rng_below(&sim.rng, ARRAY_SIZE(rare))];
	for (i = 0; i < ARRAY_SIZE(taste.change); i++)
		taste.change[i] = 1 + rng_below(&sim.rng, len);
	for (i = 0; i < SIM_MAX_CTX; i++)
		sim.ctx[i].prio = 10 + rng_below(&sim.rng, 1000);
}

static void ctx_reset(struct sim_ctx *ctx, int id)
{
	char *stack = ctx->stack;
	bool parked = ctx->parked && !ctx->entered;
	jmp_buf jb;

	memcpy(jb, ctx->jb, sizeof(jb));
	memset(ctx, 0, sizeof(*ctx));
	memcpy(ctx->jb, jb, sizeof(jb));
	ctx->id = id;
	ctx->cpu = id == SIM_CTX_MAIN ? 0 : -1;
	ctx->parked = parked;
	ctx->stack = stack;
	if (!stack)
		ctx->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/**
 * sim_reset - a new run
 * @script: what it will do
 */
void sim_reset(const struct sim_script *script)
{
	u32 i;

	sim.script = script;
	sim.live = false;
	sim.failed = false;
	sim.steps = 0;
	sim.hash = 0xcbf29ce484222325ull;
	sim.ncanfail = 0;
	sim.now = 1000000000;
	sim.rng.state = script->seed * 2 + 1;
	sim.fault.state = ~script->seed;
	for (i = 0; i < SIM_MAX_CTX; i++)
		ctx_reset(&sim.ctx[i], i);
	memset(sim.on_cpu, 0, sizeof(sim.on_cpu));
	memset(sim.offline, 0, sizeof(sim.offline));
	sim.self = &sim.ctx[SIM_CTX_MAIN];
	if (sim.strategy != STRAT_DFS)
		sim.strategy = rng_below(&sim.rng, 4) ? STRAT_RANDOM : STRAT_PCT;
	taste_reset();
}

/**
 * sim_schedule - run all tasks to their end
 *
 * Called by the main context, which does nothing meanwhile.
 */
void sim_schedule(void)
{
	struct sim_ctx *next;
	u32 i;

	for (i = 0; i < SIM_MAX_TASKS + SIM_MAX_IRQS; i++) {
		struct sim_ctx *ctx = &sim.ctx[SIM_CTX_TASK + i];

		if (!sim.script->list[i].n)
			continue;
		ctx->ops = &sim.script->list[i];
		ctx->live = i < SIM_MAX_TASKS;
	}
	sim.ctx[SIM_CTX_RCU].live = true;
	sim.live = true;
	next = choose_any();
	if (next && !_setjmp(sim.main_jb))
		switch_to(next);
	sim.live = false;
	sim.self = &sim.ctx[SIM_CTX_MAIN];
	sim.self->cpu = 0;
	sim.on_cpu[0] = NULL;
}
