"""The area under the ROC curve from a histogram of the scores, with a bound on its error.

Unlike the exact area its state does not grow with the rows, and merging adds. The bins are those
of the floats themselves: a bin holds the scores that share sign, exponent and the first digits
of the mantissa, so that no range of scores has to be known.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax._option_types import require_integer

from ._call import call
from ._counts import CellStatistic, Counts
from ._delong import estimate
from ._exact import ExactCount
from ._ignored import as_ignored
from ._metric import Metric, Outcome
from ._pair import Pair
from ._placements import spread
from ._scores import ordered_bits
from ._statistic import Rows, float_type, require_labels
from ._types import Value, Vector


@dataclass(frozen=True)
class ScoreHistogram(CellStatistic):
    """Rows by (label 0 or 1, first `bits` bits of the score as a float32, in ascending order)."""

    labels = ("y_true",)

    bits: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (2, 1 << self.bits)

    @property
    def checks_labels(self) -> bool:
        return True

    def reads_long(self, rows: Rows) -> bool:
        return True  # block by block each would have a table of its own

    def complaints(self) -> dict[str, str]:
        return {
            "y_true": "labels other than 0 and 1",
            "y_pred": "scores that are not finite",
            **super().complaints(),
        }

    def cell(self, y_true: Any, y_pred: Any) -> Any:
        require_labels(y_true, "y_true")
        score = y_pred.astype(jnp.float32)  # rounding keeps the order, which is all that counts
        score = jnp.where(score == 0, jnp.zeros_like(score), score)  # -0.0 ties with 0.0
        place = ordered_bits(score, jnp.uint32) >> np.uint32(32 - self.bits)
        side = (y_true == 1).astype(jnp.int32) << self.bits
        bad_true = (y_true != 0) & (y_true != 1)
        return side | place.astype(jnp.int32), bad_true, ~jnp.isfinite(y_pred)

    def row_columns(self, rows: Rows, state: Counts) -> jax.Array:
        raise ValueError(
            f"a histogram of {self.shape[1]:,} bins is not resampled by rows: a row would be as "
            "many numbers"
        )


@dataclass(frozen=True)
class SketchedArea:
    """The area with the pairs of one bin counted as ties, or how far that may be off."""

    bound: bool

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        if xp is np:
            return Outcome(*self._of(np, _filled(counts.cells)))
        dtype = float_type() if isinstance(counts.cells, ExactCount) else counts.cells.high.dtype
        with jax.enable_x64(True):
            value, undefined = self._of(jnp, counts.cells.value().astype(jnp.float64))
            value = value.astype(dtype)
        return Outcome(value, undefined)

    def _of(self, xp: Any, table: Any) -> tuple[Any, Any]:
        down, up = table[..., 0, :], table[..., 1, :]
        positives, negatives = up.sum(-1), down.sum(-1)
        won = up * (down if self.bound else 2 * (xp.cumsum(down, -1) - down) + down)
        none = (positives == 0) | (negatives == 0)
        pairs = xp.where(none, xp.ones_like(positives), 2 * positives * negatives)
        return xp.where(none, float("nan"), won.sum(-1) / pairs), none.sum()


def _filled(cells: ExactCount | Pair) -> np.ndarray:
    """The bins as floats; of a single table those that are not empty, as an empty one adds nothing.

    Few rows fill few bins: to look for them among the integers is cheaper than to make floats of
    all.
    """
    if isinstance(cells, ExactCount) and cells.low.ndim == 2:
        filled = np.flatnonzero(np.bitwise_or.reduce(cells.low | cells.high, axis=0) != 0)
        return ExactCount(cells.low[:, filled], cells.high[:, filled]).value()
    table = cells.value()
    return table[:, table.any(axis=0)] if table.ndim == 2 else table


@dataclass(frozen=True)
class SketchedAreaWithInterval(SketchedArea):
    """The area, which has an interval of its own."""

    bound: bool = False

    def interval(self, counts: Counts, level: float) -> tuple[float, float, str]:
        """DeLong's interval of the histogram, widened on both sides by the bound."""
        if not isinstance(counts.cells, ExactCount):
            raise ValueError("DeLong's error is that of unweighted rows")
        down, up = counts.cells.value()
        positives, negatives = up.sum(), down.sum()
        below, above = np.cumsum(down) - down, positives - np.cumsum(up)
        sides = (
            ((2 * below + down) / max(1, 2 * negatives), up),
            ((2 * above + up) / max(1, 2 * positives), down),
        )
        area, off = (float(SketchedArea(bound)(np, counts).value) for bound in (False, True))
        error = spread(*sides)
        found = estimate(area, error, int(positives), int(negatives), level)
        return (
            float(np.clip(found.low - off, 0, 1)),
            float(np.clip(found.high + off, 0, 1)),
            f"{found.method}, widened by the sketch's bound",
        )


