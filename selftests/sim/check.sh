#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Run the simulator as tests: built by gcc and by clang, which must agree on
# every step; random seeds; every script replayed, searched up to its bound and
# run with each call that can fail failing; the mutants.
#
#	selftests/sim/check.sh [full]

cd "$(dirname "$0")" || exit 1
. ../../scripts/tap.sh
top=$(cd ../.. && pwd)
full=${1-}
seeds=${full:+200000} seeds=${seeds:-4000}

# Run a command whose output is diagnostics.
try()
{
	local what=$1

	shift
	"$@" 2>&1 | sed 's/^/# /'
	result "${PIPESTATUS[0]}" "$what"
}

echo "TAP version 13"
for cc in gcc clang; do
	try "the simulator builds with $cc" \
		make -s -j2 CC=$cc B="$top/build/sim-$cc" CFLAGS_MORE=-Werror
done
sim=$top/build/sim-gcc/sim

# Hashes of all that happened, of seeds and of scripts.
hashes()
{
	"$top/build/sim-$1/sim" --hash --seeds "$2..500"
	"$top/build/sim-$1/sim" --hash --replay scripts/*.sim
}

same()
{
	hashes gcc 1 >"$top/build/sim-gcc/hashes"
	hashes clang 1 | cmp - "$top/build/sim-gcc/hashes" && [ "$(wc -l <"$top/build/sim-gcc/hashes")" -gt 550 ]
}
try "gcc's and clang's runs are the same, step by step" same

# Nothing of a run is left for the next: seeds alone do what they do after others.
again()
{
	hashes gcc 400 | cmp - <(tail -n +400 "$top/build/sim-gcc/hashes")
}
try "a seed's run does not depend on those before it" again

# What is no script is refused, with the line that is wrong, and runs nothing.
refused()
{
	local text out

	for text in 'task 0:\n nonsense\n' 'task 9:\n' 'set nonsense 1\n' 'set cpus x\n' \
			'alloc 0 8\n' 'task 0:\n alloc 0 y\n' 'set cpus 0\n' 'set cpus 99\n'; do
		# shellcheck disable=SC2059 # it is the text
		printf "$text" >"$top/build/sim-gcc/refused"
		if out=$("$sim" --replay "$top/build/sim-gcc/refused" 2>&1); then
			echo "taken: $text"
			return 1
		fi
		echo "$text: ${out//$'\n'/; }"
	done | sed "s,$top/,,"
	return "${PIPESTATUS[0]}"
}
try "what is no script is refused" refused

try "seeds 1..$seeds" "$sim" --seeds 1..$seeds

shopt -s nullglob
for script in scripts/*.sim; do
	name=$(basename "$script" .sim)
	try "$name: replayed" "$sim" --replay "$script"
	try "$name: each call that can fail fails" "$sim" --faults "$script"
	if grep -q '^set bound' "$script"; then
		try "$name: all schedules up to its bound" "$sim" --search "$script"
	fi
done

if [ -x mutants.sh ]; then
	try "mutants are caught" ./mutants.sh ${full:+all}
fi
echo "1..$number"
exit $failed
