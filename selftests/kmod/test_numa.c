// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * NUMA in a real kernel, run where there are two nodes with memory and CPUs: objects
 * lie on the node asked for, refills are local, remote frees go home, and
 * __GFP_THISNODE is obeyed when the node is full.
 */
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

#include <kspan.h>
#include "api_tests.h"
#include "test_numa.h"

#define NOBJS	2000
#define SIZE	1792	/* of no other test */

static void *objs[NOBJS];

static int nid_of(const void *obj)
{
	return page_to_nid(virt_to_page(obj));
}

static int numa_nodes_asked_for(void)
{
	static const size_t sizes[] = { 8, 100, 4096, 32768, 40000, 1 << 20 };
	unsigned int i;
	int node;

	for_each_node_state(node, N_MEMORY)
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			void *obj = kspan_zalloc_node(sizes[i], GFP_KERNEL | __GFP_THISNODE, node);
			int nid = obj ? nid_of(obj) : -1;

			kspan_free(obj);
			if (nid != node)
				return __LINE__;
		}
	return 0;
}

static long take_local(void *arg)
{
	unsigned int i;

	for (i = 0; i < NOBJS; i++) {
		objs[i] = kspan_alloc(SIZE, GFP_KERNEL);
		if (!objs[i] || nid_of(objs[i]) != (long)arg)
			return __LINE__;
	}
	return 0;
}

static long give_back(void *unused)
{
	unsigned int i;

	for (i = 0; i < NOBJS; i++) {
		kspan_free(objs[i]);
		objs[i] = NULL;
	}
	return 0;
}

/* About how many pages of slab memory the node has. */
static long slab_pages(int node)
{
	return atomic_long_read(&NODE_DATA(node)->vm_stat[NR_SLAB_UNRECLAIMABLE_B]);
}

static int cpu_of(int node)
{
	return cpumask_first(cpumask_of_node(node));
}

/* Taken on each node's CPUs, freed on the other's: the memory is where it was. */
static int numa_local_and_home(void)
{
	int node, line;

	for_each_node_state(node, N_MEMORY) {
		long before, taken, after;

		kspan_release_memory();
		before = slab_pages(node);
		line = work_on_cpu(cpu_of(node), take_local, (void *)(long)node);
		taken = slab_pages(node);
		work_on_cpu(cpu_of(next_node_in(node, node_states[N_MEMORY])), give_back, NULL);
		kspan_release_memory();
		after = slab_pages(node);
		if (line)
			return line;
		/* the counters of the CPUs may hold back some pages each */
		if (taken - before < NOBJS * SIZE / PAGE_SIZE / 2 || after - before > 200)
			return __LINE__;
	}
	return kspan_verify() ? __LINE__ : 0;
}

/*
 * Fill the last node, for which it must be small, until what may come from elsewhere
 * does: the kernel's own reclaim can give the node pages back after it was full.
 */
static int numa_full_node(void)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY;
	void **all = NULL, **obj;
	int line = 0, node = 0, n;

	for_each_node_state(n, N_MEMORY)
		node = n;
	do {
		while ((obj = kspan_alloc_node(65536, gfp | __GFP_THISNODE, node))) {
			if (nid_of(obj) != node)
				line = __LINE__;
			*obj = all;
			all = obj;
		}
		obj = kspan_alloc_node(65536, gfp, node);
		if (!all || !obj) {
			line = __LINE__;
			break;
		}
		*obj = all;
		all = obj;
	} while (nid_of(obj) == node);
	while (all) {
		obj = *all;
		kspan_free(all);
		all = obj;
	}
	kspan_release_memory();
	if (!line && kspan_alloc_node(8, gfp | __GFP_THISNODE, MAX_NUMNODES - 1))
		line = __LINE__;
	return line;
}

const struct api_test numa_tests[] = {
	{ "objects lie on the node asked for", numa_nodes_asked_for },
	{ "refills are local, remote frees go home", numa_local_and_home },
	{ "a full node fails, or another helps", numa_full_node },
};

const unsigned int n_numa_tests = ARRAY_SIZE(numa_tests);
