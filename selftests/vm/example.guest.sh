#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The example of the guide for module authors does what the guide says.

. ./guest-lib.sh
debugfs=/sys/kernel/debug/kspan
plan 7

# live: sessions that are out
live()
{
	awk '$1 == "example_session" { print $3 }' $debugfs/caches
}

klog_mark example
check "kspan.ko loads" insmod /modules/kspan.ko
check "the example loads and finds what it opened" insmod /modules/kspan_example.ko count=1000
check "and says so" sh -c "dmesg | grep -q 'kspan_example: 1000 of 1000 sessions found'"
# those that were closed come back after a grace period, whenever that is over
tries=0
while [ "$(live)" != 500 ] && [ $tries -lt 60 ]; do
	sleep 1
	tries=$((tries + 1))
done
check "half of its sessions are there" test "$(live)" = 500
check "it goes" rmmod kspan_example
check "and leaves nothing behind" test \
	"$(awk '$1 == "nmalloc" { a = $2 } $1 == "nfree" { f = $2 } END { print a - f }' $debugfs/stats)$(live)" = 0
check "kspan.ko goes" rmmod kspan
finish
