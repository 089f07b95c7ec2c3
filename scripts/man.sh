#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Build the manual pages into build/man; any warning is an error.

set -eu
cd "$(dirname "$0")/.."

rm -rf build/man
mkdir -p build/man
/usr/bin/python3 -m sphinx -q -E -W --keep-going -b man \
	-d build/man/doctrees Documentation/man build/man
rm -rf build/man/doctrees

# Sphinx makes columns of equal width with a rule below each row, which roff cannot fill
# and breaks at a page's end: the last column gets the width instead.
for page in build/man/*.[37]; do
	sed -i -e '/^\.TS$/,/^\.TE$/ {
		s/^|l|l|l|l|\.$/lw(13n) lw(15n) lw(8n) lx./
		/^center;$/d
		/^_$/d
		s/^\.TS$/.na\n.TS/
		s/^\.TE$/.TE\n.ad/
	}' "$page"
	# by whoever is there to ask
	if command -v man >/dev/null; then
		said=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null)
		[ -z "$said" ] || { echo "$page: $said" >&2; exit 1; }
	fi
done
ls build/man/*.[37]
