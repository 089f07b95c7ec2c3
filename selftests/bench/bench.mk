# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# make bench: libkspan-malloc against the mallocs of this machine.
#
#	ROWS='pair-* lua'	some rows only (Documentation/benchmarks/ has the names)
#	ROUNDS=3		how often each is measured; 7 without it
#	PEERS=[NAME=]FILE.so,...	more to compare with
#
# The table is printed, and is in build/bench/ with the JSON and the plots. All
# rows, at least 7 times each, are what Documentation/benchmarks/ shows: such a
# run updates it.

ROWS	?=
ROUNDS	?= 7
PEERS	?=
export ROWS ROUNDS PEERS

bench-programs := $(patsubst %,build/bench/%,bench spike launch)
# A run that Documentation/ is to show.
bench-whole := $(if $(ROWS)$(PEERS)$(filter 1 2 3 4 5 6,$(ROUNDS)),,Documentation/benchmarks)

# What the rows call is what runs: the compiler must not know malloc().
$(bench-programs): build/bench/%: selftests/bench/%.c | build/setup-lib
	@mkdir -p $(@D)
	@echo '  CC      $@'
	@$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-missing-field-initializers \
		-fno-builtin -o $@ $< -lpthread

.PHONY: bench
bench: lib $(bench-programs) | build/setup-bench
	@rm -f build/bench/results.json
	@status=0; whole='$(bench-whole)'; \
	selftests/bench/run.py build/bench || { status=$$?; whole=; }; \
	[ ! -f build/bench/results.json ] || \
		selftests/bench/report.py build/bench/results.json build/bench $$whole; \
	exit $$status
