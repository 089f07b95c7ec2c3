#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The guest's init, put there by run.sh: the kernel has its console, and another
# serial line, kspan_out= on the command line, carries what the scripts print.

export PATH=/bin:/sbin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t tmpfs tmp /tmp
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/1 /dev/stdout
out=/dev/$(sed 's/.*kspan_out=\([^ ]*\).*/\1/' /proc/cmdline)
stty -F "$out" raw -echo 2>/dev/null
dmesg -n 8
echo "kspan-vm-init" >/dev/kmsg

run_plain()
{
	status=0
	while read -r script; do
		echo "kspan-vm: $script" >/dev/kmsg
		"./$script" </dev/null || { status=$?; break; }
	done </etc/scripts
	return $status
}

# kselftest's runner prints "not ok" and goes on; its status says nothing.
run_tap()
{
	BASE_DIR=/selftests
	. $BASE_DIR/kselftest/runner.sh
	run_many $(cat /etc/scripts) >/tmp/tap.fifo
}

cd /selftests/vm || exit 1
if grep -qw kspan_tap /proc/cmdline; then
	mkfifo /tmp/tap.fifo
	run_tap &
	tee /tmp/tap.log </tmp/tap.fifo >"$out"
	wait
	! grep -q '^not ok' /tmp/tap.log
	status=$?
else
	run_plain >"$out" 2>&1
	status=$?
fi

# kmemleak reports what has been lost for 5 s, at the second look; the report
# is a line of the kernel's log, what was lost is on the console after it.
if [ -w /sys/kernel/debug/kmemleak ]; then
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	echo scan >/sys/kernel/debug/kmemleak
	cat /sys/kernel/debug/kmemleak >/dev/console
fi

# lockdep says no more after its first report, or the kernel's first oops.
if grep -q 'debug_locks: *0' /proc/lockdep_stats 2>/dev/null; then
	echo "kspan-vm: lockdep is off" >/dev/kmsg
fi

echo "kspan-vm-exit: $status" >/dev/kmsg
sync
poweroff -f
