#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Test suites that others wrote, run without and with libkspan-malloc.so: each
# test must give the same verdicts, case by case. What a suite needs comes from
# Debian, its sources too; left-out.txt says which tests are not run, and why.
#
#	selftests/suites/run.sh [SUITE...]		python perl redis stress-ng
#
# A test that differs is run once more in both ways, alone: some depend on time.
# It fails when it differs again, and is named in any case. The report says what
# each suite took: seconds, CPU seconds, the peak of its largest process.

cd "$(dirname "$0")/../.." || exit 1
. scripts/tap.sh
. selftests/suites/lib.sh
preload=$top/build/libkspan-malloc.so
export LC_ALL=C TERM=dumb
unset KSPAN_OPTIONS LD_PRELOAD GLIBC_TUNABLES MAKEFLAGS

# go HOW OUT TEST...: run them. HOW is libc or kspan.
go()
{
	local out=$2 env=()

	[ "$1" = libc ] || env=("LD_PRELOAD=$preload")
	shift 2
	rm -rf "$out"
	mkdir -p "$out"
	# A process of its own, so that what it took can be told.
	"$work/launch" "$out/took" "${env[@]}" \
		bash "$top/selftests/suites/one.sh" "$suite" "$out" "$@" >"$out/said" 2>&1
}

took()
{
	awk -v how="$2" '{ printf "# %-6s %7.1f s, %7.1f s of CPU, %7.1f MiB\n", how, $1, $2 + $3, $4 / 1024 }' \
		"$1/took"
}

# The verdicts of a test in a folder.
cases()
{
	cat "$1/${2//\//_}.cases"
}

same()
{
	cmp -s "$1/${3//\//_}.cases" "$2/${3//\//_}.cases"
}

# What no difference is worth: a test that proves nothing here, even without kspan.
verdict()
{
	local name=$1 libc=$2 nok nskip nbad status

	status=$(cases "$libc" "$name" | sed -n 's/^status //p')
	nok=$(cases "$libc" "$name" | grep -c '^ok ')
	nskip=$(cases "$libc" "$name" | grep -ciE '^(skip|todo|ignore)')
	nbad=$(($(cases "$libc" "$name" | grep -vc '^status') - nok - nskip))
	if [ "$nok" -gt 0 ]; then
		result 0 "$suite: $name: $nok passed, $nbad failed, $nskip skipped, status $status, both times"
	elif [ "$nskip" -gt 0 ] && [ "$nbad" = 0 ]; then
		skip "$suite: $name" "it skips itself, without kspan too"
	else
		tail -n 10 "$libc/${name//\//_}.log" | sed 's/^/#   | /'
		result 1 "$suite: $name: nothing passes, without kspan either"
	fi
}

compare()
{
	local name=$1 a=$2 b=$3

	if ! same "$a" "$b" "$name"; then
		echo "# $suite $name differs; once more, alone"
		diff <(cases "$a" "$name") <(cases "$b" "$name") | head -n 10 | sed 's/^/#   /'
		a=$a.again b=$b.again
		go libc "$a" "$name"
		go kspan "$b" "$name"
	fi
	if same "$a" "$b" "$name"; then
		verdict "$name" "$a"
		return
	fi
	diff <(cases "$a" "$name") <(cases "$b" "$name") | head -n 20 | sed 's/^/#   /'
	tail -n 20 "$b/${name//\//_}.log" | sed 's/^/#   | /'
	result 1 "$suite: $name"
}

# kspan's own word that it serves the suite's program.
served()
{
	# shellcheck disable=SC2086 # a command of words
	LD_PRELOAD=$preload KSPAN_OPTIONS=stats_exit=1 $suite_program 2>&1 |
		grep -qE '^kspan: .*[1-9][0-9]* mallocs'
	result $? "$suite: kspan serves ${suite_program%% *}"
}

run_suite()
{
	local out=$work/out/$suite tests reason

	. "selftests/suites/$suite.sh"
	if ! reason=$(suite_prepare 2>&1); then
		sed 's/^/# /' <<<"$reason" | tail -n 10
		result 1 "$suite: can be had"
		return
	fi
	served
	mapfile -t tests < <(suite_tests | grep -vxFf <(left_out "$suite"))
	go libc "$out/libc" "${tests[@]}"
	go kspan "$out/kspan" "${tests[@]}"
	for name in "${tests[@]}"; do
		compare "$name" "$out/libc" "$out/kspan"
	done
	echo "# $suite: ${#tests[@]} tests, $(cat "$out"/libc/*.cases | grep -vc '^status') cases"
	took "$out/libc" libc
	took "$out/kspan" kspan
	grep -hE '^kspan: ' "$out"/kspan/*.log | sort | uniq -c | head -n 10 | sed 's/^/# said: /'
}

mkdir -p "$work"
gcc -O2 -w -o "$work/launch" selftests/bench/launch.c || exit 1
[ $# -gt 0 ] || set -- python perl redis stress-ng
echo "TAP version 13"
for suite in "$@"; do
	run_suite
done
echo "1..$number"
exit $failed
