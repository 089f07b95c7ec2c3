# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Dictionaries, strings, lists and objects that come and go, JSON and sorting.

import json


class Node:
    def __init__(self, key, value):
        self.key = key
        self.value = value
        self.left = None
        self.right = None


def insert(root, key, value):
    node = root
    while True:
        side = "left" if key < node.key else "right"
        child = getattr(node, side)
        if child is None:
            setattr(node, side, Node(key, value))
            return
        node = child


def depth(node):
    return 0 if node is None else 1 + max(depth(node.left), depth(node.right))


seed = 12345


def rand(n):
    global seed
    seed = (seed * 1103515245 + 12345) % 2147483648
    return (seed >> 8) % n


total = 0
for turn in range(2):
    root = Node(500000, "root")
    for i in range(30000):
        insert(root, rand(1000000), "value of %d" % i)
    total += depth(root)
    table = {}
    for i in range(120000):
        key = "key-%d" % rand(40000)
        table.setdefault(key, []).append((i, str(i)))
    for i in range(20000):
        table.pop("key-%d" % rand(40000), None)
    text = json.dumps(table)
    back = json.loads(text)
    words = sorted(text.split('"'))
    total += len(text) + len(back) + len("".join(words[::7]))
print(total)
