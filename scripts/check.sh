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

for stage in $stages; do
	log=$out/${stage#check-}.tap
	begin=$SECONDS
	printf '%-18s ' "$stage"
	make -s "$stage" >"$log" 2>"$log.err" </dev/null
	status=$?
	counts=$(scripts/tap-summary "$log" 2>>"$log.err")
	read -r p f s <<<"${counts:-0 1 0}"
	# A stage that failed as a whole has a failure even if no test had.
	[ "$status" = 0 ] || [ "$f" -gt 0 ] || f=1
	# Nothing ran: that is no pass.
	[ $((p + f + s)) -gt 0 ] || f=1
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	printf '%4d passed, %d failed, %d skipped (%d s)\n' \
		"$p" "$f" "$s" $((SECONDS - begin))
	if [ "$f" -gt 0 ]; then
		show_failures "$log"
		tail -n 20 "$log.err" | sed 's/^/    /'
		echo "    the whole of it: $log, $log.err"
	elif [ "$s" -gt 0 ]; then
		grep -E '^(# )?ok.*# *SKIP' "$log" | sed 's/^/    /'
	fi
done

echo
echo "make check took $((SECONDS - start)) s; logs are in $out/"
summary="$passed passed, $failed failed"
[ "$skipped" = 0 ] || summary="$summary, $skipped skipped"
echo "$summary"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
