/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * For tests on an emulated machine: what counts as a hang there. Put before a
 * test's own source by the Makefile (SLOW=1); no test knows of it.
 */
#ifndef SLOW_H
#define SLOW_H

#include "kselftest_harness.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	600

#undef TEST_F_TIMEOUT
#define TEST_F_TIMEOUT(fixture_name, test_name, timeout)	\
	__TEST_F_IMPL(fixture_name, test_name, -1, (timeout) * 20)

#endif /* SLOW_H */
