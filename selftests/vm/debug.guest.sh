#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The debug facilities: each is switched on at run time, catches what it is for,
# is switched off, and then does not. Then all of them go on and off under load.
#
# vm-options: --turns

. ./guest-lib.sh
debugfs=/sys/kernel/debug/kspan
params=/sys/module/kspan/parameters
plan 73

# said TEXT: the log has it since the mark.
said()
{
	klog_since | grep -q "$1"
}

# set NAME VALUE: a parameter, while kspan.ko is in use
set_param()
{
	echo "$2" >$params/$1
}

# provoke NAME: have kspan_test.ko do it, in a fresh part of the log
provoke()
{
	klog_mark "$1"
	echo "$1" >/sys/module/kspan_test/parameters/provoke
}

# counter NAME: of /sys/kernel/debug/kspan/stats
counter()
{
	awk -v name="$1" '$1 == name { print $2 }' $debugfs/stats
}

show()
{
	klog_since | sed -n 's/.*kspan: /# /p' | head -n "${1:-12}"
}

insmod /modules/kspan.ko
insmod /modules/kspan_test.ko provoke=pairs

# objects from before: they must come back without harm
( insmod /modules/kspan_kv.ko && seq 1 500 | sed 's/.*/SET key& value&/' >/dev/kspan_kv ) || exit 1

provoke overflow
check "without red zones a write past the end is not seen" test "$(counter noverflow)" = 0
check "red zones on" set_param redzone 1
provoke overflow
check "a write past the end is reported" \
	said "kspan: write past the end: .* 40 bytes asked for, byte 40 is 0x78 and not 0xbb, 1 such bytes, found by provoke_overflow.*allocated by provoke_overflow"
show
check "and counted" test "$(counter noverflow)" = 1
provoke pairs
check "what is right is not reported" test "$(counter noverflow)" = 1
check "red zones off" set_param redzone 0
provoke overflow
check "off they see nothing" test "$(counter noverflow)" = 1

check "poison on" set_param poison 1
provoke use_after_free
provoke pairs
check "a write after free is reported when the object is used again" test "$(counter nafterfree)" = 1
check "red zones and stacks beside it" sh -c "echo 1 >$params/stacks; echo 1 >$params/redzone"
provoke use_after_free
provoke pairs
dmesg | grep "write after free" | tail -n 1 | sed 's/^/# /'
check "with the object's stacks" said "kspan:   allocated at:"
show 30
check "which name the functions" said "kspan:     provoke_use_after_free"
provoke double
check "so has a double free" said "kspan:   freed at:"
check "which names who freed first" said "kspan: double free: .*freed before by provoke_double"
check "poison off, the rest off" sh -c "for p in poison stacks redzone; do echo 0 >$params/\$p || exit 1; done"
before=$(counter nafterfree)
provoke use_after_free
provoke pairs
check "off they see nothing" test "$(counter nafterfree)" = "$before"

provoke reuse
check "a freed object is the next to be had" said "has the same address"
check "quarantine on" set_param quarantine_kib 64
provoke reuse
check "in quarantine it is not" said "has another address"
check "it is counted" test "$(counter nquarantine)" -ge 2
set_param poison 1
before=$(counter nafterfree)
provoke use_after_free
echo 1 >$debugfs/release
check "with poison, a write to an object in quarantine is reported as that ends" \
	test "$(counter nafterfree)" = $((before + 1))
provoke double
check "a double free of one is reported" said "kspan: double free"
set_param poison 0
check "quarantine off" set_param quarantine_kib 0
check "nothing is left in it" test "$(counter nquarantine)" = 0

provoke stale
check "objects have what was in them" said "stale at alloc [1-9].* stale after free 100"
set_param init_on_alloc 1
provoke stale
check "init_on_alloc: not at alloc" said "stale at alloc 0, stale after free 100"
set_param init_on_alloc 0
set_param init_on_free 1
provoke stale
check "init_on_free: not after free" said "stale at alloc [01], stale after free 0"
set_param init_on_free 0

