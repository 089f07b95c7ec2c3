// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Conformance of the slot operations of a port: what port.h and slot.h promise,
 * alone, under threads that move between CPUs, under signals and freezes. The
 * objects are tokens, each with a flag that says whether it is in a slot.
 *
 * The whole suite runs a second time without rseq, on threads' slots.
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/rseq.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <kspan/heap.h>
#if RSEQ_ARCH
#include "rseq_break.h"
#endif

#define NSTACKS		3
#define STACK_MAX	60
#define NTOKENS		512
#define NTHREADS	4
#define ROUNDS		500000
#define AGAIN		"KSPAN_TEST_PORT_AGAIN"

static u16 base[NSTACKS], most[NSTACKS] = { STACK_MAX, STACK_MAX, 4 };
static struct kspan_slotset set;
static struct kspan_heap *no_heap;

/* 1 while the token is in a slot. Token i is the pointer i + 1, times 16. */
static u32 in_slot[NTOKENS];

static void *token(u32 i)
{
	return (void *)((uintptr_t)(i + 1) << 4);
}

static u32 token_index(void *obj)
{
	return ((uintptr_t)obj >> 4) - 1;
}

static void set_init(void)
{
	u32 c, entry;

	memset(&set, 0, sizeof(set));
	set.nstacks = NSTACKS;
	set.limit_off = (KSPAN_SLOT_HDR + NSTACKS) * sizeof(u64);
	entry = KSPAN_SLOT_HDR + NSTACKS + 1;
	for (c = 0; c < NSTACKS; c++) {
		base[c] = entry;
		entry += most[c] + 1;
	}
	set.slot_bytes = entry * sizeof(u64);
	set.base = base;
	set.max = most;
	if (port_slotset_init(&set, no_heap, GFP_KERNEL))
		abort();
}

/* Opens the caller's stack to its full size. */
static void open_stack(u32 c)
{
	struct kspan_slot *slot;

	port_slot_open(&set, c);
	slot = port_slot_this(&set);
	if (!slot->closed && (port_load(&slot->word[c]) & KSPAN_SLOT_TOP))
		port_store(slot_limit(&set, slot, c), base[c] + most[c]);
}

static u32 tokens_in_slots(void)
{
	u32 i, c, n = 0;

	for (i = 0; i < port_slotset_nr(&set); i++) {
		struct kspan_slot *slot = port_slotset_slot(&set, i);

		for (c = 0; slot && c < NSTACKS; c++)
			n += slot_count(&set, slot, c);
	}
	return n;
}

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

FIXTURE(slots) {
	cpu_set_t cpus;
};

FIXTURE_SETUP(slots)
{
	sched_getaffinity(0, sizeof(self->cpus), &self->cpus);
	set_init();
}

FIXTURE_TEARDOWN(slots)
{
	sched_setaffinity(0, sizeof(self->cpus), &self->cpus);
	port_slotset_destroy(&set);
}

TEST_F(slots, backend)
{
	ASSERT_EQ(port_slots_are_percpu(), __rseq_size && RSEQ_ARCH);
}

TEST_F(slots, all_is_closed_at_first)
{
	void *objs[2] = { token(0), token(1) };
	u32 c;

	for (c = 0; c < NSTACKS; c++) {
		ASSERT_EQ(NULL, port_slot_pop(&set, c));
		ASSERT_FALSE(port_slot_push(&set, c, token(0)));
		ASSERT_EQ(0, port_slot_fill(&set, c, objs, 2));
		ASSERT_EQ(0, port_slot_drain(&set, c, objs, 2));
	}
	ASSERT_EQ(0, tokens_in_slots());
}

/* The single-threaded tests stay on one CPU, and so on one slot. */
static void one_cpu(void)
{
	pin(sched_getcpu());
	open_stack(0);
	open_stack(2);
}

