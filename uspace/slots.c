// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The slots of a slotset in userspace: per CPU with rseq, per thread without.
 *
 * With rseq the fast operations find the slots through slotset.os.cur, which
 * they read inside their restartable sequence. To freeze is to let it show an
 * area of closed slots and then to have the kernel restart every sequence that
 * may have read the old value (membarrier).
 *
 * Without rseq os.cur stays on one closed slot for ever and the _slow twins
 * work on the slot of the thread, guarded by two flags:
 *
 *	thread				freezer
 *	slot.busy = 1			os.frozen = 1
 *	barrier				barrier
 *	os.frozen? then back out	wait until slot.busy == 0, each slot
 *	...
 *	slot.busy = 0
 *
 * The thread's barrier is for the compiler alone where the freezer's is a
 * membarrier(). A signal handler that finds its thread's slot busy goes without.
 *
 * A thread that ends empties its slot and leaves it to the next one. Slots go
 * away with their slotset only, so that the counters in them stay true.
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "port.h"

#define SYS_PAGE	((size_t)4096)

/* Slots that threads may have at a time, and slotsets that give them any. */
#define MAX_THREADS	65536u
#define MAX_SETS	64

#define TLS_IE		__attribute__((tls_model("initial-exec")))

/* A closed slot: its limits end before the next one's header would begin. */
u64 port_closed_slot[(KSPAN_HEAP0_LIMITS + KSPAN_NR_STACKS * sizeof(u16) + 63) / 64 * 8]
	KSPAN_HIDDEN __attribute__((aligned(64)));

/**
 * struct slots_port - what the process found when it started
 * @ready: it did start
 * @rseq: slots belong to CPUs
 * @membarrier: membarrier(PRIVATE_EXPEDITED) can be had
 * @ncpu: possible CPUs, an upper bound of every index
 * @closed: with rseq: @ncpu closed slots, of zero pages
 *
 * Written by port_slots_start() alone.
 */
static struct slots_port {
	bool ready;
	bool rseq;
	bool membarrier;
	u32 ncpu;
	char *closed;
} port;

/* Mappings */

static void *map_zero(size_t nbytes, int prot)
{
	int saved = errno;
	void *p = mmap(NULL, nbytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	errno = saved;
	return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, size_t nbytes)
{
	if (p)
		munmap(p, nbytes);
}

static size_t whole_pages(size_t nbytes)
{
	return (nbytes + SYS_PAGE - 1) & -SYS_PAGE;
}

static int membarrier(int cmd)
{
	int saved = errno;
	int ret = syscall(SYS_membarrier, cmd, 0, 0);

	errno = saved;
	return ret;
}

/* Start: which of the two it is */

#if RSEQ_ARCH

#include <sys/rseq.h>

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE	27
#endif
#define RSEQ_MM_CID		24	/* of struct rseq; newer than the header */
#define RSEQ_MM_CID_END		28

/* The highest number in a list such as "0-3,8-11", plus one. */
static u32 cpulist_end(const char *s)
{
	u32 n = 0, top = 0;

	for (; *s; s++) {
		if (*s >= '0' && *s <= '9') {
			n = n * 10 + (*s - '0');
			top = max(top, n);
		} else {
			n = 0;
		}
	}
	return top + 1;
}

static u32 possible_cpus(void)
{
	char buf[1024];
	ssize_t n = -1;
	int fd = open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	if (n <= 0)
		return 0;
	buf[n] = 0;
	return cpulist_end(buf);
}

/*
 * Where the sequences find the rseq area. Both are 0 until port_slots_start()
 * and no sequence may run before: it is a constructor, and libkspan-malloc,
 * which is called earlier, takes care (table.max in malloc.c).
 */
ptrdiff_t kspan_rseq_cs;
ptrdiff_t kspan_rseq_idx;
#ifdef RSEQ_ARCH
u8 kspan_rseq_aborts;
#endif

/* For a process without rseq: a descriptor that no kernel sees, and index 0. */
static __thread u64 dummy[2] TLS_IE;

static void rseq_use(ptrdiff_t cs, ptrdiff_t idx)
{
	port_store_release(&kspan_rseq_idx, idx);
	port_store_release(&kspan_rseq_cs, cs);
}

static void rseq_use_dummy(void)
{
	ptrdiff_t offset = (char *)dummy - (char *)__builtin_thread_pointer();

	rseq_use(offset, offset + (ptrdiff_t)sizeof(u64));
}

/*
 * mm_cid is dense: as many slots are used as threads run at a time. glibc
 * registers at least 32 bytes even where it says that 20 of them mean something.
 */
static ptrdiff_t rseq_index_field(void)
{
	if (getauxval(AT_RSEQ_FEATURE_SIZE) >= RSEQ_MM_CID_END)
		return RSEQ_MM_CID;
	return offsetof(struct rseq, cpu_id);
}

static bool rseq_usable(void)
{
	return __rseq_size && !__rseq_flags &&
	       membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ) == 0;
}

