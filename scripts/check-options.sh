#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The table of KSPAN_OPTIONS in the documentation and the parser agree: the same
# keys, and values and defaults that the table names are taken.
#
#	scripts/check-options.sh [LIBRARY]

set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/tap.sh
lib=$(realpath "${1:-build/libkspan-malloc.so}")
table=Documentation/man/options.inc

takes()
{
	KSPAN_OPTIONS=$1 LD_PRELOAD=$lib /bin/true 2>/dev/null
}

# Key, values, default: the first line of each row.
rows()
{
	grep '^``' "$table" | sed 's/^``\([a-z_]*\)`` *\(.*\)$/\1\t\2/' | sed 's/   */\t/g'
}

echo "TAP version 13"
documented=$(rows | cut -f1 | sort)
parsed=$(grep -oE 'is\(key, klen, "[a-z_]*"\)|\{ "[a-z_]*", KSPAN_DEBUG_' uspace/options.c |
	cut -d'"' -f2 | sort -u)
diff <(echo "$parsed") <(echo "$documented") | sed 's/^/# /'
[ -n "$parsed" ] && [ "$parsed" = "$documented" ]
result $? "the options in the table are those of uspace/options.c"
! takes nonsense=1
result $? "a library that reads them refuses what is none"
while IFS=$'\t' read -r key values default _; do
	default=${default%% *}
	ok=0
	for value in $(sed 's/ and more//; s/ to / /; s/,/ /g' <<<"$values"); do
		takes "$key=$value" || { echo "# $key=$value is refused"; ok=1; }
	done
	[ "$default" = of ] || takes "$key=$default" || { echo "# $key=$default is refused"; ok=1; }
	! takes "$key=" || { echo "# $key= is taken"; ok=1; }
	result $ok "$key takes $values"
done < <(rows)
echo "1..$number"
exit $failed
