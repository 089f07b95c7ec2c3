/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The slot operations as restartable sequences, x86-64.
 *
 * Each sequence stores the address of its descriptor where the kernel looks
 * for it, finds the slot of the index it runs under, and ends in one
 * instruction that changes the stack's word: a read-modify-write without lock
 * prefix, which an interrupt finds done or not begun. If the thread is preempted, moved or interrupted by a
 * signal between labels 1 and 2, the kernel resumes it at label 4, which
 * as a rule starts again at label 0; nothing has happened then that another thread
 * could see but stores to entries above the top of a stack.
 *
 * kspan_rseq_cs and kspan_rseq_idx are offsets from the thread pointer: of
 * the two fields of the rseq area that glibc registered, or of a dummy's.
 * See slots.c.
 */
#ifndef KSPAN_RSEQ_X86_64_H
#define KSPAN_RSEQ_X86_64_H

#define RSEQ_ARCH	1

extern ptrdiff_t kspan_rseq_cs KSPAN_HIDDEN;
extern ptrdiff_t kspan_rseq_idx KSPAN_HIDDEN;

/*
 * How often a sequence was aborted: each 64th time it gives up, as if there had been
 * nothing to pop or no room. For debuggers: who goes through one step by step is in
 * the kernel after every instruction, and would never come to its end.
 */
extern u8 kspan_rseq_aborts KSPAN_HIDDEN;

/* The descriptor (label 3) and the way back (label 4), out of line; @out: to give up. */
#define RSEQ_TABLE(out)							\
	".pushsection __rseq_cs, \"aw\"\n\t"				\
	".balign 32\n"							\
	"3:\t.long 0, 0\n\t"						\
	".quad 1f, 2f - 1f, 4f\n\t"					\
	".popsection\n\t"						\
	".pushsection __rseq_abort, \"ax\"\n\t"				\
	/* ud1 with the signature as its displacement */		\
	".byte 0x0f, 0xb9, 0x3d\n\t"					\
	".long 0x53053053\n"						\
	"4:\tincb kspan_rseq_aborts(%%rip)\n\t"				\
	"testb $63, kspan_rseq_aborts(%%rip)\n\t"			\
	"jne 0f\n\t"							\
	"jmp %l[" #out "]\n\t"						\
	".popsection\n"

/* From here on restartable; leaves the slot's address in %[a]. */
#define RSEQ_ENTER(out)							\
	RSEQ_TABLE(out)							\
	"0:\tmovq %[cs], %[a]\n\t"					\
	"leaq 3b(%%rip), %[w]\n\t"					\
	"movq %[w], %%fs:(%[a])\n"					\
	"1:\tmovq %[idx], %[a]\n\t"					\
	"movl %%fs:(%[a]), %k[a]\n\t"					\
	"shlq %[shift], %[a]\n\t"					\
	"addq %[cur], %[a]\n\t"

#define RSEQ_INPUTS(ss)							\
	[cs] "m" (kspan_rseq_cs), [idx] "m" (kspan_rseq_idx),		\
	[cur] "m" ((ss)->os.cur), [shift] "i" (KSPAN_SLOT_SHIFT),	\
	[words] "i" (offsetof(struct kspan_slot, word))

/*
 * After a sequence whose result is used. GCC before 12.4 and 13.3 may take an older value of
 * the result's register for it where the asm's end and the use are not kept apart (its bug
 * 113921; Linux does the same in asm_goto_output()).
 */
#define RSEQ_RESULT()	asm volatile("")

static __always_inline void *rseq_pop(struct kspan_slotset *ss, u32 c)
{
	u64 a;
	void *obj;

	asm volatile goto(RSEQ_ENTER(miss)
		 "movzwl %c[words](%[a],%[c],8), %k[w]\n\t"
		 "movq (%[a],%[w],8), %[w]\n\t"
		 "testq %[w], %[w]\n\t"
		 "je %l[miss]\n\t"
		 "addq %[pop], %c[words](%[a],%[c],8)\n"
		 "2:\n"
		 : [a] "=&r" (a), [w] "=&r" (obj)
		 : RSEQ_INPUTS(ss), [c] "r" ((u64)c), [pop] "i" (KSPAN_SLOT_POP)
		 : "memory", "cc"
		 : miss);
	RSEQ_RESULT();
	if (!obj)
		__builtin_unreachable();
	return obj;
miss:
	return NULL;
}

/* A push whose limit stands at the operand @limit, @lim being its input. */
#define RSEQ_PUSH(limit, lim)						\
	asm volatile goto(RSEQ_ENTER(full)					\
		 "movzwl %c[words](%[a],%[c],8), %k[w]\n\t"		\
		 "cmpw %w[w], " limit "\n\t"				\
		 "jbe %l[full]\n\t"					\
		 "movq %[obj], 8(%[a],%[w],8)\n\t"			\
		 "incq %c[words](%[a],%[c],8)\n"			\
		 "2:\n"							\
		 : [a] "=&r" (a), [w] "=&r" (w)				\
		 : RSEQ_INPUTS(ss), [c] "r" ((u64)c), [obj] "r" (obj), lim \
		 : "memory", "cc"					\
		 : full)

static __always_inline bool rseq_push_heap0(struct kspan_slotset *ss, u32 c, void *obj)
{
	u64 a, w;

	RSEQ_PUSH("%c[lim](%[a],%[c],2)", [lim] "i" (KSPAN_HEAP0_LIMITS));
	return true;
full:
	return false;
}

