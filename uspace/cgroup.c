// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The memory limit of the container: the least of the limits of the control group
 * that the process is in and of those above it, version 2 or 1.
 *
 * A heap for which no soft limit was asked takes nine tenths of it for one: near
 * it idle memory goes back before more is taken, where the kernel would otherwise
 * kill. A tenth is left for what is not the heap's: stacks, code, page tables,
 * sockets. It is looked up when the scavenger's thread starts, so a short program
 * reads none of these files.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "port.h"

#define NONE		UINT64_MAX
#define PATH_LEN	1024

/* Reads at most @len - 1 bytes of a small file as a string; false: there is none. */
static bool read_text(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, len - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* The number in a file; "max", an absurd one (version 1's none), or no file: NONE. */
static u64 read_limit(const char *dir, size_t len, const char *file)
{
	char path[PATH_LEN], text[32];
	u64 n = 0;
	char *s;

	if (snprintf(path, sizeof(path), "%.*s%s", (int)len, dir, file) >= (int)sizeof(path) ||
	    !read_text(path, text, sizeof(text)))
		return NONE;
	for (s = text; *s >= '0' && *s <= '9' && n < (u64)1 << 58; s++)
		n = n * 10 + (*s - '0');
	return s == text || n >= (u64)1 << 58 ? NONE : n;
}

/* The least limit of the directory @top + @group and of those above it to @top. */
static u64 least_limit(const char *top, const char *group, const char *file)
{
	char dir[PATH_LEN];
	size_t len, root = strlen(top);
	u64 least = NONE;

	if (snprintf(dir, sizeof(dir), "%s%s", top, group) >= (int)sizeof(dir))
		return NONE;
	for (len = strlen(dir); len >= root; len--)
		if (len == root || !dir[len] || dir[len] == '/')
			least = min(least, read_limit(dir, len, file));
	return least;
}

/* Whether a line of /proc/self/cgroup names the version 1 hierarchy of memory. */
static bool is_memory_v1(const char *line)
{
	const char *s = strchr(line, ':');
	const char *end = s ? strchr(s + 1, ':') : NULL;

	while (end && s < end) {
		size_t n = strcspn(++s, ",:");

		if (n == 6 && !memcmp(s, "memory", 6))
			return true;
		s += n;
	}
	return false;
}

/**
 * port_cgroup_limit - bytes that the process's control groups let it have
 * @self: /proc/self/cgroup, or a file like it
 * @top: where control groups are mounted: /sys/fs/cgroup
 *
 * Return: the bytes, UINT64_MAX when there is no limit.
 */
u64 port_cgroup_limit(const char *self, const char *top)
{
	char text[2048], v1[PATH_LEN], *line, *next;
	u64 least = NONE;

	if (!read_text(self, text, sizeof(text)))
		return NONE;
	for (line = text; *line; line = next) {
		const char *group = NULL;

		next = strchrnul(line, '\n');
		if (*next)
			*next++ = 0;
		if (!strncmp(line, "0::", 3))
			least = min(least, least_limit(top, line + 3, "/memory.max"));
		else if (is_memory_v1(line))
			group = strchr(strchr(line, ':') + 1, ':') + 1;
		if (group && snprintf(v1, sizeof(v1), "%s/memory", top) < (int)sizeof(v1))
			least = min(least, least_limit(v1, group, "/memory.limit_in_bytes"));
	}
	return least;
}

/* Unless the user has set a soft limit. errno is the caller's to keep. */
void port_cgroup_adopt(struct kspan_heap *heap)
{
	u64 limit;

	if (kspan_limit_given)
		return;
	limit = port_cgroup_limit("/proc/self/cgroup", "/sys/fs/cgroup");
	if (limit != NONE)
		port_store(&heap->config.limit_soft, (size_t)(limit / 10 * 9));
}
