"""The libraries that loam takes from Debian 12, under their usual labels."""

load(":system_repository.bzl", "system_repository")

# In no order that a linker could use, hence the group. Archives contribute only
# the members that something refers to. Debian does not compile them as position
# independent code: a shared library can use Abseil's headers, but none of these.
_ABSEIL_ARCHIVES = [
    "base",
    "bad_optional_access",
    "bad_variant_access",
    "city",
    "civil_time",
    "cord",
    "cord_internal",
    "cordz_functions",
    "cordz_handle",
    "cordz_info",
    "debugging_internal",
    "demangle_internal",
    "exponential_biased",
    "flags_commandlineflag",
    "flags_commandlineflag_internal",
    "flags_config",
    "flags_internal",
    "flags_marshalling",
    "flags_parse",
    "flags_private_handle_accessor",
    "flags_program_name",
    "flags_reflection",
    "flags_usage",
    "flags_usage_internal",
    "graphcycles_internal",
    "hash",
    "hashtablez_sampler",
    "int128",
    "log_severity",
    "low_level_hash",
    "malloc_internal",
    "random_distributions",
    "random_internal_platform",
    "random_internal_pool_urbg",
    "random_internal_randen",
    "random_internal_randen_hwaes",
    "random_internal_randen_hwaes_impl",
    "random_internal_randen_slow",
    "random_internal_seed_material",
    "random_seed_gen_exception",
    "random_seed_sequences",
    "raw_hash_set",
    "raw_logging_internal",
    "spinlock_wait",
    "stacktrace",
    "status",
    "statusor",
    "str_format_internal",
    "strerror",
    "strings",
    "strings_internal",
    "symbolize",
    "synchronization",
    "throw_delegate",
    "time",
    "time_zone",
]

_ABSEIL_TARGETS = [
    "absl/algorithm:container",
    "absl/base:base",
    "absl/base:core_headers",
    "absl/cleanup:cleanup",
    "absl/container:fixed_array",
    "absl/container:flat_hash_map",
    "absl/container:flat_hash_set",
    "absl/container:inlined_vector",
    "absl/debugging:stacktrace",
    "absl/debugging:symbolize",
    "absl/flags:flag",
    "absl/flags:parse",
    "absl/flags:reflection",
    "absl/flags:usage",
    "absl/functional:function_ref",
    "absl/hash:hash",
    "absl/memory:memory",
    "absl/meta:type_traits",
    "absl/numeric:bits",
    "absl/numeric:int128",
    "absl/random:bit_gen_ref",
    "absl/random:distributions",
    "absl/random:random",
    "absl/status:status",
    "absl/status:statusor",
    "absl/strings:str_format",
    "absl/strings:strings",
    "absl/synchronization:synchronization",
    "absl/time:time",
    "absl/types:optional",
    "absl/types:span",
    "absl/types:variant",
    "absl/utility:utility",
]

def debian_libraries():
    """Declares one repository per library."""
    published_libraries()
    unpublished_libraries()

def published_libraries():
    """Those that newer Bazel gets as modules, see MODULE.bazel."""
    system_repository(
        name = "com_google_absl",
        package = "libabsl-dev",
        header = "/usr/include/absl/base/config.h",
        linkopts = (
            ["-Wl,--start-group"] +
            ["-l:libabsl_{}.a".format(archive) for archive in _ABSEIL_ARCHIVES] +
            ["-Wl,--end-group", "-lpthread"]
        ),
        targets = {target: [] for target in _ABSEIL_TARGETS},
    )
    system_repository(
        name = "com_google_googletest",
        package = "libgtest-dev libgmock-dev",
        header = "/usr/include/gmock/gmock.h",
        linkopts = ["-l:libgmock.a", "-l:libgtest.a", "-lpthread"],
        targets = {":gtest": [], ":gtest_main": ["-l:libgmock_main.a"]},
    )
    system_repository(
        name = "com_github_google_benchmark",
        package = "libbenchmark-dev",
        header = "/usr/include/benchmark/benchmark.h",
        linkopts = ["-lbenchmark", "-lpthread"],
        targets = {":benchmark": [], ":benchmark_main": ["-l:libbenchmark_main.a"]},
    )

def unpublished_libraries():
    """Those that have no Bazel module."""
    system_repository(
        name = "bdwgc",
        package = "libgc-dev",
        header = "/usr/include/gc/gc.h",
        linkopts = ["-l:libgc.a", "-lpthread", "-ldl"],
        targets = {":gc": []},
    )
    system_repository(
        name = "llvm_libunwind",
        package = "libunwind-19-dev",
        header = "/usr/include/libunwind/libunwind.h",
        copied_headers = [
            "/usr/include/libunwind/__libunwind_config.h",
            "/usr/include/libunwind/libunwind.h",
        ],
        # libgcc_s first: exceptions stay with the unwinder that libstdc++ was
        # built for, and the archive gives the unw_* functions only.
        linkopts = [
            "-lgcc_s",
            "/usr/lib/llvm-19/lib/libunwind.a",
            "-Wl,--exclude-libs,libunwind.a",
            "-lpthread",
            "-ldl",
        ],
        targets = {":unwind": []},
    )
    system_repository(
        name = "mimalloc",
        package = "libmimalloc-dev",
        header = "/usr/include/mimalloc.h",
        linkopts = ["-lmimalloc"],
        targets = {":mimalloc": []},
    )
