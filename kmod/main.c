// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * kspan.ko: its parameters, its beginning and end. See core/alloc.c for the
 * allocator and port.c for what the kernel gives it.
 */
#define pr_fmt(fmt) "kspan: " fmt

#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/sizes.h>

#include <kspan/heap.h>
#include "kmod.h"
#include "params.h"

/* What one CPU's stack of one class may hold: enough for a word of a bitmap. */
#define STACK_BYTES	SZ_128K
#define STACK_OBJS	64
#define TRANSFER_BYTES	SZ_1M
#define TRANSFER_OBJS	1024

static struct param_range cache_kib = { "cache_kib", 256, 16, 65536 };
static struct param_range epoch_ms = { "epoch_ms", 1000, 10, 3600000, true };
static struct param_range limit_soft = { "limit_soft", 0, SZ_1M, LONG_MAX, true };
static struct param_range limit_hard = { "limit_hard", 0, SZ_1M, LONG_MAX, true };

/*
 * What is written to a parameter acts on the heap. Their files are there before kspan_init()
 * and until after kspan_exit(); kernel_param_lock(), which whoever writes holds, keeps both
 * from a heap that is half made or gone.
 */
bool kspan_params_act;

static int limits_check(void)
{
	if (!limit_soft.value || !limit_hard.value || limit_soft.value <= limit_hard.value)
		return 0;
	pr_err("limit_soft=%lu: must not be above limit_hard=%lu\n",
	       limit_soft.value, limit_hard.value);
	return -EINVAL;
}

/* The limits can be changed while the heap is in use. */
static int limits_apply(void)
{
	if (!kspan_params_act)
		return 0;	/* kspan_init() will look, when all parameters are there */
	if (limits_check())
		return -EINVAL;
	port_store(&kspan_heap0.config.limit_soft, limit_soft.value);
	port_store(&kspan_heap0.config.limit_hard, limit_hard.value);
	/* they are taken without a look at the limits */
	heap_drop_spares(&kspan_heap0);
	port_kick(&kspan_heap0);
	return 0;
}

static int param_set_range(const char *val, const struct kernel_param *kp)
{
	struct param_range *range = kp->arg;
	unsigned long old = range->value;
	int err = param_range_set(range, val);

	if (err)
		return err;
	err = limits_apply();
	if (err)
		range->value = old;
	return err;
}

static int param_get_range(char *buffer, const struct kernel_param *kp)
{
	const struct param_range *range = kp->arg;

	return sysfs_emit(buffer, "%lu\n", range->value);
}

static const struct kernel_param_ops param_range_ops = {
	.set = param_set_range,
	.get = param_get_range,
};

module_param_cb(cache_kib, &param_range_ops, &cache_kib, 0444);
MODULE_PARM_DESC(cache_kib, "KiB of free objects that one CPU may keep, 16 to 65536 (default 256)");
module_param_cb(epoch_ms, &param_range_ops, &epoch_ms, 0444);
MODULE_PARM_DESC(epoch_ms, "idle pages go back after one to two times this many ms, 10 to 3600000; 0: only under pressure (default 1000)");
module_param_cb(limit_soft, &param_range_ops, &limit_soft, 0644);
MODULE_PARM_DESC(limit_soft, "bytes (K, M, G may follow) above which idle pages go back before more are taken, from 1M; 0: none (default)");
module_param_cb(limit_hard, &param_range_ops, &limit_hard, 0644);
MODULE_PARM_DESC(limit_hard, "bytes (K, M, G may follow) above which allocations fail, from 1M; 0: none (default)");

/* A checked heap knows who allocated each object: say so when a module leaves some. */

static bool site_is_of_module(uintptr_t site, void *mod)
{
	return within_module(site, mod);
}

/*
 * In the text of a module's __init, which is gone as soon as the module is there:
 * what it allocated is the module's from then on ("__this_module" in a report).
 */
static bool site_is_of_init(uintptr_t site, void *mod)
{
	return within_module_init(site, mod);
}

