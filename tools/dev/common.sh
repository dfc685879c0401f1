# shellcheck shell=bash
# What the parts of ./dev share. Sourced from the root of the repository.

say() {
  printf '== %s\n' "$*"
}

fail() {
  printf './dev: %s\n' "$*" >&2
  exit 1
}

# A mistake in how ./dev was called.
usage() {
  printf './dev: %s; ./dev --help explains\n' "$*" >&2
  exit 2
}

no_arguments() {
  local command=$1
  shift
  (($# == 0)) || usage "$command takes no '$1'"
}

# 75 -> 1:15
minutes() {
  printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# Bazel, with progress that also reads well in a log.
bazel_run() {
  local verb=$1
  shift
  local progress=()
  if [[ ! -t 2 ]]; then
    progress=(--curses=no --color=no --show_progress_rate_limit=15)
  fi
  bazel "$verb" "${progress[@]}" "$@" </dev/null
}

# The directory that holds what was built with a configuration.
bin_directory() {
  bazel info --config="$1" bazel-bin 2>/dev/null </dev/null
}

# Makes $DEV_SCRATCH a directory that is removed at the end.
scratch_directory() {
  if [[ -z ${DEV_SCRATCH:-} ]]; then
    DEV_SCRATCH=$(mktemp -d)
    trap 'rm -rf "$DEV_SCRATCH"' EXIT
  fi
}

# //benchmarks/gc:trees -> benchmarks/gc/trees
path_of_label() {
  local label=${1#//}
  echo "${label/://}"
}
