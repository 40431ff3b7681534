"""What the pictures of an evaluation are drawn from: confusion, ROC, precision-recall, calibration.

Memory does not grow with the rows: past `HELD_ROWS` the scores are counted in a histogram by their
first 16 bits, whose edges are exact points of both curves.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

import modelops_jax.metrics as numeric

from ._class_scores import ClassScorePair, ClassScoreReader
from ._confusion_matrix import MOST_CLASSES, ConfusionMatrix
from ._label_pair import LabelReader
from ._running import LabelCounts
from ._weights import TotalWeight, of_positive_weight

# Scores that are kept, so that the curves of so many rows are exact.
HELD_ROWS = 1 << 18
# Curves of one against the rest that a picture can tell apart.
MOST_CURVES = 6
_BITS, _BINS = 16, 10
_HISTOGRAM = numeric.metric("sketched_roc_auc_score", bits=_BITS)
_CALIBRATION = numeric.metric("expected_calibration_error", bins=_BINS)


@dataclass(frozen=True)
class ScoreCurves:
    """ROC and precision-recall curve of one class against the rest.

    Args:
        label: the class; None where there is one score a row.
        fpr: false positive rates, ascending; thinned.
        tpr: true positive rates at these.
        recall: recalls, ascending; thinned.
        precision: precisions at these.
        positives: share of rows of the class, or of their weight: the precision of chance.
        exact: whether every distinct score is a threshold; else the edges of a histogram are.
        area: under the ROC curve before it was thinned.
        average_precision: mean over positive rows of the precision from their score up, likewise.
    """

    label: Hashable | None
    fpr: np.ndarray
    tpr: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    positives: float
    exact: bool
    area: float
    average_precision: float


@dataclass(frozen=True)
class Reliability:
    """Rows by confidence, in ten bins of equal width that have rows.

    Args:
        rows: rows of each bin, int64; of weighted rows what they weigh, float64.
        confidence: their mean confidence.
        right: the share of them that is right (of one score a row: positive).
    """

    rows: np.ndarray
    confidence: np.ndarray
    right: np.ndarray

    @property
    def weighted(self) -> bool:
        """Whether rows are weighted."""
        return self.rows.dtype.kind == "f"

    @property
    def error(self) -> float:
        """The expected calibration error of these bins; in [0, 1], best 0."""
        return float(np.average(np.abs(self.confidence - self.right), weights=self.rows))


class Diagnostics:
    """What the pictures of an evaluation of labels are drawn from, of rows that come in batches.

    Args:
        positive_class: of one score a row, the label that has the high scores; None: 1.
        ignore_index: rows with this true label are left out; None: no row is.

    Example:
        >>> from modelops_jax.evaluation import Diagnostics
        >>> found = Diagnostics()
        >>> found.update([0, 0, 1, 1], [0, 1, 0, 1], y_score=[0.1, 0.4, 0.35, 0.8])
        >>> print(found.confusion())
        true \\ predicted  0  1
        0                 1  1
        1                 1  1
        >>> (curves,) = found.curves()
        >>> curves.fpr.tolist(), curves.tpr.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
        >>> curves.area, round(curves.average_precision, 4)
        (0.75, 0.8333)
    """

    PARTS: ClassVar[int] = 256
    """Of the horizontal axis; a curve is thinned to at most four points in each."""

    def __init__(
        self, *, positive_class: Hashable | None = None, ignore_index: Hashable | None = None
    ) -> None:
        self._read = ClassScoreReader(positive_class, ignore_index)
        self._read_labels = LabelReader(ignore_index)
        self._labels: LabelCounts | None = None
        self._held: list[ClassScorePair] | None = []
        self._classes: tuple[Hashable, ...] | None = None
        self._histograms: list[numeric.MetricStream] = []
        self._bins: numeric.MetricStream | None = numeric.MetricStream({"bins": _CALIBRATION})
        self._weight: TotalWeight | None = None
        self._rows = 0
        self.no_reliability: str | None = "there are no scores"
        """Why there is no reliability, where there is none."""

    @property
    def weighted(self) -> bool:
        """Whether rows have weights other than 1: the pictures are of weights then."""
        return self._weight is not None and not self._weight.alike

    def update(
        self, y_true: Any, y_pred: Any = None, *, y_score: Any = None, weight: Any = None
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: true labels.
            y_pred: predicted labels, if there are any.
            y_score: scores as `ModelEvaluator.evaluate` takes them, if there are any.
            weight: of each row, as `ModelEvaluator.evaluate` takes it, with every batch or with
                none: rows count by it in all pictures, and rows of weight 0 are left out.

        Raises:
            TypeError: entries of the wrong kind.
            ValueError: two lengths, labels and scores that do not fit, or weights with some batches
                only.
        """
        own, rows, y_true, y_pred, y_score = of_positive_weight(
            weight, len(y_true), y_true=y_true, y_pred=y_pred, y_score=y_score
        )
        if not rows:
            return
        if self._rows and (self._weight is None) != (own is None):
            given, before = ("no ", "") if own is None else ("", "no ")
            raise ValueError(
                f"these rows have {given}weights; the rows before have {before}weights"
            )
        scores = None if y_score is None else self._read(y_true, y_score)
        if y_pred is not None:
            if self._labels is None:
                self._labels = LabelCounts(self._read_labels)
            batch = self._labels.of_rows(y_true, y_pred, weight=own)
            self._labels.check(batch)
            self._labels.merge(batch)
        if scores is not None:
            self._add_scores(replace(scores, weight=own).present)
        if own is not None:
            total = TotalWeight.of(own)
            self._weight = total if self._weight is None else self._weight + total
        self._rows += rows

    def confusion(self) -> ConfusionMatrix | None:
        """Rows, or their weight, by true and predicted label.

        None without these or of more than 4,096 classes.
        """
        if self._labels is None:
            return None
        pair = self._labels.evidence()
        return ConfusionMatrix.of_pair(pair) if len(pair.labels.classes) <= MOST_CLASSES else None

    def curves(self) -> tuple[ScoreCurves, ...]:
        """The curves of the positive class, or of the first six classes against the rest."""
        found = []
        for place, label in enumerate(self._shown):
            if self._held is None:
                report = self._histograms[place].report()
                (counts,) = report.states.values()
                down, up = np.asarray(counts.cells.value(), np.float64)[:, ::-1]
                filled = (down + up) > 0
                curves = _curves(label, np.cumsum(up)[filled], np.cumsum(down)[filled], exact=False)
            else:
                parts = [_one_against_rest(pair, place) for pair in self._held]
                true, score = (np.concatenate(side) for side in zip(*parts, strict=True))
                weights = [pair.weight for pair in self._held if pair.weight is not None]
                weight = np.concatenate(weights) if self.weighted else None
                curves = _exact_curves(label, true, score, weight)
            found += [] if curves is None else [curves]
        return tuple(found)

    def reliability(self) -> Reliability | None:
        """Confidence and accuracy by bin; None where scores are no probabilities."""
        if self._bins is None or not self._bins.rows:
            return None
        (sums,) = self._bins.report().states.values()
        parts = (sums.weight, sums.confidence, sums.right)
        rows, confidence, right = (np.asarray(part.value(), np.float64) for part in parts)
        some = rows > 0
        filled, confidence, right = rows[some], confidence[some], right[some]
        counts = filled if self.weighted else filled.astype(np.int64)
        return Reliability(counts, confidence / filled, right / filled)

    @property
    def _shown(self) -> tuple[Hashable | None, ...]:
        if not self._histograms and not self._held:
            return ()
        return _of_picture(self._classes)

    def _add_scores(self, pair: ClassScorePair) -> None:
        self._classes = pair.classes
        if self._bins is not None:
            self.no_reliability = None
            try:
                self._bins.update(pair.y_true, pair.y_pred, weight=pair.weight)
            except ValueError as error:
                self._bins, self.no_reliability = None, str(error)
        if self._held is not None:
            self._held.append(pair)
            if sum(part.rows for part in self._held) <= HELD_ROWS:
                return
            waiting, self._held = self._held, None
        else:
            waiting = [pair]
        for place, _ in enumerate(_of_picture(pair.classes)):
            if len(self._histograms) <= place:
                self._histograms.append(numeric.MetricStream({"scores": _HISTOGRAM}))
            for part in waiting:
                columns = _one_against_rest(part, place)
                self._histograms[place].update(*columns, weight=part.weight)


