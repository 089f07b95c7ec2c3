// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the kernel has for core/debug.c: the switch that makes it cost nothing,
 * stacks from the stack depot, faults from the kernel's own injector; and the
 * module parameters that turn each facility on and off at run time.
 */
#define pr_fmt(fmt) "kspan: " fmt

#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/stackdepot.h>
#include <linux/stacktrace.h>

#include <kspan/heap.h>
#include "kmod.h"
#include "params.h"

DEFINE_STATIC_KEY_FALSE(kspan_checked_key);

/*
 * With cpus_read_lock() held, and not taken here: it comes before heap->caches_lock, which
 * a client takes that makes or ends object caches as CPUs come and go.
 */
void port_set_checked(bool on)
{
	if (on)
		static_branch_enable_cpuslocked(&kspan_checked_key);
	else
		static_branch_disable_cpuslocked(&kspan_checked_key);
}

/* Stacks */

#define STACK_DEPTH	16
#define STACK_SKIP	2	/* this function and the hook */

#if defined(CONFIG_STACKDEPOT) && defined(CONFIG_STACKTRACE)

/**
 * port_stack_save - remember the stack that led here
 * @gfp: may the depot sleep for its memory
 *
 * Context: any but NMI; no lock of the core held.
 * Return: its number, 0 when there is no memory for it, or none may be asked for.
 */
u32 port_stack_save(gfp_t gfp)
{
	unsigned long entries[STACK_DEPTH];
	unsigned int n;

	if (!port_may_ask_source())
		return 0;
	n = stack_trace_save(entries, ARRAY_SIZE(entries), STACK_SKIP);
	return stack_depot_save(entries, n, (gfp & (GFP_KERNEL | __GFP_HIGH)) | __GFP_NOWARN);
}

/**
 * port_stack_report - tell a person of a stack
 * @what: what happened there
 * @stack: from port_stack_save()
 */
void port_stack_report(const char *what, u32 stack)
{
	unsigned long *entries;
	unsigned int i, n = stack_depot_fetch(stack, &entries);

	port_report("  %s:", what);
	for (i = 0; i < n; i++)
		port_report("    %pS", (void *)entries[i]);
}

/* The depot's own table, made when it is first wanted. */
static int stacks_prepare(void)
{
	static bool ready;
	int err = ready ? 0 : stack_depot_init();

	ready = !err;
	return err;
}

#else

u32 port_stack_save(gfp_t gfp)
{
	return 0;
}

void port_stack_report(const char *what, u32 stack)
{
}

static int stacks_prepare(void)
{
	return -EOPNOTSUPP;
}

#endif

/* Parameters */

/**
 * struct debug_param - a parameter that is a facility of core/debug.c
 * @name: of the parameter
 * @flag: enum kspan_debug_flag
 * @max: greatest value; 1: it is a switch
 * @value: now
 */
struct debug_param {
	const char *name;
	u32 flag;
	unsigned int max;
	unsigned int value;
};

enum {
	PARAM_CHECKED, PARAM_REDZONE, PARAM_POISON, PARAM_STACKS, PARAM_INIT_ON_ALLOC,
	PARAM_INIT_ON_FREE, PARAM_QUARANTINE, PARAM_GUARD, PARAM_FAIL, PARAM_FAIL_EVERY,
};

static struct debug_param params[] = {
	[PARAM_CHECKED] = { "checked", KSPAN_DEBUG_CHECK, 1 },
	[PARAM_REDZONE] = { "redzone", KSPAN_DEBUG_REDZONE, 1 },
	[PARAM_POISON] = { "poison", KSPAN_DEBUG_POISON, 1 },
	[PARAM_STACKS] = { "stacks", KSPAN_DEBUG_STACKS, 1 },
	[PARAM_INIT_ON_ALLOC] = { "init_on_alloc", KSPAN_DEBUG_INIT_ALLOC, 1 },
	[PARAM_INIT_ON_FREE] = { "init_on_free", KSPAN_DEBUG_INIT_FREE, 1 },
	[PARAM_QUARANTINE] = { "quarantine_kib", KSPAN_DEBUG_QUARANTINE, 1 << 20 },
	[PARAM_GUARD] = { "guard_every", KSPAN_DEBUG_GUARD, INT_MAX },
	[PARAM_FAIL] = { "fail", KSPAN_DEBUG_FAIL, 1 },
	[PARAM_FAIL_EVERY] = { "fail_every", KSPAN_DEBUG_FAIL, INT_MAX },
};

/* Faults: probability, interval, times and the rest are in debugfs. */

#ifdef CONFIG_FAULT_INJECTION

static DECLARE_FAULT_ATTR(kspan_fail);

/*
 * On PREEMPT_RT the kernel's random numbers may have a lock that sleeps: no question is
 * asked there where none may be asked of the page allocator.
 */
bool port_should_fail(size_t size, gfp_t gfp)
{
	return READ_ONCE(params[PARAM_FAIL].value) && port_may_ask_source() &&
	       should_fail(&kspan_fail, size);
}

void __init kspan_debug_files(struct dentry *dir)
{
	fault_create_debugfs_attr("fail_kspan", dir, &kspan_fail);
}

/* fault_create_debugfs_attr() keeps a reference, and has no counterpart. */
void kspan_debug_files_drop(void)
{
	dput(kspan_fail.dname);
	kspan_fail.dname = NULL;
}

