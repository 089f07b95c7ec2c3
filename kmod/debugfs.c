// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * /sys/kernel/debug/kspan: what a person at the console wants to see.
 *
 *   stats       totals and a table by size class; stats.json is the same
 *   caches      the object caches
 *   guards      the guarded objects, see guard.c
 *   verify      reading it checks the whole heap: "ok", or what is wrong
 *   release     writing to it gives all idle memory back
 *   fail_kspan  fault injection, where the kernel has it: see debug.c
 *
 * See core/stats.c for the numbers.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>

#include <kspan/heap.h>
#include "kmod.h"

static struct dentry *debugfs_dir;

enum stats_unit { UNIT_COUNT, UNIT_BYTES };

/**
 * struct stats_field - a total of struct kspan_stats
 * @name: its name there
 * @text: what it is
 * @unit: what it counts
 * @offset: where it stands
 */
struct stats_field {
	const char *name;
	const char *text;
	enum stats_unit unit;
	size_t offset;
};

#define FIELD(name, unit, text)						\
	{ #name, text, unit, offsetof(struct kspan_stats, name) }

static const struct stats_field stats_fields[] = {
	FIELD(live_bytes,	UNIT_BYTES, "in objects that are out"),
	FIELD(sys_bytes,	UNIT_BYTES, "taken from the system"),
	FIELD(inuse_bytes,	UNIT_BYTES, "  of that in spans"),
	FIELD(idle_bytes,	UNIT_BYTES, "  of that in free pages"),
	FIELD(meta_bytes,	UNIT_BYTES, "  of that kspan's own structures"),
	FIELD(released_bytes,	UNIT_BYTES, "in free pages that the system has back"),
	FIELD(slot_bytes,	UNIT_BYTES, "set aside for the CPUs' caches"),
	FIELD(cached_bytes,	UNIT_BYTES, "in free objects in the CPUs' caches"),
	FIELD(large_bytes,	UNIT_BYTES, "in objects over 32 KiB"),
	FIELD(nscavenged_bytes,	UNIT_BYTES, "given back since the start"),
	FIELD(nmalloc,		UNIT_COUNT, "objects handed out"),
	FIELD(nfree,		UNIT_COUNT, "objects taken back"),
	FIELD(nhit,		UNIT_COUNT, "allocations that the CPU's cache answered"),
	FIELD(nrefill,		UNIT_COUNT, "batches from spans to caches"),
	FIELD(nflush,		UNIT_COUNT, "batches from caches to spans"),
	FIELD(ntiny_malloc,	UNIT_COUNT, "tiny objects handed out"),
	FIELD(ntiny_free,	UNIT_COUNT, "tiny objects taken back"),
	FIELD(nlarge_malloc,	UNIT_COUNT, "objects over 32 KiB handed out"),
	FIELD(nlarge_free,	UNIT_COUNT, "objects over 32 KiB taken back"),
	FIELD(cache_nmalloc,	UNIT_COUNT, "objects of object caches handed out"),
	FIELD(cache_nfree,	UNIT_COUNT, "objects of object caches taken back"),
	FIELD(ngrow,		UNIT_COUNT, "requests to the system"),
	FIELD(nrelease,		UNIT_COUNT, "times that idle pages went back"),
	FIELD(nfail,		UNIT_COUNT, "allocations that failed"),
	FIELD(ndeferred,	UNIT_COUNT, "frees that kspan_free_nolock() put off"),
	FIELD(ndouble,		UNIT_COUNT, "double frees"),
	FIELD(ninterior,	UNIT_COUNT, "frees of a pointer into an object"),
	FIELD(nforeign,		UNIT_COUNT, "frees of memory that is not kspan's"),
	FIELD(noverflow,	UNIT_COUNT, "writes past the end of an object"),
	FIELD(nafterfree,	UNIT_COUNT, "writes to a freed object"),
	FIELD(nquarantine,	UNIT_COUNT, "freed objects in quarantine"),
};

static u64 field_value(const struct kspan_stats *stats, const struct stats_field *field)
{
	return *(const u64 *)((const char *)stats + field->offset);
}

/* @nbytes as a person says it, one decimal. */
static void show_bytes(struct seq_file *m, u64 nbytes)
{
	static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB" };
	u64 tenths = nbytes * 10 >> 10;
	unsigned int i = 0;

	while (tenths >= 10240 && i < ARRAY_SIZE(unit) - 1) {
		tenths >>= 10;
		i++;
	}
	seq_printf(m, "%8llu.%llu %s", div_u64(tenths, 10), tenths - 10 * div_u64(tenths, 10),
		   unit[i]);
}

/* @part of @whole in percent; nothing of nothing is shown as "-". */
static void show_percent(struct seq_file *m, u64 part, u64 whole)
{
	if (whole)
		seq_printf(m, " %4llu%%", div64_u64(part * 100 + whole / 2, whole));
	else
		seq_puts(m, "     -");
}

static void show_totals(struct seq_file *m, const struct kspan_stats *stats)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stats_fields); i++) {
		const struct stats_field *field = &stats_fields[i];
		u64 value = field_value(stats, field);

		seq_printf(m, "%-16s %16llu  ", field->name, value);
		if (field->unit == UNIT_BYTES)
			show_bytes(m, value);
		else
			seq_printf(m, "%14s", "");
		seq_printf(m, "  %s\n", field->text);
	}
}

