"""What a report of the rows of a slice says of each metric."""

from collections.abc import Mapping
from typing import Any

import modelops_jax.metrics as numeric

from ._slicing import Moments, SliceOutcome


def with_moments(bound: Mapping[str, numeric.Metric]) -> dict[str, numeric.Metric]:
    """The metrics, and of those that are means what a test of a slice's mean needs."""
    spreads = {n: m for n, one in bound.items() if (m := numeric.row_moments(one))}
    return dict(bound) | {_spread_of(name): metric for name, metric in spreads.items()}


def slice_outcomes(
    bound: Mapping[str, numeric.Metric],
    every: Mapping[str, numeric.Metric],
    report: numeric.Report,
    intervals: Mapping[str, numeric.Interval],
    confidence: Any,
    p_values: Mapping[str, float],
) -> dict[str, SliceOutcome]:
    """The outcome of each metric.

    Args:
        bound: the metrics.
        every: the metrics of the report, as `with_moments` gives them.
        report: of the rows of the slice.
        intervals: of the metrics that have one there.
        confidence: the `Confidence` that is asked for, or None.
        p_values: of the metrics that were tested by rows in groups.
    """
    tested = confidence is not None and confidence.groups is None
    return {
        name: SliceOutcome(
            float(report.values[name]),
            report.undefined[name],
            intervals.get(name),
            _share(metric, report) if tested else None,
            _moments(every.get(_spread_of(name)), report) if tested else None,
            p_values.get(name),
        )
        for name, metric in bound.items()
    }


def _spread_of(name: str) -> str:
    return f"{name}, its moments"


def _share(metric: numeric.Metric, report: numeric.Report) -> tuple[int, int] | None:
    """Hits and rows behind a value that is a share of rows."""
    share = metric.proportion([report.states[statistic] for statistic in metric.statistics])
    return None if share is None else (int(share.hits), int(share.rows))


def _moments(metric: numeric.Metric | None, report: numeric.Report) -> Moments | None:
    if metric is None:
        return None
    state = report.states[metric.statistics[0]]
    return int(state.rows.value()), float(state.mean.value()), float(state.squares.value())