TEST_F(slots, lifo_to_the_limit)
{
	struct kspan_slot *slot;
	u32 i;

	one_cpu();
	for (i = 0; i < STACK_MAX; i++)
		ASSERT_TRUE(port_slot_push(&set, 0, token(i)));
	ASSERT_FALSE(port_slot_push(&set, 0, token(i)));
	ASSERT_FALSE(port_slot_push(&set, 1, token(i)));	/* never opened */
	ASSERT_EQ(STACK_MAX, tokens_in_slots());
	while (i--)
		ASSERT_EQ(token(i), port_slot_pop(&set, 0));
	ASSERT_EQ(NULL, port_slot_pop(&set, 0));
	slot = port_slot_this(&set);
	ASSERT_EQ(STACK_MAX, slot_pops(slot, 0));
	ASSERT_EQ(0, slot_pops(slot, 1));
	ASSERT_EQ(0, slot->zero);
}

TEST_F(slots, fill_and_drain_take_what_fits)
{
	void *objs[STACK_MAX + 1], *got[STACK_MAX + 1];
	u32 i;

	one_cpu();
	for (i = 0; i <= STACK_MAX; i++)
		objs[i] = token(i);
	ASSERT_EQ(0, port_slot_fill(&set, 0, objs, 0));
	ASSERT_EQ(1, port_slot_fill(&set, 0, objs, 1));
	ASSERT_EQ(STACK_MAX - 1, port_slot_fill(&set, 0, objs + 1, STACK_MAX));
	ASSERT_EQ(0, port_slot_fill(&set, 0, objs, 1));
	ASSERT_EQ(0, port_slot_drain(&set, 0, got, 0));
	ASSERT_EQ(token(STACK_MAX - 1), port_slot_pop(&set, 0));
	ASSERT_EQ(2, port_slot_drain(&set, 0, got, 2));
	ASSERT_EQ(token(STACK_MAX - 2), got[0]);
	ASSERT_EQ(token(STACK_MAX - 3), got[1]);
	ASSERT_EQ(STACK_MAX - 3, port_slot_drain(&set, 0, got, STACK_MAX + 1));
	ASSERT_EQ(token(0), got[STACK_MAX - 4]);
	ASSERT_EQ(0, port_slot_drain(&set, 0, got, 1));
	ASSERT_EQ(1, slot_pops(port_slot_this(&set), 0));
}

TEST_F(slots, a_lowered_limit_holds)
{
	void *objs[4] = { token(0), token(1), token(2), token(3) };

	one_cpu();
	ASSERT_EQ(4, port_slot_fill(&set, 2, objs, 4));
	port_store(slot_limit(&set, port_slot_this(&set), 2), base[2] + 2);
	ASSERT_FALSE(port_slot_push(&set, 2, token(4)));
	ASSERT_EQ(0, port_slot_fill(&set, 2, objs, 1));
	ASSERT_EQ(token(3), port_slot_pop(&set, 2));
	ASSERT_EQ(token(2), port_slot_pop(&set, 2));
	ASSERT_FALSE(port_slot_push(&set, 2, token(2)));
	ASSERT_EQ(token(1), port_slot_pop(&set, 2));
	ASSERT_TRUE(port_slot_push(&set, 2, token(1)));
	ASSERT_EQ(2, port_slot_drain(&set, 2, objs, 4));
}

TEST_F(slots, frozen_fails_and_keeps)
{
	void *objs[2] = { token(2), token(3) };

	one_cpu();
	ASSERT_TRUE(port_slot_push(&set, 0, token(0)));
	ASSERT_TRUE(port_slot_push(&set, 0, token(1)));
	port_slots_freeze(&set);
	ASSERT_EQ(NULL, port_slot_pop(&set, 0));
	ASSERT_FALSE(port_slot_push(&set, 0, token(2)));
	ASSERT_EQ(0, port_slot_fill(&set, 0, objs, 2));
	ASSERT_EQ(0, port_slot_drain(&set, 0, objs, 2));
	port_slot_open(&set, 1);
	ASSERT_TRUE(port_slot_this(&set)->closed);
	ASSERT_EQ(2, tokens_in_slots());
	port_add(&port_slot_this(&set)->ntiny_malloc, 1);
	port_slots_thaw(&set);
	ASSERT_FALSE(port_slot_this(&set)->closed);
	ASSERT_EQ(token(1), port_slot_pop(&set, 0));
	ASSERT_EQ(token(0), port_slot_pop(&set, 0));
}

/* Threads, migrations, signals and freezes all at once */

static u32 lost;		/* tokens handed out twice, or out of nowhere */
static bool stop;

