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
#
# arm64 has no memory operands and builds each address in two instructions, so
# its budget is one of its own: what it takes today.

set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/tap.sh
lib=${1:-build/libkspan-malloc.so}

case $(LC_ALL=C readelf -h "$lib" | sed -n 's/^ *Machine: *//p') in
AArch64)
	tools=aarch64-linux-gnu- budgets='malloc 33 free 39'
	jumps='^(b|bl|br|blr)[[:space:]]' atomics='^(lda?x|stl?x|cas|swp|ld(add|clr|eor|set)|dmb|dsb)' ;;
*)
	tools='' budgets='malloc 20 free 25'
	jumps='^(call|jmp|bnd jmp)' atomics='^(lock|xchg|cmpxchg|xadd|mfence)' ;;
esac

# A function's instructions up to its first return, without their bytes.
hit_path()
{
	"${tools}objdump" -d --no-show-raw-insn --disassemble="$1" "$lib" |
		sed -n 's/^ *[0-9a-f]*:\t//p' | sed '/^ret/q'
}

echo "TAP version 13"
echo "1..6"
while read -r function budget; do
	path=$(hit_path "$function")
	count=$(wc -l <<<"$path")
	tail -n 1 <<<"$path" | grep -q '^ret' && [ "$count" -le "$budget" ]
	result $? "$function: a hit takes at most $budget instructions # $count" "$path"
	! grep -qE "$jumps" <<<"$path"
	result $? "$function: a hit calls nothing" "$path"
	! grep -qE "$atomics" <<<"$path"
	result $? "$function: a hit has no atomic instruction" "$path"
done < <(xargs -n 2 <<<"$budgets")
exit $failed
