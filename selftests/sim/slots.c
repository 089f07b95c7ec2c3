// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The slots in the simulator, in three models.
 *
 * Busy flag, after the kernel's port: an operation has preemption off and the
 * flag set, step by step; an interrupt that comes in between finds the flag and
 * fails. To freeze is to point every CPU to the closed slot and to wait until
 * nobody has preemption off any more.
 *
 * Restartable sequence: an operation that was preempted, moved or told to by a
 * freezer before its one committing store starts again. To freeze is to point
 * every CPU to the closed slot and to have all sequences start again.
 *
 * Threads' slots, after userspace's port without rseq: an operation has the busy
 * flag of its thread's slot set, and backs out when the freezer's flag is up; a
 * signal handler that finds the busy flag goes without. To freeze is to put up
 * that flag and to wait until no slot is busy. A thread that ends empties its slot
 * and leaves it to another.
 *
 * See sched.c.
 */
#include "sim.h"

#define SIM_MAX_SLOTS	(SIM_MAX_CPUS + SIM_MAX_TASKS + 3)
#define SLOT_BYTES	((size_t)128 << 10)

static struct kspan_slotset *sets[SIM_NR_CACHES + 4];
static port_mutex_t sets_lock;	/* before a freezer */

static bool thread_gone[SIM_MAX_CTX];	/* it gets no slot any more */

void slots_reset(void)
{
	port_mutex_init(&sets_lock);
	memset(sets, 0, sizeof(sets));
	memset(thread_gone, 0, sizeof(thread_gone));
}

/* The busy flag */

static struct kspan_slot *busy_enter(struct kspan_slotset *ss)
{
	struct kspan_slot *slot;

	preempt_off();
	slot = port_load(&ss->os.cur[sim.self->cpu]);
	if (port_load(&slot->busy)) {
		preempt_on();
		return NULL;
	}
	port_store(&slot->busy, 1);
	return slot;
}

static void busy_leave(struct kspan_slot *slot)
{
	port_store(&slot->busy, 0);
	preempt_on();
}

/* Threads */

#define NO_SLOT		(~0u)

/* A signal handler works for the thread that it interrupted. */
static int thread_id(void)
{
	struct sim_ctx *ctx = sim.self;

	while (ctx->over)
		ctx = ctx->over;
	return ctx->id;
}

static u32 thread_find(struct kspan_slotset *ss, u32 owner)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ss->os.thread); i++)
		if (ss->os.owner[i] == owner)
			return i;
	return NO_SLOT;
}

static struct kspan_slot *thread_slot_make(struct kspan_slotset *ss, u32 i);

/*
 * The thread's slot, given to it when it first asks. NULL: it is on its way out, or there
 * is no memory for a slot.
 */
static struct kspan_slot *thread_slot(struct kspan_slotset *ss)
{
	u32 id = thread_id(), i = thread_find(ss, id + 1);

	if (i == NO_SLOT && thread_gone[id])
		return NULL;
	if (i == NO_SLOT) {
		sim_point(EV_RMW, ss->os.owner);
		i = thread_find(ss, id + 1);	/* a handler may have asked meanwhile */
	}
	if (i == NO_SLOT) {
		i = thread_find(ss, 0);
		if (i == NO_SLOT)
			sim_fail("there are more threads than slots");
		if (!ss->os.thread[i])
			ss->os.thread[i] = thread_slot_make(ss, i);
		if (!ss->os.thread[i])
			return NULL;
		ss->os.owner[i] = id + 1;
	}
	return ss->os.thread[i];
}

static struct kspan_slot *thread_enter(struct kspan_slotset *ss)
{
	struct kspan_slot *slot = thread_slot(ss);

	if (!slot || port_load(&slot->busy))
		return NULL;
	port_store(&slot->busy, 1);
	if (!port_load(&ss->os.frozen))
		return slot;
	port_store(&slot->busy, 0);
	return NULL;
}

static bool threads_idle(struct sim_ctx *ctx, void *arg)
{
	struct kspan_slotset *ss = arg;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ss->os.thread); i++)
		if (ss->os.thread[i] && ss->os.thread[i]->busy)
			return false;
	return true;
}

/* Either model with a busy flag. */
static struct kspan_slot *slot_enter(struct kspan_slotset *ss)
{
	return cfg(CFG_BUSY) ? busy_enter(ss) : thread_enter(ss);
}

