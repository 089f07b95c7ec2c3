// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Allocation and free in NMIs, which come at any place of the allocator: CPUs
 * allocate and free, and get NMIs from one another meanwhile. x86, where one CPU
 * can send another an NMI and a module can handle it.
 */
#define pr_fmt(fmt) "kspan_test: " fmt

#include <linux/module.h>

#include <kspan.h>
#include "test_kmod.h"

#ifdef CONFIG_X86

#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/smp.h>
#include <asm/apic.h>
#include <asm/nmi.h>

#define NMI_KEPT	64

static cpumask_t nmi_wanted;
static void *nmi_kept[NMI_KEPT];	/* from hand to hand */
static atomic_t nmi_seen, nmi_got;

static const size_t nmi_sizes[] = { 8, 64, 100, 1000, 5000, 20000, 50000 };

/* Whatever was interrupted: some objects of any sizes, for others to free. */
static int nmi_handler(unsigned int cmd, struct pt_regs *regs)
{
	u32 r, i;

	if (!cpumask_test_and_clear_cpu(raw_smp_processor_id(), &nmi_wanted))
		return NMI_DONE;
	r = atomic_inc_return(&nmi_seen) * 2654435761u;
	for (i = 0; i < 8; i++, r = r * 1664525 + 1013904223) {
		size_t size = nmi_sizes[(r >> 8) % ARRAY_SIZE(nmi_sizes)];
		u8 *obj = kspan_alloc_nolock(size, 0);

		if (obj) {
			obj[0] = obj[size - 1] = i;
			atomic_inc(&nmi_got);
		}
		kspan_free_nolock(xchg(&nmi_kept[(r >> 16) % NMI_KEPT], obj));
	}
	return NMI_HANDLED;
}

/* What the apic's driver offers; newer kernels may not let modules have it. */
static bool nmi_send(const struct apic *driver, int cpu)
{
	cpumask_set_cpu(cpu, &nmi_wanted);
	driver->send_IPI(cpu, NMI_VECTOR);
	return true;
}

/**
 * nmi_storm - interrupt all CPUs by NMIs for a while
 * @ms: how long
 *
 * Return: 0; 1: there is no way to send any; else the line that is not as it
 * should be.
 */
int nmi_storm(unsigned int ms)
{
	struct apic **driver = symbol_get(apic);
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	int cpu, err;

	if (!driver)
		return 1;
	err = register_nmi_handler(NMI_LOCAL, nmi_handler, 0, "kspan_test");
	while (!err && time_before(jiffies, end)) {
		cpus_read_lock();
		for_each_online_cpu(cpu)
			nmi_send(*driver, cpu);
		cpus_read_unlock();
		usleep_range(50, 200);
	}
	msleep(20);	/* those that are on their way */
	if (!err)
		unregister_nmi_handler(NMI_LOCAL, "kspan_test");
	symbol_put(apic);
	for (cpu = 0; cpu < NMI_KEPT; cpu++)
		kspan_free_nolock(xchg(&nmi_kept[cpu], NULL));
	pr_info("# %d NMIs got %d objects\n", atomic_read(&nmi_seen), atomic_read(&nmi_got));
	if (err)
		return __LINE__;
	return atomic_read(&nmi_seen) && atomic_read(&nmi_got) ? 0 : __LINE__;
}

#else

int nmi_storm(unsigned int ms)
{
	return 1;
}

#endif
