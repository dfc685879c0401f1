#!/usr/bin/env bash
# extract_example.py prints the program, and fails where it should.
set -uo pipefail

extract=$1
file=$(mktemp)
trap 'rm -f "$file"' EXIT
failures=0

expect() {
  local expected=$1 output
  shift
  output=$(python3 "$extract" "$@" "$file" 2>&1)
  if [[ $output != *"$expected"* ]]; then
    printf 'expected "%s", got "%s"\n' "$expected" "$output"
    failures=1
  fi
}

fence='```'
part=$fence$'c\nint x;\n'$fence$'\n'
program=$fence$'c\n#include <a.h>\n\nint main(void) {}\n'$fence$'\n'

printf 'Text\n%s' "$part" >"$file"
expect '0 C programs'
printf 'Text\n%sText\n%s' "$part" "$program" >"$file"
expect $'#include <a.h>\n\nint main(void) {}'
expect 'int main' --max-lines 3
expect 'has 3 lines, 2 at most' --max-lines 2
printf '%s%s' "$program" "$program" >"$file"
expect '2 C programs'
exit "$failures"
