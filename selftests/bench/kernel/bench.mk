# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# make bench-kernel: kspan.ko beside the slab allocator of a kernel, in one boot.
#
#	KVER=6.1.0-56-amd64	the kernel, of those with headers in /lib/modules
#	KDIR=			its headers, wherever they are
#	ROWS='batch*'		some rows only (Documentation/benchmarks/kernel.rst)
#	DOC=1			Documentation/benchmarks/ is to show this run
#
# The table is printed, and is in build/bench-kernel/ with the JSON.

KVER	?=
DOC	?=
bench-kdir := $(if $(KVER),/lib/modules/$(KVER)/build,$(KDIR))

.PHONY: bench-kernel
bench-kernel: | build/setup-tests
	@$(MAKE) modules KDIR=$(bench-kdir)
	@selftests/bench/kernel/run.sh build/bench-kernel '$(ROWS)'
	@selftests/bench/kernel/report.py build/bench-kernel/log build/bench-kernel \
		$(if $(DOC),Documentation/benchmarks)
