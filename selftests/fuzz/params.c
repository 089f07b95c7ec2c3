// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The modules' parameters: kmod/params.h with the kernel's own next_arg(). An input
 * is a parameter string. Unknown names in it are found, each named in the log, by
 * params_check() and by a second reading here; and every value is taken or refused
 * by param_range_set() as a wide number says it must be.
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include "../../kmod/params.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t nbytes);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t nbytes, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(u8 *data, size_t nbytes, size_t max);

#define must(cond)	((cond) ? (void)0 : must_failed(#cond, __LINE__))

static void must_failed(const char *cond, int line)
{
	fprintf(stderr, "params.c:%d: not so: %s\n", line, cond);
	abort();
}

/* The world around params_check() */

struct pt_regs fuzz_regs = { .nr = __NR_finit_module };
const char *fuzz_args;

static char logged[64 * 1024];
static size_t nlogged;
static u32 nlines;

void fuzz_printk(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	nlogged += vsnprintf(logged + nlogged, sizeof(logged) - nlogged, fmt, args);
	va_end(args);
	must(nlogged < sizeof(logged));
	nlines++;
}

char *strndup_user(const char *s, long n)
{
	return strlen(s) >= (size_t)n ? ERR_PTR(-EINVAL) : strdup(s);
}

static const struct kernel_param known[] = {
	{ "checked" }, { "cache_kib" }, { "epoch_ms" }, { "limit_soft" }, { "limit_hard" },
};

static const struct module mod = { "kspan", known, ARRAY_SIZE(known) };

static struct param_range ranges[] = {
	{ "cache_kib", 256, 16, 65536 },
	{ "epoch_ms", 1000, 10, 3600000, true },
	{ "limit_soft", 0, 1048576, LONG_MAX, true },
};

/* The model */

static bool same_name(const char *s, size_t len, const char *name)
{
	size_t i;

	if (strlen(name) != len)
		return false;
	for (i = 0; i < len; i++)
		if ((s[i] == '-' ? '_' : s[i]) != name[i])
			return false;
	return true;
}

static bool model_knows(const char *s, size_t len)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (same_name(s, len, known[i].name))
			return true;
	return same_name(s, len, "dyndbg") || same_name(s, len, "async_probe");
}

/*
 * How many unknown names: what is before the first '=' that is not the first
 * character, of each word; quotes keep words together, and one at a word's ends is
 * not part of it.
 */
static u32 model_unknown(const char *s)
{
	u32 n = 0;

	for (s += strspn(s, " \t\n\v\f\r"); *s; s += strspn(s, " \t\n\v\f\r")) {
		bool quoted = *s == '"', in_quote = quoted;
		const char *name = s + quoted, *eq = NULL, *end;

		for (end = name; *end && (in_quote || !isspace((unsigned char)*end)); end++) {
			if (*end == '=' && !eq && end != name)
				eq = end;
			in_quote ^= *end == '"';
		}
		s = end;
		if (!eq && quoted && end > name && end[-1] == '"')
			end--;
		if (!eq && end - name == 2 && !strncmp(name, "--", 2))
			return n;
		n += !model_knows(name, (eq ? eq : end) - name);
		s += *s != '\0';
	}
	return n;
}

typedef unsigned __int128 u128;

static bool model_value(const struct param_range *range, const char *s, unsigned long *value)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(s, "0123456789"), zeros = strspn(s, "0"), i;
	u128 n = 0;

	if (!digits || digits - zeros > 20)
		return false;
	for (i = zeros; i < digits; i++)
		n = n * 10 + s[i] - '0';
	s += digits;
	for (i = 0; i < 4; i++)
		if (toupper((unsigned char)*s) == units[i]) {
			n <<= 10 * (i + 1);
			s++;
			break;
		}
	*value = n;
	if (*s == '\n')
		s++;
	return !*s && (n ? n >= range->min && n <= range->max : range->zero_ok);
}

static void check_values(const char *s)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct param_range range = ranges[i];
		unsigned long value = range.value;
		bool right = model_value(&range, s, &value);
		u32 before = nlines;

		must(param_range_set(&range, s) == (right ? 0 : -EINVAL));
		must(range.value == (right ? value : ranges[i].value));
		must(nlines == before + !right);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t nbytes)
{
	static char text[2 * PARAMS_MAX];
	u32 unknown;
	int err;

	nbytes = nbytes < sizeof(text) - 1 ? nbytes : sizeof(text) - 1;
	memcpy(text, data, nbytes);
	text[nbytes] = '\0';
	fuzz_args = text;
	nlogged = nlines = 0;
	err = params_check(&mod);
	if (strlen(text) >= PARAMS_MAX) {
		must(err == -EINVAL);
		return 0;
	}
	unknown = model_unknown(text);
	must(err == (unknown ? -EINVAL : 0));
	must(nlines == unknown);
	nlogged = 0;
	check_values(text);
	if (strchr(text, '='))
		check_values(strchr(text, '=') + 1);
	return 0;
}

/* Words that mean something, in any order, between what libFuzzer thinks of. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t nbytes, size_t max, unsigned int seed)
{
	static const char *const words[] = {
		"checked", "cache_kib=", "cache-kib=", "epoch_ms=", "limit_soft=", "limit_hard=",
		"dyndbg", "async_probe", "limit_soft", "64", "0", "1048575", "1M", "16", "15",
		"9223372036854775807", "9223372036854775808", "18446744073709551616",
		"17179869184G", "16777216T", "K", "g", "\"", " ", " ", "--", "\n", "=",
	};
	const char *word = words[seed % ARRAY_SIZE(words)];
	size_t n = strlen(word), at = seed / 64 % (nbytes + 1);

	if (seed / 32 % 2 || nbytes + n > max)
		return LLVMFuzzerMutate(data, nbytes, max);
	if (seed / 16 % 2)
		at = nbytes;
	memmove(data + at + n, data + at, nbytes - at);
	memcpy(data + at, word, n);
	return nbytes + n;
}
