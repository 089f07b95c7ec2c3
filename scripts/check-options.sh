#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The table of KSPAN_OPTIONS in the documentation and the parser agree: the same
# keys, and values and defaults that the table names are taken. Where the statistics say
# what is in force, it is the default of the table.
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

# default KEY: what the table says, with the unit in full
default_of()
{
	rows | awk -F'\t' -v key="$1" '$1 == key { print $3 }' | sed 's/\([KMG]\)$/.0 \1iB/'
}

said=$(LD_PRELOAD=$lib KSPAN_OPTIONS=stats_exit=1 /bin/true 2>&1 >/dev/null | grep 'cache of a CPU')
[[ $said == *"cache of a CPU $(default_of cache), epoch $(default_of epoch_ms) ms,"* ]]
result $? "the defaults of cache and epoch_ms are those in the table" "$said"
said=$(LD_PRELOAD=$lib KSPAN_OPTIONS=stats_exit=1,limit_soft=3M,limit_hard=4M,cache=2M /bin/true 2>&1 >/dev/null)
[[ $said == *"cache of a CPU 2.0 MiB, "*"soft limit 3.0 MiB, hard limit 4.0 MiB"* ]]
result $? "the statistics say what an option set" "$said"
echo "1..$number"
exit $failed
