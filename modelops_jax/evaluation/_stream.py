"""Evaluating rows that come in batches, in several processes, or on several days."""

import functools
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from modelops_jax._state_file import read_state, refuse_other
from modelops_jax.metrics import NanPolicy, check_nan_policy

from ._batch import read_batch
from ._builtin import BuiltIn, by_reader
from ._errors import UndefinedMetricWarning
from ._evaluator_like import EvaluatorLike
from ._finish import (
    Group,
    check_confidence,
    configuration_of,
    finish,
    refuse_weighted_own,
)
from ._grouped_rows import GroupedRows, read_again, read_grouped
from ._nan_rows import with_nan
from ._result import EvaluationResult
from ._running import KeptRows, Running
from ._running_slices import RunningSlices
from ._slicing import Slicing, read_slices
from ._stream_file import KIND, restore_states, write_stream
from ._streamed import running, states_of_batch
from ._weights import TotalWeight, unless_alike, with_total


class EvaluationStream:
    """The evaluation of all rows seen so far; `ModelEvaluator.stream` makes one.

    `result` is what `ModelEvaluator.evaluate` gives for all rows together: the values of label
    metrics exactly, those of numbers to 1e-12. Labels are hashable values of one type (tuples in a
    NumPy array of objects), and classes that first appear late count from there on. The memory a
    stream needs does not grow with the rows (of labels: with the pairs of classes that occur; with
    `slices` also with their number), other than for the metrics that `keeps_rows` names. Rows that
    come with `groups` are all kept.

    Args:
        evaluator: whose metrics to compute; metrics added to it later are not part of the stream.
        resamples: of sums, and of counts of weighted rows, drawn as rows come in for their
            intervals and those of their slices; 0: these have none.
        seed: of these.
        nan_policy: what becomes of rows that hold nan, as for `ModelEvaluator.evaluate`: "raise",
            "omit" or "propagate".

    Raises:
        ValueError: another policy.

    Example:
        >>> from modelops_jax.evaluation import ModelEvaluator
        >>> stream = ModelEvaluator("classification").stream()
        >>> stream.update(["ham", "spam"], ["ham", "ham"])
        >>> stream.update(["spam"], ["spam"])
        >>> stream.result().metrics["f1"], stream.rows
        (0.6666666666666666, 3)
    """

    def __init__(
        self,
        evaluator: EvaluatorLike,
        *,
        resamples: int = 0,
        seed: int = 0,
        nan_policy: NanPolicy | str = "raise",
    ) -> None:
        check_nan_policy(nan_policy)
        self._nan_policy = nan_policy
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
        self._rows = self._omitted = 0
        # By metric how many rows hold nan that it reads: its value is nan, and it has no state.
        self._nans: dict[str, int] = {}

    @property
    def rows(self) -> int:
        """Rows so far, less those of weight 0 and those that were left out because of nan."""
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
        """The metrics whose bootstrap needs the rows, so that `result` gives them none.

        Sums; once rows have weights other than 1, counts as well. A share of rows without such
        weights, as top-k accuracy is, still has Wilson's interval. With `groups` they have one,
        also where every row is a group of its own.
        """
        return () if self._grouped is not None or self._resamples else self._from_rows()

    def _from_rows(self, interval: str = "percentile") -> tuple[str, ...]:
        """The metrics whose interval by this method resamples rows that are not kept."""
        found = {name for state in self._running for name in state.resamples_rows(interval)}
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
                0 are left out before anything else.
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
        batch = read_batch(
            self._metrics, self._nan_policy, y_true=y_true, y_pred=y_pred, y_score=y_score,
            weight=weight, groups=groups, slices=slices,
        )  # fmt: skip
        rows, own = batch.rows, batch.weight
        refuse_weighted_own(self._metrics, unless_alike(own))
        sliced = RunningSlices(slicings := read_slices(batch.slices or {}, rows))
        if rows:
            self._check_given("these rows", batch.groups is not None, own is not None, sliced)
        total = None if own is None else TotalWeight.of(own)
        nans = self._nans_with(batch.nans or {})
        states = None
        if batch.groups is None and (self._grouped is None or not slicings):
            defined = self._defined(nans)
            states = states_of_batch(defined, batch, slicings, first=not self._rows)
        if states is None:
            kept = read_grouped(self._not_nan(nans), batch)
            if rows:
                self._add_grouped(kept, rows)
            self._slices = self._slices or (sliced if rows and slicings else None)
        elif rows or not (slicings or self._slices):
            self._add(self._defined(nans), states, rows, sliced)
        if rows:
            self._add_weight(total)
        self._omitted, self._nans = self._omitted + batch.omitted, nans

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
            self._omitted += other._omitted
            return
        given = other._in_groups, other._weight is not None, other._slices or RunningSlices()
        self._check_given("the rows of the other stream", *given)
        if self._rows and (self._grouped is None) != (other._grouped is None):
            raise ValueError(
                "the rows of the other stream have another number of outputs or classes"
            )
        if other._grouped is not None:
            self._add_grouped(other._grouped, other._rows)
            self._slices = self._slices or other._slices
        else:
            nans = self._nans_with(other._nans)
            both = self._defined(nans), other._defined(nans)
            self._add(*both, other._rows, other._slices or RunningSlices())
        self._add_weight(other._weight)
        self._omitted, self._nans = self._omitted + other._omitted, self._nans_with(other._nans)

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
                counts, shares and kept rows have one, the same as `ModelEvaluator.evaluate`; sums,
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
        defined = self._not_nan(self._nans)
        if self._grouped is None:
            groups, columns, slicings, ids = self._from_states()
        else:
            kept = self._grouped, self._slices, self._rows
            groups, columns, slicings, ids = read_again(defined, *kept)
        wanted = check_confidence(confidence, seed, ids, interval, n_resamples)
        drawn = self._from_rows(interval) if self._resamples and wanted is not None else ()
        if drawn and self._grouped is None and interval not in ("auto", "percentile"):
            raise ValueError(
                f"interval is {interval!r}; {', '.join(drawn)}: resampled as rows come in, which "
                "gives percentile intervals alone"
            )
        found = finish(self.task_type, defined, groups, columns, self._rows, wanted, slicings)
        if self._omitted:
            found = replace(found, invalid_count=self._omitted)
        found = with_total(found, None if self._weight is None else self._weight.value)
        if self._nans:
            found, rules = with_nan(found, self._nans, self._metrics)
            for rule in rules.values():
                warnings.warn(rule, UndefinedMetricWarning, stacklevel=2)
        return found

    def _from_states(self) -> tuple[list[Group], Any, list[Slicing], Any]:
        """What a result is made of, from the states."""
        slicings, orders = self._slices.slicings() if self._slices else ([], [])
        groups = [
            Group(members, functools.partial(state.evidence, orders))
            for members, state in zip(self._members, self._running, strict=False)
            if not members.keys() & self._nans
        ]
        kept = self._running[-1]
        return groups, kept.columns() if isinstance(kept, KeptRows) else None, slicings, None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, whole or not at all: arrays and JSON, nothing executable.

        Raises:
            OSError: the file cannot be written.
            TypeError: labels, those of slices too, or kept rows other than numbers, bools and
                strings.
        """
        facts = {
            "of": self._description(),
            "rows": self._rows,
            "weight": self._weight and [self._weight.parts, self._weight.alike],
            "nan": [self._nan_policy, self._omitted, self._nans],
            "resamples": [self._resamples, self._seed],
        }
        write_stream(path, facts, self._running, self._grouped, self._slices)

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
        facts, arrays = read_state(path, KIND)
        (policy, omitted, nans), (resamples, seed) = facts["nan"], facts["resamples"]
        stream = cls(evaluator, resamples=resamples, seed=seed, nan_policy=policy)
        refuse_other(path, facts["of"], stream._description())
        stream._rows, stream._omitted, stream._nans = facts["rows"], omitted, nans
        if facts.get("weight"):
            parts, alike = facts["weight"]
            stream._weight = TotalWeight(tuple(parts), alike)
        kept = restore_states(stream._running, facts, arrays)
        stream._grouped, stream._slices = kept
        return stream

    def _description(self) -> dict[str, str]:
        """The task, the metrics with their configuration, and what becomes of nan."""
        policy = {} if self._nan_policy == "raise" else {"nan_policy": self._nan_policy}
        return {"task": self.task_type.value, **policy, **configuration_of(self._metrics)}

    def _check_given(self, what: str, grouped: bool, weighted: bool, slices: RunningSlices) -> None:
        """Refuse rows that have groups, weights or slices where those before have others, or none.

        Raises:
            ValueError: saying which have which.
            TypeError: slices of another kind.
        """
        if not self._rows:
            return
        for name, now, before in (
            ("groups", grouped, self._in_groups),
            ("weights", weighted, self._weight is not None),
        ):
            if now != before:
                given, then = ("", "no ") if now else ("no ", "")
                raise ValueError(f"{what} have {given}{name}; the rows before have {then}{name}")
        (self._slices or RunningSlices()).check(slices)

    def _add_weight(self, weight: TotalWeight | None) -> None:
        self._weight = weight if self._weight is None or weight is None else self._weight + weight

    @property
    def _in_groups(self) -> bool:
        return self._grouped is not None and self._grouped.in_groups

    def _defined(self, nans: Mapping[str, int]) -> list[Running]:
        """The states of metrics that are not nan; those of one state all are or none is."""
        names = [next(iter(members)) for members in self._members] + self._custom[:1]
        both = zip(names, self._running, strict=True)
        return [state for name, state in both if name not in nans]

    def _not_nan(self, nans: Mapping[str, int]) -> dict[str, Any]:
        return {name: metric for name, metric in self._metrics.items() if name not in nans}

    def _nans_with(self, more: Mapping[str, int]) -> dict[str, int]:
        counts = {name: self._nans.get(name, 0) + more.get(name, 0) for name in self._metrics}
        return {name: count for name, count in counts.items() if count}

    def _add_grouped(self, batch: GroupedRows, rows: int) -> None:
        self._grouped = batch if self._grouped is None else self._grouped + batch
        self._rows += rows

    def _add(
        self, before: list[Running], states: list[Any], rows: int, slices: RunningSlices
    ) -> None:
        for mine, new in zip(before, states, strict=True):
            mine.check(new)
        numbers = []
        if slices.columns:
            self._slices = self._slices or slices.of_no_rows()
            numbers = self._slices.merge(slices, keep=any(one.keeps_rows for one in self._running))
        for mine, new in zip(before, states, strict=True):
            mine.merge(new, numbers)
        self._rows += rows

    def __repr__(self) -> str:
        return (
            f"EvaluationStream({self.task_type}, metrics={list(self._metrics)}, rows={self._rows})"
        )
