// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * kspan_kv.ko: a key-value store behind /dev/kspan_kv, to show what a client
 * of kspan looks like. Every node, key, value, table and buffer comes from
 * the functions of kspan.h; there is no other memory.
 *
 * One writes lines to the device and reads lines from it:
 *
 *	SET key value	value may hold spaces and be empty
 *	DEL key		nothing happens when there is no such key
 *	GET key		the next read on this open file answers "value", or
 *			fails with ENOENT when there is no such key
 *
 * A read that has no answer to give dumps the store, a line "key value" each,
 * in the order in which the keys were first set. Lines may be cut by write()
 * calls as they like. A line that is none of these, or too long, is refused
 * with EINVAL: it alone is dropped, and what write() returned before tells
 * which it was.
 *
 * The store is Go's map and Go's slice:
 *
 *   map	A table of 2^n buckets. A bucket is a cache line with six entries,
 *		a byte of each entry's hash, and an overflow bucket if need be.
 *		When there are more than 4.5 entries a bucket the table doubles,
 *		and every change after that moves two of the old buckets: no
 *		operation pays for all of it. (runtime/map.go)
 *   slice	An array, its length and its capacity; kspan_grow_array() is
 *		append(). The lines being put together are slices, and so is
 *		the list of chunks that keep the entries in order.
 *
 * backend=kmalloc runs the same store on kmalloc(), for comparison.
 */
#define pr_fmt(fmt) "kspan_kv: " fmt

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/math64.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/siphash.h>
#include <linux/random.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>

#include <kspan.h>
#include "params.h"

#define KV_KEY_MAX	1024u		/* bytes of a key */
#define KV_VALUE_MAX	65536u		/* bytes of a value */
#define KV_LINE_MAX	(4 + KV_KEY_MAX + 1 + KV_VALUE_MAX)
#define KV_ANSWERS_MAX	(4u << 20)	/* bytes of answers waiting in an open file */

#define KV_BUCKET	6		/* entries in a bucket */
#define KV_MIN_BITS	3
#define KV_MAX_BITS	16		/* 4 MiB of buckets: no larger block is to be had */

#define KV_CHUNK	511		/* entries in a chunk of the order */

/* Memory: kspan's or, for comparison, kmalloc()'s. */

static bool use_kmalloc;

/* Keys and values hold no pointers. */
static void *mem_alloc_noscan(size_t nbytes)
{
	return use_kmalloc ? kmalloc(nbytes, GFP_KERNEL) :
			     kspan_alloc_noscan(nbytes, GFP_KERNEL);
}

static void *mem_zalloc(size_t nbytes)
{
	return use_kmalloc ? kzalloc(nbytes, GFP_KERNEL) : kspan_zalloc(nbytes, GFP_KERNEL);
}

/* A table may be refused: the map goes on with the one it has. */
static void *mem_zalloc_table(size_t n, size_t size)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY;

	return use_kmalloc ? kcalloc(n, size, gfp) : kspan_zalloc_array(n, size, gfp);
}

static void *mem_grow(void *array, size_t *cap, size_t need, size_t size)
{
	size_t new_cap = max(need, *cap + *cap / 2);

	if (!use_kmalloc)
		return kspan_grow_array(array, cap, need, size, GFP_KERNEL);
	array = krealloc_array(array, new_cap, size, GFP_KERNEL);
	if (array)
		*cap = new_cap;
	return array;
}

static void mem_free(const void *ptr)
{
	if (use_kmalloc)
		kfree(ptr);
	else
		kspan_free(ptr);
}

/* What @ptr, of which @nbytes were asked for, takes. */
static size_t mem_size(const void *ptr)
{
	return use_kmalloc ? ksize(ptr) : kspan_size(ptr);
}

/**
 * struct kv_slice - bytes that grow
 * @data: the bytes
 * @len: how many there are
 * @cap: how many there is room for
 */
struct kv_slice {
	char *data;
	size_t len;
	size_t cap;
};

static int slice_reserve(struct kv_slice *slice, size_t more)
{
	char *data = slice->data;

	if (slice->len + more > slice->cap)
		data = mem_grow(slice->data, &slice->cap, slice->len + more, 1);
	if (!data)
		return -ENOMEM;
	slice->data = data;
	return 0;
}

static int slice_append(struct kv_slice *slice, const void *data, size_t len)
{
	int err = slice_reserve(slice, len);

	if (err)
		return err;
	memcpy(slice->data + slice->len, data, len);
	slice->len += len;
	return 0;
}

