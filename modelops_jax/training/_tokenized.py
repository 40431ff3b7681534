"""A dataset as token ids, checked before the first step."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modelops_jax.data import Dataset
from modelops_jax.models import Tokenizer

from ._config import TrainingConfig
from ._rows import TokenizedRow, tokenize_row


class TokenizedDataset(NamedTuple):
    """Rows ready for training; each has at least one trained token after its first token."""

    rows: Sequence[TokenizedRow]

    @property
    def tokens(self) -> int:
        """Number of tokens of all rows."""
        return sum(len(row.token_ids) for row in self.rows)

    @property
    def trained_tokens(self) -> int:
        """Number of tokens the loss is on."""
        return sum(int(row.trained[1:].sum()) for row in self.rows)


class OverlongRowsWarning(UserWarning):
    """Rows longer than the limit were left out, as the configuration asks."""


def tokenize(
    dataset: Dataset, tokenizer: Tokenizer, config: TrainingConfig, *, context: int, name: str
) -> TokenizedDataset:
    """Tokenise every row of a dataset.

    Args:
        dataset: Prompt/completion rows or conversations.
        tokenizer: The model's tokenizer.
        config: Decides the longest row, and what becomes of a longer one.
        context: The model's longest sequence, in tokens.
        name: What messages call the dataset.

    Returns:
        The tokenised rows, in the dataset's order.

    Raises:
        ValueError: The dataset is empty, a row is invalid or cannot be rendered, a row is too
            long and `config.overlong` is "error", or no row is left.
    """
    if not len(dataset):
        raise ValueError(f"the {name} dataset is empty; expected at least one row")
    problems = dataset.problems()
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:20])
        raise ValueError(f"the {name} dataset has {len(problems)} invalid row(s):\n{listed}")
    limit = min(config.max_length or context, context)
    rows, overlong = [], []
    for index, row in enumerate(dataset):
        try:
            tokenized = tokenize_row(tokenizer, row, train_on=config.train_on)
        except ValueError as error:
            raise ValueError(f"{name} dataset, row {index}: {error}") from error
        if len(tokenized.token_ids) > limit:
            overlong.append((index, len(tokenized.token_ids)))
        elif not tokenized.trained[1:].any():
            raise ValueError(f"{name} dataset, row {index}: no token to train on")
        else:
            rows.append(tokenized)
    if overlong:
        index, length = overlong[0]
        found = (
            f"{len(overlong)} row(s) of the {name} dataset are longer than {limit} tokens; "
            f"the first is row {index} with {length}"
        )
        if config.overlong == "error":
            raise ValueError(f'{found}. Shorten them, or set training.overlong = "drop"')
        if not rows:
            raise ValueError(f"{found}, and no row is left")
        warnings.warn(f"{found}; they are left out", OverlongRowsWarning, stacklevel=2)
    return TokenizedDataset(rows)


def row_lengths(dataset: TokenizedDataset) -> np.ndarray:
    """Number of tokens of each row."""
    return np.asarray([len(row.token_ids) for row in dataset.rows], np.int64)
