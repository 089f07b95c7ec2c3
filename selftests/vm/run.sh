#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Boot a kernel in QEMU with busybox around it, run guest scripts there, and
# fail on anything that the kernel complains about.
#
#	selftests/vm/run.sh [OPTION...] --script FILE [--script FILE...]
#
#	--script FILE     run it in the guest, in /vm, its output on our stdout;
#	                  `. ./guest-lib.sh` has helpers for it
#	--tap             run the scripts as tests, through kselftest's runner
#	--module FILE     put FILE into the guest's /modules (insmod is up to
#	                  the scripts)
#	--file HOST:GUEST put a file at an absolute path of the guest
#	--kver VERSION    the kernel: /boot/vmlinuz-VERSION (default: the one
#	                  that the first module was built for, else the newest)
#	--append TEXT     more for the kernel's command line
#	--smp N, --mem M  default 4 CPUs, 1G
#	--icount          one CPU whose clock counts instructions: one
#	                  nanosecond of guest time is one guest instruction
#	--timeout SECONDS for the whole of it, default 600
#	--log FILE        the guest's console, default build/vm/SCRIPT.log
#
# Exit status: that of the first script that failed; 90 when the kernel
# complained; 91 when the guest died or hung before the scripts ended.
#
# KVM is used where a guest boots under it, else TCG; which, is tried once and
# kept in build/vm/accel (KSPAN_VM_ACCEL=kvm or tcg decides it without a trial).

set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
vm=$top/selftests/vm
state=$top/build/vm
PATH=$PATH:/usr/sbin:/sbin

modules=() files=() scripts=()
kver='' append='' smp=4 mem=1G icount='' limit=600 log='' tap=''

die()
{
	echo "vm: $*" >&2
	exit 2
}

while [ $# -gt 0 ]; do
	case $1 in
	--tap|--icount)	declare "${1#--}=yes"; shift; continue ;;
	esac
	[ $# -ge 2 ] || die "$1 needs an argument"
	case $1 in
	--script)	scripts+=("$2") ;;
	--module)	modules+=("$2") ;;
	--file)		files+=("$2") ;;
	--kver)		kver=$2 ;;
	--append)	append=$2 ;;
	--smp)		smp=$2 ;;
	--mem)		mem=$2 ;;
	--timeout)	limit=$2 ;;
	--log)		log=$2 ;;
	*)		die "unknown option: $1" ;;
	esac
	shift 2
