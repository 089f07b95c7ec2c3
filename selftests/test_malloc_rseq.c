// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Programs that use rseq themselves, beside a malloc() that does: on the area that
 * the C library has registered, which both share; and, where it has registered none,
 * on one that each thread of the program registers. And thousands of threads at once.
 */
#include "kselftest_harness.h"
#include <linux/rseq.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include "again.h"
#include "malloc_test.h"

#if !SANITIZED

#if defined(__x86_64__)

#define MAX_CPUS	4096
#define NTHREADS	4
#define LOOPS		50000
#define KEPT		64
#define SIGNATURE	0x53053053	/* as glibc's: what the kernel looks for before label 4 */

/* What only restartable sequences change: one that is lost shows in the sum. */
static struct {
	uint64_t n;
	uint64_t pad[7];
} count[MAX_CPUS];

static __thread struct rseq own_area __attribute__((aligned(32)));

/* Adds 1 for the CPU that this runs on. False: interrupted, and nothing happened. */
static bool count_here(struct rseq *rs)
{
	uint64_t cpu;

	__asm__ volatile goto(
		".pushsection __rseq_cs, \"aw\"\n\t"
		".balign 32\n"
		"3:\t.long 0, 0\n\t"
		".quad 1f, 2f - 1f, 4f\n\t"
		".popsection\n\t"
		".pushsection __rseq_failure, \"ax\"\n\t"
		".byte 0x0f, 0xb9, 0x3d\n\t"
		".long %c[sig]\n"
		"4:\tjmp %l[aborted]\n\t"
		".popsection\n\t"
		"leaq 3b(%%rip), %[cpu]\n\t"
		"movq %[cpu], %[cs]\n"
		"1:\tmovl %[id], %k[cpu]\n\t"
		"shlq $6, %[cpu]\n\t"
		"incq (%[count],%[cpu])\n"
		"2:\n"
		: [cpu] "=&r" (cpu), [cs] "=m" (rs->rseq_cs)
		: [id] "m" (rs->cpu_id), [count] "r" (count), [sig] "i" (SIGNATURE)
		: "memory", "cc"
		: aborted);
	return true;
aborted:
	return false;
}

/* Sequences of its own and malloc()'s in turn. How many objects were not as left. */
static uintptr_t use_both(struct rseq *rs)
{
	uint32_t *kept[KEPT] = { NULL }, i;
	uintptr_t wrong = 0;

	for (i = 0; i < LOOPS; i++) {
		uint32_t **p = &kept[i % KEPT];

		while (!count_here(rs))
			;
		wrong += *p && **p != i - KEPT;
		free(*p);
		*p = hide(malloc(16 + i % 500));
		**p = i;
	}
	for (i = 0; i < KEPT; i++)
		free(kept[i]);
	return wrong;
}

static void *use_area(void *own)
{
	struct rseq *rs = own ? &own_area :
			  (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	uintptr_t wrong;

	if (own && syscall(SYS_rseq, rs, sizeof(*rs), 0, SIGNATURE))
		return (void *)-1;
	wrong = use_both(rs);
	if (own && syscall(SYS_rseq, rs, sizeof(*rs), RSEQ_FLAG_UNREGISTER, SIGNATURE))
		return (void *)-2;
	return (void *)wrong;
}

/* Interrupts the sequences of both. */
static void allocate(int sig)
{
	(void)sig;
	free(hide(malloc(40)));
}

static void interrupt(unsigned int us)
{
	struct itimerval t = { { 0, us }, { 0, us } };

	signal(SIGALRM, allocate);
	setitimer(ITIMER_REAL, &t, NULL);
}

static uint64_t counted(void)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < MAX_CPUS; i++)
		sum += count[i].n;
	return sum;
}

/* In the second run the C library has no area, and this one is the program's. */
TEST(a_program_with_sequences_of_its_own)
{
	void *own = is_again() ? hide(&own_area) : NULL, *wrong;
	uint64_t before = counted();
	pthread_t thread[NTHREADS];
	int i;

	ASSERT_EQ(!own, __rseq_size != 0);
	interrupt(500);
	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, use_area, own));
	for (i = 0; i < NTHREADS; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], &wrong));
		ASSERT_EQ(NULL, wrong);
	}
	interrupt(0);
	ASSERT_EQ(before + (uint64_t)NTHREADS * LOOPS, counted());
}

#endif /* x86-64 */

#define CROWD		4000
#define STACK_BYTES	(64 << 10)

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	uint32_t here;
	uint32_t wrong;
} crowd = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

/* Each has objects while all are there, and frees those of another. */
static uint32_t *object[CROWD][2];

static void *one_of_many(void *arg)
{
	uint32_t i = (uintptr_t)arg, other = (i + CROWD / 2) % CROWD, k;

	for (k = 0; k < 2; k++) {
		object[i][k] = hide(malloc(k ? 40000 : 24));
		*object[i][k] = i;
	}
	pthread_mutex_lock(&crowd.lock);
	if (++crowd.here == CROWD)
		pthread_cond_broadcast(&crowd.more);
	while (crowd.here < CROWD)
		pthread_cond_wait(&crowd.more, &crowd.lock);
	for (k = 0; k < 2; k++)
		crowd.wrong += *object[other][k] != other;
	pthread_mutex_unlock(&crowd.lock);
	for (k = 0; k < 2; k++)
		free(object[other][k]);
	return NULL;
}

FIXTURE(many) { };
FIXTURE_SETUP(many) { }
FIXTURE_TEARDOWN(many) { }

TEST_F_TIMEOUT(many, thousands_of_threads_at_once, 200)
{
	static pthread_t thread[CROWD];
	pthread_attr_t attr;
	uintptr_t i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], &attr, one_of_many, (void *)i));
	for (i = 0; i < CROWD; i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(0, crowd.wrong);
}

TEST_F_TIMEOUT(many, without_rseq, 300)
{
	if (!is_again())
		ASSERT_EQ(0, run_again());
}

#endif /* !SANITIZED */

TEST_HARNESS_MAIN
