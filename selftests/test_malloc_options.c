// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The options of libkspan-malloc that act on memory itself: what is written over
 * objects, huge pages, and the limit of the control group.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/stat.h>
#include "child.h"
#include "malloc_test.h"
#include "port.h"

#if !SANITIZED

/* In the child */

static bool is_all(const void *p, unsigned char c, size_t n)
{
	const volatile unsigned char *s = p;
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] != c)
			return false;
	return true;
}

/* Reads freed objects on purpose: the span stays, for another object of it is out. */
static int child_fill(unsigned char at_malloc, bool junk, unsigned char at_free)
{
	static const size_t sizes[] = { 1, 16, 100, 1000, 8000 };
	size_t i;

	free(hide(NULL));	/* nothing to fill: once memset() was given NULL */
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t n = sizes[i];
		char *stay = hide(malloc(n)), *p = hide(malloc(n)), *q;

		if (junk && !is_all(p, at_malloc, n))
			return 2;
		memset(p, 1, n);
		q = p;
		free(hide(p));
		if (!is_all(hide(q), at_free, n))
			return 3;
		p = hide(calloc(1, n));
		if (!is_all(p, 0, n))
			return 4;
		memset(p, 7, n);
		q = hide(realloc(p, 3 * n));
		if (!is_all(q, 7, n))
			return 5;
		if (junk && !is_all(q + n, at_malloc, 2 * n))
			return 6;
		free(q);
		q = hide(aligned_alloc(64, 192));
		if (junk && !is_all(q, at_malloc, 192))
			return 7;
		free(q);
		free(stay);
	}
	return heap_verify(&kspan_heap0) ? 8 : 0;
}

/* Writes to a freed object; then it, and whatever else is free, is handed out. */
static int child_use_after_free(size_t at)
{
	char *stay = hide(malloc(100)), *p = hide(malloc(100)), *q = p;
	unsigned int i;

	free(hide(p));
	*(volatile char *)hide(q + at) = 'x';
	for (i = 0; i < 100; i++)
		hide(malloc(100));
	free(stay);
	return kspan_heap0.checked ? 0 : 2;
}

/* A program that does nothing wrong is told nothing: sizes, realloc, calloc, release. */
static int child_innocent(void)
{
	static void *p[500];
	unsigned int i, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < ARRAY_SIZE(p); i++) {
			size_t n = 1 + (i * 7919 + round * 104729) % (i % 50 ? 3000 : 300000);

			p[i] = i % 3 ? hide(malloc(n)) : hide(calloc(1, n));
			memset(p[i], 'y', n);
			if (i % 5 == 0)
				p[i] = hide(realloc(p[i], 2 * n));
		}
		for (i = 0; i < ARRAY_SIZE(p); i++)
			free(p[i]);
		if (round % 4 == 0)
			malloc_trim(0);
	}
	return 0;
}

/* Whether the mapping that @p lies in has the flag; -1: not found. */
static int vm_flag(const void *p, const char *flag)
{
	FILE *fp = fopen("/proc/self/smaps", "r");
	unsigned long lo, hi;
	bool inside = false;
	char line[512];
	int has = -1;

	while (fp && fgets(line, sizeof(line), fp)) {
		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			inside = (unsigned long)p >= lo && (unsigned long)p < hi;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			has = strstr(line, flag) != NULL;
	}
	if (fp)
		fclose(fp);
	return has;
}

static int child_main(const char *action)
{
	void *p = hide(malloc(100000));

	if (!strcmp(action, "junk"))
		return child_fill(0xa5, true, 0x5a);
	if (!strcmp(action, "zero"))
		return child_fill(0, false, 0);
	if (!strcmp(action, "junk and zero"))
		return child_fill(0xa5, true, 0);
	if (!strcmp(action, "use after free"))
		return child_use_after_free(17);
	if (!strcmp(action, "innocent"))
		return child_innocent();
	if (!strcmp(action, "thp always"))
		return vm_flag(p, " hg") == 1 ? 0 : 2;
	if (!strcmp(action, "thp never"))
		return vm_flag(p, " nh") == 1 ? 0 : 2;
	if (!strcmp(action, "thp default"))
		return vm_flag(p, " hg") == 0 && vm_flag(p, " nh") == 0 ? 0 : 2;
	return 1;
}

/* In the test */

