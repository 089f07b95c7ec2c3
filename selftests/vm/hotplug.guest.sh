#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# CPUs go and come back while all of them allocate and free, and while a client makes and
# ends object caches with them.

. ./guest-lib.sh
plan 12

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

# checks: on and off, for as long as CPUs come and go
checks()
{
	while [ ! -e /tmp/cycled ]; do
		echo 1 >/sys/module/kspan/parameters/checked && echo 0 >/sys/module/kspan/parameters/checked ||
			return 1
	done
}

# some_cycles N: three CPUs, so many times
some_cycles()
{
	i=0
	while [ $i -lt "$1" ]; do
		cycle 1 && cycle 3 2 || return 1
		i=$((i + 1))
	done
}

rm -f /tmp/cycled
check "a client has an object cache for each CPU" insmod /modules/kspan_test.ko provoke=cpu_caches
( checks; echo $? >/tmp/checked ) &
check "CPUs go and come back while checks go on and off" some_cycles 10
echo >/tmp/cycled
wait
check "these did" test "$(cat /tmp/checked)" = 0
echo no_cpu_caches >/sys/module/kspan_test/parameters/provoke
check "the client goes, its caches too" rmmod kspan_test
echo 0 >/sys/devices/system/cpu/cpu1/online
check "kspan.ko goes while a CPU is down" rmmod kspan
echo 1 >/sys/devices/system/cpu/cpu1/online

# cached: bytes of free objects in the CPUs' caches, and on their way between them
cached()
{
	awk '$1 == "cached_bytes" { print $2 }' /sys/kernel/debug/kspan/stats
}

# without the epochs, in which what lies idle goes back anyhow
insmod /modules/kspan.ko epoch_ms=0
insmod /modules/kspan_test.ko idle=1
echo 1 >/sys/kernel/debug/kspan/release
before=$(cached)
taskset 2 sh -c "echo pairs >/sys/module/kspan_test/parameters/provoke"
filled=$(cached)
check "a CPU has free objects in its cache" test "$filled" -ge $((before + 2000))
echo 0 >/sys/devices/system/cpu/cpu1/online
check "which go with it" test "$(cached)" -lt "$filled"
rmmod kspan_test
rmmod kspan
echo 1 >/sys/devices/system/cpu/cpu1/online
check "and comes back, with it" sh -c "insmod /modules/kspan.ko && rmmod kspan"
finish
