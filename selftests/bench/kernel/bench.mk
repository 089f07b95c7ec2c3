# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# make bench-kernel: kspan.ko beside the slab allocator of a kernel, in one boot.
#
#	KVER=6.1.0-56-amd64	the kernel, of those with headers in /lib/modules, or
#				a name in the table of scripts/kernels.sh: KVER=7.2;
#				KVER=uml measures nanoseconds, all others instructions
#	KDIR=			its headers, wherever they are
#	ROWS='batch*'		some rows only (Documentation/benchmarks/kernel.rst)
#	DOC=1			Documentation/benchmarks/ is to show this run
#
# The table is printed, and is in build/bench-kernel/ with the JSON.

KVER	?=
DOC	?=
# A kernel of the table comes with its compiler; its modules are built apart.
bench-name = $(filter $(KVER),$(shell scripts/kernels.sh list) uml)
bench-kdir = $(if $(KVER),/lib/modules/$(KVER)/build,$(KDIR))

.PHONY: bench-kernel
bench-kernel: | build/ksrc build/setup-modules build/setup-tests build/setup-bench \
		$(if $(filter uml,$(KVER)),build/setup-debug)
	@$(if $(bench-name),scripts/check-modules.sh W=1 KERNEL=$(KVER),$(MAKE) modules KDIR=$(bench-kdir))
	@KERNEL=$(bench-name) selftests/bench/kernel/run.sh build/bench-kernel '$(ROWS)'
	@selftests/bench/kernel/report.py build/bench-kernel/log build/bench-kernel \
		$(if $(DOC),Documentation/benchmarks)