/* Forget the first @len bytes. */
static void slice_shift(struct kv_slice *slice, size_t len)
{
	slice->len -= len;
	memmove(slice->data, slice->data + len, slice->len);
}

static void slice_free(struct kv_slice *slice)
{
	mem_free(slice->data);
	memset(slice, 0, sizeof(*slice));
}

/* The store */

/**
 * struct kv_entry - a key and its value
 * @id: place in the order of the keys
 * @key: @key_len bytes, no terminator
 * @value: @value_len bytes; replaced as a whole
 * @hash: of the key
 * @key_len: bytes
 * @value_len: bytes
 */
struct kv_entry {
	u64 id;
	char *key;
	char *value;
	u64 hash;
	u32 key_len;
	u32 value_len;
};

/**
 * struct kv_bucket - a cache line of a table
 * @top: the top byte of each entry's hash; 0 is none. Go's tophash.
 * @entry: the entries
 * @overflow: more of the same bucket, or NULL
 */
struct kv_bucket {
	u8 top[8];
	struct kv_entry *entry[KV_BUCKET];
	struct kv_bucket *overflow;
};

static_assert(sizeof(struct kv_bucket) == 64, "a bucket is a cache line");

/**
 * struct kv_chunk - a piece of the order of the keys
 * @nlive: entries that are not NULL
 * @entry: by id modulo KV_CHUNK; NULL when deleted
 */
struct kv_chunk {
	u64 nlive;
	struct kv_entry *entry[KV_CHUNK];
};

/**
 * struct kv_store - what is kept
 * @lock: read to look, write to change; all that follows
 * @table: the buckets
 * @bits: there are 1 << @bits
 * @old: the table before, while its buckets move; NULL otherwise
 * @old_bits: its size
 * @nmoved: its buckets from 0 to this have been moved
 * @nentries: entries
 * @grow_at: with how many the table doubles
 * @noverflow: overflow buckets, of both tables
 * @key_bytes: bytes of all keys
 * @value_bytes: bytes of all values
 * @next_id: of the next new key
 * @chunks: the order: chunk @next_id / KV_CHUNK and those before it, NULL
 *	where all entries of one are gone
 * @nchunks: how many
 * @chunks_cap: room for so many
 * @key: of the hash
 */
static struct kv_store {
	struct rw_semaphore lock;
	struct kv_bucket *table;
	unsigned int bits;
	struct kv_bucket *old;
	unsigned int old_bits;
	size_t nmoved;
	size_t nentries;
	size_t grow_at;
	size_t noverflow;
	u64 key_bytes;
	u64 value_bytes;
	u64 next_id;
	struct kv_chunk **chunks;
	size_t nchunks;
	size_t chunks_cap;
	siphash_key_t key;
} store;

static u8 hash_top(u64 hash)
{
	return hash >> 56 ?: 1;
}

static struct kv_bucket *table_bucket(struct kv_bucket *table, unsigned int bits, u64 hash)
{
	return &table[hash & ((1ul << bits) - 1)];
}

/* Where @key is in @bucket and its overflow: NULL, or the place of the entry. */
static struct kv_entry **bucket_find(struct kv_bucket *bucket, u64 hash, const char *key,
				     size_t len, struct kv_bucket **where)
{
	unsigned int i;

	for (; bucket; bucket = bucket->overflow)
		for (i = 0; i < KV_BUCKET; i++) {
			struct kv_entry *entry = bucket->entry[i];

			if (bucket->top[i] != hash_top(hash) || entry->hash != hash ||
			    entry->key_len != len || memcmp(entry->key, key, len))
				continue;
			*where = bucket;
			return &bucket->entry[i];
		}
	return NULL;
}

/* While the map grows, an entry is in one of the two tables. */
static struct kv_entry **map_find(u64 hash, const char *key, size_t len,
				  struct kv_bucket **where)
{
	struct kv_entry **place = NULL;

	if (store.old)
		place = bucket_find(table_bucket(store.old, store.old_bits, hash), hash, key,
				    len, where);
	if (!place)
		place = bucket_find(table_bucket(store.table, store.bits, hash), hash, key,
				    len, where);
	return place;
}

