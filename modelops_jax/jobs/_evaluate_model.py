"""`evaluate_model`: a model and rows to answers, per-example scores and metrics, resumable."""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from modelops_jax.data import Dataset, Problem
from modelops_jax.evaluation import (
    EvaluationResult,
    ModelEvaluator,
    TaskType,
)
from modelops_jax.models import Description, Model, describe, load, rendered_at

from ._answer_file import AnswerFile, Record, answer_all
from ._answer_progress import shown_progress
from ._answer_settings import Generation, rendering_moment
from ._good_rows import good_rows
from ._label_answers import LabelAnswers, read_labelled
from ._questions import read_questions
from ._row_scores import RowScores
from ._text_answers import TextAnswers

_OF_LABELS = (TaskType.CLASSIFICATION, TaskType.MULTICLASS_CLASSIFICATION)


@dataclass(frozen=True)
class ModelEvaluation:
    """What `evaluate_model` returns.

    Args:
        result: the metrics of all rows.
        answers: by row what was asked (`prompt`), what is right (`completion`), `prediction`,
            `scores` by metric (None where it is undefined of the row, or the row is one to
            ignore), `log_likelihood`, `tokens` and `bytes` of the right answer where a
            metric needs them, `probabilities` by class of a model that has classes, and the row's
            other entries in `keys`.
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

    A model with labels is asked for the class, or the value, of every text, and its rows are those
    that it is trained on. What it says of them is kept and scored as answers are.

    Prompts go through the chat template as the prompts of training rows do; of a conversation all
    turns before the assistant's last one are the prompt. With a folder, answers are kept there as
    they come: a call that was interrupted goes on from the rows that are there, and its result is
    that of an uninterrupted one. A chat template that writes the date writes the one on which the
    evaluation began. The folder is refused if it holds the answers of another model
    (by its weights), of other rows or other settings.

    Args:
        model: a loaded model, or what `modelops_jax.models.load` takes.
        dataset: prompt/completion rows or conversations, or their JSONL file; of a model with
            labels rows of a label and its text (`text` or `prompt`).
        metrics: as `ModelEvaluator(metrics=...)` takes them, of the task "text_generation"; or an
            evaluator of that task, or of "classification" or "multiclass", for which answer and
            completion are labels, white space around them left aside. None: exact match and
            length ratio. `perplexity` and `bits_per_byte` score the completions; if there are no
            other metrics nothing is generated. Of a model with classes the task is
            "classification", or that of an evaluator of "multiclass", and metrics of scores and
            probabilities read those of every class; of a model of a value it is "regression".
        folder: where answers are kept; None: nowhere.
        generation: how the model is asked; None: greedily. A model with labels takes the seed of
            intervals alone.
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
        ValueError: a folder of another evaluation, or of one that is running, metrics that do
            not fit the model, or sampling of a model with labels.

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
    keys = _keys(slices, group)
    described = model if isinstance(model, Model) else describe(model)
    tasks = answer_tasks(described)
    evaluator = (
        metrics
        if isinstance(metrics, ModelEvaluator)
        else ModelEvaluator(tasks[0], metrics=metrics)
    )
    if evaluator.task_type not in tasks:
        raise ValueError(
            f"the task is {evaluator.task_type.value!r}; {described.name} is evaluated by one of: "
            f"{', '.join(task.value for task in tasks)}"
        )
    generation = generation or Generation()
    labels = described.config.labels
    if labels and generation != Generation(seed=generation.seed):
        raise ValueError(
            f"generation: found {generation}, expected a seed alone: {described.name} reads texts "
            f"(labels: {', '.join(labels)}) and writes none"
        )
    kind = "labelled" if labels else "text"
    good = good_rows(dataset, keys, kind, allow_bad_rows=allow_bad_rows)
    # By the name that was found, since a substitution was warned about.
    asked = described if isinstance(described, Model) else load(described.name)
    scored = bool(evaluator.reads_scores)
    place = None if folder is None else Path(folder)
    rendered = None if labels else rendering_moment(asked, place)
    with rendered_at(rendered):
        if labels:
            texts, unfit = read_labelled(asked, good.rows)
            good = good.without(unfit, allowed=allow_bad_rows)
            answers_of = LabelAnswers(asked, good.rows, texts)
        else:
            questions, unfit = read_questions(asked, good.rows, scored=scored)
            good = good.without(unfit, allowed=allow_bad_rows)
            generates = len(evaluator.reads_scores) < len(evaluator.metrics)
            answers_of = TextAnswers(
                asked, good.rows, questions, generation, generates, scored, rendered
            )
    rows, settings = good.rows, answers_of.settings
    columns = {name: [row[name] for row in rows] for name in keys}
    scores = RowScores(evaluator, answers_of.labels)

    def with_scores(record: Record) -> Record:
        return record | {"scores": scores.of(answers_of.columns(evaluator, [record]))}

    scored_by = [f"{metric.name}: {metric!r}" for metric in evaluator.metrics]
    with contextlib.ExitStack() as stack:
        file = None
        if place is not None:
            file = stack.enter_context(AnswerFile(place, settings, scored_by))
        kept = file.read(len(rows)) if file else []
        if file and kept and file.scored_by != scored_by:
            file.replace(list(map(with_scores, kept)))
        stack.enter_context(rendered_at(rendered))
        show = stack.enter_context(shown_progress(len(rows), len(kept), progress))

        def made(chunk: range) -> list[Record]:
            return list(map(with_scores, answers_of.make(chunk, show)))

        answers = answer_all(file, len(rows), made)
    crossed: dict[Any, Any] = {names: None for names in slices if not isinstance(names, str)}
    result = evaluator.evaluate(
        **answers_of.columns(evaluator, answers),
        confidence=confidence,
        interval=interval,
        n_resamples=n_resamples,
        seed=generation.seed,
        groups=None if group is None else columns[group],
        slices={name: columns[name] for name in columns if name != group or name in slices}
        | crossed,
    )
    result = replace(result, invalid_count=good.bad_count)
    path = file.path if file else None
    return ModelEvaluation(result, answers, path, len(kept), settings, good.bad)


def answer_tasks(model: Model | Description) -> tuple[TaskType, ...]:
    """The tasks by which a model's answers are evaluated, the usual one first."""
    labels = model.config.labels
    if labels:
        return (TaskType.REGRESSION,) if len(labels) == 1 else _OF_LABELS
    return (TaskType.TEXT_GENERATION, *_OF_LABELS)


def _keys(slices: Sequence[str | tuple[str, ...]], group: str | None) -> list[str]:
    """The keys of the rows that are asked for."""
    names: list[str] = []
    for one in slices:
        names += [one] if isinstance(one, str) else one
    names += [] if group is None else [group]
    return list(dict.fromkeys(names))
