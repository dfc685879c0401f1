#!/usr/bin/env python3
"""Tests of the runner: arithmetic, verdicts, tables, the page, whole runs of
small stand-in programs."""

import contextlib
import html.parser
import io
import json
import os
import pathlib
import re
import sys
import tempfile
import unittest
from unittest import mock
from xml.etree import ElementTree

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from runner import (
    __main__,
    figures,
    google_benchmarks,
    html_report,
    measurement,
    programs,
    result,
    suite,
    text_report,
)
from runner.case import Bar, Case, Limit, Variant
from runner.progress import Progress

CASE = Case(
    name="trees/<large>",
    workload="trees",
    arguments="--depth=9 --factor=2",
    quick_arguments="--depth=3",
    peers=("loam", "boehm", Variant("go, 1 processor", "go")),
    metrics=("wall_ms", "peak_resident_mib"),
    bars=(
        Bar("wall_ms", "boehm", 0.7),
        Bar("wall_ms", "boehm", 0.4, "goal"),
        Bar("wall_ms", "go, 1 processor", 0.5),
        Limit("peak_resident_mib", 100),
    ),
    note="A < B & C",
)


def ran(*wall_ms, checksum=1):
    return [
        programs.Run(
            programs.OK, "", checksum, {"wall_ms": ms, "peak_resident_mib": 64}
        )
        for ms in wall_ms
    ]


def result_of(loam, boehm, go=None, quick=False):
    """The result of CASE after these runs; without Go's program if None."""
    columns = [
        measurement.Column(variant, ["/bin/trees", "--depth=9"], {}, runs)
        for variant, runs in zip(CASE.columns(), (loam, boehm, go))
        if runs is not None
    ]
    return result.case_result(CASE, columns, quick)


def report_of(*cases):
    return {
        "date": "2026-11-21 12:00+00:00",
        "machine": {"processor": "fast & new", "commit": "abc"},
        "filter": ".",
        "quick": True,
        "rounds": 3,
        "seconds": 75.0,
        "stopped": False,
        "left_out": ["Go is not installed"],
        "errors": [error for case in cases for error in case["errors"]],
        "cases": list(cases),
        "google_benchmarks": [],
    }


class FiguresTest(unittest.TestCase):
    def test_summary(self):
        self.assertEqual(
            figures.summarize([3, None, 1, 2, 5, 4]),
            {"median": 3, "lower_quartile": 2, "upper_quartile": 4},
        )
        self.assertEqual(figures.summarize([7])["upper_quartile"], 7)
        self.assertIsNone(figures.summarize([None]))

    def test_ratios_pair_the_runs_of_a_round(self):
        # In the second round the machine was three times as slow.
        ratios = figures.paired_ratios([1, 3, 1, None], [2, 6, 2, 2])
        self.assertEqual(ratios, [0.5, 0.5, 0.5, None])
        self.assertEqual(figures.paired_ratios([1, 1], [0, None]), [None, None])

    def test_numbers(self):
        shown = [figures.number(x) for x in (0, 0.0579, 0.7, 13.58, 812.3, 1402.7)]
        self.assertEqual(shown, ["0", "0.0579", "0.700", "13.6", "812", "1,403"])

    def test_words(self):
        self.assertEqual(figures.metric_title("wall_ms"), "wall, ms")
        self.assertEqual(figures.metric_title("ns_per_object"), "ns per object")
        self.assertEqual(figures.duration(75), "1:15")
        self.assertEqual(figures.duration(3675), "1:01:15")


class ProgramsTest(unittest.TestCase):
    def run_shell(self, script, timeout=20):
        return programs.run_program(["sh", "-c", script], {"X": "7"}, timeout)

    def test_result_is_read(self):
        run = self.run_shell("""echo '{"checksum": '$X', "metrics": {"wall_ms": 2}}'""")
        self.assertEqual(run, programs.Run("ok", "", 7, {"wall_ms": 2}))

    def test_status_3_is_out_of_memory(self):
        self.assertEqual(self.run_shell("exit 3").state, programs.OUT_OF_MEMORY)

    def test_failures_say_why(self):
        for script, words in (
            ("echo broken >&2; exit 4", "status 4\n    broken"),
            ("kill -9 $$", "signal 9"),
            ("echo hello", "did not print a result, but:\n    hello"),
            ("true", "nothing"),
            ("echo '[1]'", "did not print a result"),
        ):
            run = self.run_shell(script)
            self.assertEqual(run.state, programs.FAILED, script)
            self.assertIn(words, run.message)
        self.assertIn("within 0.05 s", self.run_shell("exec sleep 9", 0.05).message)
        self.assertIn("started", programs.run_program(["/no/such"], {}, 1).message)


