"""Reading predictions and references as texts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._vectors import check_same_length


def read_texts(
    predictions: Any,
    references: Any,
    names: tuple[str, str] = ("predictions", "references"),
) -> tuple[Sequence[str], Sequence[str]]:
    """Give both as sequences of strings of one length.

    Raises:
        TypeError: a bare string, no sequence, or an entry that is no string, naming its index.
        ValueError: two lengths, or an array of more than one axis.
    """
    first = _read(predictions, names[0])
    second = _read(references, names[1])
    check_same_length(first, second, names)
    return first, second


def _read(texts: Any, name: str) -> Sequence[str]:
    if isinstance(texts, str):
        raise TypeError(f"{name} is one string, {texts[:40]!r}; expected a list of strings")
    if not isinstance(texts, list | tuple):
        if not hasattr(texts, "__array__"):
            raise TypeError(
                f"{name} is a {type(texts).__name__}; expected a list, tuple or array of strings"
            )
        array = np.asarray(texts)
        if array.ndim != 1:
            raise ValueError(f"{name} has shape {array.shape}; expected one axis of strings")
        texts = array.tolist()
    _check_entries(texts, name)
    return texts


def _check_entries(texts: Sequence[Any], name: str) -> None:
    if all(issubclass(kind, str) for kind in set(map(type, texts))):
        return
    index, text = next((i, text) for i, text in enumerate(texts) if not isinstance(text, str))
    raise TypeError(
        f"{name} has {text!r} ({type(text).__name__}) at index {index}; expected a string"
    )
