# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The manual pages alone, which need nothing of the kernel's: scripts/man.sh.
# In the manual these files are chapters like any other.

project = "kspan"
extensions = []
master_doc = "libkspan-malloc.7"
author = ""
man_pages = [
    ("kspan.3", "kspan", "allocate memory with kspan", "", 3),
    ("kspan.7", "kspan", "Go's memory allocator in C", "", 7),
    ("libkspan-malloc.7", "libkspan-malloc", "a malloc to preload", "", 7),
]
