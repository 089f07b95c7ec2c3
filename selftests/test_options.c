// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KSPAN_OPTIONS: what is legal takes effect, all else ends the process with a
 * message that names it.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <errno.h>
#include <kspan.h>
#include <sys/mman.h>
#include "child.h"

#define MIB	((size_t)1 << 20)

/* In the child */

static int child_use(void)
{
	void *obj = kspan_alloc(100, GFP_KERNEL);

	if (!obj)
		return 2;
	kspan_free(obj);
	return kspan_verify() ? 3 : 0;
}

/* With limit_hard=64M: not more than that, and all of it again afterwards. */
static int child_limit(void)
{
	static void *objs[200];
	unsigned int round, n, first = 0;

	for (round = 0; round < 3; round++) {
		errno = 0;
		for (n = 0; n < 200 && (objs[n] = kspan_alloc(MIB, GFP_KERNEL)); n++)
			*(char *)objs[n] = 1;
		if (n < 32 || n > 64 || errno != ENOMEM)
			return 2;
		if (kspan_alloc(MIB, GFP_KERNEL))
			return 3;
		if (round && n < first)
			return 4;
		first = n;
		kspan_free_bulk(n, objs);
	}
	return kspan_verify() ? 5 : 0;
}

/* With a soft limit: nothing fails, and idle memory goes back near it. */
static int child_soft_limit(void)
{
	static struct kspan_stats stats;
	static void *objs[64];
	unsigned int round, i;

	for (round = 0; round < 6; round++) {
		size_t size = (round + 2) * 100000;

		for (i = 0; i < 64; i++) {
			objs[i] = kspan_alloc(size, GFP_KERNEL);
			if (!objs[i])
				return 2;
			memset(objs[i], 1, size);
		}
		kspan_free_bulk(64, objs);
	}
	kspan_get_stats(&stats);
	return stats.nscavenged_bytes ? 0 : 3;
}

static int child_no_cache(void)
{
	static struct kspan_stats stats;
	static void *objs[1000];
	unsigned int i;

	for (i = 0; i < 1000; i++)
		objs[i] = kspan_alloc(1000, GFP_KERNEL);
	kspan_free_bulk(1000, objs);
	kspan_get_stats(&stats);
	if (stats.cached_bytes > 200000)
		return 2;
	return kspan_verify() ? 3 : 0;
}

#define DATA_FD	"KSPAN_TEST_FD"

/* In a process that has no standard error: its first file gets that number. */
static int child_file(void)
{
	if (child_use())
		return 2;
	if (dup(atoi(getenv(DATA_FD))) != STDERR_FILENO)
		return 3;
	return write(STDERR_FILENO, "data", 4) == 4 ? 0 : 4;
}

