#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The kernels that kspan.ko is built for and tested on, each with the compiler
# that it wants.
#
#	scripts/kernels.sh list              their names, uml not among them
#	scripts/kernels.sh get NAME          bring it; prints kver=, kdir= (for `run`), vmlinuz=, arch=
#	scripts/kernels.sh run NAME COMMAND  run COMMAND where kdir can be used
#
# All but the machine's own live in folders of their own, made of Debian's
# packages below ${XDG_CACHE_HOME:-~/.cache}/kspan/kernels/NAME: a root with
# compiler and headers. apt brings the packages from the mirrors that it is
# set up with, from the suite that the table says, into lists of its own;
# nothing is installed on the machine. COMMAND sees that root, with this tree
# at the place it has outside, in a mount namespace that ends with it.
#
# uml is user-mode Linux 6.1 as scripts/debug-kernel.sh builds it: a program of
# this machine, for `make bench-kernel`.
#
# Exit status of `get`: 0, or 77 when the kernel is not to be had here.

set -u
cd "$(dirname "$0")/.." || exit 1
tree=$PWD
PATH=$PATH:/usr/sbin:/sbin
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kspan/kernels

# name    suites                        headers and image
table='
6.1       -                             -
6.12      bookworm,bookworm-backports   amd64
7.2       sid                           amd64
6.1-rt    bookworm,bookworm-security    rt-amd64
6.1-arm64 =                             arm64
uml       +                             -
'

# What a root has besides the headers: dkms is for scripts/check-dkms.sh.
packages='?essential gcc make sparse libc6-dev dkms'

say()
{
	echo "kernels: $*" >&2
}

unavailable()
{
	say "$*"
	exit 77
}

list()
{
	awk 'NF && $2 != "+" { print $1 }' <<<"$table"
}

# row NAME: sets name, suites, flavour
row()
{
	read -r name suites flavour < <(awk -v name="$1" '$1 == name' <<<"$table")
	[ "${name:-}" ] || { say "unknown kernel: $1 (there are: $(list | xargs))"; exit 2; }
	dir=$cache/$name
	root=$dir/root
}

# --- apt, with lists and a status of its own ----------------------------------

private_apt()
{
	local tool=$1
	shift
	"$tool" -q -o Dir::State="$dir/apt" -o Dir::State::status="$dir/apt/status" \
		-o Dir::Cache="$dir/apt/cache" -o Dir::Etc::SourceList="$dir/apt/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null -o APT::Sandbox::User="$(id -un)" \
		-o Acquire::Languages=none -o APT::Install-Recommends=false \
		-o APT::Architecture=amd64 -o APT::Architectures=amd64 \
		-o Debug::NoLocking=true "$@"
}

# mirror_of SUITE: where the machine's apt has Debian from.
mirror_of()
{
	cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
		/etc/apt/sources.list.d/*.sources 2>/dev/null |
		awk -v end="$(case $1 in *-security) echo debian-security ;; *) echo debian ;; esac)" '
			/^(deb|URIs:)[ \t]/ {
				for (i = 2; i <= NF; i++)
					if ($i ~ "^[a-z+]+:.*/" end "/?$") { print $i; exit }
			}'
}

