"""From a dataset of text to one of token ids, checked before the first step."""

import warnings

from modelops_jax.data import Dataset
from modelops_jax.models import Tokenizer

from ._config import TrainingConfig
from ._rows import tokenize_row
from ._tokenized import TokenizedDataset


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
        TypeError: `dataset` is no `Dataset`.
        ValueError: The dataset is empty, a row is invalid or cannot be rendered, a row is too
            long and `config.overlong` is "error", or no row is left.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"the {name} dataset is a {type(dataset).__name__}; expected a Dataset: Dataset(rows)"
        )
    if not len(dataset):
        raise ValueError(f"the {name} dataset is empty; expected at least one row")
    problems = dataset.problems()
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:20])
        raise ValueError(f"the {name} dataset has {len(problems)} invalid row(s):\n{listed}")
    limit = config.longest_row(context)
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
    return TokenizedDataset.from_rows(rows)
