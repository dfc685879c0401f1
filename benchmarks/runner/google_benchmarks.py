"""Runs the programs that use the Google Benchmark library."""

import json
import pathlib
import re
import subprocess

from runner import figures

QUICK_SECONDS = 0.05


def select(paths, pattern):
    """From a program to the filter for its benchmarks, where any matches. All of
    a program's match when its own name does."""
    chosen = {}
    for path in paths:
        whole = re.search(pattern, path.name)
        own_filter = "." if whole else pattern
        listing = subprocess.run(
            [path, "--benchmark_list_tests", f"--benchmark_filter={own_filter}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if listing.stdout.strip():
            chosen[path] = own_filter
    return chosen


def run(path, own_filter, rounds, quick, scratch):
    """Runs one program, whose table is printed as it appears. Returns results
    and error messages."""
    output = pathlib.Path(scratch) / (path.name + ".json")
    command = [
        path,
        f"--benchmark_filter={own_filter}",
        f"--benchmark_repetitions={rounds}",
        "--benchmark_display_aggregates_only=true",
        "--benchmark_color=false",
        f"--benchmark_out={output}",
        "--benchmark_out_format=json",
    ]
    if quick:
        command.append(f"--benchmark_min_time={QUICK_SECONDS}")
    # What it says on stderr is about the machine, and that the library is a debug
    # build: that is Debian's library, not what is measured.
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        return [], [f"{path.name} ended with status {done.returncode}\n{done.stderr}"]
    return read(path.name, json.loads(output.read_text(encoding="utf-8"))), []


def read(program, written):
    """One result for each benchmark in what the library wrote."""
    results = {}
    for entry in written["benchmarks"]:
        if entry["run_type"] != "iteration":
            continue
        result = results.setdefault(
            entry["run_name"],
            {
                "program": program,
                "name": entry["run_name"],
                "unit": entry["time_unit"],
                "samples": [],
                "entries": [],
            },
        )
        result["samples"].append(entry["real_time"])
        result["entries"].append(entry)
    for result in results.values():
        result.update(figures.summarize(result["samples"]))
    return list(results.values())
