// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * RCU in the malloc library: there is none, for liburcu itself calls malloc().
 * The library has no object caches and no kspan_free_rcu(), so that nothing
 * gets here; core refers to it all the same.
 */
#include <stdlib.h>
#include "port.h"

void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head))
{
	(void)fn;
	port_report("no RCU in the malloc library (%p)", (void *)head);
	abort();
}

void port_rcu_barrier(void)
{
}
