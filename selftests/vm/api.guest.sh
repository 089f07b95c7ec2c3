#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The tests of kspan_test.ko: the public API in a kernel, all contexts, all CPUs.

. ./guest-lib.sh
debugfs=/sys/kernel/debug/kspan
plan 7

klog_mark api
check "kspan.ko loads" insmod /modules/kspan.ko
check "all tests of kspan_test.ko pass" insmod /modules/kspan_test.ko
klog_since | sed -n 's/.*kspan_test: /# /p'
check "the log says so" sh -c "dmesg | grep -q 'kspan_test: all [0-9]* tests passed'"
check "the heap is sound" grep -qx ok $debugfs/verify
check "kspan_test.ko goes" rmmod kspan_test
live=$(awk '$1 == "nmalloc" { a = $2 } $1 == "nfree" { f = $2 } END { print a - f }' $debugfs/stats)
check "nothing is live" test "$live" = 0
check "kspan.ko goes" rmmod kspan
finish
