"""Ranking metrics of a score for every label of rows that have several.

The state is the rows: a label's area depends on all pairs of rows with and without it.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from modelops_jax._option_types import require_count

from ._class_areas import AbsentClass, areas, mean_of_areas
from ._exact import ExactCount, count_true
from ._kept_rows import KeptRows
from ._label_columns import LABEL_COMPLAINT, ScoredLabels
from ._metric import Metric, Outcome
from ._rank_scores import by_rank
from ._reweighed import Reweighed, reweighed_area, reweighed_precision
from ._scores import Scores
from ._statistic import WEIGHT_COMPLAINT, Rows, float_type

AverageOfScoredLabels = Literal["micro", "macro", "weighted", "samples"]
# What stands in a state for an entry to ignore.
_IGNORED = -1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LabelScores:
    """Rows with a score for every label. `weight` is boolean, or a float for weighted rows."""

    label: Any  # int8: 0, 1, or -1 for what is ignored
    score: Any
    weight: Any
    invalid: ExactCount


@dataclass(frozen=True)
class LabelScoreRows(ScoredLabels, KeptRows):
    """Every row's labels, their scores and its weight."""

    num_labels: int
    ignore_index: int | None = None
    """Entries of y_true with this value are left out, and with them those of y_pred."""

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> LabelScores:
        return LabelScores(
            jnp.zeros((0, self.num_labels), jnp.int8),
            jnp.zeros((0, self.num_labels), dtype),
            jnp.zeros((0,), dtype if weighted else jnp.bool_),
            ExactCount.zeros((3,)),
        )

    def complaints(self) -> dict[str, str]:
        return {
            "y_true": LABEL_COMPLAINT,
            "y_pred": "rows with scores that are not finite",
            "weight": WEIGHT_COMPLAINT,
        }

    def of_rows(self, rows: Rows) -> LabelScores:
        xp = np if isinstance(rows.y_true, np.ndarray) else jnp
        score = rows.y_pred
        if not jnp.issubdtype(score.dtype, jnp.floating):
            score = score.astype(float_type(score) if xp is jnp else np.float64)
        true, here, keep, bad_label, bad_score = self.entries(rows, ~xp.isfinite(score))
        weight = keep if rows.weight is None else xp.where(keep, rows.weight, 0)
        return LabelScores(
            xp.where(here, true.astype(np.int8), np.int8(_IGNORED)),
            xp.where(here, score, 0),
            weight,
            count_true(xp, keep, bad_label, bad_score, rows.bad_weight),
        )


@dataclass(frozen=True)
class LabelAreas:
    """The area or average precision of each label, of all entries, of each row, or a mean."""

    of: str  # "area" or "precision"
    average: str | None
    absent: str

    def __call__(self, xp: Any, state: LabelScores) -> Outcome:
        positive = state.label == 1
        wide = xp.broadcast_to(state.weight[:, None], positive.shape)
        weight = xp.where(state.label != _IGNORED, wide, xp.zeros_like(wide))
        if self.average == "samples":
            dtype = np.float64 if xp is np else float_type(state.score)
            values, undefined = rows_by_pairs(xp, self.of, state.label, state.score, dtype)
            some = (state.label != _IGNORED).any(axis=1)
            rows = xp.where(some, state.weight, xp.zeros_like(state.weight))
            undefined = undefined & (rows > 0)
            values = xp.where(rows > 0, values, xp.zeros_like(values))
            return self._outcome(xp, values, undefined, rows)
        if self.average == "micro":
            score, member, own = (c.reshape(-1) for c in (state.score, positive, weight))
            flat = Scores(score, member, own, state.invalid)
            values, undefined = areas(xp, self.of, [flat])
            return Outcome(values[0], undefined.sum())
        scored = [
            Scores(state.score[:, k], positive[:, k], weight[:, k], state.invalid)
            for k in range(positive.shape[1])
        ]
        values, undefined = areas(xp, self.of, scored)
        if self.average is None:
            return Outcome(values, undefined.sum())
        support = xp.where(positive, weight, xp.zeros_like(weight)).sum(axis=0)
        of_label = support if self.average == "weighted" else xp.ones_like(values)
        return self._outcome(xp, values, undefined, of_label)

    def _outcome(self, xp: Any, values: Any, undefined: Any, weight: Any) -> Outcome:
        mean = mean_of_areas(xp, values, undefined, weight.astype(values.dtype), self.absent)
        return Outcome(mean, undefined.sum())

    def reweighed(self, state: LabelScores) -> Reweighed:
        """The value as a function of how often each row counts."""
        label, score = np.asarray(state.label), np.asarray(state.score)
        weight = np.asarray(state.weight, np.float64)
        seen, positive = label != _IGNORED, label == 1
        if self.average == "samples":
            of_rows, unknown = rows_by_pairs(np, self.of, label, score, np.float64)
            of_rows, own = np.where(unknown, 0, of_rows), weight * seen.any(axis=1)

            def of_samples(counts: np.ndarray) -> np.ndarray:
                drawn = counts * own
                values = np.where(unknown & (drawn > 0), np.nan, of_rows)
                return mean_of_areas(np, values, unknown & (drawn > 0), drawn, self.absent)

            return of_samples
        measure = reweighed_area if self.of == "area" else reweighed_precision
        if self.average == "micro":
            row, _ = np.nonzero(seen)
            return measure(Scores(score[seen], positive[seen], weight, state.invalid), row)
        every = [np.flatnonzero(column) for column in seen.T]
        measures = [
            measure(Scores(score[own, k], positive[own, k], weight, state.invalid), own)
            for k, own in enumerate(every)
        ]

        def values(counts: np.ndarray) -> np.ndarray:
            found = np.stack([measure(counts) for measure in measures], axis=1)
            if self.average is None:
                return found
            of_label = np.ones_like(found)
            if self.average == "weighted":
                of_label = (counts * weight) @ positive
            return mean_of_areas(np, found, np.isnan(found), of_label, self.absent)

        return values

    def exchangeable(self, state: LabelScores) -> LabelScores:
        """The rows with ranks for scores, where what is ranked is not the labels of each row."""
        if self.average == "samples":
            return state
        seen = state.label != _IGNORED
        return by_rank(state, together=self.average == "micro", seen=seen)


