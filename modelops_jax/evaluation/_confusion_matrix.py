"""`ConfusionMatrix`: how often each label was predicted as which."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._label_pair import LabelPair, LabelReader
from ._labels import shorten
from ._result_view import label_text

MOST_CLASSES = 4096
_SHOWN_CLASSES = 20


class ConfusionMatrix:
    """Counts of rows by true label (row) and predicted label (column).

    Args:
        y_true: true labels: a list, tuple, NumPy or JAX array of integers, strings, bools or any
            other hashable values of one type (tuples in a NumPy array of objects, as a list of
            them is one of rows).
        y_pred: predicted labels, of the same length.
        ignore_index: rows with this true label are left out, whatever was predicted; None: none.

    Raises:
        TypeError: labels of two kinds, or no sequence.
        ValueError: two lengths, more than one axis, labels that are nan or fractions, or more
            than 4,096 classes.

    Example:
        >>> matrix = ConfusionMatrix(["ham", "spam", "spam"], ["ham", "ham", "spam"])
        >>> matrix.classes
        ['ham', 'spam']
        >>> matrix.get_cell("spam", "ham")
        1
        >>> print(matrix)
        true \\ predicted  ham  spam
        ham                 1     0
        spam                1     1
    """

    classes: list[Hashable]
    """The labels that occur in either list, sorted."""

    matrix: np.ndarray
    """The counts, shape (classes, classes), int64: rows are true, columns predicted labels.

    Of weighted rows (`Diagnostics`) what they weigh, float64.
    """

    def __init__(
        self,
        y_true: Iterable[Any],
        y_pred: Iterable[Any],
        *,
        ignore_index: Hashable | None = None,
    ) -> None:
        self._count(LabelReader(ignore_index)(y_true, y_pred))

    @classmethod
    def of_pair(cls, pair: LabelPair) -> "ConfusionMatrix":
        """The matrix of labels that were read, or counted, before."""
        matrix = cls.__new__(cls)
        matrix._count(pair)
        return matrix

    def _count(self, pair: LabelPair) -> None:
        self.classes = list(pair.labels.classes)
        size = len(self.classes)
        if size > MOST_CLASSES:
            raise ValueError(
                f"the labels have {size:,} classes ({shorten(pair.labels.classes, 3)}); a "
                f"confusion matrix is made for at most {MOST_CLASSES:,}"
            )
        self._position = pair.labels.index
        # Rounded up to few sizes, each of which is compiled once.
        table = numeric.metric("confusion_matrix", num_classes=max(2, 1 << (size - 1).bit_length()))
        report = pair.report({"table": table})
        self.matrix = np.asarray(report.values["table"])[:size, :size]

    def get_cell(self, true: Hashable, pred: Hashable) -> int | float:
        """Give how many rows whose label is `true` were predicted as `pred`, or their weight.

        Raises:
            ValueError: a label that occurs in neither list.
        """
        for label in (true, pred):
            if label not in self._position:
                raise ValueError(
                    f"{label!r} is not one of the labels {shorten(tuple(self.classes))}"
                )
        return self.matrix[self._position[true], self._position[pred]].item()

    def to_dict(self) -> dict[str, list[Any]]:
        """Give `{"classes": [...], "matrix": [[...], ...]}` of plain Python values."""
        return {"classes": list(self.classes), "matrix": self.matrix.tolist()}

    def __str__(self) -> str:
        shown = self.classes[:_SHOWN_CLASSES]
        names = list(map(label_text, shown))
        counts = self.matrix[: len(shown), : len(shown)].tolist()
        cells = [[c if isinstance(c, int) else f"{c:.6g}" for c in row] for row in counts]
        corner = "true \\ predicted"
        first = max(map(len, [corner, *names]))
        widths = [
            max(len(name), *(len(str(count)) for count in column))
            for name, column in zip(names, zip(*cells, strict=True), strict=True)
        ]
        lines = [
            "  ".join(
                [f"{head:<{first}}", *(f"{c:>{w}}" for c, w in zip(row, widths, strict=True))]
            )
            for head, row in [(corner, names), *zip(names, cells, strict=True)]
        ]
        if len(self.classes) > len(shown):
            lines.append(f"... and {len(self.classes) - len(shown):,} more classes")
        return "\n".join(lines)

    def __repr__(self) -> str:
        weighted = self.matrix.dtype.kind == "f"
        of = f"a weight of {self.matrix.sum():.6g}" if weighted else f"{self.matrix.sum()} rows"
        return f"ConfusionMatrix({len(self.classes)} classes, {of})"
