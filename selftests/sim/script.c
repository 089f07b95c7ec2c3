// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Scripts: files of them, how a seed makes one, and how one that fails is made
 * smaller. See sched.c.
 */
#include <stdlib.h>
#include "sim.h"

bool script_parse(struct sim_script *script, FILE *in, const char *name)
{
	struct sim_text text = { .script = script };
	char line[160];
	u32 number = 0;

	script_defaults(script);
	while (fgets(line, sizeof(line), in)) {
		number++;
		if (!script_parse_line(&text, line)) {
			fprintf(stderr, "%s:%u: not understood\n", name, number);
			return false;
		}
	}
	return script->cfg[CFG_CPUS] >= 1 && script->cfg[CFG_CPUS] <= SIM_MAX_CPUS;
}

static void print_ops(const struct sim_ops *ops, FILE *out)
{
	u32 i, k;

	for (i = 0; i < ops->n; i++) {
		fprintf(out, "\t%s", sim_ops[ops->op[i].kind].name);
		for (k = 0; k < sim_ops[ops->op[i].kind].nargs; k++)
			fprintf(out, " %u", ops->op[i].arg[k]);
		fputc('\n', out);
	}
}

void script_print(const struct sim_script *script, FILE *out)
{
	u32 i;

	fprintf(out, "seed %llu\n", (unsigned long long)script->seed);
	for (i = 0; i < NR_CFG; i++)
		if (script->cfg[i] != sim_cfg_default[i])
			fprintf(out, "set %s %llu\n", sim_cfg_name[i],
				(unsigned long long)script->cfg[i]);
	if (script->setup.n)
		fputs("setup:\n", out);
	print_ops(&script->setup, out);
	for (i = 0; i < ARRAY_SIZE(script->list); i++) {
		if (script->list[i].n)
			fprintf(out, "%s %u:\n", i < SIM_MAX_TASKS ? "task" : "irq",
				i < SIM_MAX_TASKS ? i : i - SIM_MAX_TASKS);
		print_ops(&script->list[i], out);
	}
}

/* Making one */

/**
 * struct flavour - what a generated script is about
 * @size: bytes that are asked for
 * @cells: how many are used: few, so that tasks meet
 * @nops: operations per task
 * @theme: index of the table of operations
 * @caches: it has object caches
 * @nolock: it has calls that wait for no lock, and NMIs
 * @debug: debug facilities are switched meanwhile
 */
struct flavour {
	u32 size[4];
	u32 cells;
	u32 nops;
	u32 theme;
	bool caches;
	bool nolock;
	bool debug;
};

static const u32 sizes[] = {
	8, 16, 24, 32, 48, 64, 96, 128, 200, 256, 512, 640, 1000, 1024, 1500, 2048, 3000, 4096,
	6000, 8192, 9000, 12288, 16384, 20000, 28672, 32768,
};

static const u32 large_sizes[] = {
	32769, 40000, 65536, 70000, 100000, 131072, 262144, 1 << 20, 5 << 20,
};

static u32 pick_size(struct sim_rng *rng)
{
	u32 r = rng_below(rng, 40);

	/* larger than an arena: with a mapping of its own, which moves */
	if (!r && !rng_below(rng, 4))
		return (4 + rng_below(rng, 8)) * (1100u << 10);
	if (!r)
		return large_sizes[rng_below(rng, ARRAY_SIZE(large_sizes))];
	if (r == 1)
		return rng_below(rng, 40000);
	/* half of them large enough that a span holds few */
	if (r < 20)
		return sizes[14 + rng_below(rng, ARRAY_SIZE(sizes) - 14)];
	return sizes[rng_below(rng, ARRAY_SIZE(sizes))];
}

static void set_op(struct sim_op *op, const char *name, u32 a, u32 b, u32 c)
{
	op->kind = op_kind(name);
	op->arg[0] = a;
	op->arg[1] = b;
	op->arg[2] = c;
	op->arg[3] = 0;
}

