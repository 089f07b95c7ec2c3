// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The symbols that other modules may use: all of kspan.h. They are exported
 * here, since the files of core/, which define them, know nothing of modules.
 */
#include <linux/export.h>

#include <kspan.h>

EXPORT_SYMBOL_GPL(kspan_alloc);
EXPORT_SYMBOL_GPL(kspan_zalloc);
EXPORT_SYMBOL_GPL(kspan_alloc_noscan);
EXPORT_SYMBOL_GPL(kspan_alloc_array);
EXPORT_SYMBOL_GPL(kspan_zalloc_array);
EXPORT_SYMBOL_GPL(kspan_alloc_aligned);
EXPORT_SYMBOL_GPL(kspan_alloc_node);
EXPORT_SYMBOL_GPL(kspan_zalloc_node);
EXPORT_SYMBOL_GPL(kspan_realloc);
EXPORT_SYMBOL_GPL(kspan_realloc_array);
EXPORT_SYMBOL_GPL(kspan_grow_array);
EXPORT_SYMBOL_GPL(kspan_memdup);
EXPORT_SYMBOL_GPL(kspan_strdup);
EXPORT_SYMBOL_GPL(kspan_alloc_bulk);
EXPORT_SYMBOL_GPL(kspan_free);
EXPORT_SYMBOL_GPL(kspan_free_sized);
EXPORT_SYMBOL_GPL(kspan_free_sensitive);
EXPORT_SYMBOL_GPL(kspan_free_bulk);
EXPORT_SYMBOL_GPL(kspan_free_rcu);
EXPORT_SYMBOL_GPL(kspan_rcu_barrier);
EXPORT_SYMBOL_GPL(kspan_alloc_nolock);
EXPORT_SYMBOL_GPL(kspan_zalloc_nolock);
EXPORT_SYMBOL_GPL(kspan_free_nolock);
EXPORT_SYMBOL_GPL(kspan_size);
EXPORT_SYMBOL_GPL(kspan_good_size);
EXPORT_SYMBOL_GPL(kspan_cache_create);
EXPORT_SYMBOL_GPL(kspan_cache_destroy);
EXPORT_SYMBOL_GPL(kspan_cache_alloc);
EXPORT_SYMBOL_GPL(kspan_cache_alloc_nolock);
EXPORT_SYMBOL_GPL(kspan_cache_alloc_node);
EXPORT_SYMBOL_GPL(kspan_cache_zalloc);
EXPORT_SYMBOL_GPL(kspan_cache_free);
EXPORT_SYMBOL_GPL(kspan_cache_alloc_bulk);
EXPORT_SYMBOL_GPL(kspan_cache_free_bulk);
EXPORT_SYMBOL_GPL(kspan_cache_shrink);
EXPORT_SYMBOL_GPL(kspan_reserve_prefill);
EXPORT_SYMBOL_GPL(kspan_cache_reserve_prefill);
EXPORT_SYMBOL_GPL(kspan_reserve_refill);
EXPORT_SYMBOL_GPL(kspan_reserve_alloc);
EXPORT_SYMBOL_GPL(kspan_reserve_count);
EXPORT_SYMBOL_GPL(kspan_reserve_return);
EXPORT_SYMBOL_GPL(kspan_mempool_alloc);
EXPORT_SYMBOL_GPL(kspan_mempool_free);
EXPORT_SYMBOL_GPL(kspan_mempool_alloc_sized);
EXPORT_SYMBOL_GPL(kspan_mempool_free_sized);
EXPORT_SYMBOL_GPL(kspan_get_stats);
EXPORT_SYMBOL_GPL(kspan_release_memory);
EXPORT_SYMBOL_GPL(kspan_verify);
