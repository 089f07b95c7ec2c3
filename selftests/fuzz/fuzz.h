/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the fuzz targets share: inputs that are lists of operations (ops.c), and
 * cells that remember which objects are out (model.c).
 */
#ifndef FUZZ_H
#define FUZZ_H

#define TESTHEAP_NO_HARNESS
#include "testheap.h"

/* ops.c */

/**
 * struct fuzz_op - an operation
 * @code: what; of fuzz_codes
 * @cell: on which cell
 * @arg: what else the operation needs: an alignment, a count, an offset
 * @size: bytes, where it takes any
 *
 * Every value of every field means something, so any bytes are a list.
 */
struct fuzz_op {
	u8 code;
	u8 cell;
	u16 arg;
	u32 size;
};

_Static_assert(sizeof(struct fuzz_op) == 8, "an input is a header and these");

/**
 * struct fuzz_head - how the heap of a run is made
 * @flags: bits of FUZZ_*
 * @stack_objs: of struct kspan_config
 * @stack_kib: .
 * @cache_kib: .
 * @seed: of the page source
 */
struct fuzz_head {
	u8 flags;
	u8 stack_objs;
	u8 stack_kib;
	u8 cache_kib;
	u32 seed;
};

_Static_assert(sizeof(struct fuzz_head) == sizeof(struct fuzz_op), "as long as an operation");

#define FUZZ_KERNEL	1	/* the kernel's kind of page source */
#define FUZZ_CHECKED	2
#define FUZZ_PLACE_DOWN	4
#define FUZZ_LIMITS	8	/* the heap has limits */
#define FUZZ_FILL	16	/* the malloc target: junk=1 */
#define FUZZ_NO_RELEASE	32	/* the system never takes memory back */
#define FUZZ_MOVE	64	/* the source moves memory, now and then */
#define FUZZ_FACILITIES	128	/* what of a checked heap is on is in the seed */

#define FUZZ_MAX_OPS	256
#define FUZZ_MAX_SIZE	(12 * MIB)

/* A target has one function for each code. */
typedef void (*fuzz_fn)(const struct fuzz_op *op);

extern const fuzz_fn fuzz_ops[];
extern const u32 fuzz_nops;

/* Once before and after the operations of a run. */
void fuzz_begin(const struct fuzz_head *head);
void fuzz_end(void);

/* model.c */

#define FUZZ_CELLS	64
#define FUZZ_LIVE_MAX	(48 * MIB)	/* bytes that are out at most */

/**
 * struct fuzz_cell - an object that is out, or nothing
 * @ptr: NULL: nothing
 * @size: bytes asked for; 0: ZERO_SIZE_PTR
 * @id: of the pattern written into it
 * @cache: 1 + index of its object cache, or 0
 * @outside: it is not the heap's, but of the region for signal handlers
 */
struct fuzz_cell {
	u8 *ptr;
	size_t size;
	u64 id;
	u32 cache;
	bool outside;
};

/* Objects that wait for a grace period; the model runs RCU, so that a run is a run. */
#define FUZZ_LIMBO	512

extern struct testheap fuzz_test;	/* its heap is not used: kspan_heap0 is the heap */
extern struct fuzz_cell fuzz_cells[FUZZ_CELLS];
extern size_t fuzz_live;		/* bytes out */
extern u64 fuzz_nreports;		/* calls of port_report() */
extern u64 fuzz_nwrong;			/* wrong things that were done on purpose */

void fuzz_heap_begin(const struct fuzz_head *head);
void fuzz_heap_end(void);
void fuzz_set_debug(const struct fuzz_op *op);
u64 fuzz_nmisuse(void);

struct fuzz_cell *fuzz_cell(const struct fuzz_op *op);
struct fuzz_cell *fuzz_cell_empty(const struct fuzz_op *op);
bool fuzz_room(size_t size);
bool fuzz_may_fail(void);
void fuzz_got(struct fuzz_cell *cell, void *ptr, size_t size, size_t align);
void fuzz_got_zeroed(struct fuzz_cell *cell, void *ptr, size_t size, size_t align);
void fuzz_moved(struct fuzz_cell *cell, void *ptr, size_t size, size_t align);
void *fuzz_leave(struct fuzz_cell *cell);
void fuzz_got_outside(struct fuzz_cell *cell, void *ptr, size_t size);
bool fuzz_holds(const struct fuzz_cell *cell, const void *ptr, size_t n);
void fuzz_forget(struct fuzz_cell *cell);
void fuzz_rewrite(struct fuzz_cell *cell);
void fuzz_check(const struct fuzz_cell *cell);
bool fuzz_limbo(struct fuzz_cell *cell);
void fuzz_grace_period(void);

#endif /* FUZZ_H */
