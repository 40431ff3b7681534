"""A file of predictions, read in chunks, to a result."""

import contextlib
import sys
import time
import warnings
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelops_jax._metric_spec import MetricSpec

from ._bad_rows import BadRows
from ._columns import Columns, as_label, check_labels

if TYPE_CHECKING:
    from modelops_jax.data import Problem, TableChunk
    from modelops_jax.evaluation import (
        Comparison,
        ComparisonStream,
        Diagnostics,
        EvaluationResult,
        EvaluationStream,
        ModelEvaluator,
    )

# Tasks of one label a row.
LABELLED = ("classification", "binary", "multiclass")
SCORED = (*LABELLED, "text_generation")
PICTURED = (*LABELLED, "ranking")
# Of sums, as many as `ModelEvaluator.evaluate` draws.
_RESAMPLES = 1000
# What rankings are measured by where the query of each row is known.
BY_QUERY = ("ndcg_score", "mean_reciprocal_rank", "mean_average_precision")


@dataclass(frozen=True, kw_only=True)
class FileEvaluation:
    """What is asked of a file.

    Args:
        file: the file.
        task: the task.
        told: whether the task was asked for, and not presumed.
        columns: which columns are what.
        metrics: the metrics in place of the task's; none: the task's.
        positive: the label that one score a row is of; None: 1.
        ignore: the true label whose rows are left out; None: no row is.
        confidence: level of the intervals; None: none (of comparisons: 0.95).
        interval: the method of the intervals.
        resamples: how many resamples of a bootstrap; None: as many as is usual.
        baseline: of several predictions the one to compare with.
        seed: of the intervals.
        allow_bad_rows: whether bad rows are left out.
        pictures: whether to collect what plots are drawn from.
    """

    file: Path
    task: str
    told: bool
    columns: Columns
    metrics: Sequence[MetricSpec]
    positive: str | None
    ignore: str | None
    confidence: float | None
    interval: str
    resamples: int | None
    baseline: str | None
    seed: int
    allow_bad_rows: bool
    pictures: bool

    def __post_init__(self) -> None:
        several = len(self.columns.models) > 1
        for option, given, fits, needs in (
            ("--score", self.columns.scores, self.task in SCORED, "a task of labels or texts"),
            ("--slice", self.columns.slices, not several, "one --pred, or one --score"),
            ("--baseline", self.baseline, several, "several --pred, or several --score"),
            ("--positive", self.positive, bool(self.columns.scores), "--score"),
            ("--ignore", self.ignore, self.task in LABELLED, "a task of one label a row"),
        ):
            if given and not fits:
                raise ValueError(f"{option} needs {needs}")

    def evaluator(self, label: Any) -> "ModelEvaluator":
        """The evaluator, which needs to know one label of the file: what kind they are of."""
        from modelops_jax.evaluation import ModelEvaluator

        specs = [*self.metrics]
        if self.task == "ranking" and self.columns.group is not None and not specs:
            specs = [MetricSpec(name, name, {}) for name in BY_QUERY]
        ignored = None if self.ignore is None else as_label(self.ignore, label)
        alone = self.columns.scores_alone
        metrics = [] if specs or alone else None
        evaluator = ModelEvaluator(self.task, metrics=metrics, ignore_index=ignored)
        if self.columns.scores and not specs and self.task in LABELLED:
            specs = [MetricSpec(n, n, {}) for n in ("roc_auc_score", "average_precision_score")]
        if self.positive is not None and self.task not in LABELLED:
            raise ValueError("--positive needs a task of labels")
        scored = {} if self.positive is None else {"positive_class": as_label(self.positive, label)}
        for key, name, options in specs:
            of_scores = bool(scored) and evaluator.takes_scores(name)
            evaluator.add_metric(name, name=key, **(scored if of_scores else {}) | options)
        of_labels = [
            one.name for one in evaluator.metrics if one.name not in evaluator.reads_scores
        ]
        if alone and of_labels:
            raise ValueError(
                f"{', '.join(of_labels)}: needs a --pred for each --score, the column of what the "
                "model predicted"
            )
        if evaluator.by_query and self.columns.group is None:
            raise ValueError(
                f"{', '.join(evaluator.by_query)}: needs --group, the column of each row's query"
            )
        return evaluator


@dataclass(frozen=True)
class Reading:
    """What was read of a file.

    Args:
        result: the result, or the comparison.
        bad: the rows that were left out.
        held: whether all rows were in memory at once.
        keeps_rows: else the metrics that keep them.
        diagnostics: what plots are drawn from by model, if asked for.
        seconds: how long it took.
    """

    result: "EvaluationResult | Comparison"
    bad: BadRows
    held: bool
    keeps_rows: tuple[str, ...]
    diagnostics: "Mapping[str, Diagnostics]"
    seconds: float


