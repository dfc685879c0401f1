# shellcheck shell=bash
# The slow checks. A step NAME is a function step_NAME, whose output is shown;
# it fails when one of its commands does.

# name | what it does
STEPS='
format|every C and C++ file is formatted as .clang-format asks
layers|includes go down the layers only; runtime/ does not use malloc
tidy|clang-tidy over runtime/ and api/
clang|everything builds with clang, thread safety analysis included
ubsan|tests with the undefined behaviour sanitizer
tsan|tests with the thread sanitizer, slow ones tagged "threads" included
small-arenas|tests with arenas of 4 MiB
narrow|tests with those, 37 bits of address, and a linear range to grow in
slow|slow tests, optimized: stress, model-based, long runs
asan-slow|slow tests with the address sanitizer
fuzz|each fuzzer for a minute
pprof|pprof reads heap profiles, and finds the leak that docs/profiling.md hunts
memlab|memlab, from npm, and Chromium open heap snapshots and find a planted leak
'

step_format() {
  need_packages formatting
  tools/format_check
}

step_layers() {
  need_packages build
  tools/layering_check --self-test
  tools/layering_check
}

step_tidy() {
  need_packages build tidy
  tools/tidy
}

step_clang() {
  need_packages build libraries clang
  bazel_run build --config=clang --keep_going //...
}

step_ubsan() {
  need_packages build libraries
  run_tagged_tests ubsan -slow,-noubsan
}

step_tsan() {
  need_packages build libraries clang
  run_tagged_tests tsan -slow,-notsan
  run_tagged_tests tsan threads,-notsan
}

step_small-arenas() {
  need_packages build libraries
  run_tagged_tests small-arenas -slow
}

step_narrow() {
  need_packages build libraries
  run_tagged_tests narrow -slow
}

step_slow() {
  need_packages build libraries
  run_tagged_tests opt slow
}

step_asan-slow() {
  need_packages build libraries
  run_tagged_tests asan slow,-noasan
}

step_fuzz() {
  need_packages build libraries clang
  local fuzzers fuzzer bin
  mapfile -t fuzzers < <(bazel query --noshow_progress \
    'kind(cc_binary, attr(tags, fuzz, //tests/...))' </dev/null)
  if ((${#fuzzers[@]} == 0)); then
    echo "there are no fuzzers" >&2
    return 1
  fi
  bazel_run build --config=fuzz "${fuzzers[@]}"
  bin=$(bin_directory fuzz)
  for fuzzer in "${fuzzers[@]}"; do
    say "$fuzzer"
    "$bin/$(path_of_label "$fuzzer")" -max_total_time=60 -print_final_stats=1
  done
}

# Where there is no pprof or no dot, these tests say so and pass: not here.
step_pprof() {
  need_packages build libraries pprof
  scratch_directory
  local log=$DEV_SCRATCH/pprof.log
  bazel_run test --config=opt --nocache_test_results --test_output=all \
    //tests/profile:pprof_test //tests/docs:leak_hunt_test 2>&1 | tee "$log"
  if grep -E '^(skipped|not tried|not checked):' "$log" >&2; then
    echo "the tests did not find what they need in their PATH" >&2
    return 1
  fi
}

# The network is needed once, for memlab itself: it stays outside the tree.
MEMLAB_VERSION=2.0.5

step_memlab() {
  need_packages build libraries npm browser
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/loam/memlab-$MEMLAB_VERSION
  if [[ ! -e $cache/complete ]]; then
    say "fetching memlab $MEMLAB_VERSION into $cache"
    rm -rf "$cache"
    mkdir -p "$cache"
    # No scripts: one would fetch another browser.
    npm install --prefix "$cache" --ignore-scripts --no-audit --no-fund \
      "@memlab/heap-analysis@$MEMLAB_VERSION" </dev/null ||
      fail "npm could not fetch memlab; this step needs its registry once"
    touch "$cache/complete"
  fi
  scratch_directory
  local snapshots=$DEV_SCRATCH/snapshots
  mkdir -p "$snapshots"
  bazel_run build --config=opt //tests/snapshot:make_snapshot
  "$(bin_directory opt)/tests/snapshot/make_snapshot" "$snapshots" \
    >"$snapshots/expected"
  NODE_PATH=$cache/node_modules \
    node tests/snapshot/read_with_memlab.js "$snapshots"
  NODE_PATH=$cache/node_modules \
    node tests/snapshot/read_with_devtools.js "$snapshots" \
    "$(command -v chromium)"
}

# run_tagged_tests CONFIG TAGS
run_tagged_tests() {
  scratch_directory
  run_tests "$1" "$DEV_SCRATCH/events" --build_tests_only \
    --test_tag_filters="$2" //...
}

step_names() {
  cut -d '|' -f 1 <<<"$STEPS" | grep .
}

run_check() {
  local chosen=() name status start results=() failures=0
  case ${1:-} in
    --list)
      no_arguments 'check --list' "${@:2}"
      while IFS='|' read -r name what; do
        [[ -z $name ]] || printf '%-12s %s\n' "$name" "$what"
      done <<<"$STEPS"
      return
      ;;
    -*) usage "check has no option '$1'" ;;
  esac
  mapfile -t chosen < <(step_names)
  if (($#)); then
    for name in "$@"; do
      [[ " ${chosen[*]} " == *" $name "* ]] || usage "check has no step '$name'"
    done
    chosen=("$@")
  fi

  scratch_directory
  for name in "${chosen[@]}"; do
    say "check $name"
    start=$SECONDS
    # Not as a condition, where bash would go on after a failed command.
    set +e
    (
      set -e
      "step_$name"
    )
    status=$?
    set -e
    if ((status == 0)); then
      status=passed
    else
      status=FAILED
      failures=$((failures + 1))
    fi
    results+=("$(printf '%-12s %-7s %6s' "$name" "$status" \
      "$(minutes $((SECONDS - start)))")")
    say "check $name: $status"
  done

  echo
  echo 'step         result  min:sec'
  printf '%s\n' "${results[@]}"
  ((failures == 0))
}