static void slot_leave(struct kspan_slot *slot)
{
	if (cfg(CFG_BUSY))
		busy_leave(slot);
	else
		port_store(&slot->busy, 0);
}

static bool use_rseq(void)
{
	return !cfg(CFG_BUSY) && !cfg(CFG_THREADS);
}

/* Restartable sequences: preempt_off stands for "in a sequence". */

static struct kspan_slot *rseq_begin(struct kspan_slotset *ss, u32 *moved)
{
	sim.self->preempt_off = 1;
	*moved = sim.self->moved;
	return port_load(&ss->os.cur[sim.self->cpu]);
}

/* The committing store; false: not made, start again. */
static bool rseq_commit(u64 *word, u64 value, u32 moved)
{
	bool stays;

	sim_point(EV_COMMIT, word);
	stays = sim.self->moved == moved;
	if (stays)
		*word = value;
	sim.self->preempt_off = 0;
	return stays;
}

static void rseq_end(void)
{
	sim.self->preempt_off = 0;
}

static void *rseq_pop(struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot;
	u64 word, obj;
	u32 moved;

	do {
		slot = rseq_begin(ss, &moved);
		word = port_load(&slot->word[c]);
		obj = slot_entries(slot)[word & KSPAN_SLOT_TOP];
		if (!obj) {
			rseq_end();
			return NULL;
		}
	} while (!rseq_commit(&slot->word[c], word + KSPAN_SLOT_POP, moved));
	return (void *)(uintptr_t)obj;
}

static bool rseq_push(struct kspan_slotset *ss, u32 c, void *obj)
{
	struct kspan_slot *slot;
	u32 moved, top;
	u64 word;

	do {
		slot = rseq_begin(ss, &moved);
		word = port_load(&slot->word[c]);
		top = word & KSPAN_SLOT_TOP;
		if (top >= port_load(slot_limit(ss, slot, c))) {
			rseq_end();
			return false;
		}
		if (sim.self->moved == moved)
			slot_entries(slot)[top + 1] = (uintptr_t)obj;
	} while (!rseq_commit(&slot->word[c], word + 1, moved));
	return true;
}

static u32 rseq_fill(struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	u32 i, top, limit, moved, take;
	struct kspan_slot *slot;
	u64 word;

	do {
		slot = rseq_begin(ss, &moved);
		word = port_load(&slot->word[c]);
		top = word & KSPAN_SLOT_TOP;
		limit = port_load(slot_limit(ss, slot, c));
		if (!top || limit <= top) {
			rseq_end();
			return 0;
		}
		take = n > limit - top ? limit - top : n;
		for (i = 0; i < take; i++)
			if (sim.self->moved == moved)
				slot_entries(slot)[top + 1 + i] = (uintptr_t)objs[i];
	} while (!rseq_commit(&slot->word[c], word + take, moved));
	return take;
}

static u32 rseq_drain(struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	u32 i, top, moved, take;
	struct kspan_slot *slot;
	u64 word;

	do {
		slot = rseq_begin(ss, &moved);
		word = port_load(&slot->word[c]);
		top = word & KSPAN_SLOT_TOP;
		take = top ? top - ss->base[c] : 0;
		if (take > n)
			take = n;
		for (i = 0; i < take; i++)
			objs[i] = (void *)(uintptr_t)slot_entries(slot)[top - i];
	} while (!rseq_commit(&slot->word[c], word - take, moved));
	return take;
}

static void rseq_open(struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot;
	u32 moved;

	do {
		slot = rseq_begin(ss, &moved);
		if (slot->closed || port_load(&slot->word[c])) {
			rseq_end();
			return;
		}
	} while (!rseq_commit(&slot->word[c], ss->base[c], moved));
}

/* The contract */

void *port_slot_pop(struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot;
	void *obj;

	if (use_rseq())
		return rseq_pop(ss, c);
	slot = slot_enter(ss);
	if (!slot)
		return NULL;
	obj = slot_pop(slot, c);
	slot_leave(slot);
	return obj;
}

bool port_slot_push(struct kspan_slotset *ss, u32 c, void *obj)
{
	struct kspan_slot *slot;
	bool done;

	if (use_rseq())
		return rseq_push(ss, c, obj);
	slot = slot_enter(ss);
	if (!slot)
		return false;
	done = slot_push(ss, slot, c, obj);
	slot_leave(slot);
	return done;
}

