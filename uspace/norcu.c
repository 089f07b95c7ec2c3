// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * RCU in the malloc library: there is none, for liburcu itself calls malloc().
 * The library has no object caches and no kspan_free_rcu(), so that nothing
 * gets here; core refers to it all the same.
 */
#include <stdlib.h>
#include "port.h"

static void norcu_die(void)
{
	port_report("there is no RCU in the malloc library");
	abort();
}

void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head))
{
	(void)head;
	(void)fn;
	norcu_die();
}

void port_synchronize_rcu(void)
{
	norcu_die();
}

/* Nobody waits for a grace period, so there is none to wait for. */
void port_rcu_barrier(void)
{
}
