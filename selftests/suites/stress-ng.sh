# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# stress-ng's stressors of malloc() and of memory, each for a number of its own
# operations, with its own verification of what it finds in memory.

suite_program="stress-ng --version"

suite_prepare()
{
	command -v stress-ng >/dev/null
}

# NAME OPTIONS
stressors()
{
	cat <<-'LIST'
		malloc		--malloc 2 --malloc-ops 100000
		malloc-threads	--malloc 2 --malloc-pthreads 4 --malloc-ops 100000 --malloc-thresh 4096
		malloc-touch	--malloc 2 --malloc-ops 20000 --malloc-touch --malloc-zerofree
		malloc-large	--malloc 1 --malloc-ops 2000 --malloc-bytes 16m
		bigheap		--bigheap 1 --bigheap-ops 20000 --bigheap-growth 16k
		vm		--vm 2 --vm-bytes 16m --vm-ops 4000
		vm-addr		--vm-addr 1 --vm-addr-ops 10
		vm-rw		--vm-rw 1 --vm-rw-ops 200
		vm-segv		--vm-segv 1 --vm-segv-ops 200
		vm-splice	--vm-splice 1 --vm-splice-ops 2000
		brk		--brk 1 --brk-ops 20000
		mmap		--mmap 1 --mmap-bytes 16m --mmap-ops 10
		mremap		--mremap 1 --mremap-bytes 16m --mremap-ops 50
		fork-vm		--fork 1 --fork-vm --fork-ops 300
		pthread		--pthread 1 --pthread-ops 4000
		clone		--clone 1 --clone-ops 200
		list		--list 1 --list-ops 20
		tree		--tree 1 --tree-ops 1
		tsearch		--tsearch 1 --tsearch-ops 20
		skiplist	--skiplist 1 --skiplist-ops 20
		zlib		--zlib 1 --zlib-ops 20
		wcs		--wcs 1 --wcs-ops 2000
		dynlib		--dynlib 1 --dynlib-ops 500
	LIST
}

suite_tests()
{
	stressors | awk '{ print $1 }'
}

suite_run()
{
	local out=$1 name options

	shift
	for name in "$@"; do
		read -ra options < <(stressors | sed -n "s/^$name[ \t]*//p")
		(cd "$out" && timeout 300 stress-ng --verify --seed 1 --oomable \
			--timeout 120 "${options[@]}") >"$out/$name.log" 2>&1 </dev/null
		echo "status $?" >"$out/$name.cases"
		sed -nE 's/.* (passed: [0-9]+): .*/ok \1/p; s/.*fail: .*/not ok/p; s/.*skipped stressor.*/skip/p
			s/.*bogo-op counters are zero.*/not ok: it did nothing/p
			s/.* successful run completed.*/ok completed/p' "$out/$name.log" >>"$out/$name.cases"
	done
}
