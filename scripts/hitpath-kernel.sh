#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Hold the hit paths of kspan.ko to their budget, in the disassembly: each calls
# nothing but the kernel's own entry hook, has no atomic instruction and not
# more instructions than allowed; and what tracing costs while it is off is one
# nop, which the module's jump table says belongs to the right event.
#
#	scripts/hitpath-kernel.sh [MODULE]
#
# The path followed is the one that falls through every conditional jump, as in
# hitpath.sh. Outside the hit paths no test of a debug facility is anything but
# such a nop either: the last results.

set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/tap.sh
module=${1:-kspan.ko}

# "SECTION+OFFSET KEY" for each static branch of the module: its entries in the
# jump table are the place, the target and the key.
sites()
{
	objdump -r -j __jump_table "$module" | awk '
		$2 ~ /^R_/ { n++; what[n % 3] = $3; if (n % 3 == 0) print what[1], $3 }' |
		sed -E 's/[-+]0x0*[0-9a-f]+$//'
}

# A function's instructions up to its first return, "ADDRESS INSTRUCTION". A call
# or jump to somewhere else has its name from the relocation that follows it.
hit_path()
{
	objdump -dr -j .text --no-show-raw-insn --disassemble="$1" "$module" | awk '
		$2 ~ /^R_/ && last ~ /(call|jmp) / { sub(/[-+]0x.*/, "", $3); sub(/(call|jmp) .*/, "& " $3, last) }
		$2 ~ /^R_/ { next }
		/^ *[0-9a-f]+:\t/ {
			if (last != "") print last
			sub(/^ */, ""); sub(/:\t/, " "); last = $0
		}
		END { print last }' |
		sed -E 's/ jmp .*__x86_return_thunk/ ret/' | sed '/^[0-9a-f]* ret/q'
}

# The static branches on the path, by key.
path_keys()
{
	local address _
	while read -r address _; do
		grep -E "^\.text\+0x0*$address " <<<"$sites"
	done <<<"$path" | cut -d' ' -f2
}

sites=$(sites)
path=$sites
echo "TAP version 13"
echo "1..18"
[ -n "$sites" ]
result $? "the module has static branches # $(wc -l <<<"$sites")"
while read -r function budget key; do
	path=$(hit_path "$function")
	count=$(wc -l <<<"$path")
	tail -n 1 <<<"$path" | grep -q ' ret' && [ "$count" -le "$budget" ]
	result $? "$function: a hit takes at most $budget instructions # $count" "$path"
	! grep -E ' (call|jmp) ' <<<"$path" | grep -qv __fentry__
	result $? "$function: a hit calls nothing" "$path"
	! grep -qE ' (lock|xchg +%[a-z0-9]+,.*\(|cmpxchg|xadd|mfence)' <<<"$path"
	result $? "$function: a hit has no atomic instruction" "$path"
	[ "$(path_keys)" = "__tracepoint_$key" ] &&
		[ "$(grep -cE ' (nop[lw]?|xchg +%ax,%ax)' <<<"$path")" = 1 ]
	result $? "$function: $key costs a nop while it is off, and nothing else does" "$path"
done <<END
kspan_alloc 27 kspan_alloc
kspan_free 29 kspan_free
kspan_cache_alloc 22 kspan_alloc
kspan_cache_free 44 kspan_free
END

# Every place of a static branch, wherever it is, must be a nop as it is loaded.
path=$(grep -E '^\.text\+' <<<"$sites" | sed -E 's/^\.text\+0x0*([0-9a-f]+) .*/\1/' |
	awk 'NR == FNR { place[$1]; next }
	     sub(/^ */, "") && (split($0, word, ":\t")) && (word[1] in place) && word[2] !~ /^(nop|xchg +%ax,%ax)/' \
		- <(objdump -d -j .text --no-show-raw-insn "$module"))
[ -z "$path" ]
result $? "every static branch is a nop as the module is loaded" "$path"
exit $failed
