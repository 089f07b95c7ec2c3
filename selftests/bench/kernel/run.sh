#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Run kspan_bench.ko in a VM whose clock counts instructions.
#
#	selftests/bench/kernel/run.sh FOLDER [ROWS]
#
# FOLDER/log gets what it printed, with the command and the kernel's command
# line; FOLDER/console the guest's console.

set -u
cd "$(dirname "$0")/../../.." || exit 1
folder=$1 rows=${2:-}
name=${KERNEL:-}	# of scripts/kernels.sh; else the kernel that the modules here are for
modules=. kernel=()
if [ "$name" ]; then
	modules=build/modules-$name-W1
	kernel=(--kernel "$(scripts/kernels.sh get "$name" | sed -n 's/^vmlinuz=//p')")
fi

# The last commit that touched what kspan.ko is made of.
source_commit()
{
	local paths=(core include kmod)

	git log -1 --format=%h -- "${paths[@]}" 2>/dev/null || echo unknown
	git diff --quiet HEAD -- "${paths[@]}" 2>/dev/null || echo "and changes"
}

mkdir -p "$folder"
append=init_on_alloc=0
{
	echo "command make bench-kernel${name:+ KVER=$name}${rows:+ ROWS='$rows'}"
	echo "append clocksource=tsc tsc=reliable $append"
	echo "date $(date -u +%F)"
	echo "commit $(source_commit | xargs)"
} >"$folder/log"
selftests/vm/run.sh --icount --append "$append ${rows:+kspan_bench_rows=$rows}" \
	"${kernel[@]}" --module "$modules/kspan.ko" --module "$modules/kspan_bench.ko" --timeout 900 --log "$folder/console" \
	--script selftests/bench/kernel/bench.guest.sh >"$folder/out"
status=$?
cat "$folder/out" >>"$folder/log"
[ $status = 0 ] || { cat "$folder/out"; exit $status; }
