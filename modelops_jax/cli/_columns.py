"""Which columns of a file are what."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Columns:
    """The columns of an evaluation, by name.

    Args:
        true: what is right.
        preds: what was predicted, by each model; none: `y_pred`, or scores alone are compared.
        scores: of each model `COLUMN`, of the positive class, or a `LABEL=COLUMN` for every class,
            in the order of `preds`.
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
        preds = f"{len(self.preds)} --pred ({', '.join(self.preds)})" if self.preds else "no --pred"
        if by_class:
            counts = Counter(name.partition("=")[0] for name in by_class)
            each = max(1, len(self.preds))
            wrong = [f"{n} of {label!r}" for label, n in counts.items() if n != each]
            if wrong:
                raise ValueError(
                    f"--score: found columns {', '.join(wrong)} and {preds}; expected a "
                    "LABEL=COLUMN of every class for each --pred, in their order"
                )
        elif self.preds and self.scores and len(self.scores) != len(self.preds):
            raise ValueError(
                f"--score: found {len(self.scores)} ({', '.join(self.scores)}) and {preds}; "
                "expected a COLUMN for each --pred, in their order, or LABEL=COLUMN for every class"
            )
        for name, times in Counter(self.models).items():
            if times > 1:
                raise ValueError(f"the column {name!r} cannot serve as two things at once")

    @property
    def scores_alone(self) -> bool:
        """Whether models are compared by scores, without what they predicted."""
        return not self.preds and len(self._by_model) > 1

    @property
    def models(self) -> list[str]:
        """The models, named by the column of what they predicted, or else of their scores."""
        return list(self.scores) if self.scores_alone else self.predicted

    @property
    def predicted(self) -> list[str]:
        """The columns of what was predicted."""
        return [] if self.scores_alone else list(self.preds or ["y_pred"])

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
        preds = self.predicted if reads_pred else []
        wanted = [
            *((name, pred) for name in preds),
            *((name, "number") for own in self._by_model for name in own.values()),
            *((name, "number") for name in ([self.weight] if self.weight else [])),
            *((name, "label") for name in (*self.sliced, *([self.group] if self.group else []))),
        ]
        for name, kind in wanted:
            same = name in preds and name == self.true
            if found.setdefault(name, kind) != kind or same:
                raise ValueError(f"the column {name!r} cannot serve as two things at once")
        if self.weight is not None:
            # What is weighted by its own size, say, is a number and a weight.
            found[self.weight] = "weight"
        return found

    def score(self, cells: Mapping[str, Any], label: Any, model: str) -> Any:
        """`y_score` of some rows by a model, None without scores.

        Args:
            cells: the columns.
            label: one of the true labels, which tells their kind.
            model: one of `models`.
        """
        if not self.scores:
            return None
        columns = self._by_model[self.models.index(model)]
        if None in columns:
            return cells[columns[None]]
        return {as_label(text, label): cells[name] for text, name in columns.items() if text}

    @property
    def _by_model(self) -> list[dict[str | None, str]]:
        """Of each model label as text -> column; None for the positive class alone."""
        found: list[dict[str | None, str]] = []
        for name in self.scores:
            label, of_class, column = name.partition("=")
            if not of_class:
                found.append({None: name})
                continue
            own = next((one for one in found if label not in one), None)
            if own is None:
                found.append(own := {})
            own[label] = column
        return found


def check_labels(
    file: Path,
    columns: Mapping[str, Sequence[Any]],
    lines: Sequence[int],
    names: Sequence[str],
    *,
    fractions: bool,
) -> None:
    """Refuse columns of labels that are most likely something else.

    Args:
        file: where they are from.
        columns: the first rows, by column.
        lines: of each row.
        names: the columns.
        fractions: whether texts that are numbers, some of them fractions, may be labels.

    Raises:
        ValueError: integers in one column and texts in another, naming the first cell that is no
            integer, as a file of text writes them: one such cell makes texts of its column; or a
            fraction, naming the tasks that it may be meant for.
    """
    whole = next((n for n in names if isinstance(columns[n][0], int)), None)
    for name in names:
        cells = columns[name]
        if whole is None or not isinstance(cells[0], str):
            continue
        place = next((i for i, cell in enumerate(cells) if not _INTEGER.fullmatch(cell)), 0)
        raise ValueError(
            f"{file}, line {lines[place]}: {name}: found {cells[place][:40]!r}, expected "
            f"{'true or false' if isinstance(columns[whole][0], bool) else 'an integer'} as in "
            f"{whole}: labels are of one kind in all columns"
        )
    places = [place for name in names if (place := _fraction(columns[name])) is not None]
    if names and len(places) == len(names) and not fractions:
        place, name = places[0], names[0]
        raise ValueError(
            f"{file}, line {lines[place]}: {name}: found {columns[name][place][:40]!r}, and "
            f"numbers throughout {' and '.join(names)}; expected labels, or --task regression "
            "(with --task classification these numbers are names of classes)"
        )


def _fraction(cells: Sequence[Any]) -> int | None:
    """The place of the first fraction of texts that are all numbers; None where there is none."""
    from modelops_jax.data import CellError, number_of_text

    try:
        values = [number_of_text(cell) for cell in cells if isinstance(cell, str)]
    except CellError:
        return None
    places = (i for i, value in enumerate(values) if not float(value).is_integer())
    return next(places, None) if len(values) == len(cells) else None


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
