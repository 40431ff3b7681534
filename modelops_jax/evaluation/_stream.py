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
from ._divided import Divided, Given, divide, groups_of
from ._errors import UndefinedMetricWarning
from ._evaluator_like import EvaluatorLike
from ._finish import Group, check_confidence, configuration_of, finish, refuse_weighted_own
from ._grouped_rows import GroupedRows, read_again, read_grouped
from ._grouped_states import in_groups
from ._nan_rows import with_nan
from ._result import EvaluationResult
from ._running import KeptRows, Running
from ._running_slices import RunningSlices
from ._slicing import Slicing
from ._stream_file import KIND, restore_divided, restore_states, write_stream
from ._streamed import running, states_of_batch
from ._weights import TotalWeight, unless_alike, with_total


class EvaluationStream:
    """The evaluation of all rows seen so far; `ModelEvaluator.stream` makes one.

    `result` is what `ModelEvaluator.evaluate` gives for all rows together: the values of label
    metrics exactly, those of numbers to 1e-12. Labels are hashable values of one type (tuples in a
    NumPy array of objects), and classes that first appear late count from there on. The memory a
    stream needs does not grow with the rows (of labels: with the pairs of classes that occur; with
    `slices` or `groups` with their number), other than for the metrics that `keeps_rows` names.

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
        readers = by_reader(built_in)
        self._members = list(readers.values())
        self._of_rows = [running(read, members) for read, members in readers.items()]
        self._resamples, self._seed = resamples, seed
        for state in self._of_rows if resamples else ():
            state.resample(resamples, seed)
        self._custom = [name for name in self._metrics if name not in built_in]
        if self._custom:
            self._of_rows.append(KeptRows())
        found = [in_groups(state) for state in self._of_rows]
        # The states of rows in groups; None: all of them are needed at once.
        self._of_groups = None if None in found else [one for one in found if one is not None]
        self._grouped: GroupedRows | None = None
        self._slices: Divided | None = None
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
        the task RANKING, and metrics of your own; all metrics of rankings by query, and of rows
        with slices and a metric without small states (see `update`).
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
        weights still has Wilson's interval. With `groups` they have one, also where every row is a
        group of its own.
        """
        return () if self._in_groups or self._resamples else self._from_rows()

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
                group, or of a query, may come in several batches. Of a group its sums are kept, or
                its pairs of labels, with `slices` in each as well; of queries all rows.
            slices: as for `ModelEvaluator.evaluate`, with every batch or with none. Each slice is
                counted as all rows are. All rows are kept with a maximum, a median or ranks, exact
                or sketched areas beside labels, calibration errors, metrics of several labels a row
                other than subset accuracy, and several outputs a row; with groups also with
                exact areas alone, and metrics of your own.

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
        plain, sliced, slicings, in_states = divide(
            batch, self._of_groups, kept=self._grouped is not None
        )
        given = Given(batch.groups is not None, own is not None, sliced)
        if rows and self._rows:
            self._given.check(given, "these rows")
        nans = self._nans_with(batch.nans or {})
        states, defined = None, self._defined(nans, sliced)
        if in_states:
            states = states_of_batch(defined, batch, slicings, first=not self._rows)
        if states is None:
            kept = read_grouped(self._not_nan(nans), batch)
            if rows:
                self._add_grouped(kept, rows)
            self._slices = self._slices or (plain if rows and plain.given else None)
        elif rows or not (slicings or self._slices):
            self._add(defined, states, rows, sliced)
        if rows:
            self._add_weight(None if own is None else TotalWeight.of(own))
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
        if self._rows:
            self._given.check(other._given, "the rows of the other stream")
        if self._rows and (self._grouped is None) != (other._grouped is None):
            raise ValueError(
                "the rows of the other stream have another number of outputs or classes"
            )
        if other._grouped is not None:
            self._add_grouped(other._grouped, other._rows)
            self._slices = self._slices or other._slices
        else:
            nans, slices = self._nans_with(other._nans), other._given.slices
            both = self._defined(nans, slices), other._defined(nans, slices)
            self._add(*both, other._rows, slices)
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
        groups, columns, slicings, ids = self._from_states()
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
        """What a result is made of, from the states, or from all rows."""
        if self._grouped is not None:
            assert self._slices is None or isinstance(self._slices, RunningSlices)
            kept = self._grouped, self._slices, self._rows
            return read_again(self._not_nan(self._nans), *kept)
        slicings, orders = self._slices.slicings() if self._slices else ([], [])
        groups = [
            Group(members, functools.partial(state.evidence, orders))
            for members, state in zip(self._members, self._running, strict=False)
            if not members.keys() & self._nans
        ]
        kept = self._running[-1]
        by_group = None if self._slices is None else groups_of(self._slices)
        ids = None if by_group is None else by_group.ids
        return groups, kept.columns() if isinstance(kept, KeptRows) else None, slicings, ids

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
        stream._grouped, stream._slices = restore_divided(facts, arrays)
        restore_states(stream._running, facts, arrays)
        return stream

    def _description(self) -> dict[str, str]:
        """The task, the metrics with their configuration, and what becomes of nan."""
        policy = {} if self._nan_policy == "raise" else {"nan_policy": self._nan_policy}
        return {"task": self.task_type.value, **policy, **configuration_of(self._metrics)}

    @property
    def _given(self) -> Given:
        """What rows so far have besides."""
        return Given(self._in_groups, self._weight is not None, self._slices or RunningSlices())

    def _add_weight(self, weight: TotalWeight | None) -> None:
        self._weight = weight if self._weight is None or weight is None else self._weight + weight

    @property
    def _in_groups(self) -> bool:
        kept = self._grouped is not None and self._grouped.in_groups
        return kept or (self._slices is not None and groups_of(self._slices) is not None)

    @property
    def _running(self) -> list[Running]:
        return self._states_of(self._slices)

    def _states_of(self, slices: Divided | None) -> list[Running]:
        in_groups = slices is not None and groups_of(slices) is not None
        return (in_groups and self._of_groups) or self._of_rows

    def _defined(self, nans: Mapping[str, int], slices: Divided) -> list[Running]:
        """The states of metrics that are not nan; those of one state all are or none is."""
        names = [next(iter(members)) for members in self._members] + self._custom[:1]
        both = zip(names, self._states_of(slices), strict=True)
        return [state for name, state in both if name not in nans]

    def _not_nan(self, nans: Mapping[str, int]) -> dict[str, Any]:
        return {name: metric for name, metric in self._metrics.items() if name not in nans}

    def _nans_with(self, more: Mapping[str, int]) -> dict[str, int]:
        counts = {name: self._nans.get(name, 0) + more.get(name, 0) for name in self._metrics}
        return {name: count for name, count in counts.items() if count}

    def _add_grouped(self, batch: GroupedRows, rows: int) -> None:
        self._grouped = batch if self._grouped is None else self._grouped + batch
        self._rows += rows

    def _add(self, before: list[Running], states: list[Any], rows: int, slices: Divided) -> None:
        for mine, new in zip(before, states, strict=True):
            mine.check(new)
        numbers = []
        if slices.given:
            mine: Any = self._slices or slices.of_no_rows()
            numbers = mine.merge(slices, keep=any(one.keeps_rows for one in before))
            self._slices = mine
        for mine, new in zip(before, states, strict=True):
            mine.merge(new, numbers)
        self._rows += rows

    def __repr__(self) -> str:
        return (
            f"EvaluationStream({self.task_type}, metrics={list(self._metrics)}, rows={self._rows})"
        )
