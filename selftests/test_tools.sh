#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# libkspan-malloc where programs are looked into: in gdb, which calls malloc() and steps
# through its restartable sequences, and under valgrind; and in a program that loads and
# unloads a library which allocates when it comes and frees when it goes.

# kselftest's runner comes here through a link: only the real path leads back.
top=$(dirname "$(dirname "$(realpath "$0")")")
. "$top/scripts/tap.sh"
dir=$(realpath "${OUTPUT:-$top/build/selftests}")
preload=$(dirname "$dir")/libkspan-malloc.so
out=$dir/tools

# Runs gdb's python script $1 on the program. Succeeds if that prints "as it should be".
debug()
{
	LC_ALL=C gdb -q -batch -nx -ex "set confirm off" -ex "set env LD_PRELOAD $preload" \
		-ex "break here" -ex run -x "$1" "$out/program" 2>&1 | tee "$1.log" |
		grep -q "as it should be" && return
	sed 's/^/# /' "$1.log" | tail -n 20
	return 1
}

echo "TAP version 13"
if grep -q __asan_init "$preload" || grep -q __tsan_init "$preload" ||
   grep -q __ubsan_ "$preload"; then
	echo "1..0 # SKIP a sanitizer brings its own malloc()"
	exit 4
fi
echo "1..5"
mkdir -p "$out"

cat >"$out/program.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
char *object;
__attribute__((noinline)) void here(void) { __asm__ volatile("" : : : "memory"); }
int main(void)
{
	int i;

	object = malloc(100);
	strcpy(object, "object");
	for (i = 0; i < 3; i++) {
		here();
		free(malloc(100));
	}
	free(object);
	return 0;
}
END
gcc -g -O0 -fno-builtin -o "$out/program" "$out/program.c" 2>&1 | sed 's/^/# /'

cat >"$out/calls.py" <<'END'
import gdb
def value(expr):
    return int(gdb.parse_and_eval(expr))
assert value("((char *)object)[0]") == ord("o")
objs = [value("((void *(*)(long))malloc)(%d)" % n) for n in (1, 200, 2000, 200000)]
assert 0 not in objs and len(set(objs)) == 4
for obj in objs:
    gdb.execute("call ((void (*)(void *))free)((void *)%d)" % obj)
assert value("((void *(*)(long))malloc)(200)") == objs[1]
gdb.execute("next")
gdb.execute("next")
gdb.execute("continue")
gdb.execute("delete")
gdb.execute("continue")
if int(gdb.parse_and_eval("$_exitcode")) == 0:
    print("as it should be")
END
debug "$out/calls.py"
result $? "gdb calls malloc() and free(), and steps over them"

# Each step ends in the kernel, which aborts the sequence: still there is a way out.
cat >"$out/steps.py" <<'END'
import gdb
gdb.execute("delete")
for function in "malloc", "free":
    gdb.execute("tbreak " + function)
    gdb.execute("continue")
    caller = gdb.selected_frame().older().pc()
    steps = 0
    while steps < 200000 and gdb.selected_frame().pc() != caller:
        gdb.execute("stepi", to_string=True)
        steps += 1
    print(function, steps, "steps")
    assert steps < 200000
gdb.execute("continue")
if int(gdb.parse_and_eval("$_exitcode")) == 0:
    print("as it should be")
END
debug "$out/steps.py"
result $? "gdb steps through malloc() and free(), and comes out"

# Debian 12's valgrind cannot read what clang 14 tells debuggers.
objcopy --strip-debug "$preload" "$out/plain.so"
LD_PRELOAD=$out/plain.so valgrind -q --error-exitcode=99 --leak-check=no \
	--undef-value-errors=no --soname-synonyms=somalloc=nouserintercepts \
	"$out/program" 2>&1 | sed 's/^/# /'
result "${PIPESTATUS[0]}" "valgrind finds nothing wrong"

cat >"$out/guest.c" <<'END'
#include <stdlib.h>
#include <string.h>
static char *small[100], *large;
static __thread char *of_thread;
__attribute__((constructor)) static void come(void)
{
	for (int i = 0; i < 100; i++)
		strcpy(small[i] = malloc(16 + 10 * i), "guest");
	large = calloc(1, 200000);
}
__attribute__((destructor)) static void go(void)
{
	for (int i = 0; i < 100; i++) {
		if (strcmp(small[i], "guest"))
			abort();
		free(small[i]);
	}
	free(large);
}
void work(void)
{
	of_thread = malloc(500);
	free(of_thread);
}
END
cat >"$out/host.c" <<'END'
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
static const char *path;
static void *visit(void *arg)
{
	for (int i = 0; i < 300; i++) {
		void *guest = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		void (*work)(void) = guest ? (void (*)(void))dlsym(guest, "work") : NULL;
		if (!work)
			return arg;
		work();
		if (dlclose(guest))
			return arg;
	}
	return NULL;
}
int main(int argc, char **argv)
{
	struct mallinfo2 before, after;
	pthread_t thread[4];
	void *failed;
	int i;

	path = argv[argc - 1];
	if (visit(argv))
		return 1;
	before = mallinfo2();
	if (visit(argv))
		return 2;
	after = mallinfo2();
	if (after.uordblks > before.uordblks + 10000) {
		printf("# %zu bytes in use, then %zu\n", before.uordblks, after.uordblks);
		return 3;
	}
	for (i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, visit, argv);
	for (i = 0; i < 4; i++) {
		pthread_join(thread[i], &failed);
		if (failed)
			return 4;
	}
	return 0;
}
END
gcc -O1 -fno-builtin -shared -fPIC -o "$out/guest.so" "$out/guest.c" &&
	gcc -O1 -o "$out/host" "$out/host.c" -lpthread -ldl
LD_PRELOAD=$preload "$out/host" "$out/guest.so"
result $? "a library that comes and goes, with its objects"
LD_PRELOAD=$preload GLIBC_TUNABLES=glibc.pthread.rseq=0 "$out/host" "$out/guest.so"
result $? "the same without rseq"
exit $failed
