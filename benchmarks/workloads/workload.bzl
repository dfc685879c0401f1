"""One program for each peer from one source."""

load("@rules_cc//cc:defs.bzl", "cc_binary")

def workload(name, peers = ["loam", "boehm"]):
    """Builds NAME.cc for each peer: NAME_loam, NAME_boehm, ...

    Args:
      name: of the source without its extension.
      peers: those that can do the work, of //benchmarks/peer.
    """
    for peer in peers:
        cc_binary(
            name = name + "_" + peer,
            srcs = [name + ".cc"],
            deps = [
                "//benchmarks/peer:" + peer,
                "//benchmarks/support",
                ":shared",
                "@com_google_absl//absl/flags:flag",
                "@com_google_absl//absl/flags:parse",
            ],
        )