def rows_by_pairs(xp: Any, of: str, label: Any, score: Any, dtype: Any) -> tuple[Any, Any]:
    """The area or average precision of the labels of each row, and where it is undefined.

    A row has few labels: they are compared with each other, one column with all at a time.
    """
    positive, negative = label == 1, label == 0
    seen = positive | negative

    def add(k: Any, sums: tuple[Any, Any]) -> tuple[Any, Any]:
        other, own = score[:, k, None], seen[:, k, None]
        if of == "area":  # of each label: twice the negative ones below, ties once; nothing else
            above = (score > other).astype(dtype) + (score >= other).astype(dtype)
            return sums[0] + above * negative[:, k, None].astype(dtype), sums[1]
        up = (other >= score) & own  # the ones that are predicted with each label, and right ones
        return sums[0] + (up & positive[:, k, None]).astype(dtype), sums[1] + up.astype(dtype)

    sums: Any = (xp.zeros(score.shape, dtype), xp.zeros(score.shape, dtype))
    if xp is np:
        for k in range(score.shape[1]):
            sums = add(k, sums)
    else:
        sums = lax.fori_loop(0, score.shape[1], add, sums)
    up, down = (flags.astype(dtype).sum(axis=1) for flags in (positive, negative))
    if of == "area":
        undefined = (up == 0) | (down == 0)
        each, whole = sums[0], 2 * up * down
    else:
        undefined = up == 0
        each = sums[0] / xp.where(sums[1] > 0, sums[1], xp.ones_like(sums[1]))
        whole = up
    total = xp.where(positive, each, xp.zeros_like(each)).sum(axis=1)
    value = total / xp.where(undefined, xp.ones_like(whole), whole)
    return xp.where(undefined, float("nan"), value), undefined


def label_areas(
    name: str,
    of: str,
    num_labels: int,
    average: str | None,
    absent: str,
    ignored: int | None,
) -> Metric:
    """The metric of a score for each of so many labels.

    Raises:
        ValueError: an option that is none of its choices.
    """
    num_labels = require_count(num_labels, "num_labels")
    if average is not None and average not in get_args(AverageOfScoredLabels):
        raise ValueError(
            f"average must be one of {get_args(AverageOfScoredLabels)} or None, not {average!r}"
        )
    if absent not in get_args(AbsentClass):
        raise ValueError(f"absent must be one of {get_args(AbsentClass)}, not {absent!r}")
    return Metric(name, (LabelScoreRows(num_labels, ignored),), LabelAreas(of, average, absent))
