// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A client of kspan as one would write it, which uses kspan.h and nothing
 * else: this file is compiled as it stands into a program (test_client) and
 * into a module (kspan_test.ko).
 *
 * It is a cache of strings: a hash table that forgets what was used least
 * recently, with a log of what it forgot. Buckets are an array that is
 * rehashed as the table grows, entries come from an object cache and go back
 * after a grace period, keys are noscan strings, values are resized where they
 * stand, the log grows as a slice does.
 */
#include <kspan.h>

int client_run(void);

struct entry {
	struct entry *next;		/* in its bucket */
	struct entry *newer, *older;	/* by last use */
	u32 hash;
	u32 length;			/* of the value */
	char *key;
	char *value;
};

struct lru {
	struct entry **bucket;
	size_t nbuckets;		/* a power of two */
	size_t nentries;
	size_t most;
	struct entry *newest, *oldest;
	struct kspan_cache *entries;
	u32 *log;			/* hashes of what was forgotten */
	size_t log_length;
	size_t log_room;
};

static u32 string_hash(const char *s)
{
	u32 hash = 2166136261u;

	while (*s)
		hash = (hash ^ (unsigned char)*s++) * 16777619u;
	return hash;
}

static bool string_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static struct entry **lru_slot(struct lru *lru, const char *key, u32 hash)
{
	struct entry **slot = &lru->bucket[hash & (lru->nbuckets - 1)];

	while (*slot && ((*slot)->hash != hash || !string_equal((*slot)->key, key)))
		slot = &(*slot)->next;
	return slot;
}

static void lru_unlink(struct lru *lru, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &lru->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &lru->oldest) = entry->newer;
}

static void lru_link_newest(struct lru *lru, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = lru->newest;
	*(lru->newest ? &lru->newest->newer : &lru->oldest) = entry;
	lru->newest = entry;
}

/* Twice the buckets. Without memory for them the table is slower, not wrong. */
static void lru_rehash(struct lru *lru)
{
	size_t i, n = lru->nbuckets * 2;
	struct entry **bucket;

	bucket = kspan_zalloc_array(n, sizeof(*bucket), GFP_KERNEL);
	if (!bucket)
		return;
	for (i = 0; i < lru->nbuckets; i++) {
		struct entry *entry = lru->bucket[i];

		while (entry) {
			struct entry *next = entry->next;

			entry->next = bucket[entry->hash & (n - 1)];
			bucket[entry->hash & (n - 1)] = entry;
			entry = next;
		}
	}
	kspan_free(lru->bucket);
	lru->bucket = bucket;
	lru->nbuckets = n;
}

static bool lru_log(struct lru *lru, u32 hash)
{
	u32 *log = kspan_grow_array(lru->log, &lru->log_room, lru->log_length + 1,
				    sizeof(*log), GFP_KERNEL);

	if (!log)
		return false;
	lru->log = log;
	log[lru->log_length++] = hash;
	return true;
}

static void lru_remove(struct lru *lru, struct entry **slot)
{
	struct entry *entry = *slot;

	*slot = entry->next;
	lru_unlink(lru, entry);
	lru->nentries--;
	kspan_free_sensitive(entry->value);
	kspan_free(entry->key);
	kspan_free_rcu(entry);
}

static bool lru_forget_oldest(struct lru *lru)
{
	struct entry *entry = lru->oldest;

	if (!lru_log(lru, entry->hash))
		return false;
	lru_remove(lru, lru_slot(lru, entry->key, entry->hash));
	return true;
}

static struct entry *lru_insert(struct lru *lru, struct entry **slot, const char *key, u32 hash)
{
	struct entry *entry = kspan_cache_zalloc(lru->entries, GFP_KERNEL);

	if (!entry)
		return NULL;
	entry->key = kspan_strdup(key, GFP_KERNEL);
	if (!entry->key) {
		kspan_cache_free(lru->entries, entry);
		return NULL;
	}
	entry->hash = hash;
	*slot = entry;
	lru_link_newest(lru, entry);
	if (++lru->nentries > lru->nbuckets)
		lru_rehash(lru);
	return entry;
}

