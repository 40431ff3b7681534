"""From rows to what an objective learns from: token ids and, for some, a number for each target."""

import dataclasses
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from modelops_jax.data import Dataset, RowKind, preference_pair
from modelops_jax.models import Description, Model, Tokenizer

from ._config import TrainingConfig
from ._rows import TokenizedRow, tokenize_row
from ._tokenize import check_dataset, report_overlong, rows_for
from ._tokenized import TokenizedDataset

# Their answers show whether a chat template ends any.
ROWS_LOOKED_AT = 20


class NoEndOfTurnWarning(UserWarning):
    """The chat template ends no answer, so the model is not trained to stop."""


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Tokenised rows, and a number for each of their targets, in their order.

    Language modelling needs no numbers. Rows with a label end with one more token, in whose place
    the label stands; their number is the label: a class's index or a value. The rows of pairs
    alternate, the chosen answer's first; their numbers are log-likelihoods under the reference,
    which `fit` computes.
    """

    rows: TokenizedDataset
    values: Float32[np.ndarray, " targets"] | None = None

    @property
    def fingerprint(self) -> str:
        """Of the rows and their numbers."""
        if self.values is None:
            return self.rows.fingerprint
        both = self.rows.fingerprint.encode() + self.values.tobytes()
        return hashlib.sha256(both).hexdigest()


def read_examples(
    model: Model | Description,
    dataset: Dataset | TokenizedDataset,
    config: TrainingConfig,
    *,
    name: str,
) -> Examples:
    """Tokenise a dataset for the objective that the model and the configuration ask for.

    Args:
        model: With labels, every row needs one.
        dataset: The rows; of pairs with `config.dpo`. They may be tokenised where the model is to
            write text.
        config: Decides the longest row, and what becomes of a longer one.
        name: What messages call the dataset.

    Raises:
        TypeError: `dataset` is no dataset of that kind.
        ValueError: The dataset is empty, a row is invalid, cannot be rendered or has a label that
            is none of the model's, a row is too long and `config.overlong` is "error", or no row
            is left.

    Warns:
        NoEndOfTurnWarning: The chat template ends no answer of the training rows.
    """
    labels = model.config.labels
    kind = row_kind(labels, config)
    if kind == "text":
        found = rows_for(model, dataset, config, name=name)
        if name == "training":
            _check_ends(model.tokenizer, found)
        return Examples(found)
    if not isinstance(dataset, Dataset):
        raise TypeError(f"the {name} dataset has to be a Dataset for labels and for training.dpo")
    check_dataset(dataset, kind, name=name)
    limit = config.longest_row(model.config.max_position)
    rows, values, overlong = [], [], []
    for index, row in enumerate(dataset):
        try:
            if labels:
                made = [_labelled_row(model.tokenizer, row)]
                value = [label_value(row["label"], labels)]
            else:
                made, value = _pair(model.tokenizer, row), []
        except ValueError as error:
            raise ValueError(f"{name} dataset, {dataset.place(index)}: {error}") from error
        longest = max(len(part.token_ids) for part in made)
        if longest > limit:
            overlong.append(f"{dataset.place(index)} with {longest}")
        else:
            rows += made
            values += value
    report_overlong(overlong, config, limit=limit, left=len(rows), name=name)
    known = np.asarray(values, np.float32) if labels else None
    found = TokenizedDataset.from_rows(rows)
    if not labels and name == "training":
        _check_ends(model.tokenizer, found)
    return Examples(found, known)


def _check_ends(tokenizer: Tokenizer, rows: TokenizedDataset) -> None:
    """Warn of a chat template after whose answers nothing is trained that stops a generation."""
    if tokenizer.chat_template is None:  # the end of a text is added then
        return
    first = [rows[index] for index in range(min(len(rows), ROWS_LOOKED_AT))]
    if not any(np.isin(row.token_ids[row.trained], tokenizer.stop_ids).any() for row in first):
        end = tokenizer.backend.id_to_token(tokenizer.eos_id)
        warnings.warn(
            "the chat template writes no special token after an answer, so the model is not "
            "trained to end one and will write up to max_new_tokens; have the template write "
            f"{end!r} there (chat_template in the model's tokenizer_config.json)",
            NoEndOfTurnWarning,
            stacklevel=4,
        )


def row_kind(labels: Sequence[str], config: TrainingConfig) -> RowKind:
    """What rows have to be for a model with these labels, or without any, and a configuration."""
    if labels:
        return "labelled"
    return "text" if config.dpo is None else "preference"


def labels_in(dataset: Dataset) -> list[str]:
    """The classes that occur in labelled rows, sorted.

    Raises:
        ValueError: A label is a number: an index says nothing of its class's name, and a value is
            of no class. Or all rows have the same one: nothing would be learned, and a model with
            one label predicts a value.

    Example:
        >>> from modelops_jax.data import Dataset
        >>> labels_in(Dataset([{"text": "b", "label": "spam"}, {"text": "a", "label": "ham"}]))
        ['ham', 'spam']
    """
    for index, row in enumerate(dataset):
        if not isinstance(row["label"], str):
            raise ValueError(
                f"{dataset.place(index)}: the label is the number {row['label']!r}; name the "
                "classes in the order of their indices, or give the one name of a value"
            )
    found = sorted({row["label"] for row in dataset})
    if len(found) == 1:
        raise ValueError(f"every row has the label {found[0]!r}; expected two classes or more")
    return found


def label_value(label: str | int | float, labels: tuple[str, ...]) -> float:
    """The number a label is trained as: a class's index, or the value itself.

    Args:
        label: A string is a class's name, an integer its index; with a single label in `labels`
            any number is a value.
        labels: Those of the model.

    Raises:
        ValueError: The model has no such class, or the value is no finite float32.
    """
    if len(labels) == 1:
        if isinstance(label, str):
            raise ValueError(
                f"label: found {label!r}, expected a number: labels has one entry alone, "
                f"{labels[0]!r}, which names a value; classes are two or more"
            )
        if not np.isfinite(_float32(label)):
            raise ValueError(f"label: found {label!r}, expected a number, finite as float32")
        return float(_float32(label))
    if isinstance(label, str) and label in labels:
        return float(labels.index(label))
    if isinstance(label, int) and 0 <= label < len(labels):
        return float(label)
    raise ValueError(
        f"label: found {label!r}, expected one of {', '.join(labels)}, or an index up to "
        f"{len(labels) - 1}"
    )


def _float32(value: int | float) -> np.float32:
    try:
        with np.errstate(over="ignore"):
            return np.float32(value)
    except OverflowError:  # an integer of more than 308 digits
        return np.float32(np.inf)


def _labelled_row(tokenizer: Tokenizer, row: Mapping[str, Any]) -> TokenizedRow:
    """The text, and a place for its label that the state of its last token is to predict."""
    text = row["text"] if "text" in row else row["prompt"]
    ids = tokenizer.encode(text, add_special_tokens=True)
    if not ids:
        raise ValueError("the text has no tokens")
    trained = [False] * len(ids) + [True]
    return TokenizedRow(np.asarray([*ids, tokenizer.pad_id], np.int32), np.asarray(trained))


def _pair(tokenizer: Tokenizer, row: Mapping[str, Any]) -> list[TokenizedRow]:
    """The prompt with the chosen answer, and with the rejected one."""
    (prompt, *answers), pair = preference_pair(row), []
    for answer in answers:
        if isinstance(prompt, str):
            whole = {"prompt": prompt, "completion": answer}
        else:
            before = [
                {**message, "weight": 0} if message["role"] == "assistant" else message
                for message in prompt
            ]
            whole = {"messages": [*before, *answer]}
        tokenized = tokenize_row(tokenizer, whole)
        if not tokenized.trained[1:].any():
            raise ValueError("an answer has no token to train on")
        pair.append(tokenized)
    return pair
