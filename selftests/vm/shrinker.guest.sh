#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The kernel wants memory back: what the shrinker says is there is what goes, and
# what it says went. Pages show in Slab: meanwhile.

. ./guest-lib.sh
plan 13
stats=/sys/kernel/debug/kspan/stats
tracing=/sys/kernel/tracing
params=/sys/module/kspan/parameters
page_kib=4

# stat NAME: bytes, or a count
stat()
{
	awk -v name="$1" '$1 == name { print $2 }' $stats
}

# shrunk: the pages that the kernel was told went, over all rounds
shrunk()
{
	sed -n '/\[kspan\]/s/.*last shrinker return val \([0-9]*\).*/\1/p' $tracing/trace |
		awk '{ n += $1 } END { print n + 0 }'
}

# counted: the pages that the first round was told are there
counted()
{
	sed -n '/\[kspan\]/s/.*cache items \([0-9]*\).*/\1/p' $tracing/trace | head -n 1
}

[ -e $tracing/trace ] || mount -t tracefs tracefs $tracing
# nothing goes by itself
check "kspan.ko loads" insmod /modules/kspan.ko epoch_ms=0
slab_empty=$(meminfo Slab)
check "kspan_kv.ko loads" insmod /modules/kspan_kv.ko
awk 'BEGIN {
	value = sprintf("%65000s", "")
	gsub(/ /, "x", value)
	for (i = 0; i < 300; i++)
		print "SET key" i, value
}' >/tmp/lines
check "much is allocated" sh -c "cat /tmp/lines >/dev/kspan_kv"
rm /tmp/lines
slab_full=$(meminfo Slab)
note "Slab: grew by $((slab_full - slab_empty)) kB"
check "its pages show in Slab:" test $((slab_full - slab_empty)) -gt 15000
check "and is freed" rmmod kspan_kv
idle=$(stat idle_bytes)
check "which leaves idle pages" test "$idle" -gt 15000000
scavenged=$(stat nscavenged_bytes)

echo 1 >$tracing/events/vmscan/mm_shrink_slab_start/enable
echo 1 >$tracing/events/vmscan/mm_shrink_slab_end/enable
echo 2 >/proc/sys/vm/drop_caches
echo 0 >$tracing/events/vmscan/enable
grep "\[kspan\]" $tracing/trace | sed 's/.*mm_shrink/# mm_shrink/' | head -n 8
scavenged=$(($(stat nscavenged_bytes) - scavenged))
note "idle $idle bytes, counted $(counted) pages, told $(shrunk) pages, gone $scavenged bytes"
check "what is counted is what is idle" test "$(counted)" = $((idle / 1024 / page_kib))
check "the kernel is told of what went" test "$(shrunk)" = $((scavenged / 1024 / page_kib))
check "all idle pages went" test "$(stat idle_bytes)" = 0
slab_end=$(meminfo Slab)
check "and show in Slab: no more" test $((slab_full - slab_end)) -gt 15000

check "limit_soft is written while the module is loaded" sh -c "echo 4M >$params/limit_soft"
check "the heap is sound" grep -qx ok /sys/kernel/debug/kspan/verify
check "kspan.ko goes" rmmod kspan
finish
