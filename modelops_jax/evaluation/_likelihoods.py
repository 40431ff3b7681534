"""Log-likelihoods of the right texts, beside predicted ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ._builtin import Reader
from ._class_scores import ClassScoreReader
from ._label_sets import LabelSetReader
from ._numbers import as_values
from ._regression import ValuePair, read_values
from ._sharded import on_devices
from ._vectors import check_same_length

# Of what the log-likelihood is a sum, by metric.
UNITS: Mapping[str, Literal["tokens", "bytes"]] = {"perplexity": "tokens", "bits_per_byte": "bytes"}


@dataclass(frozen=True)
class LikelihoodReader:
    """Reads `y_score` of texts: a dict of columns, `log_likelihood` and what it is a sum over.

    Without texts the two columns may be `y_true`, the unit, and `y_pred`, the log-likelihood.

    Args:
        unit: the column that the metric divides by.
    """

    unit: Literal["tokens", "bytes"]

    def __call__(self, y_true: Any, y_score: Any) -> ValuePair:
        """Read the two columns.

        Raises:
            TypeError: columns that are no numbers.
            ValueError: a column that is missing, of another length, or not finite.
        """
        wanted = (self.unit, "log_likelihood")
        if not isinstance(y_score, Mapping):
            return read_values(y_true, y_score)
        for name in wanted:
            if name not in y_score:
                raise ValueError(f"y_score has the columns {list(y_score)}; expected {name!r}")
        given = [y_score[name] for name in wanted]
        there = on_devices(y_true, *given)
        columns = (
            given
            if there
            else [
                as_values(column, f"y_score[{name!r}]")
                for name, column in zip(wanted, given, strict=True)
            ]
        )
        for name, column in zip(wanted, columns, strict=True):
            check_same_length(y_true, column, ("y_true", f"y_score[{name!r}]"))
        return read_values(*columns) if there else ValuePair(*columns)


def reads_scores(read: Reader) -> bool:
    """Whether what a reader reads second is `y_score`."""
    of_labels = isinstance(read, LabelSetReader) and read.scored
    return of_labels or isinstance(read, ClassScoreReader | LikelihoodReader)
