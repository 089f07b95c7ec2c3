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

/*
 * What liburcu orders a sanitizer cannot see, as the library is not compiled
 * with one. So that the order is visible, callbacks take it from user->fn and
 * give it on through this counter.
 */
static u64 callbacks_done;

static void user_rcu_done(struct rcu_head *head)
{
	struct user_rcu *user = caa_container_of(head, struct user_rcu, head);

	/* pairs with the release in port_call_rcu() */
	port_load_acquire(&user->fn)((port_rcu_t *)user);
	/* pairs with the acquire in port_rcu_barrier() */
	__atomic_fetch_add(&callbacks_done, 1, __ATOMIC_RELEASE);
}

void port_call_rcu(port_rcu_t *head, void (*fn)(port_rcu_t *head))
{
	struct user_rcu *user = (struct user_rcu *)head;

	port_store_release(&user->fn, fn);
	urcu_bp_call_rcu(&user->head, user_rcu_done);
}

void port_rcu_barrier(void)
{
	urcu_bp_barrier();
	(void)port_load_acquire(&callbacks_done);
}

void port_synchronize_rcu(void)
{
	urcu_bp_synchronize_rcu();
}
