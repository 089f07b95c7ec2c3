// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * fork() in a signal handler that interrupted fork().
 *
 * glibc lets that be in a process with one thread: its fork() then takes no lock.
 * With more it takes the one of the atfork handlers, and the handler's fork() waits
 * for that of the thread it interrupted, for ever. The scavenger's thread must not
 * be what brings a program there. So where it was the first thread besides main(),
 * signals wait until a fork() is done: no handler finds it half done.
 *
 * What else of glibc's fork() is then different from a process with one thread: a
 * handler that forks and interrupted pthread_atfork(), dlclose(), or a look-up in the
 * name service waits for a lock as well. Nothing here helps with that.
 */
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>
#include "port.h"

#define EXPORT	__attribute__((visibility("default")))

/* glibc's own name of it, which an archive finds as well. */
pid_t __fork(void);

/* A program linked with the archive has no other. */
#pragma weak dlsym

static pid_t (*next_fork)(void) = __fork;

/* Before there is a handler: dlsym() takes locks. Somebody else may wrap fork(), too. */
__attribute__((constructor(104))) static void fork_start(void)
{
	pid_t (*next)(void) = NULL;

	if (dlsym)
		next = (pid_t (*)(void))dlsym(RTLD_NEXT, "fork");
	if (next)
		next_fork = next;
}

EXPORT pid_t fork(void)
{
	sigset_t all, old;
	pid_t pid;

	if (likely(!port_load(&port_background_first)))
		return next_fork();
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pid = next_fork();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}
