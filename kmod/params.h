/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Module parameters: numbers in a range, and unknown ones. The kernel warns of
 * one that it does not know and goes on, so that a misspelt limit is no limit; the
 * modules here refuse to be loaded.
 */
#ifndef KSPAN_PARAMS_H
#define KSPAN_PARAMS_H

#include <linux/compat.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include <kspan/parse.h>

#define PARAMS_MAX	4096	/* bytes of a command line that are looked at */

/**
 * struct param_range - a number that a parameter may be
 * @name: the parameter
 * @value: now, and to begin with
 * @min: least legal value
 * @max: greatest legal value
 * @zero_ok: zero is legal too, whatever @min
 */
struct param_range {
	const char *name;
	unsigned long value;
	unsigned long min;
	unsigned long max;
	bool zero_ok;
};

/* Bytes of a parameter's value without the newline that echo writes into sysfs. */
static inline int param_len(const char *val)
{
	size_t len = val ? strlen(val) : 0;

	return len && val[len - 1] == '\n' ? len - 1 : len;
}

/* Read a parameter's new value, or say in the log what it must be. */
static inline int param_range_set(struct param_range *range, const char *val)
{
	int len = param_len(val);
	u64 n = 0;
	bool ok;

	ok = parse_size(val, len, &n) &&
	     ((n >= range->min && n <= range->max) || (!n && range->zero_ok));
	if (!ok) {
		pr_err("%s=%.*s: must be %s%lu to %lu\n", range->name, len, val ?: "",
		       range->zero_ok ? "0 or " : "", range->min, range->max);
		return -EINVAL;
	}
	range->value = n;
	return 0;
}

/* '-' and '_' are the same in the name of a parameter. */
static inline bool params_equal(const char *a, const char *b)
{
	while (*a && (*a == '-' ? '_' : *a) == (*b == '-' ? '_' : *b)) {
		a++;
		b++;
	}
	return *a == *b;
}

static inline bool params_known(const struct module *mod, const char *name)
{
	static const char *const generic[] = { "dyndbg", "async_probe" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(generic); i++)
		if (params_equal(name, generic[i]))
			return true;
	for (i = 0; i < mod->num_kp; i++)
		if (params_equal(name, mod->kp[i].name))
			return true;
	return false;
}

/*
 * The parameters as they were given. mod->args is no use: the kernel has cut
 * it to pieces, with no telling where it ends. But a module is initialised in
 * the system call that loads it, of which the string is an argument still.
 * NULL when this is no such call, or one of a foreign ABI.
 */
static inline char *params_given(void)
{
	struct pt_regs *regs = current_pt_regs();
	unsigned long args[6];
	int nr = syscall_get_nr(current, regs);

	if (in_compat_syscall() || (nr != __NR_init_module && nr != __NR_finit_module))
		return NULL;
	syscall_get_arguments(current, regs, args);
	return strndup_user((const char __user *)args[nr == __NR_init_module ? 2 : 1],
			    PARAMS_MAX);
}

/**
 * params_check - refuse parameters that a module does not have
 * @mod: THIS_MODULE, in its init function
 *
 * Each unknown one is named in the log.
 *
 * Return: 0, -EINVAL (so, too, for more than PARAMS_MAX bytes of them) or -ENOMEM.
 */
static inline int params_check(const struct module *mod)
{
	char *given = params_given(), *rest, *name, *value;
	int err = 0;

	if (IS_ERR(given))	/* longer than what is looked at */
		return PTR_ERR(given);
	if (!given)
		return 0;
	for (rest = skip_spaces(given); *rest; ) {
		rest = next_arg(rest, &name, &value);
		if (!value && !strcmp(name, "--"))
			break;
		if (params_known(mod, name))
			continue;
		pr_err("unknown parameter '%s': not loaded; modinfo -p %s lists what there is\n",
		       name, mod->name);
		err = -EINVAL;
	}
	kfree(given);
	return err;
}

#endif /* KSPAN_PARAMS_H */