/* Put @entry, whose key is not there, into @bucket. */
static int bucket_insert(struct kv_bucket *bucket, struct kv_entry *entry)
{
	unsigned int i;

	for (;;) {
		for (i = 0; i < KV_BUCKET; i++) {
			if (bucket->top[i])
				continue;
			bucket->top[i] = hash_top(entry->hash);
			bucket->entry[i] = entry;
			return 0;
		}
		if (!bucket->overflow) {
			bucket->overflow = mem_zalloc(sizeof(*bucket));
			if (!bucket->overflow)
				return -ENOMEM;
			store.noverflow++;
		}
		bucket = bucket->overflow;
	}
}

static void bucket_remove(struct kv_bucket *bucket, struct kv_entry **place)
{
	bucket->top[place - bucket->entry] = 0;
	*place = NULL;
}

static void bucket_free_overflow(struct kv_bucket *bucket)
{
	struct kv_bucket *next, *overflow = bucket->overflow;

	bucket->overflow = NULL;
	for (; overflow; overflow = next) {
		next = overflow->overflow;
		mem_free(overflow);
		store.noverflow--;
	}
}

/* Move the next old bucket's entries; those for which there is no memory wait. */
static int map_move_bucket(void)
{
	struct kv_bucket *bucket, *from = &store.old[store.nmoved];
	unsigned int i;

	for (bucket = from; bucket; bucket = bucket->overflow)
		for (i = 0; i < KV_BUCKET; i++) {
			struct kv_entry *entry = bucket->entry[i];

			if (!entry)
				continue;
			if (bucket_insert(table_bucket(store.table, store.bits, entry->hash),
					  entry))
				return -ENOMEM;
			bucket_remove(bucket, &bucket->entry[i]);
		}
	bucket_free_overflow(from);
	store.nmoved++;
	return 0;
}

/* Each change of the map does a little of the work of growing. */
static void map_move_some(void)
{
	unsigned int i;

	for (i = 0; i < 2 && store.old; i++) {
		if (map_move_bucket())
			return;
		if (store.nmoved < 1ul << store.old_bits)
			continue;
		mem_free(store.old);
		store.old = NULL;
	}
}

/* Entries at which a table of 1 << @bits buckets is three quarters full. */
static size_t map_load(unsigned int bits)
{
	return (KV_BUCKET * 3ul << bits) / 4;
}

/* Without memory for a larger table the chains get longer, and we ask again later. */
static void map_grow(void)
{
	struct kv_bucket *table = NULL;

	if (store.bits < KV_MAX_BITS)
		table = mem_zalloc_table(2ul << store.bits, sizeof(*table));
	if (!table) {
		store.grow_at += store.grow_at / 4;
		return;
	}
	store.old = store.table;
	store.old_bits = store.bits;
	store.nmoved = 0;
	store.table = table;
	store.bits++;
	store.grow_at = map_load(store.bits);
}

static int map_insert(struct kv_entry *entry)
{
	int err;

	if (store.nentries >= store.grow_at && !store.old)
		map_grow();
	map_move_some();
	err = bucket_insert(table_bucket(store.table, store.bits, entry->hash), entry);
	if (!err)
		store.nentries++;
	return err;
}

static void table_free(struct kv_bucket *table, unsigned int bits)
{
	size_t i;

	if (!table)
		return;
	for (i = 0; i < 1ul << bits; i++)
		bucket_free_overflow(&table[i]);
	mem_free(table);
}

/* Append @entry to the order of the keys. */
static int order_append(struct kv_entry *entry)
{
	size_t i = div_u64(store.next_id, KV_CHUNK);
	struct kv_chunk **chunks = store.chunks;

	if (i == store.nchunks) {
		if (i == store.chunks_cap)
			chunks = mem_grow(chunks, &store.chunks_cap, i + 1, sizeof(*chunks));
		if (!chunks)
			return -ENOMEM;
		store.chunks = chunks;
		chunks[i] = mem_zalloc(sizeof(**chunks));
		if (!chunks[i])
			return -ENOMEM;
		store.nchunks++;
	}
	entry->id = store.next_id++;
	chunks[i]->entry[entry->id - i * KV_CHUNK] = entry;
	chunks[i]->nlive++;
	return 0;
}

/* A chunk goes with its last entry, except the one that is being filled. */
static void order_remove(struct kv_entry *entry)
{
	size_t i = div_u64(entry->id, KV_CHUNK);
	struct kv_chunk *chunk = store.chunks[i];

	chunk->entry[entry->id - i * KV_CHUNK] = NULL;
	if (--chunk->nlive || store.next_id < (i + 1) * KV_CHUNK)
		return;
	mem_free(chunk);
	store.chunks[i] = NULL;
	/* nothing is left, and the next entry opens a chunk: begin anew */
	if (!store.nentries && store.next_id == store.nchunks * KV_CHUNK) {
		store.nchunks = 0;
		store.next_id = 0;
	}
}

