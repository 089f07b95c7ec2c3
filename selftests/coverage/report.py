#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""
What of core/ was never reached, in several llvm-cov exports taken together.

	report.py UNREACHED JSON...

UNREACHED lists what is not reached, and why; a line is

	FILE | line or branch | SOURCE TEXT | reason

so that it outlives a change of line numbers; of a branch the text is that of its
line, and the condition with what it never was. What is not reached and not listed
fails, and so does what is listed and reached, unless the reason begins with "seldom:",
as of what two threads must meet for. TAP.
"""
import json
import os
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))


def in_core(name):
    """core/FILE, or None; the simulator's mutants have a core/ elsewhere."""
    name = os.path.relpath(name, TOP)
    return name if name.startswith('core' + os.sep) and name.endswith('.c') else None


def line_counts(segments):
    """Executions by line, as llvm-cov shows them: of the regions that touch it."""
    counts, active = {}, None
    for i, seg in enumerate(segments):
        line, _, count, has_count, is_entry, is_gap = seg[:6]
        last = active
        active = (count, has_count, is_gap)
        end = segments[i + 1][0] if i + 1 < len(segments) else line
        if last and last[1] and not last[2] and line not in counts:
            counts[line] = last[0]
        if has_count and not is_gap:
            if is_entry or line not in counts:
                counts[line] = max(counts.get(line, 0) if is_entry else 0, count)
            for between in range(line + 1, end):
                counts[between] = count
    return counts


def read(paths):
    lines, branches = {}, {}
    for path in paths:
        with open(path) as f:
            data = json.load(f)['data'][0]
        for entry in data['files']:
            name = in_core(entry['filename'])
            if not name:
                continue
            for line, count in line_counts(entry['segments']).items():
                # no code; it is counted only where its function never ran
                if source_text(name, line) == 'else':
                    continue
                key = (name, line)
                lines[key] = lines.get(key, 0) + count
            for b in entry['branches']:
                key = (name,) + tuple(b[:4])
                old = branches.get(key, (0, 0))
                branches[key] = (old[0] + b[4], old[1] + b[5])
    return lines, branches


CACHE = {}


def source_text(name, line):
    if name not in CACHE:
        with open(os.path.join(TOP, name)) as f:
            CACHE[name] = f.read().split('\n')
    return ' '.join(CACHE[name][line - 1].split())


def condition(name, line, col, last_line, last_col):
    """The text of a branch's condition; columns are those of the line in the file."""
    source_text(name, line)
    text = CACHE[name][line - 1]
    text = text[col - 1:last_col - 1] if line == last_line else text[col - 1:]
    return ' '.join(text.split())


def read_list(path):
    """{(file, kind, text): reason}"""
    out = {}
    with open(path) as f:
        for row in f:
            row = row.rstrip('\n')
            if not row or row.startswith('#'):
                continue
            parts = row.split(' | ')
            name, kind, reason = parts[0], parts[1], parts[-1]
            out[(name, kind, ' | '.join(parts[2:-1]))] = reason
    return out


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def main(listed_path, paths):
    lines, branches = read(paths)
    listed = read_list(listed_path)
    missed = {}
    dead = {k for k, n in lines.items() if not n}
    for name, line in sorted(dead):
        missed.setdefault((name, 'line', source_text(name, line)), []).append(line)
    ways = missing = 0
    for (name, line, col, *end), counts in sorted(branches.items()):
        if counts == (0, 0):
            continue		# in a line that is not reached, or decided when compiled
        ways += 2
        for which, n in zip(('true', 'false'), counts):
            if not n:
                missing += 1
                text = '%s: %s never %s' % (source_text(name, line),
                                            condition(name, line, col, *end), which)
                missed.setdefault((name, 'branch', text), []).append(line)
    print('TAP version 13\n1..4')
    print('# lines: %d of %d (%.1f %%); branches: %d of %d (%.1f %%)' % (
        len(lines) - len(dead), len(lines), percent(len(lines) - len(dead), len(lines)),
        ways - missing, ways, percent(ways - missing, ways)))
    by_file = {}
    for name, line in lines:
        got = by_file.setdefault(name, [0, 0])
        got[0] += (name, line) not in dead
        got[1] += 1
    for name, (got, all_) in sorted(by_file.items()):
        print('#   %-22s %4d of %4d lines' % (name, got, all_))
    new = [k for k in missed if k not in listed and k[1] == 'line']
    new += [k for k in missed if k not in listed and k[1] == 'branch']
    for k in new:
        print('# not reached: %s | %s (%s)' % (' | '.join(k), '?', ', '.join(map(str, missed[k]))))
    gone = [k for k in listed if k not in missed and not listed[k].startswith('seldom:')]
    for k in gone:
        print('# listed, but reached or gone: %s' % ' | '.join(k))
    results = [
        (not [k for k in new if k[1] == 'line'] and len(lines) > 1000,
         'every line of core/ is reached or said not to be'),
        (percent(ways - missing, ways) >= 95, 'of the branches 95 %'),
        (not [k for k in new if k[1] == 'branch'], 'of each other one is said why'),
        (not gone, 'what is said not to be reached is not'),
    ]
    for i, (ok, what) in enumerate(results, 1):
        print('%sok %d %s' % ('' if ok else 'not ', i, what))
    return not all(ok for ok, _ in results)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
