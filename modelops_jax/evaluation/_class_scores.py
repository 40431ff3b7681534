"""Scores or probabilities of classes, beside predicted labels."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._computed import Computed, Confidence
from ._evidence import Pair
from ._label_codes import labels_there
from ._labels import CodedLabels, encode_labels, label_to_ignore, shorten
from ._numbers import as_numbers, refuse_not_finite
from ._ranking import ScoreReader
from ._sharded import entries_at, side_by_side
from ._vectors import check_same_length, flat_columns

# The position among the classes of rows that are as good as absent; of label sets, such an entry.
IGNORED = -1


@dataclass(frozen=True)
class ClassScorePair(Pair):
    """The true class of every row, and its score of class 1 or of every class.

    Args:
        true: positions among the classes, shape (n,); of one score a row: 1 for the positive
            class. -1 of rows that are as good as absent, whose scores may be anything.
        scores: shape (n,), or (n, classes).
        classes: the classes of the columns, in order; None of one score a row.
        labels: the labels that occur.
        positive_class: of one score a row, the label that was asked for.
    """

    true: np.ndarray | jax.Array
    scores: np.ndarray | jax.Array
    classes: tuple[Hashable, ...] | None = None
    labels: tuple[Hashable, ...] = ()
    positive_class: Hashable | None = None

    @property
    def y_true(self) -> np.ndarray | jax.Array:
        return self.true

    @property
    def y_pred(self) -> np.ndarray | jax.Array:
        return self.scores

    @property
    def rows(self) -> int:
        return super().rows - self.ignored

    @property
    def ignored(self) -> int:
        gone = self.true == IGNORED
        with jax.enable_x64(True):
            # Of rows on devices some weigh nothing.
            there = isinstance(self.weight, jax.Array)
            return int((gone & self.weight.astype(bool) if there else gone).sum())

    @property
    def present(self) -> "ClassScorePair":
        """The rows that are not as good as absent."""
        keep = self.true != IGNORED
        weight = None if self.weight is None else self.weight[keep]
        return replace(self, true=self.true[keep], scores=self.scores[keep], weight=weight)

    def compute(
        self, metrics: Mapping[str, Any], confidence: Confidence | None
    ) -> dict[str, Computed | Exception]:
        require_positive(self.positive_class, self.labels)
        return super().compute(metrics, confidence)

    @property
    def num_classes(self) -> int | None:
        """How many columns there are; None of one score a row."""
        return None if self.classes is None else len(self.classes)


@dataclass(frozen=True)
class ClassScoreReader:
    """Reads labels and `y_score`.

    Args:
        positive_class: of one score a row, the label that has the high scores; all others are its
            opposite; of scores of every class, the one whose scores are read. None: 1, and the
            labels of one score a row have to be 0 and 1, bools, or -1 and 1.
        ignore_index: rows with this true label are as good as absent; None: no row is.
    """

    positive_class: Hashable | None = None
    ignore_index: Hashable | None = None

    def __call__(self, y_true: Any, y_score: Any) -> ClassScorePair:
        """Read both.

        Raises:
            TypeError: labels of two kinds, or scores that are no numbers.
            ValueError: two lengths, labels without scores, or scores that are not finite.
        """
        if isinstance(y_score, Mapping):
            there = self._by_label_there(y_true, y_score)
            return self._by_label(y_true, y_score) if there is None else there
        there = labels_there(y_true, y_score)
        if there is not None:
            classes = tuple(range(y_score.shape[1])) if y_score.ndim == 2 else ()
            return self._there(there, y_score, classes)
        y_true, y_score = flat_columns(y_true, y_score)
        if np.ndim(y_score) == 2:
            width = np.shape(y_score)[1]
            columns = np.asarray(y_score).T
            return self._by_label(y_true, {label: columns[label] for label in range(width)})
        scores = as_numbers(y_score, "y_score")
        labels, present = self._read_labels(y_true)
        check_same_length(present, scores, ("y_true", "y_score"))
        refuse_not_finite(scores, "y_score", present)
        if self.positive_class is None:
            positive = ScoreReader(None).pair(labels, scores).positive
        else:
            positive = labels.codes["y_true"] == labels.index.get(self.positive_class, -1)
        return ClassScorePair(
            _placed(positive.astype(np.int32), present),
            scores,
            labels=labels.classes,
            positive_class=self.positive_class,
        )

    def _by_label_there(
        self, y_true: Any, y_score: Mapping[Hashable, Any]
    ) -> ClassScorePair | None:
        """The pair of rows that stay on their devices; None: the host has to read them."""
        columns = tuple(y_score.values())
        labels = labels_there(y_true, *columns) if columns else None
        if labels is None or any(column.ndim != 1 for column in columns):
            return None
        for label, column in y_score.items():
            check_same_length(y_true, column, ("y_true", f"y_score[{label!r}]"))
        return self._there(labels, side_by_side(columns), tuple(y_score))

    def _there(
        self, labels: CodedLabels, scores: Any, columns: tuple[Hashable, ...]
    ) -> ClassScorePair:
        """The pair of rows that stay on their devices; what is not finite the metrics refuse."""
        classes = tuple(label for label in labels.classes if label != self.ignore_index)
        if self.ignore_index is None:
            classes = labels.classes
        check_same_length(labels.codes["y_true"], scores, ("y_true", "y_score"))

        def placed(places: Mapping[Hashable, int]) -> Any:
            """The position of each row's label, -1 of the one to ignore."""
            of_code = [places[c] if c in classes else IGNORED for c in labels.classes]
            codes: Any = labels.codes["y_true"]
            return entries_at(np.array(of_code, np.int32), codes)

        if scores.ndim == 2:
            _refuse_missing(classes, columns)
            if self.positive_class is not None:
                place = columns.index(self._column_of(columns))
                return replace(self._there(labels, scores[:, place], ()), labels=columns)
            of_column = {label: columns.index(label) for label in classes}
            return ClassScorePair(placed(of_column), scores, columns, classes)
        own = placed({label: place for place, label in enumerate(classes)})
        read = CodedLabels(classes, {"y_true": own})
        if self.positive_class is None:
            positive = ScoreReader(None).pair(read, scores).positive
        else:
            positive = own == read.index.get(self.positive_class, len(classes))
        true: Any = jnp.where(own == IGNORED, jnp.int32(IGNORED), positive.astype(jnp.int32))
        return ClassScorePair(true, scores, None, classes, self.positive_class)

    def _read_labels(self, y_true: Any) -> tuple[CodedLabels, np.ndarray]:
        """The labels of the rows that are not to be ignored, and which rows these are."""
        labels = encode_labels({"y_true": y_true})
        codes = labels.codes["y_true"]
        ignored = label_to_ignore(self.ignore_index, labels)
        if ignored is None:
            return labels, np.ones(len(codes), bool)
        present = codes != ignored
        return labels.of_rows(present), present

    def _by_label(self, y_true: Any, y_score: Mapping[Hashable, Any]) -> ClassScorePair:
        labels, present = self._read_labels(y_true)
        places = {label: place for place, label in enumerate(y_score)}
        _refuse_missing(labels.classes, tuple(places))
        if self.positive_class is not None:
            pair = self(y_true, y_score[self._column_of(tuple(y_score))])
            return replace(pair, labels=tuple(y_score))  # which it is one of, rows or no rows
        columns = []
        for label, column in y_score.items():
            name = f"y_score[{label!r}]"
            columns.append(as_numbers(column, name))
            check_same_length(present, columns[-1], ("y_true", name))
            refuse_not_finite(columns[-1], name, present)
        position = np.fromiter((places[label] for label in labels.classes), np.int32)
        true = _placed(position[labels.codes["y_true"]], present)
        return ClassScorePair(true, np.stack(columns, axis=1), tuple(places), labels.classes)

    def _column_of(self, classes: tuple[Hashable, ...]) -> Any:
        """The positive class, which has to be one of those with scores (ValueError)."""
        if self.positive_class not in classes:
            raise ValueError(
                f"y_score has scores of the classes {shorten(classes)}, and none of "
                f"positive_class={self.positive_class!r}"
            )
        return self.positive_class


def require_positive(positive_class: Hashable | None, labels: tuple[Hashable, ...]) -> None:
    """Refuse a positive class that none of all labels is: a typo, if they are names.

    Raises:
        ValueError: as `CodedLabels.position` does.
    """
    if positive_class is not None:
        CodedLabels(labels, {}).position(positive_class)


def _refuse_missing(labels: tuple[Hashable, ...], columns: tuple[Hashable, ...]) -> None:
    """Refuse labels that have no scores (ValueError)."""
    missing = tuple(label for label in labels if label not in columns)
    if missing:
        raise ValueError(
            f"y_score has scores of the classes {shorten(columns)}, and y_true has "
            f"{shorten(missing)} as well; expected scores of every class (of names: a dict of "
            "class -> scores)"
        )


def _placed(codes: Any, present: np.ndarray) -> np.ndarray:
    """The codes of the rows that are present among all rows."""
    true = np.full(len(present), IGNORED, np.int32)
    true[present] = codes
    return true
