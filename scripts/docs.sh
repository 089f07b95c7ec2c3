#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Build Documentation/ into build/docs/html; any warning is an error.

set -eu
cd "$(dirname "$0")/.."

# Debian's Sphinx, whatever other python comes first in PATH.
rm -rf build/docs
mkdir -p build/docs
status=0
/usr/bin/python3 -m sphinx -q -E -W --keep-going -b html \
	-d build/docs/doctrees Documentation build/docs/html \
	>build/docs/log 2>&1 || status=$?
cat build/docs/log
# kernel-doc says some things without Sphinx making an error of them.
if grep -qE 'warning:|WARNING:' build/docs/log; then
	status=1
fi
[ $status != 0 ] || echo "build/docs/html/index.html"
exit $status
