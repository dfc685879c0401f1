#!/usr/bin/env bash
# What `go tool pprof` says of the profiles of a C++ program and of a toylang
# program. Passes, saying so, where there is no Go; its -svg is tried where there
# is Graphviz.
#
# usage: pprof_test.sh MAKE_PROFILE TOYLANG
set -uo pipefail
make_profile=$1
toylang=$2
[[ $toylang == /* ]] || toylang=$PWD/$toylang

if ! command -v go >/dev/null || ! go tool -n pprof >/dev/null 2>&1; then
  echo "skipped: there is no go tool pprof here"
  exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Nothing but what is in the files.
export HOME=$scratch PPROF_TMPDIR=$scratch
failures=0

# expect PATTERN...: pprof's last output has a line for each.
expect() {
  local pattern
  for pattern in "$@"; do
    if ! grep -Eq "$pattern" "$scratch/output"; then
      echo "FAILED: expected $pattern"
      failures=$((failures + 1))
      head -30 "$scratch/output" | sed 's/^/  /'
    fi
  done
}

# run OPTION...: pprof's output to a file.
run() {
  echo "pprof $*"
  if ! go tool pprof "$@" >"$scratch/output" 2>"$scratch/errors"; then
    echo "FAILED: pprof $*"
    sed 's/^/  /' "$scratch/errors"
    failures=$((failures + 1))
  fi
}

"$make_profile" "$scratch/heap.pprof" || exit 1
profile=$scratch/heap.pprof

# 1000 records of 64 bytes are alive; buffers of 1000 bytes, in cells of 1 KiB,
# are not.
run -top "$profile"
expect 'Type: inuse_space' '62\.50kB +100% .* known_program::KeepRecords'
if grep -q 'loam_alloc' "$scratch/output"; then
  echo "FAILED: loam's own functions are shown"
  failures=$((failures + 1))
fi
run -sample_index=inuse_objects -top "$profile"
expect '1000 +100% .* known_program::KeepRecords'
run -sample_index=alloc_objects -top "$profile"
expect '3000 .* known_program::WasteBuffers' '4000 +100% .*RunProgram' \
  '4000 +100% .* main'
run -sample_index=alloc_space -tree "$profile"
expect '\| +known_program::RunProgram' 'known_program::WasteBuffers'
run -sample_index=alloc_objects -tags "$profile"
expect 'type: Total 4000' '3000.*: bytes' '1000.*: record'
run -sample_index=alloc_objects -tagfocus=type=record -top "$profile"
expect '1000 .* known_program::KeepRecords'
run -raw "$profile"
expect 'PeriodType: space bytes' 'make_profile' 'loam heap'
if command -v dot >/dev/null; then
  run -svg "$profile"
  expect '<svg' 'KeepRecords'
else
  echo "not tried: -svg, since there is no dot (Debian's package graphviz)"
fi

cat >"$scratch/program.toy" <<'EOF'
fn make_pairs(n) {
  let pairs = []
  for i in range(n) {
    pairs.push([i, i])
  }
  return pairs
}
fn make_texts(n) {
  let texts = []
  for i in range(n) { texts.push("text " + str(i)) }
  return texts
}
fn make_both(n) {
  return [make_pairs(n), make_texts(n)]
}
let kept = make_both(2000)
heap_profile(args()[0])
EOF
profile=$scratch/toylang.pprof
(
  cd "$scratch"
  LOAM_PROFILE_RATE=1 "$toylang" program.toy toylang.pprof
) || exit 1
run -sample_index=inuse_objects -top "$profile"
expect ' make_pairs$' ' make_texts$' ' make_both$' ' the main program$'
run -sample_index=inuse_objects -lines -top "$profile"
expect '400[0-9] .* make_pairs program\.toy:4$' \
  '60[0-9][0-9] .* make_both program\.toy:14$' ' the main program program\.toy:16$'

if ((failures > 0)); then
  echo "$failures failed"
  exit 1
fi
echo "all passed"
