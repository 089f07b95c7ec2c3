// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The tracepoints' other half: what port_os.h calls when one of them is on, out
 * of the way of the paths that it is inlined into.
 */
#include <kspan/heap.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Out of line and seldom run, so each may cost its own frame. */

void __cold port_trace_alloc(unsigned long caller, const void *ptr, size_t size, gfp_t gfp,
			     bool noscan)
{
	/* who asked for memory and got none is in the count of failures */
	if (!ZERO_OR_NULL_PTR(ptr))
		trace_kspan_alloc(caller, ptr, size, kspan_size(ptr), gfp, noscan);
}

void __cold port_trace_free(unsigned long caller, const void *ptr)
{
	if (!ZERO_OR_NULL_PTR(ptr))
		trace_kspan_free(caller, ptr);
}

void __cold port_trace_refill(u32 size, u32 wanted, u32 got, int node)
{
	trace_kspan_refill(size, wanted, got, node);
}

void __cold port_trace_span_alloc(unsigned long start, size_t npages, u32 pclass, int node)
{
	trace_kspan_span_alloc(start, npages, pclass, node);
}

void __cold port_trace_span_free(unsigned long start, size_t npages, u32 pclass, int node)
{
	trace_kspan_span_free(start, npages, pclass, node);
}
