"""`modelops evaluate --model`: a model's answers to a dataset, scored, with a report."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelops_jax._metric_spec import MetricSpec

from ._bad_rows import LISTED, BadRows
from ._evaluate_file import shown_warnings
from ._page import picture_notes

if TYPE_CHECKING:
    from modelops_jax.jobs import ModelEvaluation


@dataclass(frozen=True, kw_only=True)
class ModelQuestions:
    """What is asked of a model.

    Args:
        model: its name or path.
        dataset: JSONL of prompt/completion rows or conversations; of a model with labels of
            labels and their texts.
        task: what answers are; None: what is usual for the model.
        metrics: the metrics in place of the task's; none: the task's.
        folder: where the answers are kept; None: `evaluations/MODEL-DATASET`.
        generation: fields of `Generation`.
        confidence: level of the intervals; None: none.
        interval: the method of the intervals.
        resamples: how many resamples of a bootstrap; None: as many as is usual.
        slices: keys of the rows; several of one entry are crossed.
        group: key of rows that belong together.
        report: where to write the page; None: into the folder.
        allow_bad_rows: whether bad rows are left out.
    """

    model: str
    dataset: Path
    task: str | None
    metrics: Sequence[MetricSpec]
    folder: Path | None
    generation: dict[str, Any]
    confidence: float | None
    interval: str
    resamples: int | None
    slices: Sequence[tuple[str, ...]]
    group: str | None
    report: Path | None
    allow_bad_rows: bool


def ask_model(asked: ModelQuestions) -> "ModelEvaluation":
    """Make the answers that are not there yet, score them, and write result and report.

    Raises:
        ValueError: rows, metrics or a folder that do not fit; naming them.
        OSError: a file cannot be read or written.
    """
    from modelops_jax.data import write_atomic
    from modelops_jax.evaluation import ModelEvaluator
    from modelops_jax.jobs import Generation, answer_tasks, evaluate_model
    from modelops_jax.models import describe

    task = asked.task or answer_tasks(describe(asked.model))[0]
    evaluator = ModelEvaluator(task, metrics=[] if asked.metrics else None)
    for key, name, options in asked.metrics:
        evaluator.add_metric(name, name=key, **options)
    folder = asked.folder or Path(
        "evaluations", f"{_slug(asked.model)}-{_slug(asked.dataset.stem)}"
    )
    begun = time.monotonic()
    resamples: dict[str, Any] = {} if asked.resamples is None else {"n_resamples": asked.resamples}
    with shown_warnings():
        found = evaluate_model(
            asked.model,
            asked.dataset,
            evaluator,
            folder=folder,
            generation=Generation(**asked.generation),
            confidence=asked.confidence,
            interval=asked.interval,
            **resamples,
            slices=[names[0] if len(names) == 1 else names for names in asked.slices],
            group=asked.group,
            allow_bad_rows=asked.allow_bad_rows,
        )
    bad = BadRows(asked.dataset)
    bad.add(found.bad_rows)
    bad.tell(found.result.sample_count, allowed=True)
    result = json.dumps(found.result.to_dict(), indent=2, allow_nan=False)
    write_atomic(folder / "result.json", f"{result}\n".encode())
    _write_page(asked, found, asked.report or folder / "report.html", time.monotonic() - begun)
    return found


def _write_page(
    asked: ModelQuestions, found: "ModelEvaluation", path: Path, seconds: float
) -> None:
    from modelops_jax.evaluation import Diagnostics, TaskType
    from modelops_jax.reports import (
        EvaluationReport,
        Examples,
        environment_facts,
        pick_examples,
        write_html,
    )

    answers, task = found.answers, found.result.task_type
    references = [record["completion"] for record in answers]
    examples, diagnostics = Examples(), None
    # Of values, none is right to the last digit.
    if "prediction" in answers[0] and task is not TaskType.REGRESSION:
        predictions = [record["prediction"] for record in answers]
        prompts = [_shown(record["prompt"]) for record in answers]
        examples = pick_examples(prompts, predictions, references)
        if task is not TaskType.TEXT_GENERATION:
            diagnostics = Diagnostics()
            diagnostics.update(
                *([text.strip() for text in side] for side in (references, predictions))
            )
    made = len(answers) - found.resumed
    report = EvaluationReport(
        title=f"{asked.model} on {asked.dataset.name}",
        result=found.result,
        diagnostics=diagnostics,
        examples=examples,
        bad_rows=[str(problem) for problem in found.bad_rows[:LISTED]],
        bad_row_count=found.result.invalid_count,
        notes=[
            f"{made:,} of {len(answers):,} answers were made in this run, the others before; "
            f"all of them with their scores are in {found.path}.",
            *(picture_notes({"": diagnostics}) if diagnostics else []),
        ],
        facts={
            "Model": asked.model,
            "Dataset": str(asked.dataset),
            "Task": task.value,
            "Time": f"{seconds:,.1f} s",
        }
        | environment_facts(),
        config=json.dumps(dict(found.settings), indent=2),
    )
    write_html(report, path)


def _shown(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(text).name).strip("-.") or "model"
