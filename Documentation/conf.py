# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Sphinx, with the kernel's own kernel-doc directive, which scripts/ksrc.sh
# unpacks from the kernel's source package.

import os
import sys

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ksrc = os.path.join(top, "build", "ksrc")
sys.path.insert(0, os.path.join(ksrc, "Documentation", "sphinx"))

project = "kspan"
copyright = "the kspan authors, GPL-2.0 OR MIT"
extensions = ["kerneldoc"]
kerneldoc_bin = os.path.join(ksrc, "scripts", "kernel-doc")
kerneldoc_srctree = top
kerneldoc_verbosity = 1

primary_domain = "c"
highlight_language = "none"
html_theme = "alabaster"
html_theme_options = {"description": "Go's allocator, in kernel and userspace"}
html_show_sphinx = False
# Attributes and types that the C domain is not told of otherwise.
c_id_attributes = ["__user", "__must_check", "__malloc", "__printf", "__always_inline"]
c_paren_attributes = ["__alloc_size", "__attribute__"]