def read_file(asked: FileEvaluation) -> Reading:
    """Read the file and compute what is asked.

    Raises:
        ValueError: columns, metrics or rows that do not fit; naming them.
        OSError: the file cannot be read.
    """
    begun = time.monotonic()
    blind = asked.evaluator(None)
    kinds = asked.columns.kinds(
        asked.task,
        reads_pred=len(blind.reads_scores) < len(blind.metrics),
        true=_true_cells(blind),
    )
    rows, bad = _Rows(asked, kinds), BadRows(asked.file)
    for chunk in _with_bar(asked.file, kinds):
        bad.add(_told(problem, asked.columns.true, blind) for problem in chunk.problems)
        if chunk.lines:
            rows.add(chunk)
    bad.tell(rows.count, allowed=asked.allow_bad_rows)
    if not rows.count:
        raise ValueError(f"{asked.file} has no {'good ' if bad.count else ''}rows to evaluate")
    with shown_warnings():
        result = rows.result()
    if bad.count and len(asked.columns.models) == 1:
        result = replace(result, invalid_count=bad.count)
    seconds = time.monotonic() - begun
    stream = rows.comparison or rows.stream
    kept = stream.keeps_rows if stream is not None else ()
    return Reading(result, bad, stream is None, kept, rows.diagnostics, seconds)


def _true_cells(evaluator: "ModelEvaluator") -> str | None:
    """What the true column may hold beyond what the task says, if every metric takes it."""
    if len(evaluator.by_query) == len(evaluator.metrics):
        return "relevance"
    of_texts = evaluator.task_type.value == "text_generation"
    return "texts" if of_texts and not evaluator.one_reference else None


def _told(problem: "Problem", column: str, evaluator: "ModelEvaluator") -> "Problem":
    """The problem, with the metrics that refuse a list of right texts where there is one."""
    if not problem.message.startswith(f"{column}: found list") or not evaluator.one_reference:
        return problem
    names = evaluator.one_reference
    takes = f"{', '.join(names)} {'take' if len(names) > 1 else 'takes'} one reference a row"
    return replace(problem, message=f"{problem.message}: {takes}")


