"""What the answers of a model depend on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from modelops_jax._version import __version__
from modelops_jax.data import Dataset
from modelops_jax.models import Model, check_sampling, tells_time

from ._answer_file import CHUNK_ROWS, kept_manifest
from ._questions import Question

# When the prompts were rendered, in the manifest.
_RENDERED = "rendered"


@dataclass(frozen=True)
class Generation:
    """How a model is asked.

    Args:
        max_new_tokens: longest answer, or what the prompt leaves of the context; None: room for
            twice the longest right answer.
        temperature: 0 takes the likeliest token each time; otherwise the softmax's temperature.
        top_k: sample among the k likeliest tokens.
        top_p: sample from the smallest set of tokens with this probability.
        seed: the same seed gives the same samples.

    Raises:
        TypeError: a value is no number, or none of its kind.
        ValueError: a value is out of its range.
    """

    max_new_tokens: int | None = None
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        most = 1 if self.max_new_tokens is None else self.max_new_tokens
        check_sampling(**vars(self) | {"max_new_tokens": most})
        for name, value in vars(self).items():
            if isinstance(value, np.generic):  # which a manifest cannot hold
                object.__setattr__(self, name, value.item())


def answer_settings(
    model: Model,
    rows: Dataset,
    questions: Sequence[Question],
    generation: Generation,
    generates: bool,
    scored: bool,
    rendered: datetime | None,
) -> dict[str, Any]:
    """Everything the answers depend on, for the manifest."""
    longest = max(question.completion_length for question in questions)
    wanted = 2 * (1 + longest) if generation.max_new_tokens is None else generation.max_new_tokens
    return {
        **label_settings(model, rows),
        "generation": vars(generation) | {"max_new_tokens": wanted, "generates": generates},
        "scores_completions": scored,
    } | ({} if rendered is None else {_RENDERED: rendered.isoformat()})


def label_settings(model: Model, rows: Dataset) -> dict[str, Any]:
    """Everything that what a model with labels says depends on, for the manifest."""
    text = "\n".join(json.dumps(row, sort_keys=True, default=repr) for row in rows)
    return {
        "format": 1,
        "version": __version__,
        "model": {"name": model.name, "sha256": _fingerprint(model)},
        "dataset": {"rows": len(rows), "sha256": hashlib.sha256(text.encode()).hexdigest()},
        "chunk_rows": CHUNK_ROWS,
    }


def rendering_moment(model: Model, folder: Path | None) -> datetime | None:
    """The moment at which all prompts are rendered: that at which the answers in a folder began.

    None if the chat template tells no time. Llama 3's writes the date, and answers of one
    evaluation that were asked on two days would be answers to different prompts.
    """
    if not tells_time(model.tokenizer.chat_template):
        return None
    began = None if folder is None else kept_manifest(folder).get(_RENDERED)
    return datetime.now() if began is None else datetime.fromisoformat(began)


def _fingerprint(model: Model) -> str:
    """Of configuration, tokenizer and every weight."""
    tokenizer = model.tokenizer
    digest = hashlib.sha256(repr((model.config, tokenizer.stop_ids)).encode())
    digest.update(f"{tokenizer.chat_template}{tokenizer.backend.to_str()}".encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(model.params):
        array = np.asarray(leaf)
        name = jax.tree_util.keystr(path)
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
