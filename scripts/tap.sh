# SPDX-License-Identifier: GPL-2.0 OR MIT
# shellcheck shell=bash disable=SC2034	# $failed is for who sources this
#
# For scripts that print TAP: they source this, say how many results will come before
# the first or after the last, and end with `exit $failed`.

number=0 failed=0

# result STATUS NAME [TEXT]: ok where STATUS is 0; otherwise TEXT comes before it
result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		[ -z "${3-}" ] || sed 's/^/# /' <<<"$3"
		echo "not ok $number $2"
		failed=1
	fi
}

# skip NAME WHY
skip()
{
	result 0 "$1 # SKIP $2"
}

# check NAME COMMAND...: the command's status, and what it said where it failed
check()
{
	local name=$1 said

	shift
	said=$("$@" 2>&1)
	result $? "$name" "$said"
}
