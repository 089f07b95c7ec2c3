// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The text of a script, line by line; for the simulator and for the test module, so
 * it needs no more than both worlds have. See sched.c.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif
#include <kspan/types.h>
#include "script.h"

const char *const sim_cfg_name[NR_CFG] = {
	"cpus", "busy", "threads", "nodes", "grain", "move", "release", "zeroed", "spares",
	"charges", "meta", "rt", "watch", "guards", "poisons", "checked", "soft", "hard",
	"cache_bytes", "stack_bytes", "stack_objs", "spread", "exact",
	"fail_rate", "fail_at", "bound",
};

const u64 sim_cfg_default[NR_CFG] = {
	[CFG_CPUS] = 2,
	[CFG_BUSY] = 1,
	[CFG_NODES] = 1,
	[CFG_GRAIN] = 8192,
	[CFG_MOVE] = 1,
	[CFG_RELEASE] = 1,
	[CFG_ZEROED] = 1,
	[CFG_CACHE_BYTES] = 64 << 10,
	[CFG_STACK_BYTES] = 32 << 10,
	[CFG_STACK_OBJS] = 8,
};

#define SIM_OP_DESC(name, nargs, flags)	{ #name, nargs, flags },
const struct sim_op_desc sim_ops[NR_SIM_OPS] = { SIM_OPS(SIM_OP_DESC) };

void script_defaults(struct sim_script *script)
{
	memset(script, 0, sizeof(*script));
	memcpy(script->cfg, sim_cfg_default, sizeof(sim_cfg_default));
}

int op_kind(const char *name)
{
	u32 i;

	for (i = 0; i < NR_SIM_OPS; i++)
		if (!strcmp(sim_ops[i].name, name))
			return i;
	return -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ':';
}

/* Cut the next word off the line; empty at its end. */
static char *next_word(char **line)
{
	char *word;

	while (**line && is_blank(**line))
		++*line;
	word = *line;
	while (**line && !is_blank(**line))
		++*line;
	if (**line)
		*(*line)++ = 0;
	return word;
}

/* A decimal number; none is 0. */
static bool next_number(char **line, u64 *v)
{
	char *word = next_word(line);

	for (*v = 0; *word; word++) {
		if (*word < '0' || *word > '9')
			return false;
		*v = *v * 10 + (*word - '0');
	}
	return true;
}

static bool parse_set(struct sim_script *script, char *line)
{
	const char *name = next_word(&line);
	u64 v;
	u32 i;

	if (!next_number(&line, &v))
		return false;
	for (i = 0; i < NR_CFG; i++)
		if (!strcmp(sim_cfg_name[i], name)) {
			script->cfg[i] = v;
			return true;
		}
	return false;
}

static bool parse_heading(struct sim_text *text, const char *word, char *line)
{
	struct sim_script *script = text->script;
	u64 i;

	text->ops = NULL;
	if (!next_number(&line, &i))
		return false;
	if (!strcmp(word, "setup"))
		text->ops = &script->setup;
	else if (!strcmp(word, "task") && i < SIM_MAX_TASKS)
		text->ops = &script->list[i];
	else if (!strcmp(word, "irq") && i < SIM_MAX_IRQS)
		text->ops = &script->list[SIM_MAX_TASKS + i];
	return text->ops;
}

static bool parse_op(struct sim_ops *ops, const char *word, char *line)
{
	int kind = op_kind(word);
	struct sim_op *op;
	u64 v;
	u32 i;

	if (kind < 0 || !ops || ops->n == SIM_MAX_OPS)
		return false;
	op = &ops->op[ops->n++];
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	for (i = 0; i < sim_ops[kind].nargs; i++) {
		if (!next_number(&line, &v))
			return false;
		op->arg[i] = v;
	}
	return true;
}

/**
 * script_parse_line - take one line of a script
 * @text: the script so far
 * @line: changed on the way
 *
 * Return: false when it was not understood.
 */
bool script_parse_line(struct sim_text *text, char *line)
{
	const bool heading = strchr(line, ':') && line[0] != '#';
	char *word = next_word(&line);

	if (!*word || *word == '#')
		return true;
	if (!strcmp(word, "set"))
		return parse_set(text->script, line);
	if (!strcmp(word, "seed"))
		return next_number(&line, &text->script->seed);
	if (heading)
		return parse_heading(text, word, line);
	return parse_op(text->ops, word, line);
}
