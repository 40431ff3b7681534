"""The weights of rows that are kept."""

from collections.abc import Mapping, Sequence

import numpy as np

from ._evidence import Pair
from ._weights import unless_alike


class KeptWeights:
    """The weights of rows that are kept.

    Args:
        parts: of each batch; None: its stream has no weights.
    """

    def __init__(self, parts: Sequence[np.ndarray | None] = ()) -> None:
        self._parts = [part for part in parts if part is not None]

    def __add__(self, other: "KeptWeights") -> "KeptWeights":
        """These, then the other ones."""
        return KeptWeights([*self._parts, *other._parts])

    def of(self, pair: Pair) -> Pair:
        """The pair with these weights, where they are not all 1."""
        own = unless_alike(np.concatenate(self._parts)) if self._parts else None
        return pair if own is None else pair.weighted(own)

    def saved(self) -> dict[str, np.ndarray]:
        """As named arrays."""
        return {"weight": np.concatenate(self._parts)} if self._parts else {}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> "KeptWeights":
        """What `saved` gave."""
        return cls([arrays.get("weight")])
