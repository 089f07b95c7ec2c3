#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Install what a build of kspan needs and this machine lacks.
#
#	scripts/setup.sh GROUP...	lib | modules | tests | docs | bench | debug | arm64
#			| suites | all
#
# all is what `make run` uses: all but arm64 and suites.
#
# A group whose packages are all there costs one dpkg-query. On a machine
# without dpkg nothing is installed: the names below say what to bring.

set -eu

lib="gcc libc6-dev make pkg-config liburcu-dev"
modules="gcc make linux-headers-amd64 linux-image-amd64 linux-source-6.1 kmod
	xz-utils"
tests="python3 clang g++ gdb glibc-source libclang-rt-14-dev llvm valgrind sparse sqlite3 perl binutils
	util-linux procps qemu-system-x86 busybox-static cpio kmod xz-utils trace-cmd
	redis-server redis-tools z3 ruby lua5.4 gawk zstd git"
docs="python3 python3-sphinx perl"
bench="libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0 gnuplot-nox python3 gcc
	redis-server redis-tools sqlite3 z3 ruby lua5.4 xz-utils"
debug="gcc libc6-dev make flex bison bc libelf-dev linux-source-6.1 xz-utils"
arm64="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user qemu-system-arm linux-headers-amd64
	busybox-static cpio kmod"
suites="libpython3.11-testsuite stress-ng perl redis-server redis-tools tcl8.6 tcl xz-utils"

say()
{
	echo "setup: $*" >&2
}

wanted()
{
	for group in "$@"; do
		case $group in
		lib)		echo "$lib" ;;
		modules)	echo "$modules" ;;
		tests)		echo "$tests" ;;
		docs)		echo "$docs" ;;
		debug)		echo "$debug" ;;
		bench)		echo "$bench" ;;
		arm64)		echo "$arm64" ;;
		suites)		echo "$suites" ;;
		all)		echo "$lib $modules $tests $docs $bench $debug" ;;
		*)		say "unknown group: $group"; exit 2 ;;
		esac
	done | tr -s ' \t\n' '\n' | sort -u
}

# Print the packages of the list on stdin that are not installed.
missing()
{
	packages=$(cat)
	# shellcheck disable=SC2086 # a list of words
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages \
		2>/dev/null | sed -n 's/^installed //p' | sort -u |
		awk -v want="$packages" '
			{ have[$0] = 1 }
			END {
				n = split(want, w, "\n")
				for (i = 1; i <= n; i++)
					if (!(w[i] in have))
						printf "%s ", w[i]
			}'
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

apt()
{
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y -o DPkg::Lock::Timeout=900 \
		-o APT::Install-Recommends=false "$@"
}

install_packages()
{
	log=build/setup.log
	mkdir -p build
	say "installing: $*(log: $log)"
	# A list of packages too old to install from is brought up to date
	# once; one that is fresh is used as it is.
	if ! apt install "$@" >"$log" 2>&1 </dev/null; then
		apt update >>"$log" 2>&1 </dev/null || :
		apt install "$@" >>"$log" 2>&1 </dev/null || {
			tail -n 20 "$log" >&2
			say "apt could not install: $*"
			exit 1
		}
	fi
}

[ $# -gt 0 ] || set -- all
cd "$(dirname "$0")/.."

list=$(wanted "$@")
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	say "no apt here; needed, by Debian's names:" $list
	exit 0
fi
if [ "$(dpkg --print-architecture)" != amd64 ]; then
	list=$(echo "$list" | sed "s/-amd64\$/-$(dpkg --print-architecture)/")
fi

lack=$(echo "$list" | missing)
# shellcheck disable=SC2086
[ -z "$lack" ] || install_packages $lack
