"""Layers work on tokens alone: padding lies only where attention needs rows of one length."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Shaped


class Places(NamedTuple):
    """Where the tokens that layers work on lie in the rows, and where each place's token is.

    `of_tokens` are places of the flattened (batch, tokens), `of_rows` indices of `of_tokens`. What
    lies nowhere has the first number beyond the other's end.
    """

    of_tokens: Int[Array, " computed"]
    of_rows: Int[Array, " places"]


def places_of(of_tokens: Int[Array, " computed"], count: int) -> Places:
    """Both directions, from one and the number of places in the rows."""
    computed = len(of_tokens)
    of_rows = jnp.full((count,), computed, of_tokens.dtype)
    of_rows = of_rows.at[of_tokens].set(jnp.arange(computed, dtype=of_tokens.dtype), mode="drop")
    return Places(of_tokens, of_rows)


def to_rows(x: Shaped[Array, "computed ..."], places: Places | None) -> Shaped[Array, "places ..."]:
    """The tokens at their places, and zeros at those of padding; as they are without `places`."""
    return x if places is None else _take(x, places.of_rows, places.of_tokens)


def from_rows(
    x: Shaped[Array, "places ..."], places: Places | None
) -> Shaped[Array, "computed ..."]:
    """What lies at the tokens' places; as it is without `places`."""
    return x if places is None else _take(x, places.of_tokens, places.of_rows)


@jax.custom_vjp
def _take(x: Array, index: Array, back: Array) -> Array:
    return x.at[index].get(mode="fill", fill_value=0)


def _take_and_keep(x: Array, index: Array, back: Array) -> tuple[Array, Array]:
    return _take(x, index, back), back


def _taken_back(back: Array, cotangent: Array) -> tuple[Array, None, None]:
    # Each place is taken once at most, so that the gradient is a gather too and no scatter.
    return cotangent.at[back].get(mode="fill", fill_value=0), None, None


_take.defvjp(_take_and_keep, _taken_back)
