// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Derive the size classes from their rules and print core/sizeclass_table.h,
 * or with --tsv only class, bytes per object and pages per span.
 *
 * The rules are those of the Go runtime, src/runtime/mksizeclasses.go:
 *
 *   - Candidate sizes run from 8 to 32 KiB in steps. A step is 8 below 32 and
 *     16 below 128, an eighth of the last power of two from there to 2 KiB,
 *     and 256 above: rounding up to the next candidate costs at most 12.5 %
 *     once sizes are large enough for their alignment to allow it.
 *   - A span is the fewest pages that leave at most 12.5 % behind the last
 *     object.
 *   - A candidate that needs as many pages and fits as many objects as the one
 *     before it replaces it: the smaller of the two would save nothing.
 *   - What a span still leaves over is shared out among its objects, as far as
 *     sizes stay multiples of 128, the grain of the larger lookup table.
 *
 * Nothing is printed until the classes have been checked against every promise
 * that the allocator builds on; see check_all().
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE	8192u
#define MIN_SIZE	8u
#define MAX_SMALL_SIZE	32768u
#define WASTE_SHARE	8u	/* a span may waste one part in eight */

/* Sizes up to SIZE_MAX8 are looked up by eights, those above by 128s. */
#define GRAIN8		8u
#define SIZE_MAX8	1024u
#define GRAIN128	128u
#define NUM_CLASS8	(SIZE_MAX8 / GRAIN8 + 1)
#define NUM_CLASS128	((MAX_SMALL_SIZE - SIZE_MAX8) / GRAIN128 + 1)

#define NUM_CLASSES	68u	/* what the rules must come to, class 0 included */
#define MAX_CLASSES	256u	/* a class number is one byte */

struct size_class {
	unsigned int size;		/* bytes per object */
	unsigned int npages;	/* pages per span */
	unsigned int magic;		/* ceil(2^32 / size) */
	unsigned int span_align;	/* alignment of a span, in pages */
};

/* Class 0 is no size class: its zeroes stand for large objects. */
static struct size_class classes[MAX_CLASSES];
static unsigned int num_classes = 1;
static unsigned int class8[NUM_CLASS8];
static unsigned int class128[NUM_CLASS128];

/* End the program unless a promise about class @class (or size) holds. */
static void require(bool holds, const char *promise, unsigned int class)
{
	if (holds)
		return;
	fprintf(stderr, "mksizeclasses: at %u: not true that %s\n", class, promise);
	exit(1);
}

static bool is_power_of_two(unsigned int n)
{
	return n && !(n & (n - 1));
}

/* The largest power of two that divides @n. */
static unsigned int lowest_bit(unsigned int n)
{
	return n & (~n + 1);
}

static unsigned int span_bytes(const struct size_class *c)
{
	return c->npages * PAGE_SIZE;
}

static unsigned int span_objects(const struct size_class *c)
{
	return span_bytes(c) / c->size;
}

static unsigned int tail_waste(const struct size_class *c)
{
	return span_bytes(c) % c->size;
}

/* What an object is aligned to, given how its span is aligned. */
static unsigned int object_align(const struct size_class *c)
{
	unsigned int align = lowest_bit(c->size);
	unsigned int span_align = c->span_align * PAGE_SIZE;

	return align < span_align ? align : span_align;
}

/* The step from candidate @size to the next, @step being the one before it. */
static unsigned int next_step(unsigned int size, unsigned int step)
{
	if (!is_power_of_two(size) || size < 32)
		return step;
	if (size < 128)
		return 16;
	return size < 2048 ? size / 8 : 256;
}

static unsigned int pages_for(unsigned int size)
{
	unsigned int nbytes = PAGE_SIZE;

	while (nbytes % size > nbytes / WASTE_SHARE)
		nbytes += PAGE_SIZE;
	return nbytes / PAGE_SIZE;
}

/* Append candidate @size, or let it replace the class it makes useless. */
static void add_candidate(unsigned int size)
{
	struct size_class c = { .size = size, .npages = pages_for(size) };
	const struct size_class *last = &classes[num_classes - 1];

	if (last->size && last->npages == c.npages &&
	    span_objects(last) == span_objects(&c))
		num_classes--;
	require(num_classes < MAX_CLASSES, "a class number fits a byte", size);
	classes[num_classes++] = c;
}

/* Share a span's tail out among its objects. */
static void widen(struct size_class *c)
{
	unsigned int size = span_bytes(c) / span_objects(c) / GRAIN128 * GRAIN128;

	if (size > c->size)
		c->size = size;
}

