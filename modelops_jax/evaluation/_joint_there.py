"""What is asked of the rows of several models that lie on devices, for each way of reading them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeGuard, runtime_checkable

import jax
import numpy as np

from modelops_jax._distinct_shards import DistinctRows, distinct_rows_of_shards

from ._builtin import OnePassMetric, Reader
from ._compared import Question, RowSample, bind_all
from ._evidence import Evidence, Pair
from ._front_rows import only_these, put_in_front
from ._joint import Compared, Joint
from ._joint_labels import JointLabels
from ._label_codes import label_codes
from ._label_pair import LabelReader
from ._labels import CodedLabels, label_to_ignore
from ._likelihoods import reads_scores
from ._queries import ByQuery, QueryPair, read_queries
from ._rows_there import RowsThere, groups_there, rows_there
from ._sharded import on_devices, placed_among


@runtime_checkable
class Read(Protocol):
    """The rows of all models, as some metrics of one reader take them."""

    @property
    def members(self) -> Mapping[str, OnePassMetric]:
        """The metrics."""
        ...

    def evidence(self, model: str) -> Evidence:
        """What an evaluation of one model would have."""
        ...

    def compare(self, question: Question) -> Compared:
        """The models by each metric that can be compared, and why the others cannot."""
        ...


@dataclass(frozen=True)
class PairsThere:
    """Pairs that are read where they lie; of all models `y_true` is one."""

    members: Mapping[str, OnePassMetric]
    pairs: Mapping[str, Pair]
    rows: RowsThere

    def evidence(self, model: str) -> Evidence:
        pair, weight = self.pairs[model], self.rows.weight
        return pair if weight is None else pair.weighted(weight)

    def compare(self, question: Question) -> Compared:
        first = next(iter(self.pairs.values()))
        bound, refused = bind_all(first, self.members, self.rows.unlike)
        said = {model: pair.y_pred for model, pair in self.pairs.items()}
        rows = self.rows
        if isinstance(first, QueryPair):
            rows = replace(rows, groups=first.queries)
        return _sample(first.y_true, said, rows, question).compare(bound), refused


@dataclass(frozen=True)
class LabelsThere:
    """Labels of rows that weigh differently or are in groups: counted, and as they lie."""

    counted: JointLabels
    codes: Sequence[jax.Array]
    rows: RowsThere

    @property
    def members(self) -> Mapping[str, OnePassMetric]:
        return self.counted.members

    def evidence(self, model: str) -> Evidence:
        return self.counted.evidence(model)

    def compare(self, question: Question) -> Compared:
        bound, refused = self.counted.bind(unlike=True)
        true, *preds = self.codes
        said = dict(zip(self.counted.models, preds, strict=True))
        return _sample(true, said, self.rows, question).compare(bound), refused


def read_there(
    read: Reader,
    members: Mapping[str, OnePassMetric],
    models: Sequence[str],
    rows: RowsThere,
    drawing: Mapping[str, Any],
) -> Read | None:
    """Read the rows of all models for metrics of one reader; None: the host has to.

    Raises:
        TypeError: what the reader refuses.
        ValueError: what the reader refuses, or predictions of two shapes.
    """
    second = {model: _second(rows, model, scores=reads_scores(read)) for model in models}
    if isinstance(read, LabelReader):
        none = JointLabels(read, members, models, **drawing)
        return _labels_there(none, read.ignore_index, rows, second)
    if read is read_queries:
        second = {model: ByQuery(column, rows.groups) for model, column in second.items()}
    pairs = {model: read(rows.y_true, column) for model, column in second.items()}
    shapes = {model: pair.y_pred.shape for model, pair in pairs.items()}
    if not all(on_devices(pair.y_true, pair.y_pred) for pair in pairs.values()):
        return None
    if len(set(shapes.values())) > 1:
        raise ValueError(f"found rows of the shapes {shapes}; expected the same of all models")
    return PairsThere(members, pairs, rows)


def counts_labels(state: Joint) -> TypeGuard[JointLabels]:
    """Whether a state is of labels, which can be counted where they lie."""
    return isinstance(state, JointLabels)


def counted_there(state: Joint, rows: RowsThere) -> JointLabels | None:
    """The state of labels of independent rows that count once; None: the host has to read them."""
    if not counts_labels(state):
        return None
    found = read_there(state.read, state.members, state.models, rows, state.drawing)
    assert found is None or isinstance(found, JointLabels)
    return found


def models_there(
    y_true: Any, said: Mapping[str, Any], scored: Mapping[str, Any], weight: Any, groups: Any
) -> RowsThere | None:
    """The rows that several models predicted, where all columns lie on devices, else None.

    Args:
        y_true: what is right.
        said: by model what it predicted; None if no metric reads it.
        scored: by model the scores; None if no metric reads them.
        weight: of each row; None: each counts once.
        groups: the id of each row; None: rows are independent.

    Raises:
        TypeError: what `rows_there` refuses.
        ValueError: what `rows_there` refuses.
    """
    columns = {"y_true": y_true}
    columns |= {f"predictions[{model!r}]": column for model, column in said.items()}
    columns |= {f"scores[{model!r}]": column for model, column in scored.items()}
    return rows_there(columns, weight, groups)


def sides_of(rows: RowsThere, model: str) -> tuple[Any, Any]:
    """What is right and what a model predicted, for metrics of a caller's own."""
    return rows.given("y_true"), rows.given(f"predictions[{model!r}]")


