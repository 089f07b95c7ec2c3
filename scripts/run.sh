#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# `make run`: kspan at work on real input in both worlds.
#
# 1. Real programs under libkspan-malloc.so: sqlite3 builds and queries a
#    database of 200,000 rows, gcc compiles kspan's own core. Each runs with
#    and without kspan, and must leave the same bytes.
# 2. A real kernel in a VM: kspan.ko and kspan_kv.ko are loaded, the kernel's
#    symbol map is streamed into /dev/kspan_kv and read back whole, and the
#    memory taken is set beside what kmalloc() takes for the same objects.

set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
out=$top/build/run
rows=200000
preload=$top/build/libkspan-malloc.so
start=$SECONDS

if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' off=$'\e[0m' cr=$'\r\e[K'
else
	bold='' dim='' green='' red='' off='' cr=''
fi

title()
{
	printf '\n%s%s%s\n' "$bold" "$1" "$off"
}

die()
{
	echo "${red}make run: $*${off}" >&2
	exit 1
}

# step TEXT COMMAND...: run it with its output in a log; on a terminal the
# seconds count up, elsewhere one line says how long it took.
step()
{
	local text=$1 begin=$SECONDS pid
	shift
	"$@" >"$out/step.log" 2>&1 </dev/null &
	pid=$!
	if [ -n "$cr" ]; then
		while kill -0 $pid 2>/dev/null; do
			printf '%s  %-52s %3d s' "$cr" "$text" $((SECONDS - begin))
			sleep 0.2
		done
	else
		printf '  %-52s' "$text"
	fi
	if wait $pid; then
		[ -z "$cr" ] || printf '%s  %-52s' "$cr" "$text"
		printf ' %3d s\n' $((SECONDS - begin))
	else
		echo
		tail -n 30 "$out/step.log" >&2
		die "failed: $text"
	fi
}

rm -rf "$out"
mkdir -p "$out"

# --- get ready ----------------------------------------------------------------

title "kspan: Go's allocator, in a program and in a kernel"
step "install what is missing" scripts/setup.sh all
step "build the libraries" make -j"$(nproc)" lib
step "build the modules" make modules

# --- 1: programs ---------------------------------------------------------------

ms()
{
	echo $((($(date +%s%N) - $1) / 1000000))
}

# with NAME COMMAND...: the command over kspan; its statistics in NAME.stats.
# each process appends its own, so that a driver's do not hide its children's.
with()
{
	local name=$1
	shift
	KSPAN_OPTIONS=stats_exit=1 LD_PRELOAD=$preload "$@" 2>>"$out/$name.stats"
}

sql()
{
	cat <<-SQL
		PRAGMA journal_mode = MEMORY;
		PRAGMA cache_size = -65536;
		CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT, maker TEXT, weight REAL);
		BEGIN;
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $rows)
		INSERT INTO parts
			SELECT i, printf('part-%07d-%s', (i * 7919) % 1000003, hex(i * 2654435761)),
			       printf('maker %d', (i * 31) % 997), (i * 37 % 10007) / 8.0 FROM n;
		COMMIT;
		CREATE INDEX by_name ON parts (name);
		CREATE INDEX by_maker ON parts (maker, weight);
		SELECT count(*), round(sum(weight), 3), min(name), max(name) FROM parts;
		SELECT maker, count(*), round(avg(weight), 6) FROM parts
			GROUP BY maker ORDER BY 3 DESC, 1 LIMIT 20;
		SELECT a.name, b.name FROM parts a JOIN parts b ON b.id = a.id + 1
			WHERE a.maker = 'maker 42' ORDER BY a.name LIMIT 50;
		SELECT group_concat(name, ',') FROM
			(SELECT name FROM parts WHERE name LIKE '%ABC%' ORDER BY name);
		SELECT count(DISTINCT substr(name, 6, 4)) FROM parts;
		PRAGMA integrity_check;
	SQL
}

run_sqlite()
{
	sql >"$out/script.sql"
	local t0
	t0=$(date +%s%N)
	sqlite3 "$out/libc.db" <"$out/script.sql" >"$out/libc.txt" || return
	ms "$t0" >"$out/sqlite.libc.ms"
	t0=$(date +%s%N)
	with sqlite sqlite3 "$out/kspan.db" <"$out/script.sql" >"$out/kspan.txt" || return
	ms "$t0" >"$out/sqlite.kspan.ms"
	cmp "$out/libc.txt" "$out/kspan.txt" && cmp "$out/libc.db" "$out/kspan.db"
}

