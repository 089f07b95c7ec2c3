#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Real programs with libkspan-malloc.so as their malloc(): the same work with
# and without it must give the same bytes and the same exit status. With rseq,
# without (per-thread slots), checked, and under valgrind.
#
#	selftests/programs.sh [NAME...]		(the names of the work_* below)

cd "$(dirname "$0")/.." || exit 1
. scripts/tap.sh
top=$PWD
out=$top/build/check/programs
src=$out/src
preload=$top/build/libkspan-malloc.so
export LC_ALL=C PYTHONMALLOC=malloc PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
unset KSPAN_OPTIONS LD_PRELOAD GLIBC_TUNABLES MAKEFLAGS

diagnose()
{
	sed 's/^/# /' "$@" 2>/dev/null | head -n 20
}

# --- the work ------------------------------------------------------------------
#
# Each runs in an empty directory of its own; every file that it leaves there
# and what it prints is compared. $src has the tree's sources as they were.

# what a work needs, where that is not the program of its name
needs()
{
	case $1 in
	gcc_parallel)	echo gcc ;;
	python3*)	echo python3 ;;
	sqlite3*)	echo sqlite3 ;;
	sort)		echo sort awk ;;
	redis)		echo redis-server redis-cli timeout ;;
	*)		echo "$1" ;;
	esac
}

# The same text for everybody: 200,000 lines.
text()
{
	awk 'BEGIN { s = 1; for (i = 0; i < 200000; i++) {
		s = (s * 69069 + 1) % 4294967296
		printf "%d %x line %s\n", s % 100003, s, substr("abcdefghijklmnopqrstuvwxyz", 1, s % 26)
	} }'
}

work_sqlite3()
{
	sqlite3 data.db <<-SQL
		PRAGMA journal_mode = MEMORY;
		CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL);
		BEGIN;
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
			INSERT INTO t SELECT i, printf('%d-%s', (i * 7919) % 100003,
				hex(i * 2654435761)), (i * 37 % 10007) / 8.0 FROM n;
		COMMIT;
		CREATE INDEX by_name ON t (name);
		SELECT count(*), sum(value), min(name), max(name) FROM t;
		SELECT substr(name, 1, 2) AS p, count(*), avg(value) FROM t GROUP BY p ORDER BY 2, 1;
		SELECT length(group_concat(name)) FROM (SELECT name FROM t ORDER BY name);
		DELETE FROM t WHERE id % 3 = 0;
		SELECT a.name FROM t a JOIN t b ON b.id = a.id + 1 ORDER BY a.name LIMIT 100;
		VACUUM;
		PRAGMA integrity_check;
	SQL
}

work_sqlite3_short()
{
	sqlite3 :memory: <<-SQL
		CREATE TABLE t (a, b);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
			INSERT INTO t SELECT i, hex(i * 2654435761) FROM n;
		SELECT count(*), group_concat(b) FROM (SELECT * FROM t ORDER BY b);
	SQL
}

compile()
{
	gcc -std=gnu11 -O2 -fPIC -I"$src/include" -I"$src/uspace" -c "$1" \
		-o "$(basename "$1" .c).o"
}