#else

bool port_should_fail(size_t size, gfp_t gfp)
{
	return false;
}

void __init kspan_debug_files(struct dentry *dir)
{
}

void kspan_debug_files_drop(void)
{
}

#endif

/**
 * kspan_debug_config - what the parameters say
 * @config: filled in
 */
void kspan_debug_config(struct kspan_debug_config *config)
{
	unsigned int i;

	memset(config, 0, sizeof(*config));
	for (i = 0; i < ARRAY_SIZE(params); i++)
		if (params[i].value)
			config->flags |= params[i].flag;
	config->guard_every = params[PARAM_GUARD].value;
	config->fail_every = params[PARAM_FAIL_EVERY].value;
	config->quarantine_bytes = (size_t)params[PARAM_QUARANTINE].value << 10;
}

static int params_apply(void)
{
	struct kspan_debug_config config;
	int err;

	kspan_debug_config(&config);
	if (config.flags & KSPAN_DEBUG_STACKS && stacks_prepare()) {
		pr_err("stacks=1: this kernel has no stack depot, or no memory for it\n");
		return -EOPNOTSUPP;
	}
	if (params[PARAM_FAIL].value && !IS_ENABLED(CONFIG_FAULT_INJECTION)) {
		pr_err("fail=1: this kernel has no CONFIG_FAULT_INJECTION; fail_every=N needs none\n");
		return -EOPNOTSUPP;
	}
	if (!kspan_params_act)
		return 0;	/* kspan_init() will, when all parameters are there */
	cpus_read_lock();
	err = heap_set_debug(&kspan_heap0, &config);
	cpus_read_unlock();
	return err;
}

static bool param_parse(const struct debug_param *param, const char *val, unsigned int *value)
{
	bool on = true;

	if (param->max > 1)
		return val && !kstrtouint(val, 0, value) && *value <= param->max;
	if (val && kstrtobool(val, &on))
		return false;
	*value = on;
	return true;
}

static int param_set_debug(const char *val, const struct kernel_param *kp)
{
	struct debug_param *param = kp->arg;
	unsigned int old = param->value;
	int err, len = param_len(val);

	if (!param_parse(param, val, &param->value)) {
		param->value = old;
		if (param->max == 1)
			pr_err("%s=%.*s: must be 0 or 1\n", param->name, len, val ?: "");
		else
			pr_err("%s=%.*s: must be 0 to %u\n", param->name, len, val ?: "",
			       param->max);
		return -EINVAL;
	}
	err = params_apply();
	if (err)
		param->value = old;
	return err;
}

static int param_get_debug(char *buffer, const struct kernel_param *kp)
{
	const struct debug_param *param = kp->arg;

	if (param->max == 1)
		return sysfs_emit(buffer, "%c\n", param->value ? 'Y' : 'N');
	return sysfs_emit(buffer, "%u\n", param->value);
}

static const struct kernel_param_ops param_debug_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = param_set_debug,
	.get = param_get_debug,
};

module_param_cb(checked, &param_debug_ops, &params[PARAM_CHECKED], 0644);
MODULE_PARM_DESC(checked, "1: report every wrong free at once, with call sites; slow, as all that follow (default 0)");
module_param_cb(redzone, &param_debug_ops, &params[PARAM_REDZONE], 0644);
MODULE_PARM_DESC(redzone, "1: report what was written past the end of an object when it is freed (default 0)");
module_param_cb(poison, &param_debug_ops, &params[PARAM_POISON], 0644);
MODULE_PARM_DESC(poison, "1: fill freed objects, and report what was written to them (default 0)");
module_param_cb(stacks, &param_debug_ops, &params[PARAM_STACKS], 0644);
MODULE_PARM_DESC(stacks, "1: keep the stacks of each object's allocation and free for reports (default 0)");
module_param_cb(init_on_alloc, &param_debug_ops, &params[PARAM_INIT_ON_ALLOC], 0644);
MODULE_PARM_DESC(init_on_alloc, "1: zero objects when they are allocated (default 0)");
module_param_cb(init_on_free, &param_debug_ops, &params[PARAM_INIT_ON_FREE], 0644);
MODULE_PARM_DESC(init_on_free, "1: zero objects when they are freed (default 0)");
module_param_cb(quarantine_kib, &param_debug_ops, &params[PARAM_QUARANTINE], 0644);
MODULE_PARM_DESC(quarantine_kib, "KiB of freed objects that are held back, 4096 objects at most; 0: none (default)");
module_param_cb(guard_every, &param_debug_ops, &params[PARAM_GUARD], 0644);
MODULE_PARM_DESC(guard_every, "one allocation of so many has an end that traps, if it is of a page at most and GFP_KERNEL; 0: none (default)");
module_param_cb(fail, &param_debug_ops, &params[PARAM_FAIL], 0644);
MODULE_PARM_DESC(fail, "1: allocations fail as debugfs kspan/fail_kspan says; needs CONFIG_FAULT_INJECTION (default 0)");
module_param_cb(fail_every, &param_debug_ops, &params[PARAM_FAIL_EVERY], 0644);
MODULE_PARM_DESC(fail_every, "one allocation of so many fails; 0: none (default)");