static bool rseq_start(void)
{
	port.ncpu = possible_cpus();
	if (port.ncpu && rseq_usable())
		port.closed = map_zero(port.ncpu * KSPAN_SLOT_STRIDE, PROT_READ);
	if (!port.closed) {
		rseq_use_dummy();
		return false;
	}
	kspan_heap0.slots.os.cur = port.closed;
	rseq_use(__rseq_offset + (ptrdiff_t)offsetof(struct rseq, rseq_cs),
		 __rseq_offset + rseq_index_field());
	return true;
}

#else

static bool rseq_start(void)
{
	return false;
}

#endif /* RSEQ_ARCH */

static bool membarrier_start(void)
{
	return RSEQ_ARCH && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

static pthread_key_t exit_key;
static bool exit_key_made;

/* By whichever comes first: the first allocation, under a lock, or a constructor. */
void port_slots_start(void)
{
	if (port.ready)
		return;
	((struct kspan_slot *)port_closed_slot)->closed = 1;
	port.rseq = rseq_start();
	if (!port.rseq) {
		port.membarrier = membarrier_start();
		exit_key_made = !pthread_key_create(&exit_key, port_slots_thread_exit);
	}
	port.ready = true;
}

/* Before there is a second thread. */
__attribute__((constructor(101))) static void slots_constructor(void)
{
	port_slots_start();
	port_fork_start();
}

bool port_slots_are_percpu(void)
{
	port_slots_start();
	return port.rseq;
}

/* Threads' slots */

/**
 * struct thread_ref - a thread's slot for one slotset
 * @slot: the slot
 * @gen: the slotset's generation; of another one @slot means nothing
 */
struct thread_ref {
	struct kspan_slot *slot;
	u64 gen;
};

/**
 * struct thread_slots - a thread's slots by slotset id
 * @quiet: no new slot: being given one just now, or on its way out
 * @ref: by slotset.os.id
 */
static __thread struct thread_slots {
	bool quiet;
	struct thread_ref ref[MAX_SETS];
} self TLS_IE;

/* All slotsets with threads' slots. port_sets_lock is taken before a slotset's freezer. */
port_mutex_t port_sets_lock = PORT_MUTEX_INIT;
static struct kspan_slotset *sets[MAX_SETS];
static u64 last_gen;

/* A free slot's number in its pool's chain; the header has no other use of it. */
static u64 *slot_next(struct kspan_slot *slot)
{
	return &slot->pad[0];
}

/* Its number in thread_slot[]. */
static u64 *slot_number(struct kspan_slot *slot)
{
	return &slot->pad[1];
}

static struct kspan_slot *pool_take(struct kspan_slotset *ss)
{
	struct port_slotset *os = &ss->os;
	struct kspan_slot *slot;

	port_assert_held(&os->lock);
	if (!os->pool)
		return NULL;
	slot = os->thread_slot[os->pool - 1];
	os->pool = *slot_next(slot);
	return slot;
}

static void pool_give(struct kspan_slotset *ss, struct kspan_slot *slot)
{
	struct port_slotset *os = &ss->os;

	port_assert_held(&os->lock);
	*slot_next(slot) = os->pool;
	os->pool = *slot_number(slot) + 1;
}

static struct kspan_slot *slot_make(struct kspan_slotset *ss)
{
	struct port_slotset *os = &ss->os;
	struct kspan_slot *slot;

	port_assert_held(&os->lock);
	if (os->nthread == MAX_THREADS)
		return NULL;
	slot = map_zero(whole_pages(ss->slot_bytes), PROT_READ | PROT_WRITE);
	if (!slot)
		return NULL;
	*slot_number(slot) = os->nthread;
	port_store_release(&os->thread_slot[os->nthread], slot);
	port_store_release(&os->nthread, os->nthread + 1);
	return slot;
}

/* Gives the thread a slot, or NULL; never called by itself through malloc(). */
static noinline struct kspan_slot *thread_attach(struct kspan_slotset *ss)
{
	struct thread_ref *ref = &self.ref[ss->os.id];
	struct kspan_slot *slot;
	unsigned long flags;

	if (self.quiet || !exit_key_made)
		return NULL;
	self.quiet = true;	/* pthread_setspecific() may call calloc() */
	if (pthread_setspecific(exit_key, &self)) {
		self.quiet = false;
		return NULL;
	}
	flags = port_lock(&ss->os.lock);
	slot = pool_take(ss);
	if (!slot)
		slot = slot_make(ss);
	port_unlock(&ss->os.lock, flags);
	if (slot) {
		ref->slot = slot;
		ref->gen = ss->os.gen;
	}
	self.quiet = false;
	return slot;
}

static struct kspan_slot *thread_slot(struct kspan_slotset *ss)
{
	struct thread_ref *ref;

	if (ss->os.id < 0)
		return NULL;
	ref = &self.ref[ss->os.id];
	return likely(ref->gen == ss->os.gen) ? ref->slot : thread_attach(ss);
}

/* Both halves pair with port_slots_freeze(); the head of this file shows how. */
static struct kspan_slot *thread_enter(struct kspan_slotset *ss)
{
	struct kspan_slot *slot = thread_slot(ss);
	u32 frozen;

	if (!slot || port_load(&slot->busy))
		return NULL;
	if (port.membarrier) {
		port_store(&slot->busy, 1);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		frozen = port_load_acquire(&ss->os.frozen);
	} else {
		__atomic_store_n(&slot->busy, 1, __ATOMIC_SEQ_CST);
		frozen = __atomic_load_n(&ss->os.frozen, __ATOMIC_SEQ_CST);
	}
	if (likely(!frozen))
		return slot;
	port_store_release(&slot->busy, 0);
	return NULL;
}

static void thread_leave(struct kspan_slot *slot)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	port_store_release(&slot->busy, 0);
}

