#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The kernel's checkpatch over every C file that git tracks: no error, no
# warning, no check. What is left out, and why:

ignore=(
	# This is a tree of its own, not a patch to Linux.
	FILE_PATH_CHANGES MISSING_SIGN_OFF
	# The licence is a choice, and the kernel's list of licences is not here.
	SPDX_LICENSE_TAG
	# Userspace and core/ have none of what these point to: no pr_*(),
	# no <linux/...>, no kernel's types or sizeof_field().
	PREFER_FALLTHROUGH PREFER_PACKED PREFER_ALIGNED PREFER_SECTION
	PREFER_PRINTF PREFER_SCANF PREFER_DEFINED_ATTRIBUTE_MACRO
	USE_RELATIVE_PATH CONST_STRUCT
	# <stdatomic.h> has it too, and the port names its barriers.
	VOLATILE
	# The public names follow the kernel's kmalloc(), which is what they
	# are read beside.
	CAMELCASE
	# Macros that list things (size classes, statistics, ranks) once.
	COMPLEX_MACRO MACRO_WITH_FLOW_CONTROL MACRO_ARG_REUSE
	# An assertion may name the function that it stands in.
	EMBEDDED_FUNCTION_NAME
)

cd "$(dirname "$0")/.." || exit 1
checkpatch=build/ksrc/scripts/checkpatch.pl
types=$(IFS=,; echo "${ignore[*]}")
number=0 failed=0

mapfile -t files < <(git ls-files '*.[ch]')
echo "TAP version 13"
if [ ${#files[@]} = 0 ]; then
	echo "1..1"
	echo "not ok 1 there is source to check"
	exit 1
fi
echo "1..${#files[@]}"
for file in "${files[@]}"; do
	number=$((number + 1))
	if said=$(perl $checkpatch --no-tree --no-summary --terse --show-types \
			--strict --max-line-length=100 --ignore "$types" \
			--file "$file" 2>&1) && [ -z "$said" ]; then
		echo "ok $number $file"
	else
		sed 's/^/# /' <<<"$said"
		echo "not ok $number $file"
		failed=1
	fi
done
exit $failed
