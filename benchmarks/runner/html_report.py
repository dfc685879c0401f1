"""The report as one page that needs nothing else."""

import pathlib
from html import escape
from itertools import groupby

from runner import chart, figures, result, text_report

SYMBOLS = {
    ("bar", result.HELD): "✓",
    ("bar", result.MISSED): "✗",
    ("goal", result.HELD): "✓",
    ("goal", result.MISSED): "○",
}


def page(report):
    """The whole page for a report, the dictionary of the JSON file."""
    style = (pathlib.Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    cases = report["cases"]
    machine = report["machine"]
    subtitle = f"{report['date']}, commit {machine.get('commit', 'unknown')}"
    body = [
        f"<header><h1>loam: benchmarks</h1><p>{escape(subtitle)}</p></header>",
        _warnings(report),
        _summary(cases),
        _contents(cases, report["google_benchmarks"]),
        _machine(report),
        *(_group(name, list(group)) for name, group in _by_group(cases)),
        _google_benchmarks(report["google_benchmarks"]),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>loam: benchmarks, {escape(report['date'])}</title>\n"
        f"<style>\n{style}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


def _by_group(cases):
    return groupby(cases, key=lambda case: case["group"])


def _id(name):
    """A case's anchor."""
    return "".join(c if c.isalnum() else "-" for c in name)


def _link(case):
    return f'<a href="#{_id(case["name"])}">{escape(case["name"])}</a>'


def _table(head, rows, kind=""):
    """Cells are HTML."""
    header = "".join(f"<th>{cell}</th>" for cell in head)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{header}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _warnings(report):
    lines = []
    if report["quick"]:
        lines.append("A quick run, of less work and few rounds: a rough idea only.")
    if report["stopped"]:
        lines.append("The run was stopped before its end.")
    lines += report["left_out"]
    parts = [f'<p class="warning">{escape(line)}</p>' for line in lines]
    parts += [f'<pre class="error">{escape(error)}</pre>' for error in report["errors"]]
    return "\n".join(parts)


def _verdict(target):
    symbol = SYMBOLS.get((target["kind"], target["verdict"]), "?")
    words = escape(result.outcome(target))
    kind = f'{target["kind"]} {target["verdict"]}'
    return f'<span class="verdict {kind}">{symbol} {words}</span>'


def _summary(cases):
    targets = [target for case in cases for target in case["targets"]]
    rows = []
    for case in cases:
        judged = [t for t in case["targets"] if t["verdict"] != result.NOT_RUN]
        for i, target in enumerate(judged):
            measured = target["measured"]
            rows.append(
                (
                    _link(case) if i == 0 else "",
                    escape(figures.metric_title(target["metric"])),
                    escape(target["column"] or "limit"),
                    f"{target['kind']} {target['wanted']:g}",
                    "" if measured is None else figures.number(measured),
                    chart.gauge(target),
                    _verdict(target),
                )
            )
    if not rows:
        return ""
    tally = "".join(
        f"<li>{escape(line)}</li>" for line in text_report.tally_lines(targets)
    )
    head = ("Case", "Metric", "Against", "Wanted", "Measured", "", "")
    return (
        f'<section><h2>Bars and goals</h2><ul class="tally">{tally}</ul>'
        "<p>loam's figure as a multiple of the peer's, the median over the rounds; "
        "at most what is wanted. A bar must hold; a goal is where loam is going.</p>"
        f"{_table(head, rows, 'summary')}</section>"
    )


def _contents(cases, google_benchmarks):
    groups = []
    for name, group in _by_group(cases):
        links = "".join(f"<li>{_link(case)}</li>" for case in group)
        groups.append(f"<div><h3>{escape(name)}</h3><ul>{links}</ul></div>")
    if google_benchmarks:
        groups.append('<div><h3><a href="#single">single operations</a></h3></div>')
    return (
        f'<nav><h2>Contents</h2><div class="contents">{"".join(groups)}</div></nav>'
    )


def _machine(report):
    facts = {
        **report["machine"],
        "rounds": f"{report['rounds']}, each of one run of every program in turn",
        "duration": figures.duration(report["seconds"]),
    }
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>"
        for name, fact in facts.items()
    )
    return f"<section><h2>Machine</h2><dl>{rows}</dl></section>"


def _group(name, cases):
    return (
        f"<section><h2>{escape(name)}</h2>"
        '<p class="muted">Bars are medians, whiskers quartiles; shorter is better. '
        "On the right, loam's figure as a multiple of the peer's.</p>"
        + "\n".join(_case(case) for case in cases)
        + "</section>"
    )


def _case(case):
    first = case["columns"][0]
    command = " ".join([case["workload"], *first["command"][1:]])
    # The headline, and what there are bars for.
    judged = {target["metric"] for target in case["targets"]}
    charted = [
        metric
        for i, metric in enumerate(case["metrics"])
        if i == 0 or metric in judged
    ]
    parts = [
        f'<article id="{_id(case["name"])}"><h3>{escape(case["name"])}</h3>',
        f"<p><code>{escape(command)}</code></p>",
        f'<p class="note">{escape(case["note"])}</p>' if case["note"] else "",
        *(f'<p class="warning">{escape(line)}</p>' for line in case["warnings"]),
        *(f'<pre class="error">{escape(error)}</pre>' for error in case["errors"]),
    ]
    for metric in charted:
        title = escape(figures.metric_title(metric))
        parts.append(
            f"<figure><figcaption>{title}</figcaption>"
            f"{chart.bar_chart(case, metric)}</figure>"
        )
    parts += [_figures_table(case), "</article>"]
    return "\n".join(part for part in parts if part)


def _figures_table(case):
    rows = []
    for metric in case["metrics"]:
        for i, column in enumerate(case["columns"]):
            figure = column["metrics"].get(metric)
            ratio = result.ratio_to(case, column["label"], metric)
            targets = result.targets_of(case, column["label"], metric)
            if column["state"] != "ok" or figure is None:
                shown = column["state"] if column["state"] != "ok" else ""
                median, spread = escape(shown), ""
            else:
                median = figures.number(figure["median"])
                spread = figures.spread(figure)
            rows.append(
                (
                    escape(figures.metric_title(metric)) if i == 0 else "",
                    escape(column["label"]),
                    median,
                    spread,
                    figures.number(ratio["median"]) if ratio else "",
                    figures.spread(ratio) if ratio else "",
                    "<br>".join(
                        f"{target['kind']} {target['wanted']:g} {_verdict(target)}"
                        for target in targets
                    ),
                )
            )
    head = ("Metric", "Peer", "Median", "Quartiles", "loam ×", "Quartiles", "Wanted")
    return _table(head, rows, "figures")


def _google_benchmarks(benchmarks):
    if not benchmarks:
        return ""
    rows = [
        (
            escape(benchmark["program"]),
            escape(benchmark["name"]),
            f"{figures.number(benchmark['median'])} {escape(benchmark['unit'])}",
            figures.spread(benchmark),
        )
        for benchmark in benchmarks
    ]
    head = ("Program", "Operation", "Median", "Quartiles")
    return (
        '<section id="single"><h2>Single operations</h2>'
        f"{_table(head, rows, 'operations')}</section>"
    )
