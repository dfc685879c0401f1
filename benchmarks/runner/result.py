"""From what programs printed to what is reported: one dictionary for a case."""

import os

from runner import figures, programs
from runner.case import Bar

HELD = "held"
MISSED = "missed"
NOT_RUN = "not run"  # no such program here
UNKNOWN = "unknown"  # a program failed

# The verdicts as one says them of each kind.
WORDS = {
    "bar": {HELD: "held", MISSED: "missed"},
    "goal": {HELD: "reached", MISSED: "not reached"},
}

# A program that computes all the time gets less than this part of one processor
# only where something else is running.
UNDISTURBED = 0.9


def case_result(case, columns, quick):
    """The result of a case after its runs."""
    targets = case.bars
    if quick and case.quick_arguments:
        # A limit is for the whole work.
        targets = [target for target in targets if isinstance(target, Bar)]
    return {
        "name": case.name,
        "group": case.group,
        "workload": case.workload,
        "note": case.note,
        "metrics": list(case.metrics),
        "columns": [_column_result(column) for column in columns],
        "ratios": _ratios(case, columns),
        "targets": [_judge(target, columns) for target in targets],
        "warnings": _warnings(columns),
        "errors": _errors(columns),
    }


def samples(column, metric):
    """One for each round, None where there is none."""
    return [run.metrics.get(metric) for run in column.runs]


def _state(column):
    return column.runs[-1].state if column.runs else NOT_RUN


def _column_result(column):
    names = {name: None for run in column.runs for name in run.metrics}
    metrics = {}
    for name in names:
        values = samples(column, name)
        metrics[name] = {**figures.summarize(values), "samples": values}
    # Without the directory, which differs from machine to machine.
    program = os.path.basename(column.command[0])
    return {
        "label": column.variant.label,
        "peer": column.variant.peer,
        "command": [program, *column.command[1:]],
        "environment": column.environment,
        "state": _state(column),
        "checksums": sorted({run.checksum for run in column.runs if run.metrics}),
        "metrics": metrics,
    }


def _ratios(case, columns):
    """loam's to each other column, in each metric that both have."""
    found = []
    if not columns:
        return found
    for metric in case.metrics:
        for column in columns[1:]:
            if _state(columns[0]) != programs.OK or _state(column) != programs.OK:
                continue
            per_round = figures.paired_ratios(
                samples(columns[0], metric), samples(column, metric)
            )
            summary = figures.summarize(per_round)
            if summary:
                found.append(
                    {
                        "metric": metric,
                        "column": column.variant.label,
                        **summary,
                        "per_round": per_round,
                    }
                )
    return found


def _judge(target, columns):
    """Whether a bar or goal is held, and how far off it is."""
    is_bar = isinstance(target, Bar)
    wanted = target.ratio if is_bar else target.value
    judged = {
        "kind": target.kind,
        "metric": target.metric,
        "column": target.column if is_bar else None,
        "wanted": wanted,
        "measured": None,
        "reason": "",
    }
    by_label = {column.variant.label: column for column in columns}
    loam = columns[0] if columns else None
    other = by_label.get(target.column) if is_bar else loam
    if loam is None or other is None:
        return {**judged, "verdict": NOT_RUN}
    if programs.FAILED in (_state(loam), _state(other)):
        return {**judged, "verdict": UNKNOWN, "reason": "a program failed"}
    if _state(loam) == programs.OUT_OF_MEMORY:
        reason = f"{loam.variant.label} ran out of memory"
        return {**judged, "verdict": MISSED, "reason": reason}
    if _state(other) == programs.OUT_OF_MEMORY:
        reason = f"{other.variant.label} ran out of memory"
        return {**judged, "verdict": HELD, "reason": reason}

    measured = samples(loam, target.metric)
    if is_bar:
        measured = figures.paired_ratios(measured, samples(other, target.metric))
    summary = figures.summarize(measured)
    if summary is None:
        reason = f"no {figures.metric_title(target.metric)} to compare"
        return {**judged, "verdict": UNKNOWN, "reason": reason}
    judged["measured"] = summary["median"]
    verdict = HELD if summary["median"] <= wanted else MISSED
    return {**judged, "verdict": verdict}


def _warnings(columns):
    """That something else used the processors."""
    for column in columns:
        shares = figures.paired_ratios(
            samples(column, "cpu_ms"), samples(column, "wall_ms")
        )
        share = figures.summarize(shares)
        if share and share["median"] < UNDISTURBED:
            return [
                f"The machine was busy: {column.variant.label} had a processor for "
                f"{100 * share['median']:.0f} % of its time. Rather compare CPU time."
            ]
    return []


def _errors(columns):
    """Failures, and checksums that differ, as messages."""
    errors = []
    checksums = {}
    for column in columns:
        for number, run in enumerate(column.runs, 1):
            if run.state == programs.FAILED:
                errors.append(
                    f"{column.variant.label} failed in round {number}: {run.message}"
                )
            elif run.state == programs.OK and column.variant.same_work:
                checksums.setdefault(run.checksum, []).append(column.variant.label)
    if len(checksums) > 1:
        described = "; ".join(
            f"{checksum} from {', '.join(sorted(set(labels)))}"
            for checksum, labels in checksums.items()
        )
        errors.append(f"CHECKSUMS DIFFER, so this is not the same work: {described}")
    return errors


def ratio_to(case, label, metric):
    """loam's ratio to a column, or None."""
    for ratio in case["ratios"]:
        if ratio["column"] == label and ratio["metric"] == metric:
            return ratio
    return None


def targets_of(case, label, metric):
    """Bars and goals to show beside a column; limits stand beside loam."""
    loam = case["columns"][0]["label"]
    return [
        target
        for target in case["targets"]
        if target["metric"] == metric and (target["column"] or loam) == label
    ]


def tally(targets, kind):
    """How many of a kind are held, missed and unknown."""
    verdicts = [target["verdict"] for target in targets if target["kind"] == kind]
    return {verdict: verdicts.count(verdict) for verdict in (HELD, MISSED, UNKNOWN)}


def outcome(target):
    """The verdict in words, with the distance when it is missed."""
    words = WORDS[target["kind"]].get(target["verdict"], target["verdict"])
    if target["verdict"] == MISSED and target["measured"] is not None:
        above = 100 * (target["measured"] / target["wanted"] - 1)
        # A bar that is missed by little is missed.
        distance = f"{above:.0f} %" if above >= 1 else "less than 1 %"
        return f"{words}, {distance} above"
    return f"{words}: {target['reason']}" if target["reason"] else words
