#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# `make check`: run every stage, whatever the ones before it did, and close
# with one line, "N passed, N failed". A skipped test is not a passed one and
# is counted apart.
#
#	scripts/check.sh [STAGE...]

set -u
cd "$(dirname "$0")/.." || exit 1
out=build/check
mkdir -p "$out"

export KSPAN_CHECK=1
make() { command make --no-print-directory "$@"; }

passed=0 failed=0 skipped=0
start=$SECONDS
stages=${*:-$(make -s check-stages)}

# What went wrong in a stage: each failed result and what was said before it.
show_failures()
{
	awk '/^(# )?ok / { n = 0; next }
		{ text[n++] = $0 }
		/^(# )?not ok / {
			for (i = n > 25 ? n - 25 : 0; i < n; i++)
				print "    " text[i]
			n = 0; found = 1
		}
		END {
			for (i = n > 20 ? n - 20 : 0; !found && i < n; i++)
				print "    " text[i]
		}' "$1" | head -n 120
}

log_of() { echo "$out/${1#check-}.tap"; }
end_of() { echo "$(log_of "$1").end"; }

# Leave a stage's log, and in another file how it ended.
run_stage()
{
	local log begin=$SECONDS

	log=$(log_of "$1")
	make -s "$1" >"$log" 2>"$log.err" </dev/null
	echo $? $((SECONDS - begin)) >"$(end_of "$1")"
}

report_stage()
{
	local log counts p f s status=1 seconds=0

	log=$(log_of "$1")
	read -r status seconds <"$(end_of "$1")"
	counts=$(scripts/tap-summary "$log" 2>>"$log.err")
	read -r p f s <<<"${counts:-0 1 0}"
	# A stage that failed as a whole has a failure even if no test had.
	[ "$status" = 0 ] || [ "$f" -gt 0 ] || f=1
	# Nothing ran: that is no pass.
	[ $((p + f + s)) -gt 0 ] || f=1
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	printf '%-20s %4d passed, %d failed, %d skipped (%d s)\n' \
		"$1" "$p" "$f" "$s" "$seconds"
	if [ "$f" -gt 0 ]; then
		show_failures "$log"
		tail -n 20 "$log.err" | sed 's/^/    /'
		echo "    the whole of it: $log, $log.err"
	elif [ "$s" -gt 0 ]; then
		grep -E '^(# )?ok.*# *SKIP' "$log" | sed 's/^/    /'
	fi
}

# Wait until at most $1 stages run, and report those that ended, in their order.
wait_stages()
{
	while [ "$(jobs -rp | wc -l)" -gt "$1" ]; do
		wait -n
	done
	while [ ${#running[@]} -gt 0 ] && { [ "$1" = 0 ] || [ -e "$(end_of "${running[0]}")" ]; }; do
		report_stage "${running[0]}"
		running=("${running[@]:1}")
	done
}

# Stages in builds of their own go side by side, one for each CPU: most of their tests have
# one thread. What they need of the system is there first.
beside=" $(make -s check-beside) "
cpus=$(nproc)
running=()
ready=
for stage in $stages; do
	case $beside in
	*" $stage "*)
		[ -n "$ready" ] || make -s build/setup-lib build/setup-tests build/ksrc >&2
		ready=1
		wait_stages $((cpus - 1))
		rm -f "$(end_of "$stage")"
		run_stage "$stage" &
		running+=("$stage") ;;
	*)
		wait_stages 0
		rm -f "$(end_of "$stage")"
		run_stage "$stage"
		report_stage "$stage" ;;
	esac
done
wait_stages 0

echo
echo "make check took $((SECONDS - start)) s; logs are in $out/"
summary="$passed passed, $failed failed"
[ "$skipped" = 0 ] || summary="$summary, $skipped skipped"
echo "$summary"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
