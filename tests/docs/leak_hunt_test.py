#!/usr/bin/env python3
"""Checks what docs/profiling.md says of its program against runs of it.

usage: leak_hunt_test.py TOYLANG PROGRAM PAGE READ_SNAPSHOT

What pprof says is checked where there is a `go tool pprof`.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MODES = ["leaks", "fixed", "weak"]
ROOMS = 4
# Who logged in, in the ten hours.
PEOPLE = 2000
# Sizes differ a little from one version of loam to the next.
TOLERANCE = 0.05

HOUR = re.compile(r"^hour (\d+) - logged in: (\d+) - in use: ([0-9.]+) MiB$", re.M)


def hours_of(text):
    """From the hour to who was logged in at its end, and what was in use."""
    return {int(h): (int(n), float(mib)) for h, n, mib in HOUR.findall(text)}


def text_blocks(text):
    return re.findall(r"^```text\n(.*?)^```$", text, re.M | re.S)


def section(page, heading):
    start = page.index(f"\n## {heading}\n")
    return page[start : page.index("\n## ", start + 1)]


def check_close(what, real, on_page):
    assert abs(real - on_page) <= TOLERANCE * on_page + 0.05, (
        f"{what}: the page says {on_page}, and it is {real}"
    )


def run(toylang, program, mode, folder):
    folder.mkdir()
    output = subprocess.run(
        [toylang, program, mode, folder],
        env=dict(os.environ, LOAM_PROFILE_RATE="64K"),
        check=True,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    ).stdout
    hours = hours_of(output)
    assert sorted(hours) == list(range(1, 11)), output
    assert all(logged_in == 0 for logged_in, _ in hours.values()), output
    return hours


def check_symptom(page, hours):
    shown = hours_of(section(page, "The symptom"))
    assert sorted(shown) == sorted(hours)
    for hour, (_, mib) in hours.items():
        check_close(f"hour {hour}", mib, shown[hour][1])
        assert hour == 1 or mib > hours[hour - 1][1], f"it does not leak: {hours}"


def check_fix(page, program, hours, sessions):
    """The program has the code that the page shows, and it helps."""
    fix = section(page, "Step 3: the fix")
    blocks = text_blocks(fix)
    assert len(blocks) == 2
    for block in blocks:
        assert block in program, f"the program does not have:\n{block}"
    for mode in MODES:
        row = re.search(
            rf"^\| `{mode}` \| ([0-9.]+) MiB \| ([0-9.]+) MiB \| ([0-9,]+) \|$",
            fix,
            re.M,
        )
        assert row, f"the table has no {mode}"
        check_close(f"{mode}, hour 2", hours[mode][2][1], float(row[1]))
        check_close(f"{mode}, hour 10", hours[mode][10][1], float(row[2]))
        assert sessions[mode] == int(row[3].replace(",", "")), (mode, sessions)


def values_of(snapshot, map_node):
    """The values of a map, in order."""
    table = snapshot.follow(map_node, "table")
    values = {}
    for label, node in snapshot.edges[table].items():
        found = re.fullmatch(r"\[(\d+)\]\.value", str(label))
        if found:
            values[int(found[1])] = node
    return [values[i] for i in sorted(values)]


def count_sessions(snapshot):
    """How many sessions the rooms keep, along the path that the page follows."""
    thread = snapshot.child(0, "(thread toylang)")
    roots = snapshot.follow(thread, "interpreter")
    rooms = values_of(snapshot, snapshot.follow(roots, "rooms"))
    assert len(rooms) == ROOMS
    sessions = set()
    for room in rooms:
        listeners = snapshot.follow(room, "table", "[1].value")
        assert snapshot.names[listeners] == "list"
        if "elements" not in snapshot.edges[listeners]:
            continue
        slots = snapshot.follow(listeners, "elements")
        for closure in snapshot.edges[slots].values():
            assert snapshot.names[closure] == "closure"
            kept = snapshot.follow(closure, 0, "value")
            if snapshot.names[kept] == "map":
                sessions.add(kept)
            else:
                assert snapshot.names[kept] == "weak reference"
    # There are no others, nor anywhere else.
    assert not values_of(snapshot, snapshot.follow(roots, "sessions"))
    others = snapshot.names.count("map") - len(sessions)
    assert others == 2 + ROOMS, f"{others} maps that are no sessions"
    return len(sessions)


def pprof_top(folder, *options):
    """The megabytes of each function, its own and all, as pprof orders them."""
    output = subprocess.run(
        ["go", "tool", "pprof", "-unit=MB", "-top", *options]
        + [folder / "after_10_hours.pprof"],
        env=dict(os.environ, HOME=str(folder), PPROF_TMPDIR=str(folder)),
        check=True,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    ).stdout
    # What is gone since the base is less than nothing.
    rows = re.findall(
        r"^ *(-?[0-9.]+)(?:MB)? .* (-?[0-9.]+)(?:MB)? +\S+%  (.+)$", output, re.M
    )
    assert "flat%" in output, output
    return {name: (float(flat), float(cum)) for flat, cum, name in rows}


def check_profiles(folders):
    def growth(mode):
        folder = folders[mode]
        return pprof_top(folder, "-base", folder / "after_2_hours.pprof")

    rows = growth("leaks")
    assert list(rows)[0] == "load_history", rows
    # Estimates of 7.7 MB: the standard deviation is a tenth.
    assert 4 < rows["load_history"][0] < 12, rows
    for caller in ["log_in", "serve", "the main program"]:
        assert rows[caller][1] >= rows["load_history"][1], rows
    assert "load_word_list" not in rows and "render_page" not in rows, rows
    assert list(pprof_top(folders["leaks"], "-sample_index=alloc_space"))[0] == (
        "render_page"
    )
    for mode in ["fixed", "weak"]:
        rows = growth(mode)
        assert sum(flat for flat, _ in rows.values()) < 1, (mode, rows)


def main():
    toylang, program, page_path, reader = map(os.path.abspath, sys.argv[1:])
    sys.path.insert(0, os.path.dirname(reader))
    sys.dont_write_bytecode = True
    from read_snapshot import Snapshot

    page = pathlib.Path(page_path).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {mode: pathlib.Path(scratch) / mode for mode in MODES}
        hours = {mode: run(toylang, program, mode, folders[mode]) for mode in MODES}
        sessions = {
            mode: count_sessions(
                Snapshot(folders[mode] / "after_10_hours.heapsnapshot")
            )
            for mode in MODES
        }
        assert sessions["leaks"] == PEOPLE, sessions
        check_symptom(page, hours["leaks"])
        check_fix(page, pathlib.Path(program).read_text(), hours, sessions)
        if shutil.which("go") and not subprocess.call(
            ["go", "tool", "-n", "pprof"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ):
            check_profiles(folders)
        else:
            print("not checked: there is no go tool pprof here")


if __name__ == "__main__":
    main()