/* @length bytes that follow from @seed. */
static bool lru_set(struct lru *lru, const char *key, u32 length, u32 seed)
{
	u32 i, hash = string_hash(key);
	struct entry **slot = lru_slot(lru, key, hash);
	struct entry *entry = *slot ? *slot : lru_insert(lru, slot, key, hash);
	char *value;

	if (!entry)
		return false;
	value = kspan_realloc(entry->value, length, GFP_KERNEL);
	if (!value)
		return false;
	for (i = 0; i < length; i++)
		value[i] = (char)(seed + i);
	entry->value = value;
	entry->length = length;
	lru_unlink(lru, entry);
	lru_link_newest(lru, entry);
	return lru->nentries <= lru->most || lru_forget_oldest(lru);
}

static struct entry *lru_get(struct lru *lru, const char *key)
{
	struct entry *entry = *lru_slot(lru, key, string_hash(key));

	if (entry) {
		lru_unlink(lru, entry);
		lru_link_newest(lru, entry);
	}
	return entry;
}

static bool lru_init(struct lru *lru, size_t most)
{
	lru->most = most;
	lru->nbuckets = 16;
	lru->bucket = kspan_zalloc_array(lru->nbuckets, sizeof(*lru->bucket), GFP_KERNEL);
	lru->entries = kspan_cache_create("lru_entry", sizeof(struct entry), 0, 0, NULL);
	return lru->bucket && lru->entries;
}

static int lru_destroy(struct lru *lru)
{
	while (lru->oldest)
		lru_remove(lru, lru_slot(lru, lru->oldest->key, lru->oldest->hash));
	kspan_free(lru->bucket);
	kspan_free_sized(lru->log, lru->log_room * sizeof(*lru->log));
	kspan_rcu_barrier();	/* entries are on their way back to the cache */
	return kspan_cache_destroy(lru->entries);
}

/* "key-N", with an N-dependent tail so that lengths differ. */
static void make_key(char *buf, u32 n)
{
	u32 tail = n % 20;

	*buf++ = 'k';
	*buf++ = '-';
	do
		*buf++ = (char)('0' + n % 10);
	while (n /= 10);
	while (tail--)
		*buf++ = '.';
	*buf = '\0';
}

#define CLIENT_STEPS	30000u
#define CLIENT_KEYS	4000u
#define CLIENT_MOST	1000u
#define CLIENT_LENGTH(n) ((n) * 37 % 700 + 1)

/* The value must be the one that was set: it follows from the key. */
static bool value_is_right(const struct entry *entry, u32 n)
{
	u32 i;

	if (entry->length < CLIENT_LENGTH(n) || entry->length > CLIENT_LENGTH(n) + 1)
		return false;
	for (i = 0; i < entry->length; i++)
		if (entry->value[i] != (char)(n + i))
			return false;
	return true;
}

static int client_work(struct lru *lru)
{
	u32 step, seed = 42, nhit = 0;
	char key[40];

	for (step = 0; step < CLIENT_STEPS; step++) {
		struct entry *entry;
		u32 n;

		seed = seed * 1664525u + 1013904223u;
		n = (seed >> 8) % CLIENT_KEYS;
		/* some keys are in favour, as it goes */
		if (seed >> 30)
			n %= CLIENT_MOST / 2;
		make_key(key, n);
		entry = lru_get(lru, key);
		if (entry) {
			nhit++;
			if (!value_is_right(entry, n))
				return 1;
		}
		if ((!entry || step % 4 == 0) &&
		    !lru_set(lru, key, CLIENT_LENGTH(n) + step % 2, n))
			return 2;
	}
	if (lru->nentries != CLIENT_MOST || lru->nbuckets < CLIENT_MOST / 2)
		return 3;
	return nhit > CLIENT_STEPS / 4 && lru->log_length > CLIENT_MOST ? 0 : 4;
}

/**
 * client_run - use a cache for a while
 *
 * Return: 0 when every value read was the one written and nothing is left.
 */
int client_run(void)
{
	struct lru *lru = kspan_zalloc(sizeof(*lru), GFP_KERNEL);
	int err;

	if (!lru)
		return 5;
	if (lru_init(lru, CLIENT_MOST))
		err = client_work(lru);
	else
		err = 6;
	if (lru_destroy(lru) && !err)
		err = 7;
	kspan_free(lru);
	return err;
}