static void show_class(struct seq_file *m, const char *kind, const struct kspan_class_stats *cls)
{
	u64 live = cls->nmalloc - cls->nfree;

	seq_printf(m, "%6u %-6s %10llu %9llu %7u %10llu", cls->size, kind, live,
		   cls->ncached, cls->nspan, cls->span_bytes >> 10);
	show_percent(m, live * cls->size, cls->span_bytes);
	seq_printf(m, " %12llu %12llu", cls->nmalloc, cls->nfree);
	show_percent(m, cls->nhit, cls->nmalloc);
	seq_printf(m, " %10llu %10llu\n", cls->nrefill, cls->nflush);
}

static void show_classes(struct seq_file *m, const struct kspan_stats *stats)
{
	u64 live = 0, used = 0, cached = 0, nspan = 0, nbytes = 0, nmalloc = 0, nfree = 0;
	u64 nhit = 0, nrefill = 0, nflush = 0;
	unsigned int i;

	seq_printf(m, "\n%6s %-6s %10s %9s %7s %10s %5s %12s %12s %5s %10s %10s\n",
		   "size", "kind", "live", "cached", "spans", "span KiB", "used",
		   "handed out", "taken back", "hits", "refills", "flushes");
	for (i = 0; i < KSPAN_STATS_CLASSES; i++) {
		const struct kspan_class_stats *cls = &stats->cls[i];

		if (!cls->nmalloc && !cls->nspan)
			continue;
		show_class(m, i & 1 ? "noscan" : "scan", cls);
		live += cls->nmalloc - cls->nfree;
		used += (cls->nmalloc - cls->nfree) * cls->size;
		cached += cls->ncached;
		nspan += cls->nspan;
		nbytes += cls->span_bytes;
		nmalloc += cls->nmalloc;
		nfree += cls->nfree;
		nhit += cls->nhit;
		nrefill += cls->nrefill;
		nflush += cls->nflush;
	}
	seq_printf(m, "%6s %-6s %10llu %9llu %7llu %10llu", "total", "", live, cached, nspan,
		   nbytes >> 10);
	show_percent(m, used, nbytes);
	seq_printf(m, " %12llu %12llu", nmalloc, nfree);
	show_percent(m, nhit, nmalloc);
	seq_printf(m, " %10llu %10llu\n", nrefill, nflush);
}

/* struct kspan_stats is 9 KB: too much for the kernel's stack. */
static struct kspan_stats *stats_get(void)
{
	struct kspan_stats *stats = kvmalloc(sizeof(*stats), GFP_KERNEL);

	if (stats)
		kspan_get_stats(stats);
	return stats;
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct kspan_stats *stats = stats_get();

