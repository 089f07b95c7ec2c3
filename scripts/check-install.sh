#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# `make install` into an empty directory: what it leaves serves to build a program
# against each library, shared and static, with the flags that pkg-config gives, and
# there is a page for every manual page.

set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/tap.sh
dest=$PWD/build/check/install
prefix=/opt/kspan

# flags PACKAGE [--static]: as for a package that lies below $dest
flags()
{
	PKG_CONFIG_LIBDIR=$dest$prefix/lib/pkgconfig:$(pkg-config --variable pc_path pkg-config) \
		PKG_CONFIG_SYSROOT_DIR='' pkg-config --cflags --libs \
		--define-variable=prefix="$dest$prefix" \
		--define-variable=libdir="$dest$prefix/lib" "$@"
}

# The program tells which malloc() and whether the API works.
build_and_run()
{
	local desc=$1
	shift
	{
		gcc -Wall -Werror -o "$dest/program" "$@" &&
			LD_LIBRARY_PATH=$dest$prefix/lib "$dest/program"
	} >"$dest/log" 2>&1
	local status=$?
	[ $status = 0 ] || sed 's/^/# /' "$dest/log"
	result $status "$desc"
}

echo "TAP version 13"
rm -rf "$dest"
mkdir -p "$dest"
make -s install DESTDIR="$dest" PREFIX=$prefix >"$dest/make.log" 2>&1
status=$?
[ $status = 0 ] || sed 's/^/# /' "$dest/make.log"
result $status "make install DESTDIR= PREFIX="

cat >"$dest/api.c" <<END
#include <kspan.h>
int main(void)
{
	char *p = kspan_zalloc(100, GFP_KERNEL);
	int bad = !p || p[99] || kspan_size(p) != 112;

	kspan_free(p);
	return bad || kspan_verify();
}
END
cat >"$dest/malloc.c" <<END
#include <malloc.h>
#include <stdlib.h>
int main(void)
{
	char *volatile p = malloc(33);
	int bad = malloc_usable_size(p) != 48;

	free(p);
	return bad;
}
END
# shellcheck disable=SC2046 # words
{
	build_and_run "a program with libkspan.so, by pkg-config" "$dest/api.c" $(flags kspan)
	build_and_run "a static program with libkspan.a, by pkg-config" -static "$dest/api.c" \
		$(flags --static kspan)
	build_and_run "a program with libkspan-malloc.so, by pkg-config" "$dest/malloc.c" \
		$(flags kspan-malloc)
	build_and_run "a static program with libkspan-malloc.a, by pkg-config" -static \
		"$dest/malloc.c" $(flags --static kspan-malloc)
}
readelf -d "$dest$prefix/lib/libkspan-malloc.so" | grep -q 'SONAME.*libkspan-malloc.so.0'
result $? "the library has its soname"
for page in man3/kspan.3 man7/kspan.7 man7/libkspan-malloc.7; do
	grep -q '^\.TH' "$dest$prefix/share/man/$page" && grep -q '^\.SH DESCRIPTION' "$dest$prefix/share/man/$page"
	result $? "the manual page $page"
done
grep -q 'limit_hard' "$dest$prefix/share/man/man7/libkspan-malloc.7" &&
	grep -q 'kspan_cache_create' "$dest$prefix/share/man/man3/kspan.3"
result $? "the pages have the options and the declarations"
echo "1..$number"
exit $failed
