#!/usr/bin/env bash
# The examples of a page are in the program that runs them; and check_examples.py
# notices when one is not.
set -uo pipefail

check=$1 page=$2 source=$3
heading='## 8. When objects die'
failures=0

expect() {
  local expected_status=$1 expected=$2 output status
  shift 2
  output=$(python3 "$check" "$@" 2>&1)
  status=$?
  if ((status != expected_status)) || [[ $output != *"$expected"* ]]; then
    printf 'status %d, expected %d and "%s":\n%s\n' \
      "$status" "$expected_status" "$expected" "$output"
    failures=1
  fi
}

expect 0 'examples' "$page" "$heading" "$source"
expect 1 'no heading' "$page" '## 8. No such heading' "$source"

changed=$(mktemp)
trap 'rm -f "$changed"' EXIT
sed 's/loam_cleanup_stop(m, /loam_cleanup_stop(/' "$source" >"$changed"
expect 1 'loam_cleanup_stop(m, &cleanup);' "$page" "$heading" "$changed"
printf '\n## A\n```c\nint x;\n...\nint *y;\n```\n## B\n```c\nint z;\n```\n' \
  >"$changed"
expect 1 'int *y;' "$changed" '## A' <(printf 'int x; int y;')
expect 0 '1 examples' "$changed" '## A' <(printf 'int* y;\n  int\nx;')
exit "$failures"
