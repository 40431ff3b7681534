"""Which columns of a file are what."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Task -> what the cells of the true and of the predicted column are.
CELLS = {
    "classification": ("label", "label"),
    "binary": ("label", "label"),
    "multiclass": ("label", "label"),
    "multilabel": ("labels", "labels"),
    "regression": ("number", "number"),
    "ranking": ("label", "number"),
    "text_generation": ("text", "text"),
}


@dataclass(frozen=True)
class Columns:
    """The columns of an evaluation, by name.

    Args:
        true: what is right.
        preds: what was predicted, by each model.
        scores: `COLUMN`, of the positive class, or a `LABEL=COLUMN` for every class.
        slices: what to compute the metrics by; several names of one entry are crossed.
        group: ids of rows that belong together, of rankings the query of each row.
        weight: of each row.
    """

    true: str
    preds: Sequence[str]
    scores: Sequence[str] = ()
    slices: Sequence[tuple[str, ...]] = ()
    group: str | None = None
    weight: str | None = None

    def __post_init__(self) -> None:
        by_class = [name for name in self.scores if "=" in name]
        if by_class and len(by_class) < len(self.scores):
            raise ValueError("--score: found COLUMN and LABEL=COLUMN, expected one of the two")
        if len(self.scores) > 1 and not by_class:
            raise ValueError("--score: found several columns, expected LABEL=COLUMN for each")

    @property
    def sliced(self) -> list[str]:
        """Every column of a slice, once."""
        return list(dict.fromkeys(name for names in self.slices for name in names))

    def kinds(self, task: str, *, reads_pred: bool, true: str | None) -> dict[str, Any]:
        """What `read_table` is to read.

        Args:
            task: the task.
            reads_pred: whether a metric reads what was predicted.
            true: what the cells of the true column are, if not what the task says.

        Raises:
            ValueError: a column that would have to be two things.
        """
        usual, pred = CELLS[task]
        found: dict[str, Any] = {self.true: true or usual}
        preds = self.preds if reads_pred else ()
        wanted = [
            *((name, pred) for name in preds),
            *((name, "number") for name in self._score_columns.values()),
            *((name, "number") for name in ([self.weight] if self.weight else [])),
            *((name, "label") for name in (*self.sliced, *([self.group] if self.group else []))),
        ]
        for name, kind in wanted:
            same = name in preds and (name == self.true or list(preds).count(name) > 1)
            if found.setdefault(name, kind) != kind or same:
                raise ValueError(f"the column {name!r} cannot serve as two things at once")
        if self.weight is not None:
            # What is weighted by its own size, say, is a number and a weight.
            found[self.weight] = "weight"
        return found

    def score(self, cells: Mapping[str, Sequence[Any]], label: Any) -> Any:
        """`y_score` of some rows; `label` is one of the true labels, which tells their kind."""
        columns = self._score_columns
        if None in columns:
            return cells[columns[None]]
        return {as_label(text, label): cells[name] for text, name in columns.items() if text}

    @property
    def _score_columns(self) -> dict[str | None, str]:
        """Label as text -> column; None for the positive class alone."""
        parts = [name.partition("=") for name in self.scores]
        return {text if column else None: column or text for text, _, column in parts}


def as_label(text: str, label: Any) -> Hashable:
    """A label that was typed, as the kind of label that a file holds.

    Raises:
        ValueError: the labels are integers or bools, and the text is none.

    Example:
        >>> as_label("1", 0), as_label("1", "0")
        (1, '1')
    """
    if isinstance(label, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(f"found the label {text!r}, expected true or false as in the file")
        return text.lower() == "true"
    if isinstance(label, int):
        try:
            return int(text)
        except ValueError:
            raise ValueError(
                f"found the label {text!r}, expected an integer as in the file"
            ) from None
    return text
