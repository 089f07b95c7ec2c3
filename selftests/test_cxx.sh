#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# C++ over libkspan-malloc: linked with the shared library, under LD_PRELOAD, with
# the archive, wholly static, and with an operator new of the program's own.

# kselftest's runner comes here through a link: only the real path leads back.
top=$(dirname "$(dirname "$(realpath "$0")")")
. "$top/scripts/tap.sh"
dir=$(realpath "${OUTPUT:-$top/build/selftests}")
lib=$(dirname "$dir")
src=$top/selftests/cxx.cc
out=$dir/cxx

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
echo "1..9"
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

# The other forms come down to the program's own, whoever has them.
cat >"$out.four.cc" <<END
#include <cstdlib>
#include <new>
static int out;
void *operator new(std::size_t n)
{
	char *p = (char *)std::malloc(n + 64);
	if (n > 1000000) { std::free(p); throw std::bad_alloc(); }
	out++;
	return p + 64;
}
void operator delete(void *p) noexcept { if (p) { out--; std::free((char *)p - 64); } }
void *operator new(std::size_t n, std::align_val_t a)
{
	out++;
	return (char *)std::aligned_alloc((std::size_t)a, n + (std::size_t)a) + (std::size_t)a;
}
void operator delete(void *p, std::align_val_t a) noexcept
{
	if (p) { out--; std::free((char *)p - (std::size_t)a); }
}
struct alignas(128) Wide { char body[200]; };
struct Counted { char c[9]; ~Counted() { c[0] = 0; } };
template <typename T> static T *hide(T *p) { __asm__ volatile("" : "+r"(p) : : "memory"); return p; }
int main()
{
	delete hide(new int);
	delete[] hide(new int[9]);
	delete[] hide(new Counted[9]);
	delete hide(new (std::nothrow) int);
	delete[] hide(new (std::nothrow) int[9]);
	delete hide(new Wide);
	delete[] hide(new Wide[3]);
	delete hide(new (std::nothrow) Wide);
	delete[] hide(new (std::nothrow) Wide[3]);
	const std::align_val_t a{64};
	::operator delete(hide(::operator new(5)), std::nothrow);
	::operator delete[](hide(::operator new[](5)), std::nothrow);
	::operator delete[](hide(::operator new[](5)), 5);
	::operator delete(hide(::operator new(5, a)), a, std::nothrow);
	::operator delete[](hide(::operator new[](5, a)), a, std::nothrow);
	::operator delete[](hide(::operator new[](5, a)), 5, a);
	::operator delete(hide(::operator new(5, a)), 5, a);
	volatile std::size_t much = 2000000;
	return out || ::operator new(much, std::nothrow) || ::operator new[](much, std::nothrow);
}
END
build_and_run "a program with four operators of its own, LD_PRELOAD" "$lib/libkspan-malloc.so" \
	-Wno-sized-deallocation "$out.four.cc"
build_and_run "the same, and the shared library" "" -Wno-sized-deallocation "$out.four.cc" \
	"$lib/libkspan-malloc.so" -Wl,-rpath,"$lib"
build_and_run "the same, and the archive" "" -Wno-sized-deallocation "$out.four.cc" \
	"$lib/libkspan-malloc.a"
build_and_run "the same, static" "" -static -Wno-sized-deallocation "$out.four.cc" \
	"$lib/libkspan-malloc.a"
exit $failed
