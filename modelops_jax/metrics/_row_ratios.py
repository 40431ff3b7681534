"""What each row adds to a value that is a ratio of sums over rows."""

import functools
from typing import Any

import jax
import numpy as np

from ._compute import padded
from ._counts import CellStatistic, Counts
from ._exact import ExactCount
from ._host_columns import computed_now, numbers, precision_scope
from ._metric import Metric
from ._rowwise import RowMean
from ._slices import compute_slices
from ._statistic import check_rows, shared_axes
from ._student import row_moments
from ._types import Matrix, Vector

# Distinct rows of labels that are looked at.
_MOST_DISTINCT = 1 << 14


def row_ratios(
    metric: Metric, y_true: Vector | Matrix, y_pred: Vector | Matrix
) -> tuple[np.ndarray, np.ndarray] | None:
    """The numerator and the denominator of each row, of a metric that is a mean or a share.

    Args:
        metric: any metric.
        y_true: what it takes, of rows that it takes.
        y_pred: the same.

    Returns:
        Two float64 arrays of shape (n,) whose sums have the metric's value (or its square, of the
        root of a mean) as their ratio; None of other metrics, and of shares of more than 16,384
        distinct rows.

    Example:
        >>> from modelops_jax.metrics import metric, row_ratios
        >>> above, below = row_ratios(metric("precision_score"), [1, 0, 1], [1, 1, 0])
        >>> above.tolist(), below.tolist()
        ([1.0, 0.0, 0.0], [1.0, 1.0, 0.0])
    """
    true, pred = (
        np.asarray(numbers(column, name))
        for column, name in ((y_true, "y_true"), (y_pred, "y_pred"))
    )
    if row_moments(metric) is not None:
        (mean,) = metric.statistics
        assert isinstance(mean, RowMean)
        size = max(512, 1 << max(0, len(true) - 1).bit_length())
        inside = np.arange(size) < len(true)
        with computed_now(), precision_scope(true, pred):
            found = _columns(mean, padded(true, size), padded(pred, size), inside)
        below, above = np.asarray(found, np.float64)[: len(true)].T
        return above, below
    if true.ndim > 1 or pred.ndim > 1 or not metric.may_be_share:
        return None
    distinct, which = np.unique(np.stack([true, pred], axis=1), axis=0, return_inverse=True)
    if len(distinct) > _MOST_DISTINCT:
        return None
    rows = {"row": np.arange(len(distinct))}
    each = compute_slices({"share": metric}, distinct[:, 0], distinct[:, 1], rows)
    shares = [
        metric.proportion([report.states[statistic] for statistic in metric.statistics])
        for report in each.slices["row"]
    ]
    if not shares or None in shares:
        return None
    ratios = np.array([(s.hits, s.rows) for s in shares if s is not None], np.float64)
    above, below = ratios[which.reshape(-1)].T
    return above, below


def cell_shares(metric: Metric) -> np.ndarray | None:
    """What a row of each cell adds to the numerator and the denominator of a metric of one table.

    Returns:
        float64 of shape (cells, 2), or None: no share, or of too many cells.
    """
    (statistic,) = metric.statistics
    assert isinstance(statistic, CellStatistic)
    if statistic.size > _MOST_DISTINCT:
        return None
    invalid, found = ExactCount.of_integers(np.zeros(3, np.int64)), []
    for cell in range(statistic.size):
        row = np.zeros(statistic.size, np.int64)
        row[cell] = 1
        cells = ExactCount.of_integers(row.reshape(statistic.shape))
        share = metric.proportion([Counts(cells, invalid)])
        if share is None:
            return None
        found.append((share.hits, share.rows))
    return np.array(found, np.float64)


@functools.partial(jax.jit, static_argnums=0)
def _columns(statistic: RowMean, y_true: Any, y_pred: Any, inside: Any) -> jax.Array:
    rows = check_rows(y_true, y_pred, inside, shared_axes((statistic,)))
    return statistic.row_columns(rows, None)
