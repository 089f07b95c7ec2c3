/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef TEST_NUMA_H
#define TEST_NUMA_H

extern const struct api_test numa_tests[];
extern const unsigned int n_numa_tests;

#endif /* TEST_NUMA_H */
