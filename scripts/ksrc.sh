#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Unpack from Debian's kernel source package the few files that the tests and
# the documentation use, into build/ksrc-<version>, with build/ksrc a link to
# it. They are used from there and never copied into this tree.
#
#	scripts/ksrc.sh [/usr/src/linux-source-<version>.tar.xz]

set -eu
cd "$(dirname "$0")/.."

tarball=${1:-$(ls /usr/src/linux-source-*.tar.xz 2>/dev/null | sort -V | head -n 1)}
if [ -z "$tarball" ]; then
	echo "ksrc: no linux-source package; run scripts/setup.sh modules" >&2
	exit 1
fi

version=$(basename "$tarball" .tar.xz)
version=${version#linux-source-}
dest=build/ksrc-$version

if [ ! -e "$dest/.complete" ] || [ ! -e "$dest/tools/memory-model" ] ||
   [ "$tarball" -nt "$dest/.complete" ]; then
	echo "ksrc: unpacking kselftest, checkpatch and kernel-doc of Linux $version (10 s)" >&2
	rm -rf "$dest"
	mkdir -p "$dest"
	top=linux-source-$version
	tar -xJf "$tarball" -C "$dest" --strip-components=1 --wildcards \
		"$top/tools/testing/selftests/lib.mk" \
		"$top/tools/testing/selftests/kselftest*" \
		"$top/tools/testing/selftests/run_kselftest.sh" \
		"$top/lib/cmdline.c" \
		"$top/tools/memory-model/litmus-tests" \
		"$top/Documentation/litmus-tests" \
		"$top/scripts/checkpatch.pl" \
		"$top/scripts/const_structs.checkpatch" \
		"$top/scripts/spelling.txt" \
		"$top/scripts/kernel-doc" \
		"$top/Documentation/sphinx"
	# kselftest finds a directory's settings below its own directory.
	ln -sfn "$(pwd -P)/selftests" "$dest/tools/testing/selftests/kspan"
	touch "$dest/.complete"
fi
ln -sfn "ksrc-$version" build/ksrc
