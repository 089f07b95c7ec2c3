#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# CPUs go and come back while all of them allocate and free.

. ./guest-lib.sh
plan 6

# cycle CPU...: off and on again
cycle()
{
	for cpu in "$@"; do
		echo 0 >/sys/devices/system/cpu/cpu$cpu/online || return 1
	done
	for cpu in "$@"; do
		echo 1 >/sys/devices/system/cpu/cpu$cpu/online || return 1
	done
}

# cycles: for as long as the tests run
cycles()
{
	n=0
	while [ ! -e /tmp/tested ]; do
		cycle 1 && cycle 3 2 || return 1
		n=$((n + 5))
	done
	note "$n times a CPU went and came back"
	[ $n -gt 0 ]
}

rm -f /tmp/tested
check "kspan.ko loads" insmod /modules/kspan.ko
( insmod /modules/kspan_test.ko stress_ms=8000; echo $? >/tmp/tested ) &
check "CPUs go and come back under load" cycles
wait
check "the tests pass meanwhile" test "$(cat /tmp/tested)" = 0
check "the heap is sound" grep -qx ok /sys/kernel/debug/kspan/verify
rmmod kspan_test
echo 0 >/sys/devices/system/cpu/cpu1/online
check "kspan.ko goes while a CPU is down" rmmod kspan
echo 1 >/sys/devices/system/cpu/cpu1/online
check "and comes back, with it" sh -c "insmod /modules/kspan.ko && rmmod kspan"
finish
