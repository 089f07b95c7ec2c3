/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The tests of the public API, which know neither world: test_api.c runs them
 * in a program, kspan_test.ko in a kernel.
 */
#ifndef API_TESTS_H
#define API_TESTS_H

#include <kspan.h>

#ifdef __KERNEL__
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <string.h>
#include <time.h>
#define noinline __attribute__((noinline))
#define __no_sanitize_address __attribute__((no_sanitize("address")))
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif
#endif

/* A size that the compiler does not know, which would warn of it. */
static inline size_t hidden(size_t size)
{
	__asm__("" : "+r"(size));
	return size;
}

/* Let others do what they have been asked to: an interrupt, another thread. */
static inline void api_pause(void)
{
#ifdef __KERNEL__
	usleep_range(1000, 2000);
#else
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
#endif
}

/**
 * struct api_test - one test
 * @name: in the words of the API
 * @run: 0 when all is as it should be, else the line in api_tests.c that is not
 *
 * A test leaves nothing allocated, and needs the heap for itself: statistics
 * are compared before and after. Misuse must be survived (in a program:
 * KSPAN_OPTIONS=on_error=warn).
 */
struct api_test {
	const char *name;
	int (*run)(void);
};

extern const struct api_test api_tests[];
extern const unsigned int n_api_tests;

/* client.c, which has no header of ours but kspan.h */
int client_run(void);

#endif /* API_TESTS_H */
