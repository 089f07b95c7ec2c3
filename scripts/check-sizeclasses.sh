#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Build the generator of the size classes and hold what it prints against the
# committed header and against Go's own classes.
#
#	scripts/check-sizeclasses.sh [BUILD-DIRECTORY]
#
# A relative directory is meant from the top of the tree; the default is build.

cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
generator=$build/mksizeclasses
number=0 failed=0

# Compare a committed file with what the generator prints.
same()
{
	desc=$1 committed=$2
	shift 2
	number=$((number + 1))
	: >"$generator.diff"
	if "$generator" "$@" >"$generator.out" &&
	   diff -u "$committed" "$generator.out" >"$generator.diff"; then
		echo "ok $number $desc"
	else
		sed 's/^/# /' "$generator.diff"
		echo "not ok $number $desc"
		failed=1
	fi
	rm -f "$generator.out" "$generator.diff"
}

echo "TAP version 13"
echo "1..2"
mkdir -p "$build"
if ! ${HOSTCC:-cc} -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror \
		-o "$generator" scripts/mksizeclasses.c; then
	echo "Bail out! the generator does not build"
	exit 1
fi
same "core/sizeclass_table.h is what the rules generate" core/sizeclass_table.h
same "the size classes are Go's" selftests/data/go-sizeclasses.tsv --tsv
exit $failed