work_gcc()
{
	local f
	for f in "$src"/core/*.c; do
		compile "$f" || return
	done
}

work_gcc_parallel()
{
	export -f compile
	export src
	printf '%s\n' "$src"/core/*.c | xargs -P 4 -I{} bash -c 'compile {}'
}

work_python3()
{
	python3 - <<-'PY'
		import hashlib, json, re, threading
		digest = hashlib.sha256()
		data = {"k%d" % i: [i, str(i) * (i % 9), {"x": i / 7}] for i in range(60000)}
		text = json.dumps(data, sort_keys=True)
		digest.update(json.dumps(json.loads(text), sort_keys=True).encode())
		digest.update(repr(sorted(re.findall(r"k\d*7", text))).encode())
		digest.update(hex(3 ** 20000).encode())
		results = [None] * 8
		def work(n):
		    rows = [bytes([(n + i) % 256]) * (i % 3000) for i in range(20000)]
		    results[n] = hashlib.sha256(b"".join(rows)).hexdigest()
		threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
		for t in threads: t.start()
		for t in threads: t.join()
		print(digest.hexdigest(), results)
	PY
}

work_python3_fork()
{
	cat >work.py <<-'PY'
		import hashlib, multiprocessing, os, subprocess, threading
		def work(n):
		    rows = {i: str(i * n) * (i % 50) for i in range(20000)}
		    return hashlib.sha256(repr(rows).encode()).hexdigest()
		if __name__ == "__main__":
		    stop = threading.Event()
		    def busy():
		        while not stop.is_set():
		            [bytearray(n) for n in range(1, 4000, 37)]
		    threads = [threading.Thread(target=busy) for _ in range(2)]
		    for t in threads: t.start()
		    with multiprocessing.get_context("fork").Pool(4) as pool:
		        print(pool.map(work, range(16)))
		    with multiprocessing.get_context("spawn").Pool(2) as pool:
		        print(pool.map(work, range(4)))
		    for i in range(20):
		        if os.fork() == 0:
		            os._exit(len(work(i)) - 64)
		        print(os.wait()[1])
		    print(subprocess.run(["echo", "from a child"], capture_output=True).stdout)
		    stop.set()
		    for t in threads: t.join()
	PY
	python3 work.py
}

work_perl()
{
	perl -e '
		my (%h, @a); my $s = 1;
		for my $i (1 .. 200000) {
			$s = ($s * 69069 + 1) % 4294967296;
			$h{$s % 5003} .= chr(65 + $s % 26); push @a, $s; shift @a if @a > 1000;
			$h{$s % 5003} = reverse $h{$s % 5003} if length $h{$s % 5003} > 60;
		}
		print "$_ $h{$_}\n" for sort keys %h; print join(",", sort @a), "\n";
		my $text = join " ", map { $h{$_} } sort keys %h;
		my $n = () = $text =~ /A[B-M]+[^ ]*?Z/g; print "$n\n";
		if (my $pid = fork) { waitpid $pid, 0; print $?, "\n" }
		else { my @b = map { "x" x $_ } 1 .. 2000; exit(@b == 2000 ? 3 : 4) }'
}

work_gawk()
{
	text | gawk '{ n[$1]++; t[$1] = t[$1] $2; if (length(t[$1]) > 200) t[$1] = substr(t[$1], 50) }
		END { c = asorti(n, k); for (i = 1; i <= c; i++) print k[i], n[k[i]], t[k[i]] }'
}

work_sort()
{
	text | sort -k2 --parallel=4 -S 20M
	text | sort -n -u
}

work_xz()
{
	text | xz -6 -T 2 --block-size=1MiB >text.xz
	xz -dc text.xz | cksum
}

work_zstd()
{
	text | zstd -9 -T2 -q >text.zst
	zstd -dc text.zst | cksum
}

work_lua5.4()
{
	lua5.4 -e '
		local t = {}
		for i = 1, 300000 do t[i % 7919] = (t[i % 7919] or "") .. i; if #t[i % 7919] > 90 then t[i % 7919] = nil end end
		local s = {} for i = 0, 7918 do s[#s + 1] = t[i] or "-" end
		print(table.concat(s, " "))'
}

work_ruby()
{
	ruby -e '
		s = 1; h = Hash.new { |t, k| t[k] = +"" }
		150_000.times { |i| s = (s * 69069 + 1) % 4294967296; h[s % 5003] << s.to_s(36)
			h[s % 5003] = h[s % 5003].reverse[0, 40] if h[s % 5003].size > 60 }
		puts h.keys.sort.map { |k| "#{k} #{h[k]}" }
		t = 4.times.map { |n| Thread.new { (1..20_000).map { |i| (i * n).to_s * (i % 5) }.join.sum } }
		p t.map(&:value), 3 ** 5000, h.values.join.scan(/a[0-9]+z/).size
		pid = fork { exit(Array.new(2000) { |i| "x" * i }.size == 2000 ? 3 : 4) }
		Process.wait pid
		p $?.exitstatus'
}

# Pigeons and holes: nothing to find, and much to try.
work_z3()
{
	awk 'BEGIN { n = 8
		print "(set-option :smt.random_seed 1)(set-option :sat.random_seed 1)"
		for (p = 0; p <= n; p++) for (h = 0; h < n; h++) print "(declare-const x" p "_" h " Bool)"
		for (p = 0; p <= n; p++) { s = ""; for (h = 0; h < n; h++) s = s " x" p "_" h; print "(assert (or" s "))" }
		for (h = 0; h < n; h++) for (p = 0; p <= n; p++) for (q = p + 1; q <= n; q++)
			print "(assert (not (and x" p "_" h " x" q "_" h ")))"
		print "(check-sat)"
		print "(reset)(declare-const a Int)(declare-const b Int)(declare-fun f (Int) Int)"
		print "(assert (and (> a 3) (< (* a b) 100) (= (f a) (+ b 7)) (> (f (f b)) 9)))(check-sat)"
	}' >pigeons.smt2
	z3 pigeons.smt2
}

work_git()
{
	export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' \
		GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a \
		GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
	git init -q -b main tree && cd tree || return
	cp -r "$src/core" "$src/uspace" . && git add . && git commit -qm one || return
	sed -i 's/heap/pile/g' core/*.c && git commit -qam two || return
	git -c pack.threads=4 repack -adq --depth=50 --window=50
	git log -p --stat | cksum
	git fsck --full 2>&1
	git rev-parse HEAD
	cd .. && rm -rf tree
}

# One server, on a port of the loopback that nobody else has.
work_redis()
{
	local port i cli
	for port in $(seq 23790 23890); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no \
		--daemonize no --dir "$PWD" --io-threads 2 >"$scratch/redis.log" 2>&1 &
	local pid=$!
	cli="redis-cli -h 127.0.0.1 -p $port"
	for i in $(seq 100); do
		[ "$($cli ping 2>/dev/null)" != PONG ] || break
		sleep 0.1
	done
	text | head -n 30000 | awk '{ print "SET key:" NR % 9000, $2 $4 $4; print "RPUSH list:" $1 % 50, $2
		print "HSET hash:" $1 % 70, $2 % 1000, $4; print "ZADD zset", $1, $2
		if (NR % 5 == 0) print "DEL key:" $1 % 9000 }' | $cli >replies
	cksum replies
	for i in "DBSIZE" "GET key:77" "LRANGE list:7 0 -1" "ZRANGE zset 0 200 WITHSCORES" "HLEN hash:3"; do
		# shellcheck disable=SC2086 # a command of words
		$cli $i
	done
	$cli SORT list:7 ALPHA DESC | cksum
	$cli BGSAVE >/dev/null		# a fork
	for i in $(seq 100); do
		[ "$($cli INFO persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" != 0 ] || break
		sleep 0.1
	done
	$cli INFO persistence | tr -d '\r' | grep -E '^rdb_last_bgsave_status'
	$cli FLUSHALL
	$cli SHUTDOWN NOSAVE
	wait $pid
	rm -f dump.rdb
}

# --- with and without ------------------------------------------------------------

# run DIRECTORY NAME [VARIABLE=VALUE...]: the work in an environment.
run()
{
	local dir=$1 name=$2
	shift 2
	rm -rf "$dir"
	mkdir -p "$dir/files"
	(
		cd "$dir/files" || exit 1
		scratch=$dir
		for var in "$@"; do
			export "${var?}"
		done
		"work_$name" </dev/null
	) >"$dir/stdout" 2>"$dir/stderr"
	echo $? >"$dir/status"
}

# differs DIRECTORY DIRECTORY: say what.
differs()
{
	cmp "$1/status" "$2/status" 2>&1 && cmp "$1/stdout" "$2/stdout" 2>&1 &&
		diff -r "$1/files" "$2/files" >"$2/diff" 2>&1 && return 1
	echo "exit status $(cat "$1/status") without kspan, $(cat "$2/status") with it"
	return 0
}

# same NAME DESCRIPTION [VARIABLE=VALUE...]
same()
{
	local name=$1 desc=$2 dir program
	shift 2
	dir=$out/$name.$(tr -c 'a-z0-9\n' _ <<<"$desc")
	for program in $(needs "$name"); do
		command -v "$program" >/dev/null || { skip "$desc" "no $program here"; return; }
	done
	[ -d "$out/$name.libc" ] || run "$out/$name.libc" "$name"
	if [ "$(cat "$out/$name.libc/status")" != 0 ]; then
		diagnose "$out/$name.libc/stderr"
		result 1 "$desc: fails without kspan"
		return
	fi
	run "$dir" "$name" LD_PRELOAD="$preload" "$@"
	if differs "$out/$name.libc" "$dir" >"$dir.said" || grep -q '^kspan: ' "$dir/stderr"; then
		diagnose "$dir.said" "$dir/diff" "$dir/stderr"
		result 1 "$desc"
	else
		result 0 "$desc"
		rm -rf "$dir"
	fi
	rm -f "$dir.said"
}

# Is it kspan that serves the program? Its statistics say so.
served()
{
	local dir=$out/served status
	command -v sqlite3 >/dev/null || { skip "kspan serves a program's malloc()" "no sqlite3 here"; return; }
	run "$dir" sqlite3_short LD_PRELOAD="$preload" KSPAN_OPTIONS=stats_exit=1
	grep -qE '^kspan: .*[1-9][0-9]* mallocs' "$dir/stderr"
	status=$?
	[ $status = 0 ] || diagnose "$dir/stderr"
	result $status "kspan serves a program's malloc()"
	rm -rf "$dir"
	mkdir -p "$dir"
	LD_PRELOAD=$preload KSPAN_OPTIONS=stats_exit=1 ls "$src" >"$dir/stdout" 2>"$dir/stderr"
	grep -qE '^kspan: .*[1-9][0-9]* mallocs' "$dir/stderr"
	status=$?
	[ $status = 0 ] || diagnose "$dir/stderr"
	result $status "statistics of a program that closes its standard error (ls)"
	# and whose number of ours is something else by then
	LD_PRELOAD=$preload KSPAN_OPTIONS=stats_exit=1 python3 -c 'import os
for fd in range(3, 1024):
	try: os.close(fd)
	except OSError: pass
for fd in range(3, 1000): os.open("'"$dir"'/other", os.O_CREAT | os.O_RDWR)' 2>"$dir/stderr" </dev/null
	grep -qE '^kspan: .*[1-9][0-9]* mallocs' "$dir/stderr" && [ -e "$dir/other" ] && [ ! -s "$dir/other" ]
	status=$?
	[ $status = 0 ] || diagnose "$dir/stderr"
	result $status "statistics go into no file of the program's"
}

# A program that frees wrongly ends, with a report.
refuses()
{
	local dir=$out/refuses status
	mkdir -p "$dir"
	cat >"$dir/double.c" <<-C
		#include <stdlib.h>
		int main(void)
		{
			char *volatile p = malloc(100000);
			free(p);
			free(p);
			return 0;
		}
	C
	gcc -O0 -w -o "$dir/double" "$dir/double.c" || return
	# in a shell of its own, which may say "Aborted" where nobody reads it
	bash -c 'LD_PRELOAD=$1 "$2" 2>"$3"; exit $?' - "$preload" "$dir/double" "$dir/stderr" 2>/dev/null
	status=$?
	grep -q '^kspan: double free' "$dir/stderr" && [ $status = 134 ]
	status=$?
	[ $status = 0 ] || diagnose "$dir/stderr"
	result $status "a double free ends the program with a report"
}

# Under valgrind there is no rseq: memcheck must find nothing wrong in kspan.
under_valgrind()
{
	local dir=$out/valgrind status
	command -v valgrind >/dev/null || { skip "sqlite3 under valgrind" "no valgrind here"; return; }
	run "$out/sqlite3_short.libc" sqlite3_short
	rm -rf "$dir"
	mkdir -p "$dir"
	# soname-synonyms: leave malloc() to kspan
	sqlite3()
	{
		LD_PRELOAD=$preload valgrind -q --error-exitcode=99 --undef-value-errors=no \
			--soname-synonyms=somalloc=nouserintercepts sqlite3 "$@"
	}
	run "$dir" sqlite3_short
	unset -f sqlite3
	! differs "$out/sqlite3_short.libc" "$dir" >"$dir/said"
	status=$?
	[ $status = 0 ] || diagnose "$dir/said" "$dir/stderr"
	result $status "sqlite3 under valgrind"
}

everything()
{
	served
	refuses
	same sqlite3 "sqlite3: a database of 200,000 rows"
	same gcc "gcc -O2: core/, object files"
	same gcc_parallel "gcc -O2: four at a time"
	same python3 "python3: json, regular expressions, threads"
	same python3_fork "python3: fork and multiprocessing among threads"
	same perl "perl: strings, hashes, fork"
	same gawk "gawk: arrays"
	same sort "sort: threads"
	same xz "xz: threads"
	same zstd "zstd: threads"
	same lua5.4 "lua: strings"
	same ruby "ruby: strings, threads, fork"
	same z3 "z3: clauses and arithmetic"
	same git "git: commit, repack, log, fsck"
	same redis "redis-server: commands, a snapshot from a fork"
	same sqlite3 "sqlite3 without rseq" GLIBC_TUNABLES=glibc.pthread.rseq=0
	same python3 "python3 without rseq" GLIBC_TUNABLES=glibc.pthread.rseq=0
	same python3_fork "python3: fork without rseq" GLIBC_TUNABLES=glibc.pthread.rseq=0
	same sqlite3 "sqlite3 checked" KSPAN_OPTIONS=checked=1
	same python3_fork "python3: fork, checked" KSPAN_OPTIONS=checked=1
	same perl "perl with small caches" KSPAN_OPTIONS=cache=64K,epoch_ms=10
	under_valgrind
}

echo "TAP version 13"
if [ ! -e "$preload" ]; then
	echo "Bail out! no $preload: make lib builds it"
	exit 1
fi
rm -rf "$out"
mkdir -p "$src"
cp -r core include uspace "$src"
if [ $# -gt 0 ]; then
	for name in "$@"; do
		same "$name" "$name"
	done
else
	everything
fi
echo "1..$number"
exit $failed