static void gen_alloc(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	u32 cell = rng_below(rng, f->cells), size = f->size[rng_below(rng, 4)];

	switch (rng_below(rng, f->theme == 1 ? 3 : 12)) {
	case 0:
		set_op(op, "noscan", cell, 1 + rng_below(rng, 15), 0);
		break;
	case 1:
		set_op(op, "noscan", cell, 1 + rng_below(rng, 15), 0);
		if (f->theme != 1)
			set_op(op, "zalloc", cell, size, 0);
		break;
	case 2:
		set_op(op, "noscan", cell, 8, 0);
		if (f->theme != 1)
			set_op(op, "bulk", cell, 1 + rng_below(rng, 12), size);
		break;
	case 3:
		set_op(op, "aligned", cell, size, rng_below(rng, 17));
		break;
	case 4:
		set_op(op, "node", cell, size, rng_below(rng, 4));
		break;
	case 5:
		if (rng_below(rng, 2))
			set_op(op, "noscan", cell, size, 0);
		else
			set_op(op, "charged", cell, 30000 + rng_below(rng, 100000), cell & 1);
		break;
	case 6:
		if (rng_below(rng, 2))
			set_op(op, "rnew", cell, 1 + rng_below(rng, 12), size);
		else
			set_op(op, "ralloc", cell, 1 + cell, rng_below(rng, 2));
		break;
	default:
		set_op(op, "alloc", cell, size, 0);
	}
}

static void gen_free(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	u32 cell = rng_below(rng, f->cells);

	switch (rng_below(rng, 10)) {
	case 0:
		set_op(op, "rcufree", cell, 0, 0);
		break;
	case 1:
		set_op(op, "freebulk", cell, 1 + rng_below(rng, 12), 0);
		break;
	case 2:
		set_op(op, "realloc", cell, pick_size(rng), 0);
		break;
	case 3:
		if (!rng_below(rng, 4))
			set_op(op, "rend", cell, 0, 0);
		else
			set_op(op, "free", cell, 0, 0);
		break;
	default:
		set_op(op, "free", cell, rng_below(rng, 4) == 0, 0);
	}
}

static void gen_cache(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	u32 cache = rng_below(rng, 2), cell = rng_below(rng, f->cells);

	switch (rng_below(rng, 12)) {
	case 0:
		set_op(op, "cnew", cache, f->size[0], rng_below(rng, 8));
		break;
	case 1:
		set_op(op, "cdestroy", cache, 0, 0);
		break;
	case 2:
		set_op(op, "cshrink", cache, 0, 0);
		break;
	case 3:
		set_op(op, "cbulk", cache, cell, 1 + rng_below(rng, 12));
		break;
	case 4:
		set_op(op, "peek", cell, 0, 0);
		break;
	case 5:
		set_op(op, "rnew", cell, 1 + rng_below(rng, 12), cache);
		break;
	case 6:
		set_op(op, "ralloc", cache, cell, rng_below(rng, 2));
		break;
	default:
		set_op(op, "calloc", cache, cell, rng_below(rng, 2));
	}
}

/* Debug facilities: any of them, two in five times none. */
static u32 pick_debug(struct sim_rng *rng)
{
	u32 bits = rng_next(rng) & (2 * KSPAN_DEBUG_FAIL - 1);

	return rng_below(rng, 5) < 2 ? 0 : bits | KSPAN_DEBUG_CHECK;
}

static void gen_heap(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	if (f->debug && rng_below(rng, 2)) {
		set_op(op, "debug", pick_debug(rng), 0, 0);
		return;
	}
	switch (rng_below(rng, 11)) {
	case 0:
		set_op(op, "verify", 0, 0, 0);
		break;
	case 1:
		set_op(op, "stats", 0, 0, 0);
		break;
	case 2:
		set_op(op, "offline", rng_below(rng, 3), 0, 0);
		break;
	case 3:
		set_op(op, "online", rng_below(rng, 3), 0, 0);
		break;
	case 4:
	case 5:
		set_op(op, "release", 0, 0, 0);
		break;
	case 6:
		set_op(op, "barrier", 0, 0, 0);
		break;
	case 7:
		set_op(op, "leaks", 0, 0, 0);
		break;
	default:
		set_op(op, "scavenge", 0, 0, 0);
	}
}

