#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# KCSAN sees a data race in a module, where there is one. That it sees none in kspan
# is what the other scripts show.

. ./guest-lib.sh

if ! [ -e /sys/kernel/debug/kcsan ]; then
	plan 1
	skip "this kernel has no KCSAN"
	finish
fi

plan 3
klog_mark race
# of one access that it saw, or of two
vm_allow 'BUG: KCSAN: data-race in race(\+0x[0-9a-f/x]+)? \[kspan_test\]( / race \[kspan_test\])?$'
insmod /modules/kspan.ko
check "a race is there" insmod /modules/kspan_test.ko provoke=race
check "and is reported" sh -c "dmesg | grep -q 'KCSAN: data-race in race[ +]'"
rmmod kspan_test
check "kspan.ko goes" rmmod kspan
sed 's/^/# /' /sys/kernel/debug/kcsan
finish
