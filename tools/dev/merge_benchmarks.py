#!/usr/bin/env python3
"""Merges the JSON files of several benchmark programs into one.

usage: merge_benchmarks.py OUTPUT INPUT...

The output has the form of one input; each result has an "executable" besides.
"""

import json
import os
import pathlib
import sys


def main(output, inputs):
    merged = {"context": {}, "benchmarks": []}
    for path in inputs:
        text = pathlib.Path(path).read_text()
        if not text.strip():
            continue  # The filter left this program nothing to run.
        results = json.loads(text)
        executable = os.path.basename(results["context"].pop("executable", ""))
        merged["context"] = merged["context"] or results["context"]
        for benchmark in results["benchmarks"]:
            merged["benchmarks"].append({"executable": executable, **benchmark})
    pathlib.Path(output).write_text(json.dumps(merged, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