class MeasurementTest(unittest.TestCase):
    def measure(self, rounds, outcome):
        """The order in which programs ran, each as `outcome` says."""
        order = []

        def run_program(command, _environment, _timeout):
            order.append(command[0][-1])
            return outcome(order)

        columns = [measurement.Column(CASE.columns()[0], [c], {}) for c in "AB"]
        with mock.patch.object(programs, "run_program", run_program):
            measurement.measure(columns, rounds, 1, mock.Mock())
        return "".join(order)

    def test_peers_take_turns(self):
        self.assertEqual(self.measure(3, lambda _: ran(1)[0]), "ABABAB")

    def test_what_failed_is_not_run_again(self):
        bad = programs.Run(programs.OUT_OF_MEMORY)
        order = self.measure(3, lambda done: bad if len(done) == 4 else ran(1)[0])
        self.assertEqual(order, "ABABA")

    def test_arguments(self):
        variant = Variant("other", "loam", "--factor=3")
        self.assertEqual(
            CASE.command_line(variant, quick=True),
            ["--depth=9", "--factor=2", "--factor=3", "--depth=3"],
        )


class ResultTest(unittest.TestCase):
    def verdicts(self, case):
        return [target["verdict"] for target in case["targets"]]

    def test_held_and_missed(self):
        case = result_of(ran(5, 5, 5), ran(10, 10, 9), ran(10, 10, 10))
        self.assertEqual(self.verdicts(case), ["held", "missed", "held", "held"])
        self.assertEqual(case["targets"][0]["measured"], 0.5)
        self.assertEqual(result.outcome(case["targets"][1]), "not reached, 25 % above")
        self.assertEqual(result.tally(case["targets"], "bar")["held"], 3)
        self.assertEqual(case["errors"], [])

    def test_peer_without_program(self):
        case = result_of(ran(5), ran(10))
        self.assertEqual(case["targets"][2]["verdict"], result.NOT_RUN)

    def test_out_of_memory(self):
        full = [programs.Run(programs.OUT_OF_MEMORY)]
        case = result_of(ran(5), full, ran(10))
        self.assertEqual(case["targets"][0]["verdict"], result.HELD)
        self.assertIn("boehm ran out of memory", result.outcome(case["targets"][0]))
        case = result_of(full, ran(5), ran(10))
        self.assertEqual(self.verdicts(case), ["missed"] * 4)
        self.assertEqual(case["errors"], [])

    def test_failure(self):
        case = result_of(ran(5), [programs.Run(programs.FAILED, "oops")], ran(10))
        self.assertEqual(case["targets"][0]["verdict"], result.UNKNOWN)
        self.assertEqual(case["errors"], ["boehm failed in round 1: oops"])

    def test_checksums_that_differ(self):
        case = result_of(ran(5, 5), ran(10, 10, checksum=2), ran(10, 10))
        self.assertIn("CHECKSUMS DIFFER", case["errors"][0])
        self.assertIn("2 from boehm", case["errors"][0])

    def test_busy_machine(self):
        def run(cpu_ms):
            metrics = {"wall_ms": 100, "cpu_ms": cpu_ms}
            return [programs.Run(programs.OK, "", 1, metrics)]

        self.assertEqual(result_of(run(99), run(180))["warnings"], [])
        (warning,) = result_of(run(99), run(40))["warnings"]
        self.assertIn("boehm had a processor for 40 %", warning)

    def test_limits_are_for_the_whole_work(self):
        self.assertEqual(len(result_of(ran(5), ran(9), quick=True)["targets"]), 3)


class TextReportTest(unittest.TestCase):
    def test_case_table(self):
        full = [programs.Run(programs.OUT_OF_MEMORY)]
        table = text_report.case_table(result_of(ran(5, 6, 7), ran(10, 12, 14), full))
        lines = [" ".join(line.split()) for line in table.splitlines()]
        self.assertIn("wall, ms median quartiles loam/it wanted", lines)
        self.assertIn("loam 6.00 5.50 to 6.50", lines)
        self.assertIn(
            "boehm 12.0 11.0 to 13.0 0.500 "
            "bar 0.7 held; goal 0.4 not reached, 25 % above",
            lines,
        )
        self.assertIn(
            "go, 1 processor out of memory bar 0.5 held: go, 1 processor ran out of "
            "memory",
            lines,
        )

    def test_summary(self):
        table = text_report.summary_table([result_of(ran(8), ran(10))])
        table = " ".join(table.split())
        self.assertIn("trees/<large> wall, ms boehm bar 0.7 0.800 missed", table)
        self.assertIn("bars: 1 held, 1 missed", table)
        self.assertIn("(1 more are against peers that were not run)", table)


