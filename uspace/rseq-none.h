/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * No restartable sequences: sanitizer builds (-DKSPAN_NO_RSEQ) and other
 * architectures. Every operation goes to the calling thread's slot.
 */
#ifndef KSPAN_RSEQ_NONE_H
#define KSPAN_RSEQ_NONE_H

#define RSEQ_ARCH	0

static __always_inline void *rseq_pop(struct kspan_slotset *ss, u32 c)
{
	(void)ss;
	(void)c;
	return NULL;
}

static __always_inline bool rseq_push(struct kspan_slotset *ss, u32 c, void *obj)
{
	(void)ss;
	(void)c;
	(void)obj;
	return false;
}

static inline u32 rseq_fill(struct kspan_slotset *ss, u32 c, void **objs, u64 n)
{
	(void)ss;
	(void)c;
	(void)objs;
	(void)n;
	return 0;
}

static inline u32 rseq_drain(struct kspan_slotset *ss, u32 c, void **objs, u64 n)
{
	(void)ss;
	(void)c;
	(void)objs;
	(void)n;
	return 0;
}

static inline void rseq_open(struct kspan_slotset *ss, u32 c, char *slots, size_t nbytes)
{
	(void)ss;
	(void)c;
	(void)slots;
	(void)nbytes;
}

static inline u32 rseq_index(void)
{
	return 0;
}

#endif /* KSPAN_RSEQ_NONE_H */
