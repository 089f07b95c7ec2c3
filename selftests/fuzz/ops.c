// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * libFuzzer's side: an input is a header and a list of operations of eight
 * bytes. The mutator works on that list (inserts, drops, moves and copies
 * operations, changes one field of one), and knows which sizes matter: those
 * next to a size class, a page, an arena.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t nbytes);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t nbytes, size_t max, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const u8 *a, size_t na, const u8 *b, size_t nb, u8 *out,
				 size_t max, unsigned int seed);

/* A list that can be changed. */
struct list {
	struct fuzz_head head;
	struct fuzz_op op[FUZZ_MAX_OPS];
	u32 n;
};

static void list_read(struct list *list, const u8 *data, size_t nbytes)
{
	memset(list, 0, sizeof(*list));
	memcpy(&list->head, data, min(nbytes, sizeof(list->head)));
	if (nbytes <= sizeof(list->head))
		return;
	nbytes -= sizeof(list->head);
	list->n = min(nbytes / sizeof(list->op[0]), (size_t)FUZZ_MAX_OPS);
	memcpy(list->op, data + sizeof(list->head), list->n * sizeof(list->op[0]));
}

static size_t list_write(struct list *list, u8 *data, size_t max)
{
	u32 room = (max - sizeof(list->head)) / sizeof(list->op[0]);

	if (max < sizeof(list->head))
		return 0;
	list->n = min(list->n, room);
	memcpy(data, &list->head, sizeof(list->head));
	memcpy(data + sizeof(list->head), list->op, list->n * sizeof(list->op[0]));
	return sizeof(list->head) + list->n * sizeof(list->op[0]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t nbytes)
{
	static struct list list;
	u32 i;

	list_read(&list, data, nbytes);
	fuzz_begin(&list.head);
	for (i = 0; i < list.n; i++)
		fuzz_ops[list.op[i].code % fuzz_nops](&list.op[i]);
	fuzz_end();
	return 0;
}

/* A size at, just below or just above one that decides something. */
static u32 random_size(u64 *rnd)
{
	static const u32 edges[] = {
		8, 16, 24, 32, 1024, KSPAN_MAX_SMALL_SIZE, KSPAN_PAGE_SIZE, 4096, 65536,
		KSPAN_ARENA_SIZE, KSPAN_ARENA_SIZE / 2, 2 * KSPAN_ARENA_SIZE,
	};
	u32 jitter = random_below(rnd, 3) - 1;

	switch (random_below(rnd, 8)) {
	case 0:
		return random_below(rnd, 16);
	case 1:
	case 2:
		return kspan_class_to_size[1 + random_below(rnd, KSPAN_NUM_SIZE_CLASSES - 1)] +
		       jitter;
	case 3:
		return random_below(rnd, KSPAN_MAX_SMALL_SIZE);
	case 4:
		return (1 + random_below(rnd, 20)) * KSPAN_PAGE_SIZE + jitter;
	case 5:
		/* memory has to be touched: what is large costs time */
		return random_below(rnd, random_below(rnd, 8) ? 200000 : FUZZ_MAX_SIZE);
	case 6:
		return 1u << random_below(rnd, 20);
	default:
		return edges[random_below(rnd, random_below(rnd, 4) ? 9 : ARRAY_SIZE(edges))] +
		       jitter;
	}
}

static struct fuzz_op random_op(u64 *rnd)
{
	return (struct fuzz_op) {
		.code = random_below(rnd, fuzz_nops),
		.cell = random_below(rnd, FUZZ_CELLS),
		.arg = random_below(rnd, 4) ? random_below(rnd, 64) : random_below(rnd, 65536),
		.size = random_size(rnd),
	};
}

/* Room for @n operations at @at; how many there was room for. */
static u32 list_open(struct list *list, u32 at, u32 n)
{
	n = min(n, FUZZ_MAX_OPS - list->n);
	memmove(&list->op[at + n], &list->op[at], (list->n - at) * sizeof(list->op[0]));
	list->n += n;
	return n;
}

static void list_drop(struct list *list, u32 at, u32 n)
{
	n = min(n, list->n - at);
	memmove(&list->op[at], &list->op[at + n], (list->n - at - n) * sizeof(list->op[0]));
	list->n -= n;
}

/* The same operation on cells in a row: a burst, as what fills and flushes needs. */
static void mutate_burst(struct list *list, u64 *rnd)
{
	struct fuzz_op op = random_op(rnd);
	u32 at = random_below(rnd, list->n + 1);
	u32 i, n = list_open(list, at, 2 + random_below(rnd, 40));

	for (i = 0; i < n; i++) {
		list->op[at + i] = op;
		op.cell++;
	}
}

static void mutate_copy(struct list *list, u64 *rnd)
{
	struct fuzz_op ops[32];
	u32 from = random_below(rnd, list->n);
	u32 i, at, n = min(1 + random_below(rnd, 32), list->n - from);

	memcpy(ops, &list->op[from], n * sizeof(ops[0]));
	at = random_below(rnd, list->n + 1);
	n = list_open(list, at, n);
	for (i = 0; i < n; i++)
		list->op[at + i] = ops[i];
}

static void mutate_field(struct list *list, u64 *rnd)
{
	struct fuzz_op *op = &list->op[random_below(rnd, list->n)], other = random_op(rnd);

	switch (random_below(rnd, 5)) {
	case 0:
		op->code = other.code;
		break;
	case 1:
		op->cell = other.cell;
		break;
	case 2:
		op->arg = other.arg;
		break;
	case 3:
		op->size = other.size;
		break;
	default:
		op->size += random_below(rnd, 17) - 8;
	}
}

static void mutate_head(struct list *list, u64 *rnd)
{
	((u8 *)&list->head)[random_below(rnd, sizeof(list->head))] ^=
		1u << random_below(rnd, 8);
}

static void mutate_once(struct list *list, u64 *rnd)
{
	u32 i, k;
	struct fuzz_op op;

	if (!list->n || !random_below(rnd, 4)) {
		i = random_below(rnd, list->n + 1);
		if (list_open(list, i, 1))
			list->op[i] = random_op(rnd);
		return;
	}
	i = random_below(rnd, list->n);
	switch (random_below(rnd, 8)) {
	case 0:
		list_drop(list, i, 1 + random_below(rnd, 8));
		break;
	case 1:
		mutate_burst(list, rnd);
		break;
	case 2:
		mutate_copy(list, rnd);
		break;
	case 3:
		k = random_below(rnd, list->n);
		op = list->op[i];
		list->op[i] = list->op[k];
		list->op[k] = op;
		break;
	case 4:
		mutate_head(list, rnd);
		break;
	default:
		mutate_field(list, rnd);
	}
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t nbytes, size_t max, unsigned int seed)
{
	static struct list list;
	u64 rnd = seed + 1;
	u32 i, n;

	random_next(&rnd);
	list_read(&list, data, nbytes);
	n = 1 + random_below(&rnd, 5);
	for (i = 0; i < n; i++)
		mutate_once(&list, &rnd);
	return list_write(&list, data, max);
}

/* The beginning of one list and the end of another. */
size_t LLVMFuzzerCustomCrossOver(const u8 *a, size_t na, const u8 *b, size_t nb, u8 *out,
				 size_t max, unsigned int seed)
{
	static struct list first, second;
	u64 rnd = seed + 1;
	u32 from, n;

	random_next(&rnd);
	list_read(&first, a, na);
	list_read(&second, b, nb);
	first.n = random_below(&rnd, first.n + 1);
	from = random_below(&rnd, second.n + 1);
	n = min(second.n - from, FUZZ_MAX_OPS - first.n);
	memcpy(&first.op[first.n], &second.op[from], n * sizeof(first.op[0]));
	first.n += n;
	return list_write(&first, out, max);
}