set_param fail_every 10
provoke failures
check "of 1000 allocations every tenth fails" said "100 of 1000 failed"
set_param fail_every 0
provoke failures
check "and then none" said "kspan_test: 0 of 1000 failed"

# with no memory for a batch kspan_free_rcu() marks the objects, tiny ones by their block
provoke wait_alloc
set_param fail_every 1
provoke wait_free
set_param fail_every 0
check "kspan_free_rcu() with interrupts off and no memory" \
	said "[67][0-9] marked, [0-9]* freed, 0 changed before their time"
klog_since | sed -n 's/.*kspan_test: /# /p'

if [ -d $debugfs/fail_kspan ]; then
	set_param fail 1
	echo 100 >$debugfs/fail_kspan/probability
	echo 50 >$debugfs/fail_kspan/interval
	echo 0 >$debugfs/fail_kspan/verbose
	echo -1 >$debugfs/fail_kspan/times
	provoke failures
	check "the kernel's injector has them fail as well" said "20 of 1000 failed"
	set_param fail 0
else
	check_fails "fail=1 is refused without the kernel's injector" set_param fail 1
fi
set_param fail_every 100000
provoke failures
check "fail_every alone does not ask it" said "kspan_test: 0 of 1000 failed"
set_param fail_every 0

before=$(counter nforeign)
provoke flood
check "2000 wrong frees are counted" test "$(counter nforeign)" = $((before + 2000))
check "and not all reported" test "$(klog_since | grep -c "not kspan's")" -lt 1000

check "what a cache's end finds is listed" provoke cache_leak
check "without call sites, when nothing is on" said "kspan: leak: .* bytes, leaky$"
set_param stacks 1
provoke cache_leak
check "with stacks: by call site" said "kspan: leak: .*, leaky, and 2 more, allocated by provoke_cache_leak"
check "and the stack" said "kspan:     provoke_cache_leak"
provoke leak
klog_mark leaks
rmmod kspan_test
check "a client that leaves objects is named with their site" said "leak: .*, and 19 more, allocated by provoke_leak"
show
insmod /modules/kspan_test.ko init_leak=7
klog_mark init
rmmod kspan_test
check "objects of its __init are known as its own" said "kspan_test goes and leaves 7 objects"
check "and listed" said "leak: .* and 6 more, allocated by [^ ]* \[kspan_test\]"
show

# all of it on and off under load, for as long as the tests run
rm -f /tmp/tested
( insmod /modules/kspan_test.ko stress_ms=6000 only=interrupts; echo $? >/tmp/tested ) &
n=0
while [ ! -e /tmp/tested ]; do
	for p in redzone poison stacks init_on_alloc init_on_free checked; do
		echo 1 >$params/$p
	done
	echo 256 >$params/quarantine_kib
	echo 50 >$params/guard_every
	usleep 100000
	for p in guard_every quarantine_kib redzone poison stacks init_on_alloc init_on_free checked; do
		echo 0 >$params/$p
	done
	usleep 100000
	n=$((n + 1))
done
wait
note "$n times on and off"
check "the tests pass while all goes on and off" test "$(cat /tmp/tested)" = 0
check "it went on and off" test $n -ge 3
check "the heap is sound" grep -qx ok $debugfs/verify

# GFP_KERNEL where nobody may sleep, in kernels that look; one report a second.
vm_allow 'Call Trace:'
vm_allow 'BUG: sleeping function called from invalid context at .*(provoke\.c|sched/mm\.h):[0-9]+$'
slept() { said "BUG: sleeping function called from invalid context at ${1-}"; }
provoke sleep
if slept; then
	sleep 2
	provoke sleep_not
	check_fails "GFP_ATOMIC may be used anywhere" slept
	provoke sleep_alloc
	check "GFP_KERNEL may not, even for an object at hand" slept ".*sched/mm.h"
	check "nobody else did" test "$(dmesg | grep -c '] BUG: sleeping function')" = 2
