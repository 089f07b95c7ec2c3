#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# scripts/kspan_stat over files as debugfs has them: the numbers, the order, the
# rates between two looks, and what it refuses. Under every awk that is here.

# kselftest's runner comes here through a link: only the real path leads back.
top=$(dirname "$(dirname "$(realpath "$0")")")
. "$top/scripts/tap.sh"
tool=$top/scripts/kspan_stat
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# as debugfs names them
data=$work/kspan
mkdir "$data"
cp "$top/selftests/data/kspan_stat/stats.json" "$data"
cp "$top/selftests/data/kspan_stat/caches.txt" "$data/caches"

# check, with what the tool printed
try()
{
	local desc=$1
	shift
	"$@" >"$work/said" 2>&1
	result $? "$desc" "$(cat "$work/out" "$work/said")"
}

stat()
{
	sh "$tool" "$@" >"$work/out" 2>&1
}

# names: the last column of the table, in one line
names()
{
	sed '1,/NAME$/d' "$work/out" | awk '{ $1 = $2 = $3 = $4 = $5 = $6 = $7 = $8 = $9 = ""; print }' |
		sed 's/^ *//' | paste -sd,
}

shows()
{
	grep -qE -- "$1" "$work/out"
}

once()
{
	try "$1: once" stat -o -f "$data"
	try "$1: where the memory is" shows '^Memory: +4\.0 MiB from the system: 2\.0 MiB in spans \(50\.0 % live\), 1\.0 MiB idle, 512\.0 KiB'
	try "$1: the objects" shows '^Objects: 10000 live \(1\.0 MiB\), 2\.0 KiB free in the CPU caches; 2 of them large \(64\.0 KiB\)'
	try "$1: the calls" shows '^Calls: +100000 allocations, 90000 frees, 3 failed, wrong frees: 2, wrong writes: 4 \(see'
	try "$1: a size class" shows '^ +1000 +60 +78\.1 +64 +10 +80 +99\.0 +50000 +- +size-64$'
	try "$1: an object cache with a space in its name" shows '^ +1000 +20 +90\.4 +200 +27 +216 +- +5000 +- +my cache$'
	try "$1: the largest first" test "$(names)" = "size-1024-noscan,my cache,size-64,size-64-noscan"
	try "$1: no control codes" test -z "$(tr -d '[:print:]\n' <"$work/out")"
}

# Each key puts another row first or last.
orders()
{
	local key want
	while read -r key want; do
		stat -o -s "$key" -f "$data"
		try "$1: sorted by $key" test "$(names)" = "$want"
	done <<-'END'
		objs my cache,size-64,size-1024-noscan,size-64-noscan
		cached size-64,my cache,size-1024-noscan,size-64-noscan
		size size-1024-noscan,my cache,size-64,size-64-noscan
		allocs size-64,my cache,size-1024-noscan,size-64-noscan
		hits size-64,size-1024-noscan,my cache,size-64-noscan
		waste size-1024-noscan,my cache,size-64,size-64-noscan
		name my cache,size-1024-noscan,size-64,size-64-noscan
	END
	stat -o -s name -l 2 -f "$data"
	try "$1: so many lines" test "$(names)" = "my cache,size-1024-noscan"
}

# Two looks; what happens in between happens in "sleep".
looks()
{
	mkdir -p "$work/now"
	cp "$data"/* "$work/now"
	cat >"$work/bin/sleep" <<-END
		#!/bin/sh
		/bin/sleep 1
		sed -i '/"class": 20/s/"nmalloc": 400/"nmalloc": 1400/; /"class": 20/s/"nhit": 100/"nhit": 850/' "$work/now/stats.json"
	END
	chmod +x "$work/bin/sleep"
	try "$1: two looks" stat -n 2 -s rate -f "$work/now"
	rm "$work/bin/sleep"
	try "$1: two tables" test "$(grep -c NAME "$work/out")" = 2
	tail -n 4 "$work/out" >"$work/last"
	read -r _ _ _ _ _ _ hits nmalloc rate name < <(head -n 1 "$work/last")
	try "$1: the busy row is first" test "$name" = size-1024-noscan
	try "$1: and has all its allocations" test "$nmalloc" = 1400
	try "$1: and hits since the first look only" test "$hits" = 75.0
	try "$1: and a rate" test "$rate" -gt 0 -a "$rate" -le 1000
	read -r _ _ _ _ _ _ _ _ rate name < <(tail -n 1 "$work/last")
	try "$1: an idle row has none" test "$rate" = 0
}

refusals()
{
	try "an unknown key is refused" eval '! stat -o -s colour -f "$data"'
	try "by name" shows "cannot sort by 'colour'"
	try "no number for -d is refused" eval '! stat -d soon -f "$data"'
	try "an unknown option is refused" eval '! stat -z'
	try "a word too many is refused" eval '! stat -o now'
	try "no files: it fails" eval '! stat -o -f "$work/none"'
	try "and says what to look for" shows 'is kspan.ko loaded'
	try "-h is help" stat -h
}

mkdir "$work/bin"
PATH=$work/bin:$PATH
echo "TAP version 13"
for awk in mawk gawk original-awk busybox; do
	where=$(command -v $awk) || continue
	ln -sf "$where" "$work/bin/awk"
	once $awk
	orders $awk
	looks $awk
done
refusals
echo "1..$number"
exit $failed
