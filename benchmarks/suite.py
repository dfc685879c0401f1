"""The cases that `./dev bench` runs, with what loam should reach in each.

Ratios are loam's to the other column. `--name=value` arguments are those of the
workload (benchmarks/workloads, benchmarks/go), and of two values the last counts.
"""

from runner.case import Bar, Case, Limit, Variant

ALL = ("loam", "boehm", "mimalloc", "go")
COLLECTED = ("loam", "boehm", "go")

TIME = ("wall_ms", "cpu_ms", "longest_pause_ms", "peak_resident_mib")

# On every workload; and, where the heap has the same fixed size, in memory.
NOT_SLOWER = Bar("wall_ms", "boehm", 1.0)
NOT_LARGER = Bar("peak_resident_mib", "boehm", 1.0)


# Allocation: objects that die at once, or of which half live for a while.

DEAD_NOTE = (
    "malloc gets each object back as soon as it is dead, and so gives out memory "
    "that is in the cache; it is not asked for zeroed memory. Boehm's collector "
    "uses its thread-local free lists. Go's heap may be 1 MiB larger than the others'."
)
SURVIVORS_NOTE = (
    "Half of the objects, chosen at random, replace a random one of 1 MiB. malloc "
    "frees an object when it dies; the others have to find that out."
)


def allocate(name, arguments, bars, peers=ALL, note=DEAD_NOTE, megabytes=2000):
    return Case(
        name=f"allocate/{name}",
        workload="allocate",
        arguments=f"{arguments} --megabytes={megabytes}",
        quick_arguments=f"--megabytes={megabytes // 5}",
        peers=peers,
        metrics=("ns_per_object", "cpu_ms"),
        bars=bars,
        note=note,
    )


def per_object(peer, ratio, kind="bar"):
    return Bar("ns_per_object", peer, ratio, kind)


ALLOCATE = [
    *(
        allocate(
            f"typed/{size}B",
            f"--bytes={size} --heap_mib=4",
            (
                per_object("mimalloc", 0.7 if size == 256 else 0.35),
                per_object("boehm", 0.1),
                per_object("go", 0.1),
            ),
        )
        for size in (16, 32, 64, 128, 256)
    ),
    allocate(
        "typed/32B/256MiB",
        "--bytes=32 --heap_mib=256",
        (per_object("boehm", 1.0),),
    ),
    *(
        allocate(
            f"survivors/{size}B",
            f"--bytes={size} --survivors=true --heap_mib=4",
            (per_object("boehm", 0.4),),
            note=SURVIVORS_NOTE,
            megabytes=1000,
        )
        for size in (16, 64, 256)
    ),
    *(
        allocate(
            f"{kind}/32B",
            f"--kind={kind} --bytes=32 --heap_mib=4",
            (per_object("boehm", 1.0),),
        )
        for kind in ("bytes", "slots", "array")
    ),
    # 1.8 times the throughput is a time per object of 1 / 1.8.
    allocate(
        "threads/32B",
        "--bytes=32 --heap_mib=64 --threads=2",
        (
            per_object("loam, 1 thread", round(1 / 1.8, 3)),
            per_object("boehm", 1.0),
        ),
        peers=(
            *ALL,
            Variant("loam, 1 thread", "loam", "--threads=1", same_work=False),
        ),
    ),
]


# GCBench, on heaps of a fixed size.

GCBENCH_NOTE = (
    "The same limit on what objects occupy for all, 1 MiB more for Go, and Go's is "
    "kept by adjusting GOGC after each collection. Go "
    "marks on other processors while the program runs: compare CPU time too."
)


def gcbench(mutators, factor):
    return Case(
        name=f"gcbench/{factor}x/{'1-mutator' if mutators == 1 else '2-mutators'}",
        workload="gcbench",
        # As many markers as mutators: a collector that stops these may use their
        # processors.
        arguments=f"--mutators={mutators} --markers={mutators} --factor={factor}",
        peers=COLLECTED,
        metrics=TIME,
        bars=(
            Bar("wall_ms", "boehm", 0.7),
            Bar("wall_ms", "boehm", 0.5, "goal"),
            Bar("cpu_ms", "boehm", 0.75),
            Bar("cpu_ms", "boehm", 0.5, "goal"),
            Bar("wall_ms", "go", 0.25),
            Bar("wall_ms", "go", 0.15, "goal"),
            NOT_LARGER,
        ),
        note=GCBENCH_NOTE,
    )


