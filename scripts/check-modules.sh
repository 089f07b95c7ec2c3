#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Build the modules from nothing, in a copy of the tree, with a stricter
# kbuild (W=1, or C=2 for sparse), and fail on any warning.
#
#	scripts/check-modules.sh W=1|C=2 KDIR=...

set -u
cd "$(dirname "$0")/.." || exit 1

mode=$1
kdir=${2#KDIR=}
dir=$PWD/build/modules-${mode/=/}
log=$dir.log

rm -rf "$dir"
mkdir -p "$dir/build"
for part in core include kmod selftests; do
	[ ! -d $part ] || cp -r $part "$dir"
done
cp Kbuild "$dir"
find "$dir" -name '*.o' -delete
ln -s "$PWD/build/ksrc" "$dir/build/ksrc"

make -C "$kdir" M="$dir" "$mode" -j"$(nproc)" modules >"$log" 2>&1
status=$?
# Debian's headers come without vmlinux, so kbuild says that it makes no BTF.
warnings=$(grep -iE '(warning|error|note):|context imbalance' "$log" |
	grep -vE 'Skipping BTF generation|the compiler differs from')

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

echo "TAP version 13"
echo "1..5"
[ $status = 0 ] || tail -n 30 "$log" | sed 's/^/# /'
result $status "the modules build with $mode"
for module in kspan kspan_kv kspan_test; do
	test -f "$dir/$module.ko"
	result $? "$module.ko is made with $mode"
done
[ -z "$warnings" ] || sed 's/^/# /' <<<"$warnings"
test -z "$warnings"
result $? "no warning with $mode"
exit $failed