def _of_picture(classes: tuple[Hashable, ...] | None) -> tuple[Hashable | None, ...]:
    return (None,) if classes is None else classes[:MOST_CURVES]


def _one_against_rest(pair: ClassScorePair, place: int) -> tuple[Any, Any]:
    if pair.classes is None:
        return pair.y_true, pair.y_pred
    return (pair.y_true == place).astype(np.int32), pair.y_pred[:, place]


def _exact_curves(
    label: Any, true: np.ndarray, score: np.ndarray, weight: np.ndarray | None
) -> ScoreCurves | None:
    roc = numeric.roc_curve(true, score, weight=weight, drop_intermediate=False)
    if weight is not None:
        positives = weight[true == 1].sum()
        hits, alarms = roc.tpr[1:] * positives, roc.fpr[1:] * (weight.sum() - positives)
        return _curves(label, hits, alarms, exact=True)
    positives = int(true.sum())
    hits, alarms = roc.tpr[1:] * positives, roc.fpr[1:] * (len(true) - positives)
    return _curves(label, np.rint(hits), np.rint(alarms), exact=True)


def _curves(label: Any, hits: np.ndarray, alarms: np.ndarray, *, exact: bool) -> ScoreCurves | None:
    """The curves from true and false positives by falling threshold; None without both classes."""
    if not hits.size or not hits[-1] > 0 or not alarms[-1] > 0:
        return None
    start = np.zeros(1)
    fpr, tpr = (np.concatenate([start, side / side[-1]]) for side in (alarms, hits))
    recall, precision = hits / hits[-1], hits / (hits + alarms)
    return ScoreCurves(
        label,
        *_thinned(fpr, tpr),
        *_thinned(recall, precision),
        positives=float(hits[-1] / (hits[-1] + alarms[-1])),
        exact=exact,
        area=float(np.trapezoid(tpr, fpr)),
        average_precision=float(np.diff(recall, prepend=0) @ precision),
    )


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the points in each part of the x axis the first, the last, the lowest and the highest.

    The line through them covers what the line through all covers, to within a part's width.
    """
    part = np.minimum((x * Diagnostics.PARTS).astype(np.int64), Diagnostics.PARTS - 1)
    ends = np.flatnonzero(np.diff(part))
    heights = np.lexsort((y, part))
    edges = np.concatenate([[0], ends + 1]), np.concatenate([ends, [len(x) - 1]])
    keep = np.unique(np.concatenate([*edges, heights[edges[0]], heights[edges[1]]]))
    return x[keep], y[keep]
