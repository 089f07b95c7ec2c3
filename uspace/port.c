// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The userspace port, all but the slots (slots.c) and RCU (rcu.c): locks, time,
 * reports, pages from mmap(), and the default heap.
 *
 * Nothing here calls malloc(), stdio included: libkspan-malloc is malloc().
 */
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "port.h"

bool kspan_user_warn;

/* Locks */

__thread u32 port_nheld;

#define LOCK_SPINS	100

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" : : : "memory");
#endif
}

noinline void port_lock_wait(port_lock_t *lock)
{
	int saved = errno;
	int i;

	for (i = 0; i < LOCK_SPINS; i++) {
		u32 old = 0;

		if (port_load(&lock->state) == 0 &&
		    __atomic_compare_exchange_n(&lock->state, &old, 1, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return;
		cpu_relax();
	}
	/* from here on the state says that somebody may sleep */
	while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0)
		syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
	errno = saved;
}

noinline void port_lock_wake(port_lock_t *lock)
{
	int saved = errno;

	syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}

#ifdef KSPAN_DEBUG
/* How many locks of each rank this thread holds; its address is the thread's identity. */
static __thread u8 held[PORT_RANK_MUTEX + 1] __attribute__((tls_model("initial-exec")));

static void lock_die(const char *what, port_lock_t *lock)
{
	port_report("lock %p of rank %u: %s", (void *)lock, lock->rank, what);
	abort();
}

void port_lock_taking(port_lock_t *lock)
{
	/* A mutex ranks before all locks; which one before which, only its users know. */
	u32 r = lock->rank == PORT_RANK_MUTEX ? 0 : lock->rank;

	if (port_load(&lock->holder) == held)
		lock_die("taken twice", lock);
	for (; r < KSPAN_NR_RANKS; r++)
		if (held[r])
			lock_die("taken against the lock order", lock);
}

void port_lock_taken(port_lock_t *lock)
{
	port_store(&lock->holder, (const void *)held);
	held[lock->rank]++;
}

void port_lock_leaving(port_lock_t *lock)
{
	port_lock_check(lock);
	port_store(&lock->holder, (const void *)NULL);
	held[lock->rank]--;
}

void port_lock_check(port_lock_t *lock)
{
	if (port_load(&lock->holder) != held)
		lock_die("not held by this thread", lock);
}
#endif

/* Time and people */

u64 port_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (u64)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Where reports go. */
int port_report_fd = STDERR_FILENO;

void port_report(const char *fmt, ...)
{
	static const char prefix[] = "kspan: ";
	const size_t plen = sizeof(prefix) - 1;
	char buf[512];
	int saved = errno;
	va_list ap;
	size_t len;
	int n;

	memcpy(buf, prefix, plen);
	va_start(ap, fmt);
	n = vsnprintf(buf + plen, sizeof(buf) - plen - 1, fmt, ap);
	va_end(ap);
	len = n < 0 ? 0 : (size_t)n;
	len = plen + min(len, sizeof(buf) - plen - 2);
	if (buf[len - 1] != '\n')
		buf[len++] = '\n';
	/* not write(): a thread that was cancelled would end there */
	syscall(SYS_write, port_report_fd, buf, len);
	errno = saved;
}

void port_error(struct kspan_heap *heap)
{
	(void)heap;
	if (!kspan_user_warn)
		abort();
}

/* Pages */

#define SYS_PAGE	((size_t)4096)

/* Where the last arenas were put: the next go below, adjacent. A hint. */
static uintptr_t arena_hint;

static char *map(uintptr_t hint, size_t nbytes)
{
	void *p = mmap((void *)hint, nbytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Maps more than asked for and trims it to the alignment. */
static char *map_trim(size_t nbytes, size_t align)
{
	size_t over = nbytes + align - SYS_PAGE;
	size_t head, tail;
	char *p;

	if (over < nbytes)
		return NULL;
	p = map(0, over);
	if (!p)
		return NULL;
	head = -(uintptr_t)p & (align - 1);
	tail = over - head - nbytes;
	if (head)
		munmap(p, head);
	if (tail)
		munmap(p + head + nbytes, tail);
	return p + head;
}

static char *map_aligned(size_t nbytes, size_t align, uintptr_t hint)
{
	char *p = map(hint, nbytes);

	if (!p || !((uintptr_t)p & (align - 1)))
		return p;
	munmap(p, nbytes);
	return map_trim(nbytes, align);
}

/* Only a hint: a kernel without huge pages refuses. */
static void advise_thp(char *p, size_t nbytes)
{
	if (kspan_thp != KSPAN_THP_DEFAULT)
		madvise(p, nbytes, kspan_thp == KSPAN_THP_ALWAYS ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* Whole arenas, just below the previous ones where that place is free. */
static char *map_arenas(size_t nbytes, size_t align)
{
	uintptr_t last = port_load(&arena_hint);
	char *p;

	p = map_aligned(nbytes, align, last > nbytes ? (last - nbytes) & -align : 0);
	if (p) {
		port_store(&arena_hint, (uintptr_t)p);
		advise_thp(p, nbytes);
	}
	return p;
}

static void *source_get(struct kspan_source *src, size_t min, size_t want, size_t align,
			gfp_t gfp, int node, size_t *got)
{
	int saved = errno;
	char *p;

	(void)src;
	(void)gfp;
	(void)node;
	if (align < KSPAN_ARENA_SIZE) {
		*got = want;
		p = map_aligned(want, align, 0);
	} else {
		*got = (want + KSPAN_ARENA_SIZE - 1) & -KSPAN_ARENA_SIZE;
		p = *got < want ? NULL : map_arenas(*got, align);
	}
	if (!p && want > min) {
		*got = min;
		p = map_aligned(min, align, 0);
	}
	errno = saved;
	return p;
}

static void source_put(struct kspan_source *src, void *addr, size_t nbytes)
{
	int saved = errno;

	(void)src;
	/* who maps these addresses next may use them */
	port_unpoison(addr, nbytes);
	/* The kernel may refuse to split a mapping; the memory at least can go. */
	if (munmap(addr, nbytes))
		madvise(addr, nbytes, MADV_DONTNEED);
	errno = saved;
}

static bool source_release(struct kspan_source *src, void *addr, size_t nbytes)
{
	int saved = errno;
	int err;

	(void)src;
	err = madvise(addr, nbytes, MADV_DONTNEED);
	errno = saved;
	return !err;
}

/* A refusal may have come after the kernel had unmapped @to, for others to take. */
static bool source_move(struct kspan_source *src, void *from, size_t nbytes, void *to,
			size_t want)
{
	int saved = errno;
	void *p = mremap(from, nbytes, want, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	(void)src;
	if (p != MAP_FAILED)
		port_unpoison(from, nbytes);
	errno = saved;
	return p != MAP_FAILED;
}

struct kspan_source kspan_mmap_source = {
	.get = source_get,
	.put = source_put,
	.release = source_release,
	.move = source_move,
	.unit = 4096,
	.grain = KSPAN_ARENA_SIZE,
	.zeroed = true,
};

/* The default heap */

/* What every slotset shows until it is started: closed, in index 0. */
extern u64 port_closed_slot[];

struct kspan_heap kspan_heap0 = {
	.regions = &kspan_no_regions,
	.slots = {
		.nstacks = KSPAN_NR_STACKS,
		.limit_off = KSPAN_HEAP0_LIMITS,
		.base = kspan_heap0.base,
		.max = kspan_heap0.max,
		.os = { .cur = (char *)port_closed_slot, .id = -1 },
	},
};

_Static_assert(offsetof(struct kspan_heap, slots) == KSPAN_HEAP0_SLOTS,
	       "slotset_is_heap0() finds heap0's slots at this offset");

/* Held while the default heap is made; before all other locks. */
port_mutex_t port_start_lock = PORT_MUTEX_INIT;
static bool started;

static const struct kspan_config default_config = {
	.source = &kspan_mmap_source,
	.cache_bytes = 8u << 20,
	.stack_bytes = 768u << 10,
	.stack_objs = 700,
	.transfer_bytes = 512u << 10,
	.transfer_objs = 512,
	.warm_pages = (16u << 20) / KSPAN_PAGE_SIZE,
	.warm_huge_bytes = 64u << 20,
	.apart_bytes = 8192,
	.epoch_ms = 1000,
};

/*
 * May be called by several threads at a time; the first one makes the heap and
 * the others wait for it. A heap that could not be made stays so until the next
 * request tries again.
 */
bool port_heap_start(struct kspan_heap *heap)
{
	struct kspan_config config = default_config;

	port_mutex_lock(&port_start_lock);
	if (!started) {
		port_slots_start();
		options_parse(&config);
		if (kspan_stats_exit)
			kspan_stats_keep_stderr();
		port_background_start(config.epoch_ms);
		started = heap_init(heap, &config) == 0;
		if (started && !kspan_background)
			port_cgroup_adopt(heap);
	}
	port_mutex_unlock(&port_start_lock);
	return started;
}
