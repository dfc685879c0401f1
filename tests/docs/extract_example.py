#!/usr/bin/env python3
"""Prints the C program in a Markdown file.

usage: extract_example.py [--max-lines N] FILE

It is the one block fenced by ```c that has a main function. Fails if there is
none, or more than one, or if it is longer than N lines.
"""

import argparse
import pathlib
import re
import sys

FENCED_C = re.compile(r"^```c\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MAIN = re.compile(r"^int main\(", re.MULTILINE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-lines", type=int)
    parser.add_argument("file", type=pathlib.Path)
    arguments = parser.parse_args()

    blocks = FENCED_C.findall(arguments.file.read_text())
    programs = [block for block in blocks if MAIN.search(block)]
    if len(programs) != 1:
        sys.exit(f"{arguments.file}: {len(programs)} C programs, expected one")
    lines = programs[0].count("\n")
    if arguments.max_lines is not None and lines > arguments.max_lines:
        sys.exit(
            f"{arguments.file}: the C program has {lines} lines, "
            f"{arguments.max_lines} at most"
        )
    sys.stdout.write(programs[0])


if __name__ == "__main__":
    main()
