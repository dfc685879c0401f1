#!/usr/bin/env python3
"""Checks that the examples of a page are in a program that is compiled and run.

usage: check_examples.py PAGE HEADING SOURCE

Each block fenced by ```c between the heading and the next one of its level must be
in SOURCE. Lines of dots and empty lines divide a block: the parts may stand in
different places there. Indentation does not matter.
"""

import pathlib
import re
import sys

FENCED_C = re.compile(r"^```c\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section_of(text, heading):
    """The text below a heading, up to the next one of the same level."""
    start = text.find(f"\n{heading}\n")
    if start < 0:
        sys.exit(f'no heading "{heading}"')
    level = re.match(r"#+ ", heading)[0]
    rest = text[start + len(heading) + 2 :]
    return rest.split(f"\n{level}", 1)[0]


def normalized(text):
    """With as little white space as possible: `char *p` and `char* p` are one."""
    return re.sub(r"\s*\*\s*", "*", " ".join(text.split()))


def parts_of(block):
    return [
        part
        for part in re.split(r"\n\s*(?:\.\.\.)?\s*\n|^\.\.\.$", block, flags=re.M)
        if part.strip() not in ("", "...")
    ]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    page, heading, source = sys.argv[1:]
    blocks = FENCED_C.findall(section_of(pathlib.Path(page).read_text(), heading))
    program = normalized(pathlib.Path(source).read_text())
    missing = [
        part
        for block in blocks
        for part in parts_of(block)
        if normalized(part) not in program
    ]
    for part in missing:
        print(f"{page}: this is not in {source}:\n{part}\n")
    print(f"{len(blocks)} examples")
    return 1 if missing or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