static void take(void *obj)
{
	u32 one = 1;

	if (!__atomic_compare_exchange_n(&in_slot[token_index(obj)], &one, 0, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		port_add(&lost, 1);
}

static void mark(void *obj)
{
	if (__atomic_exchange_n(&in_slot[token_index(obj)], 1, __ATOMIC_ACQ_REL))
		port_add(&lost, 1);
}

static void unmark(void *obj)
{
	__atomic_store_n(&in_slot[token_index(obj)], 0, __ATOMIC_RELEASE);
}

struct hands {
	void *obj[NTOKENS];
	u32 n;
	u32 npop;
	u32 seed;
};

static u32 hands_random(struct hands *hands)
{
	hands->seed = hands->seed * 1103515245 + 12345;
	return hands->seed >> 16;
}

static void hands_push(struct hands *hands, u32 c)
{
	void *obj = hands->obj[hands->n - 1];

	mark(obj);
	if (port_slot_push(&set, c, obj))
		hands->n--;
	else
		unmark(obj);
}

static void hands_pop(struct hands *hands, u32 c)
{
	void *obj = port_slot_pop(&set, c);

	if (!obj)
		return;
	take(obj);
	hands->obj[hands->n++] = obj;
	hands->npop++;
}

static void hands_fill(struct hands *hands, u32 c)
{
	u32 i, n = min(hands->n, 7u), first = hands->n - n, put;

	for (i = 0; i < n; i++)
		mark(hands->obj[first + i]);
	put = port_slot_fill(&set, c, hands->obj + first, n);
	for (i = put; i < n; i++) {
		unmark(hands->obj[first + i]);
		hands->obj[first + i - put] = hands->obj[first + i];
	}
	hands->n -= put;
}

static void hands_drain(struct hands *hands, u32 c)
{
	u32 i, n = port_slot_drain(&set, c, hands->obj + hands->n, 5);

	for (i = 0; i < n; i++)
		take(hands->obj[hands->n + i]);
	hands->n += n;
}

static void hands_step(struct hands *hands)
{
	u32 r = hands_random(hands), c = r % NSTACKS;

	switch ((r >> 4) % 8) {
	case 0:
		hands_fill(hands, c);
		break;
	case 1:
		hands_drain(hands, c);
		break;
	case 2:
		open_stack(c);
		break;
	case 3 ... 5:
		if (hands->n)
			hands_push(hands, c);
		break;
	default:
		hands_pop(hands, c);
	}
}

/*
 * A thread keeps what it holds at the end, so that its slot ends empty: there
 * is no heap to drain it into.
 */
static void hands_empty_slot(struct hands *hands)
{
	struct kspan_slot *slot;
	u32 i, c, n;

	if (port_slots_are_percpu())
		return;
	while ((slot = port_slot_this(&set))->closed)
		sched_yield();
	port_slots_freeze(&set);
	for (c = 0; c < NSTACKS; c++) {
		n = slot_drain(&set, slot, c, hands->obj + hands->n, STACK_MAX);
		for (i = 0; i < n; i++)
			take(hands->obj[hands->n + i]);
		hands->n += n;
	}
	port_slots_thaw(&set);
}

static void *hammer(void *arg)
{
	struct hands *hands = arg;
	int ncpu = sysconf(_SC_NPROCESSORS_ONLN);
	u32 i;

	for (i = 0; i < ROUNDS; i++) {
		if (i % 1000 == 0)
			pin(hands_random(hands) % ncpu);
		hands_step(hands);
	}
	hands_empty_slot(hands);
	return NULL;
}

/* A handler that interrupts an operation does one itself. */
static __thread bool may_interrupt;

static void on_signal(int sig)
{
	void *obj;

	if (!may_interrupt)
		return;
	obj = port_slot_pop(&set, 0);
	if (!obj)
		return;
	take(obj);
	mark(obj);
	while (!port_slot_push(&set, 0, obj) && !port_slot_push(&set, 1, obj))
		if (port_slot_push(&set, 2, obj))
			return;
}

/* Turns every stack over: who is still inside an operation loses a token. */
static void turn_over(struct kspan_slot *slot)
{
	void *objs[STACK_MAX];
	u32 c, n;

	for (c = 0; c < NSTACKS; c++) {
		n = slot_drain(&set, slot, c, objs, STACK_MAX);
		if (slot_fill(&set, slot, c, objs, n) != n)
			port_add(&lost, 1);
	}
}

static void *freezer(void *arg)
{
	u32 *bad = arg;

	while (!port_load(&stop)) {
		u32 i, n;

		port_slots_freeze(&set);
		n = tokens_in_slots();
		for (i = 0; i < port_slotset_nr(&set); i++)
			turn_over(port_slotset_slot(&set, i));
		if (n != tokens_in_slots() || n > NTOKENS)
			port_add(bad, 1);
		port_slots_thaw(&set);
		usleep(20);
	}
	return NULL;
}

static struct hands hands[NTHREADS];

static void hands_deal(void)
{
	u32 i;

	memset(in_slot, 0, sizeof(in_slot));
	memset(hands, 0, sizeof(hands));
	lost = 0;
	stop = false;
	for (i = 0; i < NTHREADS; i++)
		hands[i].seed = i * 7919 + 1;
	for (i = 0; i < NTOKENS; i++) {
		struct hands *to = &hands[i % NTHREADS];

		to->obj[to->n++] = token(i);
	}
}

static u32 hands_held(void)
{
	u32 i, n = 0;

	for (i = 0; i < NTHREADS; i++)
		n += hands[i].n;
	return n;
}

TEST_F(slots, hammer)
{
	pthread_t thread[NTHREADS], other;
	u32 i, bad = 0;

	hands_deal();
	ASSERT_EQ(0, pthread_create(&other, NULL, freezer, &bad));
	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, hammer, &hands[i]));
	for (i = 0; i < NTHREADS; i++)
		pthread_join(thread[i], NULL);
	port_store(&stop, true);
	pthread_join(other, NULL);
	ASSERT_EQ(0, bad);
	ASSERT_EQ(0, lost);
	ASSERT_EQ(NTOKENS, hands_held() + tokens_in_slots());
}

