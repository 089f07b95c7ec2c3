// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KSPAN_OPTIONS: any text is either taken, and then every option has the value that
 * another parser, written to the table of Documentation/tuning.rst, finds in it; or
 * the process ends with status 127 and one line that quotes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t nbytes);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t nbytes, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(u8 *data, size_t nbytes, size_t max);

char *__wrap_secure_getenv(const char *name);
void __wrap__exit(int status) __attribute__((noreturn));
void __real__exit(int status) __attribute__((noreturn));
void __wrap_port_report(const char *fmt, ...);

/* The world around options_parse() */

static char text[512], said[1024];
static bool parsing;
static u32 nsaid;
static jmp_buf out;

char *__wrap_secure_getenv(const char *name)
{
	must(!strcmp(name, "KSPAN_OPTIONS"));
	return text;
}

void __wrap__exit(int status)
{
	if (!parsing)
		__real__exit(status);
	must(status == 127);
	longjmp(out, 1);
}

void __wrap_port_report(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
	nsaid++;
}

/* The model */

/**
 * struct settings - what the options come to
 * @word: numbers, by key
 */
struct settings {
	u64 checked, warn, limit_soft, limit_hard, cache, epoch_ms, background;
	u64 stats_exit, thp, junk, zero, fill, limit_given;
	u64 redzone, poison, init_on_alloc, quarantine, fail_every;
};

struct rule {
	const char *key;
	size_t off;
	u64 min, max;			/* of a size; 0 is always right */
	const char *words[4];		/* or these, for 0, 1, 2 */
};

#define FIELD(name)	offsetof(struct settings, name)
#define BOOL		.words = { "0", "1" }

static const struct rule rules[] = {
	{ "checked", FIELD(checked), BOOL },
	{ "on_error", FIELD(warn), .words = { "abort", "warn" } },
	{ "limit_soft", FIELD(limit_soft), MIB, PTRDIFF_MAX },
	{ "limit_hard", FIELD(limit_hard), MIB, PTRDIFF_MAX },
	{ "cache", FIELD(cache), 0, GIB },
	{ "epoch_ms", FIELD(epoch_ms), 1, 86400000 },
	{ "background", FIELD(background), BOOL },
	{ "stats_exit", FIELD(stats_exit), BOOL },
	{ "thp", FIELD(thp), .words = { "default", "always", "never" } },
	{ "junk", FIELD(junk), BOOL },
	{ "zero", FIELD(zero), .words = { "0", "on_free" } },
	{ "init_on_free", FIELD(zero), BOOL },
	{ "init_on_alloc", FIELD(init_on_alloc), BOOL },
	{ "redzone", FIELD(redzone), BOOL },
	{ "poison", FIELD(poison), BOOL },
	{ "quarantine", FIELD(quarantine), 1024, PTRDIFF_MAX },
	{ "fail_every", FIELD(fail_every), 1, UINT32_MAX },
};

typedef unsigned __int128 u128;

/* By way of a wider type and the C library, unlike parse_size(). */
static bool model_number(const char *s, u64 *val)
{
	static const char units[] = "KkMmGgTt";
	size_t digits = strspn(s, "0123456789"), zeros = strspn(s, "0"), i;
	const char *unit = s[digits] ? strchr(units, s[digits]) : NULL;
	u128 n = 0;

	if (!digits || (s[digits] && (!unit || s[digits + 1])) || digits - zeros > 20)
		return false;
	for (i = zeros; i < digits; i++)
		n = n * 10 + s[i] - '0';
	if (unit)
		n <<= 10 * ((unit - units) / 2 + 1);
	*val = n;
	return n == *val;
}

static bool model_value(const struct rule *rule, const char *val, u64 *field)
{
	u64 i, n;

	if (!rule->words[0]) {
		if (!model_number(val, &n) || (n && (n < rule->min || n > rule->max)))
			return false;
		*field = n;
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(rule->words) && rule->words[i]; i++)
		if (!strcmp(val, rule->words[i])) {
			*field = i;
			return true;
		}
	return false;
}

static bool model_option(struct settings *set, char *option)
{
	char *val = strchr(option, '=');
	u32 i;

	if (!val || val == option)
		return false;
	*val++ = '\0';
	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		u64 *field = (u64 *)((char *)set + rules[i].off);

		if (strcmp(option, rules[i].key))
			continue;
		if (!model_value(&rules[i], val, field))
			return false;
		set->limit_given |= field == &set->limit_soft;
		return true;
	}
	return false;
}

