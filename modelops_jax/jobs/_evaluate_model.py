"""`evaluate_model`: a model and rows to answers, per-example scores and metrics, resumable."""

import contextlib
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from modelops_jax.data import Dataset, Problem
from modelops_jax.evaluation import (
    EvaluationResult,
    ModelEvaluator,
    TaskType,
    UndefinedMetricWarning,
)
from modelops_jax.models import Model, describe, load, rendered_at

from ._answer_file import AnswerFile, Record, answer_all
from ._answer_progress import shown_progress
from ._answer_settings import Generation, answer_settings, rendering_moment
from ._good_rows import good_rows
from ._predict import answer
from ._questions import Question, read_questions

# Tasks of texts, and of labels that the model writes out.
_TASKS = (TaskType.TEXT_GENERATION, TaskType.CLASSIFICATION, TaskType.MULTICLASS_CLASSIFICATION)


@dataclass(frozen=True)
class ModelEvaluation:
    """What `evaluate_model` returns.

    Args:
        result: the metrics of all rows.
        answers: by row what was asked (`prompt`), what is right (`completion`), `prediction`,
            `scores` by metric, `log_likelihood`, `tokens` and `bytes` of the right answer where a
            metric needs them, and the row's other entries in `keys`.
        path: the JSONL file of the answers; None if they were not kept.
        resumed: rows that were there already.
        settings: what the answers depend on.
        bad_rows: what is wrong with the rows that were left out, if that was allowed; the numbers
            of rows in `answers` are those of the rest.
    """

    result: EvaluationResult
    answers: list[Record]
    path: Path | None
    resumed: int
    settings: Mapping[str, Any]
    bad_rows: tuple[Problem, ...] = ()


def evaluate_model(
    model: Model | str | os.PathLike[str],
    dataset: Dataset | str | os.PathLike[str],
    metrics: ModelEvaluator | Iterable[Any] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    generation: Generation | None = None,
    confidence: float | None = None,
    interval: str = "auto",
    n_resamples: int = 1000,
    slices: Sequence[str | tuple[str, ...]] = (),
    group: str | None = None,
    allow_bad_rows: bool = False,
    progress: Literal["auto", "off"] = "auto",
) -> ModelEvaluation:
    """Ask a model every prompt of a dataset, and compute metrics of its answers.

    Prompts go through the chat template as the prompts of training rows do; of a conversation all
    turns before the assistant's last one are the prompt. With a folder, answers are kept there as
    they come: a call that was interrupted goes on from the rows that are there, and its result is
    that of an uninterrupted one. A chat template that writes the date writes the one on which the
    evaluation began. The folder is refused if it holds the answers of another model
    (by its weights), of other rows or other settings.

    Args:
        model: a loaded model, or what `modelops_jax.models.load` takes.
        dataset: prompt/completion rows or conversations, or their JSONL file.
        metrics: as `ModelEvaluator(metrics=...)` takes them, of the task "text_generation"; or an
            evaluator of that task, or of "classification" or "multiclass", for which answer and
            completion are labels, white space around them left aside. None: exact match and
            length ratio. `perplexity` and `bits_per_byte` score the completions; if there are no
            other metrics nothing is generated.
        folder: where answers are kept; None: nowhere.
        generation: how the model is asked; None: greedily.
        confidence: level of the intervals, in (0, 1); None: none.
        interval: the method of the intervals, as for `ModelEvaluator.evaluate`.
        n_resamples: how many resamples of a bootstrap.
        slices: keys of the rows to compute the metrics by; tuples of keys are crossed.
        group: key of the rows whose equal values mark rows that belong together.
        allow_bad_rows: whether rows of a wrong shape, too long for the model or without a key are
            left out, and counted in `result.invalid_count`, instead of refused.
        progress: "auto" shows how far it is on standard error, "off" nothing.

    Returns:
        The result, the answers, and where they are.

    Raises:
        DatasetError: rows of a wrong shape, too long for the model, or without a key, unless that
            is allowed, which it lists; or no rows.
        UnknownModelError: nothing has the model's name.
        TypeError: a dataset that is neither rows nor a path.
        ValueError: a folder of another evaluation, or of one that is running, or metrics that do
            not fit, or a model with labels.

    Warns:
        UndefinedMetricWarning: a metric has no definition on these rows.
        NoIntervalWarning: intervals were asked for and a metric has none.

    Example:
        >>> from modelops_jax import Dataset
        >>> from modelops_jax.jobs import Generation, evaluate_model
        >>> rows = Dataset([{"prompt": "2+2?", "completion": "4"}])
        >>> found = evaluate_model("tiny", rows, generation=Generation(max_new_tokens=2))
        >>> sorted(found.answers[0]["scores"])
        ['exact_match', 'length_ratio']
    """
    evaluator = metrics if isinstance(metrics, ModelEvaluator) else _evaluator(metrics)
    if evaluator.task_type not in _TASKS:
        raise ValueError(
            f"the task is {evaluator.task_type.value!r}; a model that writes texts is evaluated "
            f"by one of: {', '.join(task.value for task in _TASKS)}"
        )
    keys = _keys(slices, group)
    described = model if isinstance(model, Model) else describe(model)
    if labels := described.config.labels:
        raise ValueError(
            f"{described.name} reads texts (labels: {', '.join(labels)}) and writes none: give the "
            "labels of the texts, and what its `predict` says of them, to a ModelEvaluator"
        )
    good = good_rows(dataset, keys, allow_bad_rows=allow_bad_rows)
    # By the name that was found, since a substitution was warned about.
    asked = described if isinstance(described, Model) else load(described.name)
    scored = bool(evaluator.reads_scores)
    place = None if folder is None else Path(folder)
    rendered = rendering_moment(asked, place)
    with rendered_at(rendered):
        questions, unfit = read_questions(asked, good.rows, scored=scored)
    good = good.without(unfit, allowed=allow_bad_rows)
    rows = good.rows
    columns = {name: [row[name] for row in rows] for name in keys}
    generates = len(evaluator.reads_scores) < len(evaluator.metrics)
    settings = answer_settings(
        asked, rows, questions, generation or Generation(), generates, scored, rendered
    )
    scored_by = [f"{metric.name}: {metric!r}" for metric in evaluator.metrics]
    with contextlib.ExitStack() as stack:
        file = None
        if place is not None:
            file = stack.enter_context(AnswerFile(place, settings, scored_by))
        kept = file.read(len(rows)) if file else []
        if file and kept and file.scored_by != scored_by:
            file.replace([_scored(evaluator, record) for record in kept])
        stack.enter_context(rendered_at(rendered))
        show = stack.enter_context(shown_progress(len(rows), len(kept), progress))

        def made(chunk: range) -> list[Record]:
            found = _answers(asked, questions, chunk, settings, show)
            return [_scored(evaluator, record) for record in found]

        answers = answer_all(file, len(rows), made)
    crossed: dict[Any, Any] = {names: None for names in slices if not isinstance(names, str)}
    result = evaluator.evaluate(
        **_columns(evaluator, answers),
        confidence=confidence,
        interval=interval,
        n_resamples=n_resamples,
        seed=settings["generation"]["seed"],
        groups=None if group is None else columns[group],
        slices={name: columns[name] for name in columns if name != group or name in slices}
        | crossed,
    )
    result = replace(result, invalid_count=good.bad_count)
    path = file.path if file else None
    return ModelEvaluation(result, answers, path, len(kept), settings, good.bad)