TEST_F(slots, signals)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 100 }, { 0, 100 } }, never = { };
	u32 i;

	hands_deal();
	for (i = 0; i < NSTACKS; i++)
		open_stack(i);
	sigaction(SIGALRM, &act, NULL);
	may_interrupt = true;
	setitimer(ITIMER_REAL, &every, NULL);
	for (i = 0; i < 20 * ROUNDS; i++)
		hands_step(&hands[0]);
	setitimer(ITIMER_REAL, &never, NULL);
	may_interrupt = false;
	ASSERT_EQ(0, lost);
	ASSERT_EQ(NTOKENS, hands_held() + tokens_in_slots());
}

#if RSEQ_ARCH

/*
 * Aborts, one at a time: a breakpoint at each instruction of each restartable
 * sequence in turn and behind the last, and while the operation is interrupted
 * there, something else happens to its slot. It must be as if that had come
 * before, or behind the last instruction, after.
 */
enum operation { OP_POP, OP_PUSH, OP_FILL, OP_DRAIN, OP_OPEN, NR_OPS };

enum meddling {
	MEDDLE_NOT,
	MEDDLE_POP,
	MEDDLE_PUSH,
	MEDDLE_SWAP,	/* as many objects, and another on top */
	MEDDLE_FILL,
	MEDDLE_DRAIN,
	MEDDLE_OPEN,	/* what OP_OPEN is about to open, and use it */
	MEDDLE_MOVE,	/* on to another CPU, and so to another slot */
	MEDDLE_FREEZE,
	NR_MEDDLINGS
};

static enum meddling meddling;
static int here, there;		/* two CPUs; the same where there is one */

static void hands_swap(struct hands *hands)
{
	void *obj;

	hands_pop(hands, 0);
	obj = hands->obj[0];
	hands->obj[0] = hands->obj[hands->n - 1];
	hands->obj[hands->n - 1] = obj;
	hands_push(hands, 0);
}

static void turn_all_over(void)
{
	u32 i;

	port_slots_freeze(&set);
	for (i = 0; i < port_slotset_nr(&set); i++)
		turn_over(port_slotset_slot(&set, i));
	port_slots_thaw(&set);
}