def _second(rows: RowsThere, model: str, *, scores: bool) -> Any:
    """What a metric reads second of the rows of a model."""
    said = rows.columns.get(f"predictions[{model!r}]")
    scored = rows.columns.get(f"scores[{model!r}]")
    return scored if scores and scored is not None else said


def _labels_there(
    none: JointLabels, ignore_index: Any, rows: RowsThere, second: Mapping[str, Any]
) -> Read | None:
    sides = rows.y_true, *second.values()
    coded = label_codes(*sides) if all(side.ndim == 1 for side in sides) else None
    if coded is None:
        return None
    codes = coded.of(*sides)
    widths = [coded.size] * len(codes)
    found = distinct_rows_of_shards(codes, widths, rows.weight, *rows.layout)
    present = np.unique(found.rows)
    classes = coded.classes(present)
    ignored = label_to_ignore(ignore_index, CodedLabels(classes, {}))
    left_out = found.rows[:, 0] == (-1 if ignored is None else present[ignored])
    if rows.unlike and 0 < left_out.sum() < len(left_out):
        # A row draws by its place among those that are not to be ignored.
        own = only_these(codes[0] != int(present[ignored]), rows.weight)
        own, (codes, groups) = put_in_front(own, (codes, groups_there(rows.groups, codes[0])))
        rows = replace(rows, weight=own, groups=groups)
    kept = found.rows[~left_out]
    present = np.unique(kept)
    weights = None if found.weights is None else found.weights[~left_out]
    there = DistinctRows(np.searchsorted(present, kept), found.counts[~left_out], weights)
    number = int(found.counts[left_out].sum())
    counted = none.of_counts(coded.classes(present), there, number)
    if not rows.unlike:
        return counted
    return LabelsThere(counted, [placed_among(column, present) for column in codes], rows)


def _sample(true: Any, said: Mapping[str, Any], rows: RowsThere, question: Question) -> RowSample:
    asked = replace(question, confidence=replace(question.confidence, groups=rows.groups))
    return RowSample({model: true for model in said}, said, asked, rows.weight)


def states_there(
    readers: Mapping[Reader, Mapping[str, Any]],
    models: Sequence[str],
    rows: RowsThere,
    drawing: Mapping[str, Any],
) -> list[Read] | None:
    """What each reader reads of the rows where they lie; None where one of them cannot."""
    found = []
    for read, members in readers.items():
        one = read_there(read, members, models, rows, drawing)
        if one is None:
            return None
        found.append(one)
    return found
