/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Sizes as a person writes them, in KSPAN_OPTIONS and in the modules' parameters.
 * Not memparse(): that takes a number that does not fit, and gives another.
 */
#ifndef KSPAN_PARSE_H
#define KSPAN_PARSE_H

#include <kspan/types.h>

/* The power of two that a unit stands for; 0: none. */
static inline unsigned int parse_unit(char c)
{
	switch (c) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	case 'T':
	case 't':
		return 40;
	default:
		return 0;
	}
}

/**
 * parse_size - read a decimal number with an optional K, M, G or T
 * @s: the text
 * @len: all of it
 * @val: set to the number
 *
 * Return: false when it is no such number, or does not fit.
 */
static inline bool parse_size(const char *s, size_t len, u64 *val)
{
	unsigned int shift = 0;
	size_t i;
	u64 n = 0;

	if (len && parse_unit(s[len - 1]))
		shift = parse_unit(s[--len]);
	for (i = 0; i < len; i++)
		if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(n, (u64)10, &n) ||
		    __builtin_add_overflow(n, (u64)(s[i] - '0'), &n))
			return false;
	if (!len || n > ~(u64)0 >> shift)
		return false;
	*val = n << shift;
	return true;
}

#endif /* KSPAN_PARSE_H */