/* The handler's part. */
static void meddle(void)
{
	switch (meddling) {
	case MEDDLE_POP:
		hands_pop(&hands[1], 0);
		break;
	case MEDDLE_PUSH:
		hands_push(&hands[1], 0);
		break;
	case MEDDLE_SWAP:
		hands_swap(&hands[1]);
		break;
	case MEDDLE_FILL:
		hands_fill(&hands[1], 0);
		break;
	case MEDDLE_DRAIN:
		hands_drain(&hands[1], 0);
		break;
	case MEDDLE_OPEN:
		open_stack(1);
		hands_push(&hands[1], 1);
		break;
	case MEDDLE_MOVE:
		pin(there);
		break;
	case MEDDLE_FREEZE:
		turn_all_over();
		break;
	default:
		break;
	}
}

static void operate(enum operation op)
{
	switch (op) {
	case OP_POP:
		hands_pop(&hands[0], 0);
		break;
	case OP_PUSH:
		hands_push(&hands[0], 0);
		break;
	case OP_FILL:
		hands_fill(&hands[0], 0);
		break;
	case OP_DRAIN:
		hands_drain(&hands[0], 0);
		break;
	default:
		port_slot_open(&set, 1);
	}
}

static u32 pops_of_slots(void)
{
	u32 i, c, n = 0;

	for (i = 0; i < port_slotset_nr(&set); i++)
		for (c = 0; c < NSTACKS; c++)
			n += slot_pops(port_slotset_slot(&set, i), c);
	return n;
}

/* Both CPUs' stack 0 has some tokens, stack 1 is closed. */
static void slots_prepare(void)
{
	u32 i;

	set_init();
	hands_deal();
	pin(there);
	open_stack(0);
	hands_fill(&hands[2], 0);
	pin(here);
	open_stack(0);
	for (i = 0; i < 9; i++)
		hands_push(&hands[3], 0);
}

static bool is_open_somewhere(u32 c)
{
	u32 i;

	for (i = 0; i < port_slotset_nr(&set); i++)
		if ((port_slotset_slot(&set, i)->word[c] & KSPAN_SLOT_TOP) >= base[c])
			return true;
	return false;
}

/* Whether all is as it has to be after an operation, aborted or not. */
static bool slots_are_right(enum operation op)
{
	if (lost || NTOKENS != hands_held() + tokens_in_slots())
		return false;
	if (op == OP_OPEN && !is_open_somewhere(1))
		return false;
	return pops_of_slots() == hands[0].npop + hands[1].npop;
}

/* One operation with one breakpoint; *@next: the next instruction. -1: wrong. */
static int abort_once(const struct rseq_cs *cs, u32 off, enum operation op, u32 *next)
{
	bool hit, right;

	slots_prepare();
	*next = rseq_break_set(cs, off, meddle);
	if (!*next)
		return -1;
	operate(op);
	hit = rseq_break_lift();
	right = slots_are_right(op);
	port_slotset_destroy(&set);
	return right ? hit : -1;
}

/* How many of the instructions of @cs are part of @op, or -1; *@n: instructions. */
static int abort_everywhere(const struct rseq_cs *cs, enum operation op, u32 *n)
{
	int hits = 0, hit;
	u32 off, next;

	*n = 0;
	for (off = 0; off <= cs->post_commit_offset; off = next) {
		for (meddling = 0; meddling < NR_MEDDLINGS; meddling++) {
			hit = abort_once(cs, off, op, &next);
			if (hit < 0 || (!off && !hit))
				return hit;	/* wrong, or not one of @op's */
		}
		hits += hit;
		++*n;
	}
	return hits;
}

/* The two CPUs of a test that moves: those that it may run on, if there are two. */
static void two_cpus(const cpu_set_t *cpus)
{
	int cpu;

	here = there = sched_getcpu();
	for (cpu = 0; cpu < CPU_SETSIZE && there == here; cpu++)
		if (CPU_ISSET(cpu, cpus))
			there = cpu;
}

