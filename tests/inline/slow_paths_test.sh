#!/usr/bin/env bash
# check_fast_paths.py finds a call, a jump to another function, a lock prefix, a
# locked exchange, a path that never ends, and a function that is not there.
set -uo pipefail

check=$1
program=$2

if [[ $(uname -m) != x86_64 ]]; then
  echo "skipped: reads x86-64 code only, not $(uname -m)"
  exit 0
fi

golden=$(mktemp)
trap 'rm -f "$golden"' EXIT
failures=0

expect() {
  local function=$1 complaint=$2 output
  printf 'none\n%s return 0\n' "$function" >"$golden"
  if output=$(python3 "$check" "$program" "$golden"); then
    echo "$function: passed, although it $complaint"
    failures=1
  elif [[ $output != *"$complaint"* ]]; then
    printf '%s: expected "%s", got:\n%s\n' "$function" "$complaint" "$output"
    failures=1
  fi
}

expect calls '    call'
expect leaves '    jmp'
expect locks '    lock'
expect exchanges '    xchg'
expect spins 'no return without'
expect missing 'no return without'
exit "$failures"
