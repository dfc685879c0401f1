"""For MODULE.bazel; Bazel 4 does not read this file."""

load(":debian.bzl", "unpublished_libraries")

def _system_libraries_impl(_ctx):
    unpublished_libraries()

system_libraries = module_extension(
    doc = "The libraries that the system's package manager installs.",
    implementation = _system_libraries_impl,
)
