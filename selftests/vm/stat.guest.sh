#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# kspan_stat over the real debugfs files: what it shows is what is there.

. ./guest-lib.sh
debugfs=/sys/kernel/debug/kspan
plan 8

# column NAME-OF-ROW NUMBER: of the table in /tmp/out
column()
{
	awk -v name="$1" -v n="$2" 'table && $NF == name { print $n } $NF == "NAME" { table = 1 }' /tmp/out
}

# rows_add_up: no row of `stats` and `caches` is missing
rows_add_up()
{
	want=$(awk '$2 == "scan" || $2 == "noscan" { n++ } END { print n + 0 }' $debugfs/stats)
	want=$((want + $(wc -l <$debugfs/caches) - 1))
	got=$(sed '1,/NAME$/d' /tmp/out | wc -l)
	echo "$got rows, $want expected"
	[ "$got" = "$want" ]
}

check_fails "without kspan.ko it fails" kspan_stat -o
insmod /modules/kspan.ko
insmod /modules/kspan_kv.ko
awk 'BEGIN { for (i = 0; i < 2000; i++) print "SET key" i, "value", i }' >/dev/kspan_kv
check "it shows a heap in use" sh -c "kspan_stat -o >/tmp/out"
check "with a row for each class and each cache" rows_add_up
cache=$(awk 'NR == 2 { print $1 }' $debugfs/caches)
check "a cache has the objects that are in it" \
	test "$(column "$cache" 1)" = "$(awk -v c="$cache" '$1 == c { print $3 }' $debugfs/caches)"
check "and the live objects are those of the statistics" grep -q \
	"^Objects: $(awk '$1 == "nmalloc" { a = $2 } $1 == "nfree" { f = $2 } END { print a - f }' $debugfs/stats) live" /tmp/out
check "two looks, by rate" sh -c "kspan_stat -n 2 -d 1 -s rate >/tmp/out2"
check "are two tables" test "$(grep -c NAME /tmp/out2)" = 2
sed 's/^/# /' /tmp/out | head -n 12
rmmod kspan_kv
check "kspan.ko goes" rmmod kspan
finish
