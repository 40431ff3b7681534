"""Unit deviances of Tweedie's family, in forms that keep the digits of close predictions.

The textbook formulas are differences of numbers of the size of the values. Here a deviance is a
function of the relative distance of truth and prediction, by its series where they are close.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

_CLOSE = 0.5
_CLOSE_POWER = 0.3


def poisson_deviance(y_true: Any, y_pred: Any) -> Any:
    """`2 (y_true log(y_true / y_pred) - y_true + y_pred)`."""
    some = y_true > 0
    gap = (y_pred - y_true) / jnp.where(some, y_true, jnp.ones_like(y_true))
    close = some & (jnp.abs(gap) <= _CLOSE)
    near = y_true * _minus_log1p(jnp.where(close, gap, jnp.zeros_like(gap)))
    # A quotient that rounds to 0 has y_true times its logarithm equal to 0.
    smallest = jnp.finfo(y_true.dtype).tiny
    far = (y_pred - y_true) + y_true * jnp.log(jnp.maximum(y_true / y_pred, smallest))
    return 2 * jnp.where(close, near, far)


def gamma_deviance(y_true: Any, y_pred: Any) -> Any:
    """`2 (log(y_pred / y_true) + y_true / y_pred - 1)`."""
    gap = (y_true - y_pred) / y_pred
    close = jnp.abs(gap) <= _CLOSE
    near = _minus_log1p(jnp.where(close, gap, jnp.zeros_like(gap)))
    return 2 * jnp.where(close, near, gap - jnp.log(y_true / y_pred))


@dataclass(frozen=True)
class PowerDeviance:
    """The deviance of any power but 0, 1 and 2.

    With q = 2 - power and y_true = y_pred (1 + x): `2 y_pred ** q ((1 + x) ** q - 1 - q x) /
    (q (q - 1))`.
    """

    power: float

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        q = 2 - self.power
        gap = (y_true - y_pred) / y_pred
        close = jnp.abs(gap) <= _CLOSE_POWER
        near = _binomial_rest(jnp.where(close, gap, jnp.zeros_like(gap)), q)
        # Powers below 0 take any y_true, and mean max(y_true, 0).
        ratio = jnp.where(close | (y_true <= 0), jnp.ones_like(gap), y_true / y_pred)
        raised = jnp.where(y_true > 0, jnp.power(ratio, q), jnp.zeros_like(gap))
        far = (raised - 1 - q * gap) / (q * (q - 1))
        return 2 * jnp.power(y_pred, q) * jnp.where(close, near, far)


def _minus_log1p(x: Any) -> Any:
    """`x - log(1 + x)` for |x| <= 0.5, to nearly the last digit.

    With z = x / (2 + x), log(1 + x) is 2 (z + z**3 / 3 + z**5 / 5 + ...) and x - 2 z is x z.
    """
    z = x / (2 + x)
    square = jnp.square(z)
    series = jnp.zeros_like(x)
    for k in range(17, 0, -1):  # z**2 is at most 1/9
        series = series * square + 1 / (2 * k + 1)
    return x * z - 2 * z * square * series


def _binomial_rest(x: Any, q: float) -> Any:
    """`((1 + x)**q - 1 - q x) / (q (q - 1))` for |x| <= 0.3, by the binomial series."""
    series = jnp.zeros_like(x)
    for k in range(32, 1, -1):  # nested: each term is the one before times (q - k) x / (k + 1)
        series = 1 + series * x * ((q - k) / (k + 1))
    return 0.5 * jnp.square(x) * series