/* The first entry whose id is at least @id, or NULL. */
static struct kv_entry *order_next(u64 id)
{
	while (id < store.next_id) {
		size_t i = div_u64(id, KV_CHUNK);
		struct kv_chunk *chunk = store.chunks[i];

		if (chunk && chunk->entry[id - i * KV_CHUNK])
			return chunk->entry[id - i * KV_CHUNK];
		id = chunk ? id + 1 : (i + 1) * KV_CHUNK;
	}
	return NULL;
}

static void entry_free(struct kv_entry *entry)
{
	mem_free(entry->key);
	mem_free(entry->value);
	mem_free(entry);
}

static char *bytes_dup(const char *data, size_t len)
{
	char *copy = mem_alloc_noscan(len);

	if (copy && len)
		memcpy(copy, data, len);
	return copy;
}

static struct kv_entry *entry_make(u64 hash, const char *key, size_t key_len,
				   const char *value, size_t value_len)
{
	struct kv_entry *entry = mem_zalloc(sizeof(*entry));

	if (!entry)
		return NULL;
	entry->hash = hash;
	entry->key = bytes_dup(key, key_len);
	entry->key_len = key_len;
	entry->value = bytes_dup(value, value_len);
	entry->value_len = value_len;
	if (entry->key && entry->value)
		return entry;
	entry_free(entry);
	return NULL;
}

static int entry_set_value(struct kv_entry *entry, const char *value, size_t len)
{
	char *copy = bytes_dup(value, len);

	if (!copy)
		return -ENOMEM;
	mem_free(entry->value);
	store.value_bytes += len;
	store.value_bytes -= entry->value_len;
	entry->value = copy;
	entry->value_len = len;
	return 0;
}

static int store_add(struct kv_entry *entry)
{
	struct kv_bucket *where;
	int err = map_insert(entry);

	if (err)
		return err;
	err = order_append(entry);
	if (err) {
		struct kv_entry **place = map_find(entry->hash, entry->key, entry->key_len,
						   &where);

		bucket_remove(where, place);
		store.nentries--;
		return err;
	}
	store.key_bytes += entry->key_len;
	store.value_bytes += entry->value_len;
	return 0;
}

static int store_set(const char *key, size_t key_len, const char *value, size_t value_len)
{
	u64 hash = siphash(key, key_len, &store.key);
	struct kv_bucket *where;
	struct kv_entry **place, *entry;
	int err;

	down_write(&store.lock);
	place = map_find(hash, key, key_len, &where);
	if (place) {
		err = entry_set_value(*place, value, value_len);
	} else {
		entry = entry_make(hash, key, key_len, value, value_len);
		err = entry ? store_add(entry) : -ENOMEM;
		if (err && entry)
			entry_free(entry);
	}
	up_write(&store.lock);
	return err;
}

static void store_del(const char *key, size_t len)
{
	u64 hash = siphash(key, len, &store.key);
	struct kv_entry **place, *entry = NULL;
	struct kv_bucket *where;

	down_write(&store.lock);
	map_move_some();
	place = map_find(hash, key, len, &where);
	if (place) {
		entry = *place;
		bucket_remove(where, place);
		store.nentries--;
		store.key_bytes -= entry->key_len;
		store.value_bytes -= entry->value_len;
		order_remove(entry);
		entry_free(entry);
	}
	up_write(&store.lock);
}

static int store_init(void)
{
	init_rwsem(&store.lock);
	get_random_bytes(&store.key, sizeof(store.key));
	store.bits = KV_MIN_BITS;
	store.grow_at = map_load(store.bits);
	store.table = mem_zalloc_table(1ul << store.bits, sizeof(*store.table));
	return store.table ? 0 : -ENOMEM;
}

static void store_free(void)
{
	struct kv_entry *entry;
	u64 id;
	size_t i;

	for (id = 0; (entry = order_next(id)); ) {
		id = entry->id + 1;
		entry_free(entry);
		cond_resched();
	}
	for (i = 0; i < store.nchunks; i++)
		mem_free(store.chunks[i]);
	mem_free(store.chunks);
	table_free(store.old, store.old_bits);
	table_free(store.table, store.bits);
}

