// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What a heap did, for a person: KSPAN_OPTIONS=stats_exit=1 and malloc_stats(). */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "port.h"

/* Here, so that whoever can set it has what it asks for linked from an archive. */
bool kspan_stats_exit;

#define TOP_CLASSES	10

/* Lines of "12.3 MiB": tenths of the largest unit that leaves at least one. */
struct human {
	char text[24];
};

static char *put_number(char *p, u64 n)
{
	char digits[20];
	u32 len = 0;

	do {
		digits[len++] = '0' + n % 10;
		n /= 10;
	} while (n);
	while (len)
		*p++ = digits[--len];
	return p;
}

static struct human human(u64 nbytes)
{
	static const char units[][4] = { "B", "KiB", "MiB", "GiB", "TiB" };
	struct human h;
	u32 unit = 0;
	u64 tenths;
	char *p;

	while (unit + 1 < ARRAY_SIZE(units) && nbytes >> (10 * (unit + 1)))
		unit++;
	tenths = unit ? (nbytes >> (10 * (unit - 1))) * 10 / 1024 : nbytes * 10;
	p = put_number(h.text, tenths / 10);
	if (unit) {
		*p++ = '.';
		*p++ = '0' + tenths % 10;
	}
	*p++ = ' ';
	memcpy(p, units[unit], sizeof(units[unit]));
	return h;
}

static void print_class(const struct kspan_class_stats *cls)
{
	port_report("  %7u %12llu %12llu %10llu %9llu %7u %12s", cls->size,
		    (unsigned long long)cls->nmalloc, (unsigned long long)cls->nfree,
		    (unsigned long long)cls->nrefill, (unsigned long long)cls->nflush,
		    cls->nspan, human(cls->span_bytes).text);
}

static struct human limit(size_t nbytes)
{
	return nbytes ? human(nbytes) : (struct human){ "none" };
}

/* What is in force, whether an option or the default. */
static void print_config(const struct kspan_config *config)
{
	port_report("cache of a CPU %s, epoch %u ms, soft limit %s, hard limit %s",
		    human(config->cache_bytes).text, config->epoch_ms,
		    limit(port_load(&config->limit_soft)).text,
		    limit(port_load(&config->limit_hard)).text);
}

/* The classes that served most, from the most to the least. */
static void print_classes(struct kspan_stats *stats)
{
	u32 i, n, best;

	port_report("  %7s %12s %12s %10s %9s %7s %12s", "object", "mallocs", "frees",
		    "refills", "flushes", "spans", "bytes");
	for (n = 0; n < TOP_CLASSES; n++) {
		best = 0;
		for (i = 1; i < KSPAN_STATS_CLASSES; i++)
			if (stats->cls[i].nmalloc > stats->cls[best].nmalloc)
				best = i;
		if (!stats->cls[best].nmalloc)
			return;
		print_class(&stats->cls[best]);
		stats->cls[best].nmalloc = 0;
	}
}

/*
 * The statistics of @heap, or NULL; for kspan_stats_drop(). They are larger than half
 * of the stack that a thread must have, and not to be counted as an object.
 */
struct kspan_stats *kspan_stats_take(struct kspan_heap *heap)
{
	int saved = errno;
	struct kspan_stats *stats = mmap(NULL, sizeof(*stats), PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	errno = saved;
	if (stats == MAP_FAILED)
		return NULL;
	heap_get_stats(heap, stats);
	return stats;
}

void kspan_stats_drop(struct kspan_stats *stats)
{
	munmap(stats, sizeof(*stats));
}

void kspan_print_stats(struct kspan_heap *heap)
{
	struct kspan_stats *stats = kspan_stats_take(heap);

	if (!stats)
		return;
	port_report("%llu mallocs, %llu frees, %s live", (unsigned long long)stats->nmalloc,
		    (unsigned long long)stats->nfree, human(stats->live_bytes).text);
	port_report("%s from the system: %s in spans, %s idle, %s released, %s metadata",
		    human(stats->sys_bytes).text, human(stats->inuse_bytes).text,
		    human(stats->idle_bytes).text, human(stats->released_bytes).text,
		    human(stats->meta_bytes).text);
	port_report("large objects: %llu mallocs, %llu frees, %s live; %llu requests failed",
		    (unsigned long long)stats->nlarge_malloc,
		    (unsigned long long)stats->nlarge_free, human(stats->large_bytes).text,
		    (unsigned long long)stats->nfail);
	print_config(&heap->config);
	print_classes(stats);
	kspan_stats_drop(stats);
}

/*
 * Programs close their standard error on their way out (the GNU core utilities do),
 * before any destructor of ours. So there is a descriptor of our own, with a number
 * that few expect. Who closes all there are may have something else there by then. A
 * program that was started without standard error has a file of its own by that number.
 */
#define HIGH_FD		900
#define LOW_FD		10

static int own_fd = -1;
static bool no_stderr;
static struct stat own_stat;

/* When the heap starts, if there will be something to print. */
void kspan_stats_keep_stderr(void)
{
	int saved = errno;

	own_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, HIGH_FD);
	if (own_fd < 0)
		own_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, LOW_FD);
	no_stderr = own_fd < 0 && errno == EBADF;
	if (own_fd >= 0 && fstat(own_fd, &own_stat))
		own_fd = -1;
	errno = saved;
}

static bool own_fd_is_ours(void)
{
	struct stat now;

	return own_fd >= 0 && !fstat(own_fd, &now) && now.st_dev == own_stat.st_dev &&
	       now.st_ino == own_stat.st_ino && now.st_rdev == own_stat.st_rdev;
}

__attribute__((destructor)) static void stats_at_exit(void)
{
	if (!kspan_stats_exit || no_stderr || !port_load_acquire(&kspan_heap0.ready))
		return;
	if (own_fd_is_ours())
		port_report_fd = own_fd;
	kspan_print_stats(&kspan_heap0);
	port_report_fd = STDERR_FILENO;
}
