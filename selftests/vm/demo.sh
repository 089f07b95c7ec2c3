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

# The map as the store's commands: SET symbol address type. A static function's
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
	fi | awk '{ k = $3; if (n[k]++) k = k "#" n[$3]; print "SET", k, $1, $2 }' >/tmp/input
	want=$(cut -d' ' -f2- /tmp/input | md5sum | cut -d' ' -f1)
}

# Free memory in KiB, with the pages that the CPUs keep in hand, once two
# readings agree: what the last process left behind goes back with a delay.
free_kb()
{
	free=0
	for try in 1 2 3 4 5 6; do
		last=$free
		settle_memory
		free=$(awk '/nr_free_pages/ { n += $2 } $1 == "count:" { n += $2 } END { print n * 4 }' \
			/proc/zoneinfo)
		[ $((free - last)) -gt 64 ] || [ $((last - free)) -gt 64 ] || break
	done
	echo $free
}

# round BACKEND: load the modules, fill the store, read it back, and leave the
# memory that it took in $took_kb. For kspan that is all that it took since
# before it was loaded, its own code too.
round()
{
	[ "$1" = kmalloc ] || before=$(free_kb)
	insmod /modules/kspan.ko || fail "insmod kspan.ko"
	[ "$1" = kspan ] || before=$(free_kb)
	if [ "$1" = kspan ]; then
		insmod /modules/kspan_kv.ko || fail "insmod kspan_kv.ko"
	else
		insmod /modules/kspan_kv.ko backend="$1" || fail "insmod kspan_kv.ko backend=$1"
	fi
	now "SET of $lines keys over $1"
	cat /tmp/input >/dev/kspan_kv || fail "write to /dev/kspan_kv"
	took_kb=$((before - $(free_kb)))
	now "reading all of it back"
	got=$(md5sum </dev/kspan_kv | cut -d' ' -f1)
	[ "$got" = "$want" ] || fail "what came back over $1 differs"
	now "the same $lines lines came back, md5 $got"
}

unload()
{
	rmmod kspan_kv || fail "rmmod kspan_kv"
	rmmod kspan || fail "rmmod kspan"
	now "kspan_kv.ko and kspan.ko are unloaded"
}

now "Linux $(uname -r), $(nproc) CPUs, $(meminfo MemTotal) KiB"
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
echo "/sys/kernel/debug/kspan_kv/compare, in bytes:"
cat $debugfs/kspan_kv/compare
echo
unload
round kmalloc
kmalloc_kb=$took_kb
unload
now "free memory went down by $kspan_kb KiB over kspan, by $kmalloc_kb KiB over kmalloc()"

echo "fact lines: $lines"
echo "fact checksum: $got"
echo "fact kspan-kb: $kspan_kb"
echo "fact kmalloc-kb: $kmalloc_kb"