def _histogram(bits: int, ignore_index: int | None) -> ScoreHistogram:
    if not 2 <= require_integer(bits, "bits") <= 24:
        raise ValueError(f"bits must be between 2 and 24, not {bits!r}")
    return ScoreHistogram(bits, ignore_index=as_ignored(ignore_index))


def sketched_roc_auc_score_metric(*, bits: int = 16, ignore_index: int | None = None) -> Metric:
    """The metric of `sketched_roc_auc_score`."""
    statistic = _histogram(bits, ignore_index)
    return Metric("sketched_roc_auc_score", (statistic,), SketchedAreaWithInterval())


def sketched_roc_auc_bound_metric(*, bits: int = 16, ignore_index: int | None = None) -> Metric:
    """The metric of `sketched_roc_auc_bound`."""
    statistic = _histogram(bits, ignore_index)
    return Metric("sketched_roc_auc_bound", (statistic,), SketchedArea(bound=True))


def sketched_roc_auc_score(
    y_true: Vector,
    y_score: Vector,
    *,
    weight: Vector | None = None,
    bits: int = 16,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Area under the ROC curve from a histogram of the scores.

    For streams, shards and more rows than fit in memory: the state is a table of 2 by 2**bits
    counts, whatever the rows. Bins are the first bits of the scores as float32: sign, exponent
    and 7 digits of the mantissa of the default 16, so that bfloat16 scores lose nothing. Pairs
    of one bin count as ties, so that the exact area of the scores is within
    `sketched_roc_auc_bound`, which takes the same table: compute both in one pass. Scores that
    crowd at a number other than 0 (saturated probabilities) are told apart badly, which the bound
    shows; logits are better.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1.
        y_score: scores, shape (n,), higher meaning more likely positive.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        bits: of the scores to tell apart, from 2 to 24; each doubles the table and about halves
            the bound.
        ignore_index: rows with this true label are as good as absent, whatever was predicted.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1, chance 0.5. nan unless both classes occur.

    Raises:
        ValueError: shapes that differ or are not one axis; bits out of range; concrete labels
            other than 0 and 1 or scores that are not finite (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import compute, metric
        >>> names = ("sketched_roc_auc_score", "sketched_roc_auc_bound")
        >>> metrics = {name: metric(name) for name in names}
        >>> found = compute(metrics, [0, 0, 1, 1, 1], [0.1, 0.4, 0.35, 0.8, 0.4001]).values
        >>> [round(float(found[name]), 4) for name in names]
        [0.75, 0.0833]

    Source: the form of the histogram is radix sort's; the bound counts the pairs of one bin.
    """
    metric = sketched_roc_auc_score_metric(bits=bits, ignore_index=ignore_index)
    return call(metric, y_true, y_score, weight, axis_name)


def sketched_roc_auc_bound(
    y_true: Vector,
    y_score: Vector,
    *,
    weight: Vector | None = None,
    bits: int = 16,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """How far `sketched_roc_auc_score` may be from the exact area of the same scores.

    Half the share of (positive, negative) pairs that fall into one bin: whichever way those are
    ranked, the area moves by no more (rounding aside: 1e-12 on the host, 1e-6 traced). It depends
    on the rows, not on chance, and holds always.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1.
        y_score: scores, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        bits: of the scores to tell apart, from 2 to 24.
        ignore_index: rows with this true label are as good as absent, whatever was predicted.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 0.5]; best 0. nan unless both classes occur.

    Raises:
        ValueError: what `sketched_roc_auc_score` refuses.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import sketched_roc_auc_bound
        >>> float(sketched_roc_auc_bound([0, 1, 1, 0], [0.5, 0.5, 0.9, 0.1]))
        0.125

    Source: as `sketched_roc_auc_score`.
    """
    metric = sketched_roc_auc_bound_metric(bits=bits, ignore_index=ignore_index)
    return call(metric, y_true, y_score, weight, axis_name)
