"""Predictions and references as texts, and the numbers taken from them."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._vectors import check_same_length

# Texts joined at once: enough to outweigh the work per chunk, few enough to need no memory.
_CHUNK = 4096


@dataclass(frozen=True)
class Texts:
    """Sequences of predictions and references of one length.

    Entries are only looked at where they are used: `str`'s own methods refuse what is no string,
    and a look of our own at every type would cost a third of the whole work.

    Args:
        predictions: generated texts.
        references: the right texts.
        names: what the caller calls the two, for messages.
    """

    predictions: Sequence[Any]
    references: Sequence[Any]
    names: tuple[str, str]

    def __len__(self) -> int:
        return len(self.references)

    def matches(self) -> np.ndarray:
        """Whether prediction and reference are one text, surrounding white space left aside.

        What `exact_match` counts.

        Raises:
            TypeError: an entry that is no string, naming the argument and the index.
        """
        stripped = map(str.strip, self.predictions), map(str.strip, self.references)
        try:
            return np.fromiter(map(operator.eq, *stripped), np.bool_, len(self))
        except TypeError:
            self._name_others("exact_match")
            raise

    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of characters of every prediction and every reference.

        What `length_ratio` counts.

        Raises:
            TypeError: an entry that is no string, naming the argument and the index.
        """
        try:
            return _lengths(self.predictions), _lengths(self.references)
        except TypeError:
            self._name_others("length_ratio")
            raise

    def pairs(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Each prediction with its references: a reference may be a list of right texts.

        Raises:
            TypeError: an entry that is no string, or no list of strings, naming the argument and
                the index.
            ValueError: an empty list.
        """
        for index, (predicted, right) in enumerate(
            zip(self.predictions, self.references, strict=True)
        ):
            if not isinstance(predicted, str):
                self._name_others()
            if isinstance(right, str):
                yield predicted, (right,)
                continue
            several = right.tolist() if isinstance(right, np.ndarray) else right
            if not isinstance(several, list | tuple) or not all(
                isinstance(text, str) for text in several
            ):
                raise TypeError(
                    f"{self.names[1]} has {right!r} ({type(right).__name__}) at index {index}; "
                    "expected a string or a list of strings"
                )
            if not several:
                raise ValueError(
                    f"{self.names[1]} has an empty list at index {index}; expected one text or more"
                )
            yield predicted, several

    def single_pairs(self, metric: str) -> Iterator[tuple[str, str]]:
        """Each prediction with its one reference.

        Args:
            metric: what takes no more than one, for the message.

        Raises:
            TypeError: an entry that is no string, naming the argument and the index.
        """
        for predicted, right in zip(self.predictions, self.references, strict=True):
            if not (isinstance(predicted, str) and isinstance(right, str)):
                self._name_others(metric)
            yield predicted, right

    def _name_others(self, one_reference: str | None = None) -> None:
        """Refuse the first entry that is no string.

        Args:
            one_reference: the metric that takes no list of references, if it is of such.
        """
        for texts, name in zip((self.predictions, self.references), self.names, strict=True):
            for index, text in enumerate(texts):
                if isinstance(text, str):
                    continue
                expected = "a string"
                several = isinstance(text, list | tuple | np.ndarray) and name == self.names[1]
                if several and one_reference is not None:
                    expected += f": {one_reference} takes one reference a row"
                raise TypeError(
                    f"{name} has {text!r} ({type(text).__name__}) at index {index}; expected "
                    f"{expected}"
                )


def read_texts(predictions: Any, references: Any, names: tuple[str, str]) -> Texts:
    """Take two lists, tuples or arrays of strings, of one length.

    Raises:
        TypeError: a bare string, or no sequence.
        ValueError: two lengths, or an array of more than one axis.
    """
    first, second = _sequence(predictions, names[0]), _sequence(references, names[1])
    check_same_length(first, second, names)
    return Texts(first, second, names)


def _sequence(texts: Any, name: str) -> Sequence[Any]:
    if isinstance(texts, str):
        raise TypeError(f"{name} is one string, {texts[:40]!r}; expected a list of strings")
    if isinstance(texts, list | tuple):
        return texts
    if not hasattr(texts, "__array__"):
        raise TypeError(
            f"{name} is a {type(texts).__name__}; expected a list, tuple or array of strings"
        )
    array = np.asarray(texts)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; expected one axis of strings")
    return array.tolist()


def _lengths(texts: Sequence[str]) -> np.ndarray:
    for start in range(0, len(texts), _CHUNK):
        # `len` takes a list or bytes as well; `join` refuses them, faster than a look at types.
        "".join(texts[start : start + _CHUNK])
    return np.fromiter(map(len, texts), np.int32, len(texts))
