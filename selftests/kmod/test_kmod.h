/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the files of kspan_test.ko know of each other. */
#ifndef TEST_KMOD_H
#define TEST_KMOD_H

#include <linux/types.h>

/* test_nmi.c */
int nmi_storm(unsigned int ms);

/* test_replay.c */
void replay_start(void);
void replay_stop(void);

#endif /* TEST_KMOD_H */
