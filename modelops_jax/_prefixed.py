"""Named arrays of parts of a state in one mapping."""

from collections.abc import Mapping

import numpy as np


def prefixed(start: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays under names with this start."""
    return {f"{start}{name}": array for name, array in arrays.items()}


def below(start: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names have this start, by what follows it."""
    return {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