/*
 * Call @fn for every object of the store and what it was allocated with, until
 * it returns false.
 */
static void store_walk(bool (*fn)(const void *obj, size_t nbytes, void *arg), void *arg)
{
	struct kv_bucket *tables[] = { store.old, store.table }, *bucket;
	unsigned int bits[] = { store.old_bits, store.bits };
	struct kv_entry *entry;
	size_t i, t;
	u64 id;

	for (id = 0; (entry = order_next(id)); id = entry->id + 1) {
		if (!fn(entry, sizeof(*entry), arg) || !fn(entry->key, entry->key_len, arg) ||
		    !fn(entry->value, entry->value_len, arg))
			return;
		cond_resched();
	}
	for (t = 0; t < ARRAY_SIZE(tables); t++) {
		if (!tables[t])
			continue;
		if (!fn(tables[t], sizeof(*bucket) << bits[t], arg))
			return;
		for (i = 0; i < 1ul << bits[t]; i++)
			for (bucket = tables[t][i].overflow; bucket; bucket = bucket->overflow)
				if (!fn(bucket, sizeof(*bucket), arg))
					return;
	}
	for (i = 0; i < store.nchunks; i++)
		if (store.chunks[i] && !fn(store.chunks[i], sizeof(struct kv_chunk), arg))
			return;
	if (store.chunks)
		fn(store.chunks, store.chunks_cap * sizeof(*store.chunks), arg);
}

/* The device */

#define KV_MISSING	U32_MAX

/**
 * struct kv_file - an open file
 * @lock: all that follows
 * @line: the line that write() is putting together
 * @answers: of GET: for each a u32, its length or KV_MISSING, and the bytes
 * @answer: where in @answers the first one begins that is not read yet
 * @answer_pos: bytes of it that have been read
 * @answered: answers were read: what follows is the end of the file
 * @dump: the line of a dump that is being read
 * @dump_pos: bytes of it that have been read
 * @dump_id: where the dump goes on
 */
struct kv_file {
	struct mutex lock;	/* one read or write at a time */
	struct kv_slice line;
	struct kv_slice answers;
	size_t answer;
	size_t answer_pos;
	bool answered;
	struct kv_slice dump;
	size_t dump_pos;
	u64 dump_id;
};

static int file_answer(struct kv_file *file, const char *key, size_t len)
{
	u64 hash = siphash(key, len, &store.key);
	struct kv_slice *answers = &file->answers;
	struct kv_entry **place;
	struct kv_bucket *where;
	u32 head = KV_MISSING;
	int err;

	if (answers->len > KV_ANSWERS_MAX)
		return -EBUSY;
	down_read(&store.lock);
	place = map_find(hash, key, len, &where);
	if (place)
		head = (*place)->value_len + 1;
	err = slice_reserve(answers, sizeof(head) + (place ? head : 0));
	if (!err) {
		slice_append(answers, &head, sizeof(head));
		if (place) {
			slice_append(answers, (*place)->value, (*place)->value_len);
			slice_append(answers, "\n", 1);
		}
	}
	up_read(&store.lock);
	return err;
}

static bool key_ok(const char *key, size_t len)
{
	return len && len <= KV_KEY_MAX && !memchr(key, ' ', len);
}

static int line_set(const char *args, size_t len)
{
	const char *space = memchr(args, ' ', len);
	size_t key_len = space - args;

	if (!space || !key_ok(args, key_len) || len - key_len - 1 > KV_VALUE_MAX)
		return -EINVAL;
	return store_set(args, key_len, space + 1, len - key_len - 1);
}

/* Do what a line says. Anything but 0 means: it was not done. */
static int file_do_line(struct kv_file *file, const char *line, size_t len)
{
	if (len >= 4 && !memcmp(line, "SET ", 4))
		return line_set(line + 4, len - 4);
	if (len < 4 || !key_ok(line + 4, len - 4))
		return -EINVAL;
	if (!memcmp(line, "GET ", 4))
		return file_answer(file, line + 4, len - 4);
	if (memcmp(line, "DEL ", 4))
		return -EINVAL;
	store_del(line + 4, len - 4);
	return 0;
}

