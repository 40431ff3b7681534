"""Comparing models whose predictions of the same rows come in batches."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from modelops_jax._row_groups import group_codes
from modelops_jax._state_file import read_state, refuse_other, write_state

from ._builtin import OnePassMetric, by_reader, is_by_class
from ._columns import check_columns
from ._compare import check_models, in_one_order
from ._compared import NO_ROWS, Question, pairs_of
from ._comparison import Comparison
from ._conclude import Asked
from ._finish import check_confidence, configuration_of, refuse_weighted_own
from ._joint_rows import JointRows
from ._joint_states import joint_states
from ._joint_there import counted_there, counts_labels, models_there
from ._likelihoods import reads_scores
from ._model_evaluator import ModelEvaluator
from ._running import KeptRows
from ._sharded import gathered
from ._stream_file import Saved, restore_states, sections_of
from ._task_type import TaskType
from ._vectors import listed
from ._weights import of_positive_weight, unless_alike

KIND = "ComparisonStream"


class ComparisonStream:
    """The comparison of models on all rows seen so far.

    `result` is what `compare` gives for all rows together: of labels that count once each to the
    last bit, else to rounding. Memory does not grow with the rows (of labels: with the combinations
    of what is right and what each model said; of sums, and of labels with weights: with the
    resamples), other than for the metrics that `keeps_rows` names. Of rows in groups it grows with
    the number of groups, of which each has its sums, or its combinations of labels. The BCa
    intervals of sums of independent rows need all rows at once, which `compare` has.

    Args:
        models: the models, two or more.
        task: the task, its name, or an evaluator whose metrics to compare by; metrics added to it
            later are not part of the stream.
        n_resamples: of the bootstrap, and how many swaps, as for `compare`.
        seed: of both. The rows of one stream alone: those of two would be drawn alike.

    Raises:
        ValueError: fewer than two models, a metric of rankings by query, or too few resamples.

    Example:
        >>> from modelops_jax.evaluation import ComparisonStream
        >>> stream = ComparisonStream(["old", "new"], task="text_generation")
        >>> for _ in range(10):
        ...     true = ["yes", "no"] * 5
        ...     stream.update(true, {"old": ["yes"] * 10, "new": true})
        >>> stream.result().metrics["exact_match"].verdicts, stream.rows
        ({'new': 'best', 'old': 'worse than the best'}, 100)
    """

    def __init__(
        self,
        models: Iterable[str],
        *,
        task: TaskType | str | ModelEvaluator,
        n_resamples: int = 2000,
        seed: int = 0,
    ) -> None:
        self._models = check_models(dict.fromkeys(models), None, None)
        check_confidence(None, seed, None, "auto", n_resamples)
        evaluator = task if isinstance(task, ModelEvaluator) else ModelEvaluator(task)
        if evaluator.by_query:
            raise ValueError(
                f"{', '.join(evaluator.by_query)}: needs the query of each row, and all rows of a "
                "query; compare takes them as groups"
            )
        self.task_type = evaluator.task_type
        self._asked = evaluator.metrics
        self._metrics: dict[str, Any] = {m.name: m for m in self._asked if not is_by_class(m)}
        built_in = {n: m for n, m in self._metrics.items() if isinstance(m, OnePassMetric)}
        self._drawing = {"n_resamples": n_resamples, "seed": seed}
        self._states = [
            state
            for read, members in by_reader(built_in).items()
            for state in joint_states(
                read, {n: built_in[n] for n in members}, self._models, **self._drawing
            )
        ]
        self._custom = [name for name in self._metrics if name not in built_in]
        self._kept = {model: KeptRows() for model in self._models} if self._custom else {}
        self._rows = 0
        # What the first rows tell: whether rows have weights, and are in groups.
        self._given: tuple[bool, bool] | None = None

    @property
    def rows(self) -> int:
        """Rows so far, less those of weight 0."""
        return self._rows

    @property
    def keeps_rows(self) -> tuple[str, ...]:
        """The metrics for which every row is kept, so that memory grows with them.

        Areas and average precision, adaptive calibration errors, medians and ranks, as numbers;
        for metrics of your own the rows as they came.
        """
        kept = {n for state in self._states if isinstance(state, JointRows) for n in state.members}
        return tuple(name for name in self._metrics if name in kept or name in self._custom)

    @property
    def resamples_rows(self) -> tuple[str, ...]:
        """The metrics whose resamples are drawn as rows come in, and which have no BCa interval.

        Sums; once rows have weights other than 1, counts as well; none of rows in groups.
        """
        drawn = {name for state in self._states for name in state.resampled}
        return tuple(name for name in self._metrics if name in drawn)

    def update(
        self,
        y_true: Iterable[Any],
        predictions: Mapping[str, Iterable[Any]] | None,
        *,
        scores: Mapping[str, Any] | None = None,
        weight: Iterable[Any] | None = None,
        groups: Iterable[Any] | None = None,
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: what is right, one entry per row.
            predictions: by model what it predicted, of the same length. None if no metric reads it.
                Labels that `compare` counts on devices are counted there if they have neither
                weights nor groups; other rows are read on the host.
            scores: by model the `y_score` of `ModelEvaluator.evaluate`, for metrics that read it.
            weight: as for `compare`, with every batch or with none.
            groups: as for `compare`, with every batch or with none. The rows of a group may come in
                several batches.

        Raises:
            TypeError: predictions that are no mapping, entries of the wrong kind, or labels or ids
                of another kind than the rows before.
            ValueError: other models than the stream's, two lengths, entries that no definition
                covers, or groups or weights with some batches only. After an error the stream is
                as it was before the call.
        """
        found = check_models(predictions, scores, None)
        if set(found) != set(self._models):
            raise ValueError(f"found the models {found}; the stream is of {self._models}")
        y_true, weight, groups = listed(y_true), listed(weight), listed(groups)
        said = {m: None if predictions is None else listed(predictions[m]) for m in self._models}
        scored = in_one_order({m: None if scores is None else scores[m] for m in self._models})
        counts = {check_columns(self._metrics, y_true, said[m], scored[m]) for m in self._models}
        counted: list[Any] = [None] * len(self._states)
        if weight is None and groups is None and any(map(counts_labels, self._states)):
            there = models_there(y_true, said, scored, None, None)
            counted = [None if there is None else counted_there(s, there) for s in self._states]
        if self._kept or None in counted:
            y_true, said, scored = gathered(y_true), gathered(said), gathered(scored)
        own, rows, y_true, said, scored, groups = of_positive_weight(
            weight, counts.pop(), y_true=y_true, predictions=said, scores=scored, groups=groups
        )
        refuse_weighted_own(self._metrics, unless_alike(own))
        given = own is not None, groups is not None
        if rows:
            self._check_given(given)
        if groups is not None:
            group_codes(groups, rows)
        batches: list[Any] = []
        for state, batch in zip(self._states, counted, strict=True):
            second = scored if scores is not None and reads_scores(state.read) else said
            batches.append(batch or state.of_rows(y_true, second, own, groups))
        kept = {m: state.of_rows(y_true, said[m]) for m, state in self._kept.items()}
        for state, batch in zip(self._states, batches, strict=True):
            state.check(batch)
        if not rows:
            return
        for state, batch in zip(self._states, batches, strict=True):
            state.merge(batch)
        for model, state in self._kept.items():
            state.merge(kept[model])
        self._rows, self._given = self._rows + rows, given

    def merge(self, other: "ComparisonStream") -> None:
        """Add the rows of another stream of the same models and metrics, which stays as it is.

        Rows in groups, labels that count once each, and the metrics that `keeps_rows` names are
        merged, sums to rounding. Sums of rows in no groups, and other weighted labels, are not:
        their resamples are drawn by a row's number.

        Raises:
            ValueError: a stream of other models or metrics, of other resamples or another seed; one
                that has drawn; or with weights or groups where this one has none.
            TypeError: labels or ids of another kind.
        """
        for what, mine, theirs in (
            ("models", list(self._models), list(other._models)),
            ("metrics", configuration_of(self._metrics), configuration_of(other._metrics)),
            ("resamples", self._drawing, other._drawing),
        ):
            if mine != theirs:
                raise ValueError(f"the other stream is of the {what} {theirs}; expected {mine}")
        both = (*self._states, *other._states)
        unmerged = {name for state in both for name in state.unmerged}
        if unmerged:
            names = ", ".join(name for name in self._metrics if name in unmerged)
            raise ValueError(
                f"{names}: summed or drawn as rows come in, which streams do not merge"
            )
        if other._given is None:
            return
        self._check_given(other._given)
        for mine, theirs in zip(self._states, other._states, strict=True):
            mine.check(theirs)
        for mine, theirs in zip(self._states, other._states, strict=True):
            mine.merge(theirs)
        for model, state in self._kept.items():
            state.merge(other._kept[model])
        self._rows, self._given = self._rows + other._rows, other._given

    def _check_given(self, given: tuple[bool, bool]) -> None:
        """Refuse rows with weights or groups after rows without, or the reverse (ValueError)."""
        before = self._given or given
        for name, now, then in zip(("weights", "groups"), given, before, strict=True):
            if now is not then:
                having = {True: name, False: f"no {name}"}
                raise ValueError(
                    f"these rows have {having[now]}; the rows before have {having[then]}"
                )

    def result(
        self,
        *,
        baseline: str | None = None,
        confidence: float = 0.95,
        interval: str = "auto",
        correction: str = "holm",
    ) -> Comparison:
        """Compare the models on all rows so far; more rows can follow.

        Args:
            baseline: as for `compare`, as all of these.
            confidence: the level of the intervals, in (0, 1).
            interval: the method of the intervals, but for "bca" of sums (of weighted rows: of
                counts as well) of rows that are in no groups.
            correction: how p-values are adjusted for the number of pairs of a metric.

        Returns:
            What `compare` returns.

        Raises:
            ValueError: no rows, an unknown baseline, and what `compare` refuses.

        Warns:
            UndefinedMetricWarning: as `compare` does.
            NoIntervalWarning: a metric is not compared; the message says why.
        """
        check_models(dict.fromkeys(self._models), None, baseline)
        wanted = check_confidence(confidence, method=interval, **self._drawing)
        assert wanted is not None
        if interval == "bca" and self.resamples_rows:
            raise ValueError(
                f"interval is {interval!r}; {', '.join(self.resamples_rows)}: resampled as rows "
                "come in, which gives percentile intervals alone"
            )
        if not self._rows:
            raise ValueError(NO_ROWS)
        question = Question(pairs_of(self._models, baseline), baseline, correction, wanted)
        asked = Asked(self.task_type, self._asked, self._models, question)
        columns = (lambda model: self._kept[model].columns()) if self._kept else lambda model: None
        return asked.conclude(self._states, self._rows, self._metrics, columns)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, whole or not at all: arrays and JSON, nothing executable.

        Raises:
            OSError: the file cannot be written.
            TypeError: labels, ids of groups, or rows kept for metrics of your own, other than
                numbers, bools and strings.
        """
        sections, arrays = sections_of(self._saved_states)
        facts = {
            "of": self._description(),
            "models": self._models,
            "drawing": self._drawing,
            "rows": self._rows,
            "given": self._given,
            "sections": sections,
        }
        write_state(path, KIND, facts, arrays)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, task: TaskType | str | ModelEvaluator
    ) -> "ComparisonStream":
        """Read a stream that `save` wrote, which goes on as if it had not been on disk.

        Args:
            path: the file, which has the models, the number of resamples and the seed.
            task: as of the stream that was saved.

        Raises:
            OSError: the file cannot be read.
            ValueError: no such state, a damaged one, or one of another task or other metrics.
        """
        facts, arrays = read_state(path, KIND)
        stream = cls(facts["models"], task=task, **facts["drawing"])
        refuse_other(path, facts["of"], stream._description())
        stream._rows = facts["rows"]
        stream._given = facts["given"] and tuple(facts["given"])
        restore_states(stream._saved_states, facts, arrays)
        return stream

    def _description(self) -> dict[str, str]:
        return {"task": self.task_type.value, **configuration_of(self._metrics)}

    @property
    def _saved_states(self) -> list[Saved]:
        return [*self._states, *self._kept.values()]

    def __repr__(self) -> str:
        return (
            f"ComparisonStream({self._models}, {self.task_type}, metrics={list(self._metrics)}, "
            f"rows={self._rows})"
        )
