#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Compare libkspan-malloc with other mallocs: see Documentation/benchmarks/.

	run.py FOLDER

The folder has bench, spike and launch (selftests/bench/bench.mk) and gets
results.json, and a copy of the library: that one is measured to the end, whatever
is built meanwhile. From the environment:

	ROWS	patterns of rows' names; none: all
	ROUNDS	how often each row is measured with each malloc
	PEERS	more of them: [NAME=]FILE.so[:VARIABLE=VALUE],...
	MS	how long a microbenchmark runs, in milliseconds

Everything is measured round by round, a row with every malloc in turn before the
next row, so that what disturbs the machine disturbs all of them.
"""

import ctypes.util
import datetime
import fnmatch
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = os.path.join(HERE, "programs")

SPIKE_ROUNDS = 3	# they hardly vary, and each takes eleven seconds
SPIKE_MIB = 800		# one of them at its height, with room to spare

# Debian's; what is not installed is left out, and that is said.
PEERS = [
    ("glibc", "c", "libc6"),
    ("jemalloc", "jemalloc", "libjemalloc2"),
    ("tcmalloc", "tcmalloc_minimal", "libtcmalloc-minimal4"),
    ("mimalloc", "mimalloc", "libmimalloc2.0"),
]

REDIS_TESTS = "set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,mset"
REDIS_LOAD = ["-n", "60000", "-P", "16", "-c", "16", "-r", "20000", "-d", "256"]


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def output_of(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


class Failed(Exception):
    """A program over one of the mallocs did not do what it should."""


class Malloc:
    """One to compare: a library to preload, perhaps with a setting."""

    def __init__(self, name, path, version="", setting=""):
        self.name = name
        self.path = os.path.abspath(path)
        self.version = version
        self.setting = setting

    def preload(self):
        return ["LD_PRELOAD=" + self.path] + ([self.setting] if self.setting else [])

    def environ(self):
        env = dict(os.environ, LC_ALL="C")
        env.update(word.split("=", 1) for word in self.preload())
        return env

    def described(self):
        return {"name": self.name, "library": os.path.basename(self.path),
                "version": self.version, "setting": self.setting}


def library_path(stem):
    name = ctypes.util.find_library(stem)
    for line in output_of("/sbin/ldconfig", "-p").splitlines():
        word = line.split()
        if word and word[0] == name and "x32" not in line:
            return os.path.realpath(word[-1])
    return None


def package_version(package):
    return output_of("dpkg-query", "-W", "-f", "${Version}", package)


def more_peers(text):
    for entry in filter(None, re.split(r"[,\s]+", text)):
        entry, _, setting = entry.partition(":")
        name, _, path = entry.rpartition("=")
        name = name or re.sub(r"^lib|\.so.*$", "", os.path.basename(path))
        if not os.path.exists(path):
            sys.exit("bench: PEERS: no such file: " + path)
        yield Malloc(name, path, setting=setting)


def commit():
    text = output_of("git", "-C", TOP, "rev-parse", "--short=12", "HEAD")
    dirty = output_of("git", "-C", TOP, "status", "--porcelain", "core", "uspace", "include")
    return text + ("+changes" if dirty else "")


def mallocs(build):
    ours = os.path.join(build, "libkspan-malloc.so")
    shutil.copyfile(os.path.join(TOP, "build", "libkspan-malloc.so"), ours)
    found = [Malloc("kspan", ours, commit())]
    for name, stem, package in PEERS:
        path = library_path(stem)
        if path:
            found.append(Malloc(name, path, "%s %s" % (package, package_version(package))))
        else:
            say("bench: not installed, left out:", name)
    found += more_peers(os.environ.get("PEERS", ""))
    for malloc in list(found):
        with open(malloc.path, "rb") as f:
            # A mimalloc that asks for huge pages; without them it is like the others.
            if b"allow_thp" in f.read() and not malloc.setting:
                found.append(Malloc(malloc.name + "-nothp", malloc.path, malloc.version,
                                    "MIMALLOC_ALLOW_THP=0"))
    for malloc in found:
        whose = subprocess.run([os.path.join(build, "bench"), "-w"], env=malloc.environ(),
                               capture_output=True, text=True, check=True).stdout.strip()
        if os.path.realpath(whose) != os.path.realpath(malloc.path):
            sys.exit("bench: %s does not take malloc() over" % malloc.path)
    return found


class Results:
    """Samples by row and malloc."""

    def __init__(self):
        self.rows = {}
        self.failures = []

    def add(self, name, group, unit, malloc, value):
        row = self.rows.setdefault(name, {"name": name, "group": group, "unit": unit,
                                          "samples": {}})
        row["samples"].setdefault(malloc.name, []).append(value)

    def fail(self, name, malloc, error):
        text = "%s over %s: %s" % (name, malloc.name, error)
        say("bench: FAILED:", text)
        self.failures.append(text)


class Micro:
    """A row of bench.c."""

    def __init__(self, build, name, threads):
        self.build = build
        self.name = name
        self.group = "micro" if threads == 1 else "threads"

    def measure(self, malloc, results):
        done = subprocess.run([os.path.join(self.build, "bench"), self.name,
                               os.environ.get("MS") or "300"],
                              env=malloc.environ(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed("status %d: %s" % (done.returncode, done.stderr.strip()))
        results.add(self.name, self.group, "ns/op", malloc, float(done.stdout))


class Program:
    """A program that runs to its end; its output must not depend on malloc."""

    def __init__(self, build, name, argv, environ=()):
        self.launch = os.path.join(build, "launch")
        self.name = name
        self.argv = argv
        self.environ = list(environ)
        self.digest = None

    def add_usage(self, usage, malloc, results):
        with open(usage, encoding="ascii") as f:
            _, user, system, rss, status = map(float, f.read().split())
        if status:
            raise Failed("status %d" % status)
        results.add(self.name, "program", "CPU s", malloc, round(user + system, 4))
        results.add(self.name + "-rss", "rss", "MiB", malloc, round(rss / 1024, 2))

    def measure(self, malloc, results):
        with tempfile.TemporaryDirectory() as tmp:
            usage = os.path.join(tmp, "usage")
            done = subprocess.run([self.launch, usage] + malloc.preload() + self.environ +
                                  self.argv, capture_output=True, cwd=tmp, check=False,
                                  env=dict(os.environ, LC_ALL="C"))
            if done.returncode:
                raise Failed("launch: status %d" % done.returncode)
            self.add_usage(usage, malloc, results)
        digest = hashlib.sha256(done.stdout).digest()
        self.digest = self.digest or digest
        if digest != self.digest:
            raise Failed("the output is another one")


class Redis(Program):
    """redis-server's CPU time for a fixed number of requests."""

    def __init__(self, build):
        super().__init__(build, "redis", ["redis-server"])

    @staticmethod
    def free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return str(s.getsockname()[1])

    def measure(self, malloc, results):
        with tempfile.TemporaryDirectory() as tmp:
            port = self.free_port()
            cli = ["redis-cli", "-h", "127.0.0.1", "-p", port]
            usage = os.path.join(tmp, "usage")
            with subprocess.Popen(
                    [self.launch, usage] + malloc.preload() + self.argv +
                    ["--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", tmp],
                    stdout=subprocess.DEVNULL, env=dict(os.environ, LC_ALL="C")) as server:
                while output_of(*cli, "ping") != "PONG":
                    if server.poll() is not None:
                        raise Failed("the server did not start")
                    time.sleep(0.02)
                done = subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", port, "-q",
                                       "-t", REDIS_TESTS] + REDIS_LOAD,
                                      capture_output=True, check=False)
                output_of(*cli, "shutdown", "nosave")
            if done.returncode:
                raise Failed("redis-benchmark: status %d" % done.returncode)
            self.add_usage(usage, malloc, results)


