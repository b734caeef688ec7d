/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the group "longterm".  All but one have these fields: the file, a
 * range of bytes (half open; an end of S64_MAX: to the end of the file), the
 * thread group concerned (the holder's, or the breaker's for break_* and busy)
 * as the initial pid namespace numbers it, and an errno or 0.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM longterm

#if !defined(_LONGTERM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _LONGTERM_TRACE_H

#include <linux/types.h>
#include <linux/tracepoint.h>

/*
 * What stat(2) gives, taken apart without a function: the print format is read
 * by trace-cmd, perf and KernelShark too, which can't call the kernel's.
 */
#define LONGTERM_DEV_MAJOR(dev)	(((dev) >> 8) & 0xfff)
#define LONGTERM_DEV_MINOR(dev)	(((dev) & 0xff) | (((dev) >> 12) & 0xfff00))

DECLARE_EVENT_CLASS(longterm_event,
	TP_PROTO(u32 dev, u64 ino, s64 start, s64 end, int pid, int result),
	TP_ARGS(dev, ino, start, end, pid, result),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u64, ino)
		__field(s64, start)
		__field(s64, end)
		__field(int, pid)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->ino = ino;
		__entry->start = start;
		__entry->end = end;
		__entry->pid = pid;
		__entry->result = result;
	),
	TP_printk("dev=%u:%u ino=%llu start=%lld end=%lld pid=%d result=%d",
		  LONGTERM_DEV_MAJOR(__entry->dev),
		  LONGTERM_DEV_MINOR(__entry->dev),
		  __entry->ino, __entry->start, __entry->end, __entry->pid,
		  __entry->result)
);

#define LONGTERM_EVENT(name)						       \
DEFINE_EVENT(longterm_event, name,					       \
	TP_PROTO(u32 dev, u64 ino, s64 start, s64 end, int pid, int result),   \
	TP_ARGS(dev, ino, start, end, pid, result))

LONGTERM_EVENT(lease_take);
LONGTERM_EVENT(lease_release);
LONGTERM_EVENT(lease_revoke);
LONGTERM_EVENT(pin);
LONGTERM_EVENT(unpin);
LONGTERM_EVENT(break_begin);
LONGTERM_EVENT(break_wait);
LONGTERM_EVENT(break_end);
LONGTERM_EVENT(sigio);
LONGTERM_EVENT(sigbus);
LONGTERM_EVENT(sigkill);
LONGTERM_EVENT(busy);
LONGTERM_EVENT(deny);

/* A step of the machine that runs a break; names as in src/machine.rs. */
TRACE_EVENT(break_state,
	TP_PROTO(u32 dev, u64 ino, const char *from, const char *input,
		 const char *to),
	TP_ARGS(dev, ino, from, input, to),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u64, ino)
		__string(from, from)
		__string(input, input)
		__string(to, to)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->ino = ino;
		__assign_str(from);
		__assign_str(input);
		__assign_str(to);
	),
	TP_printk("dev=%u:%u ino=%llu from=%s input=%s to=%s",
		  LONGTERM_DEV_MAJOR(__entry->dev),
		  LONGTERM_DEV_MINOR(__entry->dev),
		  __entry->ino, __get_str(from), __get_str(input),
		  __get_str(to))
);

#endif /* _LONGTERM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
