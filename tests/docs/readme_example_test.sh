#!/usr/bin/env bash
# The example of README.md runs, and prints what it should.
set -uo pipefail

expected='the list begins with 999000
1000 objects live'

output=$("$1" 2>&1)
status=$?
if ((status != 0)) || [[ $output != "$expected" ]]; then
  printf 'status %d, output:\n%s\nexpected:\n%s\n' \
    "$status" "$output" "$expected"
  exit 1
fi