else
	skip "this kernel does not look for who sleeps"
	skip "this kernel does not look for who sleeps"
	skip "this kernel does not look for who sleeps"
fi

# KASAN. From its first report on lockdep is off, as it is after an oops: what follows is
# the last, and in a boot without other scripts.
vm_allow 'lockdep is off'

# kasan_sees DEED: reported once, where it was done, with the address that it names
kasan_sees()
{
	provoke "$1"
	at=$(klog_since | sed -n 's/.*it shall see //p')
	[ "$(klog_since | grep -c 'BUG: KASAN')" = 1 ] &&
		said "BUG: KASAN: .*use-after-free in provoke_$1[.a-z]*+0x.*\[kspan_test\]" &&
		said "\(Read\|Write\) of size 1 at addr $at by task"
}

kasan_said_nothing()
{
	! said "BUG: KASAN"
}

# kasan_is_silent DEED: it was done
kasan_is_silent()
{
	provoke "$1"
	said "it shall see" && kasan_said_nothing
}

if grep -q ' kasan_poison$' /proc/kallsyms; then
	vm_allow 'BUG: KASAN: (slab-)?use-after-free in provoke_kasan_'
	check "KASAN sees a read after free" kasan_sees kasan_read
	klog_since | grep -A 12 'BUG: KASAN' | sed 's/^\[[^]]*\] /# /'
	check "a write" kasan_sees kasan_write
	check "to a large object" kasan_sees kasan_large
	check "to tiny ones" kasan_sees kasan_tiny
	check "to one that kspan_realloc() moved" kasan_sees kasan_realloc
	check "which is right" said "the new object is right"
	check "to one that was freed where no lock may be taken" kasan_sees kasan_nolock
	check "after the grace period of kspan_free_rcu(), not before" kasan_sees kasan_rcu
	check "to what nobody was given" kasan_sees kasan_never
	check "a read of a free object of a cache" kasan_sees kasan_cache
	check "which stays constructed" said "an object keeps what its constructor wrote"
	check "not of one that readers may look at" kasan_is_silent kasan_typesafe
	check "nor when the object has been used again" kasan_is_silent kasan_late
	check "for which there is the quarantine" set_param quarantine_kib 64
	check "then that is seen, too" kasan_sees kasan_late
	check "the checked heap is not disturbed" sh -c "echo 1 >$params/poison && echo 1 >$params/redzone"
	check "and sees what it sees" kasan_sees kasan_late
	provoke pairs
	provoke others
	check "what is right is not reported" kasan_said_nothing
	for p in quarantine_kib redzone poison; do
		set_param $p 0
	done
else
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do
		skip "this kernel has no KASAN"
	done
fi

# Guarded objects: a thread dies of each.
for line in 'BUG: unable to handle page fault' 'Unable to handle kernel paging request' \
	'Oops: ' 'Call Trace:' 'Modules linked in' 'WARNING: CPU' \
	'BUG: KASAN: vmalloc-out-of-bounds in trap\+0x' 'KASAN: .* in range' 'lockdep is off'; do
	vm_allow "$line"
done
echo 0 >/proc/sys/kernel/panic_on_oops
check "every object is guarded" set_param guard_every 1
provoke nofs
check "but for one that must not wait for a filesystem" said "kspan_test: 0 of 32 are guarded"
provoke trap_past_end
check "the first byte past its end traps" said "trap+0x.*\[kspan_test\]"
provoke trap_after_free
check "so does one after the free" said "trap+0x.*\[kspan_test\]"
check "debugfs lists them" grep -q "4096 bytes unmapped allocated by provoke_trap.*freed by provoke_trap" $debugfs/guards
head -n 2 $debugfs/guards | sed 's/^/# /'
set_param guard_every 0
echo 1 >/proc/sys/kernel/panic_on_oops

check "kspan_test.ko goes" rmmod kspan_test
check "what was there before is still right" sh -c 'test "$(grep -c value /dev/kspan_kv)" = 500'
rmmod kspan_kv
check "kspan.ko goes" rmmod kspan
finish
