/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Of the kernel, what kmod/params.h and lib/cmdline.c use, for fuzzing them: the
 * other headers here include this one.
 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <asm/unistd.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define __user
#define fallthrough		__attribute__((fallthrough))
#define EXPORT_SYMBOL(name)	extern int fuzz_exported
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define IS_ERR(p)		((uintptr_t)(p) >= (uintptr_t)-4095)
#define PTR_ERR(p)		((long)(p))
#define ERR_PTR(e)		((void *)(long)(e))

struct kernel_param {
	const char *name;
};

struct module {
	const char *name;
	const struct kernel_param *kp;
	unsigned int num_kp;
};

struct pt_regs {
	int nr;
};

/* The string that the module is loaded with, and who asks for it: params.c. */
extern struct pt_regs fuzz_regs;
extern const char *fuzz_args;
void fuzz_printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *strndup_user(const char *s, long n);

#define pr_err			fuzz_printk
#define current			((void *)0)
#define current_pt_regs()	(&fuzz_regs)
#define syscall_get_nr(task, regs)	((regs)->nr)
#define in_compat_syscall()	false
#define kfree(p)		free(p)
#define simple_strtoull		strtoull
#define simple_strtol		strtol

static inline void syscall_get_arguments(void *task, const struct pt_regs *regs,
					 unsigned long *args)
{
	args[regs->nr == __NR_init_module ? 2 : 1] = (unsigned long)fuzz_args;
}

static inline char *skip_spaces(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return (char *)s;
}

/* lib/cmdline.c */
char *next_arg(char *args, char **param, char **val);
int get_option(char **str, int *pint);
char *get_options(const char *str, int nints, int *ints);
unsigned long long memparse(const char *ptr, char **retptr);
bool parse_option_str(const char *str, const char *option);

#endif /* FUZZ_KERNEL_H */