class _Rows:
    """The rows of the file on their way into a stream, or held where all are needed at once."""

    def __init__(self, asked: FileEvaluation, kinds: dict[str, Any]) -> None:
        self._asked = asked
        # Numbers take 8 bytes each; labels and texts are Python's.
        self._cells: dict[str, list[Any] | array[float]] = {
            name: array("d") if kind in ("number", "weight") else [] for name, kind in kinds.items()
        }
        self._evaluator: ModelEvaluator | None = None
        self.stream: EvaluationStream | None = None
        self.comparison: ComparisonStream | None = None
        self.diagnostics: dict[str, Diagnostics] = {}
        self.count = 0

    def add(self, chunk: "TableChunk") -> None:
        """Take the rows of a chunk, at least one."""
        cells = chunk.columns
        label = cells[self._asked.columns.true][0]
        if self._evaluator is None:
            if self._asked.task in LABELLED:
                compared = [n for n in self._asked.columns.predicted if n in cells]
                names = [self._asked.columns.true, *compared]
                told = self._asked.told
                check_labels(self._asked.file, cells, chunk.lines, names, fractions=told)
            self._begin(label)
        self.count += len(chunk.lines)
        groups = cells[self._asked.columns.group] if self._asked.columns.group else None
        if self.comparison is not None:
            self.comparison.update(
                **self._of_models(cells, label), weight=self._weight(cells), groups=groups
            )
        elif self.stream is not None:
            (model,) = self._asked.columns.models
            self.stream.update(
                **self._arguments(cells, label, model),
                weight=self._weight(cells),
                groups=groups,
                slices=self._slices(cells),
            )
        else:
            for name, column in cells.items():
                self._cells[name].extend(column)
        for model, found in self.diagnostics.items():
            found.update(**self._drawn(cells, label, model), weight=self._weight(cells))

    def result(self) -> "EvaluationResult | Comparison":
        """What was asked for, of all rows, of which there is one or more."""
        import numpy as np

        from modelops_jax.evaluation import compare

        asked, columns, evaluator = self._asked, self._asked.columns, self._evaluator
        assert evaluator is not None, "there are no rows"
        level = 0.95 if asked.confidence is None else asked.confidence
        against: dict[str, Any] = {"baseline": asked.baseline, "confidence": level}
        if self.comparison is not None:
            return self.comparison.result(interval=asked.interval, **against)
        settings: dict[str, Any] = {"seed": asked.seed, "interval": asked.interval}
        if asked.resamples is not None:
            settings["n_resamples"] = asked.resamples
        if self.stream is not None:
            return self.stream.result(confidence=asked.confidence, **settings)
        cells = {n: np.asarray(c) if isinstance(c, array) else c for n, c in self._cells.items()}
        settings["groups"] = cells[columns.group] if columns.group else None
        settings["weight"] = self._weight(cells)
        label = cells[columns.true][0]
        if len(columns.models) > 1:
            of_models = self._of_models(cells, label)
            return compare(**of_models, task=evaluator, **against, **settings)
        (model,) = columns.models
        return evaluator.evaluate(
            **self._arguments(cells, label, model),
            confidence=asked.confidence,
            slices=self._slices(cells),
            **settings,
        )

    def _begin(self, label: Any) -> None:
        from modelops_jax.evaluation import ComparisonStream, Diagnostics

        asked, columns = self._asked, self._asked.columns
        self._evaluator = asked.evaluator(label)
        from_rows = columns.weight is not None or self._evaluator.stream().resamples_rows
        resampled = asked.confidence is not None and from_rows
        # Resamples that are drawn as rows come in have no BCa interval; of groups they are drawn in
        # the end, but of queries from all rows.
        needs_rows = resampled and asked.interval == "bca"
        if columns.group:
            needs_rows = bool(self._evaluator.by_query)
        if len(columns.models) > 1 and not self._evaluator.by_query:
            draws = {} if asked.resamples is None else {"n_resamples": asked.resamples}
            comparison = ComparisonStream(
                columns.models, task=self._evaluator, seed=asked.seed, **draws
            )
            # The BCa interval of what is resampled row by row needs all rows.
            by_row = not columns.group and (columns.weight or comparison.resamples_rows)
            if not (asked.interval == "bca" and by_row):
                self.comparison = comparison
        elif not (len(columns.models) > 1 or needs_rows):
            usual = _RESAMPLES if asked.resamples is None else asked.resamples
            drawn = resampled and not columns.group
            self.stream = self._evaluator.stream(resamples=usual if drawn else 0, seed=asked.seed)
        pictured = asked.task in PICTURED and not self._evaluator.by_query
        if asked.pictures and pictured:
            positive, ignored = (
                None if text is None else as_label(text, label)
                for text in (asked.positive, asked.ignore)
            )
            self.diagnostics = {
                model: Diagnostics(positive_class=positive, ignore_index=ignored)
                for model in columns.models
            }

    def _of_models(self, cells: Any, label: Any) -> dict[str, Any]:
        """What a comparison takes of all models."""
        columns = self._asked.columns
        each = {name: self._arguments(cells, label, name) for name in columns.models}
        said = {name: one["y_pred"] for name, one in each.items()}
        scores = {name: one["y_score"] for name, one in each.items()}
        read = any(name in cells for name in columns.predicted)
        return {
            "y_true": cells[columns.true],
            "predictions": said if read else None,
            "scores": scores if columns.scores else None,
        }

    def _arguments(self, cells: Any, label: Any, model: str) -> dict[str, Any]:
        """What an evaluation takes of a model."""
        columns = self._asked.columns
        pred = cells.get(model) if model in columns.predicted else None
        scores = columns.score(cells, label, model)
        return {"y_true": cells[columns.true], "y_pred": pred, "y_score": scores}

    def _weight(self, cells: Any) -> Any:
        column = self._asked.columns.weight
        return None if column is None else cells[column]

    def _slices(self, cells: Any) -> dict[Any, Any]:
        columns = self._asked.columns
        slices: dict[Any, Any] = {name: cells[name] for name in columns.sliced}
        return slices | {names: None for names in columns.slices if len(names) > 1}

    def _drawn(self, cells: Any, label: Any, model: str) -> dict[str, Any]:
        """What the pictures of a model take."""
        found = self._arguments(cells, label, model)
        if self._asked.task == "ranking":
            found |= {"y_pred": None, "y_score": found["y_pred"]}
        return found


def _with_bar(file: Path, kinds: dict[str, Any]) -> Iterator["TableChunk"]:
    """The chunks of the file, with progress on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from modelops_jax.data import read_table

    console = Console(stderr=True)
    shown = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*shown, console=console, disable=not console.is_terminal) as bar:
        work = bar.add_task(file.name, total=1.0)
        for chunk in read_table(file, kinds):
            yield chunk
            bar.update(work, completed=chunk.done)
        bar.update(work, completed=1.0)


@contextlib.contextmanager
def shown_warnings() -> Iterator[None]:
    """Rules for undefined values on standard error, without file and line."""
    from modelops_jax.evaluation import NoIntervalWarning, UndefinedMetricWarning

    with warnings.catch_warnings(record=True) as caught:
        for kind in (UndefinedMetricWarning, NoIntervalWarning):
            warnings.simplefilter("always", kind)
        yield
    for warning in caught:
        print(f"modelops: {warning.message}", file=sys.stderr)