bool port_slot_is_inside(struct kspan_slotset *ss)
{
	struct thread_ref *ref;

	if (port.rseq || ss->os.id < 0)
		return false;
	ref = &self.ref[ss->os.id];
	return ref->slot && ref->gen == ss->os.gen && port_load(&ref->slot->busy);
}

noinline void *port_slot_pop_slow(struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot;
	void *obj;

	if (port.rseq)
		return NULL;
	slot = thread_enter(ss);
	if (!slot)
		return NULL;
	obj = slot_pop(slot, c);
	thread_leave(slot);
	return obj;
}

noinline bool port_slot_push_slow(struct kspan_slotset *ss, u32 c, void *obj)
{
	struct kspan_slot *slot;
	bool done;

	if (port.rseq)
		return false;
	slot = thread_enter(ss);
	if (!slot)
		return false;
	done = slot_push(ss, slot, c, obj);
	thread_leave(slot);
	return done;
}

u32 port_slot_fill(struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	struct kspan_slot *slot;

	if (!n)
		return 0;
	if (port.rseq)
		return rseq_fill(ss, c, objs, n);
	slot = thread_enter(ss);
	if (!slot)
		return 0;
	n = slot_fill(ss, slot, c, objs, n);
	thread_leave(slot);
	return n;
}