class Spike:
    """A row of spike.c, with all mallocs at a time: it sleeps more than it works."""

    def __init__(self, build, name):
        self.build = build
        self.name = name

    def add(self, malloc, text, results):
        value = {key: float(number) for key, number in map(str.split, text.splitlines())}
        mib = value["requested"] / 1048576
        full = (value["full_kib"] - value["base_kib"]) / 1024
        if "rss10_kib" not in value:
            results.add(self.name + "-overhead", "share", "%", malloc,
                        round(100 * (full / mib - 1), 2))
            results.add(self.name + "-metadata", "share", "%", malloc,
                        round(100 * (1 - value["usable"] / 1048576 / full), 2))
            return
        for when in "1", "10":
            results.add("%s-%ss" % (self.name, when), "held", "MiB", malloc,
                        round(value["rss%s_kib" % when] / 1024, 2))
            results.add("%s-%ss-lazy" % (self.name, when), "lazy", "MiB", malloc,
                        round(value["lazy%s_kib" % when] / 1024, 2))

    def measure_some(self, some, results):
        running = [(malloc, subprocess.Popen(
            [os.path.join(self.build, "spike"), self.name], env=malloc.environ(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)) for malloc in some]
        for malloc, process in running:
            out, err = process.communicate()
            if process.returncode:
                results.fail(self.name, malloc, "status %d: %s" % (process.returncode, err))
            else:
                self.add(malloc, out, results)

    def measure(self, found, results):
        with open("/proc/meminfo", encoding="ascii") as f:
            available = int(re.search(r"MemAvailable:\s+(\d+)", f.read()).group(1)) // 1024
        n = max(1, available // SPIKE_MIB)
        for i in range(0, len(found), n):
            self.measure_some(found[i:i + n], results)


def wanted(name):
    patterns = os.environ.get("ROWS", "").replace(",", " ").split()
    return not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def timed_rows(build, inputs):
    rows = []
    for line in output_of(os.path.join(build, "bench"), "-l").splitlines():
        name, threads = line.split()
        if int(threads) <= max(2, os.cpu_count()):
            rows.append(Micro(build, name, int(threads)))
    script = lambda name: os.path.join(PROGRAMS, name)
    data = lambda name: os.path.join(inputs, name)
    rows.append(Redis(build))
    for name, argv, environ in [
            ("sqlite", ["sqlite3", "-init", "/dev/null", ":memory:",
                        ".read " + script("queries.sql")], []),
            ("python", ["/usr/bin/python3", "-s", "-P", script("objects.py")],
             ["PYTHONMALLOC=malloc"]),
            ("gcc", ["gcc", "-O2", "-S", "-o", "-", data("input.c")], []),
            ("z3", ["z3", data("input.smt2")], []),
            ("ruby", ["ruby", script("objects.rb")], []),
            ("lua", ["lua5.4", script("objects.lua")], []),
            ("xz", ["xz", "-2", "-T2", "--block-size=512KiB", "-k", "-c", data("input.txt")],
             [])]:
        rows.append(Program(build, name, argv, environ))
    for row in rows:
        if isinstance(row, Program) and not shutil.which(row.argv[0]):
            say("bench: not installed, left out:", row.argv[0])
            row.name = ""
    return [row for row in rows if row.name and wanted(row.name)]


def measure_timed(rows, found, rounds, results):
    for turn in range(rounds):
        for row in rows:
            say("round %d of %d: %s" % (turn + 1, rounds, row.name))
            first = turn % len(found)
            for malloc in found[first:] + found[:first]:
                try:
                    row.measure(malloc, results)
                except Failed as error:
                    results.fail(row.name, malloc, error)


def measure_spikes(build, found, rounds, results):
    names = output_of(os.path.join(build, "spike"), "-l").split()
    for turn in range(min(rounds, SPIKE_ROUNDS)):
        for name in filter(wanted, names):
            say("round %d of %d: %s" % (turn + 1, min(rounds, SPIKE_ROUNDS), name))
            Spike(build, name).measure(found, results)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
    with open("/proc/meminfo", encoding="ascii") as f:
        kib = int(re.search(r"MemTotal:\s+(\d+)", f.read()).group(1))
    thp = ""
    for path in glob.glob("/sys/kernel/mm/transparent_hugepage/enabled"):
        with open(path, encoding="ascii") as f:
            thp = re.search(r"\[(\w+)\]", f.read()).group(1)
    try:
        release = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        release = ""
    return {"cpu": model.group(1) if model else platform.machine(), "cpus": os.cpu_count(),
            "memory_mib": kib // 1024, "kernel": re.match(r"[\d.]*\d", platform.release()).group(),
            "system": release, "transparent_hugepage": thp}


def program_versions():
    packages = ["redis-server", "sqlite3", "python3", "gcc", "z3", "ruby", "lua5.4", "xz-utils"]
    return {package: package_version(package) for package in packages}


def command(rounds, found):
    words = ["make bench", "ROUNDS=%d" % rounds]
    if os.environ.get("ROWS"):
        words.append("ROWS='%s'" % os.environ["ROWS"])
    if os.environ.get("PEERS"):
        known = {"kspan"} | {name for name, _, _ in PEERS}
        words.append("PEERS=" + ",".join(
            "%s=%s" % (m.name, os.path.basename(m.path)) for m in found if m.name not in known))
    return " ".join(words)


def main():
    build = os.path.abspath(sys.argv[1])
    rounds = int(os.environ.get("ROUNDS") or 7)
    results = Results()
    found = mallocs(build)
    with tempfile.TemporaryDirectory() as inputs:
        subprocess.run([os.path.join(PROGRAMS, "inputs.py"), inputs], check=True)
        rows = timed_rows(build, inputs)
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        measure_timed(rows, found, rounds, results)
        measure_spikes(build, found, rounds, results)
    if not results.rows:
        sys.exit("bench: no row is called " + os.environ.get("ROWS", ""))
    with open(os.path.join(build, "results.json"), "w", encoding="ascii") as f:
        json.dump({"date": date, "command": command(rounds, found), "rounds": rounds,
                   "machine": machine(), "programs": program_versions(),
                   "mallocs": [malloc.described() for malloc in found],
                   "failures": results.failures, "rows": list(results.rows.values())},
                  f, indent=1)
        f.write("\n")
    return 1 if results.failures else 0


sys.exit(main())
