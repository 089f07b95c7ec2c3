/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What differs between the kernels that kspan is built for, 6.1 and newer.
 * The one place that looks at LINUX_VERSION_CODE.
 */
#ifndef KSPAN_COMPAT_H
#define KSPAN_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

/* 6.7 allocates shrinkers itself, so that they can be freed by RCU. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)

/* One that is called for each NUMA node by itself. */
static inline struct shrinker *compat_shrinker_alloc(const char *name)
{
	return shrinker_alloc(SHRINKER_NUMA_AWARE, "%s", name);
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

/* One that is called for each NUMA node by itself. */
static inline struct shrinker *compat_shrinker_alloc(const char *name)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (shrinker)
		shrinker->flags = SHRINKER_NUMA_AWARE;
	return shrinker;
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

/* 6.13 has one call for what were two steps; 6.15 has no other. */
static inline void compat_hrtimer_setup(struct hrtimer *timer,
					enum hrtimer_restart (*fn)(struct hrtimer *timer),
					enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(timer, fn, CLOCK_MONOTONIC, mode);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, mode);
	timer->function = fn;
#endif
}

/*
 * KASAN's function is exported, for its own tests, but the header is not for modules.
 * The same from 6.1 to 7.2; later ones export it to GPL modules. The values
 * are those of the generic KASAN: a shadow byte of 0 says that all 8 bytes may be used.
 */
#define COMPAT_KASAN_SLAB_FREE	0xfb	/* a report says use-after-free */

void kasan_poison(const void *addr, size_t size, u8 value, bool init);

static inline void compat_kasan_poison(const void *addr, size_t size)
{
	kasan_poison(addr, size, COMPAT_KASAN_SLAB_FREE, false);
}

static inline void compat_kasan_unpoison(const void *addr, size_t size)
{
	kasan_poison(addr, size, 0, false);
}

#endif /* KSPAN_COMPAT_H */
