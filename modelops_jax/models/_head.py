"""Models that read a text: a linear head on the state of its last token.

The head and its place are those of transformers' `...ForSequenceClassification`.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._batching import batches
from ._config import DecoderConfig
from ._decoder import forward
from ._params import Params
from ._product import exact_einsum

# Standard deviation of a new head, as transformers draws it.
STDDEV = 0.02


def init_head(config: DecoderConfig, labels: int, seed: int, dtype: Any) -> Params:
    """The weights of a new head: normal, with standard deviation 0.02."""
    random = np.random.Generator(np.random.Philox(seed))
    draw = random.standard_normal((labels, config.hidden_size), np.float32)
    return {"weight": jnp.asarray(np.float32(STDDEV) * draw).astype(dtype)}


def label_logits(
    params: Params, hidden: Float[Array, "*batch width"]
) -> Float[Array, "*batch labels"]:
    """Float32 logits of the labels, or the one value, from states of last tokens."""
    head = params["score"]["weight"].astype(hidden.dtype)
    return exact_einsum("...d,ld->...l", hidden, head, jnp.float32)


@functools.partial(jax.jit, static_argnames=("config", "dtype"))
def _read_batch(
    params: Params,
    token_ids: Int[Array, "batch tokens"],
    lengths: Int[Array, " batch"],
    *,
    config: DecoderConfig,
    dtype: Any,
) -> Float[Array, "batch labels"]:
    slot = jnp.arange(token_ids.shape[1], dtype=jnp.int32)[None]
    real = (slot < lengths[:, None]).astype(jnp.int32)
    hidden, _ = forward(params, config, token_ids, segment_ids=real, dtype=dtype)
    last = jnp.take_along_axis(hidden, lengths[:, None, None] - 1, axis=1)
    return label_logits(params, last[:, 0])


def read_texts(
    params: Params,
    config: DecoderConfig,
    texts: Sequence[Sequence[int]],
    *,
    pad_id: int,
    dtype: Any = jnp.float32,
) -> Float[np.ndarray, "rows labels"]:
    """Logits of the labels of each text, or the one value.

    Args:
        params: Parameter tree with a `score`.
        config: The architecture, with labels.
        texts: Token ids, at least one a text.
        pad_id: Any valid token id.
        dtype: Type of the activations.

    Returns:
        float32, a row for each text.

    Raises:
        ValueError: A text is empty or longer than the context; the message has the index.
    """
    for index, text in enumerate(texts):
        if not 0 < len(text) <= config.max_position:
            raise ValueError(
                f"texts[{index}] has {len(text)} tokens; expected 1 to {config.max_position}, the "
                "model's context"
            )
    logits = np.zeros((len(texts), len(config.labels)), np.float32)
    for batch in batches(texts, pad_id):
        arrays = jnp.asarray(batch.token_ids), jnp.asarray(batch.lengths)
        found = _read_batch(params, *arrays, config=config, dtype=dtype)
        logits[batch.rows] = np.asarray(found)[: len(batch.rows)]
    return logits
