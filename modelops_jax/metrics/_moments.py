"""Centred moments of weighted blocks: sums of powers are never formed.

A mean is carried as a pair of floats: rounded to one it would be off by an ulp of the offset,
which at an offset of 1e6 and a scale of 1e-6 would be felt in the squares.
"""

from typing import Any

import jax
import jax.numpy as jnp

from modelops_jax._two_sum import two_sum

from ._pair import Pair


def near_mean(values: Any, keep: Any, weight: Any) -> Any:
    """A number near the weighted mean of a block's values, to centre them by.

    Measured from one of the values, so that equal values have exactly their value as mean and
    exactly zero squares, and large offsets cost no digits.
    """
    values, weight = jax.lax.stop_gradient(values), jax.lax.stop_gradient(weight)
    if values.shape[0] == 0:
        return jnp.sum(values)
    origin = values[jnp.argmax(keep)]
    total = jnp.sum(weight)
    share = weight / jnp.where(total > 0, total, jnp.ones_like(total))
    return origin + jnp.sum(share * (values - origin))


def plain_mean(values: Any) -> Any:
    """The mean of a block's values, measured from the first; nan if one is not finite."""
    if values.shape[0] == 0:
        return jnp.sum(values)
    return values[0] + jnp.sum((values - values[0]) * (1 / values.shape[0]))


def corrected_mean(centre: Any, shift: Pair, weight: Pair) -> tuple[Pair, Any]:
    """The mean, and how far it is from the centre.

    `shift` is the weighted sum of (value - centre).
    """
    total = weight.value()
    offset = shift.value() / jnp.where(total > 0, total, jnp.ones_like(total))
    return Pair(*two_sum(centre, offset)), offset


def recentred(products: Pair, weight: Pair, offset: Any, other: Any) -> Pair:
    """Sums of products from the means, given those from the centres.

    By the parallel-axis rule a centre that is not quite the mean is worth this much.
    """
    return products + -(weight.value() * (offset * other))


def without_noise(squares: Pair, about_centre: Any, eps: float) -> Pair:
    """Sums of squares from the means of resamples, 0 where they are rounding alone.

    Of a resample of one row, drawn several times, nothing but the rounding of the squares from the
    centre of all rows is left, which is no spread to divide by.

    Args:
        squares: from the means.
        about_centre: the sums of squares from the centre.
        eps: what rounds the squares of the rows.
    """
    noise = squares.high <= 16 * eps * about_centre
    return Pair(*(jnp.where(noise, jnp.zeros_like(p), p) for p in (squares.high, squares.low)))


class Join:
    """Chan's rule for two blocks; the moments of a block without weight do not count."""

    def __init__(self, left_weight: Pair, right_weight: Pair) -> None:
        self._left, self._right = left_weight.value(), right_weight.value()
        total = self._left + self._right
        self._share = self._right / jnp.where(total > 0, total, jnp.ones_like(total))

    def means(self, left: Pair, right: Pair) -> tuple[Pair, Any]:
        """The mean of both, and the difference of the two."""
        delta = (right.high - left.high) + (right.low - left.low)
        return self._choose(left + delta * self._share, left, right), delta

    def products(self, left: Pair, right: Pair, delta: Any, other: Any) -> Pair:
        """The centred sum of products of both, from the differences of the means."""
        merged = left + right + (delta * other) * (self._left * self._share)
        return self._choose(merged, left, right)

    def _choose(self, merged: Pair, left: Pair, right: Pair) -> Pair:
        def choose(merged: Any, left: Any, right: Any) -> Any:
            kept = jnp.where(self._right > 0, merged, left)
            return jnp.where(self._left > 0, kept, right)

        return jax.tree.map(choose, merged, left, right)