/* Do the whole lines of the buffer; *@pos is where the first that was not done starts. */
static int file_do_lines(struct kv_file *file, size_t *pos)
{
	const char *data = file->line.data, *end;
	int err;

	for (*pos = 0; *pos < file->line.len; *pos = end + 1 - data) {
		end = memchr(data + *pos, '\n', file->line.len - *pos);
		if (!end)
			return file->line.len - *pos > KV_LINE_MAX ? -EINVAL : 0;
		err = file_do_line(file, data + *pos, end - data - *pos);
		if (err)
			return err;
	}
	return 0;
}

/*
 * A line was not done. It starts at @pos of the buffer and at @start of what
 * write() was given: before it when that is negative. If lines of this write()
 * were done before it, say how far that was: the caller's next write() starts
 * with the line and gets the error. Then a wrong line is dropped, and what was
 * there of one for which there was no memory stays.
 */
static ssize_t file_refuse(struct kv_file *file, size_t pos, ssize_t start, int err)
{
	size_t before = start < 0 ? -start : 0;
	size_t len = file->line.len - pos;
	const char *line = file->line.data + pos;
	const char *end = memchr(line, '\n', len);

	if (start <= 0 && err == -EINVAL) {
		pr_notice_ratelimited("refused \"%*pE\": not SET key value, DEL key or GET key\n",
				      (int)min_t(size_t, end ? end - line : len, 40), line);
		before = 0;
	}
	file->line.len = before;
	return start > 0 ? start : err;
}

static int file_fill_line(struct kv_file *file, const char __user *buf, size_t count)
{
	int err = slice_reserve(&file->line, count);

	if (err)
		return err;
	if (copy_from_user(file->line.data + file->line.len, buf, count))
		return -EFAULT;
	file->line.len += count;
	return 0;
}

static ssize_t file_write(struct kv_file *file, const char __user *buf, size_t count)
{
	size_t done = 0, pos = 0;

	while (done < count) {
		size_t have = file->line.len;
		size_t n = min_t(size_t, count - done, SZ_16K);
		int err = file_fill_line(file, buf + done, n);

		if (!err)
			err = file_do_lines(file, &pos);
		else
			pos = 0;
		if (err)
			return file_refuse(file, pos, (ssize_t)(done + pos) - (ssize_t)have, err);
		slice_shift(&file->line, pos);
		done += n;
		cond_resched();
	}
	return done;
}

static ssize_t kv_write(struct file *filp, const char __user *buf, size_t count, loff_t *ppos)
{
	struct kv_file *file = filp->private_data;
	ssize_t ret;

	if (mutex_lock_interruptible(&file->lock))
		return -ERESTARTSYS;
	/* what is read next is news: an old dump ends here */
	file->answered = false;
	file->dump.len = 0;
	file->dump_pos = 0;
	file->dump_id = 0;
	ret = file_write(file, buf, min_t(size_t, count, MAX_RW_COUNT));
	mutex_unlock(&file->lock);
	return ret;
}

/* The answer that starts at @file->answer is read: on to the next. */
static void file_next_answer(struct kv_file *file, size_t nbytes)
{
	file->answer += nbytes;
	file->answer_pos = 0;
	if (file->answer < file->answers.len)
		return;
	file->answers.len = 0;
	file->answer = 0;
}

/* Read from the first answer; 0: there is none. */
static ssize_t file_read_answer(struct kv_file *file, char __user *buf, size_t count)
{
	const char *answer = file->answers.data + file->answer;
	u32 head;

	if (!file->answers.len)
		return 0;
	memcpy(&head, answer, sizeof(head));
	if (head == KV_MISSING) {
		file_next_answer(file, sizeof(head));
		return -ENOENT;
	}
	count = min_t(size_t, count, head - file->answer_pos);
	if (copy_to_user(buf, answer + sizeof(head) + file->answer_pos, count))
		return -EFAULT;
	file->answer_pos += count;
	if (file->answer_pos == head)
		file_next_answer(file, sizeof(head) + head);
	file->answered = !file->answers.len;
	return count;
}

/* Put the next entry into the dump's line. 0: there is none; 1; or an error. */
static int file_dump_entry(struct kv_file *file)
{
	struct kv_slice *dump = &file->dump;
	struct kv_entry *entry;
	int ret = 0;

	dump->len = 0;
	file->dump_pos = 0;
	down_read(&store.lock);
	entry = order_next(file->dump_id);
	if (entry) {
		ret = slice_reserve(dump, entry->key_len + 1 + entry->value_len + 1);
		if (!ret) {
			slice_append(dump, entry->key, entry->key_len);
			slice_append(dump, " ", 1);
			slice_append(dump, entry->value, entry->value_len);
			slice_append(dump, "\n", 1);
			file->dump_id = entry->id + 1;
			ret = 1;
		}
	}
	up_read(&store.lock);
	return ret;
}

