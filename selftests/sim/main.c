// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The simulator's command line.
 *
 *	sim --seed N		one seed
 *	sim --seeds A..B	many
 *	sim --replay FILE...	scripts, each with its seed
 *	sim --search FILE...	scripts, all schedules up to their bound
 *	sim --faults FILE...	scripts, each call that can fail failing in turn
 *
 * with --verbose for a trace, --hash for the hash of each run, --tap for a
 * harness, --no-shrink. What fails is made smaller and printed as a script.
 */
#include <signal.h>
#include <stdlib.h>
#include "sim.h"

static bool want_hash, want_tap, want_shrink = true;
static u32 ntests, nfailed;

/* A crash, and a loop without end, are failures of the run. */
static void on_signal(int sig)
{
	sim_fail("signal %d: %s", sig, sig == SIGVTALRM ? "it does not end" : "a wild access");
}

static void watch(void)
{
	static char stack[64 << 10];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = on_signal };
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGVTALRM };
	u32 i;

	sigaltstack(&alt, NULL);
	action.sa_flags = SA_ONSTACK | SA_NODEFER;
	for (i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &action, NULL);
}

static void result(bool ok, const char *what)
{
	ntests++;
	nfailed += !ok;
	if (want_tap)
		printf("%s %u %s\n", ok ? "ok" : "not ok", ntests, what);
	else if (!ok)
		printf("FAILED: %s\n", what);
	fflush(stdout);
}

/* Print the script of a failure, made smaller. */
static void show_failure(struct sim_script *script)
{
	char line[256];
	FILE *out;

	printf("# %s\n", sim.message);
	if (want_shrink) {
		sim.strategy = STRAT_RANDOM;
		if (!sim_run(script)) {
			script_shrink(script, 60);
			printf("# made smaller: %s\n", sim.message);
		}
	}
	out = tmpfile();
	if (!out)
		return;
	fputs("# SPDX-License-Identifier: GPL-2.0 OR MIT\n", out);
	script_print(script, out);
	rewind(out);
	while (fgets(line, sizeof(line), out))
		printf("#  %s", line);
	fclose(out);
}

static bool run_seed(u64 seed)
{
	static struct sim_script script;
	bool ok;

	script_generate(&script, seed);
	ok = sim_run(&script);
	if (want_hash)
		printf("%llu %016llx %llu\n", (unsigned long long)seed,
		       (unsigned long long)sim.hash, (unsigned long long)sim.steps);
	if (!ok) {
		printf("# seed %llu\n", (unsigned long long)seed);
		show_failure(&script);
	}
	return ok;
}

static void run_seeds(u64 from, u64 to)
{
	char what[96];
	u64 seed, failed = 0;

	for (seed = from; seed <= to && failed < (want_shrink ? 3 : 1); seed++)
		failed += !run_seed(seed);
	snprintf(what, sizeof(what), "seeds %llu..%llu", (unsigned long long)from,
		 (unsigned long long)to);
	result(!failed, what);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool load(struct sim_script *script, const char *path)
{
	FILE *in = fopen(path, "r");
	bool ok;

	if (!in) {
		perror(path);
		return false;
	}
	ok = script_parse(script, in, path);
	fclose(in);
	return ok;
}

static void replay(const char *path)
{
	static struct sim_script script;
	char what[128];
	bool ok = load(&script, path);

	if (ok) {
		sim.strategy = STRAT_RANDOM;
		ok = sim_run(&script);
		if (want_hash)
			printf("%s %016llx %llu\n", base_name(path),
			       (unsigned long long)sim.hash, (unsigned long long)sim.steps);
		if (!ok)
			printf("# %s\n", sim.message);
	}
	snprintf(what, sizeof(what), "%s replays", base_name(path));
	result(ok, what);
}

static u64 search_once(const struct sim_script *script, bool *ok)
{
	u64 n = 0;

	dfs_reset(script->cfg[CFG_BOUND]);
	do {
		n++;
		*ok = sim_run(script);
	} while (*ok && dfs_next());
	return n;
}

static void search(const char *path)
{
	static struct sim_script script;
	bool ok = load(&script, path);
	char what[128];
	u64 n = 0;

	if (ok && script.cfg[CFG_BOUND]) {
		sim.strategy = STRAT_DFS;
		dfs_forget();
		do {
			n += search_once(&script, &ok);
		} while (ok && dfs_again());
		if (!ok)
			printf("# schedule %llu: %s\n", (unsigned long long)n, sim.message);
		sim.strategy = STRAT_RANDOM;
	}
	snprintf(what, sizeof(what), "%s: all %llu schedules with %llu preemptions",
		 base_name(path), (unsigned long long)n,
		 (unsigned long long)script.cfg[CFG_BOUND]);
	result(ok, what);
}

static void faults(const char *path)
{
	static struct sim_script script;
	bool ok = load(&script, path);
	char what[128];
	u32 at = 0, n = 0;

	if (ok) {
		sim.strategy = STRAT_RANDOM;
		script.cfg[CFG_FAIL_RATE] = 0;
		script.cfg[CFG_FAIL_AT] = 0;
		ok = sim_run(&script);
		n = sim.ncanfail;
		while (ok && at < n) {
			script.cfg[CFG_FAIL_AT] = ++at;
			ok = sim_run(&script);
		}
		if (!ok)
			printf("# call %u fails: %s\n", at, sim.message);
	}
	snprintf(what, sizeof(what), "%s: each of %u calls fails", base_name(path), n);
	result(ok, what);
}

static void usage(void)
{
	fputs("sim [--verbose] [--hash] [--tap] [--no-shrink] --seed N | --seeds A..B |\n"
	      "    --replay FILE... | --search FILE... | --faults FILE...\n", stderr);
	exit(2);
}

/* "A..B" or "A" */
static int run_range(const char *range)
{
	unsigned long long a, b;
	int n = sscanf(range, "%llu..%llu", &a, &b);

	if (n < 1)
		usage();
	run_seeds(a, n == 2 ? b : a);
	return 1;
}

int main(int argc, char **argv)
{
	void (*on_file)(const char *path) = NULL;
	int i;

	watch();
	for (i = 1; i < argc; i++) {
		const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(arg, "--verbose"))
			sim.verbose = true;
		else if (!strcmp(arg, "--hash"))
			want_hash = true;
		else if (!strcmp(arg, "--tap"))
			want_tap = true;
		else if (!strcmp(arg, "--no-shrink"))
			want_shrink = false;
		else if (!strcmp(arg, "--replay"))
			on_file = replay;
		else if (!strcmp(arg, "--search"))
			on_file = search;
		else if (!strcmp(arg, "--faults"))
			on_file = faults;
		else if (!strcmp(arg, "--seed") || !strcmp(arg, "--seeds"))
			i += run_range(next);
		else if (arg[0] != '-' && on_file)
			on_file(arg);
		else
			usage();
	}
	if (want_tap)
		printf("1..%u\n", ntests);
	return nfailed != 0 || !ntests;
}