prepare_apt()
{
	local mirror suite
	mkdir -p "$dir"/apt/{lists,cache/archives}/partial
	: >"$dir/apt/status"
	for suite in ${suites//,/ }; do
		mirror=$(mirror_of "$suite")
		[ "$mirror" ] || continue
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$dir/apt/sources.list"
	[ -s "$dir/apt/sources.list" ] || unavailable "$name: no Debian mirror in apt's sources"
	private_apt apt-get update >"$dir/log" 2>&1 &&
		! grep -qE '^(Err|E:)' "$dir/log" ||
		unavailable "$name: apt does not get $suites (log: $dir/log)"
}

# unpack: the packages in apt's cache, into the root, /usr merged
unpack()
{
	local deb part
	mkdir -p "$root"/{proc,dev,tmp,root}
	for part in bin sbin lib lib64; do
		mkdir -p "$root/usr/$part"
		ln -sfn "usr/$part" "$root/$part"
	done
	for deb in "$dir"/apt/cache/archives/*.deb "$dir"/apt/image/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" |
			tar -x -C "$root" --keep-directory-symlink --no-same-owner --exclude=./dev \
				--exclude=./usr/share/doc --exclude=./usr/share/locale || return 1
	done
	ln -sf mawk "$root/usr/bin/awk"
	# Kernels from 7.1 on ask a script about sparse that Debian's headers lack.
	for part in "$root"/usr/src/linux-headers-*-common*/scripts; do
		[ -e "$part/checker-valid.sh" ] && continue
		printf '#!/bin/sh\necho 1\n' >"$part/checker-valid.sh"
		chmod +x "$part/checker-valid.sh"
	done
}

# bring: make $dir
bring()
{
	local suite=${suites##*,} headers image
	say "bringing $name from $suite (some 400 MB in $dir)"
	rm -rf "$dir"
	prepare_apt
	# shellcheck disable=SC2086 # a list of words
	private_apt apt-get -y --download-only -t "$suite" install $packages \
		"linux-headers-$flavour" >>"$dir/log" 2>&1 ||
		unavailable "$name: no linux-headers-$flavour in $suite (log: $dir/log)"
	headers=$(basename "$dir"/apt/cache/archives/linux-headers-[0-9]*-"$flavour"_*.deb)
	kver=${headers#linux-headers-}
	kver=${kver%%_*}
	# The package that has the kernel itself; none that only a real machine needs.
	image=$(private_apt apt-cache pkgnames linux- 2>>"$dir/log" |
		grep -Fx -e "linux-image-$kver" -e "linux-binary-$kver")
	# shellcheck disable=SC2086 # a list of words
	(mkdir -p "$dir/apt/image" && cd "$dir/apt/image" && private_apt apt-get download $image) >>"$dir/log" 2>&1 ||
		unavailable "$name: no kernel image $kver in $suite (log: $dir/log)"
	unpack >>"$dir/log" 2>&1 || unavailable "$name: its packages cannot be unpacked (log: $dir/log)"
	rm -rf "$dir"/apt/{cache,image,lists} "$root/lib/modules/$kver/kernel"
	[ -r "$(image_of)" ] || unavailable "$name: $image has no kernel"
	echo "$suites $flavour $packages" >"$dir/made-of"
	echo "$kver" >"$dir/kver"
}

image_of()
{
	ls "$root/boot/vmlinuz-$kver" "$root/usr/lib/modules/$kver/vmlinuz" 2>/dev/null | head -n 1
}

# --- commands -----------------------------------------------------------------

get_own()
{
	kver=$(cd /lib/modules 2>/dev/null && ls -d "$name".*/build | sort -V | grep -v -- -rt- | tail -n 1)
	kver=${kver%/build}
	[ "$kver" ] && [ -r "/boot/vmlinuz-$kver" ] ||
		unavailable "$name: neither headers nor kernel here (scripts/setup.sh modules)"
	kdir=/lib/modules/$kver/build
	vmlinuz=/boot/vmlinuz-$kver
}

# The one of another architecture, cross-built.
get_arm64()
{
	local got
	got=$(scripts/arm64.sh get) || exit $?
	eval "$got"
	arch=arm64
}

# A kernel that is a program.
get_uml()
{
	kdir=$(scripts/debug-kernel.sh uml) || exit 1
	kver=$(cat "$kdir/.complete")
	vmlinuz=$kdir/linux
	arch=um
}

get()
{
	row "$1"
	case $suites in
	-)	get_own; return ;;
	=)	get_arm64; return ;;
	+)	get_uml; return ;;
	esac
	mkdir -p "$cache" || exit 1
	{
		flock 9
		[ -s "$dir/kver" ] && [ "$suites $flavour $packages" = "$(cat "$dir/made-of" 2>/dev/null)" ] || bring
	} 9>"$cache/.$name.lock"
	kver=$(cat "$dir/kver")
	kdir=/usr/src/linux-headers-$kver
	vmlinuz=$(image_of)
	[ "${kver#"${name%%-*}".}" != "$kver" ] || say "$name: ${suites##*,} has $kver now"
}

# In a namespace of mounts and processes: all of it goes when the command ends.
inside='
set -e
root=$1 tree=$2
shift 2
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for f in null zero urandom; do
	: >"$root/dev/$f"
	mount --bind /dev/$f "$root/dev/$f"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root$tree"
mount --bind "$tree" "$root$tree"
exec chroot "$root" sh -c "cd \"\$0\" && exec \"\$@\"" "$tree" "$@"'

run()
{
	get "$1"
	shift
	case $suites in
	-)	exec "$@" ;;
	=)	exec scripts/arm64.sh run "$@" ;;
	+)	ARCH=um exec "$@" ;;
	esac
	[ "$(id -u)" = 0 ] || userns=--map-root-user
	exec env -i PATH=/usr/bin:/usr/sbin HOME=/tmp LC_ALL=C.UTF-8 \
		unshare ${userns:+"$userns"} --mount --pid --fork --kill-child \
		sh -c "$inside" sh "$root" "$tree" "$@"
}

case ${1:-} in
list)	list ;;
get)	get "$2" && printf '%s=%s\n' kver "$kver" kdir "$kdir" vmlinuz "$vmlinuz" arch "${arch:-x86_64}" ;;
run)	shift && run "$@" ;;
*)	sed -n '3,/^$/s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
