"""Charts as inline SVG; the page's style sheet gives colours and fonts."""

from html import escape

from runner import figures

WIDTH = 720
ROW = 30
BAR = 16
LABELS_END = 150
BARS_START = 160
BARS_END = 540  # what is right of it: the figure
RATIOS_END = WIDTH - 2


def bar_chart(case, metric):
    """One bar for each column, the median, with a whisker from the lower to the
    upper quartile."""
    rows = [(column, column["metrics"].get(metric)) for column in case["columns"]]
    largest = max(
        (figure["upper_quartile"] for _, figure in rows if figure), default=0
    )
    scale = (BARS_END - BARS_START) / largest if largest > 0 else 0
    ratios = {
        ratio["column"]: ratio["median"]
        for ratio in case["ratios"]
        if ratio["metric"] == metric
    }
    height = ROW * len(rows) + 4
    title = f"{case['name']}: {figures.metric_title(metric)}"
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">'
    ]
    for i, (column, figure) in enumerate(rows):
        parts.append(_row(column, figure, ratios.get(column["label"]), scale, i * ROW))
    return "\n".join([*parts, "</svg>"])


def _row(column, figure, ratio, scale, top):
    middle = top + ROW / 2
    parts = [_text(LABELS_END, middle, column["label"], "end")]
    if column["state"] != "ok" or figure is None:
        state = column["state"] if column["state"] != "ok" else "no figure"
        parts.append(_text(BARS_START, middle, state, "start", "muted"))
        return "".join(parts)
    kind = "loam" if column["peer"] == "loam" else "peer"
    width = max(1, figure["median"] * scale)
    lower = BARS_START + figure["lower_quartile"] * scale
    upper = BARS_START + figure["upper_quartile"] * scale
    parts.append(
        f'<rect class="{kind}" x="{BARS_START}" y="{middle - BAR / 2:g}" '
        f'width="{width:.1f}" height="{BAR}" rx="2"/>'
        f'<path class="whisker" d="M{lower:.1f} {middle:g}H{upper:.1f}'
        f"M{lower:.1f} {middle - 4:g}v8M{upper:.1f} {middle - 4:g}v8"
        '"/>'
    )
    end = max(upper, BARS_START + width) + 8
    median = figures.number(figure["median"])
    parts.append(_text(end, middle, median, "start", "figure"))
    if ratio is not None:
        shown = f"loam {figures.number(ratio)} ×"
        parts.append(_text(RATIOS_END, middle, shown, "end", "muted"))
    return "".join(parts)


def gauge(target):
    """How far the measured is on the way to the wanted, which is the mark in the
    middle."""
    if target["measured"] is None:
        return ""
    width = 50 * min(target["measured"] / target["wanted"], 2)
    return (
        '<svg class="gauge" viewBox="0 0 100 12" aria-hidden="true">'
        '<rect class="track" x="0" y="3" width="100" height="6" rx="1"/>'
        f'<rect class="{target["kind"]} {target["verdict"]}" x="0" y="3" '
        f'width="{width:.1f}" height="6" rx="1"/>'
        '<path class="wanted" d="M50 0v12"/></svg>'
    )


def _text(x, y, text, anchor, kind="label"):
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:g}" text-anchor="{anchor}" '
        f'dominant-baseline="central">{escape(text)}</text>'
    )
