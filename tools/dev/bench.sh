# shellcheck shell=bash

run_bench() {
  local filter=. json='' options=(--benchmark_repetitions=7)
  local benchmarks benchmark bin number=0
  while (($#)); do
    case $1 in
      --quick) options=(--benchmark_repetitions=3 --benchmark_min_time=0.05) ;;
      --json)
        (($# > 1)) || usage "--json needs the name of a file"
        json=$2
        shift
        ;;
      -*) usage "bench has no option '$1'" ;;
      *) filter=$1 ;;
    esac
    shift
  done

  need_packages build libraries
  say "building the benchmarks"
  bazel_run build --config=opt //benchmarks/...
  bin=$(bin_directory opt)
  mapfile -t benchmarks < <(bazel query --noshow_progress \
    'kind(cc_binary, //benchmarks/...) except attr(tags, manual, //benchmarks/...)' \
    </dev/null | sort)
  ((${#benchmarks[@]})) || fail "there are no benchmarks"

  say "(that the library is a debug build, as the programs warn, is about
   Debian's benchmark library; what they measure is optimized)"
  scratch_directory
  mkdir -p "$DEV_SCRATCH/bench"
  for benchmark in "${benchmarks[@]}"; do
    number=$((number + 1))
    say "$number of ${#benchmarks[@]}: $benchmark"
    "$bin/$(path_of_label "$benchmark")" "${options[@]}" \
      --benchmark_report_aggregates_only=true \
      --benchmark_filter="$filter" \
      --benchmark_out="$DEV_SCRATCH/bench/$number.json" \
      --benchmark_out_format=json
  done
  if [[ -n $json ]]; then
    python3 tools/dev/merge_benchmarks.py "$json" "$DEV_SCRATCH"/bench/*.json
    say "results in $json"
  fi
}