static struct child child;

TEST(each)
{
	static const char *const run[][2] = {
		{ "junk", "junk=1" },
		{ "junk", "junk=1,checked=0" },
		{ "junk", "zero=on_free,zero=0,junk=1" },
		{ "zero", "zero=on_free" },
		{ "junk and zero", "zero=on_free,junk=1" },
		{ "innocent", "poison=1" },
		{ "innocent", "poison=1,zero=on_free" },
		{ "use after free", "poison=1,on_error=warn" },
		{ "thp default", "" },
		{ "thp default", "thp=always,thp=default" },
		{ "thp never", "thp=never" },
		{ "thp always", "thp=always" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(run); i++) {
		if (!strncmp(run[i][0], "thp", 3) && access("/sys/kernel/mm/transparent_hugepage", F_OK))
			continue;
		child_run(&child, run[i][0], run[i][1], NULL);
		EXPECT_EQ(0, child.status)
			TH_LOG("%s: %d %s", run[i][1], child.status, child.text);
	}
}

TEST(use_after_free_is_reported)
{
	child_run(&child, "use after free", "poison=1", NULL);
	EXPECT_EQ(1000 + 6, child.status);
	EXPECT_NE(NULL, strstr(child.text, "kspan: write after free: "))
		TH_LOG("%s", child.text);
	EXPECT_NE(NULL, strstr(child.text, ", byte 17 is 0x78 and not 0x6b, 1 such bytes"))
		TH_LOG("%s", child.text);
	child_run(&child, "use after free", "junk=1", NULL);
	EXPECT_EQ(0, child.status);
	EXPECT_EQ(0, child_reports(&child));
	child_run(&child, "innocent", "poison=1", NULL);
	EXPECT_EQ(0, child_reports(&child))
		TH_LOG("%s", child.text);
}

/* A tree of control groups in a directory of its own. */

static char top[64];

static void write_file(const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static void make_dir(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	if (mkdir(path, 0700) && errno != EEXIST)
		abort();
}

static u64 limit_of(const char *self)
{
	char path[256];

	write_file("self", self);
	snprintf(path, sizeof(path), "%s/self", top);
	return port_cgroup_limit(path, top);
}

TEST(cgroup_limits)
{
	char command[300];

	strcpy(top, "/tmp/kspan-cgroup-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(top));
	make_dir("a");
	make_dir("a/b");
	make_dir("memory");
	make_dir("memory/c");
	EXPECT_EQ(UINT64_MAX, limit_of("0::/a/b\n"));
	write_file("a/memory.max", "max\n");
	EXPECT_EQ(UINT64_MAX, limit_of("0::/a/b\n"));
	write_file("a/memory.max", "1073741824\n");
	EXPECT_EQ(1073741824, limit_of("0::/a/b\n"));
	write_file("a/b/memory.max", "2147483648\n");
	EXPECT_EQ(1073741824, limit_of("0::/a/b\n"));
	write_file("a/b/memory.max", "536870912\n");
	EXPECT_EQ(536870912, limit_of("0::/a/b\n"));
	EXPECT_EQ(1073741824, limit_of("0::/a\n"));
	EXPECT_EQ(UINT64_MAX, limit_of("0::/\n"));
	EXPECT_EQ(UINT64_MAX, limit_of("0::/elsewhere\n"));
	EXPECT_EQ(UINT64_MAX, limit_of("\n"));
	write_file("memory.max", "268435456\n");
	EXPECT_EQ(268435456, limit_of("0::/\n"));
	EXPECT_EQ(268435456, limit_of("0::/a/b\n"));
	write_file("memory.max", "9223372036854771712\n");
	write_file("memory/c/memory.limit_in_bytes", "1000000000\n");
	write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
	EXPECT_EQ(1000000000, limit_of("5:cpu:/\n4:memory:/c\n0::/\n"));
	EXPECT_EQ(1000000000, limit_of("4:hugetlb,memory:/c\n"));
	EXPECT_EQ(UINT64_MAX, limit_of("4:memoryless:/c\n"));
	EXPECT_EQ(UINT64_MAX, limit_of("4:memory:/\n"));
	snprintf(command, sizeof(command), "rm -r %s", top);
	EXPECT_EQ(0, system(command));
}

#endif /* !SANITIZED */

TEST_HARNESS_MAIN
