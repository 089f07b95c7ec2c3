/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * For tests of restartable sequences: a breakpoint on any instruction of any
 * sequence of the program. Whoever runs into it is aborted there by the
 * kernel, which delivers a signal; the handler lifts the breakpoint, looks
 * whether the kernel has done as it promises, calls the test's function and
 * returns, to the sequence's way back. That leads to the breakpoint once more,
 * so that a way back that does not begin at the beginning is seen. One behind
 * the last instruction aborts nothing: there the operation must be done.
 */
#ifndef RSEQ_BREAK_H
#define RSEQ_BREAK_H

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <ucontext.h>
#include <unistd.h>

/* Every sequence of the program; the linker names the section's ends. */
extern const struct rseq_cs __start___rseq_cs[] __attribute__((weak));
extern const struct rseq_cs __stop___rseq_cs[] __attribute__((weak));

#if defined(__x86_64__)

#define BREAK_BYTES	1
#define BREAK_CODE	{ 0xcc }		/* int3 */
#define BREAK_PC(uc)	((uc)->uc_mcontext.gregs[REG_RIP])
#define BREAK_PAST	1			/* where the trap leaves the pc */

/* The bytes of a ModRM operand. */
static inline uint32_t modrm_bytes(const uint8_t *p)
{
	uint32_t mod = p[0] >> 6, rm = p[0] & 7, n = 1;

	if (mod == 3)
		return n;
	if (rm == 4)
		n += 1 + (mod == 0 && (p[1] & 7) == 5 ? 4 : 0);
	else if (rm == 5 && mod == 0)
		n += 4;
	return n + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

/* The length of an instruction of those that rseq-x86_64.h uses; 0: another. */
static inline uint32_t insn_bytes(const uint8_t *start)
{
	const uint8_t *p = start;

	while (*p == 0x64 || *p == 0x66)
		p++;
	if ((*p & 0xf0) == 0x40)
		p++;
	switch (*p++) {
	case 0x0f:
		if ((*p & 0xf0) == 0x80)
			return p + 5 - start;
		if (*p != 0xb7 && (*p & 0xf0) != 0x40)
			return 0;
		p++;
		return p + modrm_bytes(p) - start;
	case 0x70 ... 0x7f:
		return p + 1 - start;
	case 0x01: case 0x03: case 0x29: case 0x2b: case 0x31: case 0x33:
	case 0x39: case 0x3b: case 0x85: case 0x89: case 0x8b: case 0xff:
		return p + modrm_bytes(p) - start;
	case 0x83: case 0xc1:
		return p + modrm_bytes(p) + 1 - start;
	case 0x81: case 0xc7:
		return p + modrm_bytes(p) + 4 - start;
	}
	return 0;
}

#elif defined(__aarch64__)

#define BREAK_BYTES	4
#define BREAK_CODE	{ 0x00, 0x00, 0x20, 0xd4 }	/* brk #0 */
#define BREAK_PC(uc)	((uc)->uc_mcontext.pc)
#define BREAK_PAST	0

static inline uint32_t insn_bytes(const uint8_t *start)
{
	(void)start;
	return 4;
}

#endif

/**
 * struct rseq_break - the breakpoint
 * @cs: in this sequence
 * @at: where
 * @inside: not behind its end
 * @saved: what was there
 * @fn: to be called there
 * @left: how often it will stop somebody yet; 0: it is lifted
 * @nhit: how often it did
 * @nastray: how often, of all breakpoints, the kernel did not lead to the
 *	sequence's way back
 */
static struct rseq_break {
	const struct rseq_cs *cs;
	uint8_t *at;
	bool inside;
	uint8_t saved[BREAK_BYTES];
	void (*fn)(void);
	uint32_t left;
	uint32_t nhit;
	uint32_t nastray;
} rseq_break;

static const uint8_t break_code[BREAK_BYTES] = BREAK_CODE;

static inline void break_write(const uint8_t *code)
{
	uint32_t i;

	for (i = 0; i < BREAK_BYTES; i++)
		((volatile uint8_t *)rseq_break.at)[i] = code[i];
	__builtin___clear_cache((char *)rseq_break.at, (char *)rseq_break.at + BREAK_BYTES);
}

static void break_handler(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)rseq_break.at;
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	break_write(rseq_break.saved);
	if (rseq_break.inside) {
		if (BREAK_PC(uc) != rseq_break.cs->abort_ip)
			rseq_break.nastray++;
	} else {
		if (BREAK_PC(uc) != at + BREAK_PAST)
			rseq_break.nastray++;
		BREAK_PC(uc) = at;
	}
	if (!rseq_break.nhit++)
		rseq_break.fn();
	if (--rseq_break.left)
		break_write(break_code);
}

/* The code of all sequences can be written from now on. False: it cannot. */
static inline bool rseq_break_start(void)
{
	struct sigaction act = { .sa_sigaction = break_handler, .sa_flags = SA_SIGINFO };
	const struct rseq_cs *cs;
	const uintptr_t page = sysconf(_SC_PAGESIZE);

	for (cs = __start___rseq_cs; cs < __stop___rseq_cs; cs++) {
		uintptr_t from = cs->start_ip & -page;
		uintptr_t to = (cs->start_ip + cs->post_commit_offset + page - 1) & -page;

		if (mprotect((void *)from, to - from, PROT_READ | PROT_WRITE | PROT_EXEC))
			return false;
	}
	return !sigaction(SIGTRAP, &act, NULL);
}

/*
 * Set it, on the instruction at @off, or behind the last: the offset of the
 * next one. 0: what is this?
 */
static inline uint32_t rseq_break_set(const struct rseq_cs *cs, uint32_t off, void (*fn)(void))
{
	uint8_t *at = (uint8_t *)(uintptr_t)cs->start_ip + off;
	uint32_t n;

	kspan_rseq_aborts = 0;	/* it does not give up */
	rseq_break.cs = cs;
	rseq_break.at = at;
	rseq_break.inside = off < cs->post_commit_offset;
	rseq_break.fn = fn;
	rseq_break.nhit = 0;
	rseq_break.left = rseq_break.inside ? 2 : 1;
	n = rseq_break.inside ? insn_bytes(at) : BREAK_BYTES;
	if (!n)
		return 0;
	memcpy(rseq_break.saved, at, BREAK_BYTES);
	break_write(break_code);
	return off + n;
}

/* Lift it; whether anybody came by. */
static inline bool rseq_break_lift(void)
{
	if (rseq_break.left)
		break_write(rseq_break.saved);
	rseq_break.left = 0;
	return rseq_break.nhit;
}

#endif /* RSEQ_BREAK_H */
