# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# CPython's own tests, of Debian's package libpython3.11-testsuite: those that
# allocate much, of all sizes, in threads and over fork(). Python's own allocator
# is switched off, so that all of it goes to malloc().

suite_program="/usr/bin/python3 --version"

suite_prepare()
{
	/usr/bin/python3 -c 'import test.libregrtest, test.test_gc'
}

suite_tests()
{
	printf '%s\n' test_array test_asyncgen test_ast test_bigmem test_binascii test_bytes \
		test_bz2 test_class test_codecs test_collections test_compile \
		test_context test_copy test_coroutines test_csv test_ctypes test_decimal \
		test_deque test_descr test_dict test_enum test_exceptions test_finalization \
		test_float test_fork1 test_format test_frame test_fstring test_functools \
		test_gc test_generators test_heapq test_itertools test_json test_list \
		test_long test_lzma test_marshal test_memoryio test_memoryview test_mmap \
		test_multiprocessing_main_handling test_ordered_dict test_os test_pickle \
		test_posix test_pyexpat test_queue test_re test_set test_sort \
		test_string test_struct test_subprocess test_super \
		test_thread test_threadedtempfile test_threading test_threading_local \
		test_threadsignals test_tokenize test_tuple test_types test_unicodedata \
		test_userstring test_weakref test_weakset test_xml_etree \
		test_xml_etree_c test_zlib
}

# A verdict for each test method, out of the file that the suite writes for others.
python_cases()
{
	/usr/bin/python3 - "$1" <<-'PY'
		import sys, xml.etree.ElementTree as tree
		for case in tree.parse(sys.argv[1]).iter("testcase"):
		    kind = next((c.tag for c in case if c.tag in ("failure", "error", "skipped")), None)
		    print(kind or "ok", case.get("classname") or "", case.get("name"))
	PY
}

python_one()
{
	local out=$1 name=$2

	(cd "$work" && timeout 600 /usr/bin/python3 -m test --timeout 300 --tempdir "$out/tmp" \
		--junit-xml "$out/$name.xml" "$name") >"$out/$name.log" 2>&1 </dev/null
	echo "status $?" >"$out/$name.cases"
	LD_PRELOAD='' python_cases "$out/$name.xml" 2>>"$out/$name.log" | sort >>"$out/$name.cases"
}

suite_run()
{
	local out=$1

	shift
	export PYTHONMALLOC=malloc PYTHONHASHSEED=1 PYTHONDONTWRITEBYTECODE=1
	mkdir -p "$out/tmp"
	export -f python_one python_cases
	export out work
	printf '%s\n' "$@" | xargs -P "$jobs" -I{} bash -c 'python_one "$out" {}'
	rm -rf "$out/tmp"
}
