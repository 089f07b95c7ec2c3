/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The few types and flags that the public API needs, in either world.
 *
 * In a module they are the kernel's own. A program gets the same names here:
 * gfp_t and the GFP_* flags so that one source file compiles in both worlds.
 * Of the flags only __GFP_ZERO, and __GFP_NOFAIL at a hard limit, mean something
 * in userspace.
 */
#ifndef KSPAN_TYPES_H
#define KSPAN_TYPES_H

#ifdef __KERNEL__

#include <linux/gfp.h>
#include <linux/slab.h>
#include <linux/types.h>

#else /* !__KERNEL__ */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

typedef unsigned int gfp_t;

#define __GFP_HIGH		0x20u
#define __GFP_ZERO		0x100u
#define __GFP_DIRECT_RECLAIM	0x400u
#define __GFP_KSWAPD_RECLAIM	0x800u
#define __GFP_NOWARN		0x2000u
#define __GFP_NOFAIL		0x8000u
#define __GFP_RECLAIM		(__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define __GFP_IO		0x40u
#define __GFP_FS		0x80u
#define __GFP_THISNODE		0x200000u
#define __GFP_ACCOUNT		0x400000u

#define GFP_ATOMIC		(__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL		(__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOWAIT		__GFP_KSWAPD_RECLAIM
#define GFP_NOIO		__GFP_RECLAIM
#define GFP_NOFS		(__GFP_RECLAIM | __GFP_IO)

#ifndef NUMA_NO_NODE
#define NUMA_NO_NODE		(-1)
#endif

/* What an allocation of zero bytes returns: not NULL, not to be read. */
#define ZERO_SIZE_PTR		((void *)16)
#define ZERO_OR_NULL_PTR(x)	((uintptr_t)(x) <= (uintptr_t)ZERO_SIZE_PTR)

#endif /* __KERNEL__ */

#endif /* KSPAN_TYPES_H */
