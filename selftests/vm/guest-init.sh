#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The guest's init, put there by run.sh: ttyS0 is the kernel's console, ttyS1
# carries what the scripts print.

export PATH=/bin:/sbin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debugfs /sys/kernel/debug
mount -t tmpfs tmp /tmp
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/1 /dev/stdout
stty -F /dev/ttyS1 raw -echo 2>/dev/null
dmesg -n 8

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
	tee /tmp/tap.log </tmp/tap.fifo >/dev/ttyS1
	wait
	! grep -q '^not ok' /tmp/tap.log
	status=$?
else
	run_plain >/dev/ttyS1 2>&1
	status=$?
fi

echo "kspan-vm-exit: $status" >/dev/kmsg
sync
poweroff -f
