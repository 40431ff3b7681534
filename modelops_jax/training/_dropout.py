"""Which numbers decide a row's dropout: a function of the seed, the epoch and the row."""

import numpy as np
from jaxtyping import UInt32

# Philox's counter is four words; the row order of an epoch is drawn from the streams of 0.
_STREAM = 1


def dropout_words(seed: int, epoch: int, row: int, tokens: int) -> UInt32[np.ndarray, " tokens"]:
    """A number for each token of a row, for `modelops_jax.models.forward`.

    They are new in each epoch, and the same in whatever batch or run the row is.

    Args:
        seed: The run's seed.
        epoch: From 0.
        row: Index of the row in its dataset.
        tokens: Length of the row; a longer row's numbers begin with those of a shorter one.
    """
    generator = np.random.Philox(key=[seed, epoch], counter=[0, 0, row, _STREAM])
    return np.random.Generator(generator).integers(2**32, size=tokens, dtype=np.uint32)
