#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Build a kernel that kspan.ko is to run in, and print its folder: modules are
# built against it with KDIR=FOLDER.
#
#	scripts/debug-kernel.sh kasan|kcsan	checks; is arch/x86/boot/bzImage there
#	scripts/debug-kernel.sh uml		runs as a program, linux; ARCH=um, for modules, too
#
# The configuration is tinyconfig with scripts/debug-kernel/KIND.config on top,
# and, for those that check, base.config below that (and the words after "# make:"
# on make's command line), the source Debian's linux-source-6.1. A build takes some
# minutes and is kept in ${XDG_CACHE_HOME:-~/.cache}/kspan under a hash of
# all that went into it, so that a fresh clone of this tree finds it again.

set -u
cd "$(dirname "$0")/.." || exit 1
kind=$1
parts=(scripts/debug-kernel/base.config "scripts/debug-kernel/$kind.config")
image=bzImage
if [ "$kind" = uml ]; then
	parts=("${parts[1]}")
	image=linux
	export ARCH=um
fi
tarball=/usr/src/linux-source-6.1.tar.xz
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kspan

die()
{
	echo "debug-kernel: $*" >&2
	exit 1
}

for f in "${parts[@]}" "$tarball"; do
	[ -r "$f" ] || die "no $f (scripts/setup.sh debug)"
done
mkdir -p "$cache" || exit 1

# What decides how the kernel comes out.
hash=$({
	cat "${parts[@]}"
	dpkg-query -W -f '${Version}\n' linux-source-6.1 2>/dev/null || md5sum <"$tarball"
	gcc --version | head -n 1
} | md5sum | cut -c 1-12)
dir=$cache/debug-$kind-$hash
exec 9>"$cache/.debug-$kind.lock"
flock 9
if [ -e "$dir/.complete" ]; then
	echo "$dir"
	exit 0
fi

# unpack_source: once for all kinds, into $source
unpack_source()
{
	source=$cache/linux-source-6.1
	exec 8>"$cache/.source.lock"
	flock 8
	if [ "$source/.complete" -nt "$tarball" ]; then
		exec 8>&-
		return
	fi
	echo "debug-kernel: unpacking $tarball" >&2
	rm -rf "$source"
	tar -xJf "$tarball" -C "$cache" && touch "$source/.complete" && exec 8>&-
}

# configure: tinyconfig and our parts; each line of theirs must have taken.
configure()
{
	local line

	[ ! -e "$dir/.configured" ] || return 0
	make -s -C "$source" O="$dir" tinyconfig &&
		"$source/scripts/kconfig/merge_config.sh" -m -O "$dir" \
			"$dir/.config" "${parts[@]}" &&
		make -s -C "$source" O="$dir" olddefconfig || return 1
	while read -r line; do
		case $line in
		*=n)	! grep -q "^${line%=n}=" "$dir/.config" ;;
		CONFIG_*) grep -qxF "$line" "$dir/.config" ;;
		esac || die "Linux does not take $line"
	done < <(cat "${parts[@]}")
	touch "$dir/.configured"
}

unpack_source || die "$tarball cannot be unpacked"
# A build that was cut short goes on where it was; those of another hash go.
find "$cache" -maxdepth 1 -name "debug-$kind-*" ! -name "debug-$kind-$hash" -exec rm -rf {} +
mkdir -p "$dir"
log=$dir/build.log
echo "debug-kernel: building the $kind kernel, some minutes (log: $log)" >&2
read -ra words < <(sed -n 's/^# make: //p' "scripts/debug-kernel/$kind.config")
if ! configure >"$log" 2>&1 ||
   ! make -C "$source" O="$dir" -j"$(nproc)" "${words[@]}" $image modules >>"$log" 2>&1; then
	tail -n 20 "$log" >&2
	die "the $kind kernel does not build"
fi
make -s -C "$dir" kernelrelease >"$dir/.complete"
echo "$dir"
