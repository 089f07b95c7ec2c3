# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# What the suites share. run.sh reads this and one file for each suite, which
# has three functions:
#
#	suite_prepare		get what is not installed; fails with a reason
#	suite_tests		print the tests' names
#	suite_run OUT TEST...	run them; for each leave OUT/TEST.log and
#				OUT/TEST.cases: "status N", then a line for each
#				case, "ok", "not ok", "skip" or more and its name
#
# suite_program is what runs them all, for the proof that kspan serves it.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$top/build/suites
jobs=2

# fetch_source PACKAGE VERSION: Debian's source package PACKAGE, unpacked below
# $work/PACKAGE. Its own list of sources, beside the machine's: the same places,
# asked for sources. The newest that can be had whose upstream version is VERSION's.
fetch_source()
{
	local package=$1 upstream=${2%-*} apt=$work/apt version file

	upstream=${upstream#*:}
	[ ! -e "$work/$package/.unpacked" ] || return 0
	mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
		[ -f "$file" ] || continue
		sed -e 's/^Types:.*/Types: deb-src/' -e 's/^deb /deb-src /' "$file" \
			>"$apt/parts/$(basename "$file")"
	done
	apt_get() {
		"$@" -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/parts" \
			-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
			-o APT::Sandbox::User=root
	}
	apt_get apt-get -qq update || return 1
	for version in $(apt_get apt-cache madison "$package" |
			awk '$NF == "Sources" { print $3 }' | sort -rV -u); do
		case $version in
		"$upstream"-*|*:"$upstream"-*) ;;
		*)	continue ;;
		esac
		(cd "$apt" && apt_get apt-get -qq --download-only source "$package=$version") || continue
		rm -rf "${work:?}/$package"
		mkdir -p "$work/$package"
		tar -C "$work/$package" --strip-components=1 \
			-xf "$apt/${package}_$upstream".orig.tar.* || return 1
		touch "$work/$package/.unpacked"
		return 0
	done
	echo "no source package of $package $upstream can be had"
	return 1
}

# left_out SUITE: what of it is not run.
left_out()
{
	sed -n "s/^$1\t\([^\t]*\)\t.*/\1/p" "$top/selftests/suites/left-out.txt"
}

# installed PACKAGE: its version.
installed()
{
	dpkg-query -W -f '${Version}' "$1"
}

# tap_cases: the verdicts of a TAP stream.
tap_cases()
{
	sed -nE 's/^(ok|not ok) ([0-9]+).*# *(TODO|SKIP|skip).*/\3 \2 \1/p; t
		s/^(ok|not ok) ([0-9]+).*/\1 \2/p; s/^1\.\.0.*/skip all/p; s/^Bail out!/not ok: bailed out/p'
}
