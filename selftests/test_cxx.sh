#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# C++ over libkspan-malloc: linked with the shared library, under LD_PRELOAD, with
# the archive, wholly static, and with an operator new of the program's own.

# kselftest's runner comes here through a link: only the real path leads back.
top=$(dirname "$(dirname "$(realpath "$0")")")
dir=$(realpath "${OUTPUT:-$top/build/selftests}")
lib=$(dirname "$dir")
src=$top/selftests/cxx.cc
out=$dir/cxx
number=0 failed=0

result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		echo "not ok $number $2"
		failed=1
	fi
}

build_and_run()
{
	local desc=$1 preload=$2
	shift 2
	g++ -std=c++17 -O1 -fno-builtin -o "$out" "$@" 2>&1 | sed 's/^/# /'
	LD_PRELOAD=$preload "$out"
	result $? "$desc"
}

echo "TAP version 13"
if grep -q __asan_init "$lib/libkspan-malloc.so" || grep -q __tsan_init "$lib/libkspan-malloc.so" ||
   grep -q __ubsan_ "$lib/libkspan-malloc.so"; then
	echo "1..0 # SKIP a sanitizer brings its own operators"
	exit 4
fi
echo "1..5"
build_and_run "LD_PRELOAD" "$lib/libkspan-malloc.so" "$src"
build_and_run "the shared library" "" "$src" "$lib/libkspan-malloc.so" -Wl,-rpath,"$lib"
build_and_run "the archive" "" "$src" "$lib/libkspan-malloc.a"
build_and_run "a static program" "" -static "$src" "$lib/libkspan-malloc.a"

cat >"$out.own.cc" <<END
#include <cstdlib>
#include <new>
static int n;
void *operator new(std::size_t size) { n++; return std::malloc(size); }
void operator delete(void *p) noexcept { std::free(p); }
int main() { int *volatile p = new int; delete p; p = new int[9]; delete[] p; return n < 1; }
END
build_and_run "a program with an operator new of its own, and the archive" "" \
	"$out.own.cc" "$lib/libkspan-malloc.a"
exit $failed
