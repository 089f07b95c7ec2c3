#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The tests of kspan_test.ko on a machine of two NUMA nodes; with two, it has more.
#
# vm-options: --numa

. ./guest-lib.sh
debugfs=/sys/kernel/debug/kspan
plan 7

klog_mark numa
check "there are two nodes" test -d /sys/devices/system/node/node1
check "kspan.ko loads" insmod /modules/kspan.ko
check "all tests of kspan_test.ko pass" insmod /modules/kspan_test.ko
klog_since | sed -n 's/.*kspan_test: /# /p'
check "tests of nodes were among them" sh -c "dmesg | grep -q 'kspan_test: ok .*remote frees go home'"
check "the heap is sound" grep -qx ok $debugfs/verify
check "kspan_test.ko goes" rmmod kspan_test
check "kspan.ko goes" rmmod kspan
finish
