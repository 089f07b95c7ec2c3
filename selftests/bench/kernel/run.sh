#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Run kspan_bench.ko in a VM whose clock counts instructions, or in user-mode
# Linux (KERNEL=uml), whose clock is this machine's.
#
#	selftests/bench/kernel/run.sh FOLDER [ROWS]
#
# FOLDER/log gets what it printed, with the command and the kernel's command
# line; FOLDER/console the guest's console. What else this machine does disturbs
# a real clock: user-mode Linux is booted BOOTS times (5), for the rows of time
# all but once, and report.py takes the least.

set -u
cd "$(dirname "$0")/../../.." || exit 1
folder=$1 rows=${2:-}
name=${KERNEL:-}	# of scripts/kernels.sh; else the kernel that the modules here are for
modules=. machine=(--icount) boots=1 arch=''
if [ "$name" ]; then
	modules=build/modules-$name-W1
	got=$(scripts/kernels.sh get "$name") || exit 1
	eval "$got"
	machine=(--icount --kernel "$vmlinuz")
fi
if [ "$arch" = um ]; then
	machine=(--arch um --kernel "$vmlinuz" --mem 256M --append kspan_bench_touch)
	boots=${BOOTS:-5}
fi

# The last commit that touched what kspan.ko is made of.
source_commit()
{
	local paths=(core include kmod)

	git log -1 --format=%h -- "${paths[@]}" 2>/dev/null || echo unknown
	git diff --quiet HEAD -- "${paths[@]}" 2>/dev/null || echo "and changes"
}

# boot ROWS: what it prints is in FOLDER/out
boot()
{
	selftests/vm/run.sh "${machine[@]}" --append "$append ${1:+kspan_bench_rows=$1}" \
		--module "$modules/kspan.ko" --module "$modules/kspan_bench.ko" --timeout 900 \
		--log "$folder/console" --script selftests/bench/kernel/bench.guest.sh >"$folder/out"
	local status=$?
	[ $status = 0 ] || { cat "$folder/out"; exit $status; }
}

# once ROWS: in one boot
once()
{
	boot "$1"
	cat "$folder/out" >>"$folder/log"
}

mkdir -p "$folder"
append=init_on_alloc=0
{
	echo "command make bench-kernel${name:+ KVER=$name}${rows:+ ROWS='$rows'}"
	if [ "$arch" = um ]; then
		echo "append $append"
		echo "boots $boots"
		echo "cpu $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	else
		echo "append clocksource=tsc tsc=reliable $append"
	fi
	echo "date $(date -u +%F)"
	echo "commit $(source_commit | xargs)"
} >"$folder/log"
once "$rows"
for ((boot = 1; boot < boots; boot++)); do
	once "${rows:-[!m]*}"	# the rows of memory are the same each time
done

# With two CPUs there is no clock that counts instructions: see kernel.rst.
# shellcheck disable=SC2053 # it is a pattern
if [ "$arch" != um ] && [[ cross-cpu == ${rows:-*} ]]; then
	machine=(--smp 2 "${machine[@]:1}")
	boot cross-cpu
	grep '^time ' "$folder/out" >>"$folder/log"
	echo "accel ${KSPAN_VM_ACCEL:-$(cat build/vm/accel)}" >>"$folder/log"
fi