/* Read from a dump. Each line is of one moment, whatever others write meanwhile. */
static ssize_t file_read_dump(struct kv_file *file, char __user *buf, size_t count)
{
	struct kv_slice *dump = &file->dump;
	size_t done = 0;
	int ret = 1;

	while (done < count) {
		size_t n = min(count - done, dump->len - file->dump_pos);

		if (copy_to_user(buf + done, dump->data + file->dump_pos, n)) {
			ret = -EFAULT;
			break;
		}
		file->dump_pos += n;
		done += n;
		if (done == count)
			break;
		ret = file_dump_entry(file);
		if (ret <= 0)
			break;
		cond_resched();
	}
	if (!done && !ret)
		file->dump_id = 0;
	return done ?: min(ret, 0);
}

static ssize_t kv_read(struct file *filp, char __user *buf, size_t count, loff_t *ppos)
{
	struct kv_file *file = filp->private_data;
	ssize_t ret;

	if (!count)
		return 0;
	if (mutex_lock_interruptible(&file->lock))
		return -ERESTARTSYS;
	ret = file_read_answer(file, buf, count);
	if (!ret && file->answered)
		file->answered = false;
	else if (!ret)
		ret = file_read_dump(file, buf, count);
	mutex_unlock(&file->lock);
	return ret;
}

static int kv_open(struct inode *inode, struct file *filp)
{
	struct kv_file *file = mem_zalloc(sizeof(*file));

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	filp->private_data = file;
	return stream_open(inode, filp);
}

static int kv_release(struct inode *inode, struct file *filp)
{
	struct kv_file *file = filp->private_data;

	slice_free(&file->line);
	slice_free(&file->answers);
	slice_free(&file->dump);
	mem_free(file);
	return 0;
}

static const struct file_operations kv_fops = {
	.owner = THIS_MODULE,
	.open = kv_open,
	.release = kv_release,
	.read = kv_read,
	.write = kv_write,
};

static struct miscdevice kv_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kspan_kv",
	.fops = &kv_fops,
	.mode = 0600,
};

/* debugfs: /sys/kernel/debug/kspan_kv */

static struct dentry *kv_debugfs;

/**
 * struct kv_census - all objects of the store
 * @nobjs: how many
 * @requested: bytes asked for
 * @taken: bytes that the allocator gave
 */
struct kv_census {
	u64 nobjs;
	u64 requested;
	u64 taken;
};

static bool census_add(const void *obj, size_t nbytes, void *arg)
{
	struct kv_census *census = arg;

	census->nobjs++;
	census->requested += nbytes;
	if (nbytes)
		census->taken += mem_size(obj);
	return true;
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct kv_census census = {};

	down_read(&store.lock);
	store_walk(census_add, &census);
	seq_printf(m, "backend         %12s\n", use_kmalloc ? "kmalloc" : "kspan");
	seq_printf(m, "entries         %12zu\n", store.nentries);
	seq_printf(m, "key_bytes       %12llu\n", store.key_bytes);
	seq_printf(m, "value_bytes     %12llu\n", store.value_bytes);
	seq_printf(m, "table_bytes     %12zu\n",
		   ((1ul << store.bits) + (store.old ? 1ul << store.old_bits : 0) +
		    store.noverflow) * sizeof(struct kv_bucket));
	up_read(&store.lock);
	seq_printf(m, "objects         %12llu\n", census.nobjs);
	seq_printf(m, "requested_bytes %12llu\n", census.requested);
	seq_printf(m, "taken_bytes     %12llu\n", census.taken);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/**
 * struct kv_copies - objects of the same sizes from kmalloc()
 * @copy: where they are
 * @room: for how many
 * @n: how many there are
 * @taken: what they take by ksize()
 */
struct kv_copies {
	void **copy;
	size_t room;
	size_t n;
	u64 taken;
};

static bool copies_add(const void *obj, size_t nbytes, void *arg)
{
	struct kv_copies *copies = arg;
	void *copy;

	if (copies->n == copies->room)
		return false;
	copy = kmalloc(nbytes, GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY);
	if (!copy)
		return false;
	copies->copy[copies->n++] = copy;
	if (nbytes)
		copies->taken += ksize(copy);
	return true;
}

static void copies_free(struct kv_copies *copies)
{
	while (copies->n) {
		kfree(copies->copy[--copies->n]);
		cond_resched();
	}
	kvfree(copies->copy);
}

static s64 slab_bytes(void)
{
	return ((s64)global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B) +
		global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B)) << PAGE_SHIFT;
}

