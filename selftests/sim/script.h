/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A script: settings, and lists of operations. Shared by the simulator and by the
 * test module, which runs the same script on real CPUs. See sched.c.
 */
#ifndef KSPAN_SIM_SCRIPT_H
#define KSPAN_SIM_SCRIPT_H

#include <kspan/types.h>

#define SIM_MAX_CPUS	4
#define SIM_MAX_TASKS	4
#define SIM_MAX_IRQS	4
#define SIM_MAX_OPS	48
#define SIM_NR_CELLS	48
#define SIM_NR_CACHES	4
#define SIM_NR_RESERVES	2

/* What a script sets; by name in its text. */
enum sim_cfg {
	CFG_CPUS,
	CFG_BUSY,	/* slots by busy flag, as in the kernel; else by rseq */
	CFG_THREADS,	/* with neither: slots of threads */
	CFG_NODES,
	CFG_GRAIN,
	CFG_MOVE,	/* the source can move memory, as mremap() */
	CFG_RELEASE,	/* the source can release, as mmap(); else only put */
	CFG_ZEROED,	/* what the source gives reads as zero */
	CFG_SPARES,	/* empty spans stay for a while, as in the kernel */
	CFG_CHARGES,	/* the source charges pages to who asks for that */
	CFG_META,	/* the source has metadata where it has no pages in one piece */
	CFG_RT,		/* the source is asked only where one may sleep, as on PREEMPT_RT */
	CFG_WATCH,	/* objects are observed: 1 as by tracepoints, 2 as by kmemleak */
	CFG_GUARDS,	/* guarded objects that the port has */
	CFG_POISONS,	/* a sanitizer is told of what nobody may use */
	CFG_CHECKED,
	CFG_SOFT,	/* limits in bytes */
	CFG_HARD,
	CFG_CACHE_BYTES,
	CFG_STACK_BYTES,
	CFG_STACK_OBJS,
	CFG_SPREAD,	/* where the source puts memory: 0 low, 1 high, 2 anywhere */
	CFG_EXACT,	/* the source never gives more than it must */
	CFG_FAIL_RATE,	/* one in so many calls that can fail does; 0 none */
	CFG_FAIL_AT,	/* the n-th such call fails, from 1; 0 none */
	CFG_BOUND,	/* of an exhaustive search: preemptions; 0 no search */
	NR_CFG
};

extern const char *const sim_cfg_name[NR_CFG];

#define OP_SLEEPS	1u
#define OP_ANYWHERE	2u	/* in NMIs too */
#define OP_QUIET	4u	/* no object goes to a user or comes from one */

/* The operations: name, how many arguments, OP_* */
#define SIM_OPS(OP)							\
	OP(alloc, 2, 0)			/* cell, bytes */		\
	OP(noscan, 2, 0)		/* cell, bytes */		\
	OP(zalloc, 2, 0)		/* cell, bytes */		\
	OP(aligned, 3, 0)		/* cell, bytes, log2 of the alignment */ \
	OP(node, 3, 0)			/* cell, bytes, node; + 2: no other */ \
	OP(bulk, 3, 0)			/* first cell, how many, bytes */ \
	OP(charged, 3, 0)		/* cell, bytes, 1: zeroed */	\
	OP(realloc, 2, 0)		/* cell, bytes */		\
	OP(free, 2, 0)			/* cell, 1: by another function */ \
	OP(rcufree, 1, 0)		/* cell */			\
	OP(rcuburst, 2, 0)		/* how many, bytes */		\
	OP(nalloc, 3, OP_ANYWHERE)	/* cell, bytes, 1: zeroed */	\
	OP(nfree, 1, OP_ANYWHERE)	/* cell */			\
	OP(freebulk, 2, 0)		/* first cell, how many */	\
	OP(wild, 1, 0)			/* cell */			\
	OP(twice, 2, OP_ANYWHERE)	/* cell, 0 free, 1 nolock, 2 cache: all who do, free it */ \
	OP(peek, 1, 0)			/* cell */			\
	OP(barrier, 0, OP_SLEEPS)					\
	OP(cnew, 3, OP_SLEEPS)		/* cache, bytes, flags */	\
	OP(calloc, 3, 0)		/* cache, cell, 1: zeroed */	\
	OP(cbulk, 3, 0)			/* cache, first cell, how many */ \
	OP(cshrink, 1, OP_SLEEPS)	/* cache */			\
	OP(cdestroy, 1, OP_SLEEPS)	/* cache */			\
	OP(cnalloc, 2, OP_ANYWHERE)	/* cache, cell */		\
	OP(rnew, 3, 0)			/* reserve, objects, bytes; < 4: of that cache */ \
	OP(rfill, 2, 0)			/* reserve, objects */		\
	OP(ralloc, 3, OP_ANYWHERE)	/* reserve, cell, 1: zeroed */	\
	OP(rend, 1, 0)			/* reserve */			\
	OP(debug, 1, OP_SLEEPS | OP_QUIET)	/* enum kspan_debug_flag; 0: off */ \
	OP(release, 0, OP_SLEEPS | OP_QUIET)				\
	OP(scavenge, 0, OP_SLEEPS | OP_QUIET)				\
	OP(verify, 0, OP_SLEEPS | OP_QUIET)				\
	OP(stats, 0, OP_SLEEPS | OP_QUIET)				\
	OP(leaks, 0, OP_SLEEPS | OP_QUIET)				\
	OP(offline, 1, OP_SLEEPS | OP_QUIET)	/* cpu */ \
	OP(online, 1, OP_SLEEPS | OP_QUIET)	/* cpu */ \
	OP(limit, 2, OP_QUIET)		/* soft, hard: KiB */

#define SIM_OP_KIND(name, nargs, flags)	OP_##name,
enum sim_op_kind { SIM_OPS(SIM_OP_KIND) NR_SIM_OPS };

/**
 * struct sim_op_desc - what there is to know of an operation without doing it
 * @name: in a script's text
 * @nargs: how many numbers follow it
 * @flags: OP_SLEEPS, OP_ANYWHERE
 */
struct sim_op_desc {
	const char *name;
	u32 nargs;
	u32 flags;
};

extern const struct sim_op_desc sim_ops[NR_SIM_OPS];

/* One step of a task: an operation and its arguments. */
struct sim_op {
	u8 kind;	/* enum sim_op_kind */
	u32 arg[4];
};

struct sim_ops {
	u32 n;
	struct sim_op op[SIM_MAX_OPS];
};

/**
 * struct sim_script - what a run does
 * @cfg: the world
 * @setup: done first, by the main context alone
 * @list: tasks, then interrupts
 * @seed: decides the rest
 */
struct sim_script {
	u64 cfg[NR_CFG];
	struct sim_ops setup;
	struct sim_ops list[SIM_MAX_TASKS + SIM_MAX_IRQS];
	u64 seed;
};

/* text.c */
struct sim_text {
	struct sim_script *script;
	struct sim_ops *ops;	/* the list that operations go to */
};

extern const u64 sim_cfg_default[NR_CFG];

void script_defaults(struct sim_script *script);
bool script_parse_line(struct sim_text *text, char *line);
int op_kind(const char *name);

#endif /* KSPAN_SIM_SCRIPT_H */
