"""From a row of text to token ids and the positions that are trained.

The loss is on the completion, or on every assistant turn, and on the token that ends it; `train_on`
can ask for the last turn alone or for every token. A turn whose weight is 0 is in no loss, whatever
`train_on` says: what a row says of itself wins over what is said of all. The trained positions
are known by construction: each piece of text is tokenised by itself, as what it is, the beginning
of a text or its continuation, exactly as a prompt is when the model generates, so no token is ever
looked for by its id. A special token that a row writes out is ordinary text.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from modelops_jax.models import TextPiece, Tokenizer

Message = Mapping[str, Any]

TrainOn = Literal["assistant", "last", "all"]
"""What the loss is on: every assistant turn, the last one, or all tokens but the first; less turns
of weight 0."""


class TokenizedRow(NamedTuple):
    """Token ids of one row, and which of them the loss is on."""

    token_ids: Int[np.ndarray, " tokens"]
    trained: Bool[np.ndarray, " tokens"]

    @property
    def at(self) -> Int[np.ndarray, " targets"]:
        """Positions whose states the loss reads; the first token has none that predicts it."""
        return np.flatnonzero(self.trained[1:])

    @property
    def targets(self) -> Int[np.ndarray, " targets"]:
        """What the states at those positions predict."""
        return self.token_ids[self.at + 1]


def render_prompt(tokenizer: Tokenizer, prompt: str) -> str | list[dict[str, str]]:
    """What the prompt of a prompt/completion row is given to `Model.generate` as.

    Args:
        tokenizer: The model's tokenizer.
        prompt: The row's prompt.

    Returns:
        A conversation of one user message if the model has a chat template, else the prompt.
    """
    if tokenizer.chat_template is None:
        return prompt
    return [{"role": "user", "content": prompt}]


class RowPieces(NamedTuple):
    """A row before it is tokenised: pieces of text, whether each is trained, and ids at the end.

    Those ids are trained.
    """

    pieces: list[TextPiece]
    trained: list[bool]
    end: list[int]


def tokenize_row(
    tokenizer: Tokenizer, row: Mapping[str, Any], *, train_on: TrainOn = "assistant"
) -> TokenizedRow:
    """Tokenise a prompt/completion row or a conversation.

    Args:
        tokenizer: The model's tokenizer. With a chat template, prompt and completion become a
            user and an assistant message; without one they are joined as they are and the
            end-of-sequence token is added.
        row: A valid row of a `Dataset`.
        train_on: What the loss is on.

    Returns:
        The ids and the trained positions.

    Raises:
        ValueError: The row is a conversation and the model has no chat template, or the template
            does not render the conversation up to a trained turn as a beginning of the whole.
    """
    return tokenize_pieces(tokenizer, [row_pieces(tokenizer, row, train_on)])[0]


def tokenize_pieces(tokenizer: Tokenizer, rows: Sequence[RowPieces]) -> list[TokenizedRow]:
    """Tokenise the pieces of many rows together, which uses all cores."""
    ids = iter(tokenizer.encode_pieces([piece for row in rows for piece in row.pieces]))
    tokenized = []
    for row in rows:
        own = [next(ids) for _ in row.pieces] + [row.end]
        counts = [len(piece) for piece in own]
        tokenized.append(
            TokenizedRow(
                np.fromiter(itertools.chain.from_iterable(own), np.int32, sum(counts)),
                np.repeat([*row.trained, True], counts),
            )
        )
    return tokenized


def row_pieces(tokenizer: Tokenizer, row: Mapping[str, Any], train_on: TrainOn) -> RowPieces:
    """Cut a row into the pieces that `tokenize_pieces` takes; see `tokenize_row`."""
    if "messages" in row:
        if tokenizer.chat_template is None:
            raise ValueError("the row is a conversation, but the model has no chat template")
        return _join(tokenizer, _conversation_texts(tokenizer, row["messages"], train_on))
    if tokenizer.chat_template is not None:
        messages = [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        ]
        return _join(tokenizer, _conversation_texts(tokenizer, messages, train_on))
    prompt = TextPiece(row["prompt"], add_special_tokens=True)
    completion = TextPiece(row["completion"], after=row["prompt"], plain=True)
    return RowPieces([prompt, completion], [train_on == "all", True], [tokenizer.eos_id])


def _conversation_texts(
    tokenizer: Tokenizer, messages: Sequence[Message], train_on: TrainOn
) -> list[tuple[str, bool]]:
    """The rendered conversation cut into (protected text, whether it is trained)."""
    messages = tokenizer.protect_messages(messages)
    whole = tokenizer.render_chat(messages, add_generation_prompt=False)
    turns = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    left_out = [index for index in turns if messages[index].get("weight", 1) == 0]
    asked = {
        "assistant": [index for index in turns if index not in left_out],
        "last": [index for index in turns[-1:] if index not in left_out],
        "all": left_out,  # what is told apart is what is not trained
    }
    others, texts, end = train_on == "all", [], 0
    for index in asked[train_on]:
        message = messages[index]
        if not index:
            without = "" if others else ', or leave the turn out of the loss with "weight": 0'
            raise ValueError(
                "messages[0]: the assistant speaks first, so no prompt opens its turn and its "
                f"tokens cannot be told apart; begin with another role{without}"
            )
        before = tokenizer.render_chat(messages[:index], add_generation_prompt=True)
        through = whole
        if index + 1 < len(messages):
            through = tokenizer.render_chat(messages[: index + 1], add_generation_prompt=False)
        if not (whole.startswith(through) and through.startswith(before) and len(before) >= end):
            raise ValueError(
                f"messages[{index}]: the chat template does not render the conversation up to "
                "this turn as a beginning of the whole, so its tokens cannot be told apart; "
                'training.train_on = "last" needs that of the last turn alone'
            )
        # The white space a template puts after the end-of-turn token belongs to the next turn:
        # generation has stopped by then. The message's own white space stays trained.
        written = through[len(before) :]
        trimmed = len(written.rstrip())
        if written.startswith(message["content"]):
            trimmed = max(trimmed, len(message["content"]))
        texts += [(whole[end : len(before)], others), (written[:trimmed], not others)]
        end = len(before) + trimmed
    return [*texts, (whole[end:], True)] if others else texts


def _join(tokenizer: Tokenizer, texts: Sequence[tuple[str, bool]]) -> RowPieces:
    """The pieces of a row's texts, each as the continuation of the one before."""
    joined, before = RowPieces([], [], []), ""
    for text, is_trained in texts:
        pieces = tokenizer.protected_pieces(text, after=before)
        joined.pieces.extend(pieces)
        joined.trained.extend([is_trained] * len(pieces))
        before = text or before
    return joined
