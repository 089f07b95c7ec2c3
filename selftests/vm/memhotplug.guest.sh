#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Memory is added to the running machine, above all that it had at boot, while the
# module is loaded: objects come from there. First close by, then so far away that
# the table from addresses to arenas is larger than any block of alloc_pages().
#
# vm-options: --mem 1G,slots=2,maxmem=4T --cpu max,phys-bits=46 --monitor

. ./guest-lib.sh
debugfs=/sys/kernel/debug/kspan
params=/sys/module/kspan_test/parameters
blocks=/sys/devices/system/memory

if [ "$(uname -m)" != x86_64 ] || ! grep -q acpi_memory_device_add /proc/kallsyms; then
	plan 1
	skip "this machine cannot be given memory"
	finish
fi

# highest: allocate, and print the MiB that the highest object was at
highest()
{
	klog_mark highest
	echo 1 >$debugfs/release
	echo highest >$params/provoke || return
	klog_since | sed -n 's/.*highest object was at \([0-9]*\) MiB.*/\1/p'
}

# block_mib BLOCK: where it begins
block_mib()
{
	echo $((0x$(cat $blocks/block_size_bytes) * 0x$(cat "$1/phys_index") >> 20))
}

# high_blocks STATE: those of the new memory that are in it
high_blocks()
{
	for block in $blocks/memory[0-9]*; do
		[ "$(cat "$block/state")" != "$1" ] || [ "$(block_mib "$block")" -lt 4096 ] || echo "$block"
	done
}

# plug ID [PROPERTY]: 512 MiB more, and bring them on line
plug()
{
	had=$(meminfo MemTotal)
	vm_monitor "object_add memory-backend-ram,id=mem$1,size=512M"
	vm_monitor "device_add pc-dimm,id=dimm$1,memdev=mem$1$2"
	tries=0
	while [ "$(meminfo MemTotal)" -lt $((had + 500000)) ] && [ $tries -lt 300 ]; do
		for block in $(high_blocks offline); do
			echo online_kernel >"$block/state"
		done
		sleep 0.2
		tries=$((tries + 1))
	done
	note "MemTotal: $had kB, then $(meminfo MemTotal) kB"
	[ "$(meminfo MemTotal)" -ge $((had + 500000)) ]
}

plan 13
check "kspan.ko loads" insmod /modules/kspan.ko
check "a client of it too" insmod /modules/kspan_test.ko idle=1
mib=$(highest)
note "the highest object is at $mib MiB"
check "objects lie in the memory that there is" test "$mib" -lt 1024
check "memory is added" plug 1
mib=$(highest)
note "the highest object is at $mib MiB"
check "objects lie there" test "$mib" -ge 4096
check "the heap is sound" grep -qx ok $debugfs/verify
check "memory is added at 2 TiB" plug 2 ,addr=0x20000000000
mib=$(highest)
note "the highest object is at $mib MiB"
check "objects lie there, too" test "$mib" -ge 2097152
check "the heap is sound" grep -qx ok $debugfs/verify
check "all tests pass now" sh -c "rmmod kspan_test && insmod /modules/kspan_test.ko stress_ms=1000 && rmmod kspan_test"
check "the heap is sound" grep -qx ok $debugfs/verify
check "nothing is live" test \
	"$(awk '$1 == "nmalloc" { a = $2 } $1 == "nfree" { f = $2 } END { print a - f }' $debugfs/stats)" = 0
check "kspan.ko goes" rmmod kspan
finish