class PageChecker(html.parser.HTMLParser):
    """That elements are closed in order; collects anchors and links."""

    EMPTY = {"meta", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


class HtmlReportTest(unittest.TestCase):
    def test_page(self):
        failed = [programs.Run(programs.FAILED, "<oops>")]
        report = report_of(
            result_of(ran(5, 6, 7), ran(10, 11, 12)),
            {**result_of(ran(5), failed), "name": "trees/other"},
        )
        report["google_benchmarks"] = google_benchmarks.read("idle", GOOGLE_OUTPUT)
        page = html_report.page(report)
        checker = PageChecker()
        checker.feed(page)
        self.assertEqual(checker.open, [])
        self.assertEqual(len(checker.ids), len(set(checker.ids)))
        for link in checker.links:
            self.assertIn(link.removeprefix("#"), checker.ids)
        for words in ("http", "<script", "<link", "url(", "<oops>"):
            self.assertFalse(words in page, words)
        for words in ("trees/&lt;large&gt;", "not reached, 36 % above", "poll"):
            self.assertTrue(words in page, words)
        charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
        self.assertGreater(len(charts), 4)
        for chart in charts:
            ElementTree.fromstring(chart)

    def test_page_without_cases(self):
        self.assertIn("<h1>", html_report.page(report_of()))


GOOGLE_OUTPUT = {
    "context": {},
    "benchmarks": [
        {"run_name": "poll", "run_type": kind, "real_time": time, "time_unit": "ns"}
        for kind, time in (("iteration", 3.0), ("iteration", 5.0), ("aggregate", 9.0))
    ],
}


class GoogleBenchmarksTest(unittest.TestCase):
    def test_samples_without_aggregates(self):
        (poll,) = google_benchmarks.read("idle", GOOGLE_OUTPUT)
        self.assertEqual((poll["samples"], poll["median"]), ([3.0, 5.0], 4.0))


class ProgressTest(unittest.TestCase):
    def test_a_line_now_and_then_in_a_log(self):
        now = [0.0]
        log = io.StringIO()
        progress = Progress(runs=4, rounds=2, stream=log, clock=lambda: now[0])
        progress.case(1, 1, "trees")
        for round_number in range(2):
            for label in ("loam", "boehm"):
                progress.running(round_number, label)
                now[0] += 10
                progress.ran()
        self.assertEqual(
            log.getvalue(),
            "[1 of 1] trees: round 1 of 2, loam; 0:00 elapsed\n"
            "[1 of 1] trees: round 2 of 2, loam; 0:20 elapsed, about 0:20 to go\n",
        )


class SuiteTest(unittest.TestCase):
    def test_names_are_unique(self):
        names = [case.name for case in suite.CASES]
        self.assertEqual(len(names), len(set(names)))

    def test_groups_are_together(self):
        groups = [case.group for case in suite.CASES]
        self.assertEqual(groups, sorted(groups, key=groups.index))

    def test_bars_name_columns_and_metrics(self):
        for case in suite.CASES:
            labels = [column.label for column in case.columns()]
            self.assertEqual(labels[0], "loam", case.name)
            self.assertEqual(len(labels), len(set(labels)), case.name)
            for bar in case.bars:
                self.assertIn(bar.metric, case.metrics, case.name)
                self.assertIn(bar.kind, ("bar", "goal"), case.name)
                if isinstance(bar, Bar):
                    self.assertIn(bar.column, labels[1:], case.name)


class WholeRunTest(unittest.TestCase):
    def run_main(self, checksums):
        """Status, output and report of gcbench with stand-ins for programs."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            workloads = folder / "benchmarks/workloads"
            workloads.mkdir(parents=True)
            for peer, checksum in checksums.items():
                program = workloads / f"gcbench_{peer}"
                printed = {"checksum": checksum, "metrics": {"wall_ms": 2.0}}
                program.write_text(f"#!/bin/sh\necho '{json.dumps(printed)}'\n")
                program.chmod(0o755)
            labels = [f"//benchmarks/workloads:gcbench_{peer}" for peer in checksums]
            (folder / "targets").write_text("\n".join(labels))
            arguments = f"runner gcbench/2.5x --repetitions 2 --go-directory {folder}"
            arguments += f" --bin-directory {folder} --targets {folder}/targets"
            arguments += f" --json {folder}/out.json --html {folder}/out.html"
            output = io.StringIO()
            with (
                mock.patch.object(sys, "argv", arguments.split()),
                contextlib.redirect_stdout(output),
                contextlib.redirect_stderr(output),
            ):
                status = __main__.main()
            report = json.loads((folder / "out.json").read_text())
            self.assertTrue((folder / "out.html").read_text().endswith("</html>\n"))
        return status, output.getvalue(), report

    def test_all_is_well(self):
        status, output, report = self.run_main({"loam": 1, "boehm": 1})
        self.assertEqual(status, 0, output)
        self.assertEqual(len(report["cases"]), 2)
        loam = report["cases"][0]["columns"][0]
        self.assertEqual(loam["metrics"]["wall_ms"]["samples"], [2.0, 2.0])
        self.assertIn("missed, 43 % above", output)
        missing = "There is no program of gcbench for go."
        self.assertTrue(missing in output or "Go is not installed" in output)

    def test_different_work_is_an_error(self):
        status, output, report = self.run_main({"loam": 1, "boehm": 2})
        self.assertEqual(status, 1)
        self.assertEqual(len(report["errors"]), 2)
        self.assertIn("CHECKSUMS DIFFER", output)


if __name__ == "__main__":
    unittest.main()
