/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * For tests of malloc(): the whole program once more in a process of its own, where
 * the C library registers no rseq, so that the threads' slots are what is tested.
 */
#ifndef AGAIN_H
#define AGAIN_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGAIN		"KSPAN_TEST_AGAIN"
#define WITHOUT_RSEQ	"glibc.pthread.rseq=0"

/* Whether this process is the second one. */
static inline int is_again(void)
{
	return getenv(AGAIN) != NULL;
}

/*
 * Run it. What it prints comes as comments, or its results would be counted as this
 * program's. Returns its wait status; -1: it did not run.
 */
static inline int run_again(void)
{
	int status, out[2];
	char line[4096];
	FILE *lines;
	pid_t pid;

	if (pipe(out))
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		setenv("GLIBC_TUNABLES", WITHOUT_RSEQ, 1);
		setenv(AGAIN, "1", 1);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		execl("/proc/self/exe", "/proc/self/exe", NULL);
		_exit(126);
	}
	close(out[1]);
	lines = fdopen(out[0], "r");
	while (lines && fgets(line, sizeof(line), lines))
		fprintf(stderr, "# | %s", line);
	if (lines)
		fclose(lines);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

#endif /* AGAIN_H */
