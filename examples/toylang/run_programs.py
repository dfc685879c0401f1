#!/usr/bin/env python3
"""Runs every program in programs/ and compares its output with what is expected.

Shows what the programs print, shortened, then a table of what each run cost, and
ends with "N passed, N failed".
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import time

# Through symbolic links, to the source tree: LICENSE is looked for above it.
HERE = os.path.dirname(os.path.realpath(__file__))
PROGRAMS = os.path.join(HERE, 'programs')
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
DIFFERENCE_LINES = 20
OUTPUT_LINES = 12
STATISTICS = re.compile(r'^gc-stats: (.*)$', re.MULTILINE)


def read_table(small):
    """Yields (name, program, arguments, file with the expected output)."""
    with open(os.path.join(PROGRAMS, 'programs.txt'), encoding='utf-8') as file:
        for line in file:
            if not line.strip() or line.startswith('#'):
                continue
            name, full, reduced = [part.strip() for part in line.split('|')]
            arguments = (reduced if small else full).split()
            program = name.split(':')[0]
            name = name.replace(':', '_')
            yield (name, program,
                   [a.format(repository=REPOSITORY) for a in arguments],
                   os.path.join(PROGRAMS, name + (
                       '.small.expected' if small else '.expected')))


def run(toylang, options, program, arguments):
    """Returns exit status, output, messages and seconds."""
    command = [toylang, '--gc-stats'] + options
    command += [os.path.join(PROGRAMS, program + '.toy')] + arguments
    start = time.monotonic()
    result = subprocess.run(command, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, check=False)
    return (result.returncode, result.stdout.decode('utf-8', 'replace'),
            result.stderr.decode('utf-8', 'replace'),
            time.monotonic() - start)


def read_statistics(messages):
    """The numbers of the line that --gc-stats prints at the end."""
    match = STATISTICS.search(messages)
    if not match:
        return None
    pairs = [pair.split('=') for pair in match.group(1).split()]
    return {key: int(value) for key, value in pairs}


def difference(expected, output):
    """A short diff."""
    lines = list(difflib.unified_diff(
        expected.splitlines(), output.splitlines(), 'expected', 'output',
        lineterm='', n=1))
    if len(lines) > DIFFERENCE_LINES:
        left_out = len(lines) - DIFFERENCE_LINES
        lines = lines[:DIFFERENCE_LINES] + ['... and %d more lines' % left_out]
    return '\n'.join('    ' + line for line in lines)


def excerpt(output):
    """The output, or its beginning and end, indented."""
    lines = output.splitlines()
    if len(lines) > OUTPUT_LINES:
        half = OUTPUT_LINES // 2
        lines = (lines[:half] + ['... %d more lines' % (len(lines) - 2 * half)] +
                 lines[-half:])
    return ''.join('    %s\n' % line for line in lines)


def check(name, status, output, messages, expected_file):
    """Returns a description of what is wrong, or None."""
    if status != 0:
        # Without the reports of collections, which come in great numbers.
        lines = [line for line in messages.splitlines()
                 if not re.match(r'gc( \d+ \(| summary:|-stats:)', line)]
        return '%s: exit status %d\n    %s' % (
            name, status, '\n    '.join(lines[-DIFFERENCE_LINES:]))
    with open(expected_file, encoding='utf-8') as file:
        expected = file.read()
    if output != expected:
        return '%s: the output differs\n%s' % (name,
                                               difference(expected, output))
    if read_statistics(messages) is None:
        return name + ': no gc-stats line'
    return None


def print_table(rows):
    header = ('program', 'wall time', 'collections', 'total pause',
              'longest pause', 'peak heap')
    lines = [header]
    for name, seconds, statistics in rows:
        line = [name, '%.2f s' % seconds]
        if statistics is not None:
            line += ['%d' % statistics['collections'],
                     '%.1f ms' % (statistics['total_pause_ns'] / 1e6),
                     '%.2f ms' % (statistics['longest_pause_ns'] / 1e6),
                     '%.1f MiB' % (statistics['peak_heap_bytes'] / 2**20)]
        lines.append(line + [''] * (len(header) - len(line)))
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    print()
    for line in lines:
        print('  '.join([line[0].ljust(widths[0])] +
                        [cell.rjust(width)
                         for cell, width in zip(line[1:], widths[1:])]))
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--toylang', required=True, metavar='BINARY')
    parser.add_argument('--small', action='store_true',
                        help='run with the small arguments')
    parser.add_argument('--gc-stress', metavar='N',
                        help='collect at every Nth allocation')
    parser.add_argument('--heap-limit', metavar='SIZE',
                        help='limit of the heap, for example 64M')
    parser.add_argument('--quiet', action='store_true',
                        help='do not show what the programs print')
    parser.add_argument('--update', action='store_true',
                        help='write the expected output instead of comparing')
    parser.add_argument('programs', nargs='*', help='instead of all')
    arguments = parser.parse_args()
    toylang = os.path.abspath(arguments.toylang)
    options = []
    if arguments.gc_stress:
        options.append('--gc-stress=' + arguments.gc_stress)
    if arguments.heap_limit:
        options.append('--heap-limit=' + arguments.heap_limit)

    table = list(read_table(arguments.small))
    unknown = set(arguments.programs) - {
        known for name, program, _, _ in table for known in (name, program)}
    if unknown:
        parser.error('no such program: ' + ', '.join(sorted(unknown)))

    rows = []
    problems = []
    for name, program, program_arguments, expected_file in table:
        if arguments.programs and not {name, program} & set(arguments.programs):
            continue
        print(name, end=' ... ', flush=True)
        status, output, messages, seconds = run(toylang, options, program,
                                                program_arguments)
        if arguments.update and status == 0:
            with open(expected_file, 'w', encoding='utf-8') as file:
                file.write(output)
        problem = check(name, status, output, messages, expected_file)
        print('ok' if problem is None else 'FAILED', flush=True)
        if not arguments.quiet:
            print(excerpt(output), flush=True)
        if problem is not None:
            problems.append(problem)
        rows.append((name, seconds, read_statistics(messages)))

    print_table(rows)
    for problem in problems:
        print(problem + '\n')
    print('%d passed, %d failed' % (len(rows) - len(problems), len(problems)))
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