/*
 * A page aligns every smaller power of two; spans of larger ones are aligned
 * to the object.
 */
static unsigned int span_align_for(unsigned int size)
{
	return is_power_of_two(size) && size > PAGE_SIZE ? size / PAGE_SIZE : 1;
}

static void make_classes(void)
{
	unsigned int size, step, i;

	step = MIN_SIZE;
	for (size = MIN_SIZE; size <= MAX_SMALL_SIZE; size += step) {
		add_candidate(size);
		step = next_step(size, step);
	}
	classes[0].span_align = 1;
	for (i = 1; i < num_classes; i++) {
		struct size_class *c = &classes[i];

		widen(c);
		c->magic = 0xffffffff / c->size + 1;
		c->span_align = span_align_for(c->size);
	}
}

/* The smallest class whose objects hold @size bytes. */
static unsigned int class_for(unsigned int size)
{
	unsigned int i = 1;

	while (i < num_classes && classes[i].size < size)
		i++;
	require(i < num_classes, "some class holds this size", size);
	return i;
}

/* Entry 0 of the first table is size 0, which class 1 serves. */
static void make_lookups(void)
{
	unsigned int i;

	class8[0] = 1;
	for (i = 1; i < NUM_CLASS8; i++)
		class8[i] = class_for(i * GRAIN8);
	for (i = 0; i < NUM_CLASS128; i++)
		class128[i] = class_for(SIZE_MAX8 + i * GRAIN128);
}

/* A multiplication finds the object at every byte of a span, end included. */
static void check_magic(unsigned int class)
{
	const struct size_class *c = &classes[class];
	unsigned int offset;

	for (offset = 0; offset <= span_bytes(c); offset++)
		require((unsigned long long)offset * c->magic >> 32 == offset / c->size,
			"offset * magic >> 32 is offset / size", class);
}

static void check_class(unsigned int class)
{
	const struct size_class *c = &classes[class];

	require(c->size > classes[class - 1].size, "sizes ascend", class);
	require(c->size % MIN_SIZE == 0, "sizes are multiples of 8", class);
	require(c->size <= UINT16_MAX, "a size fits u16", class);
	require(c->npages <= UINT8_MAX, "a page count fits u8", class);
	require(tail_waste(c) <= span_bytes(c) / WASTE_SHARE,
		"the tail is at most 12.5 % of the span", class);
	require(!is_power_of_two(c->size) || object_align(c) == c->size,
		"powers of two are naturally aligned", class);
	check_magic(class);
}

/* Looked up as size_to_class() does, every size gets the tightest class. */
static void check_lookups(void)
{
	unsigned int size, class;

	for (size = 1; size <= MAX_SMALL_SIZE; size++) {
		if (size <= SIZE_MAX8)
			class = class8[(size + 7) >> 3];
		else
			class = class128[(size - SIZE_MAX8 + 127) >> 7];
		require(class == class_for(size),
			"the lookup gives the tightest class", size);
	}
}

static void check_all(void)
{
	unsigned int i;

	require(num_classes == NUM_CLASSES, "there are 68 classes", num_classes);
	require(classes[num_classes - 1].size == MAX_SMALL_SIZE,
		"the last class is the largest small size", num_classes - 1);
	for (i = 1; i < num_classes; i++)
		check_class(i);
	check_lookups();
}

static void print_tsv(void)
{
	unsigned int i;

	puts("class\tbytes_per_object\tpages_8k_per_span");
	for (i = 0; i < num_classes; i++)
		printf("%u\t%u\t%u\n", i, classes[i].size, classes[i].npages);
}

/*
 * The worst that class @class can waste of a span, in percent: every object
 * asked for with one byte more than the class below would have held.
 */
static double max_waste(unsigned int class)
{
	const struct size_class *c = &classes[class];
	unsigned int unused = c->size - classes[class - 1].size - 1;

	return 100.0 * (unused * span_objects(c) + tail_waste(c)) / span_bytes(c);
}

static void print_comment(void)
{
	unsigned int i;

	puts("/*\n"
	     " * The size classes: generated by scripts/mksizeclasses, which says by what\n"
	     " * rules; do not edit. Whoever includes this has defined u8, u16 and u32.\n"
	     " *\n"
	     " * Max waste is of a span full of objects that just missed the class below;\n"
	     " * min align is what every object of the class is aligned to.\n"
	     " *\n"
	     " * class  bytes/obj  bytes/span  objects  tail waste  max waste  min align");
	for (i = 1; i < num_classes; i++) {
		const struct size_class *c = &classes[i];

		printf(" * %5u  %9u  %10u  %7u  %10u  %8.2f%%  %9u\n",
		       i, c->size, span_bytes(c), span_objects(c),
		       tail_waste(c), max_waste(i), object_align(c));
	}
	puts(" */");
}

