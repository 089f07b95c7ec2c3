#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# dkms adds, builds, installs and removes the modules in a root that has
# Debian's dkms, compiler and headers and nothing else (scripts/kernels.sh),
# from the files that git has and no others. The modules of each kernel are
# then loaded in a VM that boots it.
#
#	scripts/check-dkms.sh [KERNEL...]

set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/tap.sh
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)

one()
{
	local name=$1 kver kdir vmlinuz got where dkms
	number=0
	echo "TAP version 13"
	if ! got=$(scripts/kernels.sh get "$name"); then
		printf '%s\n' 1..1 "ok 1 $name # SKIP this kernel is not to be had here"
		return
	fi
	eval "$got"
	echo "1..7"
	where=$PWD/build/dkms-$name
	rm -rf "$where"
	mkdir -p "$where"/{src/kspan-"$version",tree,"lib/$kver"}
	git ls-files -z | xargs -0 cp --parents -t "$where/src/kspan-$version"
	dkms=(scripts/kernels.sh run "$name" dkms --dkmstree "$where/tree" --sourcetree "$where/src"
		--installtree "$where/lib" -m kspan -v "$version" -k "$kver"
		--kernelsourcedir "$kdir" --no-depmod)
	check "$name: dkms add" "${dkms[@]}" add
	check "$name: dkms build" "${dkms[@]}" build
	check "$name: dkms install" "${dkms[@]}" install
	find "$where/lib" -name '*.ko.xz' -exec xz -dk {} +
	find "$where/lib" -name '*.ko.zst' -exec zstd -qdk {} +
	mkdir "$where/modules"
	find "$where/lib" -name '*.ko' -exec cp {} "$where/modules" \;
	check "$name: kspan.ko and kspan_kv.ko are installed, and no test" \
		test "$(cd "$where/modules" && echo *)" = "kspan.ko kspan_kv.ko"
	check "$name: dkms remove" "${dkms[@]}" remove
	check "$name: nothing is left" test -z "$(find "$where/lib" "$where/tree" -name '*.ko*')"
	check "$name: the modules load" selftests/vm/run.sh --kernel "$vmlinuz" \
		--module "$where/modules/kspan.ko" --module "$where/modules/kspan_kv.ko" \
		--script selftests/vm/kv.guest.sh --log "build/check/dkms-$name.log"
}

mkdir -p build/check
[ $# -gt 0 ] || set -- 6.1-rt 6.12 7.2
for name in "$@"; do
	one "$name"
done | scripts/tap-join
