/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The main() that the C library's tests include at their end. TEST_FUNCTION is a
 * name in some and, with SHIM_SKELETON, a call in others. See ../run.sh.
 */
#include "shim.h"

#ifndef TIMEOUT
#define TIMEOUT		DEFAULT_TIMEOUT
#endif
#if defined(SHIM_SKELETON) && defined(TEST_FUNCTION)
#define SHIM_CALL	TEST_FUNCTION
#elif defined(TEST_FUNCTION)
#define SHIM_CALL	TEST_FUNCTION()
#else
#define SHIM_CALL	do_test()
#endif
#ifndef EXPECTED_SIGNAL
#define EXPECTED_SIGNAL	0
#endif

static void shim_expected(int sig)
{
	(void)sig;
	_exit(0);
}

int main(int argc, char **argv)
{
	int ret;

	(void)argc;
	(void)argv;
	setvbuf(stdout, NULL, _IONBF, 0);
	alarm(5 * TIMEOUT);
	if (EXPECTED_SIGNAL)
		signal(EXPECTED_SIGNAL, shim_expected);
	ret = SHIM_CALL;
	return ret ? ret : shim_failed;
}
