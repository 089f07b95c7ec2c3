/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The slot operations as restartable sequences, arm64. See rseq-x86_64.h for
 * what they have in common; here the commit is a plain store.
 */
#ifndef KSPAN_RSEQ_AARCH64_H
#define KSPAN_RSEQ_AARCH64_H

#define RSEQ_ARCH	1

extern ptrdiff_t kspan_rseq_cs KSPAN_HIDDEN;
extern ptrdiff_t kspan_rseq_idx KSPAN_HIDDEN;

/* How often a sequence was aborted: each 64th time it gives up. */
extern u8 kspan_rseq_aborts KSPAN_HIDDEN;

/* The descriptor (label 3) and the way back (label 4), out of line; @out: to give up. */
#define RSEQ_TABLE(out)							\
	".pushsection __rseq_cs, \"aw\"\n\t"				\
	".balign 32\n"							\
	"3:\t.long 0, 0\n\t"						\
	".quad 1f, 2f - 1f, 4f\n\t"					\
	".popsection\n\t"						\
	".pushsection __rseq_abort, \"ax\"\n\t"				\
	/* brk with the signature as its operand */			\
	".inst 0xd428bc00\n"						\
	"4:\tadrp %[a], kspan_rseq_aborts\n\t"				\
	"add %[a], %[a], :lo12:kspan_rseq_aborts\n\t"			\
	"ldrb %w[w], [%[a]]\n\t"					\
	"add %w[w], %w[w], 1\n\t"					\
	"strb %w[w], [%[a]]\n\t"					\
	"tst %w[w], 63\n\t"						\
	"b.eq 6f\n\t"							\
	"b 0f\n"							\
	"6:\tb %l[" #out "]\n\t"						\
	".popsection\n"

/* From here on restartable; leaves the slot's address in a and &word[c] - words in p. */
#define RSEQ_ENTER(out)							\
	RSEQ_TABLE(out)							\
	"0:\tldr %[a], %[cs]\n\t"					\
	"mrs %[p], tpidr_el0\n\t"					\
	"adrp %[w], 3b\n\t"						\
	"add %[w], %[w], :lo12:3b\n\t"					\
	"str %[w], [%[p], %[a]]\n"					\
	"1:\tldr %[a], %[idx]\n\t"					\
	"ldr %w[a], [%[p], %[a]]\n\t"					\
	"ldr %[w], %[cur]\n\t"						\
	"add %[a], %[w], %[a], lsl %[shift]\n\t"			\
	"add %[p], %[a], %[c], lsl 3\n\t"

#define RSEQ_TEMPS							\
	[a] "=&r" (a), [p] "=&r" (p), [w] "=&r" (w)

#define RSEQ_INPUTS(ss, c)						\
	[cs] "m" (kspan_rseq_cs), [idx] "m" (kspan_rseq_idx),		\
	[cur] "m" ((ss)->os.cur), [shift] "i" (KSPAN_SLOT_SHIFT),	\
	[words] "i" (offsetof(struct kspan_slot, word)), [c] "r" ((u64)(c))

/* As in rseq-x86_64.h: the result is not to be taken for an older one of its register's. */
#define RSEQ_RESULT()	asm volatile("")

static __always_inline void *rseq_pop(struct kspan_slotset *ss, u32 c)
{
	u64 a, p, w;
	void *obj;

	asm volatile goto(RSEQ_ENTER(miss)
		 "ldr %[w], [%[p], %[words]]\n\t"
		 "and %[obj], %[w], 0xffff\n\t"
		 "ldr %[obj], [%[a], %[obj], lsl 3]\n\t"
		 "cbz %[obj], %l[miss]\n\t"
		 "add %[w], %[w], 16, lsl 12\n\t"	/* together KSPAN_SLOT_POP */
		 "sub %[w], %[w], 1\n\t"
		 "str %[w], [%[p], %[words]]\n"
		 "2:\n"
		 : RSEQ_TEMPS, [obj] "=&r" (obj)
		 : RSEQ_INPUTS(ss, c)
		 : "memory", "cc"
		 : miss);
	RSEQ_RESULT();
	if (!obj)
		__builtin_unreachable();
	return obj;
miss:
	return NULL;
}

