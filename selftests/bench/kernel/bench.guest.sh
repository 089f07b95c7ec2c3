#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# In the guest: load kspan_bench.ko and print what it measured. Boot work would
# disturb the counts, so this begins when the machine has been up for a while.

. ./guest-lib.sh

sleep 3
insmod /modules/kspan.ko || exit 1
# as in System.map, of which Debian's packages have none
awk '{ print $3 }' /proc/kallsyms >/tmp/symbols
rows=$(sed -n 's/.*kspan_bench_rows=\([^ ]*\).*/\1/p' /proc/cmdline)
grep -qw kspan_bench_touch /proc/cmdline && touch=1 || touch=
insmod /modules/kspan_bench.ko symbols=/tmp/symbols ${touch:+touch=1} ${rows:+only="$rows"}
status=$?
echo "kernel $(uname -r) $(uname -v)"
dmesg | sed -n 's/.*kspan_bench: //p'
rmmod kspan_bench 2>/dev/null
rmmod kspan || status=1
exit $status
