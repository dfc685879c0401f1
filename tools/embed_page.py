#!/usr/bin/env python3
"""Makes one C++ file of a page: HTML, and the styles and scripts that it names.

usage: embed_page.py PAGE.html FILE...  > PAGE.cc

A line `<!-- include NAME -->` of the page becomes the content of the file NAME;
at the line `<!-- data -->` the page is cut in two, which HeapMapPageStart and
HeapMapPageEnd return.
"""

import os
import re
import sys

INCLUDE = re.compile(r"<!-- include (\S+) -->\n")
CUT = "<!-- data -->\n"
# Compilers need not take longer literals.
LITERAL_LENGTH = 8000


def literals(text):
    """The text as adjacent raw string literals."""
    assert ')page"' not in text
    parts = [
        text[i : i + LITERAL_LENGTH] for i in range(0, len(text), LITERAL_LENGTH)
    ]
    return "\n".join('R"page(' + part + ')page"' for part in parts)


def main():
    page, *others = sys.argv[1:]
    files = {}
    for path in [page] + others:
        with open(path, encoding="utf-8") as file:
            files[os.path.basename(path)] = file.read()
    used = set()

    def include(match):
        used.add(match[1])
        return files[match[1]]

    text = INCLUDE.sub(include, files[os.path.basename(page)])
    unused = [path for path in others if os.path.basename(path) not in used]
    if unused:
        sys.exit(f"{page} does not include {', '.join(unused)}")
    if text.count(CUT) != 1:
        sys.exit(f"{page} must have one line {CUT.strip()}")
    start, end = text.split(CUT)
    print("// Made by tools/embed_page.py.")
    print('#include "runtime/heap_map_page.h"')
    print("namespace loam {")
    print(f"std::string_view HeapMapPageStart() {{\nreturn {literals(start)};\n}}")
    print(f"std::string_view HeapMapPageEnd() {{\nreturn {literals(end)};\n}}")
    print("}  // namespace loam")


if __name__ == "__main__":
    main()
