/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The events of kspan, in /sys/kernel/tracing/events/kspan. What they cost
 * while they are off is a nop each: port_os.h asks tracepoint_enabled(), and
 * trace.c holds the code. Documentation/debugging.rst explains the fields.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kspan

#if !defined(KSPAN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KSPAN_TRACE_H

#include <linux/tracepoint.h>
#include <linux/types.h>
#include <trace/events/mmflags.h>

TRACE_EVENT(kspan_alloc,

	TP_PROTO(unsigned long call_site, const void *ptr, size_t bytes_req,
		 size_t bytes_alloc, gfp_t gfp_flags, bool noscan),

	TP_ARGS(call_site, ptr, bytes_req, bytes_alloc, gfp_flags, noscan),

	TP_STRUCT__entry(
		__field(unsigned long,	call_site)
		__field(const void *,	ptr)
		__field(size_t,		bytes_req)
		__field(size_t,		bytes_alloc)
		__field(unsigned long,	gfp_flags)
		__field(bool,		noscan)
	),

	TP_fast_assign(
		__entry->call_site	= call_site;
		__entry->ptr		= ptr;
		__entry->bytes_req	= bytes_req;
		__entry->bytes_alloc	= bytes_alloc;
		__entry->gfp_flags	= (__force unsigned long)gfp_flags;
		__entry->noscan		= noscan;
	),

	TP_printk("call_site=%pS ptr=%p bytes_req=%zu bytes_alloc=%zu gfp_flags=%s noscan=%d",
		  (void *)__entry->call_site, __entry->ptr, __entry->bytes_req,
		  __entry->bytes_alloc, show_gfp_flags(__entry->gfp_flags), __entry->noscan)
);

TRACE_EVENT(kspan_free,

	TP_PROTO(unsigned long call_site, const void *ptr),

	TP_ARGS(call_site, ptr),

	TP_STRUCT__entry(
		__field(unsigned long,	call_site)
		__field(const void *,	ptr)
	),

	TP_fast_assign(
		__entry->call_site	= call_site;
		__entry->ptr		= ptr;
	),

	TP_printk("call_site=%pS ptr=%p", (void *)__entry->call_site, __entry->ptr)
);

TRACE_EVENT(kspan_refill,

	TP_PROTO(u32 size, u32 wanted, u32 got, int node),

	TP_ARGS(size, wanted, got, node),

	TP_STRUCT__entry(
		__field(u32,	size)
		__field(u32,	wanted)
		__field(u32,	got)
		__field(int,	node)
	),

	TP_fast_assign(
		__entry->size	= size;
		__entry->wanted	= wanted;
		__entry->got	= got;
		__entry->node	= node;
	),

	TP_printk("size=%u wanted=%u got=%u node=%d", __entry->size, __entry->wanted,
		  __entry->got, __entry->node)
);

DECLARE_EVENT_CLASS(kspan_span,

	TP_PROTO(unsigned long start, size_t npages, u32 pclass, int node),

	TP_ARGS(start, npages, pclass, node),

	TP_STRUCT__entry(
		__field(unsigned long,	start)
		__field(size_t,		npages)
		__field(u32,		pclass)
		__field(int,		node)
	),

	TP_fast_assign(
		__entry->start	= start;
		__entry->npages	= npages;
		__entry->pclass	= pclass;
		__entry->node	= node;
	),

	TP_printk("start=%p npages=%zu class=%u node=%d", (void *)__entry->start,
		  __entry->npages, __entry->pclass, __entry->node)
);

DEFINE_EVENT(kspan_span, kspan_span_alloc,
	TP_PROTO(unsigned long start, size_t npages, u32 pclass, int node),
	TP_ARGS(start, npages, pclass, node));

DEFINE_EVENT(kspan_span, kspan_span_free,
	TP_PROTO(unsigned long start, size_t npages, u32 pclass, int node),
	TP_ARGS(start, npages, pclass, node));

#endif /* KSPAN_TRACE_H */

/* It lies beside the files that include it, not in include/trace/events. */
#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
