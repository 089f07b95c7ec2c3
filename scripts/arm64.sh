#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# What it takes to build for arm64 and to run that here, from Debian's arm64
# packages: unpacked below build/debian-arm64, none installed. apt keeps its
# lists of arm64 packages there too, so the machine's own dpkg and apt never
# hear of another architecture.
#
#	scripts/arm64.sh get	bring what is missing; print
#
#	sysroot=FOLDER		C library, liburcu, busybox
#	kver=VERSION		of the kernel
#	kdir=FOLDER		its headers, for a cross build (see `run`)
#	vmlinuz=FILE		the kernel itself
#
#	scripts/arm64.sh run COMMAND	run it as kbuild needs it for that kdir
#
# The compiler is Debian's cross compiler, a package of this machine's own
# architecture (scripts/setup.sh arm64). The headers' helper programs would be
# arm64's: those of the same version for this machine take their place.
#
# Exit status of `get`: 0, or 77 when the packages are not to be had here.

set -u
cd "$(dirname "$0")/.." || exit 1
dir=$PWD/build/debian-arm64
sysroot=$dir/sysroot

say()
{
	echo "arm64: $*" >&2
}

unavailable()
{
	say "$*"
	exit 77
}

# The machine's own sources, a status without any package, arm64 alone.
private_apt()
{
	local tool=$1
	shift
	"$tool" -q -o Dir::State="$dir/apt" -o Dir::State::status="$dir/apt/status" \
		-o Dir::Cache="$dir/apt/cache" -o APT::Sandbox::User="$(id -un)" \
		-o Acquire::Languages=none -o APT::Architecture=arm64 \
		-o APT::Architectures=arm64 -o Debug::NoLocking=true "$@"
}

# newest TEXT: the package that linux-TEXT-arm64 stands for now
newest()
{
	private_apt apt-cache depends "linux-$1-arm64" 2>>"$dir/log" |
		sed -n "s/^ *Depends: \(linux-$1-[0-9].*-arm64\)\$/\1/p" | head -n 1
}

download()
{
	local image headers
	mkdir -p "$dir"/apt/{lists,cache/archives}/partial "$dir/debs"
	: >"$dir/apt/status"
	# Other sources that know no arm64 may complain; what counts is what is found.
	private_apt apt-get update >"$dir/log" 2>&1
	image=$(newest image)
	headers=$(newest headers)
	[ "$image" ] && [ "$headers" ] ||
		unavailable "apt finds no linux-image-arm64 (log: $dir/log)"
	kver=${image#linux-image-}
	# shellcheck disable=SC2046 # a list of words
	(cd "$dir/debs" && private_apt apt-get download "$image" "$headers" \
		$(private_apt apt-cache depends "$headers" |
			sed -n 's/^ *Depends: \(linux-headers-.*-common\)$/\1/p') \
		libc6 libc6-dev linux-libc-dev libgcc-s1 libstdc++6 libstdc++-12-dev liburcu8 liburcu-dev busybox-static) \
		>>"$dir/log" 2>&1 || unavailable "the packages do not come (log: $dir/log)"
}

# Tell the headers where they are; give them this machine's helper programs.
adopt_headers()
{
	local top=$dir/headers/usr kbuild
	kbuild=$(basename "$(dirname "$(readlink "$top/src/linux-headers-$kver/scripts")")")
	[ -d "/usr/lib/$kbuild" ] ||
		unavailable "no /usr/lib/$kbuild here: the machine's kernel headers are of another version"
	mkdir -p "$top/lib"
	ln -sfn "/usr/lib/$kbuild" "$top/lib/$kbuild"
	sed -i "s,/usr/src/,$top/src/," "$top/src/linux-headers-$kver/Makefile"
}

unpack()
{
	local deb
	for deb in "$dir"/debs/*.deb; do
		case $(basename "$deb") in
		linux-headers-*)	dpkg-deb -x "$deb" "$dir/headers" ;;
		linux-image-*)		dpkg-deb --fsys-tarfile "$deb" |
					tar -x -C "$dir" --no-same-owner ./boot ;;
		*)			dpkg-deb -x "$deb" "$sysroot" ;;
		esac || return 1
	done
}

bring()
{
	say "bringing Debian's arm64 kernel and libraries (some 80 MB in $dir)"
	rm -rf "$dir"
	mkdir -p "$dir"
	download
	unpack >>"$dir/log" 2>&1 || unavailable "the packages cannot be unpacked (log: $dir/log)"
	adopt_headers
	rm -rf "$dir/debs" "$dir/apt"
	[ -r "$dir/boot/vmlinuz-$kver" ] || unavailable "$kver: there is no kernel in its package"
	echo "$kver" >"$dir/kver"
	cksum <scripts/arm64.sh >"$dir/made-by"
}

get()
{
	command -v aarch64-linux-gnu-gcc >/dev/null ||
		unavailable "no aarch64-linux-gnu-gcc (scripts/setup.sh arm64)"
	mkdir -p build
	{
		flock 9
		[ "$(cat "$dir/made-by" 2>/dev/null)" = "$(cksum <scripts/arm64.sh)" ] || bring
	} 9>build/.debian-arm64.lock
	kver=$(cat "$dir/kver")
}

case ${1:-} in
get)	get
	printf '%s=%s\n' sysroot "$sysroot" kver "$kver" \
		kdir "$dir/headers/usr/src/linux-headers-$kver" \
		vmlinuz "$dir/boot/vmlinuz-$kver" ;;
run)	shift
	ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- exec "$@" ;;
*)	sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
	exit 2 ;;
esac
