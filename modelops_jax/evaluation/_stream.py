"""Evaluating rows that come in batches, in several processes, or on several days."""

import functools
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from modelops_jax._state_file import read_state, refuse_other, write_state

from ._builtin import BuiltIn, by_reader
from ._columns import check_columns
from ._evaluator_like import EvaluatorLike
from ._finish import (
    Group,
    check_confidence,
    configuration_of,
    finish,
    read_together,
    refuse_weighted_own,
)
from ._grouped_rows import GroupedRows
from ._result import EvaluationResult
from ._running import KeptRows, Running
from ._running_slices import RunningSlices, asked_again
from ._sharded import gathered
from ._slicing import read_slices
from ._streamed import running, states_of_batch
from ._vectors import listed
from ._weights import TotalWeight, of_positive_weight, unless_alike, with_total


class EvaluationStream:
    """The evaluation of all rows seen so far; `ModelEvaluator.stream` makes one.

    `result` is what `ModelEvaluator.evaluate` gives for all rows together: the values of label
    metrics exactly, those of numbers to 1e-12. Labels are any hashable values, and classes that
    first appear late count from there on. The memory a stream needs does not grow with the rows
    (of labels: with the pairs of classes that occur; with `slices` also with their number),
    other than for the metrics that `keeps_rows` names. Rows that come with `groups` are all kept.

    Args:
        evaluator: whose metrics to compute; metrics added to it later are not part of the stream.
        resamples: of sums, and of counts of weighted rows, drawn as rows come in for their
            intervals; 0: these have none.
        seed: of these.

    Example:
        >>> from modelops_jax.evaluation import ModelEvaluator
        >>> stream = ModelEvaluator("classification").stream()
        >>> stream.update(["ham", "spam"], ["ham", "ham"])
        >>> stream.update(["spam"], ["spam"])
        >>> stream.result().metrics["f1"], stream.rows
        (0.6666666666666666, 3)
    """

    def __init__(self, evaluator: EvaluatorLike, *, resamples: int = 0, seed: int = 0) -> None:
        self.task_type = evaluator.task_type
        self._metrics: dict[str, Any] = {metric.name: metric for metric in evaluator.metrics}
        built_in = {name: m for name, m in self._metrics.items() if isinstance(m, BuiltIn)}
        self._members: list[Mapping[str, BuiltIn]] = []
        self._running: list[Running] = []
        for read, members in by_reader(built_in).items():
            self._members.append(members)
            self._running.append(running(read, members))
        self._resamples, self._seed = resamples, seed
        if resamples:
            for state in self._running:
                state.resample(resamples, seed)
        self._custom = [name for name in self._metrics if name not in built_in]
        if self._custom:
            self._running.append(KeptRows())
        self._grouped: GroupedRows | None = None
        self._slices: RunningSlices | None = None
        self._weight: TotalWeight | None = None
        self._rows = 0

    @property
    def rows(self) -> int:
        """Rows so far, less those of weight 0."""
        return self._rows

    @property
    def keeps_rows(self) -> tuple[str, ...]:
        """The metrics for which every row is kept, so that memory grows with them.

        Exact AUROC and average precision, adaptive calibration errors, medians and ranks, all of
        the task RANKING, and metrics of your own; all metrics of rows that come with their groups,
        or with slices and a metric that has no state of each slice (see `update`).
        """
        if self._grouped is not None:
            return tuple(self._metrics)
        kept = {
            name
            for members, state in zip(self._members, self._running, strict=False)
            for name in state.kept_for(members)
        }
        return tuple(name for name in self._metrics if name in kept or name in self._custom)

    @property
    def resamples_rows(self) -> tuple[str, ...]:
        """The metrics whose interval needs the rows, so that `result` gives them none.

        Sums; once rows have weights other than 1, counts as well. With `groups` they have one, also
        where every row is a group of its own.
        """
        return () if self._grouped is not None or self._resamples else self._from_rows

    @property
    def _from_rows(self) -> tuple[str, ...]:
        """The metrics whose interval resamples rows that are not kept."""
        found = {name for state in self._running for name in state.resamples_rows()}
        return tuple(name for name in self._metrics if name in found)

    def update(
        self,
        y_true: Iterable[Any],
        y_pred: Iterable[Any] | None,
        *,
        y_score: Any = None,
        weight: Iterable[Any] | None = None,
        groups: Iterable[Any] | None = None,
        slices: Mapping[str | tuple[str, ...], Any] | None = None,
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: what is right, one entry per row (see `ModelEvaluator`).
            y_pred: what was predicted, of the same length; None if no metric reads it.
            y_score: as for `ModelEvaluator.evaluate`.
            weight: as for `ModelEvaluator.evaluate`, with every batch or with none. Rows of weight
                0 are left out before anything else. Slices of weighted rows have no interval.
            groups: as for `ModelEvaluator.evaluate`, with every batch or with none. The rows of a
                group, or of a query, may come in several batches, for which all rows are kept.
            slices: as for `ModelEvaluator.evaluate`, with every batch or with none. Each slice is
                counted as all rows are. All rows are kept with a maximum, a median or ranks, exact
                or sketched areas beside labels, calibration errors, metrics of several labels a row
                other than subset accuracy, and several outputs a row.

        Raises:
            TypeError: entries of the wrong kind, or labels of another kind than the rows before.
            ValueError: two lengths, entries that no definition covers, or groups, slices or weights
                with some batches only. After an error the stream is as it was before the call.
        """
        y_true, y_pred, groups, weight = map(listed, (y_true, y_pred, groups, weight))
        rows = check_columns(self._metrics, y_true, y_pred, y_score)
        if weight is not None:
            y_true, y_pred = gathered(y_true), gathered(y_pred)
        given = {"y_true": y_true, "y_pred": y_pred, "y_score": y_score, "groups": groups}
        own, rows, y_true, y_pred, y_score, groups, slices = of_positive_weight(
            weight, rows, **given, slices=slices
        )
        refuse_weighted_own(self._metrics, unless_alike(own))
        batch = RunningSlices(slicings := read_slices(slices or {}, rows))
        self._check_given("these rows", rows, groups is not None, own is not None)
        if rows:
            self._check_slices(batch)
        total = None if own is None else TotalWeight.of(own)
        states = None
        if groups is None and (self._grouped is None or not slicings):
            first = not self._rows
            columns = y_true, y_pred, y_score
            states = states_of_batch(self._running, *columns, slicings, own, first=first)
        if states is None:
            columns = {name: one for name, one in (slices or {}).items() if isinstance(name, str)}
            self._update_grouped(
                rows,
                columns or None,
                y_true=y_true,
                y_pred=y_pred,
                y_score=y_score,
                groups=groups,
                weight=own,
            )
            self._slices = self._slices or (batch if rows and slicings else None)
        elif rows or not (slicings or self._slices):
            self._add(states, rows, batch)
        if rows:
            self._add_weight(total)

    def merge(self, other: "EvaluationStream") -> None:
        """Add the rows of another stream of the same metrics, which stays as it is.

        Raises:
            ValueError: a stream of other metrics, or resamples that were drawn as rows came, which
                would be drawn alike in both.
            TypeError: labels of another kind.
        """
        if other._description() != self._description():
            raise ValueError(
                f"the other stream is of {other._description()}; expected {self._description()}"
            )
        if self._resamples or other._resamples:
            raise ValueError("streams that draw resamples cannot be merged")
        if not other._rows:
            return
        given = other._in_groups, other._weight is not None
        self._check_given("the rows of the other stream", other._rows, *given)
        self._check_slices(other._slices or RunningSlices())
        if self._rows and (self._grouped is None) != (other._grouped is None):
            raise ValueError(
                "the rows of the other stream have another number of outputs or classes"
            )
        if other._grouped is not None:
            self._add_grouped(other._grouped, other._rows)
            self._slices = self._slices or other._slices
        else:
            self._add(other._running, other._rows, other._slices or RunningSlices())
        self._add_weight(other._weight)

    def result(
        self,
        *,
        confidence: float | int | None = None,
        interval: str = "auto",
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> EvaluationResult:
        """Compute the metrics of all rows so far; more rows can follow.

        Args:
            confidence: the level of the intervals to compute, in (0, 1); None: none. Metrics of
                counts and of kept rows have one, the same as from `ModelEvaluator.evaluate`; sums,
                and counts of weighted rows, would need their rows again (`resamples_rows`). With
                groups all have the one that they have there. The tests of slices are those of
                `evaluate`.
            interval: as for `ModelEvaluator.evaluate`; what is resampled as rows come in has the
                percentile interval.
            n_resamples: of the bootstrap; of a stream that draws them those of the stream.
            seed: of the bootstrap; the same.

        Returns:
            What `ModelEvaluator.evaluate` returns.

        Raises:
            ValueError: a confidence outside (0, 1), rows that do not fit the task or a metric, or
                other resamples than the stream draws, or another interval than these give.
            MetricError: a metric of your own raised; the error names it.

        Warns:
            UndefinedMetricWarning: a metric has no definition on these rows.
            NoIntervalWarning: intervals were asked for and a metric has none.
        """
        as_drawn = (n_resamples, seed) == (self._resamples, self._seed)
        if self._resamples and confidence is not None and not as_drawn:
            raise ValueError(
                f"found n_resamples={n_resamples} and seed={seed}; the stream draws "
                f"{self._resamples} resamples by the seed {self._seed}"
            )
        if self._grouped is not None:
            rows = self._grouped.columns()
            rows["weight"] = unless_alike(rows["weight"])
            asked = asked_again(self._slices, rows.pop("slices"))
            slicings = read_slices(asked, self._rows)
            wanted = check_confidence(confidence, seed, rows["groups"], interval, n_resamples)
            columns = rows["y_true"], rows["y_pred"]
            groups = read_together(self._metrics, **rows)
            found = finish(
                self.task_type, self._metrics, groups, columns, self._rows, wanted, slicings
            )
            return with_total(found, self._total_weight)
        wanted = check_confidence(confidence, seed, None, interval, n_resamples)
        drawn = self._from_rows if self._resamples and wanted is not None else ()
        if drawn and interval not in ("auto", "percentile"):
            raise ValueError(
                f"interval is {interval!r}; {', '.join(drawn)}: resampled as rows come in, which "
                "gives percentile intervals alone"
            )
        slicings, orders = self._slices.slicings() if self._slices else ([], [])
        both = zip(self._members, self._running, strict=False)
        groups = [
            Group(members, functools.partial(state.evidence, orders)) for members, state in both
        ]
        kept = self._running[-1]
        columns = kept.columns() if isinstance(kept, KeptRows) else None
        found = finish(self.task_type, self._metrics, groups, columns, self._rows, wanted, slicings)
        return with_total(found, self._total_weight)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, whole or not at all: arrays and JSON, nothing executable.

        Raises:
            OSError: the file cannot be written.
            TypeError: labels or kept rows other than numbers, bools and strings.
            ValueError: a stream with slices or resamples, which have no such form.
        """
        if self._slices is not None or self._resamples:
            raise ValueError("a stream with slices or resamples cannot be saved")
        sections, arrays = [], {}
        for place, state in enumerate(self._running):
            facts, own = state.saved()
            sections.append(facts)
            arrays |= {f"{place}/{name}": array for name, array in own.items()}
        facts = {"of": self._description(), "rows": self._rows, "sections": sections}
        if self._weight is not None:
            facts["weight"] = [self._weight.parts, self._weight.alike]
        if self._grouped is not None:
            facts["grouped"], own = self._grouped.saved()
            arrays |= {f"grouped/{name}": array for name, array in own.items()}
        write_state(path, type(self).__name__, facts, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], evaluator: EvaluatorLike) -> "EvaluationStream":
        """Read a stream that `save` wrote.

        Args:
            path: the file.
            evaluator: one with the metrics of the one that made the stream.

        Raises:
            OSError: the file cannot be read.
            ValueError: no such state, a damaged one, or one of other metrics.
        """
        stream = cls(evaluator)
        facts, arrays = read_state(path, cls.__name__)
        refuse_other(path, facts["of"], stream._description())
        stream._rows = facts["rows"]
        if "weight" in facts:
            parts, alike = facts["weight"]
            stream._weight = TotalWeight(tuple(parts), alike)
        for place, (state, section) in enumerate(
            zip(stream._running, facts["sections"], strict=True)
        ):
            state.restore(section, _below(f"{place}/", arrays))
        if "grouped" in facts:
            stream._grouped = GroupedRows.restored(facts["grouped"], _below("grouped/", arrays))
        return stream

    def _description(self) -> dict[str, str]:
        """The task and the metrics with their configuration."""
        return {"task": self.task_type.value, **configuration_of(self._metrics)}

    def _check_slices(self, slices: RunningSlices) -> None:
        if self._rows:
            (self._slices or RunningSlices()).check(slices)

    def _check_given(self, what: str, rows: int, grouped: bool, weighted: bool) -> None:
        """Refuse rows that have groups or weights where those before have none, or lack them."""
        for name, now, before in (
            ("groups", grouped, self._in_groups),
            ("weights", weighted, self._weight is not None),
        ):
            if rows and self._rows and now != before:
                given, then = ("", "no ") if now else ("no ", "")
                raise ValueError(f"{what} have {given}{name}; the rows before have {then}{name}")

    def _add_weight(self, weight: TotalWeight | None) -> None:
        self._weight = weight if self._weight is None or weight is None else self._weight + weight

    @property
    def _total_weight(self) -> float | None:
        return None if self._weight is None else self._weight.value

    @property
    def _in_groups(self) -> bool:
        return self._grouped is not None and self._grouped.in_groups

    def _update_grouped(self, rows: int, slices: Any, **columns: Any) -> None:
        if columns["groups"] is not None and not hasattr(columns["groups"], "__array__"):
            columns["groups"] = list(columns["groups"])
        if columns["groups"] is not None and len(columns["groups"]) != rows:
            raise ValueError(f"groups has {len(columns['groups'])} entries and y_true has {rows}")
        own = unless_alike(columns["weight"])
        for group in read_together(self._metrics, **columns | {"weight": own}):
            group.evidence()
        if rows:
            self._add_grouped(GroupedRows.of_batch(**columns, slices=slices), rows)

    def _add_grouped(self, batch: GroupedRows, rows: int) -> None:
        self._grouped = batch if self._grouped is None else self._grouped + batch
        self._rows += rows

    def _add(self, states: list[Any], rows: int, slices: RunningSlices) -> None:
        for mine, new in zip(self._running, states, strict=True):
            mine.check(new)
        numbers = []
        if slices.columns:
            self._slices = self._slices or slices.of_no_rows()
            numbers = self._slices.merge(slices, keep=any(one.keeps_rows for one in self._running))
        for mine, new in zip(self._running, states, strict=True):
            mine.merge(new, numbers)
        self._rows += rows

    def __repr__(self) -> str:
        return (
            f"EvaluationStream({self.task_type}, metrics={list(self._metrics)}, rows={self._rows})"
        )


def _below(start: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names have this start, by what follows it."""
    return {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