static int module_notify(struct notifier_block *nb, unsigned long state, void *data)
{
	struct module *mod = data;
	u64 n;

	if (!heap_checked(&kspan_heap0))
		return NOTIFY_DONE;
	if (state == MODULE_STATE_LIVE)
		heap_rename_sites(&kspan_heap0, site_is_of_init, mod, (uintptr_t)mod);
	if (state != MODULE_STATE_GOING)
		return NOTIFY_DONE;
	kspan_rcu_barrier();
	n = heap_leaks_of(&kspan_heap0, site_is_of_module, mod, false);
	if (!n)
		return NOTIFY_DONE;
	pr_err("%s goes and leaves %llu objects:\n", mod->name, n);
	heap_leaks_of(&kspan_heap0, site_is_of_module, mod, true);
	/* the next module may lie where this one did */
	heap_rename_sites(&kspan_heap0, site_is_of_module, mod, 0);
	return NOTIFY_OK;
}

static struct notifier_block module_nb = {
	.notifier_call = module_notify,
};

static int __init heap0_start(void)
{
	struct kspan_config config = {
		.source = &kspan_page_source,
		.limit_soft = limit_soft.value,
		.limit_hard = limit_hard.value,
		.cache_bytes = cache_kib.value * SZ_1K,
		.stack_bytes = STACK_BYTES,
		.stack_objs = STACK_OBJS,
		.transfer_bytes = TRANSFER_BYTES,
		.transfer_objs = TRANSFER_OBJS,
		.spares = true,
		.epoch_ms = epoch_ms.value,
		.nr_nodes = nr_node_ids,
	};
	int err;

	kspan_debug_config(&config.debug);
	cpus_read_lock();	/* for port_set_checked() */
	err = heap_init(&kspan_heap0, &config);
	cpus_read_unlock();
	return err;
}

/* From here on parameters act. */
static int __init params_start(void)
{
	int err;

	kernel_param_lock(THIS_MODULE);
	err = limits_check() ?: heap0_start();
	kspan_params_act = !err;
	kernel_param_unlock(THIS_MODULE);
	return err;
}

static void params_stop(void)
{
	kernel_param_lock(THIS_MODULE);
	kspan_params_act = false;
	kernel_param_unlock(THIS_MODULE);
}

/* What is still out at the end is lost; that is said, and no harm done. */
static void heap0_stop(void)
{
	size_t nbytes;
	u64 n;

	/* objects in a CPU's cache would look like leaks */
	heap_release_memory(&kspan_heap0);
	kspan_guards_stop();
	n = heap_leaks(&kspan_heap0, false);
	if (n) {
		pr_err("%llu objects were never freed:\n", n);
		heap_leaks(&kspan_heap0, true);
	}
	nbytes = heap_destroy(&kspan_heap0);
	if (nbytes)
		pr_err("%zu bytes are lost until the next boot\n", nbytes);
}

static int __init kspan_init(void)
{
	int err = params_check(THIS_MODULE);

	if (err)
		return err;
	err = port_start();
	if (err)
		return err;
	err = params_start();
	if (err)
		goto err_port;
	err = kspan_shrinker_start();
	if (err)
		goto err_heap;
	err = register_module_notifier(&module_nb);
	if (err)
		goto err_shrinker;
	kspan_debugfs_start();
	return 0;

err_shrinker:
	kspan_shrinker_stop();
err_heap:
	params_stop();
	port_kick_stop();
	heap0_stop();
err_port:
	port_stop();
	return err;
}

static void __exit kspan_exit(void)
{
	kspan_debugfs_stop();
	params_stop();
	unregister_module_notifier(&module_nb);
	kspan_shrinker_stop();
	/* objects on their way through RCU, then its callbacks into this module */
	kspan_rcu_barrier();
	rcu_barrier();
	port_kick_stop();
	heap0_stop();
	port_stop();
}

module_init(kspan_init);
module_exit(kspan_exit);

MODULE_DESCRIPTION("Go's allocator: spans, size classes, per-CPU caches");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_VERSION("0.1.0");
