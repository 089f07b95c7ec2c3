#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Module parameters: the wrong ones are refused by name, the right ones act.

. ./guest-lib.sh
params=/sys/module/kspan/parameters
plan 62

# said TEXT: the log has it since the mark.
said()
{
	klog_since | grep -qF "$1"
}

# refused MODULE TEXT OPTION...: insmod fails, nothing is loaded, the log has TEXT.
refused()
{
	module=$1 text=$2
	shift 2
	klog_mark "$*"
	check_fails "$module.ko $* is refused" insmod /modules/$module.ko "$@"
	check "$module.ko $*: the log names it" said "$module: $text"
	check_fails "$module.ko $*: nothing stays" grep -q "^$module " /proc/modules
}

refused kspan "unknown parameter 'cache_kb'" cache_kb=128
refused kspan "unknown parameter 'limits'" cache_kib=128 limits
refused kspan "cache_kib=15: must be 16 to 65536" cache_kib=15
refused kspan "cache_kib=999999: must be 16 to 65536" cache_kib=999999
refused kspan "epoch_ms=soon: must be 0 or 10 to 3600000" epoch_ms=soon
refused kspan "epoch_ms=-1: must be" epoch_ms=-1
refused kspan "limit_soft=4096: must be 0 or 1048576 to" limit_soft=4096
refused kspan "limit_hard=12X: must be" limit_hard=12X
refused kspan "limit_hard=17179869184G: must be" limit_hard=17179869184G
refused kspan "limit_hard=18446744073709551616: must be" limit_hard=18446744073709551616
refused kspan "checked=perhaps: must be 0 or 1" checked=perhaps
refused kspan "limit_soft=8388608: must not be above limit_hard=4194304" limit_soft=8M limit_hard=4M

check "all of them at once, and right, are taken" \
	insmod /modules/kspan.ko cache-kib=64 epoch_ms=0 limit_soft=12M limit_hard=64M checked
check "checked is on" test "$(cat $params/checked)" = Y
check "limit_hard is 64 MiB" test "$(cat $params/limit_hard)" = 67108864
refused kspan_kv "backend=slab: must be kspan or kmalloc" backend=slab

# kept PARAMETER VALUE TEXT: written at run time, it is refused, and the log says TEXT in
# one line; the parameter is what it was.
kept()
{
	was=$(cat $params/$1)
	klog_mark "$1=$2"
	check_fails "$1=$2 is refused at run time" sh -c "echo '$2' >$params/$1"
	check "$1=$2: the log says why" said "kspan: $1=$2: $3"
	check "$1=$2: it is what it was" test "$(cat $params/$1)" = "$was"
}

kept limit_hard 5 "must be 0 or 1048576 to"
kept limit_soft 1G1 "must be 0 or 1048576 to"
kept poison perhaps "must be 0 or 1"
kept quarantine_kib 1048577 "must be 0 to 1048576"
check "limit_hard can be changed" sh -c "echo 16M >$params/limit_hard"
check_fails "but not out of range" sh -c "echo 1 >$params/limit_hard"
check_fails "nor below limit_soft" sh -c "echo 8M >$params/limit_hard"
check "it is what was written last and right" test "$(cat $params/limit_hard)" = 16777216
insmod /modules/kspan_kv.ko
# 200 values of 64 KiB and more do not fit into 16 MiB twice over
yes SET | head -c 65000 | tr '\n' x >/tmp/value
check_fails "past limit_hard an allocation fails" sh -c '
	i=0
	while [ $i -lt 400 ]; do
		{ printf "SET key%d " $i; cat /tmp/value; echo; } >/tmp/line
		cat /tmp/line >/dev/kspan_kv || exit
		i=$((i + 1))
	done'
rmmod kspan_kv
check "the heap is sound after that" grep -qx ok /sys/kernel/debug/kspan/verify
check "kspan.ko goes" rmmod kspan

# writes: for as long as there is a module or one may come, whatever comes of it
writes()
{
	while [ ! -e /tmp/rounds ]; do
		echo 1 >$params/checked
		echo 8M >$params/limit_soft
		echo 0 >$params/checked
		echo 0 >$params/limit_soft
	done 2>/dev/null
}

rounds()
{
	i=0
	while [ $i -lt "$1" ]; do
		insmod /modules/kspan.ko epoch_ms=10 && sleep 0.3 && rmmod kspan || return 1
		i=$((i + 1))
	done
}

rm -f /tmp/rounds
writes &
writes &
writes &
check "parameters are written to while kspan.ko comes and goes" rounds 10
echo >/tmp/rounds
wait
finish
