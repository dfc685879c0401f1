#!/usr/bin/env python3
"""Sums up test runs from the event files that Bazel wrote about them.

usage: test_summary.py CONFIGURATION:EXIT_STATUS:EVENT_FILE...

The last line of the output is "N passed, N failed": test targets, once per
configuration. A test that could not be built or did not run counts as failed.
Exits with 1 when a test failed or Bazel reported any other failure.
"""

import json
import pathlib
import sys


def read_events(path):
    """The events in the file; none when Bazel did not get to write any."""
    file = pathlib.Path(path)
    if not file.exists():
        return
    for line in file.read_text().splitlines():
        if line.strip():
            yield json.loads(line)


def read_run(path):
    """From the label of each test that was to run, to how it ended."""
    results = {}
    broken = []
    for event in read_events(path):
        key = event.get("id", {})
        if "targetConfigured" in key:
            configured = event.get("configured", {})
            kind = configured.get("targetKind", "")
            # Slow ones are built with everything else, and run by ./dev check.
            slow = "slow" in configured.get("tag", [])
            if kind.endswith("_test rule") and not slow:
                results.setdefault(key["targetConfigured"]["label"], "DID NOT RUN")
        elif "targetCompleted" in key:
            label = key["targetCompleted"]["label"]
            if not event.get("completed", {}).get("success"):
                if label in results:
                    results[label] = "DID NOT BUILD"
                else:
                    broken.append(label)
        elif "testSummary" in key:
            status = event["testSummary"]["overallStatus"]
            if status not in ("NO_STATUS", "FAILED_TO_BUILD"):
                results[key["testSummary"]["label"]] = status
    return results, broken


def main(arguments):
    passed = failed = 0
    other_failures = []
    for argument in arguments:
        configuration, exit_status, path = argument.split(":", 2)
        results, broken = read_run(path)
        # FLAKY is what Bazel calls a test that passed when run again.
        good = sum(status in ("PASSED", "FLAKY") for status in results.values())
        print(f"{configuration}: {good} of {len(results)} tests passed")
        for label, status in sorted(results.items()):
            if status not in ("PASSED", "FLAKY"):
                print(f"  {status}  {label}")
        for label in sorted(broken):
            print(f"  DID NOT BUILD  {label} (not a test)")
        passed += good
        failed += len(results) - good
        if exit_status != "0" and good == len(results):
            other_failures.append(configuration)
    for configuration in other_failures:
        print(f"{configuration}: THE BUILD FAILED; the messages are above")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or other_failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
