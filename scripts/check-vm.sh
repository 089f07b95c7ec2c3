#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Run selftests/vm/*.guest.sh in the VM as tests, all in one boot: each loads
# and unloads the modules by itself. A script with a line
#
#	# vm-options: OPTION...		(of selftests/vm/run.sh)
#
# gets a boot of its own with those options.
#
#	scripts/check-vm.sh [OPTION...] [SCRIPT...]
#
#	--modules FOLDER  where the modules lie (default: here)
#	--label TEXT      goes before each result and into the logs' names
#	--run OPTION      one more for every call of selftests/vm/run.sh
#
# Without a SCRIPT all of them are run.

cd "$(dirname "$0")/.." || exit 1
shopt -s nullglob
run=selftests/vm/run.sh
folder=. label='' options=()
while [ $# -gt 0 ]; do
	case $1 in
	--modules)	folder=$2 ;;
	--label)	label=$2 ;;
	--run)		options+=("$2") ;;
	*)		break ;;
	esac
	shift 2
done
scripts=("$@")
[ $# -gt 0 ] || scripts=(selftests/vm/*.guest.sh)

modules=()
for module in "$folder"/kspan*.ko; do
	modules+=(--module "$module")
done

# What test_replay.c runs.
for script in selftests/sim/scripts/*.sim; do
	options+=(--file "$script:/sim/$(basename "$script")")
done

shared=() own=()
for script in "${scripts[@]}"; do
	if grep -q '^# vm-options:' "$script"; then
		own+=("$script")
	else
		shared+=(--script "$script")
	fi
done
if [ $((${#shared[@]} + ${#own[@]})) = 0 ] || [ ${#modules[@]} = 0 ]; then
	echo "1..1"
	echo "not ok 1 there are guest scripts to run, and modules"
	exit 1
fi

# Each boot is a TAP stream with a plan of its own; they are printed as one,
# renumbered, with the boot's own verdict (the kernel's log) as a result.
number=0 failed=0
boot()
{
	local name=${label:+$label-}$1 out status line
	out=build/check/vm-$name.out
	shift
	mkdir -p build/check
	$run --tap --timeout 1200 "${modules[@]}" "${options[@]}" --log "build/check/vm-$name.log" "$@" \
		>"$out" 2>"$out.err"
	status=$?
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		1..*|"TAP version"*) ;;
		"ok "*|"not ok "*)
			number=$((number + 1))
			sed -E "s/^(not ok|ok) [0-9]+/\1 $number${label:+ $label:}/" <<<"$line" ;;
		*)	printf '%s\n' "$line" ;;
		esac
	done <"$out"
	planned=$(sed -n 's/\r$//; s/^1\.\.//p' "$out" | tail -n 1)
	ran=$(grep -cE '^(not )?ok ' "$out")
	number=$((number + 1))
	if [ "$status" -lt 90 ] && [ "$ran" -gt 0 ] && [ "${planned:-0}" = "$ran" ]; then
		echo "ok $number $name: the kernel has no complaint"
	else
		sed 's/^/# | /' "$out.err"
		echo "not ok $number $name: the kernel has no complaint # status=$status, ran $ran of ${planned:-?}"
	fi
	[ "$status" = 0 ] || failed=1
}

echo "TAP version 13"
[ ${#shared[@]} = 0 ] || boot shared "${shared[@]}"
for script in "${own[@]}"; do
	name=$(basename "$script" .guest.sh)
	read -ra own_options < <(sed -n 's/^# vm-options: *//p' "$script")
	boot "$name" "${own_options[@]}" --script "$script"
done
echo "1..$number"
exit $failed
