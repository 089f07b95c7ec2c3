#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Show what run.py measured.

	report.py RESULTS.json [FOLDER...]

prints a table; into each FOLDER it writes results.inc (reStructuredText), SVG plots
(gnuplot) and the JSON.
"""

import json
import math
import os
import statistics
import subprocess
import sys

OURS = "kspan"
TIMED = ("micro", "threads", "program")
MINIMUM = ("micro", "program")	# CPU time: what disturbs only adds
TITLES = {
    "micro": "One thread: ns of CPU per operation, minimum of the rounds",
    "threads": "Threads: ns per operation by the clock, median of the rounds",
    "program": "Programs: seconds of CPU, minimum of the rounds",
    "rss": "Programs: peak resident MiB, median of the rounds",
    "held": "Resident MiB after a spike of 512 MiB, median of the rounds",
    "share": "Of 512 MiB in small objects: percent on top of what was asked for, "
             "and percent that no object may use",
}


def peers_of(names):
    """What kspan is compared with; its own variants are shown only."""
    return [name for name in names if not name.startswith(OURS)]


def figure(row, name):
    """The row's figure for one malloc."""
    samples = row["samples"].get(name)
    if not samples:
        return None
    return min(samples) if row["group"] in MINIMUM else statistics.median(samples)


def best_peer(row, names):
    have = [(figure(row, name), name) for name in peers_of(names) if name in row["samples"]]
    return min(have)[1] if have else None


def paired(row, name, other):
    """The median over the rounds of name's figure by other's."""
    return statistics.median(a / b for a, b in zip(row["samples"][name],
                                                   row["samples"][other]) if b)


def comparison(row, names):
    """kspan by the best peer: its name, by figures, paired by round."""
    best = best_peer(row, names)
    ours = figure(row, OURS)
    if ours is None or best is None or not figure(row, best):
        return "-", None, None
    return best, ours / figure(row, best), paired(row, OURS, best)


def geomeans(rows, names):
    """For each peer the geometric mean of kspan's figure by its own."""
    means = {}
    for name in peers_of(names):
        logs = [math.log(figure(row, OURS) / figure(row, name)) for row in rows
                if figure(row, OURS) and figure(row, name)]
        if logs:
            means[name] = math.exp(sum(logs) / len(logs))
    return means


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return "%.0f" % value
    return "%.1f" % value if value >= 100 else "%.2f" % value