void *port_slot_pop_fast(struct kspan_slotset *ss, u32 c)
{
	return port_slot_pop(ss, c);
}

bool port_slot_push_fast(struct kspan_slotset *ss, u32 c, void *obj)
{
	return port_slot_push(ss, c, obj);
}

u32 port_slot_fill(struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	struct kspan_slot *slot;

	if (use_rseq())
		return rseq_fill(ss, c, objs, n);
	slot = slot_enter(ss);
	if (!slot)
		return 0;
	n = slot_fill(ss, slot, c, objs, n);
	slot_leave(slot);
	return n;
}

u32 port_slot_drain(struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	struct kspan_slot *slot;

	if (use_rseq())
		return rseq_drain(ss, c, objs, n);
	slot = slot_enter(ss);
	if (!slot)
		return 0;
	n = slot_count(ss, slot, c) ? slot_drain(ss, slot, c, objs, n) : 0;
	slot_leave(slot);
	return n;
}

void port_slot_open(struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot;

	if (use_rseq()) {
		rseq_open(ss, c);
		return;
	}
	slot = slot_enter(ss);
	if (!slot)
		return;
	slot_open(ss, slot, c);
	slot_leave(slot);
}

struct kspan_slot *port_slot_this(struct kspan_slotset *ss)
{
	struct kspan_slot *slot;

	if (!cfg(CFG_THREADS))
		return port_load(&ss->os.cur[sim.self->cpu < 0 ? 0 : sim.self->cpu]);
	slot = thread_slot(ss);
	return slot ? slot : ss->os.closed;
}

/* At addresses that are the same in every run. */
static struct kspan_slot *slot_make(u32 set, u32 i, size_t nbytes)
{
	static u64 pool[ARRAY_SIZE(sets)][SIM_MAX_SLOTS][SLOT_BYTES / sizeof(u64)];

	if (nbytes > SLOT_BYTES)
		sim_fail("a slot of %zu bytes", nbytes);
	memset(pool[set][i], 0, nbytes);
	return (struct kspan_slot *)pool[set][i];
}

static struct kspan_slot *thread_slot_make(struct kspan_slotset *ss, u32 i)
{
	u32 set;

	for (set = 0; sets[set] != ss; set++)
		;
	return sim_should_fail() ? NULL : slot_make(set, SIM_MAX_CPUS + 1 + i, ss->slot_bytes);
}

int port_slotset_init(struct kspan_slotset *ss, struct kspan_heap *heap, gfp_t gfp)
{
	u32 i, cpu;

	(void)gfp;
	if (sim_should_fail())
		return -ENOMEM;
	memset(&ss->os, 0, sizeof(ss->os));
	ss->os.heap = heap;
	port_mutex_init(&ss->os.freezer);
	port_mutex_lock(&sets_lock);
	for (i = 0; sets[i]; i++)
		;
	sets[i] = ss;
	ss->os.closed = slot_make(i, SIM_MAX_CPUS, ss->slot_bytes);
	ss->os.closed->closed = 1;
	for (cpu = 0; cpu < cfg(CFG_CPUS); cpu++) {
		ss->os.slot[cpu] = slot_make(i, cpu, ss->slot_bytes);
		ss->os.cur[cpu] = sim.offline[cpu] ? ss->os.closed : ss->os.slot[cpu];
	}
	port_mutex_unlock(&sets_lock);
	return 0;
}

void port_slotset_destroy(struct kspan_slotset *ss)
{
	u32 i, c;

	port_mutex_lock(&sets_lock);
	for (i = 0; i + 1 < port_slotset_nr(ss); i++) {
		struct kspan_slot *slot = port_slotset_slot(ss, i);

		for (c = 0; slot && c < ss->nstacks; c++)
			if (slot_count(ss, slot, c))
				sim_fail("slots are destroyed with objects in them");
	}
	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		if (sets[i] != ss)
			continue;
		sets[i] = NULL;
		memset(&ss->os, 0, sizeof(ss->os));
		port_mutex_unlock(&sets_lock);
		return;
	}
	sim_fail("slots are destroyed that were not made");
}

u32 port_slotset_nr(struct kspan_slotset *ss)
{
	return (cfg(CFG_THREADS) ? ARRAY_SIZE(ss->os.thread) : cfg(CFG_CPUS)) + 1;
}