def _evaluator(metrics: Iterable[Any] | None) -> ModelEvaluator:
    return ModelEvaluator(TaskType.TEXT_GENERATION, metrics=metrics)


def _keys(slices: Sequence[str | tuple[str, ...]], group: str | None) -> list[str]:
    """The keys of the rows that are asked for."""
    names: list[str] = []
    for one in slices:
        names += [one] if isinstance(one, str) else one
    names += [] if group is None else [group]
    return list(dict.fromkeys(names))


def _answers(
    model: Model,
    questions: Sequence[Question],
    chunk: range,
    settings: Mapping[str, Any],
    show: Callable[[int], None],
) -> list[Record]:
    """What the model makes of the rows of a chunk."""
    asked = [questions[row] for row in chunk]
    records: list[Record] = [
        {"row": row, "prompt": one.asked, "completion": one.reference}
        for row, one in zip(chunk, asked, strict=True)
    ]
    how = dict(settings["generation"])
    if how.pop("generates"):
        predictions = answer(
            model,
            [(one.prompt, one.length) for one in asked],
            most=how.pop("max_new_tokens"),
            rows=chunk,
            progress=lambda done, _: show(chunk.start + done),
            **how,
        )
        for record, prediction in zip(records, predictions, strict=True):
            record["prediction"] = prediction
    if settings["scores_completions"]:
        references = [one.reference for one in asked]
        sums, tokens = model.score([one.prompt for one in asked], references)
        for record, total, count in zip(records, sums.tolist(), tokens.tolist(), strict=True):
            size = len(record["completion"].encode())
            record |= {"log_likelihood": total, "tokens": count, "bytes": size}
    for record, one in zip(records, asked, strict=True):
        if one.keys:
            record["keys"] = dict(one.keys)
    show(chunk.stop)
    return records


def _columns(evaluator: ModelEvaluator, records: Sequence[Record]) -> dict[str, Any]:
    """What the evaluator reads of the answers."""
    true = [record["completion"] for record in records]
    pred = [record["prediction"] for record in records] if "prediction" in records[0] else None
    if evaluator.task_type is not TaskType.TEXT_GENERATION:
        true, pred = [text.strip() for text in true], [text.strip() for text in pred or []]
    score = None
    if evaluator.reads_scores:
        names = ("log_likelihood", "tokens", "bytes")
        score = {name: [record[name] for record in records] for name in names}
    return {"y_true": true, "y_pred": pred, "y_score": score}


def _scored(evaluator: ModelEvaluator, record: Record) -> Record:
    """An answer with what each metric says of it alone; null where that is undefined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        found = evaluator.evaluate(**_columns(evaluator, [record])).metrics
    scores = {name: value if math.isfinite(value) else None for name, value in found.items()}
    return record | {"scores": scores}
