"""Ranking metrics of many classes: each class against the rest, or against each other class.

The state is the rows: a class's area depends on all pairs of its rows and the others'.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from ._average_precision import average_precision, average_precision_on_host
from ._exact import ExactCount, count_true
from ._ignored import without_ignored
from ._kept_rows import KeptRows
from ._metric import Outcome
from ._rank_scores import by_rank
from ._reweighed import Reweighed, reweighed_area, reweighed_precision
from ._scores import Scores, pair_area, pair_area_on_host
from ._statistic import WEIGHT_COMPLAINT, Rows, float_type, require_labels

AbsentClass = Literal["nan", "skip"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassScores:
    """Rows with a score for every class. `weight` is boolean, or a float for weighted rows."""

    label: Any
    score: Any
    weight: Any
    invalid: ExactCount


@dataclass(frozen=True)
class ClassScoreRows(KeptRows):
    """Every row's label, scores of all classes and weight."""

    num_classes: int
    ignore_index: int | None = None
    """Rows with this true label are as good as absent."""

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (2,)

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> ClassScores:
        return ClassScores(
            jnp.zeros((0,), jnp.int32),
            jnp.zeros((0, self.num_classes), dtype),
            jnp.zeros((0,), dtype if weighted else jnp.bool_),
            ExactCount.zeros((3,)),
        )

    def complaints(self) -> dict[str, str]:
        return {
            "y_true": f"labels outside 0 to {self.num_classes - 1}",
            "y_pred": "rows with scores that are not finite",
            "weight": WEIGHT_COMPLAINT,
        }

    def of_rows(self, rows: Rows) -> ClassScores:
        xp = np if isinstance(rows.y_true, np.ndarray) else jnp
        rows = without_ignored(rows, self.ignore_index)
        label, score = rows.y_true, rows.y_pred
        require_labels(label, "y_true")
        if score.shape[1] != self.num_classes:
            raise ValueError(
                f"expected y_pred of shape (n, {self.num_classes}), a column for each of the "
                f"num_classes={self.num_classes}; found {score.shape}"
            )
        if not jnp.issubdtype(score.dtype, jnp.floating):
            score = score.astype(float_type(score) if xp is jnp else np.float64)
        asked = xp.ones_like(label, dtype=bool) if rows.keep is None else rows.keep
        bad_label = asked & ((label < 0) | (label >= self.num_classes))
        bad_score = asked & ~xp.isfinite(score).all(axis=1)
        keep = asked & ~bad_label & ~bad_score
        weight = keep if rows.weight is None else xp.where(keep, rows.weight, 0)
        return ClassScores(
            xp.where(keep, label, 0).astype(np.int32),
            xp.where(keep[:, None], score, 0),
            weight,
            count_true(xp, keep, bad_label, bad_score, rows.bad_weight),
        )


@dataclass(frozen=True)
class ClassAreas:
    """The area or average precision of each class, or their mean.

    "ovr": a class's positives are its rows, its negatives all others. "ovo": for every two
    classes, of their rows only, the mean of the areas of either class's scores.
    """

    of: str  # "area" or "precision"
    against: str
    average: str | None
    absent: str

    def __call__(self, xp: Any, state: ClassScores) -> Outcome:
        classes = range(state.score.shape[1])
        if self.average == "micro":
            member = state.label[:, None] == xp.asarray(np.array([classes], np.int32))
            weight = xp.repeat(state.weight, len(classes))
            flat = Scores(state.score.reshape(-1), member.reshape(-1), weight, state.invalid)
            values, undefined = areas(xp, self.of, [flat])
            return Outcome(values[0], undefined.sum())
        members = [state.label == k for k in classes]
        none = xp.zeros_like(state.weight)
        rows = xp.stack([xp.where(member, state.weight, none).sum() for member in members])
        if self.against == "ovr":
            scored = [
                Scores(state.score[:, k], member, state.weight, state.invalid)
                for k, member in enumerate(members)
            ]
            values, undefined = areas(xp, self.of, scored)
        else:
            pairs = list(itertools.combinations(classes, 2))
            scored = []
            for one, other in pairs:
                weight = xp.where(members[one] | members[other], state.weight, none)
                for k in (one, other):
                    scored.append(Scores(state.score[:, k], members[k], weight, state.invalid))
            values, undefined = areas(xp, self.of, scored)
            values, undefined = values.reshape(-1, 2).mean(axis=1), undefined[::2]
            first, second = np.array(pairs, np.int32).T
            rows = rows[first] + rows[second]
        return Outcome(self._mean(xp, values, undefined, rows), undefined.sum())

    def reweighed(self, state: ClassScores) -> Reweighed:
        """The value as a function of how often each row counts."""
        measure = reweighed_area if self.of == "area" else reweighed_precision
        label, score = np.asarray(state.label), np.asarray(state.score)
        weight = np.asarray(state.weight, np.float64)
        rows, classes = score.shape
        members = label[:, None] == np.arange(classes)
        if self.average == "micro":
            flat = Scores(score.reshape(-1), members.reshape(-1), weight, state.invalid)
            return measure(flat, np.repeat(np.arange(rows), classes))
        every = np.arange(rows)
        wanted = [(k, every) for k in range(classes)]
        pairs = np.array(list(itertools.combinations(range(classes), 2)))
        if self.against == "ovo":
            of_pairs = [np.flatnonzero(members[:, pair].any(axis=1)) for pair in pairs]
            wanted = [
                (k, own) for pair, own in zip(pairs, of_pairs, strict=True) for k in pair.tolist()
            ]
        measures = [
            measure(Scores(score[own, k], members[own, k], weight, state.invalid), own)
            for k, own in wanted
        ]

        def values(counts: np.ndarray) -> np.ndarray:
            found = np.stack([measure(counts) for measure in measures], axis=1)
            sizes = (counts * weight) @ members
            if self.against == "ovo":
                found = found.reshape(len(counts), -1, 2).mean(axis=2)
                sizes = sizes[:, pairs[:, 0]] + sizes[:, pairs[:, 1]]
            return self._mean(np, found, np.isnan(found), sizes)

        return values

    def exchangeable(self, state: ClassScores) -> ClassScores:
        """The rows with ranks for scores, of each class or, where they are ranked so, of all."""
        return by_rank(state, together=self.average == "micro")

    def _mean(self, xp: Any, values: Any, undefined: Any, rows: Any) -> Any:
        """The average over the last axis, classes or pairs of so many rows."""
        if self.average is None:
            return values
        weight = rows.astype(values.dtype) if self.average == "weighted" else xp.ones_like(values)
        return mean_of_areas(xp, values, undefined, weight, self.absent)


def areas(xp: Any, of: str, scored: list[Scores]) -> tuple[Any, Any]:
    """The area or average precision of each, and where it is undefined."""
    if xp is np:
        measure = pair_area_on_host if of == "area" else average_precision_on_host
        values, undefined = zip(*(measure(one) for one in scored), strict=True)
        return np.array(values), np.array(undefined)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *scored)
    return jax.vmap(pair_area if of == "area" else average_precision)(stacked)


def mean_of_areas(xp: Any, values: Any, undefined: Any, weight: Any, absent: str) -> Any:
    """The weighted mean over the last axis, nan with an undefined one unless `absent` skips it."""
    if absent == "skip":
        weight = xp.where(undefined, xp.zeros_like(weight), weight)
        values = xp.where(undefined, xp.zeros_like(values), values)
    total = weight.sum(axis=-1)
    mean = (values * weight).sum(axis=-1) / xp.where(total > 0, total, xp.ones_like(total))
    return xp.where(total > 0, mean, float("nan"))
