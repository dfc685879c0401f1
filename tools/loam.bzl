"""How loam's own libraries are compiled."""

load("@rules_cc//cc:defs.bzl", "cc_library")

# The library neither throws nor needs run-time type information, so that it can
# be linked into programs built without either. Tests, tools and examples are
# ordinary C++.
LOAM_COPTS = [
    "-fno-exceptions",
    "-fno-rtti",
]

def loam_cc_library(name, copts = [], **kwargs):
    """A cc_library of runtime/ or api/, compiled with LOAM_COPTS.

    Args:
      name: the name of the target.
      copts: further options for the compiler.
      **kwargs: passed to cc_library.
    """
    cc_library(
        name = name,
        copts = LOAM_COPTS + copts,
        **kwargs
    )
