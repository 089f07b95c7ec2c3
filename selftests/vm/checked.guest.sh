#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Wrong frees, in the default mode and in the checked one: reported, counted,
# and of no consequence. kspan_test.ko makes them (and much else besides).

. ./guest-lib.sh
debugfs=/sys/kernel/debug/kspan
plan 20

# said TEXT: the log has such a line since the mark.
said()
{
	klog_since | grep -q "$1"
}

# counter NAME: of /sys/kernel/debug/kspan/stats
counter()
{
	awk -v name="$1" '$1 == name { print $2 }' $debugfs/stats
}

# round OPTION: load kspan.ko with it, run the tests, look, unload.
round()
{
	klog_mark "$1"
	check "kspan.ko loads ($1)" insmod /modules/kspan.ko $1
	check "the tests pass ($1)" insmod /modules/kspan_test.ko stress_ms=1000
	check "a double free is reported ($1)" said "kspan: double free"
	check "an interior free is reported ($1)" said "kspan: free of a pointer into an object"
	check "a foreign free is reported ($1)" said "kspan: free of memory that is not kspan's"
	for name in ndouble ninterior nforeign; do
		check "$name counts them ($1)" test "$(counter $name)" -ge 1
	done
	check "the heap is sound ($1)" grep -qx ok $debugfs/verify
}

round checked=0
rmmod kspan_test
rmmod kspan
round checked=1
check "who freed twice, and who had allocated, is named" \
	said "double free.* freed by test_misuse.*allocated by test_misuse"
rmmod kspan_test
check "kspan.ko goes" rmmod kspan
finish
