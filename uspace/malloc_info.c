// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the malloc family tells of the heap and is told about it: mallinfo(),
 * malloc_info(), malloc_stats(), malloc_trim(), mallopt(). The numbers are put
 * together without stopping anybody. In a signal handler that interrupted a lock
 * of the heap they are all 0. See malloc.c.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include "port.h"

#define EXPORT		__attribute__((visibility("default")))
#define HEAP		(&kspan_heap0)

/* Whether the heap can be looked at as a whole. */
static bool heap_at_rest(void)
{
	return !port_is_nested() && heap_ready(HEAP) && !port_slot_is_inside(&HEAP->slots);
}

/* Gives back all idle memory: there is no top of the heap to leave @pad bytes at. */
EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	return heap_at_rest() && heap_release_memory(HEAP) > 0;
}

/* Objects of a class that are not out: in caches or in spans. */
static u64 class_nfree(const struct kspan_class_stats *cls)
{
	u64 nobjs, nlive = cls->nmalloc - cls->nfree;

	if (!cls->nspan)
		return 0;
	nobjs = cls->span_bytes / cls->nspan / cls->size * cls->nspan;
	return nobjs > nlive ? nobjs - nlive : 0;
}

/* @a less @b, of which @b may be of a later moment. */
static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

static struct mallinfo2 info_of(const struct kspan_stats *stats)
{
	u64 backed = stats->sys_bytes - stats->released_bytes;
	struct mallinfo2 info = { };
	u32 c;

	for (c = 0; c < KSPAN_STATS_CLASSES; c++) {
		info.ordblks += class_nfree(&stats->cls[c]);
		info.smblks += stats->cls[c].ncached;
	}
	info.arena = stats->sys_bytes;
	info.hblks = stats->nlarge_malloc - stats->nlarge_free;
	info.hblkhd = stats->large_bytes;
	info.fsmblks = stats->cached_bytes;
	info.uordblks = stats->live_bytes;
	info.fordblks = less(backed, stats->live_bytes);
	info.keepcost = stats->idle_bytes;
	return info;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
	struct kspan_stats *stats = heap_at_rest() ? kspan_stats_take(HEAP) : NULL;
	struct mallinfo2 info = { };

	if (stats) {
		info = info_of(stats);
		kspan_stats_drop(stats);
	}
	return info;
}

static int clamp_int(size_t n)
{
	return n > INT32_MAX ? INT32_MAX : (int)n;
}

EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo2 wide = mallinfo2();

	return (struct mallinfo){
		.arena = clamp_int(wide.arena),
		.ordblks = clamp_int(wide.ordblks),
		.smblks = clamp_int(wide.smblks),
		.hblks = clamp_int(wide.hblks),
		.hblkhd = clamp_int(wide.hblkhd),
		.fsmblks = clamp_int(wide.fsmblks),
		.uordblks = clamp_int(wide.uordblks),
		.fordblks = clamp_int(wide.fordblks),
		.keepcost = clamp_int(wide.keepcost),
	};
}

EXPORT void malloc_stats(void)
{
	if (heap_at_rest())
		kspan_print_stats(HEAP);
}

static void print_total(FILE *fp, const char *type, u64 count, u64 nbytes)
{
	fprintf(fp, "<total type=\"%s\" count=\"%llu\" size=\"%llu\"/>\n", type,
		(unsigned long long)count, (unsigned long long)nbytes);
}

static void print_bytes(FILE *fp, const char *element, const char *type, u64 nbytes)
{
	fprintf(fp, "<%s type=\"%s\" size=\"%llu\"/>\n", element, type,
		(unsigned long long)nbytes);
}

/* The free objects by class, as glibc lists its free chunks. */
static void print_sizes(FILE *fp, const struct kspan_stats *stats)
{
	u32 c;

	fprintf(fp, "<sizes>\n");
	for (c = 2; c < KSPAN_STATS_CLASSES; c++) {
		const struct kspan_class_stats *cls = &stats->cls[c];
		u64 n = cls->size ? class_nfree(cls) : 0;

		if (n)
			fprintf(fp, "  <size from=\"%u\" to=\"%u\" total=\"%llu\" count=\"%llu\"/>\n",
				stats->cls[c - 2].size + 1, cls->size,
				(unsigned long long)(n * cls->size), (unsigned long long)n);
	}
	fprintf(fp, "</sizes>\n");
}

/* In the caches; in spans and free pages; large objects; from the system. */
static void print_sums(FILE *fp, const struct kspan_stats *stats, const struct mallinfo2 *info)
{
	print_total(fp, "fast", info->smblks, info->fsmblks);
	print_total(fp, "rest", less(info->ordblks, info->smblks),
		    less(info->fordblks, info->fsmblks));
	print_total(fp, "mmap", info->hblks, info->hblkhd);
	print_bytes(fp, "system", "current", stats->sys_bytes - stats->released_bytes);
	print_bytes(fp, "system", "max", stats->sys_bytes);
	print_bytes(fp, "aspace", "total", stats->sys_bytes);
	print_bytes(fp, "aspace", "mprotect", stats->sys_bytes);
}

/*
 * XML of glibc's shape: one heap. "max" is what is mapped: the addresses of small
 * memory stay when the memory goes back.
 */
EXPORT int malloc_info(int options, FILE *fp)
{
	struct kspan_stats *stats;
	struct mallinfo2 info;

	if (options)
		return EINVAL;
	if (!heap_at_rest())
		return EAGAIN;
	stats = kspan_stats_take(HEAP);
	if (!stats)
		return ENOMEM;
	info = info_of(stats);
	fprintf(fp, "<malloc version=\"1\">\n<heap nr=\"0\">\n");
	print_sizes(fp, stats);
	print_sums(fp, stats, &info);
	fprintf(fp, "</heap>\n");
	print_sums(fp, stats, &info);
	fprintf(fp, "</malloc>\n");
	kspan_stats_drop(stats);
	return ferror(fp) ? EIO : 0;
}

/*
 * M_CHECK_ACTION is on_error: bit 1 ends the process. Parameters of things that
 * are not here (bins, arenas, a top of the heap, a threshold for mmap) are taken
 * in the range that glibc takes, and change nothing: programs give them as hints.
 * M_PERTURB cannot be had while the program runs; KSPAN_OPTIONS has junk=1.
 */
EXPORT int mallopt(int param, int value)
{
	switch (param) {
	case M_CHECK_ACTION:
		kspan_user_warn = !(value & 2);
		return 1;
	case M_MXFAST:
		return value >= 0 && value <= (int)(80 * sizeof(size_t) / 4);
	case M_MMAP_THRESHOLD:
		return value >= 0 && value <= 32 << 20;
	case M_TRIM_THRESHOLD:
	case M_TOP_PAD:
	case M_MMAP_MAX:
	case M_ARENA_TEST:
	case M_ARENA_MAX:
		return 1;
	default:
		return 0;
	}
}
