/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the C library's malloc tests use of its own test support, for a build
 * without the rest of its tree: all in one header, which the names of the real ones
 * lead to. See ../run.sh.
 */
#ifndef GLIBC_SHIM_H
#define GLIBC_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT		20
#define MALLOC_ALIGNMENT	16
#define MALLOC_ALIGN_MASK	(MALLOC_ALIGNMENT - 1)

#define array_length(a)	(sizeof(a) / sizeof((a)[0]))
#define array_end(a)	((a) + array_length(a))

#define DIAG_PUSH_NEEDS_COMMENT
#define DIAG_POP_NEEDS_COMMENT
#define DIAG_IGNORE_NEEDS_COMMENT(version, option)

static int shim_failed __attribute__((unused));
static int test_verbose __attribute__((unused));

#define TEST_VERIFY(cond)						\
	((cond) ? (void)0 :						\
	 (void)(shim_failed = 1,					\
		printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #cond)))
#define TEST_VERIFY_EXIT(cond)						\
	((cond) ? (void)0 :						\
	 (printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #cond), exit(1)))
#define TEST_COMPARE(a, b)	TEST_VERIFY((a) == (b))
#define TEST_COMPARE_BLOB(a, n, b, m)					\
	TEST_VERIFY((n) == (m) && !memcmp(a, b, n))
#define FAIL(...)		(shim_failed = 1, printf(__VA_ARGS__), (void)puts(""))
#define FAIL_RET(...)		do { FAIL(__VA_ARGS__); return 1; } while (0)
#define FAIL_EXIT(code, ...)	(printf(__VA_ARGS__), puts(""), exit(code))
#define FAIL_EXIT1(...)		FAIL_EXIT(1, __VA_ARGS__)
#define FAIL_UNSUPPORTED(...)	FAIL_EXIT(77, __VA_ARGS__)
#define EXIT_UNSUPPORTED	77

/* A call that returns 0, or ends the test. */
#define SHIM(call)		do { if ((call) != 0) FAIL_EXIT1("%s failed", #call); } while (0)

#define xpthread_barrier_init(...)	SHIM(pthread_barrier_init(__VA_ARGS__))
#define xpthread_barrier_destroy(b)	SHIM(pthread_barrier_destroy(b))
#define xpthread_barrierattr_init(a)	SHIM(pthread_barrierattr_init(a))
#define xpthread_barrierattr_destroy(a)	SHIM(pthread_barrierattr_destroy(a))
#define xpthread_barrierattr_setpshared(a, v)	SHIM(pthread_barrierattr_setpshared(a, v))
#define xpthread_kill(thread, sig)	SHIM(pthread_kill(thread, sig))

static inline int xpthread_barrier_wait(pthread_barrier_t *barrier)
{
	int ret = pthread_barrier_wait(barrier);

	if (ret && ret != PTHREAD_BARRIER_SERIAL_THREAD)
		FAIL_EXIT1("pthread_barrier_wait: %d", ret);
	return ret;
}

static inline pthread_t xpthread_create(pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	SHIM(pthread_create(&thread, attr, fn, arg));
	return thread;
}

static inline void *xpthread_join(pthread_t thread)
{
	void *ret;

	SHIM(pthread_join(thread, &ret));
	return ret;
}

static inline void *shim_not_null(void *p)
{
	if (!p || p == MAP_FAILED)
		FAIL_EXIT1("a call gave nothing: %m");
	return p;
}

#define xmalloc(n)			shim_not_null(malloc(n))
#define xcalloc(n, size)		shim_not_null(calloc(n, size))
#define xrealloc(p, n)			shim_not_null(realloc(p, n))
#define xmmap(addr, n, prot, flags, fd)	shim_not_null(mmap(addr, n, prot, flags, fd, 0))
#define xmunmap(addr, n)		SHIM(munmap(addr, n))

static inline int shim_not_negative(int ret)
{
	if (ret < 0)
		FAIL_EXIT1("a call failed: %m");
	return ret;
}

#define xfork()				shim_not_negative(fork())
#define xopen(...)			shim_not_negative(open(__VA_ARGS__))
#define xclose(fd)			shim_not_negative(close(fd))
#define xwaitpid(...)			shim_not_negative(waitpid(__VA_ARGS__))

static inline void xsignal(int sig, void (*handler)(int))
{
	if (signal(sig, handler) == SIG_ERR)
		FAIL_EXIT1("signal: %m");
}

static inline void write_message(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(1);
}

static inline void ignore_stderr(void)
{
}

static inline void *support_shared_allocate(size_t n)
{
	return shim_not_null(mmap(NULL, n, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

#define support_shared_free(p)		((void)(p))

static inline int create_temp_file(const char *base, char **name)
{
	char *path = shim_not_null(malloc(256));

	snprintf(path, 256, "/tmp/%sXXXXXX", base);
	if (name)
		*name = path;
	return shim_not_negative(mkstemp(path));
}

#endif /* GLIBC_SHIM_H */