class Report:
    def __init__(self, results):
        self.results = results
        self.names = [malloc["name"] for malloc in results["mallocs"]]

    def group(self, *groups):
        return [row for row in self.results["rows"] if row["group"] in groups]

    def cells(self, row):
        best, ratio, by_round = comparison(row, self.names)
        return ([row["name"]] + [number(figure(row, name)) for name in self.names] +
                [best, number(ratio), number(by_round)])

    def header(self):
        return ["row"] + self.names + ["best peer", "ratio", "paired"]

    def table(self, group):
        return [self.header()] + [self.cells(row) for row in self.group(group)]

    def summary(self):
        """Lines: how kspan stands against each peer."""
        for title, groups in (("time", TIMED), ("peak RSS", ("rss",))):
            means = geomeans(self.group(*groups), self.names)
            if not means:
                continue
            best = max(means, key=means.get)
            yield "%s, geometric mean of kspan / peer: %s" % (
                title, ", ".join("%s %.3f" % item for item in means.items()))
            yield "%s, by the best single peer (%s): %.3f" % (title, best, means[best])
        ratios = [(comparison(row, self.names)[1], row) for row in self.group(*TIMED)]
        over = [(ratio, row["name"]) for ratio, row in ratios if ratio and ratio > 1.05]
        if ratios:
            yield "timed rows above 1.05 of their best peer: %s" % (
                ", ".join("%s %.2f" % (name, ratio) for ratio, name in sorted(over)[::-1])
                or "none")

    def about(self):
        machine = self.results["machine"]
        yield "%s, %d CPUs, %d MiB; Linux %s, %s; huge pages: %s" % (
            machine["cpu"], machine["cpus"], machine["memory_mib"], machine["kernel"],
            machine["system"], machine["transparent_hugepage"])
        yield "%s: %s (%d rounds)" % (self.results["date"], self.results["command"],
                                      self.results["rounds"])
        for malloc in self.results["mallocs"]:
            yield "%s: %s" % (malloc["name"], ", ".join(filter(None, (
                malloc["library"], malloc["version"], malloc["setting"]))))
        yield "programs: " + ", ".join("%s %s" % item for item in
                                       self.results["programs"].items() if item[1])

    def text(self):
        for group, title in TITLES.items():
            table = self.table(group)
            if len(table) == 1:
                continue
            widths = [max(map(len, column)) for column in zip(*table)]
            yield ""
            yield title
            for line in table:
                yield "  " + line[0].ljust(widths[0]) + "".join(
                    "  " + cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))
        yield ""
        yield from self.summary()
        yield from ("FAILED: " + text for text in self.results["failures"])
        yield ""
        yield from self.about()

    def rst(self):
        yield ".. SPDX-License-Identifier: GPL-2.0 OR MIT"
        yield ".. Written by make bench."
        yield ""
        for line in self.about():
            yield "- " + line
        for group, title in TITLES.items():
            table = self.table(group)
            if len(table) == 1:
                continue
            yield from ("", ".. list-table:: " + title, "   :header-rows: 1", "")
            for line in table:
                yield from ("   %s - %s" % (" " if i else "*", cell)
                            for i, cell in enumerate(line))
        yield ""
        for line in self.summary():
            yield "- " + line
        yield from ("- FAILED: " + text for text in self.results["failures"])

    def plot(self, path, title, rows, value, log):
        """Grouped bars: a cluster for each row, a bar for each malloc."""
        columns = ", ".join("'$data' using %d%s title '%s'" %
                            (i + 2, "" if i else ":xtic(1)", name)
                            for i, name in enumerate(self.names))
        data = "\n".join('"%s" %s' % (row["name"], " ".join(
            "%.4g" % value(row, name) if figure(row, name) else "?" for name in self.names))
            for row in rows)
        width = 260 + 22 * len(rows) * max(len(self.names), 3) // 3
        script = """
set terminal svg size {width},420 font "sans-serif,12" background "white"
set output '{path}'
set title '{title}'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set key outside right top
set xtics rotate by -35 noenhanced
set grid ytics
set datafile missing '?'
{scale}
$data << EOD
{data}
EOD
plot {columns}
""".format(width=max(width, 640), path=path, title=title, data=data, columns=columns,
           scale="set logscale y 2\nset yrange [*:*]" if log else "set yrange [0:*]")
        subprocess.run(["gnuplot"], input=script, text=True, check=True)

    def plots(self, folder):
        def by_best(row, name):
            every = [figure(row, other) for other in self.names if figure(row, other)]
            return figure(row, name) / min(every)

        for name, groups, title in (
                ("micro", ("micro", "threads"), "Time per operation, by the row’s fastest"),
                ("program", ("program",), "CPU time, by the row’s fastest"),
                ("rss", ("rss",), "Peak resident memory, by the row’s leanest")):
            if self.group(*groups):
                self.plot(os.path.join(folder, name + ".svg"), title, self.group(*groups),
                          by_best, name == "micro")
        if self.group("held"):
            self.plot(os.path.join(folder, "held.svg"),
                      "Resident MiB, 1 s and 10 s after a spike of 512 MiB is freed",
                      self.group("held"), figure, False)


def main():
    with open(sys.argv[1], encoding="ascii") as f:
        report = Report(json.load(f))
    print("\n".join(report.text()))
    for folder in sys.argv[2:]:
        with open(os.path.join(folder, "results.inc"), "w", encoding="utf-8") as f:
            f.write("\n".join(report.rst()) + "\n")
        with open(os.path.join(folder, "results.json"), "w", encoding="ascii") as f:
            json.dump(report.results, f, indent=1)
            f.write("\n")
        report.plots(folder)


main()
