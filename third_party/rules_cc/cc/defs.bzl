"""A stand-in for rules_cc in which every rule is Bazel's native one.

Bazel 4 has the C++ rules built in, yet its own BUILD files load them from
@rules_cc, which it would fetch from the network. This repository takes that
name, so that a build needs no network.
"""

cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
fdo_prefetch_hints = native.fdo_prefetch_hints
fdo_profile = native.fdo_profile
objc_import = native.objc_import
objc_library = native.objc_library

def _without_effect(name, **_kwargs):
    """Stands where a BUILD file of Bazel's names a rule that Bazel 4 lacks."""
    native.filegroup(name = name)

cc_flags_supplier = _without_effect
compiler_flag = _without_effect