GCBENCH = [
    gcbench(mutators, factor) for mutators in (1, 2) for factor in (1.75, 2.5, 5)
]


# Marking: full collections of heaps that do not change.

MARK_NOTE = (
    "Per live object. Marking is the pause, for Go the time from the call to the "
    "end of marking; collecting is the whole call, sweeping included as far as the "
    "peer does it then. Go has one processor."
)
GO_ONE_PROCESSOR = Variant("go, 1 processor", "go", environment={"GOMAXPROCS": "1"})
MARK = "mark_ns_per_object"

# From a shape to its live objects and the words in them that are references.
TREE = 2**22 - 1
ARRAYS = 4_194_303 // 1001
ENTRIES = 4_194_303 // 2
SHAPES = {
    "tree": (TREE, 2 * TREE),
    "random_tree": (TREE, 2 * TREE),
    "graph": (4_194_303, 3 * 4_194_303),
    "arrays": (1001 * ARRAYS + 1, 3000 * ARRAYS + ARRAYS),
    "lru": (2 * ENTRIES + 1, 5 * ENTRIES),
}
RATIO_TO_BOEHM = {("tree", 100): 0.3, ("random_tree", 100): 0.15}


def pause_limit_ms(shape):
    objects, references = SHAPES[shape]
    return round(0.2 + (8 * objects + 1 * references) / 1e6, 1)


# Boehm's collector has no such setting, and Go's leaves it to the system.
HUGE_PAGES = Variant(
    "loam, huge pages", "loam", environment={"LOAM_HUGE_PAGES": "1"}
)


def mark(shape, live):
    return Case(
        name=f"mark/{shape}/{live}%-live",
        workload="mark",
        arguments=f"--shape={shape} --live={live} --collections=3",
        quick_arguments="--objects=1000000",
        peers=("loam", HUGE_PAGES, "boehm", GO_ONE_PROCESSOR),
        metrics=(MARK, "collect_ns_per_object", "cpu_ms", "longest_pause_ms"),
        bars=(
            Bar(MARK, "boehm", RATIO_TO_BOEHM.get((shape, live), 0.4)),
            Bar(MARK, "go, 1 processor", 0.2),
            Limit("longest_pause_ms", pause_limit_ms(shape)),
        ),
        note=MARK_NOTE,
    )


def two_markers(shape):
    return Case(
        name=f"mark/{shape}/2-markers",
        workload="mark",
        arguments=f"--shape={shape} --markers=2 --collections=3",
        quick_arguments="--objects=1000000",
        peers=(
            "loam",
            Variant("loam, 1 marker", "loam", "--markers=1"),
            "boehm",
            "go",
        ),
        metrics=(MARK, "collect_ns_per_object", "cpu_ms"),
        bars=(
            Bar(MARK, "loam, 1 marker", 0.8),
            Bar(MARK, "loam, 1 marker", 0.6, "goal"),
            Bar(MARK, "boehm", 1.0),
        ),
        note="All peers mark with two threads.",
    )


MARKING = [
    *(mark(shape, live) for shape in SHAPES for live in (100, 50, 10)),
    *(two_markers(shape) for shape in SHAPES),
]


# Whole programs.

FIXED_NOTE = (
    "Collectors have a heap of 2.5 times the live size; malloc frees what is dead "
    "where the program knows, and needs no spare memory."
)


def program(workload, peers, quick, bars=(NOT_SLOWER,), **others):
    return Case(
        name=others.pop("name", workload),
        workload=workload,
        arguments=others.pop("arguments", "--factor=2.5"),
        quick_arguments=quick,
        peers=peers,
        metrics=others.pop("metrics", TIME),
        bars=bars,
        note=others.pop("note", FIXED_NOTE),
    )