static void compare_line(struct seq_file *m, const char *name, u64 nbytes, u64 requested,
			 const char *text)
{
	seq_printf(m, "%-16s %12llu", name, nbytes);
	if (requested)
		seq_printf(m, " %4llu%%", div64_u64(nbytes * 100 + requested / 2, requested));
	seq_printf(m, "  %s\n", text);
}

static void compare_kspan(struct seq_file *m, const struct kv_census *census)
{
	struct kspan_stats *stats = kvmalloc(sizeof(*stats), GFP_KERNEL);

	if (!stats || use_kmalloc) {
		kvfree(stats);
		return;
	}
	kspan_get_stats(stats);
	compare_line(m, "kspan_objects", census->taken, census->requested,
		     "the same in kspan, each with its rounding");
	compare_line(m, "kspan_system", stats->sys_bytes + stats->slot_bytes, census->requested,
		     "all that kspan has from the system, caches and free pages included");
	compare_line(m, "kspan_idle", stats->idle_bytes, census->requested,
		     "of that in free pages, which go back when they stay idle");
	kvfree(stats);
}

/*
 * Allocate every object of the store once more with kmalloc(), and see what
 * that takes. Other users of kmalloc() disturb the count of pages a little.
 */
static int compare_show(struct seq_file *m, void *unused)
{
	struct kv_census census = {};
	struct kv_copies copies = {};
	s64 before, after;

	down_read(&store.lock);
	store_walk(census_add, &census);
	copies.room = census.nobjs;
	copies.copy = kvmalloc_array(copies.room, sizeof(void *), GFP_KERNEL);
	if (!copies.copy) {
		up_read(&store.lock);
		return -ENOMEM;
	}
	before = slab_bytes();
	store_walk(copies_add, &copies);
	after = slab_bytes();
	up_read(&store.lock);

	seq_printf(m, "%-16s %12llu\n", "objects", census.nobjs);
	if (copies.n < census.nobjs)
		seq_printf(m, "%-16s %12zu  no memory for more\n", "copied", copies.n);
	compare_line(m, "requested", census.requested, census.requested,
		     "bytes asked for: entries, keys, values, tables");
	compare_line(m, "kmalloc_objects", copies.taken, census.requested,
		     "copies from kmalloc(), each with its rounding");
	compare_line(m, "kmalloc_system", max(after - before, 0ll), census.requested,
		     "growth of Slab: by them");
	compare_kspan(m, &census);
	copies_free(&copies);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(compare);

/* The module */

static int backend_set(const char *val, const struct kernel_param *kp)
{
	if (val && sysfs_streq(val, "kspan")) {
		use_kmalloc = false;
	} else if (val && sysfs_streq(val, "kmalloc")) {
		use_kmalloc = true;
	} else {
		pr_err("backend=%s: must be kspan or kmalloc\n", val ?: "");
		return -EINVAL;
	}
	return 0;
}

static int backend_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", use_kmalloc ? "kmalloc" : "kspan");
}

static const struct kernel_param_ops backend_ops = {
	.set = backend_set,
	.get = backend_get,
};

module_param_cb(backend, &backend_ops, NULL, 0444);
MODULE_PARM_DESC(backend, "kspan or kmalloc: where memory comes from (default kspan)");

static int __init kv_init(void)
{
	int err = params_check(THIS_MODULE);

	if (err)
		return err;
	err = store_init();
	if (err)
		return err;
	err = misc_register(&kv_device);
	if (err) {
		store_free();
		return err;
	}
	kv_debugfs = debugfs_create_dir("kspan_kv", NULL);
	debugfs_create_file("stats", 0400, kv_debugfs, NULL, &stats_fops);
	debugfs_create_file("compare", 0400, kv_debugfs, NULL, &compare_fops);
	return 0;
}

static void __exit kv_exit(void)
{
	debugfs_remove(kv_debugfs);
	misc_deregister(&kv_device);
	store_free();
}

module_init(kv_init);
module_exit(kv_exit);

MODULE_DESCRIPTION("A key-value store whose memory is kspan's");
MODULE_LICENSE("Dual MIT/GPL");
