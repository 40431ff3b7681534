"""What a model with labels says of the texts of a dataset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelops_jax.data import Dataset, Problem
from modelops_jax.evaluation import ModelEvaluator
from modelops_jax.models import Model
from modelops_jax.training import label_value

from ._answer_file import Record
from ._answer_settings import label_settings

_READ = ("text", "prompt", "label")


@dataclass(frozen=True)
class LabelledText:
    """One row.

    Args:
        text: what the model reads.
        label: the name of its class, or its value.
        keys: the row's other entries.
    """

    text: str
    label: str | float
    keys: Mapping[str, Any]


def read_labelled(model: Model, dataset: Dataset) -> tuple[list[LabelledText], list[Problem]]:
    """All rows that can be read, and what is wrong with each of the others.

    A label that is none of the model's, or a text without tokens or of too many.

    Args:
        model: who reads them.
        dataset: valid rows.
    """
    found: list[LabelledText] = []
    problems: list[Problem] = []
    labels, context = model.config.labels, model.config.max_position
    for index, row in enumerate(dataset):
        text = row["text"] if "text" in row else row["prompt"]
        length = len(model.tokenizer.encode(text, add_special_tokens=True))
        try:
            value = label_value(row["label"], labels)
            if not 0 < length <= context:
                raise ValueError(f"the text has {length:,} tokens, expected 1 to {context:,}")
        except ValueError as error:
            problems.append(Problem("wrong_value", str(error), row=index))
            continue
        label = row["label"] if len(labels) == 1 else labels[int(value)]
        keys = {key: entry for key, entry in row.items() if key not in _READ}
        found.append(LabelledText(text, label, keys))
    return found, problems


class LabelAnswers:
    """The classes of texts with their probabilities, or their values.

    Args:
        model: who is asked.
        rows: the rows.
        texts: what they hold.
    """

    def __init__(self, model: Model, rows: Dataset, texts: Sequence[LabelledText]) -> None:
        self._model, self._texts = model, texts
        self.labels = set(model.config.labels)
        """The classes."""
        self.settings = label_settings(model, rows)

    def make(self, chunk: range, show: Callable[[int], None]) -> list[Record]:
        """What the model says of the rows of a chunk."""
        read = [self._texts[row] for row in chunk]
        texts, labels = [one.text for one in read], self._model.config.labels
        found: list[Record] = []
        if len(labels) == 1:
            found = [{"prediction": float(value)} for value in self._model.predict(texts)]
        else:
            shares = self._model.predict_proba(texts).astype(np.float64)
            # Shares of 32 bits add up to 1 within 1e-7, which is not enough where they are read.
            for row in shares / shares.sum(axis=1, keepdims=True):
                by_class = dict(zip(labels, row.tolist(), strict=True))
                found.append({"prediction": labels[row.argmax()], "probabilities": by_class})
        records: list[Record] = []
        for number, one, said in zip(chunk, read, found, strict=True):
            record = {"row": number, "prompt": one.text, "completion": one.label, **said}
            records.append(record | ({"keys": dict(one.keys)} if one.keys else {}))
        show(chunk.stop)
        return records

    def columns(self, evaluator: ModelEvaluator, records: Sequence[Record]) -> dict[str, Any]:
        """What the evaluator reads of the answers."""
        score = None
        if evaluator.reads_scores:
            shares = [record["probabilities"] for record in records]
            score = {label: [one[label] for one in shares] for label in self._model.config.labels}
        return {
            "y_true": [record["completion"] for record in records],
            "y_pred": [record["prediction"] for record in records],
            "y_score": score,
        }