	if (!stats)
		return -ENOMEM;
	show_totals(m, stats);
	show_classes(m, stats);
	kvfree(stats);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static void show_class_json(struct seq_file *m, unsigned int i,
			    const struct kspan_class_stats *cls)
{
	seq_printf(m, "{\"class\": %u, \"noscan\": %s, \"size\": %u, \"nspan\": %u, ",
		   i >> 1, i & 1 ? "true" : "false", cls->size, cls->nspan);
	seq_printf(m, "\"nmalloc\": %llu, \"nfree\": %llu, \"nhit\": %llu, ",
		   cls->nmalloc, cls->nfree, cls->nhit);
	seq_printf(m, "\"nrefill\": %llu, \"nflush\": %llu, ", cls->nrefill, cls->nflush);
	seq_printf(m, "\"span_bytes\": %llu, \"ncached\": %llu}", cls->span_bytes, cls->ncached);
}

static int stats_json_show(struct seq_file *m, void *unused)
{
	struct kspan_stats *stats = stats_get();
	const char *separator = "\n    ";
	unsigned int i;

	if (!stats)
		return -ENOMEM;
	seq_puts(m, "{\n");
	for (i = 0; i < ARRAY_SIZE(stats_fields); i++)
		seq_printf(m, "  \"%s\": %llu,\n", stats_fields[i].name,
			   field_value(stats, &stats_fields[i]));
	seq_puts(m, "  \"classes\": [");
	for (i = 0; i < KSPAN_STATS_CLASSES; i++) {
		if (!stats->cls[i].nmalloc && !stats->cls[i].nspan)
			continue;
		seq_puts(m, separator);
		show_class_json(m, i, &stats->cls[i]);
		separator = ",\n    ";
	}
	seq_puts(m, "\n  ]\n}\n");
	kvfree(stats);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats_json);

static int caches_show(struct seq_file *m, void *unused)
{
	struct kspan_cache_info info;
	u32 i;

	seq_printf(m, "%-31s %8s %10s %9s %7s %10s %5s %12s %12s\n", "name", "size", "live",
		   "cached", "spans", "span KiB", "used", "handed out", "taken back");
	for (i = 0; objcache_info(&kspan_heap0, i, &info); i++) {
		u64 nbytes = info.nspan * pages_to_bytes(info.npages);

		seq_printf(m, "%-31s %8u %10llu %9llu %7llu %10llu", info.name, info.size,
			   info.nlive, info.ncached, info.nspan, nbytes >> 10);
		show_percent(m, info.nlive * info.size, nbytes);
		seq_printf(m, " %12llu %12llu\n", info.nmalloc, info.nfree);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(caches);

static int guards_show(struct seq_file *m, void *unused)
{
	kspan_guards_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(guards);

static DEFINE_MUTEX(verify_lock);

static int verify_show(struct seq_file *m, void *unused)
{
	int n;

	mutex_lock(&verify_lock);
	port_report_capture(m);
	n = kspan_verify();
	port_report_capture(NULL);
	mutex_unlock(&verify_lock);
	if (n)
		seq_printf(m, "%d violations\n", n);
	else
		seq_puts(m, "ok\n");
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(verify);

static ssize_t release_write(struct file *file, const char __user *buf, size_t count,
			     loff_t *pos)
{
	kspan_release_memory();
	return count;
}

static const struct file_operations release_fops = {
	.owner = THIS_MODULE,
	.write = release_write,
	.llseek = noop_llseek,
};

/* Errors need no handling: debugfs is a convenience. */
void __init kspan_debugfs_start(void)
{
	debugfs_dir = debugfs_create_dir("kspan", NULL);
	debugfs_create_file("stats", 0444, debugfs_dir, NULL, &stats_fops);
	debugfs_create_file("stats.json", 0444, debugfs_dir, NULL, &stats_json_fops);
	debugfs_create_file("caches", 0444, debugfs_dir, NULL, &caches_fops);
	debugfs_create_file("guards", 0400, debugfs_dir, NULL, &guards_fops);
	kspan_debug_files(debugfs_dir);
	debugfs_create_file("verify", 0400, debugfs_dir, NULL, &verify_fops);
	debugfs_create_file("release", 0200, debugfs_dir, NULL, &release_fops);
}

void kspan_debugfs_stop(void)
{
	kspan_debug_files_drop();
	debugfs_remove(debugfs_dir);
}
