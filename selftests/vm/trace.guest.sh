#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The events of kspan, through tracefs and through trace-cmd: each is there, says
# what happened, as often as it happened, and nothing while it is off.
#
# vm-options: --turns --program trace-cmd

. ./guest-lib.sh
tracing=/sys/kernel/tracing
provoke=/sys/module/kspan_test/parameters/provoke
plan 21

# event NAME VALUE: switch it
event()
{
	echo "$2" >$tracing/events/kspan/$1/enable
}

# traced PATTERN: events in the buffer that match
traced()
{
	grep -c "$1" $tracing/trace
}

clear_trace()
{
	echo >$tracing/trace
}

insmod /modules/kspan.ko
insmod /modules/kspan_test.ko provoke=pairs
for name in kspan_alloc kspan_free kspan_refill kspan_span_alloc kspan_span_free; do
	check "there is kspan:$name" grep -qx "name: $name" $tracing/events/kspan/$name/format
done

clear_trace
echo pairs >$provoke
check "while they are off nothing is traced" test "$(traced kspan_)" = 0

event kspan_alloc 1
event kspan_free 1
echo pairs >$provoke
event kspan_alloc 0
event kspan_free 0
grep provoke_pairs $tracing/trace | sed -n 's/^/# /; 1p; $p'
pairs='call_site=provoke_pairs+0x[0-9a-f/x]* \[kspan_test\] ptr=[0-9a-f][0-9a-f]*'
check "100 objects are 100 events kspan_alloc" \
	test "$(traced "kspan_alloc: $pairs bytes_req=40 bytes_alloc=48 gfp_flags=GFP_KERNEL")" = 100
check "of which 10 are noscan" test "$(traced "kspan_alloc: $pairs .*noscan=1")" = 10
check "and 100 events kspan_free" test "$(traced "kspan_free: $pairs")" = 100
grep -o "kspan_alloc: $pairs" $tracing/trace | sed 's/.*ptr=//' | sort >/tmp/allocated
grep -o "kspan_free: $pairs" $tracing/trace | sed 's/.*ptr=//' | sort >/tmp/freed
check "of the same objects" cmp /tmp/allocated /tmp/freed

clear_trace
echo pairs >$provoke
check "switched off, they are silent again" test "$(traced kspan_)" = 0

event kspan_alloc 1
event kspan_free 1
event kspan_span_alloc 1
event kspan_span_free 1
event kspan_refill 1
echo others >$provoke
echo 0 >$tracing/events/kspan/enable
check "objects of a cache are seen as well" \
	test "$(traced 'kspan_alloc: call_site=provoke_others.* bytes_req=104 bytes_alloc=104 ')" = 10
check "and large ones" \
	test "$(traced 'kspan_alloc: call_site=provoke_others.* bytes_req=100000 bytes_alloc=106496 ')" = 10
check "which are spans that come" test "$(traced 'kspan_span_alloc: .*npages=13 class=1 ')" = 10
check "and go" test "$(traced 'kspan_span_free: .*npages=13 class=1 ')" = 10
grep -m 1 kspan_span_alloc $tracing/trace | sed 's/^/# /'
grep -m 1 kspan_refill $tracing/trace | sed 's/^/# /'
check "the CPU's cache was refilled from a span" \
	test "$(traced 'kspan_refill: size=104 wanted=[1-9][0-9]* got=[1-9]')" -ge 1

# the same with the tool that people use
if [ "$(uname -m)" = x86_64 ]; then
	check "trace-cmd records them" trace-cmd record -q -e kspan -o /tmp/trace.dat \
		sh -c "echo pairs >$provoke"
	trace-cmd report -i /tmp/trace.dat >/tmp/report 2>/dev/null
	grep -m 2 kspan_alloc /tmp/report | sed 's/^/# /'
	check "trace-cmd reports 100 allocations" \
		test "$(grep -c 'kspan_alloc: .*bytes_req=40 bytes_alloc=48' /tmp/report)" = 100
else
	skip "trace-cmd is for the machine that runs the guest"
	skip "trace-cmd is for the machine that runs the guest"
fi

# under load: events on and off while all CPUs allocate and interrupts do
rmmod kspan_test
( insmod /modules/kspan_test.ko stress_ms=3000 only=interrupts; echo $? >/tmp/tested ) &
for i in 1 2 3 4 5 6 7 8 9 10; do
	echo 1 >$tracing/events/kspan/enable
	usleep 200000
	echo 0 >$tracing/events/kspan/enable
	usleep 100000
done
wait
check "the tests pass while events go on and off" test "$(cat /tmp/tested)" = 0
check "the heap is sound" grep -qx ok /sys/kernel/debug/kspan/verify
rmmod kspan_test
check "kspan.ko goes, events and all" rmmod kspan
finish
