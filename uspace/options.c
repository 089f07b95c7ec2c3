// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KSPAN_OPTIONS: "key=value,key=value" in the environment.
 *
 * A setuid program does not see it. An unknown key or a bad value ends the
 * process with a message that names it: a limit that was asked for and then
 * silently not set is worse than no start. Documentation/tuning.rst lists the
 * keys.
 */
#include <stdlib.h>
#include <unistd.h>
#include "port.h"

enum kspan_thp kspan_thp;
u32 kspan_fill;
bool kspan_limit_given;		/* the soft limit is the user's */

static void options_refuse(const char *what, const char *s, size_t len)
{
	port_report("KSPAN_OPTIONS: %s \"%.*s\"", what, (int)len, s);
	_exit(127);
}

/* A decimal number with an optional K, M, G or T. */
static bool parse_size(const char *s, size_t len, u64 *val)
{
	static const char units[] = "KMGT";
	u64 n = 0;
	size_t i;

	for (i = 0; i < len && s[i] >= '0' && s[i] <= '9'; i++) {
		if (n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (s[i] - '0');
	}
	if (i == 0)
		return false;
	if (i < len) {
		const char *unit = strchr(units, s[i] & ~0x20);
		u32 shift;

		if (!unit || !*unit || i + 1 != len)
			return false;
		shift = 10 * (unit - units + 1);
		if (n > UINT64_MAX >> shift)
			return false;
		n <<= shift;
	}
	*val = n;
	return true;
}

static bool is(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(s, word, len);
}

static bool parse_bool(const char *s, size_t len, bool *val)
{
	if (!is(s, len, "0") && !is(s, len, "1"))
		return false;
	*val = *s == '1';
	return true;
}

static bool parse_size_option(const char *s, size_t len, size_t lo, size_t hi, size_t *val)
{
	u64 n;

	if (!parse_size(s, len, &n) || (n && (n < lo || n > hi)))
		return false;
	*val = n;
	return true;
}

static bool parse_on_error(const char *s, size_t len)
{
	if (!is(s, len, "abort") && !is(s, len, "warn"))
		return false;
	kspan_user_warn = *s == 'w';
	return true;
}

static bool parse_thp(const char *s, size_t len)
{
	if (is(s, len, "default"))
		kspan_thp = KSPAN_THP_DEFAULT;
	else if (is(s, len, "always"))
		kspan_thp = KSPAN_THP_ALWAYS;
	else if (is(s, len, "never"))
		kspan_thp = KSPAN_THP_NEVER;
	else
		return false;
	return true;
}

/* Every malloc() and free() must pass by; so they are checked as well. */
static bool parse_fill(struct kspan_config *config, bool on, u32 fill)
{
	config->checked |= on;
	kspan_fill = on ? kspan_fill | fill : kspan_fill & ~fill;
	return true;
}

static bool parse_zero(const char *s, size_t len, bool *on)
{
	*on = is(s, len, "on_free");
	return *on || is(s, len, "0");
}

#define DAY_MS	(24u * 3600 * 1000)

/* Returns false for a bad value, refuses an unknown key itself. */
static bool parse_option(struct kspan_config *config, const char *key, size_t klen,
			 const char *val, size_t vlen)
{
	size_t ms;
	bool on = false;

	if (is(key, klen, "checked"))
		return parse_bool(val, vlen, &config->checked);
	if (is(key, klen, "on_error"))
		return parse_on_error(val, vlen);
	kspan_limit_given |= is(key, klen, "limit_soft");
	if (is(key, klen, "limit_soft"))
		return parse_size_option(val, vlen, 1u << 20, PTRDIFF_MAX, &config->limit_soft);
	if (is(key, klen, "limit_hard"))
		return parse_size_option(val, vlen, 1u << 20, PTRDIFF_MAX, &config->limit_hard);
	if (is(key, klen, "cache"))
		return parse_size_option(val, vlen, 0, 1u << 30, &config->cache_bytes);
	if (is(key, klen, "epoch_ms")) {
		if (!parse_size_option(val, vlen, 1, DAY_MS, &ms))
			return false;
		config->epoch_ms = ms;
		return true;
	}
	if (is(key, klen, "background"))
		return parse_bool(val, vlen, &kspan_background);
	if (is(key, klen, "stats_exit"))
		return parse_bool(val, vlen, &kspan_stats_exit);
	if (is(key, klen, "thp"))
		return parse_thp(val, vlen);
	if (is(key, klen, "junk"))
		return parse_bool(val, vlen, &on) && parse_fill(config, on, KSPAN_FILL_JUNK);
	if (is(key, klen, "zero"))
		return parse_zero(val, vlen, &on) && parse_fill(config, on, KSPAN_FILL_ZERO);
	options_refuse("unknown option", key, klen);
	return false;
}

void options_parse(struct kspan_config *config)
{
	const char *s = secure_getenv("KSPAN_OPTIONS");

	while (s && *s) {
		size_t len = strcspn(s, ",");
		const char *eq = memchr(s, '=', len);

		if (!len)
			options_refuse("empty option in", s, strlen(s));
		if (eq == s)
			options_refuse("no name given in", s, len);
		if (!eq)
			options_refuse("no value given for", s, len);
		if (!parse_option(config, s, eq - s, eq + 1, s + len - eq - 1))
			options_refuse("bad value in", s, len);
		s += len;
		if (*s == ',')
			s++;
	}
	/* a later checked=0 does not take from junk and zero what they need */
	config->checked |= kspan_fill != 0;
	if (config->limit_hard && config->limit_soft > config->limit_hard)
		options_refuse("limit_soft is above", "limit_hard", 10);
}
