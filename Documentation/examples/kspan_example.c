// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The worked example of the guide for module authors: a table of sessions.
 *
 * A session is an object of an object cache; its name and its log are plain
 * memory. Readers find sessions under rcu_read_lock(), so a session that goes
 * is freed after a grace period, and says until then that it is closed. Loading
 * the module opens `count` sessions, writes to them, looks all of them up and
 * closes every other one.
 */
#define pr_fmt(fmt) "kspan_example: " fmt

#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include <kspan.h>

static unsigned int count = 1000;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "sessions to open (default 1000)");

/**
 * struct session - one of them
 * @lock: guards @log, @nlog, @cap, @closed; made once, by the constructor
 * @node: in the table
 * @id: what readers look for
 * @name: allocated; never changes
 * @log: array of numbers that grows
 * @nlog: numbers in @log
 * @cap: numbers that @log has room for
 * @closed: it has left the table, and has no @log any more
 */
struct session {
	spinlock_t lock;
	struct hlist_node node;
	u32 id;
	char *name;
	u32 *log;
	size_t nlog;
	size_t cap;
	bool closed;
};

static DEFINE_HASHTABLE(table, 8);
static DEFINE_MUTEX(table_lock);	/* who adds and removes */
static struct kspan_cache *session_cache;

/* Runs once for each object, not at each allocation: what it makes must stay good. */
static void session_construct(void *obj)
{
	struct session *session = obj;

	spin_lock_init(&session->lock);
}

/* It has left the table, but who found it there before may be at work with it. */
static void session_free(struct session *session)
{
	unsigned long flags;
	u32 *log;

	spin_lock_irqsave(&session->lock, flags);
	log = session->log;
	session->log = NULL;
	session->closed = true;
	spin_unlock_irqrestore(&session->lock, flags);
	/* nobody has it now: who comes later sees that the session is closed */
	kspan_free(log);
	/* these may still be looked at, without a lock */
	kspan_free_rcu(session->name);
	kspan_free_rcu(session);
}

static int session_open(u32 id, const char *name)
{
	struct session *session = kspan_cache_alloc(session_cache, GFP_KERNEL);

	if (!session)
		return -ENOMEM;
	session->id = id;
	session->nlog = 0;
	session->cap = 0;
	session->log = NULL;
	session->closed = false;
	session->name = kspan_strdup(name, GFP_KERNEL);
	if (!session->name) {
		kspan_cache_free(session_cache, session);
		return -ENOMEM;
	}
	mutex_lock(&table_lock);
	hash_add_rcu(table, &session->node, id);
	mutex_unlock(&table_lock);
	return 0;
}

/* Under rcu_read_lock(), or with table_lock held. */
static struct session *session_find(u32 id)
{
	struct session *session;

	hash_for_each_possible_rcu(table, session, node, id, lockdep_is_held(&table_lock))
		if (session->id == id)
			return session;
	return NULL;
}

/* May run in an interrupt: takes no memory that it would have to wait for. */
static int session_log(struct session *session, u32 number)
{
	unsigned long flags;
	u32 *log;
	int err = -ENOMEM;

	spin_lock_irqsave(&session->lock, flags);
	if (session->closed) {
		spin_unlock_irqrestore(&session->lock, flags);
		return -ENOENT;
	}
	/* what is there as long as it has room; else twice as much, or NULL */
	log = kspan_grow_array(session->log, &session->cap, session->nlog + 1,
			       sizeof(*session->log), GFP_ATOMIC);
	if (log) {
		session->log = log;
		session->log[session->nlog++] = number;
		err = 0;
	}
	spin_unlock_irqrestore(&session->lock, flags);
	return err;
}

static bool session_ends_with(struct session *session, size_t nlog, u32 number)
{
	unsigned long flags;
	bool yes;

	spin_lock_irqsave(&session->lock, flags);
	yes = !session->closed && session->nlog == nlog && session->log[nlog - 1] == number;
	spin_unlock_irqrestore(&session->lock, flags);
	return yes;
}

static void session_close(u32 id)
{
	struct session *session;

	mutex_lock(&table_lock);
	session = session_find(id);
	if (session)
		hash_del_rcu(&session->node);
	mutex_unlock(&table_lock);
	if (session)
		session_free(session);
}

static void close_all(void)
{
	struct session *session;
	struct hlist_node *next;
	int bucket;

	mutex_lock(&table_lock);
	hash_for_each_safe(table, bucket, next, session, node) {
		hash_del_rcu(&session->node);
		session_free(session);
	}
	mutex_unlock(&table_lock);
}

/* Open, use, find, close half: an error if anything is not as it should be. */
static int use_sessions(void)
{
	char name[32];
	u32 id, nfound = 0;
	int err = 0;

	for (id = 0; id < count && !err; id++) {
		snprintf(name, sizeof(name), "session number %u", id);
		err = session_open(id, name);
	}
	rcu_read_lock();
	for (id = 0; id < count && !err; id++) {
		struct session *session = session_find(id);
		u32 i;

		for (i = 0; session && i <= id % 20 && !err; i++)
			err = session_log(session, id + i);
		nfound += session && session_ends_with(session, id % 20 + 1, id + id % 20);
	}
	rcu_read_unlock();
	for (id = 0; id < count; id += 2)
		session_close(id);
	pr_info("%u of %u sessions found, every other one closed\n", nfound, count);
	return err ?: nfound == count ? 0 : -EIO;
}

static int __init example_init(void)
{
	int err;

	session_cache = kspan_cache_create("example_session", sizeof(struct session),
					   __alignof__(struct session), 0, session_construct);
	if (!session_cache)
		return -ENOMEM;
	err = use_sessions();
	if (err) {
		close_all();
		kspan_rcu_barrier();
		kspan_cache_destroy(session_cache);
	}
	return err;
}

static void __exit example_exit(void)
{
	close_all();
	/* those on their way through RCU must have come back first */
	kspan_rcu_barrier();
	kspan_cache_destroy(session_cache);
}

module_init(example_init);
module_exit(example_exit);
MODULE_DESCRIPTION("kspan: the example of the guide for module authors");
MODULE_LICENSE("Dual MIT/GPL");
