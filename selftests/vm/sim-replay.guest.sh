#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# vm-options: --smp 4
#
# The simulator's scripts on real CPUs: kspan_test.ko runs the operations of each
# task in a thread bound to a CPU, those of each interrupt in an interrupt. Each is run
# 50 times, with kspan_slow on the kernel's command line 20 times.

. ./guest-lib.sh
replay=/sys/kernel/debug/kspan_test/replay
scripts=$(ls /sim/*.sim)
plan $((6 + $(echo "$scripts" | wc -l)))

check "kspan.ko loads" insmod /modules/kspan.ko
check "kspan_test.ko loads, to run no test" insmod /modules/kspan_test.ko idle=1
grep -qw kspan_slow /proc/cmdline && rounds=20 || rounds=50
echo $rounds >/sys/module/kspan_test/parameters/replay_rounds
for script in $scripts; do
	check "$(basename $script) on real CPUs" sh -c "cat $script >$replay"
done
check_fails "a script that is none is refused" sh -c "echo 'task 0: nonsense' >$replay"
check_fails "so is one with an operation that there is not" \
	sh -c "printf 'task 0:\\n nonsense\\n' >$replay"
dmesg | sed -n 's/.*kspan_test: replay: /# /p'
check "the heap is sound" grep -qx ok /sys/kernel/debug/kspan/verify
rmmod kspan_test
check "kspan.ko goes" rmmod kspan
finish
