#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""
Check litmus tests against the Linux-kernel memory model, by enumeration.

	check.py [--verbose] FILE...

A file is C-flavoured litmus, as in the kernel's tools/memory-model. Its first
comment says "Result: Never" (or Sometimes, Always): whether some execution, or all,
end as the "exists" clause says. TAP tells whether that is so.

How: each thread is run by itself for all values that its reads could return, which
gives its events and their dependencies. For all ways to take one run of each
thread, to say which write each read reads from (rf) and in which order the writes
of each location happen (co), the axioms decide whether the execution is possible.
They are those of linux-kernel.cat of Linux 6.1, on these events:

  coherence	acyclic (po-loc | rf | co | fr)
  atomicity	no write between the two halves of a read-modify-write
  happens-before	acyclic (ppo | rfe | ((prop \\ id) & int))
  propagation	acyclic (prop ; strong-fence ; hb*)
  rcu		irreflexive (prop ; rcu-fence ; hb* ; pb*)

with dependencies, acquire, release, rmb, wmb, mb, spinlocks and grace periods in
ppo, prop and the fences as there. Left out: SRCU, plain accesses (they are taken
for READ_ONCE() and WRITE_ONCE(), and data races are not looked for), loops. What a
file has that is not understood is an error.

That the checker is right is checked with the kernel's own tests, which state their
results: check.sh runs it over all of them.
"""
import itertools
import re
import sys


class Unsupported(Exception):
    pass


# ---- parser

TOKEN = re.compile(r'\s*(?:(\d+)|([A-Za-z_]\w*)|(/\\|\\/|==|!=|&&|\|\||->|[-+*&|^!~=<>(){};,\[\]:.]))')


def tokens(text):
    out, pos = [], 0
    text = text.rstrip()
    while pos < len(text):
        m = TOKEN.match(text, pos)
        if not m:
            raise Unsupported('cannot read: ' + text[pos:pos + 20])
        out.append(m.group(m.lastindex))
        pos = m.end()
    return out


class Parser:
    def __init__(self, toks):
        self.toks, self.pos = toks, 0

    def peek(self, k=0):
        i = self.pos + k
        return self.toks[i] if i < len(self.toks) else None

    def next(self):
        self.pos += 1
        return self.toks[self.pos - 1] if self.pos <= len(self.toks) else None

    def expect(self, tok):
        got = self.next()
        if got != tok:
            raise Unsupported('%s where %s should be' % (got, tok))

    def accept(self, tok):
        if self.peek() == tok:
            self.pos += 1
            return True
        return False


TYPES = {'int', 'long', 'u64', 'u32', 'unsigned', 'spinlock_t', 'atomic_t', 'intptr_t',
         'uintptr_t', 'struct', 'volatile', 'const'}

PRECEDENCE = [['||'], ['&&'], ['|'], ['^'], ['&'], ['==', '!='], ['<', '>'], ['+', '-']]


class CParser(Parser):
    """The statements of a thread."""

    def block(self):
        self.expect('{')
        out = []
        while not self.accept('}'):
            out += self.statement()
        return out

    def statement(self):
        if self.peek() == '{':
            return self.block()
        if self.accept(';'):
            return []
        if self.accept('if'):
            self.expect('(')
            cond = self.expr()
            self.expect(')')
            then = self.statement()
            other = self.statement() if self.accept('else') else []
            return [('if', cond, then, other)]
        if self.peek() in ('while', 'for', 'do'):
            raise Unsupported('a loop')
        if self.peek() in TYPES:
            return self.declaration()
        if self.accept('*'):
            place = self.unary()
            self.expect('=')
            value = self.expr()
            self.expect(';')
            return [('expr', ('call', 'WRITE_ONCE', [('deref', place), value]))]
        if self.peek(1) == '=':
            name = self.next()
            self.next()
            value = self.expr()
            self.expect(';')
            return [('set', name, value)]
        value = self.expr()
        self.expect(';')
        return [('expr', value)]

    def declaration(self):
        while self.peek() in TYPES:
            self.next()
        out = []
        while True:
            while self.accept('*'):
                pass
            name = self.next()
            if self.accept('='):
                out.append(('set', name, self.expr()))
            if not self.accept(','):
                break
        self.expect(';')
        return out

    def expr(self, level=0):
        if level == len(PRECEDENCE):
            return self.unary()
        left = self.expr(level + 1)
        while self.peek() in PRECEDENCE[level]:
            op = self.next()
            left = ('binary', op, left, self.expr(level + 1))
        return left

    def unary(self):
        if self.accept('!'):
            return ('not', self.unary())
        if self.accept('~'):
            return ('invert', self.unary())
        if self.accept('-'):
            return ('binary', '-', ('number', 0), self.unary())
        if self.accept('&'):
            return ('name', self.next())
        if self.accept('*'):
            return ('deref', self.unary())
        if self.peek() == '(' and self.peek(1) in TYPES:
            while self.next() != ')':
                pass
            return self.unary()
        if self.accept('('):
            value = self.expr()
            self.expect(')')
            return value
        tok = self.next()
        if tok is None:
            raise Unsupported('the end')
        if tok.isdigit():
            return ('number', int(tok))
        if self.accept('('):
            args = []
            while not self.accept(')'):
                args.append(self.expr())
                self.accept(',')
            return ('call', tok, args)
        return ('name', tok)


class CondParser(Parser):
    """exists (0:r0=1 /\\ (x=2 \\/ ~1:r1=x))"""

    def disjunction(self):
        parts = [self.conjunction()]
        while self.accept('\\/'):
            parts.append(self.conjunction())
        return ('or', parts)

    def conjunction(self):
        parts = [self.atom()]
        while self.accept('/\\'):
            parts.append(self.atom())
        return ('and', parts)

    def atom(self):
        if self.accept('~'):
            return ('not', self.atom())
        if self.accept('('):
            inner = self.disjunction()
            self.expect(')')
            return inner
        if self.peek() == 'true':
            self.next()
            return ('and', [])
        name = self.next()
        if self.accept(':'):
            name = (int(name), self.next())
        op = self.next()
        if op not in ('=', '!='):
            raise Unsupported('condition ' + op)
        self.accept('&')
        value = self.next()
        if value == '-':
            value += self.next()
        test = ('is', name, int(value) if re.match(r'-?\d', value) else value)
        return test if op == '=' else ('not', test)


class Test:
    def __init__(self, text):
        comment = re.search(r'\(\*(?=\s)(.*?)\*\)', text, re.S)
        result = re.search(r'Result:\s*(\w+)', comment.group(1)) if comment else None
        self.result = result.group(1) if result else None
        text = re.sub(r'\(\*(?=\s).*?\*\)', ' ', text, flags=re.S)
        text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
        text = re.sub(r'//[^\n]*', ' ', text)
        m = re.match(r'\s*C\s+(\S+)\s*("[^"]*")?\s*\{(.*?)\}', text, re.S)
        if not m:
            raise Unsupported('no head')
        self.name = m.group(1)
        self.init = self.read_init(m.group(3))
        self.threads, self.filter, self.cond, self.kind = [], None, None, None
        rest = text[m.end():]
        while True:
            m = re.match(r'\s*P(\d+)\s*\(([^)]*)\)[^{]*(?=\{)', rest)
            if not m:
                break
            params = [p.split()[-1].lstrip('*') for p in m.group(2).split(',') if p.strip()]
            body, end = self.braces(rest, m.end())
            parser = CParser(tokens(body))
            self.threads.append((params, parser.block()))
            rest = rest[end:]
        self.read_end(rest)

    @staticmethod
    def braces(text, start):
        depth = 0
        for i in range(start, len(text)):
            depth += (text[i] == '{') - (text[i] == '}')
            if depth == 0:
                return text[start:i + 1], i + 1
        raise Unsupported('braces')

    @staticmethod
    def read_init(text):
        init = {}
        for item in text.split(';'):
            item = re.sub(r'ATOMIC_INIT\((\w+)\)', r'\1', item)
            m = re.match(r'\s*(?:\w+\s+)*\**\s*(\w+)\s*=\s*&?\s*(-?\w+)\s*$', item)
            if m:
                value = m.group(2)
                init[m.group(1)] = int(value) if re.match(r'-?\d', value) else value
            elif ':' in item:
                raise Unsupported('initial registers')
            elif item.strip() and not re.match(r'\s*\w+\s+\**\s*\w+\s*$', item):
                raise Unsupported('initial ' + item.strip())
        return init

    def read_end(self, rest):
        m = re.match(r'\s*filter\s*(\(.*?\))\s*(?=exists|forall|~|locations)', rest, re.S)
        if m:
            self.filter = CondParser(tokens(m.group(1))).disjunction()
            rest = rest[m.end():]
        m = re.match(r'\s*locations\s*\[[^\]]*\]', rest)
        if m:
            rest = rest[m.end():]
        m = re.match(r'\s*(exists|forall|~\s*exists)(.*)$', rest, re.S)
        if not m:
            raise Unsupported('no exists clause')
        self.kind = m.group(1).replace(' ', '')
        parser = CondParser(tokens(m.group(2)))
        self.cond = parser.disjunction()
        if parser.peek() is not None:
            raise Unsupported('after the condition: ' + parser.peek())


# ---- one thread by itself

class Event:
    """kind: R, W, F; tags: once acquire release mb rmb ... noreturn, lock and RCU events"""

    def __init__(self, kind, loc=None, val=None, tags=()):
        self.kind, self.loc, self.val, self.tags = kind, loc, val, set(tags)
        self.addr, self.data, self.ctrl = set(), set(), set()
        self.rmw = None		# of a write: the read of the same operation


class NeedValue(Exception):
    def __init__(self, loc):
        Exception.__init__(self)
        self.loc = loc


class Blocked(Exception):
    """A lock that was found taken: no execution."""


FENCES = {'smp_mb': 'mb', 'smp_rmb': 'rmb', 'smp_wmb': 'wmb', 'barrier': 'barrier',
          'smp_mb__after_spinlock': 'after_spinlock',
          'smp_mb__after_unlock_lock': 'after_unlock_lock',
          'smp_mb__before_atomic': 'before_atomic', 'smp_mb__after_atomic': 'after_atomic',
          'rcu_read_lock': 'rcu_lock', 'rcu_read_unlock': 'rcu_unlock',
          'synchronize_rcu': 'sync_rcu', 'synchronize_rcu_expedited': 'sync_rcu'}


class Run:
    """A thread executed with given values for its reads."""

    def __init__(self, params, body, choices):
        self.params, self.choices = params, list(choices)
        self.events, self.regs, self.ctrl = [], {}, set()
        self.body(body)

    def emit(self, event, addr=(), data=()):
        event.ctrl = set(self.ctrl)
        event.addr, event.data = set(addr), set(data)
        self.events.append(event)
        return len(self.events) - 1

    def read(self, loc, addr, tags):
        if not self.choices:
            raise NeedValue(loc)
        value = self.choices.pop(0)
        return value, self.emit(Event('R', loc, value, tags), addr)

    def body(self, body):
        for st in body:
            if st[0] == 'if':
                value, deps = self.expr(st[1])
                self.ctrl |= deps
                self.body(st[2] if value else st[3])
            elif st[0] == 'set':
                self.regs[st[1]] = self.expr(st[2])
            else:
                self.expr(st[1])

    def expr(self, e):
        if e[0] == 'number':
            return e[1], frozenset()
        if e[0] == 'name':
            if e[1] in self.regs:
                return self.regs[e[1]]
            return e[1], frozenset()		# the address of a location
        if e[0] == 'not':
            value, deps = self.expr(e[1])
            return int(not value), deps
        if e[0] == 'invert':
            value, deps = self.expr(e[1])
            return ~value, deps
        if e[0] == 'deref':
            return self.call('READ_ONCE', [e])
        if e[0] == 'call':
            return self.call(e[1], e[2])
        return self.binary(e)

    def binary(self, e):
        left, ldeps = self.expr(e[2])
        if e[1] == '&&' and not left or e[1] == '||' and left:
            return int(bool(left)), ldeps
        right, rdeps = self.expr(e[3])
        value = {'==': lambda: int(left == right), '!=': lambda: int(left != right),
                 '<': lambda: int(left < right), '>': lambda: int(left > right),
                 '+': lambda: left + right, '-': lambda: left - right,
                 '&': lambda: left & right, '|': lambda: left | right,
                 '^': lambda: left ^ right, '&&': lambda: int(bool(right)),
                 '||': lambda: int(bool(right))}[e[1]]()
        return value, ldeps | rdeps

    def place(self, e):
        if e[0] == 'deref':
            e = e[1]
        loc, deps = self.expr(e)
        if not isinstance(loc, str):
            raise Blocked()		# a pointer that was never set
        return loc, deps

    def call(self, name, args):
        none = (0, frozenset())
        if name in FENCES:
            self.emit(Event('F', tags=[FENCES[name]]))
            return none
        if name in ('READ_ONCE', 'smp_load_acquire', 'rcu_dereference', 'atomic_read'):
            loc, addr = self.place(args[0])
            tags = ['acquire'] if name == 'smp_load_acquire' else []
            value, i = self.read(loc, addr, tags)
            return value, frozenset([i])
        if name in ('WRITE_ONCE', 'smp_store_release', 'rcu_assign_pointer', 'smp_store_mb',
                    'atomic_set'):
            loc, addr = self.place(args[0])
            value, data = self.expr(args[1])
            release = name in ('smp_store_release', 'rcu_assign_pointer')
            self.emit(Event('W', loc, value, ['release'] if release else []), addr, data)
            if name == 'smp_store_mb':
                self.emit(Event('F', tags=['mb']))
            return none
        if name in ('spin_lock', 'spin_unlock', 'spin_is_locked'):
            return self.lock(name, self.place(args[0])[0])
        return self.rmw(name, args)

    def lock(self, name, loc):
        if name == 'spin_unlock':
            self.emit(Event('W', loc, 0, ['release', 'UL']))
            return 0, frozenset()
        if name == 'spin_is_locked':
            value, i = self.read(loc, (), [])
            return value, frozenset([i])
        value, i = self.read(loc, (), ['acquire', 'LKR'])
        if value:
            raise Blocked()
        w = Event('W', loc, 1, ['LKW'])
        w.rmw = i
        self.emit(w)
        return 0, frozenset()

    def rmw(self, name, args):
        m = re.match(r'(?:atomic_)?(xchg|cmpxchg|fetch_add|fetch_or|fetch_and|fetch_andnot|'
                     r'add_return|inc|dec|add|sub)(_relaxed|_acquire|_release)?$', name)
        if not m:
            raise Unsupported(name + '()')
        op, order = m.group(1), m.group(2) or ''
        first = 1 if op in ('fetch_add', 'fetch_or', 'fetch_and', 'fetch_andnot',
                            'add_return', 'add', 'sub') else 0
        loc, addr = self.place(args[first] if args[first:] else args[0])
        others = [self.expr(a) for k, a in enumerate(args) if k != first]
        noreturn = op in ('inc', 'dec', 'add', 'sub')
        if not noreturn and not order:
            start = len(self.events)
            self.emit(Event('F', tags=['mb']))
        value, i = self.read(loc, addr, (['acquire'] if order == '_acquire' else []) +
                             ['rmw'] + (['noreturn'] if noreturn else []))
        deps = frozenset([i])
        if op == 'cmpxchg' and value != others[0][0]:
            if not order:
                self.events[start].tags = {'none'}	# one that fails orders nothing
            return value, deps
        arg = others[-1][0] if others else 1
        new = {'xchg': lambda: arg, 'cmpxchg': lambda: arg, 'fetch_add': lambda: value + arg,
               'add_return': lambda: value + arg, 'fetch_or': lambda: value | arg,
               'fetch_and': lambda: value & arg, 'fetch_andnot': lambda: value & ~arg,
               'inc': lambda: value + 1, 'dec': lambda: value - 1, 'add': lambda: value + arg,
               'sub': lambda: value - arg}[op]()
        w = Event('W', loc, new, ['rmw'] + (['release'] if order == '_release' else []))
        w.rmw = i
        data = others[-1][1] if others else frozenset()
        self.emit(w, addr, data | (frozenset() if 'xchg' in op else deps))
        if not noreturn and not order:
            self.emit(Event('F', tags=['mb']))
        return (new if op == 'add_return' else value), deps


def runs_of(thread, values, init):
    """All runs of a thread when location L can hold values[L]."""
    out, todo = [], [()]
    while todo:
        choices = todo.pop()
        try:
            out.append(Run(thread[0], thread[1], choices))
        except NeedValue as need:
            can = values.setdefault(need.loc, {init.get(need.loc, 0)})
            todo += [choices + (v,) for v in can]
        except Blocked:
            pass
    return out


def all_runs(test):
    values = {}
    # a value is made from others by as many writes as there are, at most
    rounds = 0
    while True:
        before = {k: set(v) for k, v in values.items()}
        runs = [runs_of(t, values, test.init) for t in test.threads]
        for run in itertools.chain(*runs):
            for e in run.events:
                if e.kind == 'W':
                    values.setdefault(e.loc, {test.init.get(e.loc, 0)}).add(e.val)
        longest = sum(max([sum(e.kind == 'W' for e in r.events) for r in rs] or [0])
                      for rs in runs)
        rounds += 1
        if values == before or rounds > longest + 1:
            return runs


# ---- relations: a list of bit sets, one for each event

class Rel:
    def __init__(self, n, rows=None):
        self.n, self.rows = n, rows or [0] * n

    def add(self, a, b):
        self.rows[a] |= 1 << b

    def __or__(self, other):
        return Rel(self.n, [a | b for a, b in zip(self.rows, other.rows)])

    def __and__(self, other):
        return Rel(self.n, [a & b for a, b in zip(self.rows, other.rows)])

    def __sub__(self, other):
        return Rel(self.n, [a & ~b for a, b in zip(self.rows, other.rows)])

    def __matmul__(self, other):
        out = []
        for row in self.rows:
            to = 0
            while row:
                low = row & -row
                to |= other.rows[low.bit_length() - 1]
                row ^= low
            out.append(to)
        return Rel(self.n, out)

    def inverse(self):
        out = Rel(self.n)
        for a, row in enumerate(self.rows):
            for b in range(self.n):
                if row >> b & 1:
                    out.add(b, a)
        return out

    def optional(self):
        return Rel(self.n, [row | 1 << i for i, row in enumerate(self.rows)])

    def plus(self):
        rows = list(self.rows)
        for k in range(self.n):
            for i in range(self.n):
                if rows[i] >> k & 1:
                    rows[i] |= rows[k]
        return Rel(self.n, rows)

    def star(self):
        return self.plus().optional()

    def acyclic(self):
        return not any(row >> i & 1 for i, row in enumerate(self.plus().rows))

    def irreflexive(self):
        return not any(row >> i & 1 for i, row in enumerate(self.rows))


# ---- all threads together

class Execution:
    """One run of each thread, as a graph; what does not depend on rf and co."""

    def __init__(self, test, runs):
        self.test, self.runs = test, runs
        locs = {e.loc for r in runs for e in r.events if e.loc}
        self.events = [Event('W', loc, test.init.get(loc, 0), ['init']) for loc in sorted(locs)]
        self.thread = [-1 - i for i in range(len(self.events))]
        base = []
        for t, run in enumerate(runs):
            base.append(len(self.events))
            self.events += run.events
            self.thread += [t] * len(run.events)
        self.n = len(self.events)
        self.base = base
        self.static()

    def set_of(self, *tags):
        return Rel(self.n, [1 << i if e.tags & set(tags) else 0
                            for i, e in enumerate(self.events)])

    def kind(self, kinds):
        return Rel(self.n, [1 << i if e.kind in kinds else 0
                            for i, e in enumerate(self.events)])

    def static(self):
        n, ev = self.n, self.events
        self.po, self.int = Rel(n), Rel(n)
        self.addr, self.data, self.ctrl, self.rmw = Rel(n), Rel(n), Rel(n), Rel(n)
        self.sameloc = Rel(n)
        for a in range(n):
            for b in range(n):
                if self.thread[a] == self.thread[b]:
                    self.int.add(a, b)
                    if a < b:
                        self.po.add(a, b)
                if ev[a].loc and ev[a].loc == ev[b].loc:
                    self.sameloc.add(a, b)
        for t, run in enumerate(self.runs):
            for i, e in enumerate(run.events):
                for name in ('addr', 'data', 'ctrl'):
                    for d in getattr(e, name):
                        getattr(self, name).add(self.base[t] + d, self.base[t] + i)
                if e.rmw is not None:
                    self.rmw.add(self.base[t] + e.rmw, self.base[t] + i)
        po, R, W, M = self.po, self.kind('R'), self.kind('W'), self.kind('RW')

        def fencerel(tag):
            return po @ self.set_of(tag) @ po

        r4rmb = R - self.set_of('noreturn')
        self.M, self.W, self.R = M, W, R
        self.acq_po = self.set_of('acquire') @ po @ M
        self.po_rel = M @ po @ self.set_of('release')
        self.wmb = W @ fencerel('wmb') @ W
        self.rmb = r4rmb @ fencerel('rmb') @ r4rmb
        rmw = self.set_of('rmw')
        self.mb = M @ fencerel('mb') @ M | \
            M @ fencerel('before_atomic') @ rmw @ po.optional() @ M | \
            M @ po.optional() @ rmw @ fencerel('after_atomic') @ M | \
            M @ po.optional() @ self.set_of('LKW') @ fencerel('after_spinlock') @ M
        self.gp = po @ self.set_of('sync_rcu') @ po.optional()

    def candidates(self):
        """For each way to choose rf and co that is coherent: (rf, co, fr)."""
        ev = self.events
        writes = {}
        for i, e in enumerate(ev):
            if e.kind == 'W':
                writes.setdefault(e.loc, []).append(i)
        reads = [i for i, e in enumerate(ev) if e.kind == 'R']
        froms = [[w for w in writes[ev[r].loc] if ev[w].val == ev[r].val] for r in reads]
        if not all(froms):
            return
        orders = []
        for loc, ws in sorted(writes.items()):
            later = [w for w in ws if 'init' not in ev[w].tags]
            first = [w for w in ws if 'init' in ev[w].tags]
            orders.append([first + list(p) for p in itertools.permutations(later)
                           if all(not (self.thread[a] == self.thread[b] and a > b)
                                  for a, b in itertools.combinations(p, 2))])
        po_loc = self.po & self.sameloc
        for order in itertools.product(*orders):
            co = Rel(self.n)
            for ws in order:
                for a, b in itertools.combinations(ws, 2):
                    co.add(a, b)
            last = {ev[ws[-1]].loc: ev[ws[-1]].val for ws in order}
            for choice in itertools.product(*froms):
                rf = Rel(self.n)
                for w, r in zip(choice, reads):
                    rf.add(w, r)
                fr = rf.inverse() @ co
                if (po_loc | rf | co | fr).acyclic() and \
                   not any((self.rmw & ((fr - self.int) @ (co - self.int))).rows):
                    yield rf, co, fr, last

    def possible(self, rf, co, fr):
        po, M, W, R = self.po, self.M, self.W, self.R
        ext = Rel(self.n, [~row & (1 << self.n) - 1 for row in self.int.rows])
        rfe, rfi = rf & ext, rf & self.int
        UL, LKR = self.set_of('UL'), self.set_of('LKR')
        unlock_lock = po @ UL @ (po | rf) @ LKR @ po
        mb = self.mb | M @ po @ UL @ (co | po) @ self.set_of('LKW') @ \
            (po @ self.set_of('after_unlock_lock') @ po) @ M
        strong = mb | self.gp
        fence = strong | self.po_rel | self.acq_po | self.wmb | self.rmb
        dep = self.addr | self.data
        overwrite = co | fr
        to_w = (dep | self.ctrl) @ W | overwrite & self.int
        to_r = self.addr @ R | dep @ rfi
        ppo = to_r | to_w | fence | unlock_lock & self.int
        cumul = rfe.optional() @ (strong | self.po_rel) | self.wmb | unlock_lock
        prop = (overwrite & ext).optional() @ cumul.star() @ rfe.optional()
        ident = Rel(self.n, [1 << i for i in range(self.n)])
        hb = M @ (ppo | rfe | (prop - ident) & self.int) @ M
        if not hb.acyclic():
            return False
        hbs = hb.star()
        pb = prop @ strong @ hbs @ M
        if not pb.acyclic():
            return False
        return self.rcu(prop, hbs, pb.star())

    def rcu(self, prop, hbs, pbs):
        gp = self.set_of('sync_rcu')
        if not any(gp.rows):
            return True
        po, unlocks = self.po, Rel(self.n)
        for t, run in enumerate(self.runs):
            open_, depth = None, 0
            for i, e in enumerate(run.events):
                if 'rcu_lock' in e.tags:
                    open_ = i if not depth else open_
                    depth += 1
                elif 'rcu_unlock' in e.tags:
                    depth -= 1
                    if not depth:	# the inverse of lock to unlock
                        unlocks.add(self.base[t] + i, self.base[t] + open_)
        link = po.optional() @ hbs @ pbs @ prop @ po
        order = gp
        while True:
            more = order | gp | gp @ link @ unlocks | unlocks @ link @ gp | \
                gp @ link @ order @ link @ unlocks | unlocks @ link @ order @ link @ gp | \
                order @ link @ order
            if more.rows == order.rows:
                break
            order = more
        fence = po @ order @ po.optional()
        return (prop @ fence @ hbs @ pbs @ self.M).irreflexive()


def holds(cond, regs, memory):
    if cond[0] == 'and':
        return all(holds(c, regs, memory) for c in cond[1])
    if cond[0] == 'or':
        return any(holds(c, regs, memory) for c in cond[1])
    if cond[0] == 'not':
        return not holds(cond[1], regs, memory)
    name, value = cond[1], cond[2]
    have = regs[name[0]].get(name[1], 0) if isinstance(name, tuple) else memory.get(name, 0)
    return have == value


def check(test):
    """(result, executions that are possible, those of them as the condition says)"""
    possible = matched = 0
    for runs in itertools.product(*all_runs(test)):
        ex = Execution(test, runs)
        regs = [{k: v[0] for k, v in run.regs.items()} for run in runs]
        for rf, co, fr, last in ex.candidates():
            memory = dict(test.init)
            memory.update(last)
            if test.filter and not holds(test.filter, regs, memory):
                continue
            if not ex.possible(rf, co, fr):
                continue
            possible += 1
            matched += holds(test.cond, regs, memory)
    if not possible:
        raise Unsupported('no execution at all')
    result = 'Never' if not matched else 'Always' if matched == possible else 'Sometimes'
    return result, possible, matched


def main(args):
    verbose = '--verbose' in args
    files = [a for a in args if not a.startswith('--')]
    failed = not files
    print('TAP version 13\n1..%d' % len(files))
    for number, path in enumerate(files, 1):
        said = ''
        try:
            with open(path) as f:
                test = Test(f.read())
            result, possible, matched = check(test)
            ok = result == test.result
            said = '%s, as it says' % result if ok else '%s, but it says %s' % (result, test.result)
            if verbose:
                said += ' (%d of %d executions)' % (matched, possible)
            name = test.name
        except Unsupported as why:
            ok, name, said = False, path.split('/')[-1], 'not understood: %s' % why
        failed |= not ok
        print('%sok %d %s: %s' % ('' if ok else 'not ', number, name, said))
    return int(failed)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
