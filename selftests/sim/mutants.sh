#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Show that the simulator finds bugs: build core/ with each of mutants/*.patch
# and let it run until something fails. Prints a table.
#
#	selftests/sim/mutants.sh [all | [--shrink] NAME...]
#
# Without arguments a sample, which changes with the day of the year. With DOC=1 in
# the environment the rows of those that ran go into Documentation/mutants.csv.
#
# Of some it is looked at how what fails is made smaller: the script that is printed has
# fewer operations, fails with the mutant and passes without it. (--shrink NAME...: only
# that, of these.)
#
# In a patch the second line says what is wrong, and a line "try: SCRIPT..." which
# scripts are run first: those that caught it before, where that would take long.

cd "$(dirname "$0")" || exit 1
top=$(cd ../.. && pwd)
base=$top/build/sim-mutants/base	# of a copy: the tree may change meanwhile
work=$top/build/sim-mutants/work
src=$top/build/sim-mutants/src
seeds=15000

rm -rf "$base" "$src"
mkdir -p "$src"
cp -r "$top/core" "$top/include" "$src"
find "$src" -name '*.o' -delete
make -s -j2 CC=gcc B="$base" CORE="$src/core" INCLUDE="$src/include" || exit 1
"$base/sim" --seeds 1..200 || exit 1

# one that any schedule shows, one that needs a race, one that needs a failure
shrink=(central-put-lost central-put-no-lock alloc-bulk-leak)
names=()
for patch in mutants/*.patch; do
	names+=("$(basename "$patch" .patch)")
done
if [ $# = 0 ]; then
	step=6 first=$((10#$(date +%j) % 6)) sample=()
	for ((i = first; i < ${#names[@]}; i += step)); do
		sample+=("${names[i]}")
	done
	names=("${sample[@]}")
elif [ "$1" = --shrink ]; then
	shift
	names=() shrink=("$@")
elif [ "$1" != all ]; then
	names=("$@") shrink=()
fi

# Build the mutant: what the patch changes, and the rest as it is.
build()
{
	local file objs=()

	rm -rf "$work"
	mkdir -p "$work"
	cp -r "$src/core" "$work/core"
	patch -s -p1 -d "$work" <"mutants/$1.patch" || return 1
	for file in "$src"/core/*.c; do
		file=$(basename "$file" .c)
		if cmp -s "$src/core/$file.c" "$work/core/$file.c"; then
			objs+=("$base/core/$file.o")
		else
			gcc -std=gnu11 -O1 -w -D_GNU_SOURCE -I. -I"$src/include" \
				-c -o "$work/$file.o" "$work/core/$file.c" || return 1
			objs+=("$work/$file.o")
		fi
	done
	gcc -o "$work/sim" "${objs[@]}" "$base"/*.o
}

# header NAME: what a patch says before its hunks.
header()
{
	sed '/^--- /,$d' "mutants/$1.patch"
}

# By which seed or script it was caught, and how.
seeds_catch()
{
	"$work/sim" --no-shrink --seeds "$1" >"$work/out" 2>&1 && return 1
	sed -n 's/^# seed \([0-9]*\)$/seed \1/p' "$work/out" | head -n 1
}

scripts_catch()
{
	local script how

	for how in --replay --faults --search; do
		for script in "$@"; do
			"$work/sim" $how "$script" >"$work/out" 2>&1 && continue
			basename "$script"
			return
		done
	done
	return 1
}

catch()
{
	local first

	mapfile -t first < <(header "$1" | sed -n 's/^try: //p' | tr ' ' '\n' |
		sed 's,.*,scripts/&.sim,')
	scripts_catch "${first[@]}" && return
	seeds_catch 1..1500 && return
	scripts_catch scripts/*.sim && return
	seeds_catch 1501..$seeds
}

# document NAME BY SECONDS: its row of the table, in place of an older one.
document()
{
	local table=$top/Documentation/mutants.csv

	{
		grep -v "^$1," "$table" 2>/dev/null
		printf '%s,"%s",%s,%s,%s\n' "$1" "$(header "$1" | sed -n 2p)" "$2" "$3" \
			"$(git rev-parse --short HEAD)"
	} | LC_ALL=C sort >"$work/table"
	cp "$work/table" "$table"
}

# The script of a failure, from its output; how many operations it has.
printed()
{
	sed -n 's/^#  //p' "$work/out" >"$work/$1.sim"
	grep -c $'^\t' "$work/$1.sim"
}

# shrinks NAME: see above.
shrinks()
{
	local seed long short

	build "$1" || return
	seed=$(seeds_catch 1..3000)
	"$work/sim" --no-shrink --seed "${seed#seed }" >"$work/out" 2>&1
	long=$(printed long)
	"$work/sim" --seed "${seed#seed }" >"$work/out" 2>&1
	short=$(printed short)
	echo "$1: $seed, $long operations, made smaller: $short"
	grep -q '^# made smaller' "$work/out" && [ "$short" -gt 0 ] && [ "$short" -lt "$long" ] || return
	if "$work/sim" --replay "$work/short.sim" >"$work/out"; then
		echo "$1: the script that was made smaller does not fail"
		return 1
	fi
	"$base/sim" --replay "$work/short.sim"
}

failed=0
for name in "${shrink[@]}"; do
	shrinks "$name" || failed=1
done
[ ${#names[@]} = 0 ] && exit $failed
printf '%-24s %-20s %7s  %s\n' mutant 'caught by' time as
for name in "${names[@]}"; do
	if ! build "$name"; then
		echo "$name: the patch does not apply or does not build"
		failed=1
		continue
	fi
	start=$(date +%s%N)
	by=$(catch "$name")
	took=$((($(date +%s%N) - start) / 100000000))
	printf '%-24s %-20s %5s s  %s\n' "$name" "${by:-NOT CAUGHT}" \
		"$((took / 10)).$((took % 10))" \
		"$(sed -n 's/^# //p' "$work/out" | grep -v '^seed' | head -n 1)"
	[ -n "$by" ] || failed=1
	[ -z "${DOC-}" ] || [ -z "$by" ] ||
		document "$name" "$by" "$((took / 10)).$((took % 10))"
done
exit $failed
