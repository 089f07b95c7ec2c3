// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Run a program and write what it took, it and all its children, to a file:
 *
 *	launch FILE [NAME=VALUE...] PROGRAM [ARGUMENT...]
 *
 *	wall user sys (seconds) rss (peak KiB of its largest process) status
 *
 * A process starts with the peak of the one that it was forked from, so the
 * runner, which is large, must not start the programs itself. The names are put
 * into the environment of the program alone: LD_PRELOAD is for it, not for this.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval tv)
{
	return tv.tv_sec + tv.tv_usec * 1e-6;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void become(char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* no server outlives an interrupted run */
	for (; *argv && strchr(*argv, '='); argv++)
		putenv(*argv);
	if (*argv)
		execvp(*argv, argv);
	perror(*argv ? *argv : "launch: no program");
	_exit(127);
}

int main(int argc, char **argv)
{
	double start = now();
	struct rusage used;
	int status;
	FILE *out;
	pid_t pid;

	if (argc < 3)
		return 2;
	pid = fork();
	if (pid == 0)
		become(argv + 2);
	if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
		return 1;
	out = fopen(argv[1], "w");
	if (!out)
		return 1;
	fprintf(out, "%.6f %.6f %.6f %ld %d\n", now() - start, seconds(used.ru_utime),
		seconds(used.ru_stime), used.ru_maxrss,
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return fclose(out) != 0;
}
