"""The command line; see the package."""

import argparse
import datetime
import json
import pathlib
import re
import sys
import tempfile
import time

from runner import (
    figures,
    google_benchmarks,
    html_report,
    machine,
    measurement,
    result,
    suite,
    text_report,
)
from runner.programs import Programs
from runner.progress import Progress

ROUNDS = 7
QUICK_ROUNDS = 3


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("filter", nargs="?", default=".")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--html", type=pathlib.Path, required=True)
    parser.add_argument("--timeout", type=int, default=600)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--bin-directory", required=True)
    parser.add_argument("--go-directory", required=True)
    parser.add_argument("--targets", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    try:
        re.compile(arguments.filter)
    except re.error as error:
        parser.error(f"{arguments.filter}: no regular expression: {error}")
    if arguments.repetitions is None:
        arguments.repetitions = QUICK_ROUNDS if arguments.quick else ROUNDS
    if arguments.repetitions < 1:
        parser.error("--repetitions is at least 1")
    # Before the run, not after it.
    for path in (arguments.json, arguments.html):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: there is no such folder")
    return arguments


def choose_cases(pattern, available):
    """The cases whose name matches and whose workload there is for loam."""
    return [
        case
        for case in suite.CASES
        if re.search(pattern, case.name) and available.find(case.workload, "loam")
    ]


def missing_programs(pattern, available, has_go):
    """What to say about the programs that the suite has and this build has not."""
    wanted = {
        (case.workload, column.peer)
        for case in suite.CASES
        if re.search(pattern, case.name)
        for column in case.columns()
    }
    missing = {pair for pair in wanted if not available.find(*pair)}
    messages = []
    if not has_go:
        missing = {(workload, peer) for workload, peer in missing if peer != "go"}
        messages.append("Go is not installed, so the programs in Go are left out.")
    return messages + [
        f"There is no program of {workload} for {peer}."
        for workload, peer in sorted(missing)
    ]


def run_cases(report, cases, available, arguments):
    """Adds the result of each case to the report and prints it."""
    columns = [
        measurement.columns_of(case, available, arguments.quick) for case in cases
    ]
    rounds = arguments.repetitions
    progress = Progress(rounds * sum(len(one) for one in columns), rounds)
    for number, (case, its_columns) in enumerate(zip(cases, columns), 1):
        progress.case(number, len(cases), case.name)
        try:
            measurement.measure(its_columns, rounds, arguments.timeout, progress)
        finally:
            progress.clear()
        measured = result.case_result(case, its_columns, arguments.quick)
        report["cases"].append(measured)
        report["errors"] += [f"{case.name}: {error}" for error in measured["errors"]]
        print(f"\n== {number} of {len(cases)}: {case.name}, after {progress.elapsed()}")
        print(text_report.case_table(measured), flush=True)


def run_google_benchmarks(report, chosen, arguments, scratch):
    for path, own_filter in chosen.items():
        print(f"\n== {path.name}", flush=True)
        results, errors = google_benchmarks.run(
            path, own_filter, arguments.repetitions, arguments.quick, scratch
        )
        report["google_benchmarks"] += results
        report["errors"] += errors


def new_report(arguments):
    return {
        "date": datetime.datetime.now().astimezone().isoformat(" ", "minutes"),
        "machine": machine.describe(),
        "filter": arguments.filter,
        "quick": arguments.quick,
        "rounds": arguments.repetitions,
        "seconds": 0,
        "stopped": False,
        "left_out": [],
        "errors": [],
        "cases": [],
        "google_benchmarks": [],
    }


def write(report, arguments):
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"== results: {arguments.json}")
    arguments.html.write_text(html_report.page(report), encoding="utf-8")
    print(f"== report with charts: {arguments.html}")


def show_start(report):
    for name, fact in report["machine"].items():
        print(f"   {name}: {fact}")
    for line in report["left_out"]:
        print(f"== {line}")


def show_end(report):
    print(f"\n== after {figures.duration(report['seconds'])}")
    print(text_report.summary_table(report["cases"]))
    for error in report["errors"]:
        print(f"ERROR: {error}")


def exit_status(report):
    if report["stopped"]:
        print("== stopped before the end")
        return 130
    if report["errors"]:
        print(f"== {len(report['errors'])} ERRORS, listed above")
        return 1
    return 0


def main():
    arguments = parse_arguments()
    available = Programs(arguments.bin_directory, arguments.targets.read_text().split())
    cases = choose_cases(arguments.filter, available)
    if arguments.list:
        for case in cases:
            print(case.name)
        return 0
    singles = google_benchmarks.select(available.google_benchmarks(), arguments.filter)
    if not cases and not singles:
        print("./dev bench: nothing has that name; --list shows the names")
        return 2

    start = time.monotonic()
    report = new_report(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            workloads = sorted({case.workload for case in cases})
            report["errors"] += available.build_go(
                workloads, arguments.go_directory, scratch
            )
            report["left_out"] = missing_programs(
                arguments.filter, available, "Go" in report["machine"]
            )
            show_start(report)
            run_cases(report, cases, available, arguments)
            run_google_benchmarks(report, singles, arguments, scratch)
        except KeyboardInterrupt:
            report["stopped"] = True
    report["seconds"] = time.monotonic() - start
    show_end(report)
    write(report, arguments)
    return exit_status(report)


if __name__ == "__main__":
    sys.exit(main())
