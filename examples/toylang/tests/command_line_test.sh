#!/usr/bin/env bash
# Options, exit statuses and what is printed where.
#
# usage: command_line_test.sh TOYLANG read_snapshot.py
set -u
toylang=$1
read_snapshot=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# program NAME: the standard input becomes a program.
program() {
  cat >"$scratch/$1.toy"
}

# check STATUS TEXT ARGUMENT...: toylang exits with the status, and prints the
# text somewhere.
check() {
  local wanted_status=$1 wanted_text=$2 output status=0
  shift 2
  output=$(cd "$scratch" && "$toylang" "$@" 2>&1) || status=$?
  if ((status != wanted_status)) || [[ $output != *"$wanted_text"* ]]; then
    echo "FAILED: toylang $*"
    echo "  exit status $status, should be $wanted_status; output:"
    head -20 <<<"$output" | sed 's/^/  /'
    echo "  should contain: $wanted_text"
    failures=$((failures + 1))
  fi
}

[[ $toylang == /* ]] || toylang=$PWD/$toylang

program arguments <<<'print(args())'
program grow <<'EOF2'
fn grow(list) {
  while true { list.push([list.len(), "an element"]) }
}
grow([])
EOF2
program grow_weak_map <<'EOF2'
let map = weakmap()
let keys = []
while true {
  let key = [keys.len()]
  keys.push(key)
  map[key] = {key: key}
}
EOF2
program grow_weak_references <<'EOF2'
let target = []
let references = []
while true { references.push(weak(target)) }
EOF2
program finalizers <<'EOF2'
let kept = finalizer([1], fn (list) { print("called") })
finalizer([2], fn (list) { print("called") })
print("the end")
EOF2
program garbage <<'EOF2'
for i in range(300000) { [i, "x" + str(i)] }
print("done")
EOF2
program wrong <<<'print(1 +)'
program map <<'EOF2'
let kept = []
for i in range(1000) { kept.push({number: i}) }
heap_map(args()[0])
print(kept.len(), read_file(args()[0]).contains("toylang"))
EOF2

program snapshot <<'EOF2'
let kept = []
for i in range(1000) { kept.push({number: i}) }
fn count() {
  let local = {}
  return fn() { return [local, kept.len()] }
}
let counter = count()
heap_snapshot(args()[0])
print(kept.len(), counter()[1])
EOF2

check 0 'usage: toylang [OPTION]... FILE' --help
check 2 'which program?'
check 2 'unknown option --gc-statistics' --gc-statistics arguments.toy
check 2 '--heap-limit needs a size' --heap-limit=64X arguments.toy
check 2 '--heap-limit needs a size' --heap-limit= arguments.toy
check 2 '--heap-limit needs a size' --heap-limit=99999999999G arguments.toy
check 2 '--gc-stress needs a number' --gc-stress=0 arguments.toy
check 2 '--gc-stress needs a number' --gc-stress arguments.toy
check 2 'cannot read missing.toy' missing.toy
check 2 'cannot read .' .
check 65 'wrong.toy:1:10: syntax error: expected an expression' wrong.toy

check 0 '["a", "--gc-stats", "b c"]' arguments.toy a --gc-stats 'b c'
check 0 '[]' --gc-verify --heap-limit=1G arguments.toy
check 0 '[]' --gc-stress=3 arguments.toy

check 1 'runtime error: out of memory' --heap-limit=16M grow.toy
check 1 'grow.toy:2 in grow' --heap-limit=16M grow.toy
check 1 'runtime error: out of memory' --heap-limit=16M grow_weak_map.toy
check 1 'runtime error: out of memory' --heap-limit=16M grow_weak_references.toy
# Nobody is left to call what finalizers remain.
LOAM_FINALIZE_AT_DESTROY=1 check 0 'the end' finalizers.toy
check 0 'done' --heap-limit=16M garbage.toy
check 0 'gc 1 (growth): paused ' --gc-stats garbage.toy
check 0 'gc-stats: collections=' --gc-stats garbage.toy
check 1 'gc-stats: collections=' --gc-stats --heap-limit=16M grow.toy

check 0 '1000 true' map.toy map.html
check 0 '1000 true' --gc-stress=1 map.toy map.html
check 1 'runtime error: heap_map: loam_heap_map_write: cannot open missing/map.html: No such' \
  map.toy missing/map.html
for name in map list; do
  if ! grep -q "\[[0-9]*,\"$name\",1,[0-9]*,[0-9]*\]" "$scratch/map.html"; then
    echo "FAILED: map.html does not list the type $name"
    failures=$((failures + 1))
  fi
done

check 0 '1000 1000' snapshot.toy toylang.heapsnapshot
check 1 'runtime error: heap_snapshot: loam_heap_snapshot_write: cannot open missing/s: No such' \
  snapshot.toy missing/s
if ! python3 "$read_snapshot" "$scratch/toylang.heapsnapshot"; then
  failures=$((failures + 1))
fi
# Every object is sampled. Names lie in the file as they are.
program profile <<'EOF2'
fn make_pairs(n) {
  let pairs = []
  for i in range(n) { pairs.push([i, i]) }
  return pairs
}
let kept = make_pairs(1000)
heap_profile(args()[0])
print("written")
EOF2
export LOAM_PROFILE_RATE=1
check 0 'written' profile.toy heap.pprof
check 0 'written' --gc-stress=10 profile.toy heap.pprof
check 1 'runtime error: heap_profile: loam_heap_profile_write: cannot open missing/heap.pprof: No such' \
  profile.toy missing/heap.pprof
unset LOAM_PROFILE_RATE
for name in make_pairs 'the main program' profile.toy list; do
  if ! grep -aq "$name" "$scratch/heap.pprof"; then
    echo "FAILED: heap.pprof does not name $name"
    failures=$((failures + 1))
  fi
done

if ((failures > 0)); then
  echo "$failures failed"
  exit 1
fi
echo "all passed"
