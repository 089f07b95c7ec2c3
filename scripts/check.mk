# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The stages of `make check`. Each is a target that prints TAP and can be run
# alone; scripts/check.sh runs them all, keeps each one's output in
# build/check/NAME.tap and adds up.

check-stages := check-sizeclasses check-core check-style check-modules \
		check-sparse check-user check-user-clang check-user-asan \
		check-user-ubsan check-user-tsan check-sim check-hitpath check-programs check-docs check-vm

.PHONY: $(check-stages) check-stages
check-stages:
	@echo $(check-stages)

tap := scripts/tap-run

check-sizeclasses: | build/setup-lib
	@$(tap) "the size classes are what the rules generate" scripts/check-sizeclasses.sh

check-core:
	@scripts/check-core.sh

check-style: | build/ksrc build/setup-tests
	@scripts/check-style.sh

# The modules without a warning: from the compiler at W=1, from sparse at C=2.
check-modules: | build/ksrc build/setup-modules
	@scripts/check-modules.sh W=1 KDIR=$(KDIR)

check-sparse: | build/ksrc build/setup-modules build/setup-tests
	@scripts/check-modules.sh C=2 KDIR=$(KDIR)

# The userspace tests, in one build for each compiler and sanitizer.
check-user: ;		@scripts/check-user.sh gcc gcc
check-user-clang: ;	@scripts/check-user.sh clang clang
check-user-asan: ;	@scripts/check-user.sh asan clang address
check-user-ubsan: ;	@scripts/check-user.sh ubsan gcc undefined
check-user-tsan: ;	@scripts/check-user.sh tsan clang thread
check-user check-user-clang check-user-asan check-user-ubsan check-user-tsan: \
	| build/ksrc build/setup-lib build/setup-tests

# The core in the simulator: schedules, failures and mutants of its own making.
.PHONY: check-sim-full
check-sim: | build/setup-lib build/setup-tests
	@selftests/sim/check.sh
check-sim-full: | build/setup-lib build/setup-tests
	@selftests/sim/check.sh full

check-hitpath: lib | build/setup-tests
	@scripts/hitpath.sh

# The C library's own tests of malloc(): not a stage of `make check` yet, because
# one of them hangs; selftests/glibc/run.sh says which.
check-glibc: lib | build/setup-tests
	@selftests/glibc/run.sh

check-programs: lib | build/setup-tests
	@selftests/programs.sh

check-docs: | build/setup-docs build/ksrc
	@$(tap) "the documentation builds with no warning" scripts/docs.sh

check-vm: modules | build/setup-tests
	@scripts/check-vm.sh
