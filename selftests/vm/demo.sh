#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The kernel half of `make run`: the kernel's symbol map through kspan_kv.ko
# and back, over kspan and then over kmalloc(). Lines "fact NAME: VALUE" are
# for scripts/run.sh.

. ./guest-lib.sh
debugfs=/sys/kernel/debug

now()
{
	echo "[$(cut -d' ' -f1 /proc/uptime) s]" "$@"
}

fail()
{
	echo "FAILED: $*"
	exit 1
}

# The map as the store's commands: SET symbol address/type. A static function's
# name may occur many times; from the second on it gets a number.
make_input()
{
	if [ -f /tmp.map ]; then
		cat /tmp.map
	else
		for m in /symbols/*.ko; do
			insmod "$m" 2>/dev/null || now "without $(basename "$m")"
		done
		cat /proc/kallsyms
	fi | awk '{ k = $3; if (n[k]++) k = k "#" n[$3]; print "SET", k, $1 "/" $2 }' >/tmp/input
	cut -d' ' -f2- /tmp/input | sort >/tmp/want
}

# Free memory in KiB, with the pages that the CPUs keep in hand.
free_kb()
{
	settle_memory
	awk '/nr_free_pages/ { n += $2 } $1 == "count:" { n += $2 } END { print n * 4 }' /proc/zoneinfo
}

# round BACKEND: load the store, fill it, read it back, and leave the memory
# that it took in $took_kb.
round()
{
	before=$(free_kb)
	if [ "$1" = kspan ]; then
		insmod /modules/kspan_kv.ko || fail "insmod kspan_kv.ko"
	else
		insmod /modules/kspan_kv.ko backend="$1" || fail "insmod kspan_kv.ko backend=$1"
	fi
	now "SET of $lines keys over $1"
	cat /tmp/input >/dev/kspan_kv || fail "write to /dev/kspan_kv"
	now "reading everything back"
	took_kb=$((before - $(free_kb)))
	cat /dev/kspan_kv | sort | md5sum | cut -d' ' -f1 >/tmp/got.md5
	[ "$(cat /tmp/got.md5)" = "$(md5sum </tmp/want | cut -d' ' -f1)" ] ||
		fail "what came back over $1 differs"
	now "the same $lines lines came back (md5 $(cat /tmp/got.md5))"
}

now "Linux $(uname -r), $(nproc) CPUs, $(meminfo MemTotal) KiB"
insmod /modules/kspan.ko || fail "insmod kspan.ko"
now "kspan.ko is loaded"
make_input
lines=$(wc -l </tmp/input)
now "the kernel's symbol map: $lines lines"
[ "$lines" -ge 100000 ] || fail "fewer than 100,000 lines"

round kspan
kspan_kb=$took_kb
echo
echo "/sys/kernel/debug/kspan/stats:"
cat $debugfs/kspan/stats
echo
[ ! -r $debugfs/kspan_kv/stats ] || cat $debugfs/kspan_kv/stats
rmmod kspan_kv || fail "rmmod kspan_kv"
round kmalloc
kmalloc_kb=$took_kb
rmmod kspan_kv || fail "rmmod kspan_kv"
rmmod kspan || fail "rmmod kspan"
now "memory for $lines keys and values: kspan $kspan_kb KiB, kmalloc() $kmalloc_kb KiB"

echo "fact lines: $lines"
echo "fact checksum: $(cat /tmp/got.md5)"
echo "fact kspan-kb: $kspan_kb"
echo "fact kmalloc-kb: $kmalloc_kb"