/* What may be called anywhere. */
static void gen_nolock(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	u32 cell = rng_below(rng, f->cells);
	u32 size = f->size[rng_below(rng, 4)];
	u32 r = rng_below(rng, 8);

	/* one draw for each statement: the order of arguments is the compiler's */
	if (r < 3)
		set_op(op, "nalloc", cell, size, rng_below(rng, 2));
	else if (r < 4 && f->caches)
		set_op(op, "cnalloc", rng_below(rng, 2), cell, 0);
	else if (r < 4)
		set_op(op, "ralloc", rng_below(rng, 2), cell, 0);
	else
		set_op(op, "nfree", cell, 0, 0);
}

static void gen_op(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	u32 r = rng_below(rng, 100);

	if (f->nolock && rng_below(rng, 4) == 0)
		gen_nolock(op, rng, f);
	else if (f->caches && r < 35)
		gen_cache(op, rng, f);
	else if (r < 55)
		gen_alloc(op, rng, f);
	else if (r < 88)
		gen_free(op, rng, f);
	else if (r < 91)
		set_op(op, "peek", rng_below(rng, f->cells), 0, 0);
	else if (r < 92)
		set_op(op, "wild", rng_below(rng, f->cells), 0, 0);
	else
		gen_heap(op, rng, f);
}

static void gen_cfg(struct sim_script *script, struct sim_rng *rng)
{
	static const u32 grains[] = { 8192, 8192, 16384, 65536, 1 << 20 };
	static const u32 budgets[] = { 0, 4096, 16384, 64 << 10, 1 << 20 };
	static const u32 objs[] = { 2, 3, 8, 16, 70 };
	struct sim_rng own = { .state = ~script->seed };	/* the others draw as before */
	u64 *c = script->cfg;

	c[CFG_CPUS] = 1 + rng_below(rng, 3);
	c[CFG_BUSY] = rng_below(rng, 2);
	c[CFG_THREADS] = !c[CFG_BUSY] && rng_below(rng, 2);
	c[CFG_MOVE] = rng_below(rng, 4) != 0;
	c[CFG_NODES] = rng_below(rng, 4) ? 1 : 2;
	c[CFG_GRAIN] = grains[rng_below(rng, ARRAY_SIZE(grains))];
	c[CFG_RELEASE] = rng_below(rng, 2);
	c[CFG_ZEROED] = rng_below(rng, 2);
	c[CFG_SPARES] = !c[CFG_RELEASE];
	c[CFG_CHECKED] = !rng_below(rng, 12);
	c[CFG_CACHE_BYTES] = budgets[rng_below(rng, ARRAY_SIZE(budgets))];
	c[CFG_STACK_BYTES] = budgets[rng_below(rng, ARRAY_SIZE(budgets))];
	c[CFG_STACK_OBJS] = objs[rng_below(rng, ARRAY_SIZE(objs))];
	c[CFG_SPREAD] = rng_below(rng, 3);
	c[CFG_EXACT] = rng_below(rng, 2);
	c[CFG_FAIL_RATE] = rng_below(rng, 4) ? 0 : 2 + rng_below(rng, 30);
	if (!rng_below(rng, 8))
		c[CFG_HARD] = 300000 + rng_below(rng, 600000);
	if (!rng_below(rng, 8))
		c[CFG_SOFT] = 200000 + rng_below(rng, 600000);
	c[CFG_CHARGES] = rng_below(rng, 3) == 0;
	c[CFG_META] = rng_below(rng, 4) == 0;
	c[CFG_RT] = c[CFG_BUSY] && rng_below(rng, 6) == 0;
	c[CFG_WATCH] = rng_below(rng, 5) ? 0 : 1 + rng_below(rng, 2);
	c[CFG_GUARDS] = rng_below(rng, 5);
	c[CFG_POISONS] = rng_below(&own, 4) == 0;
}

static void gen_nmi(struct sim_ops *ops, struct sim_rng *rng, const struct flavour *f)
{
	ops->n = 1 + rng_below(rng, 4);
	for (u32 i = 0; i < ops->n; i++)
		gen_nolock(&ops->op[i], rng, f);
}

/**
 * script_generate - the script of a seed
 * @script: filled in
 * @seed: .
 */
