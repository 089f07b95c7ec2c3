# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# kspan for a person at a shell; `make help` lists what there is. The kernel's
# build system reads Kbuild instead.
#
# Everything but the modules is built under build/. The modules are built in
# place, as out-of-tree modules are, and kspan.ko lies at the top.

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:

.PHONY: all help
all: lib modules

## What a build may be told

CC	?= gcc
ifeq ($(origin CC),default)
CC	:= gcc
endif
AR	?= ar
CFLAGS	?= -O2 -g
# The newest headers that are installed, unless the user names others; of
# Debian's flavours the plain one, whatever else is there (-rt, -cloud).
KDIR	?= $(shell ls -d /lib/modules/*/build 2>/dev/null | grep -vE -- '-(rt|cloud)-' | sort -V | tail -n 1)
PREFIX	?= /usr/local
LIBDIR	?= $(PREFIX)/lib
MANDIR	?= $(PREFIX)/share/man
# VARIANT names a build of its own (build/asan, say) and SAN what
# -fsanitize= gets in it; the build without a name is build/ itself.
VARIANT	?=
SAN	?=

VERSION	:= 0.1.0
SOVERSION := 0

B	:= build$(if $(VARIANT),/$(VARIANT))
export PATH := $(PATH):/usr/sbin:/sbin

## The userspace libraries

warnings := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes \
	    -Wno-unused-parameter -Wno-sign-compare
san	 := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer \
		    -fno-sanitize-recover=undefined)
cflags	 := -std=gnu11 $(CFLAGS) $(warnings) -fPIC -fvisibility=hidden \
	    -ftls-model=initial-exec -Iinclude -Iuspace $(san)
# A shared object resolves its own calls inside itself; clang does so anyway.
cflags	 += $(if $(findstring clang,$(CC)),,-fno-semantic-interposition)
# The kernel may look at a restartable sequence's descriptor after the library's
# last call: it stays mapped.
ldflags	 := -shared -Wl,-z,relro,-z,now,-z,nodelete $(if $(SAN),,-Wl,-z,defs) $(san) $(LDFLAGS)

core	 := $(sort $(wildcard core/*.c))
# Only libkspan under ASan tells it of free objects.
asan	 := $(if $(findstring address,$(SAN)),uspace/asan.c)
uspace	 := $(filter-out uspace/asan.c,$(sort $(wildcard uspace/*.c)))
mallocs	 := $(wildcard uspace/malloc.c uspace/malloc_*.c)
api_c	 := $(filter-out $(mallocs) uspace/norcu.c,$(core) $(uspace)) $(asan)
malloc_c := $(filter-out core/rcu.c uspace/rcu.c,$(core) $(uspace))
api_o	 := $(api_c:%.c=$(B)/api/%.o)
malloc_o := $(malloc_c:%.c=$(B)/malloc/%.o)

# core/ sees neither world; uspace/ sees all that glibc has.
$(B)/api/uspace/%.o $(B)/malloc/uspace/%.o: cflags += -D_GNU_SOURCE
$(api_o): cflags += $(if $(asan),-DKSPAN_ASAN)
# liburcu calls malloc(), so the library that is malloc() does without it, and
# without the compiler's knowledge of what malloc() does.
$(malloc_o): cflags += -DKSPAN_MALLOC_LIB
$(patsubst %.c,$(B)/malloc/%.o,$(mallocs)): cflags += -fno-builtin

libs	 := $(B)/libkspan.so $(B)/libkspan.a \
	    $(B)/libkspan-malloc.so $(B)/libkspan-malloc.a

.PHONY: lib
lib: build/setup-lib $(libs) $(B)/libkspan.so.$(SOVERSION) \
	$(B)/libkspan-malloc.so.$(SOVERSION) $(B)/kspan.pc

# A change of compiler or flags rebuilds what it concerns.
flags	 := $(CC) $(cflags) $(ldflags) $(api_c) $(malloc_c)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(flags)' | cmp -s - $@ || echo '$(flags)' >$@

define compile
	@mkdir -p $(@D)
	@echo '  CC      $@'
	@$(CC) $(cflags) -MMD -MP -c -o $@ $<
endef

$(B)/api/%.o: %.c $(B)/flags | build/setup-lib
	$(compile)

$(B)/malloc/%.o: %.c $(B)/flags | build/setup-lib
	$(compile)

# The operators of C++ as an archive needs them.
new_o	 := $(filter %/malloc_new.o %/malloc_new_forms.o,$(malloc_o))
$(new_o:%.o=%_static.o): cflags += -D_GNU_SOURCE -DKSPAN_MALLOC_LIB -DKSPAN_STATIC -fno-builtin
$(new_o:%.o=%_static.o): $(B)/malloc/%_static.o: %.c $(B)/flags | build/setup-lib
	$(compile)

$(B)/libkspan.so: $(api_o)
	@echo '  LD      $@'
	@$(CC) $(ldflags) -Wl,-soname,libkspan.so.$(SOVERSION) -o $@ $^ \
		-lurcu-bp -lurcu-common -lpthread

$(B)/%.so.$(SOVERSION): $(B)/%.so
	@ln -sf $*.so $@

$(B)/libkspan-malloc.so: $(malloc_o) uspace/malloc.map
	@echo '  LD      $@'
	@$(CC) $(ldflags) -Wl,-soname,libkspan-malloc.so.$(SOVERSION) \
		-Wl,--version-script=uspace/malloc.map -o $@ $(malloc_o) -lpthread

$(B)/libkspan.a: $(api_o)
$(B)/libkspan-malloc.a: $(filter-out $(new_o),$(malloc_o)) $(new_o:%.o=%_static.o)
$(B)/%.a:
	@echo '  AR      $@'
	@rm -f $@
	@$(AR) rcsD $@ $^

# $(1) is the file; it names the PREFIX of the make that writes it.
define write_pc
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' \
		'includedir=$${prefix}/include' '' 'Name: kspan' \
		'Description: Go'\''s allocator, for kernel modules and programs' \
		'Version: $(VERSION)' 'Requires.private: liburcu-bp' \
		'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lkspan' \
		'Libs.private: -lpthread' >$(1)
endef

define write_malloc_pc
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' '' 'Name: kspan-malloc' \
		'Description: malloc() of kspan' 'Version: $(VERSION)' \
		'Libs: -L$${libdir} -lkspan-malloc' 'Libs.private: -lpthread' >$(1)
endef

$(B)/kspan.pc: Makefile
	@mkdir -p $(@D)
	$(call write_pc,$@)

-include $(api_o:.o=.d) $(malloc_o:.o=.d)

## The modules

.PHONY: modules
modules: build/setup-modules build/ksrc
	@[ -n "$(KDIR)" ] || { echo 'modules: no kernel headers below /lib/modules; name some with KDIR=' >&2; exit 1; }
	@mkdir -p build
	@flock build/.modules.lock $(MAKE) -C $(KDIR) M=$(CURDIR) modules

.PHONY: modules_install
modules_install:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install

build/ksrc: scripts/ksrc.sh build/setup-modules
	@scripts/ksrc.sh
	@touch -h $@

## What the machine must have

# One stamp for each group of packages; scripts/setup.sh lists them.
build/setup-%: scripts/setup.sh
	@mkdir -p $(@D)
	@scripts/setup.sh $*
	@touch $@

## Install

.PHONY: install man
man: build/setup-docs
	@scripts/man.sh

install: lib man
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/kspan \
		$(DESTDIR)$(MANDIR)/man3 $(DESTDIR)$(MANDIR)/man7
	install -m 644 build/man/kspan.3 $(DESTDIR)$(MANDIR)/man3
	install -m 644 build/man/kspan.7 build/man/libkspan-malloc.7 $(DESTDIR)$(MANDIR)/man7
	install -m 644 build/libkspan.a build/libkspan-malloc.a $(DESTDIR)$(LIBDIR)
	install -m 755 build/libkspan.so $(DESTDIR)$(LIBDIR)/libkspan.so.$(VERSION)
	ln -sf libkspan.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libkspan.so.$(SOVERSION)
	ln -sf libkspan.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libkspan.so
	install -m 755 build/libkspan-malloc.so $(DESTDIR)$(LIBDIR)/libkspan-malloc.so.$(VERSION)
	ln -sf libkspan-malloc.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libkspan-malloc.so.$(SOVERSION)
	ln -sf libkspan-malloc.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libkspan-malloc.so
	$(call write_pc,$(DESTDIR)$(LIBDIR)/pkgconfig/kspan.pc)
	$(call write_malloc_pc,$(DESTDIR)$(LIBDIR)/pkgconfig/kspan-malloc.pc)
	install -m 644 include/kspan.h $(DESTDIR)$(PREFIX)/include
	install -m 644 include/kspan/types.h $(DESTDIR)$(PREFIX)/include/kspan

## Run and check

.PHONY: run check
run:
	@scripts/run.sh

check:
	@scripts/check.sh

include scripts/check.mk
include selftests/bench/bench.mk
include selftests/bench/kernel/bench.mk

## Documentation

.PHONY: docs
docs: build/setup-docs build/ksrc
	@scripts/docs.sh

## Clean

.PHONY: clean
clean:
	@rm -rf build Module.symvers modules.order .tmp_versions .checkpatch-camelcase.*
	@find . -path ./.git -prune -o -type f \( -name '*.o' -o -name '*.ko' \
		-o -name '*.a' -o -name '*.so' -o -name '*.mod' -o -name '*.mod.c' \
		-o -name '*.symvers' -o -name '.*.cmd' -o -name '.*.d' \) -exec rm -f {} +

help:
	@echo 'make run              see kspan at work in a program and in a kernel'
	@echo 'make check            prove it; the report closes with passed and failed'
	@echo 'make check-full       all of it, for hours: what check samples, suites, kernels, fuzz, soak'
	@echo 'make check-suites     test suites of others, over libkspan-malloc (SUITES=)'
	@echo 'make soak             load on all CPUs for SOAK_SECONDS=1800; memory stays flat (SOAK=)'
	@echo 'make check-kernels    the modules on Linux 6.1, 6.12, 7.2, 6.1-rt, 6.1-arm64 (KERNELS=)'
	@echo 'make check-debug      the modules in kernels with KASAN, lockdep, KCSAN (DEBUG=)'
	@echo 'make check-dkms       dkms installs them in a clean root'
	@echo 'make lib              build/libkspan.so, build/libkspan-malloc.so, the .a of each'
	@echo 'make modules          kspan.ko, kspan_kv.ko, kspan_test.ko (KDIR= for other headers)'
	@echo 'make fuzz             look for bugs with each fuzz target (FUZZ_SECONDS=60, TARGETS=)'
	@echo 'make stress           every entry point at once, for SECONDS=300; FORKS=, THREADS='
	@echo 'make coverage         what of core/ no test reaches (llvm-cov)'
	@echo 'make bench            libkspan-malloc against other mallocs (ROWS=, ROUNDS=, PEERS=)'
	@echo 'make bench-kernel     kspan.ko against the kernel'\''s slab (KVER=, ROWS=, DOC=1; KVER=uml: in ns)'
	@echo 'make docs             build/docs/html/index.html'
	@echo 'make install          libraries, headers, manual pages (PREFIX=, LIBDIR=, MANDIR=, DESTDIR=)'
	@echo 'make modules_install  the modules, into /lib/modules'
	@echo 'make clean            leave what git has'
	@echo
	@echo 'One stage of the check: make $(firstword $(check-stages)); all of them:'
	@echo '  $(check-stages)' | fold -s -w 76

.PHONY: FORCE
FORCE:
