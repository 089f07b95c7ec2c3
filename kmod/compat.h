/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What differs between the kernels that kspan is built for, 6.1 and newer.
 * The one place that looks at LINUX_VERSION_CODE.
 */
#ifndef KSPAN_COMPAT_H
#define KSPAN_COMPAT_H

#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

/* 6.7 allocates shrinkers itself, so that they can be freed by RCU. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)

static inline struct shrinker *compat_shrinker_alloc(const char *name)
{
	return shrinker_alloc(0, "%s", name);
}

static inline int compat_shrinker_register(struct shrinker *shrinker, const char *name)
{
	shrinker_register(shrinker);
	return 0;
}

static inline void compat_shrinker_free(struct shrinker *shrinker)
{
	shrinker_free(shrinker);
}

#else

static inline struct shrinker *compat_shrinker_alloc(const char *name)
{
	return kzalloc(sizeof(struct shrinker), GFP_KERNEL);
}

/* On failure the shrinker is freed. */
static inline int compat_shrinker_register(struct shrinker *shrinker, const char *name)
{
	int err = register_shrinker(shrinker, "%s", name);

	if (err)
		kfree(shrinker);
	return err;
}

static inline void compat_shrinker_free(struct shrinker *shrinker)
{
	if (shrinker)
		unregister_shrinker(shrinker);
	kfree(shrinker);
}

#endif

#endif /* KSPAN_COMPAT_H */
