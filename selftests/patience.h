/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * For all tests: what counts as a hang. On a busy machine, in a sanitizer's build, many a
 * test takes longer than the harness's 30 s. Put before a test's own source by the
 * Makefile; no test knows of it.
 */
#ifndef PATIENCE_H
#define PATIENCE_H

#include "kselftest_harness.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	500

#ifdef SLOW
#undef TEST_F_TIMEOUT
#define TEST_F_TIMEOUT(fixture_name, test_name, timeout)	\
	__TEST_F_IMPL(fixture_name, test_name, -1, (timeout) * 20)
#endif

#endif /* PATIENCE_H */