static __always_inline bool rseq_push(struct kspan_slotset *ss, u32 c, void *obj)
{
	u64 a, p, w, t, l;
	u64 lim = (slotset_is_heap0(ss) ? KSPAN_HEAP0_LIMITS : ss->limit_off) + 2ul * c;

	asm volatile goto(RSEQ_ENTER(full)
		 "ldr %[w], [%[p], %[words]]\n\t"
		 "and %[t], %[w], 0xffff\n\t"
		 "ldrh %w[l], [%[a], %[lim]]\n\t"
		 "cmp %w[l], %w[t]\n\t"
		 "b.ls %l[full]\n\t"
		 "add %[t], %[a], %[t], lsl 3\n\t"
		 "str %[obj], [%[t], 8]\n\t"
		 "add %[w], %[w], 1\n\t"
		 "str %[w], [%[p], %[words]]\n"
		 "2:\n"
		 : RSEQ_TEMPS, [t] "=&r" (t), [l] "=&r" (l)
		 : RSEQ_INPUTS(ss, c), [obj] "r" (obj), [lim] "r" (lim)
		 : "memory", "cc"
		 : full);
	return true;
full:
	return false;
}

/* As slot_fill(); @n is not 0. */
static inline u32 rseq_fill(struct kspan_slotset *ss, u32 c, void **objs, u64 n)
{
	u64 a, p, w, t, m, i, x;

	asm volatile goto(RSEQ_ENTER(full)
		 "ldr %[w], [%[p], %[words]]\n\t"
		 "ands %[t], %[w], 0xffff\n\t"
		 "csel %[t], %[base], %[t], eq\n\t"
		 "ldrh %w[m], [%[a], %[lim]]\n\t"
		 "subs %[m], %[m], %[t]\n\t"
		 "b.ls %l[full]\n\t"
		 "cmp %[m], %[n]\n\t"
		 "csel %[m], %[n], %[m], hi\n\t"
		 "add %[a], %[a], 8\n\t"
		 "mov %[i], 0\n"
		 "5:\tldr %[x], [%[objs], %[i], lsl 3]\n\t"
		 "str %[x], [%[a], %[t], lsl 3]\n\t"
		 "add %[t], %[t], 1\n\t"
		 "add %[i], %[i], 1\n\t"
		 "cmp %[i], %[m]\n\t"
		 "b.lo 5b\n\t"
		 "bfi %[w], %[t], 0, 16\n\t"
		 "str %[w], [%[p], %[words]]\n"
		 "2:\n"
		 : RSEQ_TEMPS, [t] "=&r" (t), [m] "=&r" (m), [i] "=&r" (i), [x] "=&r" (x)
		 : RSEQ_INPUTS(ss, c), [objs] "r" (objs), [n] "r" (n),
		   [base] "r" ((u64)ss->base[c]), [lim] "r" (ss->limit_off + 2ul * c)
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
	u64 a, p, w, t, m, i, x;

	asm volatile goto(RSEQ_ENTER(empty)
		 "ldr %[w], [%[p], %[words]]\n\t"
		 "and %[t], %[w], 0xffff\n\t"
		 "subs %[m], %[t], %[base]\n\t"
		 "b.ls %l[empty]\n\t"		/* closed or empty */
		 "cmp %[m], %[n]\n\t"
		 "csel %[m], %[n], %[m], hi\n\t"
		 "mov %[i], 0\n"
		 "5:\tldr %[x], [%[a], %[t], lsl 3]\n\t"
		 "str %[x], [%[objs], %[i], lsl 3]\n\t"
		 "sub %[t], %[t], 1\n\t"
		 "add %[i], %[i], 1\n\t"
		 "cmp %[i], %[m]\n\t"
		 "b.lo 5b\n\t"
		 "bfi %[w], %[t], 0, 16\n\t"
		 "str %[w], [%[p], %[words]]\n"
		 "2:\n"
		 : RSEQ_TEMPS, [t] "=&r" (t), [m] "=&r" (m), [i] "=&r" (i), [x] "=&r" (x)
		 : RSEQ_INPUTS(ss, c), [objs] "r" (objs), [n] "r" (n),
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
	u64 a, p, w;

	asm volatile goto(RSEQ_ENTER(done)
		 "sub %[w], %[a], %[slots]\n\t"
		 "cmp %[w], %[nbytes]\n\t"
		 "b.hs %l[done]\n\t"
		 "ldr %[w], [%[p], %[words]]\n\t"
		 "cbnz %[w], %l[done]\n\t"
		 "str %[base], [%[p], %[words]]\n"
		 "2:\n"
		 : RSEQ_TEMPS
		 : RSEQ_INPUTS(ss, c), [base] "r" ((u64)ss->base[c]), [slots] "r" (slots),
		   [nbytes] "r" (nbytes)
		 : "memory", "cc"
		 : done);
done:
	return;
}

/* The index of the running thread's slot; old when the caller looks at it. */
static inline u32 rseq_index(void)
{
	u64 idx;

	asm volatile("mrs %0, tpidr_el0\n\t"
		     "ldr %w0, [%0, %1]" : "=&r" (idx) : "r" (port_load(&kspan_rseq_idx)));
	return idx;
}

#endif /* KSPAN_RSEQ_AARCH64_H */