TEST_F_TIMEOUT(slots, aborted_at_every_instruction, 300)
{
	u32 whole[NR_OPS] = { };
	const struct rseq_cs *cs;
	enum operation op;

	if (!port_slots_are_percpu())
		SKIP(return, "no rseq here");
	port_slotset_destroy(&set);
	two_cpus(&self->cpus);
	ASSERT_TRUE(rseq_break_start());
	for (op = 0; op < NR_OPS; op++)
		for (cs = __start___rseq_cs; cs < __stop___rseq_cs; cs++) {
			u32 n;
			int hits = abort_everywhere(cs, op, &n);

			ASSERT_LE(0, hits) {
				TH_LOG("operation %d, at %p, meddling %d: %u lost, %u held",
				       op, (void *)rseq_break.at, meddling, lost, hands_held());
			}
			whole[op] += n && (u32)hits == n;
		}
	ASSERT_EQ(0, rseq_break.nastray);
	for (op = 0; op < NR_OPS; op++)
		ASSERT_LT(0, whole[op]);
	set_init();
}

#endif /* RSEQ_ARCH */

static void *touch(void *arg)
{
	void *obj;

	open_stack(0);
	if (port_slot_push(&set, 0, token(0))) {
		obj = port_slot_pop(&set, 0);
		if (obj && obj != token(0))
			abort();
	}
	return NULL;
}

TEST_F(slots, threads_leave_their_slots_to_the_next)
{
	u32 i, nr;

	if (port_slots_are_percpu())
		pin(0);
	nr = port_slotset_nr(&set);
	for (i = 0; i < 200; i++) {
		pthread_t thread;

		ASSERT_EQ(0, pthread_create(&thread, NULL, touch, NULL));
		pthread_join(thread, NULL);
	}
	ASSERT_LE(port_slotset_nr(&set), nr + 2);
}

/* Who goes through the slots, frozen or not, meets each once whoever comes meanwhile. */
TEST_F(slots, slots_keep_their_numbers)
{
	struct kspan_slot *before[64];
	pthread_t thread[8];
	u32 i, moved = 0, nr = port_slotset_nr(&set);

	for (i = 0; i < nr && i < ARRAY_SIZE(before); i++)
		before[i] = port_slotset_slot(&set, i);
	port_slots_freeze(&set);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, touch, NULL));
	for (i = 0; i < ARRAY_SIZE(thread) && port_slots_are_percpu(); i++)
		pthread_join(thread[i], NULL);
	/* those without rseq come, and wait at their end for the freezer */
	while (!port_slots_are_percpu() && port_slotset_nr(&set) < nr + ARRAY_SIZE(thread))
		sched_yield();
	for (i = 0; i < nr && i < ARRAY_SIZE(before); i++)
		moved += before[i] != port_slotset_slot(&set, i);
	port_slots_thaw(&set);
	for (i = 0; i < ARRAY_SIZE(thread) && !port_slots_are_percpu(); i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(0, moved);
}

TEST(a_slotset_that_does_not_fit_is_refused)
{
	set_init();
	port_slotset_destroy(&set);
	if (!port_slots_are_percpu())
		return;
	set.slot_bytes = KSPAN_SLOT_STRIDE + 8;
	ASSERT_EQ(-EINVAL, port_slotset_init(&set, no_heap, GFP_KERNEL));
}

/* More slotsets than threads have places for, one after another and at once. */
TEST(many_slotsets)
{
	static struct kspan_slotset many[100];
	u32 i, round;

	set_init();
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(many); i++) {
			many[i] = set;
			ASSERT_EQ(0, port_slotset_init(&many[i], no_heap, GFP_KERNEL));
			port_slot_open(&many[i], 0);
			ASSERT_EQ(NULL, port_slot_pop(&many[i], 0));
		}
		for (i = 0; i < ARRAY_SIZE(many); i++)
			port_slotset_destroy(&many[i]);
	}
	port_slotset_destroy(&set);
}

FIXTURE(again) { };
FIXTURE_SETUP(again) { }
FIXTURE_TEARDOWN(again) { }

TEST_F_TIMEOUT(again, without_rseq, 120)
{
	int status;
	pid_t pid;

	if (getenv(AGAIN) || !port_slots_are_percpu())
		return;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
		setenv(AGAIN, "1", 1);
		if (!freopen("/dev/null", "w", stdout))
			_exit(2);
		execl("/proc/self/exe", "test_port", NULL);
		_exit(3);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status) {
		TH_LOG("failed without rseq; see GLIBC_TUNABLES=glibc.pthread.rseq=0 %s=1", AGAIN);
	}
}

TEST_HARNESS_MAIN
