# shellcheck shell=bash

# run_tests CONFIG EVENTS OPTION...: runs tests with a configuration, writes
# Bazel's account of it to the file EVENTS. No test to run is no failure.
run_tests() {
  local config=$1 events=$2 status=0
  shift 2
  # Some tests wait more than they compute.
  bazel_run test --config="$config" --keep_going \
    --local_cpu_resources='HOST_CPUS*1.5' \
    --build_event_json_file="$events" "$@" || status=$?
  if ((status == 4)); then
    say "no test has these tags, which is fine"
    status=0
  fi
  return "$status"
}

run_test() {
  no_arguments test "$@"
  need_packages build libraries browser
  scratch_directory
  local start=$SECONDS opt_status=0 asan_status=0

  # The programs of the benchmarks are left to `./dev bench` and `./dev check`:
  # each of them is compiled for several collectors.
  say "1 of 2: the library, the example and the tests, optimized"
  run_tests opt "$DEV_SCRATCH/opt" --test_tag_filters=-slow \
    -- //... -//benchmarks/... //benchmarks/runner/... || opt_status=$?

  say "2 of 2: the tests with the address sanitizer"
  run_tests asan "$DEV_SCRATCH/asan" --build_tests_only \
    --test_tag_filters=-slow,-noasan //... || asan_status=$?

  say "after $(minutes $((SECONDS - start))) minutes"
  python3 tools/dev/test_summary.py \
    "opt:$opt_status:$DEV_SCRATCH/opt" "asan:$asan_status:$DEV_SCRATCH/asan"
}
