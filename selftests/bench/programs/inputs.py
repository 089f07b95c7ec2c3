#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Write the inputs of the programs that `make bench` runs: inputs.py FOLDER

The same bytes at every call: a C file for gcc, a problem for z3, text for xz.
"""

import os
import random
import sys

FUNCTION = """
struct s{n} {{ int a[{dim}]; struct s{n} *next; double d; }};

static int f{n}(struct s{n} *s, unsigned int x)
{{
	int i, sum = {k};

	for (i = 0; i < {dim}; i++) {{
		s->a[i] = sum ^ (int)(x >> (i % 31));
		switch ((sum + i) % 7) {{
		case 0: sum += s->a[(i * {odd}) % {dim}]; break;
		case 1: sum -= i * {k}; break;
		case 2: sum ^= {k} << (i % 8); break;
		case 3: s->d += sum / {odd}.0; break;
		case 4: sum = sum * {odd} + (s->next ? s->next->a[i] : 1); break;
		default: sum += (int)s->d;
		}}
	}}
	return s->next && sum % {odd} ? f{n}(s->next, x * {odd}) : sum;
}}

int g{n}(unsigned int x)
{{
	struct s{n} one = {{ {{ {k} }}, 0, 1.5 }}, two = {{ {{ 1 }}, &one, x }};

	return f{n}(&two, x) + f{n}(&one, x + {odd}){call};
}}
"""


def c_source(rng):
    parts = []
    for n in range(120):
        parts.append(FUNCTION.format(
            n=n, dim=rng.randrange(4, 40), k=rng.randrange(1, 9999),
            odd=rng.randrange(3, 99, 2), call=" + g%d(x / 3)" % (n - 1) if n else ""))
    return "".join(parts)


def pigeons(npigeons):
    """More pigeons than holes, over bits; and a product that is to be factored."""
    holes = npigeons - 1
    out = ["(set-option :smt.random_seed 7)", "(set-logic QF_BV)"]
    for p in range(npigeons):
        out += ["(declare-const p%d_%d Bool)" % (p, h) for h in range(holes)]
        out.append("(assert (or %s))" % " ".join("p%d_%d" % (p, h) for h in range(holes)))
    for h in range(holes):
        for p in range(npigeons):
            out += ["(assert (or (not p%d_%d) (not p%d_%d)))" % (p, h, q, h)
                    for q in range(p)]
    out += ["(check-sat)", "(reset)", "(set-logic QF_BV)",
            "(declare-const a (_ BitVec 34))", "(declare-const b (_ BitVec 34))",
            "(assert (= (bvmul a b) (_ bv%d 34)))" % (98317 * 114689),
            "(assert (bvult a (_ bv131072 34)))", "(assert (bvult b (_ bv131072 34)))",
            "(assert (bvugt a (_ bv1 34)))", "(assert (bvugt b (_ bv1 34)))",
            "(check-sat)", ""]
    return "\n".join(out)


def text(rng, nbytes):
    words = ["".join(rng.choices("etaoinshrdlucmfwyp", k=rng.randrange(2, 11)))
             for _ in range(4000)]
    out = []
    size = 0
    while size < nbytes:
        line = " ".join(words[int(rng.paretovariate(0.6)) % 4000] for _ in range(12)) + "\n"
        out.append(line)
        size += len(line)
    return "".join(out)


def write(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="ascii") as f:
        f.write(content)


def main():
    folder = sys.argv[1]
    rng = random.Random(1)
    write(folder, "input.c", c_source(rng))
    write(folder, "input.smt2", pigeons(9))
    write(folder, "input.txt", text(rng, 12 << 20))


main()
