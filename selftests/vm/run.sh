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
#	--program NAME    put this program of the host there, with its libraries
#	--kver VERSION    the kernel: /boot/vmlinuz-VERSION (default: the one
#	                  that the first module was built for, else the newest)
#	--kernel FILE     a kernel that lies elsewhere
#	--arch arm64      an arm64 machine, emulated; kernel and busybox are those
#	                  of scripts/arm64.sh
#	--arch um         no machine at all: --kernel is user-mode Linux, a program
#	                  that has one CPU and this machine's clock
#	--append TEXT     more for the kernel's command line
#	--smp N, --mem M  default 4 CPUs, 1G
#	--cpu MODEL       what TCG emulates, default max
#	--turns           the CPUs take turns in one thread of the emulator
#	--numa            two nodes with half of the memory and of the 4 CPUs each
#	--monitor         scripts may give QEMU commands (vm_monitor)
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
kver='' kernel='' arch=x86_64 append='' smp=4 mem=1G cpu=max icount='' numa='' turns='' monitor='' limit=600 log='' tap=''

die()
{
	echo "vm: $*" >&2
	exit 2
}

# add_program NAME: the program and all that the loader says it needs.
add_program()
{
	local path lib

	path=$(command -v "$1") || die "no program $1 (scripts/setup.sh tests)"
	files+=("$path:/bin/$1")
	for lib in $(ldd "$path" | grep -o '/[^ ]*'); do
		files+=("$lib:$lib")
	done
}

while [ $# -gt 0 ]; do
	case $1 in
	--tap|--icount|--numa|--turns|--monitor)	declare "${1#--}=yes"; shift; continue ;;
	esac
	[ $# -ge 2 ] || die "$1 needs an argument"
	case $1 in
	--script)	scripts+=("$2") ;;
	--module)	modules+=("$2") ;;
	--file)		files+=("$2") ;;
	--program)	add_program "$2" ;;
	--kver)		kver=$2 ;;
	--kernel)	kernel=$2 ;;
	--arch)		arch=$2 ;;
	--append)	append="$append $2" ;;
	--smp)		smp=$2 ;;
	--mem)		mem=$2 ;;
	--cpu)		cpu=$2 ;;
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

# What differs between machines: the console, and where the scripts' output goes.
busybox=/bin/busybox
case $arch in
x86_64)
	ports=(console=ttyS0 kspan_out=ttyS1) serial=(-serial stdio) ;;
arm64)
	ports=(console=ttyAMA0 kspan_out=ttyS0)
	serial=(-chardev stdio,id=out -device pci-serial,chardev=out)
	got=$("$top/scripts/arm64.sh" get) || die "no arm64 packages"
	busybox=$(sed -n 's/^sysroot=//p' <<<"$got")/bin/busybox
	[ "$kernel" ] || kernel=$(sed -n 's/^vmlinuz=//p' <<<"$got")
	qemu_program=qemu-system-aarch64 ;;
um)
	ports=(console=tty0 kspan_out=ttyS0)
	[ "$kernel" ] || die "no --kernel"
	[ -z "$icount$numa$turns$monitor" ] || die "user-mode Linux is no machine"
	qemu_program=$kernel ;;
*)	die "no such machine: $arch" ;;
esac
qemu_program=${qemu_program:-qemu-system-x86_64}

