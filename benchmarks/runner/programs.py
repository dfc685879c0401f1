"""The programs that are measured: finding, building (those in Go), running."""

import json
import os
import pathlib
import shutil
import subprocess
from dataclasses import dataclass, field

OK = "ok"
OUT_OF_MEMORY = "out of memory"
FAILED = "failed"

OUT_OF_MEMORY_STATUS = 3
MESSAGE_LINES = 5


@dataclass(frozen=True)
class Run:
    """How one run of a program ended, and what it printed."""

    state: str
    message: str = ""  # why it failed
    checksum: int = 0
    metrics: dict = field(default_factory=dict)


def run_program(command, environment, timeout):
    """Runs it to its end; never raises for what the program does."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Run(FAILED, f"did not end within {timeout} s")
    except OSError as error:
        return Run(FAILED, f"could not be started: {error.strerror}")
    if done.returncode == OUT_OF_MEMORY_STATUS:
        return Run(OUT_OF_MEMORY)
    if done.returncode < 0:
        return Run(FAILED, f"ended by signal {-done.returncode}" + _end(done.stderr))
    if done.returncode > 0:
        return Run(FAILED, f"ended with status {done.returncode}" + _end(done.stderr))
    return parse_output(done.stdout)


def parse_output(output):
    """The result in a program's output, one line of JSON."""
    try:
        printed = json.loads(output)
        metrics = {name: float(value) for name, value in printed["metrics"].items()}
        return Run(OK, "", int(printed["checksum"]), metrics)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Run(FAILED, "did not print a result, but:" + _end(output or "nothing"))


def _end(text):
    """The last lines of what a program said."""
    lines = text.strip().splitlines()[-MESSAGE_LINES:]
    return "".join("\n    " + line for line in lines)


class Programs:
    """Where the program of a workload for a peer is."""

    def __init__(self, bin_directory, targets):
        """`targets` are the labels of the programs that Bazel has built."""
        self._bin = pathlib.Path(bin_directory)
        self._paths = {}
        self._google_benchmarks = []
        for label in targets:
            package, name = label.removeprefix("//").split(":")
            path = self._bin / package / name
            if package == "benchmarks/workloads":
                self._paths[name] = path
            elif package == "benchmarks":
                self._google_benchmarks.append(path)

    def find(self, workload, peer):
        """The path, or None if there is no such program."""
        return self._paths.get(f"{workload}_{peer}")

    def google_benchmarks(self):
        return sorted(self._google_benchmarks)

    def build_go(self, workloads, directory, scratch):
        """Builds the Go programs of these workloads, if there is a Go toolchain.
        Returns error messages."""
        errors = []
        if not shutil.which("go"):
            return errors
        for workload in workloads:
            if not (pathlib.Path(directory) / workload).is_dir():
                continue
            path = pathlib.Path(scratch) / f"{workload}_go"
            done = subprocess.run(
                ["go", "build", "-o", str(path), f"./{workload}"],
                cwd=directory,
                # There is nothing to fetch.
                env={**os.environ, "GOTOOLCHAIN": "local", "GOPROXY": "off"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                self._paths[f"{workload}_go"] = path
            else:
                errors.append(f"{workload} in Go was not built:{_end(done.stderr)}")
        return errors
