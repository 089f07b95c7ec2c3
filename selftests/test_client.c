// SPDX-License-Identifier: GPL-2.0 OR MIT
/* client.c as a program. */
#include "kselftest.h"
#include <kspan.h>

int client_run(void);

static struct kspan_stats stats;

int main(void)
{
	ksft_print_header();
	ksft_set_plan(3);
	ksft_test_result(client_run() == 0, "the client reads what it wrote\n");
	kspan_get_stats(&stats);
	ksft_test_result(stats.nmalloc > 10000 && stats.nmalloc == stats.nfree,
			 "nothing is left allocated\n");
	ksft_test_result(kspan_verify() == 0, "the heap is sound\n");
	ksft_finished();
}
