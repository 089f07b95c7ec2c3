/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * For tests of what ends a process: a part of the test runs in a process of its
 * own, with its own KSPAN_OPTIONS; what it wrote to stderr is kept.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_ACTION	"KSPAN_TEST_CHILD"

/**
 * struct child - how a process ended
 * @status: exit status, or 1000 + signal
 * @text: stderr
 */
struct child {
	int status;
	char text[16384];
};

/* In the child, before main(): this program's actions by name; its exit status. */
static int child_main(const char *action);

/* For make coverage: the counters' own constructor would come too late. */
#ifdef TEST_COVERAGE
void __llvm_profile_initialize(void);
#define child_counts()	__llvm_profile_initialize()
#else
#define child_counts()	((void)0)
#endif

static __attribute__((constructor)) void child_constructor(void)
{
	const char *action = getenv(CHILD_ACTION);

	if (!action)
		return;
	child_counts();
	exit(child_main(action));
}

static inline void child_read(struct child *child, int fd)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, child->text + len, sizeof(child->text) - 1 - len);
		len += n > 0 ? n : 0;
	} while (n > 0);
	child->text[len] = '\0';
}

/* Run @action of this program; @tunables for glibc or NULL. */
static inline void child_run(struct child *child, const char *action, const char *options,
			     const char *tunables)
{
	int fds[2], status;
	pid_t pid;

	if (pipe(fds))
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		setenv(CHILD_ACTION, action, 1);
		if (options)
			setenv("KSPAN_OPTIONS", options, 1);
		else
			unsetenv("KSPAN_OPTIONS");
		if (tunables)
			setenv("GLIBC_TUNABLES", tunables, 1);
		execl("/proc/self/exe", "/proc/self/exe", NULL);
		_exit(126);
	}
	close(fds[1]);
	child_read(child, fds[0]);
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	child->status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Lines of @child's stderr that kspan wrote. */
static inline unsigned int child_reports(const struct child *child)
{
	const char *line = child->text;
	unsigned int n = 0;

	while (*line) {
		n += !strncmp(line, "kspan: ", 7);
		line = strchrnul(line, '\n');
		line += *line == '\n';
	}
	return n;
}

#endif /* CHILD_H */
