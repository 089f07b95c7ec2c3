#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Run the C library's own tests of malloc(), from Debian's package glibc-source,
# over libkspan-malloc.so. left-out.txt has those that are not run and why; every
# other one is run. Nothing of them is kept in this tree; they are compiled against a
# small stand-in for glibc's test support (support/).
#
#	selftests/glibc/run.sh [LIBRARY]

set -u
cd "$(dirname "$0")/../.." || exit 1
lib=$(realpath "${1:-build/libkspan-malloc.so}")
here=$PWD/selftests/glibc
dir=$PWD/build/glibc
failed=0

echo "TAP version 13"
source=$(ls /usr/src/glibc/glibc-*.tar.xz 2>/dev/null | head -n 1)
if [ -z "$source" ]; then
	echo "1..1"
	echo "not ok 1 the package glibc-source is there"
	exit 1
fi
if ! [ -f "$dir/malloc/tst-malloc.c" ]; then
	mkdir -p "$dir"
	tar -C "$dir" --strip-components=1 --wildcards -xf "$source" '*/malloc/tst-*' || exit 1
fi

# The headers that the tests ask for, by their names: each leads to the stand-in.
mkdir -p "$dir/include/support" "$dir/bin"
for header in libc-diag.h array_length.h libc-symbols.h support/check.h support/support.h \
	      support/test-driver.h support/xthread.h support/xunistd.h support/xsignal.h \
	      support/temp_file.h malloc-size.h; do
	echo '#include "shim.h"' >"$dir/include/$header"
done
echo '#include "main.h"' >"$dir/include/support/test-driver.c"
printf '%s\n' '#define SHIM_SKELETON' '#include "main.h"' >"$dir/test-skeleton.c"

# What a test needs to see a double free at once.
declare -A options=([tst-tcfree1]=checked=1 [tst-tcfree2]=checked=1)

all=$(cd "$dir/malloc" && ls tst-*.c | sed 's/\.c$//' | sort)
left_out=$(cut -f1 "$here/left-out.txt" | sort)
tests=$(comm -23 <(echo "$all") <(echo "$left_out"))
echo "1..$(($(wc -w <<<"$tests") + 1))"
sed 's/^/# left out: /' "$here/left-out.txt"
gone=$(comm -13 <(echo "$all") <(echo "$left_out"))
number=1
if [ -z "$gone" ]; then
	echo "ok 1 what is left out is there"
else
	echo "# $gone"
	echo "not ok 1 what is left out is there"
	failed=1
fi
for name in $tests; do
	number=$((number + 1))
	bin=$dir/bin/$name
	if ! gcc -std=gnu11 -D_GNU_SOURCE -O2 -g -w -fno-builtin -I"$here/support" -I"$dir/include" \
			-I"$dir" -o "$bin" "$dir/malloc/$name.c" -lpthread >"$bin.log" 2>&1; then
		head -n 20 "$bin.log" | sed 's/^/# /'
		echo "not ok $number $name # it does not build"
		failed=1
		continue
	fi
	KSPAN_OPTIONS=${options[$name]-} LD_PRELOAD=$lib timeout 300 "$bin" >"$bin.log" 2>&1
	status=$?
	case $status in
	0)	echo "ok $number $name" ;;
	77)	echo "ok $number $name # SKIP $(tail -n 1 "$bin.log")" ;;
	*)	tail -n 20 "$bin.log" | sed 's/^/# /'
		echo "not ok $number $name # status $status"
		failed=1 ;;
	esac
done
exit $failed