u32 port_slot_drain(struct kspan_slotset *ss, u32 c, void **objs, u32 n)
{
	struct kspan_slot *slot;

	if (!n)
		return 0;
	if (port.rseq)
		return rseq_drain(ss, c, objs, n);
	slot = thread_enter(ss);
	if (!slot)
		return 0;
	n = slot_drain(ss, slot, c, objs, n);
	thread_leave(slot);
	return n;
}

void port_slot_open(struct kspan_slotset *ss, u32 c)
{
	struct kspan_slot *slot;

	if (port.rseq) {
		rseq_open(ss, c, ss->os.slots, (size_t)port.ncpu << KSPAN_SLOT_SHIFT);
		return;
	}
	slot = thread_enter(ss);
	if (!slot)
		return;
	slot_open(ss, slot, c);
	thread_leave(slot);
}

/*
 * The CPU's slot or the thread's; where there is none just now, the closed
 * stand-in, whose counters count like any other's.
 */
struct kspan_slot *port_slot_this(struct kspan_slotset *ss)
{
	struct kspan_slot *slot = NULL;

	if (!port.rseq)
		slot = port_load(&ss->os.frozen) ? NULL : thread_slot(ss);
	else if (ss->os.slots && port_load(&ss->os.cur) == ss->os.slots)
		slot = (struct kspan_slot *)
			(ss->os.slots + ((size_t)rseq_index() << KSPAN_SLOT_SHIFT));
	if (slot)
		return slot;
	return ss->os.standin ? ss->os.standin : (struct kspan_slot *)port_closed_slot;
}

/* Slotsets come and go */

static size_t rseq_area_bytes(void)
{
	return ((size_t)port.ncpu << KSPAN_SLOT_SHIFT) + SYS_PAGE;
}

static int rseq_slots_init(struct kspan_slotset *ss)
{
	struct port_slotset *os = &ss->os;

	if (ss->slot_bytes > KSPAN_SLOT_STRIDE)
		return -EINVAL;
	os->slots = map_zero(rseq_area_bytes(), PROT_READ | PROT_WRITE);
	if (!os->slots)
		return -ENOMEM;
	os->standin = (struct kspan_slot *)(os->slots + rseq_area_bytes() - SYS_PAGE);
	os->standin->closed = 1;
	port_store_release(&os->cur, os->slots);
	return 0;
}

static size_t thread_area_bytes(void)
{
	return MAX_THREADS * sizeof(struct kspan_slot *) + SYS_PAGE;
}

/* Takes an id; without one threads go uncached. */
static void thread_id_take(struct kspan_slotset *ss)
{
	int i;

	port_mutex_lock(&port_sets_lock);
	ss->os.gen = ++last_gen;
	for (i = 0; i < MAX_SETS && sets[i]; i++)
		;
	if (i < MAX_SETS) {
		sets[i] = ss;
		ss->os.id = i;
	}
	port_mutex_unlock(&port_sets_lock);
}

static int thread_slots_init(struct kspan_slotset *ss)
{
	struct port_slotset *os = &ss->os;
	char *area = map_zero(thread_area_bytes(), PROT_READ | PROT_WRITE);

	if (!area)
		return -ENOMEM;
	os->standin = (struct kspan_slot *)area;
	os->standin->closed = 1;
	os->thread_slot = (struct kspan_slot **)(area + SYS_PAGE);
	thread_id_take(ss);
	return 0;
}

/*
 * heap0's operations may be under way while this runs: until its last store
 * they see closed slots.
 */
