/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What kspan_test.ko does when it is told provoke=NAME: provoke.c. */
#ifndef PROVOKE_H
#define PROVOKE_H

int provoke(const char *name);

#endif /* PROVOKE_H */