struct kspan_slot *port_slotset_slot(struct kspan_slotset *ss, u32 i)
{
	if (i + 1 == port_slotset_nr(ss))
		return ss->os.closed;
	return cfg(CFG_THREADS) ? ss->os.thread[i] : ss->os.slot[i];
}

/* Freeze and thaw */

void port_slots_freeze(struct kspan_slotset *ss)
{
	u32 i;

	port_mutex_lock(&ss->os.freezer);
	if (cfg(CFG_THREADS)) {
		port_store(&ss->os.frozen, 1);
		sim_wait(threads_idle, ss, false);
		return;
	}
	for (i = 0; i < cfg(CFG_CPUS); i++)
		port_store(&ss->os.cur[i], ss->os.closed);
	sim_point(EV_FREEZE, ss);
	if (cfg(CFG_BUSY))
		port_synchronize_rcu();
	else
		for (i = 0; i < SIM_MAX_CTX; i++)
			sim.ctx[i].moved++;
}

void port_slots_thaw(struct kspan_slotset *ss)
{
	u32 i;

	port_store(&ss->os.frozen, ss->off);
	for (i = 0; i < cfg(CFG_CPUS); i++)
		if (!sim.offline[i] && !ss->off)
			port_store(&ss->os.cur[i], ss->os.slot[i]);
	port_mutex_unlock(&ss->os.freezer);
}

/* A thread ends: its slot is emptied and another's. */
void slots_thread_exit(void)
{
	u32 i, k;

	if (!cfg(CFG_THREADS))
		return;
	port_mutex_lock(&sets_lock);
	thread_gone[sim.self->id] = true;
	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		struct kspan_slotset *ss = sets[i];

		k = ss ? thread_find(ss, sim.self->id + 1) : NO_SLOT;
		if (k == NO_SLOT)
			continue;
		ss->os.owner[k] = ~0u;	/* nobody's yet */
		port_mutex_lock(&ss->os.freezer);
		cache_drain_slot(ss->os.heap, ss, ss->os.thread[k]);
		ss->os.owner[k] = 0;
		port_mutex_unlock(&ss->os.freezer);
	}
	port_mutex_unlock(&sets_lock);
}

/* CPUs that go and come: after the kernel's port. */

static bool cpu_can_go(struct sim_ctx *ctx, void *arg)
{
	u32 cpu = *(u32 *)arg, i, n = 0;
	struct sim_ctx *on = sim.on_cpu[cpu];

	for (i = 0; i < cfg(CFG_CPUS); i++)
		n += !sim.offline[i];
	return n == 1 || on == ctx || !on || (!on->irq_off && !on->preempt_off && !on->over);
}

/* Take @cpu down, unless it is the last one, and drain its slots. */
void slots_offline(u32 cpu)
{
	u32 i, n = 0;

	if (cpu >= cfg(CFG_CPUS))
		return;
	port_mutex_lock(&sets_lock);
	sim_wait(cpu_can_go, &cpu, false);
	for (i = 0; i < cfg(CFG_CPUS); i++)
		n += !sim.offline[i];
	if (n == 1 || sim.offline[cpu] || sim.on_cpu[cpu] == sim.self) {
		port_mutex_unlock(&sets_lock);
		return;
	}
	sim.offline[cpu] = true;
	if (sim.on_cpu[cpu]) {
		struct sim_ctx *on = sim.on_cpu[cpu];

		sim.on_cpu[cpu] = NULL;
		on->cpu = -1;
		on->moved++;
	}
	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		struct kspan_slotset *ss = sets[i];

		if (!ss)
			continue;
		port_mutex_lock(&ss->os.freezer);
		ss->os.cur[cpu] = ss->os.closed;
		cache_drain_slot(ss->os.heap, ss, ss->os.slot[cpu]);
		port_mutex_unlock(&ss->os.freezer);
	}
	port_mutex_unlock(&sets_lock);
}

void slots_online(u32 cpu)
{
	u32 i;

	if (cpu >= cfg(CFG_CPUS))
		return;
	port_mutex_lock(&sets_lock);
	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		struct kspan_slotset *ss = sets[i];

		if (!ss)
			continue;
		port_mutex_lock(&ss->os.freezer);
		if (!ss->off)
			ss->os.cur[cpu] = ss->os.slot[cpu];
		port_mutex_unlock(&ss->os.freezer);
	}
	sim.offline[cpu] = false;
	port_mutex_unlock(&sets_lock);
}
