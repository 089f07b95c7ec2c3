#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# kspan on arm64: the libraries and their tests, cross-built and run
#
#  - under qemu-user, where there is no rseq: slots belong to threads;
#  - in a system VM with Debian's arm64 kernel and four CPUs, where there is:
#    uspace/rseq-aarch64.h, interrupted at every instruction and at random.
#
#	scripts/check-arm64.sh [--full]
#
# --full runs every test in the VM. The modules are a row of scripts/kernels.sh.

set -u
cd "$(dirname "$0")/.." || exit 1
full=
[ "${1:-}" != --full ] || full=yes
tests=build/arm64/selftests
log=build/check/arm64.build
mkdir -p build/check

# Under qemu-user go those that neither exec themselves nor fork among threads,
# which it cannot do, nor need a sparse address space, which takes it minutes.
user=(cache central client fixalloc heap large objcache pagealloc port rcu scavenge
	sizeclass span stats tiny verify)
# In the VM the operations that rseq is about; more than that takes minutes.
vm=(port)
if [ "$full" ]; then
	mapfile -t vm < <(printf '%s\n' selftests/test_*.c | sed 's,.*/test_,,; s,\.c$,,')
fi

# result STATUS TEXT: a stream of one result
result()
{
	printf '%s\n' 'TAP version 13' 1..1
	if [ "$1" = 0 ]; then
		echo "ok 1 arm64: $2"
	else
		echo "not ok 1 arm64: $2"
	fi
}

build()
{
	local cc="aarch64-linux-gnu-gcc --sysroot=$sysroot -L$sysroot/usr/lib/gcc/aarch64-linux-gnu/12"
	[ -z "${KSPAN_CHECK-}" ] || rm -rf build/arm64
	make -j"$(nproc)" VARIANT=arm64 CC="$cc" AR=aarch64-linux-gnu-ar lib &&
		make -j"$(nproc)" -C selftests VARIANT=arm64 CC="$cc" SLOW=1 all
}

under_user()
{
	local t i=0
	echo "TAP version 13"
	echo "1..${#user[@]}"
	printf '%s\n' "${user[@]}" | xargs -P "$(nproc)" -I '{}' sh -c \
		'timeout 900 qemu-aarch64 -L "$1" "$2/test_$3" >"build/check/arm64-$3.out" 2>&1
		echo $? >"build/check/arm64-$3.status"' sh "$sysroot" "$tests" '{}'
	for t in "${user[@]}"; do
		i=$((i + 1))
		sed 's/^/# /' "build/check/arm64-$t.out"
		if [ "$(cat "build/check/arm64-$t.status")" = 0 ]; then
			echo "ok $i qemu-user: test_$t"
		else
			echo "not ok $i qemu-user: test_$t"
		fi
	done
}

# A library of the sysroot, for the guest.
lib()
{
	printf '%s\n' --file "$(readlink -f "$sysroot/$1"):/$1"
}

in_vm()
{
	local options=() out=build/check/arm64-vm.out status l
	mapfile -t options < <(
		lib lib/ld-linux-aarch64.so.1
		for l in libc.so.6 libm.so.6 libgcc_s.so.1; do
			lib lib/aarch64-linux-gnu/$l
		done
		for l in liburcu-bp.so.8 liburcu-common.so.8; do
			lib usr/lib/aarch64-linux-gnu/$l
		done
		printf -- "--script\n$tests/test_%s\n" "${vm[@]}")
	selftests/vm/run.sh --arch arm64 --tap --timeout 3000 --log build/check/arm64-vm.log \
		"${options[@]}" >"$out" 2>"$out.err"
	status=$?
	[ "$(head -c 3 "$out")" = TAP ] || echo "TAP version 13"
	sed 's/\r$//; s/ok \([0-9]*\) selftests: vm:/ok \1 arm64 VM:/' "$out"
	[ "$status" -lt 90 ] || sed 's/^/# | /' "$out.err"
	result $((status >= 90)) "the VM ran to its end and its kernel has no complaint"
}

all()
{
	local got
	got=$(scripts/arm64.sh get 2>build/check/arm64.err)
	case $? in
	0)	;;
	77)	result 0 "# SKIP $(tail -n 1 build/check/arm64.err)"
		return ;;
	*)	sed 's/^/# /' build/check/arm64.err
		result 1 "there is an arm64 to run on"
		return ;;
	esac
	sysroot=$(sed -n 's/^sysroot=//p' <<<"$got")
	build >"$log" 2>&1 || { sed 's/^/# /' "$log"; result 1 "the libraries and tests build"; return; }
	! grep -i warning: "$log" | sed 's/^/# /' | grep .
	result $? "the libraries and tests build without a warning"
	scripts/hitpath.sh build/arm64/libkspan-malloc.so
	under_user
	in_vm
}

all | scripts/tap-join
