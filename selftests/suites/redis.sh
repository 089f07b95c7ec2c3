# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Redis' own tests (tests/ of Debian's source package redis) with the server that
# is installed: strings, lists, hashes and streams of all encodings, memory limits
# and eviction, fork() to save, lazy frees in a thread.

suite_program="redis-server --version"
redis_dir=$work/redis

suite_prepare()
{
	local program

	fetch_source redis "$(installed redis-server)" || return 1
	for program in redis-server redis-cli redis-benchmark redis-check-rdb redis-check-aof; do
		ln -sf "$(command -v $program)" "$redis_dir/src/$program"
	done
}

suite_tests()
{
	printf '%s\n' unit/type/string unit/type/incr unit/type/list unit/type/set unit/type/zset \
		unit/type/hash unit/type/stream unit/keyspace unit/scan unit/sort unit/expire \
		unit/multi unit/quit unit/dump unit/lazyfree unit/maxmemory unit/scripting \
		unit/bitops unit/hyperloglog unit/pubsub \
		unit/querybuf integration/rdb
}

# One server at a time on ports of its own; a verdict for each test of the unit.
redis_one()
{
	local out=$1 name=$2 to

	to=$out/${name//\//_}
	(cd "$redis_dir" && timeout 600 tclsh tests/test_helper.tcl --single "$name" --clients 1 \
		--baseport "$3" --portcount 200 --skipfile "$out/skip") >"$to.log" 2>&1 </dev/null
	echo "status $?" >"$to.cases"
	sed -e 's/\x1b\[[0-9;]*m//g' "$to.log" |
		sed -nE 's/^\[(ok|err|exception|skip|ignore)\]: (.*)/\1 \2/p' |
		sed -E 's/ \([0-9]+ ms\)$//; s/[0-9]{3,}(\.[0-9]+)?/N/g' | sort >>"$to.cases"
}

suite_run()
{
	local out=$1 name

	shift
	left_out redis >"$out/skip"
	for name in "$@"; do
		redis_one "$out" "$name" 22111
	done
}
