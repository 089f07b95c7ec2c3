#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# kspan_stress.ko on all CPUs, in all contexts, while CPUs go and come back,
# the shrinker and the debugfs files are at work and, where the kernel can do
# so, page allocation fails at random. kspan_stress= on the kernel's command
# line says for how many seconds.

. ./guest-lib.sh
debugfs=/sys/kernel/debug
seconds=$(sed -n 's/.*kspan_stress=\([0-9]*\).*/\1/p' /proc/cmdline)
plan 6

# @1 per cent of page allocations fail, of those that a thread of the stress makes.
fail_pages()
{
	[ -d $debugfs/fail_page_alloc ] || return 0
	cd $debugfs/fail_page_alloc || return
	echo Y >task-filter
	echo N >ignore-gfp-wait
	echo 0 >min-order
	echo 0 >verbose
	echo 1000000 >times
	echo "$1" >probability
	cd - >/dev/null || return
}

# pages_failed: whether any did; where the kernel cannot do so there is nothing to ask
pages_failed()
{
	[ -d $debugfs/fail_page_alloc ] || return 0
	echo "$((1000000 - $(cat $debugfs/fail_page_alloc/times))) page allocations failed"
	[ "$(cat $debugfs/fail_page_alloc/times)" -lt 1000000 ]
}

# disturb: for as long as the stress lasts
disturb()
{
	rounds=0
	while [ ! -e /tmp/over ]; do
		for cpu in 1 3 2; do
			echo 0 >/sys/devices/system/cpu/cpu$cpu/online || return 1
			echo 2 >/proc/sys/vm/drop_caches
			cat $debugfs/kspan/stats $debugfs/kspan/caches >/dev/null || return 1
			echo 1 >/sys/devices/system/cpu/cpu$cpu/online || return 1
		done
		echo 1 >$debugfs/kspan/release
		rounds=$((rounds + 1))
	done
	note "$rounds times each of three CPUs went and came back"
	[ $rounds -gt 0 ]
}

klog_mark stress
rm -f /tmp/over
check "kspan.ko loads" insmod /modules/kspan.ko
fail_pages 5
( insmod /modules/kspan_stress.ko seconds="${seconds:-10}"; echo $? >/tmp/over ) &
check "CPUs go and come back, the shrinker runs" disturb
wait
note "$(pages_failed)"
check "page allocations failed, where they can be made to" pages_failed
fail_pages 0
klog_since | sed -n 's/.*kspan_stress: /# /p'
check "the stress finds nothing wrong" test "$(cat /tmp/over)" = 0
check "the heap is sound" grep -qx ok $debugfs/kspan/verify
rmmod kspan_stress
check "kspan.ko goes" rmmod kspan
finish
