#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Hold the tree to the rules that a compiler does not check: core/ knows
# neither world, one file knows the kernel's version, every file says its
# licence.

cd "$(dirname "$0")/.." || exit 1
. scripts/tap.sh

# Print what breaks a rule as diagnostics; nothing to print is a pass.
rule()
{
	[ -z "$2" ]
	result $? "$1" "$2"
}

shopt -s nullglob
core=(core/*.[ch])
sources=$(git ls-files '*.[ch]' '*.S')

echo "TAP version 13"
echo "1..6"

missing=
[ ${#core[@]} -gt 0 ] || missing="core/ is empty"
rule "there is a core" "$missing"

rule "core/ includes no header of either world" \
	"$(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<' "${core[@]}" /dev/null |
		grep -vE '<kspan(/[a-z_]+)?\.h>')"

rule "core/ does not ask which world it is in" \
	"$(grep -nE '__KERNEL__|__linux__|_GNU_SOURCE|LINUX_VERSION_CODE|KERNEL_VERSION|\bCONFIG_[A-Z]' \
		"${core[@]}" /dev/null)"

rule "kmod/compat.h alone knows the kernel's version" \
	"$(grep -nE 'LINUX_VERSION_CODE|KERNEL_VERSION' $sources /dev/null |
		grep -v '^kmod/compat\.h:')"

rule "no .c includes a .c" \
	"$(grep -nE '^[[:space:]]*#[[:space:]]*include.*\.c[>"]' $sources /dev/null)"

unlicensed=
while read -r file; do
	[ -f "$file" ] && [ -s "$file" ] || continue
	head -n 5 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0 OR MIT' ||
		unlicensed+="$file"$'\n'
done < <(git ls-files | grep -vE '^(selftests/(config|settings|data/.*)|.*\.(tsv|png|svg|csv|txt|json))$')
rule "every file says GPL-2.0 OR MIT" "${unlicensed%$'\n'}"

exit $failed