int port_slotset_init(struct kspan_slotset *ss, struct kspan_heap *heap, gfp_t gfp)
{
	struct port_slotset *os = &ss->os;

	(void)gfp;
	port_slots_start();
	if (heap == &kspan_heap0 && ss == &heap->slots && ss->limit_off != KSPAN_HEAP0_LIMITS)
		return -EINVAL;
	port_store(&os->cur, port.rseq ? port.closed : (char *)port_closed_slot);
	os->slots = NULL;
	os->standin = NULL;
	os->heap = heap;
	os->nshut = 0;
	os->frozen = 0;
	os->id = -1;
	os->thread_slot = NULL;
	os->nthread = 0;
	os->pool = 0;
	port_mutex_init(&os->freezer);
	port_lock_init(&os->lock, KSPAN_RANK_META);
	return port.rseq ? rseq_slots_init(ss) : thread_slots_init(ss);
}

static void thread_slots_destroy(struct kspan_slotset *ss)
{
	struct port_slotset *os = &ss->os;
	u32 i;

	if (os->id >= 0) {
		port_mutex_lock(&port_sets_lock);
		sets[os->id] = NULL;
		port_mutex_unlock(&port_sets_lock);
	}
	for (i = 0; i < os->nthread; i++)
		unmap(os->thread_slot[i], whole_pages(ss->slot_bytes));
	unmap(os->standin, thread_area_bytes());
}

/* Nobody uses @ss any more. */
void port_slotset_destroy(struct kspan_slotset *ss)
{
	struct port_slotset *os = &ss->os;

	if (port.rseq) {
		port_store(&os->cur, port.closed);
		unmap(os->slots, rseq_area_bytes());
	} else {
		thread_slots_destroy(ss);
	}
	os->slots = NULL;
	os->standin = NULL;
	os->id = -1;
	os->nthread = 0;
}

/*
 * The stand-in is the first one: it holds no objects but has counters. Threads that come
 * meanwhile, to a frozen slotset too, add theirs at the end.
 */
u32 port_slotset_nr(struct kspan_slotset *ss)
{
	return (port.rseq ? port.ncpu : port_load_acquire(&ss->os.nthread)) + 1;
}

struct kspan_slot *port_slotset_slot(struct kspan_slotset *ss, u32 i)
{
	if (!i || !ss->os.standin)
		return ss->os.standin;
	if (!port.rseq)
		return port_load_acquire(&ss->os.thread_slot[i - 1]);
	return (struct kspan_slot *)(ss->os.slots + ((size_t)(i - 1) << KSPAN_SLOT_SHIFT));
}

/* Freeze and thaw */

/*
 * Every sequence that has read the old os.cur starts again. An only thread is in none:
 * what a signal interrupted was restarted with it. Not to ask the kernel then keeps a
 * program alive that has locked itself up with the system calls of a simple one.
 */
static void rseq_restart_all(void)
{
	if (__libc_single_threaded)
		return;
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) == 0)
		return;
	/* A child of fork() may have to register again. */
	membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) == 0)
		return;
	port_report("membarrier() is not allowed any more (seccomp?)");
	abort();
}

