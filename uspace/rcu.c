// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * RCU for userspace: liburcu, the flavour in which threads need not register.
 * Programs that read what kspan_free_rcu() frees use the same flavour.
 */
#include <urcu/urcu-bp.h>
#include "port.h"

struct user_rcu {
	struct rcu_head head;
	void (*fn)(port_rcu_t *head);
};

_Static_assert(sizeof(struct user_rcu) <= sizeof(port_rcu_t), "port_rcu_t has room");

static void user_rcu_done(struct rcu_head *head)
{
	struct user_rcu *user = caa_container_of(head, struct user_rcu, head);

	user->fn((port_rcu_t *)user);
}

void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head))
{
	struct user_rcu *user = (struct user_rcu *)head;

	user->fn = fn;
	urcu_bp_call_rcu(&user->head, user_rcu_done);
}

void port_rcu_barrier(void)
{
	urcu_bp_barrier();
}

void port_synchronize_rcu(void)
{
	urcu_bp_synchronize_rcu();
}