void script_generate(struct sim_script *script, u64 seed)
{
	struct sim_rng rng = { .state = seed };
	struct flavour f;
	u32 i, k, ntasks, nirqs;

	script_defaults(script);
	script->seed = seed;
	gen_cfg(script, &rng);
	for (i = 0; i < ARRAY_SIZE(f.size); i++)
		f.size[i] = pick_size(&rng);
	f.theme = rng_below(&rng, 4);
	if (f.theme == 2)	/* all of one class */
		f.size[1] = f.size[2] = f.size[3] = f.size[0];
	f.cells = 3 + rng_below(&rng, 20);
	f.nops = 3 + rng_below(&rng, 25);
	f.caches = !rng_below(&rng, 3);
	f.nolock = !rng_below(&rng, 3);
	f.debug = !rng_below(&rng, 5);
	script->setup.n = rng_below(&rng, 10);
	if (f.caches) {
		set_op(&script->setup.op[0], "cnew", 0, f.size[0], rng_below(&rng, 8));
		set_op(&script->setup.op[1], "cnew", 1, f.size[1], rng_below(&rng, 8));
		script->setup.n += 2;
	}
	for (i = f.caches ? 2 : 0; i < script->setup.n; i++)
		gen_op(&script->setup.op[i], &rng, &f);
	ntasks = 1 + rng_below(&rng, SIM_MAX_TASKS);
	nirqs = rng_below(&rng, SIM_MAX_IRQS + 1);
	for (i = 0; i < ntasks; i++)
		for (k = 0; k < f.nops; k++)
			gen_op(&script->list[i].op[script->list[i].n++], &rng, &f);
	for (i = 0; i < nirqs; i++)
		for (k = 0; k < 1 + rng_below(&rng, 3); k++)
			gen_op(&script->list[SIM_MAX_TASKS + i].op
			       [script->list[SIM_MAX_TASKS + i].n++], &rng, &f);
	if (f.nolock)
		gen_nmi(&script->list[SIM_MAX_TASKS + SIM_MAX_IRQS - 1], &rng, &f);
}

/* Making one smaller */

/* Whether it fails with its own seed or one of the next; keeps the one it does with. */
static bool still_fails(struct sim_script *script, u32 tries)
{
	u64 seed = script->seed;
	u32 i;

	for (i = 0; i < tries; i++) {
		script->seed = seed + i * 0x10001ull;
		if (!sim_run(script))
			return true;
	}
	script->seed = seed;
	return false;
}

/* Try without operations @from .. @from + @n - 1 of @ops. */
static bool shrink_cut(struct sim_script *script, struct sim_ops *ops, u32 from, u32 n, u32 tries)
{
	struct sim_ops old = *ops;
	u64 seed = script->seed;

	memmove(&ops->op[from], &ops->op[from + n], (ops->n - from - n) * sizeof(ops->op[0]));
	ops->n -= n;
	if (still_fails(script, tries))
		return true;
	*ops = old;
	script->seed = seed;
	return false;
}

static u32 shrink_ops(struct sim_script *script, struct sim_ops *ops, u32 tries)
{
	u32 n, from, cut = 0;

	for (n = ops->n; n; n /= 2)
		for (from = 0; from + n <= ops->n;)
			if (shrink_cut(script, ops, from, n, tries))
				cut += n;
			else
				from += n;
	return cut;
}

static u32 shrink_cfg(struct sim_script *script, u32 tries)
{
	u32 i, cut = 0;

	for (i = 0; i < NR_CFG; i++) {
		u64 old = script->cfg[i];

		if (old == sim_cfg_default[i] || i == CFG_BUSY || i == CFG_THREADS)
			continue;
		script->cfg[i] = sim_cfg_default[i];
		if (still_fails(script, tries))
			cut++;
		else
			script->cfg[i] = old;
	}
	return cut;
}

/**
 * script_shrink - take away what a failing script does not need
 * @script: it fails
 * @tries: schedules to try before something counts as needed
 *
 * Return: how much went.
 */
u32 script_shrink(struct sim_script *script, u32 tries)
{
	u32 i, cut, all = 0;

	do {
		cut = shrink_cfg(script, tries);
		for (i = 0; i < ARRAY_SIZE(script->list); i++)
			cut += shrink_ops(script, &script->list[i], tries);
		cut += shrink_ops(script, &script->setup, tries);
		all += cut;
	} while (cut);
	sim_run(script);	/* leaves its message */
	return all;
}