static void print_defines(void)
{
	printf("#define KSPAN_NUM_SIZE_CLASSES\t%u\n", num_classes);
	printf("#define KSPAN_MAX_SMALL_SIZE\t%u\n", MAX_SMALL_SIZE);
	printf("#define KSPAN_SMALL_SIZE_MAX8\t%u\t/* sizes up to it use class8 */\n",
	       SIZE_MAX8);
	puts("\n/* Not every file that includes this reads every table. */\n"
	     "#define KSPAN_TABLE\t__attribute__((unused))");
}

static void begin_table(const char *comment, const char *type,
			const char *name, const char *dimension)
{
	printf("\n/* %s */\nstatic const %s KSPAN_TABLE\n%s[%s] = {",
	       comment, type, name, dimension);
}

/* Print what goes before value @idx of a table that has @per_line in a line. */
static void separate(unsigned int idx, unsigned int per_line)
{
	fputs(idx % per_line == 0 ? "\n\t" : " ", stdout);
}

static void print_value(unsigned int idx, unsigned int value, int width,
			unsigned int per_line)
{
	separate(idx, per_line);
	printf("%*u,", width, value);
}

static void end_table(void)
{
	puts("\n};");
}

static void print_class_tables(void)
{
	static const char dimension[] = "KSPAN_NUM_SIZE_CLASSES";
	unsigned int i;

	begin_table("Bytes per object.", "u16", "kspan_class_to_size", dimension);
	for (i = 0; i < num_classes; i++)
		print_value(i, classes[i].size, 5, 10);
	end_table();

	begin_table("Pages per span.", "u8", "kspan_class_to_npages", dimension);
	for (i = 0; i < num_classes; i++)
		print_value(i, classes[i].npages, 2, 10);
	end_table();

	begin_table("ceil(2^32 / size): (offset * magic) >> 32 is offset / size in the whole span.",
		    "u32", "kspan_class_to_magic", dimension);
	for (i = 0; i < num_classes; i++) {
		separate(i, 5);
		printf("0x%08x,", classes[i].magic);
	}
	end_table();

	begin_table("Pages that a span is aligned to, so that powers of two are naturally aligned.",
		    "u8", "kspan_class_to_span_align", dimension);
	for (i = 0; i < num_classes; i++)
		print_value(i, classes[i].span_align, 1, 10);
	end_table();
}

static void print_lookup_tables(void)
{
	unsigned int i;

	begin_table("Class of a size up to KSPAN_SMALL_SIZE_MAX8, by (size + 7) >> 3.",
		    "u8", "kspan_size_to_class8", "KSPAN_SMALL_SIZE_MAX8 / 8 + 1");
	for (i = 0; i < NUM_CLASS8; i++)
		print_value(i, class8[i], 2, 16);
	end_table();

	begin_table("Class of a larger size, by (size - KSPAN_SMALL_SIZE_MAX8 + 127) >> 7.",
		    "u8", "kspan_size_to_class128",
		    "(KSPAN_MAX_SMALL_SIZE - KSPAN_SMALL_SIZE_MAX8) / 128 + 1");
	for (i = 0; i < NUM_CLASS128; i++)
		print_value(i, class128[i], 2, 16);
	end_table();
}

static void print_header(void)
{
	/* In two parts, so that nobody takes it for this file's own tag. */
	printf("/* %s-Identifier: GPL-2.0 OR MIT */\n", "SPDX-License");
	print_comment();
	puts("#ifndef KSPAN_SIZECLASS_TABLE_H\n"
	     "#define KSPAN_SIZECLASS_TABLE_H\n");
	print_defines();
	print_class_tables();
	print_lookup_tables();
	puts("\n#endif /* KSPAN_SIZECLASS_TABLE_H */");
}

int main(int argc, char **argv)
{
	bool tsv = argc == 2 && !strcmp(argv[1], "--tsv");

	if (argc > 1 && !tsv) {
		fputs("usage: mksizeclasses [--tsv]\n", stderr);
		return 2;
	}
	make_classes();
	make_lookups();
	check_all();
	if (tsv)
		print_tsv();
	else
		print_header();
	if (fflush(stdout) || ferror(stdout)) {
		perror("mksizeclasses: stdout");
		return 1;
	}
	return 0;
}
