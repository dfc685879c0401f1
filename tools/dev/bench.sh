# shellcheck shell=bash

run_bench() {
  local options=() html=benchmark_report.html targets
  while (($#)); do
    case $1 in
      --quick | --list) options+=("$1") ;;
      --json | --html | --repetitions | --timeout)
        (($# > 1)) || usage "$1 needs a value"
        case $1 in
          --html) html=$2 ;;
          --json) options+=(--json "$(from_caller "$2")") ;;
          *)
            [[ $2 =~ ^[1-9][0-9]*$ ]] || usage "$1 needs a number above 0"
            options+=("$1" "$2")
            ;;
        esac
        shift
        ;;
      -*) usage "bench has no option '$1'" ;;
      *) options+=("$1") ;;
    esac
    shift
  done

  need_packages build libraries
  if [[ " ${options[*]} " != *" --list "* ]]; then
    say "building the benchmarks"
    bazel_run build --config=opt //benchmarks/...
  fi
  scratch_directory
  targets=$DEV_SCRATCH/benchmarks
  bazel query --noshow_progress \
    'kind(cc_binary, //benchmarks/...) except attr(tags, manual, //benchmarks/...)' \
    </dev/null >"$targets"
  PYTHONPATH=benchmarks python3 -B -m runner --targets "$targets" \
    --bin-directory "$(bin_directory opt)" --go-directory benchmarks/go \
    --html "$(from_caller "$html")" "${options[@]}"
}

# A path as seen from where ./dev was called; it has gone to the root since.
from_caller() {
  case $1 in
    /*) echo "$1" ;;
    *) echo "$OLDPWD/$1" ;;
  esac
}