done
[ ${#scripts[@]} -gt 0 ] || die "no --script"
[ "$log" ] || log=$state/$(basename "${scripts[0]}" .sh).log
for f in "${scripts[@]}" "${modules[@]}"; do
	[ -f "$f" ] || die "no such file: $f"
done

if [ -z "$kver" ] && [ ${#modules[@]} -gt 0 ]; then
	kver=$(modinfo -F vermagic "${modules[0]}" | cut -d' ' -f1)
fi
if [ -z "$kver" ]; then
	kver=$(ls /boot/vmlinuz-* 2>/dev/null | sort -V | tail -n 1)
	kver=${kver#/boot/vmlinuz-}
fi
kernel=/boot/vmlinuz-$kver
[ -r "$kernel" ] || die "no kernel to boot: $kernel (scripts/setup.sh tests)"
command -v qemu-system-x86_64 >/dev/null || die "no qemu-system-x86_64 (scripts/setup.sh tests)"

mkdir -p "$state" "$(dirname "$log")"
work=$(mktemp -d "$state/run.XXXXXX") || exit 2
qemu=
trap 'rm -rf "$work"; [ -z "$qemu" ] || kill "$qemu" 2>/dev/null' EXIT
trap 'exit 130' INT TERM

# --- the guest's file system ------------------------------------------------

# make_initramfs ROOT: pack it to ROOT.cpio; uncompressed boots soonest.
make_initramfs()
{
	(cd "$1" && find . | cpio --quiet -o -H newc -R 0:0) >"$1.cpio"
}

# make_root ROOT: busybox, every applet of it, and the places to mount on.
make_root()
{
	mkdir -p "$1"/{bin,sbin,proc,sys,dev,tmp,etc,modules}
	cp /bin/busybox "$1/bin/busybox"
	for applet in $(/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
}

make_guest()
{
	local root=$1 pair

	make_root "$root"
	mkdir -p "$root/selftests/vm"
	ln -s selftests/vm "$root/vm"
	cp "$vm/guest-init.sh" "$root/init"
	cp "$vm/guest-lib.sh" "$root/vm"
	for f in "${scripts[@]}"; do
		cp "$f" "$root/vm/$(basename "$f")"
		chmod +x "$root/vm/$(basename "$f")"
		basename "$f"
	done >"$root/etc/scripts"
	for f in "${modules[@]}"; do
		cp "$f" "$root/modules"
	done
	for pair in "${files[@]}"; do
		mkdir -p "$root/$(dirname "${pair#*:}")"
		cp "${pair%%:*}" "$root/${pair#*:}"
	done
	if [ "$tap" ]; then
		cp -r "$top/build/ksrc/tools/testing/selftests/kselftest" "$root/selftests" ||
			die "no kselftest (scripts/ksrc.sh)"
	fi
}

# --- the machine --------------------------------------------------------------

# boot LIMIT INITRAMFS CONSOLE APPEND [QEMU OPTION...]
boot()
{
	local limit=$1 initramfs=$2 console=$3 cmdline=$4
	shift 4

	timeout --foreground -k 5 "$limit" qemu-system-x86_64 "$@" \
		-kernel "$kernel" -initrd "$initramfs" -no-reboot -nic none \
		-display none -monitor none -serial "file:$console" -serial stdio \
		-append "console=ttyS0 quiet panic=-1 oops=panic nokaslr printk.devkmsg=on $cmdline" \
		</dev/null &
	qemu=$!
	wait $qemu
	local status=$?
	qemu=
	return $status
}

# Does a guest get as far as its init under KVM?
kvm_works()
{
	[ -w /dev/kvm ] || return 1
	make_root "$work/trial"
	printf '#!/bin/sh\necho kspan-vm-trial >/dev/console\npoweroff -f\n' >"$work/trial/init"
	mkdir -p "$work/trial/dev"
	chmod +x "$work/trial/init"
	make_initramfs "$work/trial"
	boot 20 "$work/trial.cpio" "$work/trial.log" "rdinit=/init" \
		-accel kvm -cpu host -smp "$smp" -m 512M >/dev/null 2>&1
	grep -q kspan-vm-trial "$work/trial.log" 2>/dev/null
}

accel=${KSPAN_VM_ACCEL-}
if [ -z "$accel" ] && [ -z "$icount" ]; then
	if [ ! -s "$state/accel" ]; then
		echo "vm: trying KVM" >&2
		if kvm_works; then echo kvm; else echo tcg; fi >"$state/accel"
		echo "vm: guests run under $(cat "$state/accel")" >&2
	fi
	accel=$(cat "$state/accel")
fi

if [ "$icount" ]; then
	machine=(-accel tcg,thread=single -cpu max -smp 1 -icount shift=0,sleep=off)
	append="clocksource=tsc tsc=reliable $append"
elif [ "$accel" = kvm ]; then
	machine=(-accel kvm -cpu host -smp "$smp")
else
	machine=(-accel tcg,thread=multi -cpu max -smp "$smp")
fi

make_guest "$work/root"
make_initramfs "$work/root"
: >"$log"
boot "$limit" "$work/root.cpio" "$log" "$append ${tap:+kspan_tap}" "${machine[@]}" -m "$mem"
qemu_status=$?

# --- the verdict ----------------------------------------------------------------

# What a sound kernel does not say. A script that provokes a line on purpose
# announces it with vm_allow.
complaints='WARNING:|BUG:|BUG |Oops|Call Trace:|Kernel panic|KASAN|KFENCE|KCSAN|UBSAN|kmemleak:'
complaints+='|possible circular locking|possible recursive locking|inconsistent lock state'
complaints+='|INFO: (task|rcu_|possible|trying|suspicious)|suspicious RCU usage|rcu:.*(stall|detected)'
complaints+='|general protection|unable to handle|invalid opcode|divide error|segfault at'
complaints+='|corruption|refcount_t|sleeping function|scheduling while atomic|Bad page|soft lockup|hard LOCKUP'

sed -i 's/\r$//' "$log"
sed -n 's/.*kspan-vm-allow: //p' "$log" >"$work/allow"
complained=$(grep -nE "$complaints" "$log" | grep -v 'kspan-vm-allow: ')
if [ -s "$work/allow" ]; then
	complained=$(grep -vEf "$work/allow" <<<"$complained")
fi
status=$(sed -n 's/.*kspan-vm-exit: \([0-9]*\).*/\1/p' "$log" | tail -n 1)

if [ -n "$complained" ]; then
	{
		echo "vm: the kernel complained ($log):"
		head -n 20 <<<"$complained" | sed 's/^/vm:   /'
	} >&2
	exit 90
fi
if [ -z "$status" ]; then
	{
		if [ $qemu_status = 124 ]; then
			echo "vm: no end after $limit s ($log):"
		else
			echo "vm: the guest died ($log):"
		fi
		tail -n 10 "$log" | sed 's/^/vm:   /'
	} >&2
	exit 91
fi
exit "$status"
