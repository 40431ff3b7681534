"""What a model that writes texts answers to the rows of a dataset."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from modelops_jax.data import Dataset
from modelops_jax.evaluation import ModelEvaluator, TaskType
from modelops_jax.models import Model

from ._answer_file import Record
from ._answer_settings import Generation, answer_settings
from ._predict import answer
from ._questions import Question


class TextAnswers:
    """The answers to prompts, and the log-likelihoods of the right ones.

    Args:
        model: who is asked.
        rows: the rows.
        questions: what is asked of each of them.
        generation: how the model is asked.
        generates: whether answers are made.
        scored: whether the right answers are scored.
        rendered: when the prompts were rendered, if that matters.
    """

    def __init__(
        self,
        model: Model,
        rows: Dataset,
        questions: Sequence[Question],
        generation: Generation,
        generates: bool,
        scored: bool,
        rendered: datetime | None,
    ) -> None:
        self._model, self._questions = model, questions
        self.labels = {question.reference.strip() for question in questions}
        """The right answers, where answers are labels."""
        self.settings = answer_settings(
            model, rows, questions, generation, generates, scored, rendered
        )

    def make(self, chunk: range, show: Callable[[int], None]) -> list[Record]:
        """What the model makes of the rows of a chunk."""
        asked = [self._questions[row] for row in chunk]
        records: list[Record] = [
            {"row": row, "prompt": one.asked, "completion": one.reference}
            for row, one in zip(chunk, asked, strict=True)
        ]
        how = dict(self.settings["generation"])
        if how.pop("generates"):
            predictions = answer(
                self._model,
                [(one.prompt, one.length) for one in asked],
                most=how.pop("max_new_tokens"),
                rows=chunk,
                progress=lambda done, _: show(chunk.start + done),
                **how,
            )
            for record, prediction in zip(records, predictions, strict=True):
                record["prediction"] = prediction
        if self.settings["scores_completions"]:
            references = [one.reference for one in asked]
            sums, tokens = self._model.score([one.prompt for one in asked], references)
            for record, total, count in zip(records, sums.tolist(), tokens.tolist(), strict=True):
                size = len(record["completion"].encode())
                record |= {"log_likelihood": total, "tokens": count, "bytes": size}
        for record, one in zip(records, asked, strict=True):
            if one.keys:
                record["keys"] = dict(one.keys)
        show(chunk.stop)
        return records

    def columns(self, evaluator: ModelEvaluator, records: Sequence[Record]) -> dict[str, Any]:
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
