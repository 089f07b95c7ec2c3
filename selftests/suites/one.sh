#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Run tests of one suite as the environment has it; run.sh calls this.
#
#	selftests/suites/one.sh SUITE OUT TEST...

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/$1.sh"
shift
suite_run "$@"
