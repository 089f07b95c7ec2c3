#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Build the userspace library and its tests in one variant and run the tests
# through kselftest's runner.
#
#	scripts/check-user.sh VARIANT CC [SANITIZER[,SANITIZER]] [TESTS]

set -u
cd "$(dirname "$0")/.." || exit 1

variant=$1 cc=$2 san=${3-} tests=${4-*}
log=build/check/$variant.build
mkdir -p build/check

fail()
{
	sed 's/^/# /' "$log"
	echo "1..1"
	echo "not ok 1 $1"
	exit 1
}

# In `make check` from nothing, so that every warning is seen.
[ -z "${KSPAN_CHECK-}" ] || rm -rf "build/$variant"
make -j"$(nproc)" VARIANT="$variant" CC="$cc" SAN="$san" lib >"$log" 2>&1 ||
	fail "the $variant library builds"
make -j"$(nproc)" -C selftests VARIANT="$variant" CC="$cc" SAN="$san" TESTS="$tests" all \
	>>"$log" 2>&1 || fail "the $variant tests build"
ls selftests/test_*.c >/dev/null 2>&1 || fail "there are tests to run"

# A sanitizer's first report ends the test. TSan wants its shadow where the
# kernel's randomisation may have put something else.
export ASAN_OPTIONS=abort_on_error=0:exitcode=99:detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/selftests/tsan.supp
quiet=
[ "$san" != thread ] || quiet="setarch -R"

# kselftest's runner always ends with 0: the results are in what it prints,
# and the status here tells of the build.
$quiet make --no-print-directory -C selftests VARIANT="$variant" CC="$cc" SAN="$san" \
	TESTS="$tests" run_tests
status=$?

if grep 'warning:' "$log" | sort -u | sed 's/^/# /' | grep .; then
	echo "the $variant build has warnings: $log" >&2
	status=1
fi
exit $status
