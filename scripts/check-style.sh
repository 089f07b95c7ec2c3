#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The kernel's checkpatch over every C file that git tracks: no error and no
# warning. What is left out, and why:

ignore=(
	# core/ is compiled without the kernel's headers, so its attributes
	# and array sizes are spelt out, and its symbols are exported from
	# kmod/exports.c. So it is with the sources that both worlds compile.
	PREFER_DEFINED_ATTRIBUTE_MACRO EXPORT_SYMBOL ARRAY_SIZE
	# The types that each world gives its port (locks, RCU heads), and u64
	# and its like where no kernel defines them.
	NEW_TYPEDEFS
	# Attribute lists and pieces of a restartable sequence can have no
	# parentheses around them, and the sequence jumps by nature.
	COMPLEX_MACRO MACRO_WITH_FLOW_CONTROL
	# kmod/compat.h exists for this, and check-core holds the rest to it.
	LINUX_VERSION_CODE CONSTANT_COMPARISON
	# The C library's functions return errors above zero.
	USE_NEGATIVE_ERRNO
	# Functions that a linker or a library finds by name (free(), say) have
	# no header of ours.
	AVOID_EXTERNS
	# The port names the barriers; the comment on a pair stands at its uses.
	MEMORY_BARRIER
	# checkpatch's own list of licences is in the kernel tree.
	SPDX_LICENSE_TAG
)

cd "$(dirname "$0")/.." || exit 1
checkpatch=build/ksrc/scripts/checkpatch.pl
types=$(IFS=,; echo "${ignore[*]}")
failed=0

mapfile -t files < <(git ls-files '*.[ch]')
echo "TAP version 13"
if [ ${#files[@]} = 0 ]; then
	echo "1..1"
	echo "not ok 1 there is source to check"
	exit 1
fi
echo "1..${#files[@]}"

# It starts slowly, so it gets many files at a time.
said=$(printf '%s\0' "${files[@]}" | xargs -0 -n 10 -P "$(nproc)" \
	perl $checkpatch --no-tree --no-summary --terse --show-types \
	--max-line-length=100 --ignore "$types" --file 2>&1 |
	# A test's volatile keeps an allocation that nobody looks at.
	grep -vE '^selftests/.*:VOLATILE:|^$')
for i in "${!files[@]}"; do
	file=${files[i]}
	if own=$(grep -F "$file:" <<<"$said"); then
		sed 's/^/# /' <<<"$own"
		echo "not ok $((i + 1)) $file"
		failed=1
	else
		echo "ok $((i + 1)) $file"
	fi
done
if other=$(grep -vE '^[^ ]+\.[ch]:[0-9]+: ' <<<"$said") && [ -n "$other" ]; then
	echo "checkpatch: $other" >&2
	failed=1
fi
exit $failed
