# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# For scripts that run in the guest: TAP, modules, the kernel's log.
#
#	. ./guest-lib.sh
#	plan 2
#	check "kspan.ko loads" insmod /modules/kspan.ko
#	check "nothing is live" test "$(debugfs_value kspan/stats live)" = 0
#	finish

tap_number=0
tap_failed=0

# plan COUNT: say at the start how many results will come.
plan()
{
	echo "TAP version 13"
	echo "1..$1"
}

ok()
{
	tap_number=$((tap_number + 1))
	echo "ok $tap_number $*"
}

not_ok()
{
	tap_number=$((tap_number + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_number $*"
}

skip()
{
	tap_number=$((tap_number + 1))
	echo "ok $tap_number # SKIP $*"
}

note()
{
	echo "# $*"
}

# check DESCRIPTION COMMAND...: a result from the command's exit status; what
# it printed is shown when it failed.
check()
{
	desc=$1
	shift
	if said=$("$@" 2>&1); then
		ok "$desc"
	else
		note "status $? of: $*"
		echo "$said" | sed 's/^/# /'
		not_ok "$desc"
	fi
}

# check_fails DESCRIPTION COMMAND...: the command must fail.
check_fails()
{
	desc=$1
	shift
	if said=$("$@" 2>&1); then
		note "no failure of: $*"
		echo "$said" | sed 's/^/# /'
		not_ok "$desc"
	else
		ok "$desc"
	fi
}

# finish: the script's exit status is its results.
finish()
{
	[ "$tap_failed" = 0 ]
	exit
}

# vm_allow REGEX: a line of the kernel's log that is asked for and so no
# complaint (an extended regular expression).
vm_allow()
{
	echo "kspan-vm-allow: $*" >/dev/kmsg
}

# vm_monitor COMMAND: for QEMU's monitor; run.sh must have been told --monitor.
vm_monitor()
{
	echo "kspan-vm-monitor: $*" >/dev/kmsg
}

# Mark a place in the kernel's log; klog_since prints what came after it.
klog_mark()
{
	klog_marker="kspan-vm-mark: $$ $1 $(cut -d' ' -f1 /proc/uptime)"
	echo "$klog_marker" >/dev/kmsg
}

klog_since()
{
	dmesg | sed "1,/$klog_marker/d"
}

# insmod MODULE OPTION...: busybox's tries once more, in another way, what the kernel
# refused. A module that fails when its tests do could pass then, so what it warned of
# counts.
insmod()
{
	insmod_mark="kspan-vm-insmod: $$ $(cut -d' ' -f1 /proc/uptime)"
	echo "$insmod_mark" >/dev/kmsg
	busybox insmod "$@" || return
	! dmesg -r | sed "1,/$insmod_mark/d" | grep -E '^<[0-4]>.*\] kspan_[a-z]+: ' | grep -v taint
}

# meminfo FIELD: kilobytes, as /proc/meminfo has them.
meminfo()
{
	sed -n "s/^$1: *\([0-9]*\).*/\1/p" /proc/meminfo
}

# Let go of what the kernel can let go of, so that two readings compare.
settle_memory()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	echo 1 >/proc/sys/vm/compact_memory 2>/dev/null
	sleep 0.5
}
