#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The fuzz targets (Makefile builds them).
#
#	selftests/fuzz/fuzz.sh check		replay what is kept, then FUZZ_RUNS new inputs; TAP
#	selftests/fuzz/fuzz.sh run		each target for FUZZ_SECONDS
#	selftests/fuzz/fuzz.sh keep		add what `run` found new to corpus/*.txt
#
# corpus/TARGET.txt has the inputs that together reach all that was ever reached,
# regress/TARGET.txt those that once failed, with what failed: a line of hex digits
# each. TARGETS names some targets only.
#
# What `check` makes up follows from FUZZ_SEED, which is 1, and the tree alone: its
# addresses are not random, its slots are those of threads. `run` takes another seed
# each time, and says which.

cd "$(dirname "$0")" || exit 1
. ../../scripts/tap.sh
top=$(cd ../.. && pwd)
out=$top/build/fuzz
read -ra targets <<<"${TARGETS:-api malloc wild options params}"
seconds=${FUZZ_SECONDS:-60}
runs=${FUZZ_RUNS:-2000}
mode=${1:-check}
[ "$mode" = check ] && seed=1 || seed=$RANDOM
seed=${FUZZ_SEED:-$seed}

# What the sanitizers find ends the run; leaks are the model's business.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
setarch -R true 2>/dev/null && same_addresses=(setarch -R) || same_addresses=()
norseq=(env GLIBC_TUNABLES=glibc.pthread.rseq=0)

build()
{
	make -s -j2 TARGETS="${targets[*]}" >"$out.log" 2>&1 && return
	sed 's/^/# /' "$out.log"
	return 1
}

max_len()
{
	case $1 in
	options)	echo 400 ;;
	params)		echo 5000 ;;
	*)		echo 1032 ;;
	esac
}

# Texts take no time: more of them.
new_runs()
{
	case $1 in
	options | params)	echo $((50 * runs)) ;;
	*)			echo "$runs" ;;
	esac
}

# unpack KIND TARGET: the lines of KIND/TARGET.txt as files of a folder.
unpack()
{
	local dir=$out/$1/$2 n=0 line

	rm -rf "$dir"
	mkdir -p "$dir"
	[ -f "$1/$2.txt" ] || return 0
	while read -r line; do
		n=$((n + 1))
		printf '%b' "$(sed 's/../\\x&/g' <<<"$line")" >"$dir/$n"
	done < <(grep -v '^#' "$1/$2.txt")
}

# fuzz TARGET NAME ARGUMENT...: under what `under` has.
under=()
fuzz()
{
	local target=$1 name=$2 log=$out/$1.log

	shift 2
	mkdir -p "$out/found"
	"${under[@]}" "$out/fuzz-$target" -max_len="$(max_len "$target")" -verbosity=1 \
		-artifact_prefix="$out/found/$target-" "$@" >"$log" 2>&1
	result $? "$name" "$(grep -av '^#[0-9]' "$log" | tail -n 40)"
}

# A folder's order is its own affair: the seeds are listed by number.
check_new()
{
	local new=$out/fresh/$1 kept n seeds

	n=$(new_runs "$1")
	kept=$(ls "$out/corpus/$1" | wc -l)
	rm -rf "$new"
	mkdir -p "$new"
	seeds=$(seq -s , -f "$out/corpus/$1/%g" "$kept")
	under=("${norseq[@]}" "${same_addresses[@]}")
	fuzz "$1" "$1: $n new inputs, FUZZ_SEED=$seed" -seed="$seed" -runs=$((kept + n)) \
		-seed_inputs="$seeds" "$new"
	under=()
	fuzz "$1" "$1: those that reached something, on slots of CPUs" -runs=0 "$new"
}

check_one()
{
	unpack regress "$1"
	unpack corpus "$1"
	fuzz "$1" "$1: what once failed, and $(ls "$out/corpus/$1" | wc -l) inputs that reach what can be reached" \
		-runs=0 "$out/regress/$1" "$out/corpus/$1"
	# slots of threads, not of CPUs
	under=("${norseq[@]}")
	fuzz "$1" "$1: the same without rseq" -runs=0 "$out/regress/$1" "$out/corpus/$1"
	check_new "$1"
}

# Seeds from the kept ones and from what earlier runs left.
run_one()
{
	unpack corpus "$1"
	mkdir -p "$out/new/$1"
	fuzz "$1" "$1: $seconds s, FUZZ_SEED=$seed" -seed="$seed" -max_total_time="$seconds" \
		"$out/new/$1" "$out/corpus/$1"
}

# Least inputs by edges reached, shortest first.
keep_one()
{
	local dir=$out/kept/$1

	unpack corpus "$1"
	rm -rf "$dir"
	mkdir -p "$dir" "$out/new/$1" corpus
	fuzz "$1" "$1: kept" -set_cover_merge=1 -use_counters=0 "$dir" "$out/corpus/$1" "$out/new/$1"
	for file in "$dir"/*; do
		od -An -v -tx1 "$file" | tr -d ' \n'
		echo
	done | LC_ALL=C sort -u | grep . >"corpus/$1.txt"
}

mkdir -p "$out"
echo "TAP version 13"
if ! build; then
	echo "1..1"
	echo "not ok 1 the fuzz targets build"
	exit 1
fi
# Two at a time, each with numbers of its own; but what looks for bugs is alone.
for target in "${targets[@]}"; do
	"${mode}_one" "$target" >"$out/$target.tap" &
	if [ "$mode" != check ] || [ "$(jobs -rp | wc -l)" = 2 ]; then
		wait -n
	fi
done
wait
for target in "${targets[@]}"; do
	cat "$out/$target.tap"
done | awk '/^(not )?ok / { sub(/ok [0-9]+/, "ok " ++n); bad += $1 == "not" } { print }
	    END { print "1.." n; exit bad > 0 }'
