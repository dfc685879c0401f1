#!/usr/bin/env python3
"""Checks the machine code of loam_inline.h's fast paths.

usage: check_fast_paths.py PROGRAM GOLDEN [--update]

For each function that GOLDEN names, looks for the shortest way from its entry
to its return (or, for a loop, once around it) that makes no call, does not jump
out of the function and has no locked or otherwise serializing instruction. That
there is one means that slow paths are left aside by a conditional jump.

The number of its instructions is printed and, if PROGRAM was compiled by the
compiler that GOLDEN is for, must be the one written there. After a change that
is meant, run this by hand with --update on a program built with --config=opt,
which rewrites GOLDEN, and look at the difference.
"""

import collections
import pathlib
import platform
import re
import subprocess
import sys

FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(\S+)\s*(.*)$")
TARGET = re.compile(r"^([0-9a-f]+) <")
# xchg with memory locks without saying so.
SLOW = re.compile(r"^(call\w*|lock|xchg|[mls]fence|cpuid|xacquire)$")
# Padding, and landing marks of some distributions' compilers.
NOT_COUNTED = re.compile(r"^(nop\w*|endbr64|data16|cs)$")
PADDING_XCHG = "%ax,%ax"


class Instruction:
    def __init__(self, address, mnemonic, rest):
        self.address = address
        self.mnemonic = mnemonic
        self.text = f"{mnemonic} {rest}".strip()
        self.returns = mnemonic.startswith("ret")
        self.jumps = mnemonic.startswith("j")
        self.always_jumps = mnemonic == "jmp"
        match = TARGET.match(rest) if self.jumps else None
        self.target = int(match[1], 16) if match else None
        self.padding = bool(NOT_COUNTED.match(mnemonic)) or (
            mnemonic == "xchg" and rest == PADDING_XCHG
        )
        self.slow = bool(SLOW.match(mnemonic)) and not self.padding


def run(*command):
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout


def disassemble(program):
    """From each function's name to its instructions, in order."""
    functions = collections.defaultdict(list)
    current = None
    for line in run("objdump", "-d", "--no-show-raw-insn", program).splitlines():
        if match := FUNCTION.match(line):
            current = match[1]
        elif (match := INSTRUCTION.match(line)) and current:
            functions[current].append(
                Instruction(int(match[1], 16), match[2], match[3])
            )
    return functions


def successors(instructions):
    """For each index those that may run next; slow paths left out."""
    index = {one.address: i for i, one in enumerate(instructions)}
    result = []
    for i, one in enumerate(instructions):
        following = []
        if not one.always_jumps and not one.returns and i + 1 < len(instructions):
            following.append(i + 1)
        if one.jumps and one.target in index:
            following.append(index[one.target])
        result.append([j for j in following if not instructions[j].slow])
    return result


def shortest(instructions, next_of, start, is_end):
    """The indices from start to an end, with the fewest counted instructions."""
    cost = {start: 0}
    before = {}
    queue = collections.deque([start])
    while queue:
        i = queue.popleft()
        for j in next_of[i]:
            if is_end(j):
                path = [j, i]
                while path[-1] in before:
                    path.append(before[path[-1]])
                return path[::-1]
            step = 0 if instructions[j].padding else 1
            if j not in cost or cost[i] + step < cost[j]:
                cost[j] = cost[i] + step
                before[j] = i
                (queue.append if step else queue.appendleft)(j)
    return None


def fast_path(instructions, way):
    """The instructions of the way ('return' or 'loop'), or None."""
    if not instructions or instructions[0].slow:
        return None
    next_of = successors(instructions)
    if way == "return":
        if instructions[0].returns:
            return instructions[:1]
        ends = lambda i: instructions[i].returns
        path = shortest(instructions, next_of, 0, ends)
    else:
        reachable = {0}
        todo = [0]
        while todo:
            for j in next_of[todo.pop()]:
                if j not in reachable:
                    reachable.add(j)
                    todo.append(j)
        rounds = [
            shortest(instructions, next_of, i, lambda j, i=i: j == i)
            for i in reachable
        ]
        rounds = [path[1:] for path in rounds if path]
        path = min(rounds, key=len) if rounds else None
    if path is None:
        return None
    return [instructions[i] for i in path if not instructions[i].padding]


def compiler_of(program):
    """'GCC 12' and the like, as the compiler left it in the program."""
    dump = run("objdump", "-s", "-j", ".comment", program)
    text = "".join(line[43:] for line in dump.splitlines() if line.startswith(" "))
    if "clang" in text:
        return "clang"
    match = re.search(r"GCC: \(.*?\) (\d+)", text)
    return f"GCC {match[1]}" if match else "unknown"


def read_golden(path):
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    compiler, *counts = [line for line in lines if line]
    return compiler, [line.split() for line in counts]


def update(path, counts):
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        name = line.split(" ")[0]
        if name in counts:
            lines[i] = f"{line.rpartition(' ')[0]} {counts[name]}"
    path.write_text("\n".join(lines) + "\n")


def main(program, golden_path, *options):
    if platform.machine() not in ("x86_64", "AMD64"):
        print(f"skipped: reads x86-64 code only, not {platform.machine()}")
        return 0
    golden_path = pathlib.Path(golden_path)
    golden_compiler, golden = read_golden(golden_path)
    compiler = compiler_of(program)
    updating = "--update" in options
    compare = compiler == golden_compiler and not updating
    print(f"compiled by {compiler}; numbers are for {golden_compiler}"
          + ("" if compare else ", not compared"))
    functions = disassemble(program)
    counts = {}
    failed = False
    for name, way, expected in golden:
        path = fast_path(functions[name], way)
        if path is None:
            failed = True
            print(f"{name}: no {way} without one of these:")
            shown = [
                one for one in functions[name]
                if one.slow or (one.jumps and not one.target)
                or one.always_jumps
            ]
        else:
            counts[name] = len(path)
            wrong = compare and len(path) != int(expected)
            failed = failed or wrong
            print(f"{name}: {len(path)} instructions to {way}"
                  + (f", not {expected}:" if wrong else ""))
            shown = path if wrong else []
        for one in shown:
            print(f"    {one.text}")
    if updating:
        update(golden_path, counts)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
