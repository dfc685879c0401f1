#!/usr/bin/env python3
"""Runs the tests of the language: programs that say what they should do.

A program is a .toy file, or a part of one that begins with `# case: NAME`. It
says what to expect in comments:

  # expect: TEXT                     a line of output; they come in this order
  # expect error: TEXT               a runtime error with this message
  # expect trace: LINE in NAME       a line of its trace, in this order
  # expect syntax error: L:C: TEXT   a syntax error there
  # expect warning: TEXT             the first line on stderr; the program goes on
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

EXPECTATION = re.compile(r'# expect( error| trace| syntax error| warning|): ?(.*)$')


class Case:
    """One program: its name, its text and what it should do."""

    def __init__(self, name, text):
        self.name = name
        self.text = text
        self.expected = {'': [], ' error': [], ' trace': [], ' syntax error': [],
                         ' warning': []}
        for line in text.split('\n'):
            match = EXPECTATION.search(line)
            if match:
                self.expected[match.group(1)].append(match.group(2))


def read_cases(path):
    """The cases of a file; each keeps its line numbers."""
    with open(path, encoding='utf-8') as file:
        lines = file.read().split('\n')
    name = os.path.basename(path)
    starts = [i for i, line in enumerate(lines) if line.startswith('# case:')]
    if not starts:
        return [Case(name, '\n'.join(lines))]
    cases = []
    for start, end in zip(starts, starts[1:] + [len(lines)]):
        text = '\n'.join([''] * start + lines[start:end])
        cases.append(Case(name + lines[start][len('# case'):], text))
    return cases


def run(case, toylang, options, directory, number):
    """Returns a description of what is wrong, or None."""
    path = os.path.join(directory, '%d.toy' % number)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(case.text)
    result = subprocess.run([toylang] + options + [path], timeout=300,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            check=False)
    output = result.stdout.decode('utf-8', 'replace').split('\n')[:-1]
    errors = result.stderr.decode('utf-8', 'replace')

    status = 0
    wanted = []
    if case.expected[' error']:
        status = 1
        wanted = ['runtime error: ' + case.expected[' error'][0]]
        wanted += ['  at %s:%s' % (path, at) for at in case.expected[' trace']]
    elif case.expected[' syntax error']:
        status = 65
        where, text = case.expected[' syntax error'][0].split(': ', 1)
        wanted = ['%s:%s: syntax error: %s' % (path, where, text)]

    wanted += case.expected[' warning']

    if result.returncode != status:
        return 'exit status %d instead of %d\n%s' % (result.returncode, status,
                                                      errors)
    if output != case.expected['']:
        return 'the output is\n  %s\nand should be\n  %s' % (
            '\n  '.join(output), '\n  '.join(case.expected['']))
    if errors.split('\n')[:len(wanted)] != wanted:
        return 'instead of\n%s\nthere is\n%s' % ('\n'.join(wanted), errors)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--toylang', required=True, metavar='BINARY')
    parser.add_argument('--gc-stress', metavar='N',
                        help='run with --gc-stress=N')
    parser.add_argument('files', nargs='*', help='instead of all')
    arguments = parser.parse_args()
    toylang = os.path.abspath(arguments.toylang)
    options = (['--gc-stress=' + arguments.gc_stress]
               if arguments.gc_stress else [])

    directory = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             'language')
    files = arguments.files or sorted(
        os.path.join(directory, name) for name in os.listdir(directory)
        if name.endswith('.toy'))
    cases = [case for path in files for case in read_cases(path)]
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = pool.map(
                lambda numbered: run(numbered[1], toylang, options, scratch,
                                     numbered[0]), enumerate(cases))
            for case, problem in zip(cases, problems):
                if problem is not None:
                    failed += 1
                    print('FAILED %s: %s' % (case.name, problem))
    print('%d passed, %d failed' % (len(cases) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
