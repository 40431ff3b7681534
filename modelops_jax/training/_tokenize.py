"""From a dataset of text to one of token ids, checked before the first step."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from modelops_jax.data import Dataset, RowKind
from modelops_jax.models import Description, Model, Tokenizer

from ._batches import cut
from ._config import TrainingConfig
from ._rows import TrainOn, row_pieces, tokenize_pieces
from ._tokenized import TokenizedDataset

# Rows that are tokenised together: enough to keep all cores busy.
ROWS_AT_ONCE = 1024


class OverlongRowsWarning(UserWarning):
    """Rows longer than the limit were left out, as the configuration asks."""


class Block(NamedTuple):
    """Tokenised rows in flat arrays, and what is said of those that are too long."""

    token_ids: Int[np.ndarray, " tokens"]
    trained: Bool[np.ndarray, " tokens"]
    lengths: Int[np.ndarray, " rows"]
    overlong: list[str]


def rows_for(
    model: Model | Description,
    dataset: Dataset | TokenizedDataset,
    config: TrainingConfig,
    *,
    name: str,
) -> TokenizedDataset:
    """The rows a model is trained or evaluated on: tokenised, or checked if they are already.

    Raises:
        ValueError: Tokenised rows are not such as the model and the configuration make them.
    """
    if not isinstance(dataset, TokenizedDataset):
        context = model.config.max_position
        return tokenize(dataset, model.tokenizer, config, context=context, name=name)
    limit = config.longest_row(model.config.max_position)
    largest, vocab_size = dataset.largest_token, model.config.vocab_size
    if dataset.stored is not None:
        wanted = {"tokenizer": model.tokenizer.fingerprint, "train_on": config.train_on}
        for key, value in wanted.items():
            if dataset.stored.made_from[key] != value:
                raise ValueError(
                    f"the {name} dataset {dataset.stored.folder} was made with {key} "
                    f"{dataset.stored.made_from[key]!r}; this run has {value!r}"
                )
    if not dataset.trained_counts.all():
        row = int(dataset.trained_counts.argmin())
        raise ValueError(f"{name} dataset, row {row}: no token to train on")
    if dataset.lengths.max() > limit:
        row = int(dataset.lengths.argmax())
        raise ValueError(
            f"{name} dataset, row {row} has {dataset.lengths[row]} tokens; expected at most "
            f"{limit}: tokenise the rows with this run's max_length, pack_length and overlong"
        )
    if largest >= vocab_size:
        raise ValueError(
            f"the {name} dataset has the token {largest}; expected less than {vocab_size}, the "
            "size of the model's vocabulary"
        )
    return dataset


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
    check_dataset(dataset, "text", name=name)
    limit = config.longest_row(context)
    places = [(dataset.place(index), row) for index, row in enumerate(dataset)]
    try:
        blocks = [
            tokenize_block(rows, tokenizer, config.train_on, limit)
            for rows in cut(places, ROWS_AT_ONCE)
        ]
    except ValueError as error:
        raise ValueError(f"{name} dataset, {error}") from error
    lengths = np.concatenate([block.lengths for block in blocks])
    overlong = [place for block in blocks for place in block.overlong]
    report_overlong(overlong, config, limit=limit, left=len(lengths), name=name)
    return TokenizedDataset(
        np.concatenate([block.token_ids for block in blocks]),
        np.concatenate([block.trained for block in blocks]),
        np.concatenate([[0], np.cumsum(lengths)]),
    )


def check_dataset(dataset: object, kind: RowKind, *, name: str) -> None:
    """Refuse what is no dataset of rows of that kind.

    Raises:
        TypeError: It is no `Dataset`.
        ValueError: It is empty or has invalid rows; the message lists the first 20.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"the {name} dataset is a {type(dataset).__name__}; expected a Dataset: Dataset(rows)"
        )
    if not len(dataset):
        raise ValueError(f"the {name} dataset is empty; expected at least one row")
    problems = dataset.problems(kind)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:20])
        raise ValueError(f"the {name} dataset has {len(problems)} invalid row(s):\n{listed}")


def tokenize_block(
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    tokenizer: Tokenizer,
    train_on: TrainOn,
    limit: int,
) -> Block:
    """Tokenise some rows together.

    Args:
        rows: What messages call each row, and the row itself, which is valid.
        tokenizer: The model's tokenizer.
        train_on: What the loss is on.
        limit: Most tokens of a row; longer ones are left out and named.

    Raises:
        ValueError: A row cannot be rendered, or trains no token.
    """
    pieces = []
    for place, row in rows:
        try:
            pieces.append(row_pieces(tokenizer, row, train_on))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
    kept, overlong = [], []
    for (place, _), row in zip(rows, tokenize_pieces(tokenizer, pieces), strict=True):
        if len(row.token_ids) > limit:
            overlong.append(f"{place} with {len(row.token_ids)}")
        elif not row.trained[1:].any():
            raise ValueError(f"{place}: no token to train on")
        else:
            kept.append(row)
    return Block(
        np.concatenate([np.zeros(0, np.int32), *(row.token_ids for row in kept)]),
        np.concatenate([np.zeros(0, bool), *(row.trained for row in kept)]),
        np.asarray([len(row.token_ids) for row in kept], np.int64),
        overlong,
    )


def report_overlong(
    overlong: Sequence[str], config: TrainingConfig, *, limit: int, left: int, name: str
) -> None:
    """Refuse rows that are too long, or say that they are left out, as the configuration asks.

    Raises:
        ValueError: `config.overlong` is "error", or no row is left.
    """
    if not overlong:
        return
    found = (
        f"{len(overlong)} row(s) of the {name} dataset are longer than {limit} tokens; "
        f"the first is {overlong[0]}"
    )
    if config.overlong == "error":
        raise ValueError(f'{found}. Shorten them, or set training.overlong = "drop"')
    if not left:
        raise ValueError(f"{found}, and no row is left")
    warnings.warn(f"{found}; they are left out", OverlongRowsWarning, stacklevel=3)
