# shellcheck shell=bash
# Finds out which packages are missing and, on Debian, installs them.

# group | package | a command or file that shows it is there | what it is for
PACKAGES='
build|bazel-bootstrap|bazel|the build tool
build|bazel-rules-java|/usr/share/bazel/rules/java/WORKSPACE|Bazel asks for it
build|bazel-rules-proto|/usr/share/bazel/rules/proto/WORKSPACE|Bazel asks for it
build|bazel-platforms|/usr/share/bazel/platforms/WORKSPACE|Bazel asks for it
build|bazel-skylib|/usr/share/bazel/tools/skylib/WORKSPACE|Bazel asks for it
build|g++|g++|the compiler
build|libabsl-dev|/usr/include/absl/base/config.h|Abseil: annotations, flags, containers for tools and tests
build|libunwind-19-dev|/usr/include/libunwind/libunwind.h|call stacks for heap profiles
build|python3|python3|scripts
libraries|libgtest-dev|/usr/include/gtest/gtest.h|the test framework
libraries|libgmock-dev|/usr/include/gmock/gmock.h|the test framework
libraries|libgc-dev|/usr/include/gc/gc.h|the Boehm collector, to compare with
libraries|libmimalloc-dev|/usr/include/mimalloc.h|an allocator, to compare with
libraries|libbenchmark-dev|/usr/include/benchmark/benchmark.h|the benchmark framework
browser|chromium|chromium|to look at the heap map as a reader would
npm|nodejs|node|memlab runs on it
npm|npm|npm|to fetch memlab
pprof|golang-go|go|pprof, which reads heap profiles
pprof|graphviz|dot|its drawings
clang|clang-19|clang-19|thread safety analysis, the thread sanitizer
clang|lld-19|/usr/bin/ld.lld-19|the linker that goes with clang
clang|libclang-rt-19-dev|/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.tsan-x86_64.a|the sanitizers of clang
clang|binutils|addr2line|line numbers in sanitizer reports
formatting|clang-format-19|clang-format-19|formatting
formatting|git|git|the list of files
tidy|clang-tidy-19|clang-tidy-19|lint
'

is_there() {
  case $1 in
    /*) [[ -e $1 ]] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

# need_packages GROUP...: returns when all packages of the groups are there, or
# ends the program.
need_packages() {
  local missing=() reasons=() group package sign purpose
  while IFS='|' read -r group package sign purpose; do
    if [[ -n $group && " $* " == *" $group "* ]] && ! is_there "$sign"; then
      missing+=("$package")
      reasons+=("$(printf '  %-20s %s' "$package" "$purpose")")
    fi
  done <<<"$PACKAGES"
  ((${#missing[@]})) || return 0

  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    as_root=(sudo)
  fi
  if ! command -v apt-get >/dev/null || ! command -v "${as_root[0]:-true}" >/dev/null; then
    {
      echo "./dev: missing here (the names are those of Debian 12's packages):"
      printf '%s\n' "${reasons[@]}"
      if command -v apt-get >/dev/null; then
        echo "Install them as root: apt-get install ${missing[*]}"
      else
        echo "Section \"Building\" of README.md says more."
      fi
    } >&2
    exit 1
  fi

  say "installing ${#missing[@]} Debian packages (one to three minutes)"
  printf '%s\n' "${reasons[@]}"
  scratch_directory
  local log=$DEV_SCRATCH/apt.log
  if ! {
    "${as_root[@]}" apt-get update &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "${missing[@]}"
  } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "could not install: ${missing[*]}"
  fi
  hash -r
}