LATENCIES = ("wall_ms", "cpu_ms", "p50_us", "p99_us", "p999_us", "max_us")

PROGRAMS = [
    program(
        "quad_trees",
        ALL,
        "--depth=9",
        (
            Bar("wall_ms", "boehm", 0.7),
            Bar("wall_ms", "boehm", 0.4, "goal"),
            NOT_LARGER,
        ),
    ),
    program(
        "binary_trees",
        ALL,
        "--depth=15",
        (
            Bar("wall_ms", "boehm", 0.6),
            Bar("wall_ms", "boehm", 0.4, "goal"),
            Bar("wall_ms", "mimalloc", 0.7),
            Bar("wall_ms", "mimalloc", 0.4, "goal"),
            NOT_LARGER,
        ),
    ),
    program(
        "graph",
        COLLECTED,
        "--nodes=200000 --steps=200000",
        (NOT_SLOWER, NOT_LARGER),
        note="Most steps miss the cache on any heap, which brings ratios near 1.",
    ),
    program(
        "lru",
        ALL,
        "--capacity=100000 --operations=600000",
        (NOT_SLOWER, NOT_LARGER),
        name="lru/1-thread",
    ),
    program(
        "lru",
        ALL,
        "--capacity=100000 --operations=600000",
        (NOT_SLOWER, NOT_LARGER),
        name="lru/2-threads",
        arguments="--factor=2.5 --threads=2 --markers=2",
    ),
    program(
        "reference_arrays",
        COLLECTED,
        "--length=20000",
        (NOT_SLOWER, NOT_LARGER),
        note="Nearly all of the heap is references.",
    ),
    program(
        "strings",
        ALL,
        "--lines=50000 --window=10000",
        (NOT_SLOWER, NOT_LARGER),
        note="loam and Go zero strings that the program then writes; the others "
        "do not, which favours them.",
    ),
    program(
        "buffers",
        ALL,
        "--buffers=1200",
        (NOT_SLOWER, NOT_LARGER),
        metrics=(*TIME, "released_resident_mib"),
        note="loam and Go zero every buffer; the others leave them as they are, "
        "which favours them. malloc may give out one that is still in the cache.",
    ),
    *(
        program(
            "finalizers",
            COLLECTED,
            "--replacements=400000",
            (NOT_SLOWER, NOT_LARGER),
            name=f"finalizers/{factor}x",
            arguments=f"--factor={factor}",
            metrics=(*TIME, "most_open"),
            note="Objects whose finalizers have not run yet need room, too.",
        )
        for factor in (2.5, 4)
    ),
    Case(
        name="cleanups",
        workload="cleanups",
        arguments="",
        quick_arguments="--objects=1000000",
        peers=COLLECTED,
        metrics=("ns_per_object", "cpu_ms", "peak_resident_mib"),
        bars=(Limit("ns_per_object", 150), Bar("ns_per_object", "boehm", 1.0)),
        note="An object is allocated, gets a callback for its death, dies, and the "
        "callback runs: with loam a cleanup, with the others a finalizer, with "
        "Boehm's collector one without an order. Heaps grow by each peer's own "
        "rule. Go runs callbacks on another processor: compare CPU time too.",
    ),
    program(
        "server",
        ALL,
        "--sessions=24000 --requests=60000",
        (NOT_SLOWER,),
        name="server/1-thread",
        arguments="",
        metrics=(*LATENCIES, "heap_mib"),
        note="Heaps grow by each peer's own rule: compare their sizes too.",
    ),
    program(
        "server",
        ALL,
        "--sessions=24000 --requests=60000",
        (NOT_SLOWER, NOT_LARGER),
        name="server/2-threads/2.5x",
        arguments="--factor=2.5 --threads=2 --markers=2",
        metrics=(*LATENCIES, "peak_resident_mib"),
    ),
]

CASES = [*ALLOCATE, *GCBENCH, *MARKING, *PROGRAMS]
