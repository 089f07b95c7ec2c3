# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Perl's own tests (t/ of Debian's source package perl) with the perl that is
# installed: its strings, arrays, regular expressions and closures live and die by
# malloc() and realloc().

suite_program="perl --version"
perl_dir=$work/perl

# The tests expect to lie beside a perl that was just built: ./perl and ../lib.
suite_prepare()
{
	local dir

	fetch_source perl "$(installed perl)" || return 1
	[ ! -e "$perl_dir/.linked" ] || return 0
	rm -rf "$perl_dir/lib.t"
	mv "$perl_dir/lib" "$perl_dir/lib.t"
	mkdir "$perl_dir/lib"
	for dir in $(perl -e 'print "$_\n" for reverse grep { m,^/usr/(share|lib)/, && -d } @INC' |
			grep -v perl5); do
		cp -rsf "$(realpath "$dir")/." "$perl_dir/lib"
	done
	ln -sf "$(command -v perl)" "$perl_dir/t/perl"
	ln -sf "$(command -v perl)" "$perl_dir/perl"
	touch "$perl_dir/.linked"
}

suite_tests()
{
	(cd "$perl_dir/t" && ls base/*.t cmd/*.t op/*.t re/*.t uni/*.t)
}

perl_one()
{
	local out=$1 name=$2 to taint

	to=$out/${name//\//_}
	# what the first line says must be said to perl, too
	taint=$(sed -n '1s/^#!.* \(-[a-z]*[tT]\).*/\1/p' "$perl_dir/t/$name")
	(cd "$perl_dir/t" && PERL_CORE=1 timeout 300 ./perl $taint "$name") >"$to.log" 2>&1 </dev/null
	echo "status $?" >"$to.cases"
	tap_cases <"$to.log" >>"$to.cases"
}

# Those that write files into t/ would meet: one at a time in a copy for each job
# costs more than they do.
suite_run()
{
	local out=$1

	shift
	export PERL_HASH_SEED=1 PERL_SKIP_TTY_TEST=1 PERL_TEST_NUMCONVERTS=1
	export -f perl_one tap_cases
	export out perl_dir
	printf '%s\n' "$@" | xargs -P "$jobs" -I{} bash -c 'perl_one "$out" {}'
}
