// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Scripts: their text, how a seed makes one, and how one that fails is made
 * smaller. See sched.c.
 */
#include <stdlib.h>
#include "sim.h"

const char *const sim_cfg_name[NR_CFG] = {
	"cpus", "busy", "nodes", "grain", "release", "zeroed", "checked", "soft", "hard",
	"cache_bytes", "stack_bytes", "stack_objs", "spread", "exact",
	"fail_rate", "fail_at", "bound",
};

static const u64 defaults[NR_CFG] = {
	[CFG_CPUS] = 2,
	[CFG_BUSY] = 1,
	[CFG_NODES] = 1,
	[CFG_GRAIN] = 8192,
	[CFG_RELEASE] = 1,
	[CFG_ZEROED] = 1,
	[CFG_CACHE_BYTES] = 64 << 10,
	[CFG_STACK_BYTES] = 32 << 10,
	[CFG_STACK_OBJS] = 8,
};

void script_defaults(struct sim_script *script)
{
	memset(script, 0, sizeof(*script));
	memcpy(script->cfg, defaults, sizeof(defaults));
}

/* Text */

static struct sim_ops *parse_heading(struct sim_script *script, const char *word, const char *rest)
{
	u32 i = strtoul(rest, NULL, 0);

	if (!strcmp(word, "setup:"))
		return &script->setup;
	if (!strcmp(word, "task") && i < SIM_MAX_TASKS)
		return &script->list[i];
	if (!strcmp(word, "irq") && i < SIM_MAX_IRQS)
		return &script->list[SIM_MAX_TASKS + i];
	return NULL;
}

static bool parse_set(struct sim_script *script, const char *rest)
{
	char name[32];
	unsigned long long v;
	u32 i;

	if (sscanf(rest, "%31s %lli", name, (long long *)&v) != 2)
		return false;
	for (i = 0; i < NR_CFG; i++)
		if (!strcmp(sim_cfg_name[i], name)) {
			script->cfg[i] = v;
			return true;
		}
	return false;
}

static bool parse_op(struct sim_ops *ops, const char *word, const char *rest)
{
	int kind = op_kind(word);
	struct sim_op *op;
	char *end;
	u32 i;

	if (kind < 0 || !ops || ops->n == SIM_MAX_OPS)
		return false;
	op = &ops->op[ops->n++];
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	for (i = 0; i < op_nargs(kind); i++) {
		op->arg[i] = strtoul(rest, &end, 0);
		rest = end;
	}
	return true;
}

bool script_parse(struct sim_script *script, FILE *in, const char *name)
{
	struct sim_ops *ops = NULL;
	char line[160], word[32];
	u32 number = 0;
	int at;

	script_defaults(script);
	while (fgets(line, sizeof(line), in)) {
		bool ok = true;

		number++;
		at = 0;
		if (sscanf(line, " %31s %n", word, &at) != 1 || word[0] == '#')
			continue;
		if (!strcmp(word, "set")) {
			ok = parse_set(script, line + at);
		} else if (!strcmp(word, "seed")) {
			script->seed = strtoull(line + at, NULL, 0);
		} else if (strchr(line, ':')) {
			ops = parse_heading(script, word, line + at);
			ok = ops != NULL;
		} else {
			ok = parse_op(ops, word, line + at);
		}
		if (!ok) {
			fprintf(stderr, "%s:%u: not understood: %s", name, number, line);
			return false;
		}
	}
	if (script->cfg[CFG_CPUS] < 1 || script->cfg[CFG_CPUS] > SIM_MAX_CPUS)
		return false;
	return true;
}

static void print_ops(const struct sim_ops *ops, FILE *out)
{
	u32 i, k;

	for (i = 0; i < ops->n; i++) {
		fprintf(out, "\t%s", op_name(ops->op[i].kind));
		for (k = 0; k < op_nargs(ops->op[i].kind); k++)
			fprintf(out, " %u", ops->op[i].arg[k]);
		fputc('\n', out);
	}
}

void script_print(const struct sim_script *script, FILE *out)
{
	u32 i;

	fprintf(out, "seed %llu\n", (unsigned long long)script->seed);
	for (i = 0; i < NR_CFG; i++)
		if (script->cfg[i] != defaults[i])
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
 */
struct flavour {
	u32 size[4];
	u32 cells;
	u32 nops;
	u32 theme;
	bool caches;
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
		set_op(op, "node", cell, size, rng_below(rng, 2));
		break;
	case 5:
		set_op(op, "noscan", cell, size, 0);
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
	default:
		set_op(op, "free", cell, rng_below(rng, 4) == 0, 0);
	}
}

static void gen_cache(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	u32 cache = rng_below(rng, 2), cell = rng_below(rng, f->cells);

	switch (rng_below(rng, 10)) {
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
	default:
		set_op(op, "calloc", cache, cell, rng_below(rng, 2));
	}
}

static void gen_heap(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	switch (rng_below(rng, 10)) {
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
	default:
		set_op(op, "scavenge", 0, 0, 0);
	}
}

static void gen_op(struct sim_op *op, struct sim_rng *rng, const struct flavour *f)
{
	u32 r = rng_below(rng, 100);

	if (f->caches && r < 35)
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
	u64 *c = script->cfg;

	c[CFG_CPUS] = 1 + rng_below(rng, 3);
	c[CFG_BUSY] = rng_below(rng, 2);
	c[CFG_NODES] = rng_below(rng, 4) ? 1 : 2;
	c[CFG_GRAIN] = grains[rng_below(rng, ARRAY_SIZE(grains))];
	c[CFG_RELEASE] = rng_below(rng, 2);
	c[CFG_ZEROED] = rng_below(rng, 2);
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

		if (old == defaults[i] || i == CFG_BUSY)
			continue;
		script->cfg[i] = defaults[i];
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
