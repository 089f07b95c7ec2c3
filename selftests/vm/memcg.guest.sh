#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# __GFP_ACCOUNT: large objects are charged to the memory cgroup of who allocates, and
# fail at its limit, unless they must not.

. ./guest-lib.sh
plan 10
cg=/tmp/cgroup

# in_group COMMAND...: with the group's limit in force
in_group()
{
	( echo 0 >$cg/t/cgroup.procs && "$@" )
}

check "kspan.ko loads" insmod /modules/kspan.ko
mkdir -p $cg
check "there are memory cgroups" mount -t cgroup2 none $cg
echo +memory >$cg/cgroup.subtree_control
check "one is made" mkdir $cg/t
check "16 MiB are charged to it and come back" in_group insmod /modules/kspan_test.ko account=16
rmmod kspan_test
echo 24M >$cg/t/memory.max
check "16 MiB fit into 24" in_group insmod /modules/kspan_test.ko account=16
rmmod kspan_test

check_fails "40 MiB do not" in_group insmod /modules/kspan_test.ko account=40
check "but go beyond the limit where they must not fail" \
	in_group insmod /modules/kspan_test.ko account=40 account_must=1
rmmod kspan_test
check "nothing stays charged" sh -c "[ \$(cat $cg/t/memory.current) -lt 4194304 ]"
check "the heap is sound" grep -qx ok /sys/kernel/debug/kspan/verify
check "kspan.ko goes" rmmod kspan
finish
