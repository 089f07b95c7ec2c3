#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The key-value store, over kspan and over kmalloc().

. ./guest-lib.sh
dev=/dev/kspan_kv
debugfs=/sys/kernel/debug
plan 70

# get KEY: its value, or the error of the read
get()
{
	exec 4<>$dev
	echo "GET $1" >&4
	cat <&4
	got=$?
	exec 4>&-
	return $got
}

is()
{
	[ "$(get "$1")" = "$2" ]
}

# refuses LINE: a write of it fails with EINVAL, and the store is as it was.
refuses()
{
	cat $dev >/tmp/was
	printf '%s\n' "$1" >/tmp/line
	check_fails "\"$(printf %.20s "$1")\" is refused" cp_line
	check "and changes nothing" cmp $dev /tmp/was
}

# One write() of the whole line.
cp_line()
{
	dd if=/tmp/line of=$dev bs=1M 2>/dev/null
}

# entry NAME: a number of debugfs/kspan_kv/stats
entry()
{
	awk -v name="$1" '$1 == name { print $2 }' $debugfs/kspan_kv/stats
}

# letters N: a line of N letters
letters()
{
	yes abcdefghijklmnopqrstuvwxyz | tr -d '\n' | head -c "$1"
}

lines_test()
{
	echo "SET a 1" >$dev
	echo "SET b two words" >$dev
	printf 'SET c \nSET d 4\n' >$dev
	check "a value" is a 1
	check "a value with a space" is b "two words"
	check "an empty value" is c ""
	check_fails "no such key" get e
	check "a dump is in the order of the keys" sh -c \
		"printf 'a 1\nb two words\nc \nd 4\n' | cmp $dev"
	echo "SET b other" >$dev
	check "a value is replaced" is b other
	echo "DEL a" >$dev
	check_fails "a key is deleted" get a
	check "and again, which is nothing" sh -c "echo 'DEL a' >$dev"
	check "the others stay" sh -c "printf 'b other\nc \nd 4\n' | cmp $dev"
	exec 3<>$dev
	printf 'SE' >&3
	printf 'T cut in' >&3
	printf 'to pieces\nGET c' >&3
	printf 'ut\nGET d\n' >&3
	read -r one <&3
	read -r two <&3
	exec 3>&-
	check "lines may be cut" test "$one" = "into pieces"
	check "answers come in turn" test "$two" = 4
}

wrong_lines_test()
{
	refuses "FOO bar"
	refuses ""
	refuses "SET"
	refuses "SET key"
	refuses "SET  value"
	refuses "GET a b"
	refuses "DEL"
	refuses "set a 1"
	refuses "SET $(letters 1025) value"
	refuses "SET key $(letters 65537)"
	refuses "$(letters 70000)"
	klog_since | grep -q 'kspan_kv: refused "FOO bar"'
	check "the log names a wrong line" test $? = 0
	printf 'SET good 1\nSET bad\nSET after 2\n' >/tmp/line
	check_fails "a wrong line among others is refused" cp_line
	check "what came before it is done" is good 1
	check_fails "what came after it is not" get after
	echo "DEL good" >$dev
}

large_test()
{
	letters 65536 >/tmp/value
	{ printf 'SET large '; cat /tmp/value; echo; } >$dev
	echo >>/tmp/value
	get large | cmp - /tmp/value
	check "a value of 64 KiB" test $? = 0
	key=$(letters 1024)
	echo "SET $key longest" >$dev
	check "a key of 1 KiB" is "$key" longest
	printf 'DEL large\nDEL %s\n' "$key" >$dev
}

many_test()
{
	cat $dev >/tmp/was
	awk 'BEGIN { for (i = 0; i < 20000; i++) print "SET key" i, i * i, "is a square" }' >/tmp/input
	cut -d' ' -f2- /tmp/input >>/tmp/was
	cat /tmp/input >$dev
	check "20000 keys come back" cmp $dev /tmp/was
	check "they are counted" test "$(entry entries)" = "$(wc -l </tmp/was)"
	awk 'BEGIN { for (i = 0; i < 20000; i += 2) print "DEL key" i }' >$dev
	check "every other one goes" sh -c \
		"awk '!(\$1 ~ /^key/) || substr(\$1, 4) % 2' /tmp/was | cmp $dev"
	for i in 1 2 3; do
		cat /tmp/input >$dev &
		cat $dev >/tmp/out$i &
	done
	wait
	check "readers and writers at once: no line is torn" sh -c \
		"cat /tmp/out? | awk '/^key/ && (NF != 5 || \$2 != substr(\$1, 4) * substr(\$1, 4)) { bad++ } END { exit bad }'"
	sort $dev >/tmp/out
	sort /tmp/was | cmp - /tmp/out
	check "and all are there again" test $? = 0
	sed -n 's/^\([^ ]*\) .*/DEL \1/p' /tmp/was >$dev
	check "all go" test "$(entry entries)$(cat $dev)" = 0
}

klog_mark kv
insmod /modules/kspan.ko
insmod /modules/kspan_kv.ko
lines_test
wrong_lines_test
large_test
awk '{ print "SET", $3 "#" NR, $1, $2 }' /proc/kallsyms | head -n 30000 >/tmp/symbols
had=$(entry entries)
cat /tmp/symbols >$dev
check "the kernel's symbols, and statistics of them" \
	test "$(entry entries)" = $((had + $(grep -c . /tmp/symbols))) -a -s /tmp/symbols
sed 's/^/# /' $debugfs/kspan_kv/compare
cat $dev | sed 's/^\([^ ]*\) .*/DEL \1/' >/tmp/input
cat /tmp/input >$dev
many_test
check "the heap is sound" grep -qx ok $debugfs/kspan/verify
check "the object caches and statistics can be read" \
	cat $debugfs/kspan/caches $debugfs/kspan/stats $debugfs/kspan/stats.json
rmmod kspan_kv
live=$(awk '$1 == "nmalloc" { a = $2 } $1 == "nfree" { f = $2 } END { print a - f }' $debugfs/kspan/stats)
check "the store gave all memory back" test "$live" = 0
check "kspan_kv.ko loads over kmalloc()" insmod /modules/kspan_kv.ko backend=kmalloc
lines_test
large_test
many_test
rmmod kspan_kv
check "kspan.ko goes" rmmod kspan
finish
