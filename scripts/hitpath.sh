#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Hold malloc() and free() of libkspan-malloc.so to their budget, in the
# disassembly: what runs when the CPU's cache can serve them has no call, no
# locked instruction, and not more instructions than allowed, the return
# included.
#
#	scripts/hitpath.sh [LIBRARY]
#
# The path followed is the one that falls through every conditional jump: the
# compiler lays out what is unlikely behind it, and the restartable sequence's
# own exits are jumps too.

set -u
cd "$(dirname "$0")/.." || exit 1
lib=${1:-build/libkspan-malloc.so}
number=0 failed=0

# A function's instructions up to its first return, without their bytes.
hit_path()
{
	objdump -d --no-show-raw-insn --disassemble="$1" "$lib" |
		sed -n 's/^ *[0-9a-f]*:\t//p' | sed '/^ret/q'
}

result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		sed 's/^/# /' <<<"$path"
		echo "not ok $number $2"
		failed=1
	fi
}

echo "TAP version 13"
echo "1..6"
while read -r function budget; do
	path=$(hit_path "$function")
	count=$(wc -l <<<"$path")
	tail -n 1 <<<"$path" | grep -q '^ret' && [ "$count" -le "$budget" ]
	result $? "$function: a hit takes at most $budget instructions # $count"
	! grep -qE '^(call|jmp|bnd jmp)' <<<"$path"
	result $? "$function: a hit calls nothing"
	! grep -qE '^(lock|xchg|cmpxchg|xadd|mfence)' <<<"$path"
	result $? "$function: a hit has no atomic instruction"
done <<END
malloc 20
free 25
END
exit $failed
