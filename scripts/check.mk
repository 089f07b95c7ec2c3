# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The stages of `make check`. Each is a target that prints TAP and can be run
# alone; scripts/check.sh runs them all, keeps each one's output in
# build/check/NAME.tap and adds up.

check-stages := check-sizeclasses check-core check-style check-modules \
		check-sparse check-user check-user-clang check-user-asan \
		check-user-ubsan check-user-tsan check-sim check-fuzz check-litmus check-hitpath check-hitpath-kernel \
		check-glibc check-programs check-docs check-install check-options \
		check-vm check-kernels-light check-arm64

# Those that build for themselves, and measure nothing.
check-beside := $(filter check-user%,$(check-stages)) check-sim check-sim-full check-fuzz \
		check-litmus

.PHONY: $(check-stages) check-stages check-beside
check-stages check-beside:
	@echo $($@)

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

# The userspace tests, in one build for each compiler and sanitizer. AddressSanitizer has
# a malloc() of its own: the tests of kspan's are a build without it.
check-user: ;		@scripts/check-user.sh gcc gcc
check-user-clang: ;	@scripts/check-user.sh clang clang
check-user-asan: ;	@scripts/check-user.sh asan clang address,undefined
check-user-ubsan: ;	@scripts/check-user.sh ubsan gcc undefined 'malloc*'
check-user-tsan: ;	@scripts/check-user.sh tsan clang thread
check-user check-user-clang check-user-asan check-user-ubsan check-user-tsan: \
	| build/ksrc build/setup-lib build/setup-tests

# The core in the simulator: schedules, failures and mutants of its own making.
.PHONY: check-sim-full
check-sim: | build/setup-lib build/setup-tests
	@selftests/sim/check.sh
check-sim-full: | build/setup-lib build/setup-tests
	@selftests/sim/check.sh full

# The barriers of the lock-free parts, under the kernel's memory model.
check-litmus: | build/ksrc build/setup-tests
	@selftests/litmus/check.sh

# What fuzzing found and what it reaches, again, and new inputs, the same ones each time
# (FUZZ_SEED, FUZZ_RUNS); `make fuzz` looks for FUZZ_SECONDS with each target, `make
# fuzz-keep` adds what that reached.
.PHONY: fuzz fuzz-keep coverage
check-fuzz: | build/ksrc build/setup-lib build/setup-tests
	@selftests/fuzz/fuzz.sh check
fuzz: | build/ksrc build/setup-lib build/setup-tests
	@selftests/fuzz/fuzz.sh run
fuzz-keep: | build/ksrc build/setup-lib build/setup-tests
	@selftests/fuzz/fuzz.sh keep

# What nobody reaches of core/ is listed with a reason. Takes some minutes.
coverage: | build/ksrc build/setup-lib build/setup-tests
	@selftests/coverage/coverage.sh

check-hitpath: lib | build/setup-tests
	@scripts/hitpath.sh

check-hitpath-kernel: modules | build/setup-tests
	@scripts/hitpath-kernel.sh

# What check-user does for a bounded count, for SECONDS, and FORKS and THREADS whose
# memory is counted; then the API's for as long under ThreadSanitizer.
SECONDS	?= 300
FORKS	?= 10000
THREADS	?= 100000
.PHONY: stress
stress: export KSPAN_STRESS_SECONDS = $(SECONDS)
stress: export KSPAN_STRESS_FORKS = $(FORKS)
stress: export KSPAN_STRESS_THREADS = $(THREADS)
stress: lib | build/ksrc build/setup-tests
	@$(MAKE) -C selftests $(CURDIR)/build/selftests/test_malloc_stress
	build/selftests/test_malloc_stress
	@$(MAKE) VARIANT=tsan CC=clang SAN=thread lib
	@$(MAKE) -C selftests VARIANT=tsan CC=clang SAN=thread \
		$(CURDIR)/build/tsan/selftests/test_malloc_stress
	TSAN_OPTIONS=halt_on_error=1:suppressions=$(CURDIR)/selftests/tsan.supp \
		setarch -R build/tsan/selftests/test_malloc_stress

# The C library's own tests of malloc().
check-glibc: lib | build/setup-tests
	@selftests/glibc/run.sh

# Test suites of others, with and without kspan: SUITES names some of them.
SUITES ?=
.PHONY: check-suites
check-suites: lib | build/setup-lib build/setup-suites
	@selftests/suites/run.sh $(SUITES)

# Load on all CPUs for SOAK_SECONDS (1800) in a program, then in the VM; memory stays
# flat. SOAK=user or SOAK=vm is one of the two.
SOAK ?=
.PHONY: soak
soak: lib modules | build/setup-tests build/setup-bench
	@selftests/soak/run.sh $(SOAK)

check-programs: lib | build/setup-tests
	@selftests/programs.sh

check-docs: | build/setup-docs build/ksrc
	@$(tap) "the documentation builds with no warning" scripts/docs.sh

# What `make install` leaves.
check-install: lib | build/setup-docs build/setup-tests
	@scripts/check-install.sh

# KSPAN_OPTIONS as documented.
check-options: lib
	@scripts/check-options.sh

check-vm: modules | build/setup-tests
	@scripts/check-vm.sh

# Every kernel of scripts/kernels.sh, or those in KERNELS. `make check` has 6.1
# in check-modules and check-vm, and a shorter run of 6.12.
KERNELS ?=
.PHONY: check-kernels
check-kernels: | build/ksrc build/setup-modules build/setup-tests build/setup-arm64
	@scripts/check-kernels.sh $(KERNELS)
check-kernels-light: | build/ksrc build/setup-modules build/setup-tests
	@scripts/check-kernels.sh --light 6.12

# The libraries on arm64; the modules there are a row of check-kernels.
.PHONY: check-arm64-full
check-arm64: | build/ksrc build/setup-arm64
	@scripts/check-arm64.sh
check-arm64-full: | build/ksrc build/setup-arm64
	@scripts/check-arm64.sh --full

# The selftests and a stress in kernels that check what they do, those in DEBUG
# (kasan, kcsan) or both. The kernels are built once, some minutes each.
DEBUG ?=
.PHONY: check-debug
check-debug: | build/ksrc build/setup-modules build/setup-tests build/setup-debug
	@scripts/check-debug.sh $(DEBUG)

# dkms installs, in a root that has nothing else; the result is loaded in a VM.
.PHONY: check-dkms
check-dkms: | build/ksrc build/setup-modules build/setup-tests
	@scripts/check-dkms.sh $(KERNELS)

# All that there is, for hours: the stages of `make check`, those that are quick there
# at their full length, and what is too long for it.
check-quick	  := check-sim check-kernels-light check-arm64
check-full-stages := $(filter-out $(check-quick),$(check-stages)) check-sim-full \
		     fuzz stress check-suites check-kernels check-debug check-dkms \
		     check-arm64-full soak
.PHONY: check-full
check-full:
	@scripts/check.sh $(check-full-stages)
