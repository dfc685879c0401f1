"""The arithmetic: medians, spreads, ratios of paired runs, and units."""

import math
import statistics

UNITS = {"ns": "ns", "us": "µs", "ms": "ms", "seconds": "s", "mib": "MiB"}


def summarize(samples):
    """Median and quartiles of the samples there are (None: no sample)."""
    values = [value for value in samples if value is not None]
    if not values:
        return None
    lower, upper = values[0], values[0]
    if len(values) > 1:
        lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {
        "median": statistics.median(values),
        "lower_quartile": lower,
        "upper_quartile": upper,
    }


def paired_ratios(numerators, denominators):
    """One ratio per round. What slows a machine for a while slows both runs of
    a round, so the median of these is steadier than the ratio of medians."""
    return [
        a / b if a is not None and b else None
        for a, b in zip(numerators, denominators)
    ]


def number(value):
    """Three significant digits, and all digits before the point."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 6)}f}"


def spread(summary):
    return f"{number(summary['lower_quartile'])} to {number(summary['upper_quartile'])}"


def metric_title(metric):
    """wall_ms -> "wall, ms"."""
    words = metric.split("_")
    if words[-1] in UNITS and len(words) > 1:
        return " ".join(words[:-1]) + ", " + UNITS[words[-1]]
    return " ".join(words)


def duration(seconds):
    """75 -> 1:15."""
    seconds = round(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 60}:{seconds % 60:02d}"