run_gcc()
{
	local t0 f
	mkdir -p "$out/libc.o" "$out/kspan.o"
	set -- -std=gnu11 -O2 -fPIC -Iinclude -Iuspace -c
	t0=$(date +%s%N)
	for f in core/*.c; do
		gcc "$@" "$f" -o "$out/libc.o/$(basename "$f" .c).o" || return
	done
	ms "$t0" >"$out/gcc.libc.ms"
	t0=$(date +%s%N)
	for f in core/*.c; do
		with gcc gcc "$@" "$f" -o "$out/kspan.o/$(basename "$f" .c).o" || return
	done
	ms "$t0" >"$out/gcc.kspan.ms"
	diff -r "$out/libc.o" "$out/kspan.o"
}

times()
{
	printf '    %sthe same bytes; %s ms with libc, %s ms with kspan%s\n' "$green" \
		"$(cat "$out/$1.libc.ms")" "$(cat "$out/$1.kspan.ms")" "$off"
}

# The statistics of the process that allocated most, of the ones in the file.
saw()
{
	[ -s "$out/$1.stats" ] || die "kspan printed no statistics for $1"
	awk '$1 == "kspan:" && $3 == "mallocs," { b++; if ($2 + 0 > most) { most = $2 + 0; best = b } }
		{ text[b] = text[b] "    " $0 "\n" }
		END { printf "%s", text[best] }' "$out/$1.stats" | head -n 9
}

title "1. Real programs, with kspan as their malloc()"
step "sqlite3: a database of $rows rows, twice" run_sqlite
tail -n +2 "$out/kspan.txt" | head -n 1 | sed "s/^/    rows|weight|first|last: /"
times sqlite
echo "    what kspan saw:"
saw sqlite
step "gcc: all of core/, $(ls core/*.c | wc -l) files, twice" run_gcc
times gcc
echo "    what kspan saw, in the largest process:"
saw gcc

# --- 2: the kernel ---------------------------------------------------------------

title "2. A real kernel, in a VM"
kver=$(/sbin/modinfo -F vermagic kspan.ko | cut -d' ' -f1)
options=()
# Where the distribution ships only a stub for System.map, the guest writes the
# map from /proc/kallsyms; a few big modules take it past 100,000 lines.
map=/boot/System.map-$kver
if [ -r "$map" ] && [ "$(wc -l <"$map")" -ge 100000 ]; then
	options+=(--file "$map:/tmp.map")
else
	while read -r _ file _; do
		case $file in *.ko) ;; *) continue ;; esac
		options+=(--file "$file:/symbols/$(printf '%03d' ${#options[@]})-$(basename "$file")")
	done < <(for m in xfs btrfs kvm; do /sbin/modprobe -S "$kver" --show-depends $m; done |
		grep '^insmod' | awk '!seen[$2]++')
fi

begin=$SECONDS
echo "  booting Linux $kver"
selftests/vm/run.sh --module kspan.ko --module kspan_kv.ko "${options[@]}" \
	--script selftests/vm/demo.sh --log "$out/console.log" --timeout 540 |
	tee "$out/vm.txt" | sed -u '/^fact /d; s/^/    /'
[ "${PIPESTATUS[0]}" = 0 ] || die "the VM's part failed; its console: $out/console.log"
echo "    ${green}loaded, used and unloaded without a complaint of the kernel${off} ($((SECONDS - begin)) s)"

# --- in short --------------------------------------------------------------------

fact()
{
	sed -n "s/^fact $1: //p" "$out/vm.txt" | tail -n 1
}

row()
{
	printf '  %-26s %s\n' "$1" "$2"
}

title "In short"
row "sqlite3, $rows rows" "the same database and answers; $(cat "$out/sqlite.kspan.ms") ms over kspan, $(cat "$out/sqlite.libc.ms") ms over libc"
row "gcc, kspan's own core" "the same objects; $(cat "$out/gcc.kspan.ms") ms over kspan, $(cat "$out/gcc.libc.ms") ms over libc"
row "kernel, $(fact lines) lines" "through /dev/kspan_kv and back, md5 $(fact checksum)"
row "the memory they took" "$(fact kspan-kb) KiB over kspan, its code included; $(fact kmalloc-kb) KiB over kmalloc()"
row "all of this" "$((SECONDS - start)) s"
echo
echo "${dim}make check proves it. README.md tells how to use it from a module and from a program.${off}"