static __always_inline bool rseq_push_any(struct kspan_slotset *ss, u32 c, void *obj)
{
	u64 a, w;

	RSEQ_PUSH("(%[a],%[lim])", [lim] "r" (ss->limit_off + 2ul * c));
	return true;
full:
	return false;
}

static __always_inline bool rseq_push(struct kspan_slotset *ss, u32 c, void *obj)
{
	return slotset_is_heap0(ss) ? rseq_push_heap0(ss, c, obj)
				    : rseq_push_any(ss, c, obj);
}

/* As slot_fill(); @n is not 0. */
static inline u32 rseq_fill(struct kspan_slotset *ss, u32 c, void **objs, u64 n)
{
	u64 a, w, t, m, i;

	asm volatile goto(RSEQ_ENTER(full)
		 "movq %c[words](%[a],%[c],8), %[w]\n\t"
		 "movzwl %w[w], %k[t]\n\t"
		 "testl %k[t], %k[t]\n\t"
		 "cmovel %[base], %k[t]\n\t"
		 "movzwl (%[a],%[lim]), %k[m]\n\t"
		 "subq %[t], %[m]\n\t"
		 "jbe %l[full]\n\t"
		 "cmpq %[n], %[m]\n\t"
		 "cmovaq %[n], %[m]\n\t"
		 "xorl %k[i], %k[i]\n"
		 "5:\tmovq (%[objs],%[i],8), %[w]\n\t"
		 "movq %[w], 8(%[a],%[t],8)\n\t"
		 "incq %[t]\n\t"
		 "incq %[i]\n\t"
		 "cmpq %[m], %[i]\n\t"
		 "jb 5b\n\t"
		 "movq %c[words](%[a],%[c],8), %[w]\n\t"
		 "movw %w[t], %w[w]\n\t"
		 "movq %[w], %c[words](%[a],%[c],8)\n"
		 "2:\n"
		 : [a] "=&r" (a), [w] "=&r" (w), [t] "=&r" (t), [m] "=&r" (m), [i] "=&r" (i)
		 : RSEQ_INPUTS(ss), [c] "r" ((u64)c), [objs] "r" (objs), [n] "r" (n),
		   [base] "r" ((u32)ss->base[c]), [lim] "r" (ss->limit_off + 2ul * c)
		 : "memory", "cc"
		 : full);
	RSEQ_RESULT();
	return m;
full:
	return 0;
}

/* As slot_drain(); @n is not 0. */
static inline u32 rseq_drain(struct kspan_slotset *ss, u32 c, void **objs, u64 n)
{
	u64 a, w, t, m, i;

	asm volatile goto(RSEQ_ENTER(empty)
		 "movq %c[words](%[a],%[c],8), %[w]\n\t"
		 "movzwl %w[w], %k[t]\n\t"
		 "movl %k[t], %k[m]\n\t"
		 "subq %[base], %[m]\n\t"
		 "jbe %l[empty]\n\t"		/* closed or empty */
		 "cmpq %[n], %[m]\n\t"
		 "cmovaq %[n], %[m]\n\t"
		 "xorl %k[i], %k[i]\n"
		 "5:\tmovq (%[a],%[t],8), %[w]\n\t"
		 "movq %[w], (%[objs],%[i],8)\n\t"
		 "decq %[t]\n\t"
		 "incq %[i]\n\t"
		 "cmpq %[m], %[i]\n\t"
		 "jb 5b\n\t"
		 "movq %c[words](%[a],%[c],8), %[w]\n\t"
		 "movw %w[t], %w[w]\n\t"
		 "movq %[w], %c[words](%[a],%[c],8)\n"
		 "2:\n"
		 : [a] "=&r" (a), [w] "=&r" (w), [t] "=&r" (t), [m] "=&r" (m), [i] "=&r" (i)
		 : RSEQ_INPUTS(ss), [c] "r" ((u64)c), [objs] "r" (objs), [n] "r" (n),
		   [base] "r" ((u64)ss->base[c])
		 : "memory", "cc"
		 : empty);
	RSEQ_RESULT();
	return m;
empty:
	return 0;
}

/*
 * As slot_open(), but only between @slots and @slots + @nbytes: the closed
 * slots that a frozen slotset shows cannot be written.
 */
static inline void rseq_open(struct kspan_slotset *ss, u32 c, char *slots, size_t nbytes)
{
	u64 a, w;

	asm volatile goto(RSEQ_ENTER(done)
		 "movq %[a], %[w]\n\t"
		 "subq %[slots], %[w]\n\t"
		 "cmpq %[nbytes], %[w]\n\t"
		 "jae %l[done]\n\t"
		 "cmpq $0, %c[words](%[a],%[c],8)\n\t"
		 "jne %l[done]\n\t"
		 "movq %[base], %c[words](%[a],%[c],8)\n"
		 "2:\n"
		 : [a] "=&r" (a), [w] "=&r" (w)
		 : RSEQ_INPUTS(ss), [c] "r" ((u64)c), [base] "r" ((u64)ss->base[c]),
		   [slots] "r" (slots), [nbytes] "r" (nbytes)
		 : "memory", "cc"
		 : done);
done:
	return;
}

/* The index of the running thread's slot; old when the caller looks at it. */
static inline u32 rseq_index(void)
{
	u32 idx;

	asm volatile("movl %%fs:(%1), %0" : "=r" (idx) : "r" (port_load(&kspan_rseq_idx)));
	return idx;
}

#endif /* KSPAN_RSEQ_X86_64_H */