if [ -z "$kver$kernel" ] && [ ${#modules[@]} -gt 0 ]; then
	kver=$(modinfo -F vermagic "${modules[0]}" | cut -d' ' -f1)
fi
if [ -z "$kver" ]; then
	kver=$(ls /boot/vmlinuz-* 2>/dev/null | grep -vE -- '-(rt|cloud)-' | sort -V | tail -n 1)
	kver=${kver#/boot/vmlinuz-}
fi
[ "$kernel" ] || kernel=/boot/vmlinuz-$kver
[ -r "$kernel" ] || die "no kernel to boot: $kernel (scripts/setup.sh tests)"
command -v $qemu_program >/dev/null || die "no $qemu_program (scripts/setup.sh tests)"

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
	cp "$busybox" "$1/bin/busybox"
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
	cp "$top/scripts/kspan_stat" "$root/bin"
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

# obey PID: what the guest writes to its log for the monitor goes there
obey()
{
	cat "$work/monitor.out" >"$work/monitor.log" &
	tail -n +1 -f -s 0.2 --pid="$1" "$log" |
		sed -un 's/\r$//; s/.*kspan-vm-monitor: //p' >"$work/monitor.in"
}

# What every kernel is told.
common="${ports[*]} quiet panic=-1 oops=panic printk.devkmsg=on"

# boot_um LIMIT INITRAMFS CONSOLE APPEND
boot_um()
{
	local limit=$1 initramfs=$2 console=$3 cmdline=$4

	# shellcheck disable=SC2086 # words
	timeout --foreground -k 5 "$limit" "$kernel" mem="$mem" initrd="$initramfs" uml_dir="$work/" \
		con=null ssl=null con0=null,fd:3 ssl0=null,fd:4 $common $cmdline \
		</dev/null 3>"$console" 4>"$work/um.out" >"$work/um" 2>&1 &
	qemu=$!
	wait $qemu
	local status=$?
	qemu=
	cat "$work/um.out"
	return $status
}

# boot LIMIT INITRAMFS CONSOLE APPEND [QEMU OPTION...]
boot()
{
	local limit=$1 initramfs=$2 console=$3 cmdline=$4
	shift 4

	if [ "$monitor" ]; then
		rm -f "$work/monitor.in" "$work/monitor.out"
		mkfifo "$work/monitor.in" "$work/monitor.out"
		set -- "$@" -chardev "pipe,id=monitor,path=$work/monitor" -mon chardev=monitor
	fi
	timeout --foreground -k 5 "$limit" $qemu_program "$@" \
		-kernel "$kernel" -initrd "$initramfs" -no-reboot -nic none \
		-display none -monitor none -serial "file:$console" "${serial[@]}" \
		-append "$common nokaslr no_timer_check $cmdline" \
		</dev/null &
	qemu=$!
	[ -z "$monitor" ] || obey $qemu &
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
	monitor='' boot 20 "$work/trial.cpio" "$work/trial.log" "rdinit=/init" \
		-accel kvm -cpu host -smp "$smp" -m 512M >/dev/null 2>&1
	grep -q kspan-vm-trial "$work/trial.log" 2>/dev/null
}

accel=${KSPAN_VM_ACCEL-}
if [ -z "$accel" ] && [ -z "$icount" ] && [ $arch = x86_64 ]; then
	if [ ! -s "$state/accel" ]; then
		echo "vm: trying KVM" >&2
		if kvm_works; then echo kvm; else echo tcg; fi >"$state/accel"
		echo "vm: guests run under $(cat "$state/accel")" >&2
	fi
	accel=$(cat "$state/accel")
fi

# With a thread for each CPU, QEMU's emulator may go on with a translation of code
# that another CPU has changed: a breakpoint that the kernel put there while it
# switched a static key or a tracepoint is hit again, and again, long after it has
# gone (seen at __schedule(), with QEMU 7.2). Scripts that switch such things while
# all CPUs work say --turns. A kernel that dies of such a one before anything of ours
# has run is booted once more, by turns.
threads=multi
[ -z "$turns" ] || threads=single

if [ $arch = arm64 ]; then
	mem=${mem%%,*}	# more cannot come without firmware
	# pauth-impdef: the architecture's own algorithm costs an emulator dear
	machine=(-machine virt -cpu max,pauth-impdef=on)
	if [ "$icount" ]; then
		machine+=(-accel tcg,thread=single -smp 1 -icount shift=0,sleep=off)
	else
		machine+=(-accel "tcg,thread=$threads" -smp "$smp")
	fi
elif [ "$icount" ]; then
	machine=(-accel tcg,thread=single -cpu "$cpu" -smp 1 -icount shift=0,sleep=off)
	append="clocksource=tsc tsc=reliable $append"
elif [ "$accel" = kvm ]; then
	machine=(-accel kvm -cpu host -smp "$smp")
else
	machine=(-accel "tcg,thread=$threads" -cpu "$cpu" -smp "$smp")
fi

# mib SIZE: 2G or 512M in MiB
mib()
{
	case $1 in
	*G)	echo $((${1%G} * 1024)) ;;
	*M)	echo "${1%M}" ;;
	*)	die "no size in M or G: $1" ;;
	esac
}

if [ "$numa" ]; then
	half=$(mib "$mem") || exit 2
	half=$((half / 2))M
	for node in 0 1; do
		machine+=(-object "memory-backend-ram,id=node$node,size=$half"
			  -numa "node,nodeid=$node,cpus=$((2 * node))-$((2 * node + 1)),memdev=node$node")
	done
fi

guest()
{
	: >"$log"
	set -- "$limit" "$work/root.cpio" "$log" "$append ${tap:+kspan_tap}"
	if [ $arch = um ]; then
		boot_um "$@"
	else
		boot "$@" "${machine[@]}" -m "$mem"
	fi
}

make_guest "$work/root"
make_initramfs "$work/root"
guest
qemu_status=$?
if grep -q 'Oops: int3' "$log" && ! grep -q 'kspan-vm-init' "$log" && [ $threads = multi ]; then
	echo "vm: the emulator met a stale breakpoint before init: again, by turns" >&2
	machine=("${machine[@]/thread=multi/thread=single}")
	guest
	qemu_status=$?
fi

# --- the verdict ----------------------------------------------------------------

# What a sound kernel does not say. A script that provokes a line on purpose
# announces it with vm_allow.
complaints='WARNING:|BUG:|BUG |Oops|Call Trace:|Kernel panic|KASAN|KFENCE|KCSAN|UBSAN|kmemleak:|unreferenced object|lockdep is off'
complaints+='|possible circular locking|possible recursive locking|inconsistent lock state'
complaints+='|INFO: (task|rcu_|possible|trying|suspicious)|suspicious RCU usage|rcu:.*(stall|detected)'
complaints+='|general protection|[uU]nable to handle|Internal error:|invalid opcode|divide error|segfault at'
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
