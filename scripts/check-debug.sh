#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The modules in kernels that check what they do (scripts/debug-kernel.sh):
# selftests/vm/*.guest.sh, of which stress.guest.sh goes on for longer than
# elsewhere. Not one line of complaint may be in the kernel's log, and nothing
# that kmemleak takes for lost.
#
#	scripts/check-debug.sh [KIND...]	kasan (with lockdep), kcsan
#
# KSPAN_STRESS=SECONDS is how long the stress lasts, 60 where it is not set;
# SCRIPTS names some of selftests/vm/*.guest.sh, all of them else. The kernels have
# no entropy but the CPU's, and without some the kernel prints no pointers.

set -u
cd "$(dirname "$0")/.." || exit 1
read -ra scripts <<<"${SCRIPTS:-}"

# build KIND KDIR: in a copy of the tree, into $dir
build()
{
	dir=$PWD/build/modules-debug-$1
	rm -rf "$dir"
	mkdir -p "$dir/build"
	cp -r --parents core include kmod selftests Documentation/examples Kbuild "$dir"
	find "$dir" -name '*.o' -delete
	ln -s "$PWD/build/ksrc" "$dir/build/ksrc"
	make -C "$2" M="$dir" W=1 -j"$(nproc)" modules >"$dir.log" 2>&1 &&
		! grep -E '(warning|error):' "$dir.log" >&2
}

# one KIND: a TAP stream for the kernel and one for what ran in it
one()
{
	local kind=$1 kdir dir
	echo "TAP version 13"
	echo "1..1"
	if kdir=$(scripts/debug-kernel.sh "$kind") && build "$kind" "$kdir"; then
		echo "ok 1 $kind: the kernel and the modules build"
	else
		[ ! -r "$dir.log" ] || tail -n 20 "$dir.log" | sed 's/^/# /'
		echo "not ok 1 $kind: the kernel and the modules build"
		return
	fi
	scripts/check-vm.sh --modules "$dir" --label "$kind" --run --mem --run 2G \
		--run --kernel --run "$kdir/arch/x86/boot/bzImage" \
		--run --append --run "kspan_stress=${KSPAN_STRESS:-60} kspan_slow kasan_multi_shot random.trust_cpu=on rcupdate.rcu_cpu_stall_timeout=300" \
		--run --timeout --run 3600 "${scripts[@]}"
}

mkdir -p build/check
[ $# -gt 0 ] || set -- kasan kcsan
for kind in "$@"; do
	one "$kind"
done | scripts/tap-join
