#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Build the modules from nothing, in a copy of the tree, with a stricter
# kbuild (W=1, or C=2 for sparse), and fail on any warning.
#
#	scripts/check-modules.sh W=1|C=2 KDIR=FOLDER|KERNEL=NAME
#
# NAME is a kernel of scripts/kernels.sh; the build is left in
# build/modules[-NAME]-W1.

set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/tap.sh

# `make -s check` must not silence kbuild, whose lines are counted.
unset MAKEFLAGS MFLAGS

mode=$1
own=(kspan kspan_kv kspan_test kspan_bench kspan_stress kspan_example)
case $2 in
KDIR=*)
	name='' kdir=${2#KDIR=} where=() ;;
KERNEL=*)
	name=${2#KERNEL=} where=(scripts/kernels.sh run "$name")
	kdir=$(scripts/kernels.sh get "$name" | sed -n 's/^kdir=//p') ;;
esac
label=${name:+$name: }
dir=$PWD/build/modules${name:+-$name}-${mode/=/}
log=$dir.log

rm -rf "$dir"
mkdir -p "$dir/build"
for part in core include kmod selftests Documentation/examples; do
	[ ! -d $part ] || cp -r --parents $part "$dir"
done
cp Kbuild "$dir"
find "$dir" -name '*.o' -delete
ln -s "$PWD/build/ksrc" "$dir/build/ksrc"

"${where[@]}" make -C "$kdir" M="$dir" "$mode" -j"$(nproc)" modules >"$log" 2>&1
status=$?
# Debian's headers come without vmlinux, so kbuild says that it makes no BTF. The
# kernel's own show_gfp_flags() is, in 7.2, longer than sparse 0.6.4 can expand.
warnings=$(grep -iE '(warning|error|note):|context imbalance|but sparse is not' "$log" |
	grep -vE 'Skipping BTF generation|the compiler differs from' |
	grep -vE 'kmod/trace\.c: note: in included file|trace\.h:.*: too long token expansion')

echo "TAP version 13"
echo "1..$((${#own[@]} + 2 + $([ "$mode" != C=2 ]; echo $?)))"
[ $status = 0 ] || tail -n 30 "$log" | sed 's/^/# /'
result $status "${label}the modules build with $mode"
for module in "${own[@]}"; do
	test -f "$dir/$module.ko"
	result $? "$label$module.ko is made with $mode"
done
[ -z "$warnings" ] || sed 's/^/# /' <<<"$warnings"
test -z "$warnings"
result $? "${label}no warning with $mode"
# sparse that is missing or broken would find nothing.
if [ "$mode" = C=2 ]; then
	checked=$(grep -c '^ *CHECK ' "$log")
	test "$checked" -ge "$(find "$dir/core" "$dir/kmod" -name '*.c' | wc -l)"
	result $? "${label}sparse looks at every file"
fi
exit $failed
