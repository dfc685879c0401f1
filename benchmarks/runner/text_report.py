"""Tables for a terminal."""

from runner import figures, programs, result

LABEL_WIDTH = 22


def case_table(case):
    """The columns of a case as lines, one block for each metric."""
    lines = []
    for metric in case["metrics"]:
        lines.append(
            f"  {figures.metric_title(metric):{LABEL_WIDTH + 2}}"
            f"{'median':>10}   {'quartiles':<20}{'loam/it':>8}   wanted"
        )
        lines += [_row(case, column, metric) for column in case["columns"]]
    lines += [f"  {warning}" for warning in case["warnings"]]
    lines += [f"  ERROR: {error}" for error in case["errors"]]
    return "\n".join(lines)


def _row(case, column, metric):
    measured = column["metrics"].get(metric)
    if column["state"] != programs.OK:
        figure, spread = column["state"], ""
    elif measured is None:
        figure, spread = "-", ""
    else:
        figure, spread = figures.number(measured["median"]), figures.spread(measured)
    label = column["label"]
    ratio = result.ratio_to(case, label, metric)
    shown_ratio = figures.number(ratio["median"]) if ratio else ""
    wanted = "; ".join(
        f"{target['kind']} {target['wanted']:g} {result.outcome(target)}"
        for target in result.targets_of(case, label, metric)
    )
    row = f"    {label:{LABEL_WIDTH}}{figure:>10}   {spread:<20}{shown_ratio:>8}   "
    return (row + wanted).rstrip()


def summary_table(cases):
    """All bars and goals that could be judged, then how many are held."""
    rows = []
    targets = []
    for case in cases:
        for target in case["targets"]:
            targets.append(target)
            if target["verdict"] == result.NOT_RUN:
                continue
            measured = target["measured"]
            rows.append(
                (
                    case["name"],
                    figures.metric_title(target["metric"]),
                    target["column"] or "(limit)",
                    target["kind"],
                    f"{target['wanted']:g}",
                    "-" if measured is None else figures.number(measured),
                    result.outcome(target),
                )
            )
    lines = []
    if rows:
        header = ("case", "metric", "against", "", "wanted", "measured", "")
        lines = _aligned([header, *rows])
    lines += ["", *tally_lines(targets)]
    return "\n".join(lines)


def tally_lines(targets):
    """bars: 5 held, 1 missed."""
    lines = []
    for kind, words in result.WORDS.items():
        counts = result.tally(targets, kind)
        if any(counts.values()):
            parts = [f"{counts[verdict]} {word}" for verdict, word in words.items()]
            if counts[result.UNKNOWN]:
                parts.append(f"{counts[result.UNKNOWN]} unknown")
            lines.append(f"{kind}s: {', '.join(parts)}")
    not_run = sum(target["verdict"] == result.NOT_RUN for target in targets)
    if not_run:
        lines.append(f"({not_run} more are against peers that were not run)")
    return lines


def _aligned(rows):
    """Columns as wide as their widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in rows
    ]
