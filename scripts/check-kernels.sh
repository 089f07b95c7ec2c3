#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The modules on each kernel of scripts/kernels.sh: built without a warning
# from the compiler at W=1 and from sparse, then selftests/vm/*.guest.sh in a
# VM that boots that kernel.
#
#	scripts/check-kernels.sh [--light] [NAME...]
#
# --light leaves out sparse, and in the VM all but the API tests and those of
# wrong frees. A kernel that cannot be had here is a skipped test.

set -u
cd "$(dirname "$0")/.." || exit 1
light=
[ "${1:-}" != --light ] || { light=yes; shift; }
scripts=(${light:+selftests/vm/api.guest.sh selftests/vm/checked.guest.sh})

# one NAME: its TAP streams, one after another
one()
{
	local name=$1 kver kdir vmlinuz arch got
	got=$(scripts/kernels.sh get "$name" 2>"build/check/kernel-$name.err")
	case $? in
	0)	eval "$got" ;;
	77)	printf '%s\n' 'TAP version 13' 1..1 \
			"ok 1 $name # SKIP $(tail -n 1 "build/check/kernel-$name.err")"
		return ;;
	*)	sed 's/^/# /' "build/check/kernel-$name.err"
		printf '%s\n' 'TAP version 13' 1..1 "not ok 1 $name: there is a kernel"
		return ;;
	esac
	echo "# $name is Linux $kver"
	scripts/check-modules.sh W=1 "KERNEL=$name"
	[ "$light" ] || scripts/check-modules.sh C=2 "KERNEL=$name"
	scripts/check-vm.sh --modules "build/modules-$name-W1" --label "$name" \
		--run --kernel --run "$vmlinuz" --run --arch --run "$arch" "${scripts[@]}"
}

mkdir -p build/check
[ $# -gt 0 ] || mapfile -t names < <(scripts/kernels.sh list)
for name in "${@:-${names[@]}}"; do
	one "$name"
done | scripts/tap-join
