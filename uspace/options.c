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
#include <kspan/parse.h>
#include "port.h"

enum kspan_thp kspan_thp;
bool kspan_limit_given;		/* the soft limit is the user's */

static void options_refuse(const char *what, const char *s, size_t len)
{
	port_report("KSPAN_OPTIONS: %s \"%.*s\"", what, (int)len, s);
	_exit(127);
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

/* The facilities of a checked heap: each implies that it is one. */
static bool parse_debug(struct kspan_config *config, const char *s, size_t len, u32 flag)
{
	bool on;

	if (!parse_bool(s, len, &on))
		return false;
	config->debug.flags &= ~flag;
	config->debug.flags |= on ? flag : 0;
	return true;
}

static bool parse_quarantine(struct kspan_config *config, const char *s, size_t len)
{
	size_t *nbytes = &config->debug.quarantine_bytes;

	if (!parse_size_option(s, len, 1024, PTRDIFF_MAX, nbytes))
		return false;
	config->debug.flags &= ~KSPAN_DEBUG_QUARANTINE;
	config->debug.flags |= *nbytes ? KSPAN_DEBUG_QUARANTINE : 0;
	return true;
}

static bool parse_fail(struct kspan_config *config, const char *s, size_t len)
{
	size_t every;

	if (!parse_size_option(s, len, 1, UINT32_MAX, &every))
		return false;
	config->debug.fail_every = every;
	config->debug.flags &= ~KSPAN_DEBUG_FAIL;
	config->debug.flags |= every ? KSPAN_DEBUG_FAIL : 0;
	return true;
}

static bool parse_zero(struct kspan_config *config, const char *s, size_t len)
{
	bool on = is(s, len, "on_free");

	if (!on && !is(s, len, "0"))
		return false;
	config->debug.flags &= ~KSPAN_DEBUG_INIT_FREE;
	config->debug.flags |= on ? KSPAN_DEBUG_INIT_FREE : 0;
	return true;
}

/* The options of a checked heap by name. */
static const struct debug_option {
	const char *key;
	u32 flag;
} debug_options[] = {
	{ "checked", KSPAN_DEBUG_CHECK },
	{ "redzone", KSPAN_DEBUG_REDZONE },
	{ "poison", KSPAN_DEBUG_POISON },
	{ "init_on_alloc", KSPAN_DEBUG_INIT_ALLOC },
	{ "init_on_free", KSPAN_DEBUG_INIT_FREE },
	{ "junk", KSPAN_DEBUG_JUNK },
};

static const struct debug_option *debug_option(const char *key, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(debug_options); i++)
		if (is(key, len, debug_options[i].key))
			return &debug_options[i];
	return NULL;
}

#define DAY_MS	(24u * 3600 * 1000)

/* Returns false for a bad value, refuses an unknown key itself. */
static bool parse_option(struct kspan_config *config, const char *key, size_t klen,
			 const char *val, size_t vlen)
{
	const struct debug_option *debug = debug_option(key, klen);
	size_t ms;

	if (debug)
		return parse_debug(config, val, vlen, debug->flag);
	if (is(key, klen, "zero"))
		return parse_zero(config, val, vlen);
	if (is(key, klen, "quarantine"))
		return parse_quarantine(config, val, vlen);
	if (is(key, klen, "fail_every"))
		return parse_fail(config, val, vlen);
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
	options_refuse("unknown option", key, klen);
	return false;
}

/* An empty variable is no option; but where there is a comma there is one on each side. */
void options_parse(struct kspan_config *config)
{
	const char *all = secure_getenv("KSPAN_OPTIONS");
	const char *s = all && *all ? all : NULL;

	while (s) {
		size_t len = strcspn(s, ",");
		const char *eq = memchr(s, '=', len);

		if (!len)
			options_refuse("empty item in", all, strlen(all));
		if (eq == s)
			options_refuse("no name given in", s, len);
		if (!eq)
			options_refuse("no value given for", s, len);
		if (!parse_option(config, s, eq - s, eq + 1, s + len - eq - 1))
			options_refuse("bad value in", s, len);
		s = s[len] ? s + len + 1 : NULL;
	}
	if (config->limit_hard && config->limit_soft > config->limit_hard)
		options_refuse("limit_soft is above", "limit_hard", 10);
}
