# shellcheck shell=bash

run_demo() {
  no_arguments demo "$@"
  need_packages build
  say "building the example language"
  bazel_run build --config=opt //examples/toylang:toylang
  say "running its programs"
  python3 examples/toylang/run_programs.py \
    --toylang "$(bin_directory opt)/examples/toylang/toylang"
}
