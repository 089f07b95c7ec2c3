#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Loading and unloading: a hundred rounds lose nothing, a module in use stays,
# and what a client leaks is listed. With kspan_slow on the kernel's command line the
# rounds are fewer.

. ./guest-lib.sh
plan 17

# Free memory in KiB, with the pages that the CPUs keep in hand.
free_kb()
{
	settle_memory
	awk '/nr_free_pages/ { n += $2 } $1 == "count:" { n += $2 } END { print n * 4 }' /proc/zoneinfo
}

# said TEXT: the log has it since the mark.
said()
{
	klog_since | grep -q "$1"
}

# rounds N: load both, work, unload both.
rounds()
{
	i=0
	while [ $i -lt "$1" ]; do
		insmod /modules/kspan.ko && insmod /modules/kspan_kv.ko || return 1
		cat /tmp/input >/dev/kspan_kv || return 1
		cmp /dev/kspan_kv /tmp/want || return 1
		rmmod kspan_kv && rmmod kspan || return 1
		i=$((i + 1))
	done
}

awk 'BEGIN { for (i = 0; i < 3000; i++) print "SET key" i, "value number", i * i }' >/tmp/input
cut -d' ' -f2- /tmp/input >/tmp/want

more=90
! grep -qw kspan_slow /proc/cmdline || more=10
check "ten rounds of load, work and unload" rounds 10
before=$(free_kb)
check "$more more" rounds $more
after=$(free_kb)
note "free memory: $before KiB after ten rounds, $after KiB after $more more"
if grep -q ' kasan_quarantine_put$' /proc/kallsyms; then
	skip "they lost nothing: KASAN holds back what was freed"
else
	check "they lost nothing" test $((before - after)) -lt 512
fi

insmod /modules/kspan.ko
insmod /modules/kspan_kv.ko
check_fails "kspan.ko does not go while kspan_kv.ko uses it" rmmod kspan
exec 3<>/dev/kspan_kv
check_fails "kspan_kv.ko does not go while its device is open" rmmod kspan_kv
echo "SET still here" >&3
check "and the device goes on" grep -qx "still here" /dev/kspan_kv
exec 3>&-
rmmod kspan_kv

# Ten times 50 caches are a loss of 2 MiB, if what is theirs stays.
forgetful()
{
	i=0
	while [ $i -lt "$1" ]; do
		insmod /modules/kspan.ko && insmod /modules/kspan_test.ko provoke=forget_caches &&
			rmmod kspan_test && rmmod kspan || return 1
		i=$((i + 1))
	done
}

rmmod kspan
klog_mark forgotten
check "a client forgets its object caches" forgetful 2
check "each is named" test "$(klog_since | grep -c "kspan: object cache forgotten was never destroyed")" = 100
before=$(free_kb)
forgetful 10
after=$(free_kb)
note "free memory: $before KiB, $after KiB after 500 forgotten caches"
if grep -q ' kasan_quarantine_put$' /proc/kallsyms; then
	skip "they lost nothing: KASAN holds back what was freed"
else
	check "they lost nothing" test $((before - after)) -lt 512
fi
insmod /modules/kspan.ko

klog_mark leak
insmod /modules/kspan_test.ko leak=100
rmmod kspan_test
check "kspan.ko goes although a client leaked" rmmod kspan
klog_since | sed -n 's/.*kspan: /# /p' | head -n 5
check "the leaks are counted" said "kspan: 100 objects were never freed"
check "and listed by class" said "kspan: leak: .* 4096 bytes"
check "and what is lost is told" said "bytes are lost until the next boot"

klog_mark checked
insmod /modules/kspan.ko checked=1
insmod /modules/kspan_test.ko leak=100
check "in checked mode the client that leaks goes" rmmod kspan_test
check "and is named at once" said "kspan: kspan_test goes and leaves 100 objects"
klog_since | sed -n 's/.*kspan: /# /p' | head -n 5
check "with the place that allocated" said "kspan: leak: .*kspan_test"
check "kspan.ko goes" rmmod kspan
finish
