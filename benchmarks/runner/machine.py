"""What the figures depend on: the machine, the compiler, the peers' versions."""

import os
import pathlib
import re
import shutil
import subprocess

# Variables that change what heaps do.
TUNING = re.compile(r"(LOAM|GC|MIMALLOC)_|GO(GC|MEMLIMIT|MAXPROCS|DEBUG)$")


def describe():
    """From a name to what there is to say; without what cannot be found out."""
    facts = {
        "processor": _processor(),
        "memory": _memory(),
        "system": _first(r'^PRETTY_NAME="(.*)"$', "/etc/os-release"),
        "kernel": os.uname().release,
        "transparent huge pages": _first(
            r"\[(\w+)\]", "/sys/kernel/mm/transparent_hugepage/enabled"
        ),
        "load at the start": f"{os.getloadavg()[0]:.2f}",
        "compiler": _compiler(),
        "Boehm": _package("libgc-dev"),
        "mimalloc": _package("libmimalloc-dev"),
        "Go": go_version(),
        "commit": _commit(),
        "tuning variables": _tuning(),
    }
    return {name: fact for name, fact in facts.items() if fact}


def go_version():
    """As Go says it, or None."""
    if not shutil.which("go"):
        return None
    return _output(["go", "env", "GOVERSION"]) or _output(["go", "version"])


def _output(command):
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _first(pattern, path):
    """What the pattern's group is in the file."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(pattern, text, re.MULTILINE)
    return match.group(1) if match else None


def _processor():
    model = _first(r"^model name\s*:\s*(.*)$", "/proc/cpuinfo") or os.uname().machine
    flags = _first(r"^flags\s*:\s*(.*)$", "/proc/cpuinfo") or ""
    virtual = ", of a virtual machine" if "hypervisor" in flags.split() else ""
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} {'core' if cores == 1 else 'cores'}{virtual}"


def _memory():
    kib = _first(r"^MemTotal:\s*(\d+) kB$", "/proc/meminfo")
    return f"{int(kib) / (1 << 20):.1f} GiB" if kib else None


def _compiler():
    said = _output([os.environ.get("CC", "gcc"), "--version"])
    return said.splitlines()[0] if said else None


def _package(name):
    """The version of a Debian package."""
    version = _output(["dpkg-query", "--show", "--showformat=${Version}", name])
    return version.split(":")[-1] if version else None


def _commit():
    commit = _output(["git", "rev-parse", "--short", "HEAD"])
    if commit and _output(["git", "status", "--porcelain"]):
        commit += ", with changes"
    return commit


def _tuning():
    return " ".join(
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if TUNING.match(name)
    )