/* Whether the options are right: none, or as many as there are commas and one more. */
static bool model_parse(struct settings *set)
{
	char copy[sizeof(text)], *rest = copy, *option;

	strcpy(copy, text);
	while (*text && (option = strsep(&rest, ",")))
		if (!model_option(set, option))
			return false;
	return !set->limit_hard || set->limit_soft <= set->limit_hard;
}

/* Both, and what they come to */

static bool real_parse(struct kspan_config *config)
{
	if (setjmp(out)) {
		parsing = false;
		return false;
	}
	parsing = true;
	options_parse(config);
	parsing = false;
	return true;
}

static u32 debug_flags(const struct settings *set)
{
	return (set->checked ? KSPAN_DEBUG_CHECK : 0) | (set->junk ? KSPAN_DEBUG_JUNK : 0) |
	       (set->zero ? KSPAN_DEBUG_INIT_FREE : 0) |
	       (set->init_on_alloc ? KSPAN_DEBUG_INIT_ALLOC : 0) |
	       (set->redzone ? KSPAN_DEBUG_REDZONE : 0) |
	       (set->poison ? KSPAN_DEBUG_POISON : 0) |
	       (set->quarantine ? KSPAN_DEBUG_QUARANTINE : 0) |
	       (set->fail_every ? KSPAN_DEBUG_FAIL : 0);
}

static void check_settings(const struct settings *set, const struct kspan_config *config)
{
	must(config->debug.flags == debug_flags(set) && kspan_user_warn == set->warn);
	must(config->debug.quarantine_bytes == set->quarantine);
	must(config->debug.fail_every == set->fail_every);
	must(config->limit_soft == set->limit_soft && config->limit_hard == set->limit_hard);
	must(config->cache_bytes == set->cache && config->epoch_ms == set->epoch_ms);
	must(kspan_background == set->background && kspan_stats_exit == set->stats_exit);
	must(kspan_thp == set->thp && kspan_limit_given == set->limit_given);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t nbytes)
{
	struct kspan_config config = { .cache_bytes = 7, .epoch_ms = 9 };
	struct settings set = { .cache = 7, .epoch_ms = 9, .background = 1 };
	bool right;

	nbytes = min(nbytes, sizeof(text) - 1);
	memcpy(text, data, nbytes);
	text[nbytes] = '\0';
	kspan_user_warn = kspan_limit_given = kspan_stats_exit = false;
	kspan_background = true;
	kspan_thp = KSPAN_THP_DEFAULT;
	nsaid = 0;
	right = model_parse(&set);
	must(real_parse(&config) == right);
	must(nsaid == !right);
	if (right)
		check_settings(&set, &config);
	else
		must(!strncmp(said, "KSPAN_OPTIONS: ", 15));
	return 0;
}

/* Options made of words, numbers and some noise. */

static size_t add(char *to, size_t at, size_t max, const char *s)
{
	size_t n = strlen(s);

	if (at + n >= max)
		return at;
	memcpy(to + at, s, n);
	return at + n;
}

static size_t add_value(char *to, size_t at, size_t max, const struct rule *rule, u64 *rnd)
{
	static const char *const units[] = { "", "", "K", "M", "G", "T", "k", "g", "P", "x" };
	char number[32];
	u32 word = random_below(rnd, ARRAY_SIZE(rule->words));

	if (rule->words[word])
		return add(to, at, max, rule->words[word]);
	if (random_below(rnd, 3))
		snprintf(number, sizeof(number), "%u", random_below(rnd, 5000));
	else
		snprintf(number, sizeof(number), "%llu", (unsigned long long)
			 (random_next(rnd) >> random_below(rnd, 64)));
	at = add(to, at, max, number);
	return add(to, at, max, units[random_below(rnd, ARRAY_SIZE(units))]);
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t nbytes, size_t max, unsigned int seed)
{
	const struct rule *rule;
	u64 rnd = seed + 1;
	size_t at = nbytes;

	random_next(&rnd);
	if (!random_below(&rnd, 3))
		return LLVMFuzzerMutate(data, nbytes, max);
	if (!random_below(&rnd, 4))
		at = random_below(&rnd, nbytes + 1);
	rule = &rules[random_below(&rnd, ARRAY_SIZE(rules))];
	if (at)
		at = add((char *)data, at, max, ",");
	at = add((char *)data, at, max, rule->key);
	at = add((char *)data, at, max, "=");
	return add_value((char *)data, at, max, rule, &rnd);
}
