#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Show what kspan_bench.ko measured.

	report.py LOG [FOLDER...]

prints a table; into each FOLDER it writes kernel-VERSION.json, kernel-VERSION.inc
(reStructuredText) and kernel-VERSION.svg (by gnuplot); of user-mode Linux, kernel-uml.
A log of several boots shows the least of each.
"""

import json
import os
import subprocess
import sys

TITLES = {
    "time": ("%s per operation", ("row", "bytes", "kspan", "slab", "ratio", "")),
    "cross": ("Nanoseconds per operation, with two CPUs",
              ("row", "bytes", "kspan", "slab", "ratio", "")),
    "memory": ("Bytes taken from the kernel's free pages, per byte asked for",
               ("row", "live", "kspan", "slab", "ratio", "", "sys")),
}


def of_row(row, size, kspan, slab, loop):
    """What a boot measured, in units, the loop not subtracted."""
    return {"row": row, "bytes": int(size), "loop": int(loop) / 100,
            "kspan": (int(kspan) + int(loop)) / 100, "slab": (int(slab) + int(loop)) / 100}


def least(rows):
    """The least that each of the row's subjects took in any boot, without the loop."""
    row = {**rows[0], **{who: min(row[who] for row in rows) for who in ("loop", "kspan", "slab")}}
    for who in ("kspan", "slab"):
        row[who] = round(row[who] - row["loop"], 2)
    return row


def parse(path):
    """The log as a dictionary: words of the header, and the rows."""
    results = {"time": [], "cross": [], "memory": []}
    boots = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            kind, _, rest = line.strip().partition(" ")
            words = rest.split()
            if kind == "time":
                boots.setdefault((words[0], words[1]), []).append(of_row(*words))
            elif kind == "memory":
                results["memory"].append(dict(zip(
                    ("row", "live", "kspan", "slab", "kspan_sys"),
                    words[:1] + [int(word) for word in words[1:]])))
            elif kind == "loop":
                results["loop"] = min(int(rest) / 100, results.get("loop", int(rest)))
            elif kind in ("command", "append", "boots", "cpu", "accel", "date", "commit", "kernel"):
                results[kind] = rest
    rows = [least(rows) for rows in boots.values()]
    results["time"] = [row for row in rows if row["row"] != "cross-cpu"]
    results["cross"] = [row for row in rows if row["row"] == "cross-cpu"]
    return results


def unit(results):
    """What the clock counted: user-mode Linux has that of the host."""
    return "nanoseconds" if "boots" in results else "instructions"


def ratio(row):
    return row["kspan"] / row["slab"] if row["slab"] else 0


def verdict(row):
    return "" if ratio(row) < 1 else "BEHIND"


def cells(kind, row):
    """A row as it is shown."""
    if kind != "memory":
        shown = [str(row["bytes"]), "%.1f" % row["kspan"], "%.1f" % row["slab"]]
    else:
        shown = ["%.1f MB" % (row["live"] / 1e6), "%.3f" % (row["kspan"] / row["live"]),
                 "%.3f" % (row["slab"] / row["live"])]
    sys_bytes = ["%.3f" % (row["kspan_sys"] / row["live"])] if kind == "memory" else []
    return [row["row"]] + shown + ["%.2f" % ratio(row), verdict(row)] + sys_bytes


def about(results):
    yield "Linux %s" % results["kernel"]
    yield "%s, %s, kspan as of %s; kernel command line: %s" % (
        results["command"], results["date"], results["commit"], results["append"])
    if "boots" in results:
        yield "%s; the least of %s boots" % (results["cpu"], results["boots"])
    yield "the empty loop: %.2f %s, subtracted" % (results["loop"], unit(results))
    if results["cross"]:
        yield "with two CPUs under %s" % results["accel"].upper()
    rows = results["time"] + results["cross"] + results["memory"]
    yield "rows where kspan is ahead: %d of %d" % (
        sum(not verdict(row) for row in rows), len(rows))


def titled(title, results):
    return title % unit(results).capitalize() if "%" in title else title


def text(results):
    for kind, (title, header) in TITLES.items():
        table = [header] + [cells(kind, row) for row in results[kind]]
        if len(table) == 1:
            continue
        widths = [max(map(len, column)) for column in zip(*table)]
        yield from ("", titled(title, results))
        for line in table:
            yield ("  " + line[0].ljust(widths[0]) + "".join(
                "  " + cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))).rstrip()
    yield ""
    yield from about(results)


def plot(results, path):
    """What kspan takes by what the slab takes, over the size: a line for each row."""
    series = {}
    for row in results["time"]:
        series.setdefault(row["row"], []).append(row)
    data = "\n\n\n".join("\n".join("%d %.4f" % (row["bytes"], ratio(row)) for row in rows)
                         for rows in series.values())
    script = """
set terminal svg size 800,480 font "sans-serif,12" background "white"
set output '{path}'
set title '{unit} of kspan by those of the slab, {kernel}' noenhanced
set xlabel 'bytes'
set logscale x 2
set logscale y 2
set grid ytics
set key outside right top noenhanced
$data << EOD
{data}
EOD
plot {lines}, 1 with lines dashtype 2 linecolor 'black' title 'the slab'
""".format(path=path, unit=unit(results).capitalize(), kernel="Linux " + results["kernel"].split()[0], data=data,
           lines=", ".join("$data index %d with linespoints title '%s'" % pair
                           for pair in enumerate(series)))
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def rst(results):
    yield ".. SPDX-License-Identifier: GPL-2.0 OR MIT"
    yield ".. Written by make bench-kernel DOC=1."
    yield ""
    for line in about(results):
        yield "- " + line
    for kind, (title, header) in TITLES.items():
        if not results[kind]:
            continue
        yield from ("", ".. list-table:: " + titled(title, results), "   :header-rows: 1", "")
        for line in [header] + [cells(kind, row) for row in results[kind]]:
            yield from ("   %s - %s" % (" " if i else "*", cell)
                        for i, cell in enumerate(line))


def main():
    results = parse(sys.argv[1])
    print("\n".join(text(results)))
    if "kernel" not in results:
        sys.exit("report: no results")
    name = "kernel-" + ("uml" if "boots" in results else
                        ".".join(results["kernel"].split(".")[:2]))
    for folder in sys.argv[2:]:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name + ".inc"), "w", encoding="ascii") as f:
            f.write("\n".join(line.rstrip() for line in rst(results)) + "\n")
        with open(os.path.join(folder, name + ".json"), "w", encoding="ascii") as f:
            json.dump(results, f, indent=1)
            f.write("\n")
        if results["time"]:
            plot(results, os.path.join(folder, name + ".svg"))


main()
