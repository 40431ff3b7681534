"""The page of all metrics: `python -m modelops_jax.metrics._page > docs/metrics.md`."""

from ._by_name import metric
from ._metric_info import MetricInfo
from ._table import METRICS

_HEAD = """# The metrics of `modelops_jax.metrics`

Written from `METRICS` by `python -m modelops_jax.metrics._page > docs/metrics.md`; definitions
and degenerate cases are in [numerics.md](numerics.md). Every metric obeys all laws (`LAWS`) but
those it is excused from, with the reasons below the table. Options in bold are needed; statistics
and intervals are those of a metric with no other option, and ranges hold with any. All take
`weight` and `axis_name` besides.

| name | best | range | y_pred | options | statistics | interval | excused |
|---|---|---|---|---|---|---|---|
"""
_OF_TEXTS = """
`modelops_jax.evaluation` counts texts for those of them that take what was counted, and has two
names more, which are `accuracy_score` of texts: `exact_match` (white space at both ends is left
aside; one reference a row) and `squad_exact_match` (SQuAD's: also letter case, punctuation and
articles; any number of references). They are for `ModelEvaluator("text_generation")`,
`modelops evaluate --task text_generation` and `evaluate_model`.
"""
_INTERVALS = {
    "cells": "of its counts",
    "rows": "resampled rows",
    "closed": "closed formula",
    "groups": "resampled groups",
    "kept": "resampled rows, sorted once",
    None: "none",
}


def page() -> str:
    """The page as Markdown."""
    rows = [_row(name, info) for name, info in METRICS.items()]
    reasons = sorted({reason for info in METRICS.values() for reason in info.excused.items()})
    excuses = [f"- {law}: {reason}." for law, reason in reasons]
    return (
        _HEAD
        + "\n".join(rows)
        + "\n"
        + _OF_TEXTS
        + "\nWhy a metric is excused:\n\n"
        + "\n".join(excuses)
        + "\n"
    )


def _row(name: str, info: MetricInfo) -> str:
    # Three classes, a beta of 3: any number will do.
    configured = metric(
        name, **{o: 3 for o, has_default in info.options.items() if not has_default}
    )
    best = {True: "high", False: "low", None: "neither"}[info.higher_is_better]
    ends = [f"{end:g}".replace("inf", "∞") for end in (info.low, info.high)]
    options = [f"`{o}`" if has_default else f"**`{o}`**" for o, has_default in info.options.items()]
    cells = [
        f"`{name}`",
        best,
        f"{ends[0]} to {ends[1]}",
        info.inputs.replace("_", " "),
        ", ".join(options),
        ", ".join(dict.fromkeys(type(statistic).__name__ for statistic in configured.statistics)),
        _INTERVALS[configured.resampling],
        ", ".join(info.excused),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(), end="")
