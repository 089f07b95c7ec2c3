#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Which lines and branches of core/ the userspace tests, the simulator and the kept
# fuzz inputs reach: llvm-cov's counts of all of them together, compared by
# report.py with what unreached.txt says is never reached, and why.
#
#	selftests/coverage/coverage.sh [report]		only the report, of the last run

cd "$(dirname "$0")/../.." || exit 1
top=$PWD
out=$top/build/coverage
# Counters live in the file: tests end by _exit(), abort() and signals.
cc="clang -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation -DTEST_COVERAGE"
export LLVM_PROFILE_FILE=/dev/null

# Tests have threads: what two count at once must not be lost, or a branch that is
# seldom taken, of which llvm-cov has the difference of two counts, seems not to be.
build()
{
	make -s -j2 VARIANT=coverage CC="$cc -fprofile-update=atomic" CFLAGS="-O1 -g" lib &&
	make -s -j2 -C selftests VARIANT=coverage CC="$cc -fprofile-update=atomic" all &&
	make -s -j2 -C selftests/sim CC="$cc" B="$out/sim" &&
	make -s -j2 -C selftests/fuzz COVERAGE=1 CC="$cc" B="$out/fuzz" \
		TARGETS="api malloc wild"
}

# record NAME COMMAND...: its counters, whatever becomes of it; the tests' results
# are other stages' business. As many at a time as there are CPUs.
record()
{
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n
	done
	record_one "$@" &
}

record_one()
{
	local name=$1 raw=$out/raw/$1

	shift
	mkdir -p "$raw"
	LLVM_PROFILE_FILE=$raw/%p%c.profraw timeout -k 5 600 "$@" >"$out/raw/$name.log" 2>&1 </dev/null
	find "$raw" -name '*.profraw' -size +0 >"$out/raw/$name.list"
	if ! llvm-profdata merge -sparse -f "$out/raw/$name.list" -o "$out/raw/$name.profdata"; then
		echo "# lost: the counters of $name"
		return
	fi
	rm -rf "$raw"
}

run_tests()
{
	local test

	export OUTPUT=$out/selftests
	for test in "$out"/selftests/test_*; do
		[ -x "$test" ] && [ -f "$test" ] || continue
		case $test in *.*) continue ;; esac
		record "$(basename "$test")" "$test"
		record "$(basename "$test")-norseq" env GLIBC_TUNABLES=glibc.pthread.rseq=0 "$test"
	done
}

run_sim()
{
	record sim-seeds "$out/sim/sim" --seeds 1..3000
	for script in selftests/sim/scripts/*.sim; do
		record "sim-$(basename "$script" .sim)" "$out/sim/sim" --replay "$script"
		record "sim-$(basename "$script" .sim)-faults" "$out/sim/sim" --faults "$script"
	done
	# what only some schedules reach
	for script in trim-empty nolock-defer nolock-unmarked charged-limit spares-nolock \
			twice-free twice-checked twice-reused twice-cache twice-nolock threads-nomem rt; do
		record "sim-$script-search" "$out/sim/sim" --search selftests/sim/scripts/$script.sim
	done
}

run_fuzz()
{
	local target line n

	for target in api malloc wild; do
		mkdir -p "$out/inputs/$target"
		n=0
		while read -r line; do
			n=$((n + 1))
			printf '%b' "$(sed 's/../\\x&/g' <<<"$line")" >"$out/inputs/$target/$n"
		done < <(grep -hv '^#' selftests/fuzz/{corpus,regress}/$target.txt 2>/dev/null)
		record "fuzz-$target" "$out/fuzz/fuzz-$target" -runs=0 "$out/inputs/$target"
	done
}

# One kind of build is one set of objects, with counters of its own.
export_json()
{
	local kind=$1 pattern=$2 objects=()

	shift 2
	for o in "$@"; do
		objects+=(-object "$o")
	done
	llvm-profdata merge -sparse "$out"/raw/$pattern.profdata -o "$out/$kind.profdata" &&
	llvm-cov export -format=text -instr-profile="$out/$kind.profdata" "${objects[@]}" \
		-ignore-filename-regex='.*/(selftests|uspace|include|urcu)/.*' >"$out/$kind.json"
}

if [ "${1-}" != report ]; then
	rm -rf "$out/raw" "$out/inputs"
	mkdir -p "$out/raw"
	if ! build >"$out/build.log" 2>&1; then
		sed 's/^/# /' "$out/build.log" | tail -n 40
		echo "1..1"
		echo "not ok 1 the coverage builds build"
		exit 1
	fi
	run_tests
	run_sim
	run_fuzz
	wait
fi
programs()
{
	find "$out/selftests" -maxdepth 1 -type f -executable ! -name '*.*' "$@"
}
# libkspan-malloc's core is compiled for itself, so its functions are others.
mapfile -t tests < <(programs -name 'test_*' ! -name 'test_malloc*')
mapfile -t mallocs < <(programs -name 'test_malloc*')
export_json tests 'test_[!m]*' "${tests[@]}" || exit
export_json malloc 'test_malloc*' "${mallocs[@]}" || exit
export_json sim 'sim-*' "$out/sim/sim" || exit
for target in api malloc wild; do
	export_json "fuzz-$target" "fuzz-$target" "$out/fuzz/fuzz-$target" || exit
done
python3 selftests/coverage/report.py selftests/coverage/unreached.txt \
	"$out"/tests.json "$out"/malloc.json "$out"/sim.json "$out"/fuzz-*.json