static void threads_fence(void)
{
	__atomic_store_n(&port.ncpu, port.ncpu, __ATOMIC_SEQ_CST);
	if (__libc_single_threaded || !port.membarrier || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
		return;
	membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
		return;
	port_report("membarrier() is not allowed any more (seccomp?)");
	abort();
}

static void thread_slots_freeze(struct kspan_slotset *ss)
{
	u32 i, n;

	__atomic_store_n(&ss->os.frozen, 1, __ATOMIC_SEQ_CST);
	threads_fence();
	n = port_load_acquire(&ss->os.nthread);
	for (i = 0; i < n; i++)
		while (__atomic_load_n(&ss->os.thread_slot[i]->busy, __ATOMIC_SEQ_CST))
			sched_yield();
}

void port_slots_freeze(struct kspan_slotset *ss)
{
	port_mutex_lock(&ss->os.freezer);
	if (port.rseq) {
		port_store_release(&ss->os.cur, port.closed);
		rseq_restart_all();
	} else {
		thread_slots_freeze(ss);
	}
}

void port_slots_thaw(struct kspan_slotset *ss)
{
	/* what was changed in the slots is seen before they are */
	if (!port.rseq)
		__atomic_store_n(&ss->os.frozen, ss->off, __ATOMIC_SEQ_CST);
	else if (!ss->os.nshut && !ss->off)
		port_store_release(&ss->os.cur, ss->os.slots);
	port_mutex_unlock(&ss->os.freezer);
}

/* How often this thread has shut slots; and its vfork() child, on its memory. */
static __thread u32 shut_here TLS_IE;

/*
 * Slots of CPUs: closed for everybody until port_slots_unshut(), however often
 * they are frozen in between. For as long as a vfork() child shares them, which
 * no kernel restarts.
 */
void port_slots_shut(struct kspan_slotset *ss)
{
	port_mutex_lock(&ss->os.freezer);
	shut_here++;
	if (!ss->os.nshut++ && port.rseq) {
		port_store_release(&ss->os.cur, port.closed);
		rseq_restart_all();
	}
	port_mutex_unlock(&ss->os.freezer);
}

/* Nothing, where this thread has shut none. */
void port_slots_unshut(struct kspan_slotset *ss)
{
	if (!shut_here)
		return;
	port_mutex_lock(&ss->os.freezer);
	shut_here--;
	if (!--ss->os.nshut && port.rseq && !ss->off)
		port_store_release(&ss->os.cur, ss->os.slots);
	port_mutex_unlock(&ss->os.freezer);
}

/* Whether this may be a vfork() child: not to have threads, which end with it. */
bool port_slots_shut_here(void)
{
	return shut_here != 0;
}

/* The end of threads */

/* With the slotset's freezer held nobody else looks into the slot. */
static void thread_detach(struct kspan_slotset *ss, struct kspan_slot *slot)
{
	unsigned long flags;

	port_mutex_lock(&ss->os.freezer);
	cache_drain_slot(ss->os.heap, ss, slot);
	flags = port_lock(&ss->os.lock);
	pool_give(ss, slot);
	port_unlock(&ss->os.lock, flags);
	port_mutex_unlock(&ss->os.freezer);
}

/*
 * The destructor of exit_key. What the thread frees after it goes past the
 * caches. port_sets_lock keeps the slotsets where they are.
 */
void port_slots_thread_exit(void *unused)
{
	int i;

	(void)unused;
	self.quiet = true;
	port_mutex_lock(&port_sets_lock);
	for (i = 0; i < MAX_SETS; i++) {
		struct thread_ref *ref = &self.ref[i];
		struct kspan_slot *slot = ref->slot;

		if (!slot)
			continue;
		ref->slot = NULL;	/* the generation stays: no slot from now on */
		if (sets[i] && sets[i]->os.gen == ref->gen)
			thread_detach(sets[i], slot);
	}
	port_mutex_unlock(&port_sets_lock);
}

/* In the child of fork() @ss has one thread at most: the others' slots are free. */
static void slots_reclaim(struct kspan_slotset *ss)
{
	struct port_slotset *os = &ss->os;
	struct thread_ref *ref = &self.ref[os->id];
	u32 i;

	os->pool = 0;
	for (i = 0; i < os->nthread; i++) {
		struct kspan_slot *slot = os->thread_slot[i];

		if (ref->gen == os->gen && ref->slot == slot)
			continue;
		port_store(&slot->busy, 0);
		*slot_next(slot) = os->pool;
		os->pool = i + 1;
	}
}

/*
 * By fork()'s child, all locks being held. The vfork() children that the default
 * heap's slots were shut for are not this process's. But a vfork() child that
 * forks has no restartable sequences, so its own child never has any: they stay
 * shut there.
 */
void port_slots_after_fork(void)
{
	struct port_slotset *os = &kspan_heap0.slots.os;
	int i;

	if (os->nshut && !shut_here) {
		os->nshut = 0;
		if (port.rseq && !kspan_heap0.slots.off)
			port_store(&os->cur, os->slots);
	}
	for (i = 0; i < MAX_SETS; i++)
		if (sets[i])
			slots_reclaim(sets[i]);
}
