/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The simulator: what its files share. sched.c says how it works.
 */
#ifndef KSPAN_SIM_H
#define KSPAN_SIM_H

#include <setjmp.h>
#include <stdio.h>
#include <ucontext.h>
#include <kspan/heap.h>
#include "script.h"

/* Contexts: the main one, the tasks, the interrupts, the one that runs RCU callbacks */
#define SIM_CTX_MAIN	0
#define SIM_CTX_TASK	1
#define SIM_CTX_IRQ	(SIM_CTX_TASK + SIM_MAX_TASKS)
#define SIM_CTX_RCU	(SIM_CTX_IRQ + SIM_MAX_IRQS)
#define SIM_MAX_CTX	(SIM_CTX_RCU + 1)

/*
 * In the kernel's model the first interrupts are softirqs, which the others may
 * interrupt, and the last is an NMI, which comes anywhere and calls what may be
 * called anywhere. In userspace's models they are signal handlers.
 */
#define SIM_NR_SOFTIRQS	2
#define SIM_CTX_NMI	(SIM_CTX_RCU - 1)

/* rand.c: the simulator's own generator, so that a seed means the same everywhere */
struct sim_rng {
	u64 state;
};

u64 rng_next(struct sim_rng *rng);
u32 rng_below(struct sim_rng *rng, u32 n);

/* script.c */
bool script_parse(struct sim_script *script, FILE *in, const char *name);
void script_print(const struct sim_script *script, FILE *out);
void script_generate(struct sim_script *script, u64 seed);
u32 script_shrink(struct sim_script *script, u32 tries);

/* What can be seen at a scheduling point; the trace has them. */
enum sim_event {
	EV_LOAD, EV_ACQUIRE, EV_STORE, EV_RELEASE, EV_RMW, EV_LOCK, EV_UNLOCK,
	EV_MUTEX, EV_COMMIT, EV_SOURCE, EV_RCU, EV_OP, EV_FREEZE, EV_WATCH, EV_GUARD,
};

/**
 * struct sim_ctx - a task, an interrupt, or who runs RCU callbacks
 * @cpu: where it runs, -1 nowhere
 * @live: has been started and has not ended
 * @entered: its stack is in use
 * @parked: its stack waits in ctx_main() for the next job
 * @irq_off: nested; interrupts cannot come
 * @preempt_off: nested; it cannot be preempted
 * @moved: how often it was preempted or moved
 * @section: of preemption off, counted when the outermost ends
 * @rcu_nest: RCU read-side nesting
 * @nwaits: for grace periods, since it last did more than look
 * @held: locks held by rank
 * @nmutex: mutexes held
 * @charged: it asked for memory that is charged
 * @over: the context that this interrupt interrupted
 * @under: the interrupt on top of it
 * @ready: it waits until this says true of @arg
 * @arg: for @ready
 * @spins: waits without leaving its CPU
 * @prio: for priority schedules
 * @ops: what it does
 * @pc: which of them
 */
struct sim_ctx {
	int id;
	int cpu;
	bool live;
	bool entered;
	bool parked;
	u32 irq_off;
	u32 preempt_off;
	u32 moved;
	u32 section;
	u32 rcu_nest;
	u32 nwaits;
	u32 held[KSPAN_NR_RANKS];
	u32 nmutex;
	bool charged;
	struct sim_ctx *over;
	struct sim_ctx *under;
	bool (*ready)(struct sim_ctx *ctx, void *arg);
	void *arg;
	bool spins;
	u32 prio;
	const struct sim_ops *ops;
	u32 pc;
	jmp_buf jb;
	ucontext_t uc;
	char *stack;
};

enum sim_strategy { STRAT_RANDOM, STRAT_PCT, STRAT_DFS };

/**
 * struct sim - a run
 * @script: what it does
 * @live: contexts are being scheduled; else the main one has the world to itself
 * @failed: with @message
 * @steps: scheduling points so far
 * @hash: of all that happened
 * @ncanfail: calls that may fail so far
 */
struct sim {
	const struct sim_script *script;
	bool live;
	bool failed;
	bool verbose;
	enum sim_strategy strategy;
	char message[256];
	u64 steps;
	u64 hash;
	u32 ncanfail;
	u64 now;
	struct sim_rng rng;		/* schedule */
	struct sim_rng fault;		/* what fails */
	struct sim_ctx ctx[SIM_MAX_CTX];
	struct sim_ctx *self;
	struct sim_ctx *on_cpu[SIM_MAX_CPUS];
	bool offline[SIM_MAX_CPUS];
	jmp_buf fail_jb;
	jmp_buf main_jb;
};

extern struct sim sim;

static inline u64 cfg(enum sim_cfg which)
{
	return sim.script->cfg[which];
}

/* sched.c */
void sim_point(enum sim_event event, const volatile void *addr);
void sim_yield(void);
void sim_wait(bool (*ready)(struct sim_ctx *ctx, void *arg), void *arg, bool spins);
void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
bool sim_should_fail(void);
void sim_reset(const struct sim_script *script);
void sim_schedule(void);
void sim_note(u64 v);
bool sim_atomic(const struct sim_ctx *ctx);
bool sim_in_nmi(void);
void preempt_off(void);
void preempt_on(void);

/* dfs.c */
void dfs_reset(u32 bound);
void dfs_forget(void);
bool dfs_again(void);
bool dfs_touch(const volatile void *addr, int ctx, bool writes);
bool dfs_next(void);
void dfs_rewind(void);
u32 dfs_choose(u32 n, bool is_free);

/* rcu.c */
void rcu_reset(void);
void rcu_read_lock(void);
void rcu_read_unlock(void);
void rcu_run(void);
bool rcu_idle(void);
bool rcu_unused(void);

/* slots.c */
void slots_reset(void);
void slots_thread_exit(void);
void slots_offline(u32 cpu);
void slots_online(u32 cpu);

/* source.c */
extern struct kspan_source sim_source;
void source_reset(void);
u64 source_outstanding(void);
u64 source_offset(const volatile void *p);
bool source_is_charged(const void *p);
u32 source_ncharged(void);
u64 *source_shadow(u32 range);

/* shadow.c */
size_t shadow_count(const volatile void *p, size_t nbytes);
void shadow_clear(const void *p, size_t nbytes);
void shadow_access(const volatile void *p, size_t size);

/* watch.c */
void watch_reset(void);
bool watch_sees(const void *p);
u32 watch_count(void);

/* guard.c */
void guards_reset(void);
u64 guard_offset(const volatile void *p);
u32 guards_live(void);
u32 guards_changing(void);

/* model.c */
void model_reset(void);
void model_run_op(struct sim_ctx *ctx, const struct sim_op *op);
void model_quiesce(bool last);
bool model_wrong_frees(void);
int model_wild_owner(void);

/* run.c */
bool sim_run(const struct sim_script *script);

#endif /* KSPAN_SIM_H */
