#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The soak: mixed load on all CPUs in a program and in the VM's kernel, the heap
# verified at intervals, memory flat to the end. Each plots its bytes over time.
#
#	selftests/soak/run.sh [user | vm]...
#
#	SOAK_SECONDS=1800	of each
#	SOAK_DUTY=100		per cent of the time in which a thread works
#	DOC=1			the plots go to Documentation/soak/ too

cd "$(dirname "$0")/../.." || exit 1
out=build/soak
seconds=${SOAK_SECONDS:-1800}
number=0 failed=0
mkdir -p $out

# plot NAME TITLE EXPRESSION:LABEL...: columns of $out/NAME.data as $out/NAME.svg
plot()
{
	local name=$1 title=$2 curves='' curve

	shift 2
	for curve in "$@"; do
		curves+="${curves:+, }'$out/$name.data' using 1:((${curve%%:*})/1048576) with lines lw 1.5 title '${curve#*:}'"
	done
	gnuplot <<-PLOT
		set terminal svg size 900,420 font "sans-serif,12" background "white"
		set output "$out/$name.svg"
		set title "$title"
		set xlabel "seconds"
		set ylabel "MiB"
		set yrange [0:*]
		set key outside bottom center horizontal
		set grid
		plot $curves
	PLOT
	if [ "${DOC-}" ]; then
		mkdir -p Documentation/soak
		sed 's/[ \t]*$//' "$out/$name.svg" >"Documentation/soak/$name.svg"
	fi
}

# Print the TAP of a part, renumbered.
part()
{
	local line

	while IFS= read -r line; do
		case $line in
		"ok "*|"not ok "*)
			number=$((number + 1))
			sed -E "s/^(not ok|ok) [0-9]+/\1 $number $1:/" <<<"$line" ;;
		1..*|"TAP version"*|"# soak "*) ;;
		*)	printf '%s\n' "$line" ;;
		esac
	done <"$2"
}

soak_user()
{
	gcc -std=gnu11 -O2 -g -Iinclude -o $out/soak selftests/soak/soak.c \
		build/libkspan-malloc.a -lpthread || { failed=1; return; }
	$out/soak "$seconds" $out/user.data "${SOAK_DUTY:-100}" >$out/user.tap || failed=1
	part user $out/user.tap
	plot user "libkspan-malloc, $seconds s of mixed load in waves" \
		'$2:RSS of the process' '$4-$5:mapped by kspan and not released' '$3:live'
}

soak_vm()
{
	local status

	selftests/vm/run.sh --module kspan.ko --module kspan_test.ko \
		--script selftests/soak/soak.guest.sh --append "soak=$seconds" \
		--timeout $((seconds * 2 + 600)) --log $out/vm.log >$out/vm.tap
	status=$?
	sed -n 's/\r$//; s/^# soak //p' $out/vm.tap >$out/vm.data
	part vm <(tr -d '\r' <$out/vm.tap)
	number=$((number + 1))
	if [ $status = 0 ] && [ -s $out/vm.data ]; then
		echo "ok $number vm: all of it ran, and the kernel has no complaint"
	else
		echo "not ok $number vm: all of it ran, and the kernel has no complaint # status=$status"
		failed=1
	fi
	plot vm "kspan.ko, $seconds s of load on all CPUs" '$2:the heap' '$3:live'
}

[ $# -gt 0 ] || set -- user vm
echo "TAP version 13"
for which in "$@"; do
	soak_"$which"
done
echo "1..$number"
exit $failed
