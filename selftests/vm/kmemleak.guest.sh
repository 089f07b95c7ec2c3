#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# kmemleak knows the objects: it lists those that are lost, those that only an
# object without pointers points to, and no others.

. ./guest-lib.sh
debugfs=/sys/kernel/debug
params=/sys/module/kspan_test/parameters

# scan N: what is lost for 5 s and seen twice is reported, into /tmp/lost. An object is
# not lost as long as its address stands somewhere, if only in what is left on the stack
# of some process, so there are up to five looks until N are.
scan()
{
	tries=5
	while sleep 6
	      echo scan >$debugfs/kmemleak
	      echo scan >$debugfs/kmemleak
	      cat $debugfs/kmemleak >/tmp/lost
	      tries=$((tries - 1))
	      [ $tries -gt 0 ] && [ "$(all_lost)" -lt "$1" ]
	do
		note "$(all_lost) objects are reported"
	done
}

# lost FUNCTION: how many of those in the report it allocated
lost()
{
	grep -c " $1+0x.*\[kspan_test\]" /tmp/lost
}

# all_lost: how many there are in the report
all_lost()
{
	grep -c '^unreferenced object' /tmp/lost
}

# expect N: they were asked for, so what the log says of them is no complaint, and
# they are not reported again. The log says it in one line or in two, by how many were
# certain at the first look.
expect()
{
	[ "$(all_lost)" = "$1" ] || sed 's/^/# /' /tmp/lost | head -n 100
	klog_since | sed -n 's/.*\(kmemleak: [0-9]* new suspected memory leaks\).*/\1/p' >/tmp/said
	while read -r line; do
		vm_allow "$line"
	done </tmp/said
	echo clear >$debugfs/kmemleak
	test "$(awk '{ n += $2 } END { print n }' /tmp/said)" = "$1"
}

if ! [ -w $debugfs/kmemleak ]; then
	plan 1
	skip "this kernel has no kmemleak"
	finish
fi

plan 9
klog_mark start
check "kspan.ko loads" insmod /modules/kspan.ko
insmod /modules/kspan_test.ko leak=100 leak_seen=1
check "one object holds another" sh -c "echo held >$params/provoke"
check "and one without pointers does" sh -c "echo hidden >$params/provoke"
scan 101
note "$(all_lost) objects are reported"
check "all that a module lost is listed" test "$(lost leak_objects)" = 100
check "what is only in an object without pointers is" test "$(lost provoke_hidden)" = 1
check "and nothing else" expect 101
echo unhold >$params/provoke
check "kspan_test.ko goes" rmmod kspan_test
klog_mark end
check "and kspan.ko" rmmod kspan
check "which knows as many" sh -c "dmesg | sed '1,/$klog_marker/d' | grep -q 'kspan: 100 objects were never freed'"
finish