/* What such a program wrote is all there is in its file. */
static int child_no_stderr(void)
{
	int status, fd = memfd_create("data", 0);
	char name[16];
	pid_t pid = fork();

	if (!pid) {
		close(STDERR_FILENO);
		snprintf(name, sizeof(name), "%d", fd);
		setenv(DATA_FD, name, 1);
		setenv(CHILD_ACTION, "file", 1);
		/* where coverage is counted, its file would be the first */
		setenv("LLVM_PROFILE_FILE", "/dev/null", 1);
		execl("/proc/self/exe", "/proc/self/exe", NULL);
		_exit(126);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return 2;
	return lseek(fd, 0, SEEK_END) == 4 ? 0 : 3;
}

static int child_main(const char *action)
{
	if (!strcmp(action, "file"))
		return child_file();
	if (!strcmp(action, "no stderr"))
		return child_no_stderr();
	if (!strcmp(action, "limit"))
		return child_limit();
	if (!strcmp(action, "soft limit"))
		return child_soft_limit();
	if (!strcmp(action, "no cache"))
		return child_no_cache();
	return child_use();
}

/* In the test */

static struct child child;

TEST(legal)
{
	static const char *const legal[] = {
		NULL, "", "checked=0", "checked=1", "on_error=abort", "on_error=warn",
		"limit_soft=0", "limit_soft=1G", "limit_soft=1g", "limit_soft=1048576",
		"limit_hard=2T", "limit_soft=1G,limit_hard=1G", "limit_soft=2G,limit_hard=0",
		"cache=0", "cache=1M", "cache=4K", "epoch_ms=0", "epoch_ms=1",
		"epoch_ms=86400000", "thp=default", "thp=always", "thp=never", "junk=0", "junk=1",
		"poison=0", "poison=1",
		"zero=0", "zero=on_free", "background=0", "background=1",
		"checked=0,checked=1", "checked=1,on_error=warn,epoch_ms=10",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(legal); i++) {
		child_run(&child, "use", legal[i], NULL);
		EXPECT_EQ(child.status, 0)
			TH_LOG("%s: %s", legal[i], child.text);
		EXPECT_STREQ(child.text, "")
			TH_LOG("%s: %s", legal[i], child.text);
	}
}

TEST(refused)
{
	static const struct {
		const char *options;
		const char *named;
	} bad[] = {
		{ "bogus=1", "bogus" },
		{ "checked=1,bogus=1", "bogus" },
		{ "Checked=1", "Checked" },
		{ "checke=1", "checke" },
		{ "checkedd=1", "checkedd" },
		{ "checked", "checked" },
		{ "checked=", "checked=" },
		{ "checked=2", "checked=2" },
		{ "checked=yes", "checked=yes" },
		{ "checked=11", "checked=11" },
		{ "checked=1 ", "checked=1 " },
		{ " checked=1", " checked" },
		{ "on_error=maybe", "on_error=maybe" },
		{ "on_error=", "on_error=" },
		{ "limit_soft=-1", "limit_soft=-1" },
		{ "limit_soft=1000", "limit_soft=1000" },
		{ "limit_soft=1X", "limit_soft=1X" },
		{ "limit_soft=1MM", "limit_soft=1MM" },
		{ "limit_soft=M", "limit_soft=M" },
		{ "limit_soft=0x100000", "limit_soft=0x100000" },
		{ "limit_soft=99999999999999999999", "limit_soft=99999999999999999999" },
		{ "limit_soft=18446744073709551616", "limit_soft=18446744073709551616" },
		{ "limit_hard=16777216T", "limit_hard=16777216T" },
		{ "limit_hard=9223372036854775808", "limit_hard=9223372036854775808" },
		{ "limit_soft=2G,limit_hard=1G", "limit_soft" },
		{ "cache=2G", "cache=2G" },
		{ "cache=1.5M", "cache=1.5M" },
		{ "epoch_ms=86400001", "epoch_ms=86400001" },
		{ "epoch_ms=1s", "epoch_ms=1s" },
		{ "stats_exit=on", "stats_exit=on" },
		{ "thp=sometimes", "thp=sometimes" },
		{ "thp=", "thp=" },
		{ "junk=2", "junk=2" },
		{ "zero=1", "zero=1" },
		{ "zero=on_malloc", "zero=on_malloc" },
		{ "background=no", "background=no" },
		{ ",", "empty" },
		{ ",checked=1", "empty" },
		{ "checked=1,", "empty item in \"checked=1,\"" },
		{ "checked=1,,on_error=warn", "empty item in \"checked=1,,on_error=warn\"" },
		{ "=1", "=1" },
		{ "checked:1", "checked:1" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		child_run(&child, "use", bad[i].options, NULL);
		EXPECT_EQ(child.status, 127)
			TH_LOG("%s: %s", bad[i].options, child.text);
		EXPECT_EQ(child_reports(&child), 1)
			TH_LOG("%s: %s", bad[i].options, child.text);
		EXPECT_NE(strstr(child.text, "KSPAN_OPTIONS"), NULL)
			TH_LOG("%s: %s", bad[i].options, child.text);
		EXPECT_NE(strstr(child.text, bad[i].named), NULL)
			TH_LOG("%s: %s", bad[i].options, child.text);
	}
}

/* A value that is long is named as far as a line goes, and no further. */
TEST(refused_long)
{
	static char options[4000];

	memset(options, 'x', sizeof(options) - 1);
	child_run(&child, "use", options, NULL);
	ASSERT_EQ(child.status, 127);
	ASSERT_EQ(child_reports(&child), 1);
	ASSERT_LT(strlen(child.text), 1000);
}

TEST(hard_limit)
{
	child_run(&child, "limit", "limit_hard=64M", NULL);
	ASSERT_EQ(child.status, 0)
		TH_LOG("%s", child.text);
	child_run(&child, "limit", "limit_hard=64M,checked=1", NULL);
	ASSERT_EQ(child.status, 0)
		TH_LOG("%s", child.text);
}

TEST(soft_limit)
{
	child_run(&child, "soft limit", "limit_soft=16M,epoch_ms=0", NULL);
	ASSERT_EQ(child.status, 0)
		TH_LOG("%s", child.text);
}

TEST(cache_budget)
{
	child_run(&child, "no cache", "cache=0", NULL);
	ASSERT_EQ(child.status, 0)
		TH_LOG("%s", child.text);
	child_run(&child, "no cache", "cache=64K", NULL);
	ASSERT_EQ(child.status, 0)
		TH_LOG("%s", child.text);
}

TEST(stats_exit)
{
	child_run(&child, "use", "stats_exit=1", NULL);
	ASSERT_EQ(child.status, 0);
	ASSERT_NE(strstr(child.text, "kspan"), NULL)
		TH_LOG("%s", child.text);
	child_run(&child, "no stderr", "stats_exit=1", NULL);
	ASSERT_EQ(child.status, 0);
}

TEST_HARNESS_MAIN
