#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The test module's load on all CPUs for soak=SECONDS of the kernel's command line,
# the heap verified at intervals, its bytes sampled: a line "# soak SECONDS SYS LIVE"
# (bytes) each, which selftests/soak/run.sh takes.

. ./guest-lib.sh
plan 6
seconds=$(sed -n 's/.*soak=\([0-9]*\).*/\1/p' /proc/cmdline)
debug=/sys/kernel/debug/kspan

# value NAME: of the statistics
value()
{
	sed -n "s/^$1[: \t]*\([0-9]*\).*/\1/p" $debug/stats | head -n 1
}

# watch: sample and verify while the load runs; of each half, without its beginning,
# the mean of what the heap has beyond the objects is kept: peaks are the load's
watch()
{
	early=0 nearly=0 late=0 nlate=0 nverify=0 bad=0
	begin=$(cut -d. -f1 /proc/uptime)
	while [ ! -e /tmp/tested ]; do
		sleep 1
		at=$(($(cut -d. -f1 /proc/uptime) - begin))
		sys=$(value sys_bytes) live=$(value live_bytes)
		echo "# soak $at $sys $live"
		if [ $at -gt $((seconds / 8)) ] && [ $at -le $((seconds / 2)) ]; then
			early=$((early + sys - live)) nearly=$((nearly + 1))
		elif [ $at -gt $((seconds / 2)) ] && [ $at -lt $((seconds - 1)) ]; then
			late=$((late + sys - live)) nlate=$((nlate + 1))
		fi
		if [ $((at % 5)) = 0 ]; then
			grep -qx ok $debug/verify || bad=$((bad + 1))
			nverify=$((nverify + 1))
		fi
	done
}

rm -f /tmp/tested
# insmod waits for the load for as long as that takes
echo 0 >/proc/sys/kernel/hung_task_timeout_secs
check "kspan.ko loads" insmod /modules/kspan.ko
( insmod /modules/kspan_test.ko stress_ms=$((seconds * 1000)); echo $? >/tmp/tested ) &
watch
wait
early=$((early / (nearly + !nearly))) late=$((late / (nlate + !nlate)))
note "beyond live objects the heap has $early bytes in the first half, $late in the second; verified $nverify times"
check "the tests pass, and the load of $seconds s among them" test "$(cat /tmp/tested)" = 0
check "the heap verified at each interval" test $nverify -gt 0 -a $bad = 0
check "the heap's bytes do not rise" test $early -gt 0 -a $nlate -gt 0 -a $late -le $((early + early / 10))
rmmod kspan_test
check "the heap is sound" grep -qx ok $debug/verify
check "and goes with nothing left" rmmod kspan
finish
