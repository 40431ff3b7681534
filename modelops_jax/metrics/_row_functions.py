"""Numbers computed from each row, and the values for which they exist.

A row function takes (y_true, y_pred) of one float type and shape. It is a module-level function
or a frozen dataclass, so that equal statistics compare equal.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp

from ._statistic import WEIGHT_COMPLAINT

RowFunction = Callable[[Any, Any], Any]
Bound = Literal["real", "non-negative", "positive", "log-likelihood"]

_COMPLAINTS: dict[Bound, str] = {
    "real": "values that are not finite",
    "non-negative": "values that are negative or not finite",
    "positive": "values that are not positive or not finite",
    "log-likelihood": "log-likelihoods that are above 0 or not finite",
}
# What rounding may make of a log-likelihood of 0.
_ROUNDED = 1e-3
# scikit-learn's smallest denominator of a percentage, in every precision.
_SMALLEST = 2.0**-52


@dataclass(frozen=True)
class Domain:
    """The values for which a row function exists; rows outside are invalid."""

    true: Bound = "real"
    pred: Bound = "real"

    def complaints(self) -> dict[str, str]:
        """What makes a row invalid, by argument."""
        return {
            "y_true": _COMPLAINTS[self.true],
            "y_pred": _COMPLAINTS[self.pred],
            "weight": WEIGHT_COMPLAINT,
        }

    def outside(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Where each argument has no valid value."""
        return _outside(self.true, y_true), _outside(self.pred, y_pred)


def _outside(bound: Bound, values: Any) -> Any:
    finite = jnp.isfinite(values)
    if bound == "real":
        return ~finite
    if bound == "log-likelihood":
        return ~(finite & (values <= _ROUNDED))
    return ~(finite & ((values >= 0) if bound == "non-negative" else (values > 0)))


def squared_error(y_true: Any, y_pred: Any) -> Any:
    """`(y_true - y_pred) ** 2`."""
    return jnp.square(y_true - y_pred)


def absolute_error(y_true: Any, y_pred: Any) -> Any:
    """`|y_true - y_pred|`."""
    return jnp.abs(y_true - y_pred)


def relative_length(y_true: Any, y_pred: Any) -> Any:
    """`y_pred / y_true`; of an empty reference 1 if the prediction is empty too, else 0."""
    empty = y_true == 0
    both = (empty & (y_pred == 0)).astype(y_true.dtype)
    return jnp.where(empty, both, y_pred / jnp.where(empty, jnp.ones_like(y_true), y_true))


def target(y_true: Any, y_pred: Any) -> Any:
    """`y_true`."""
    return y_true


def difference(y_true: Any, y_pred: Any) -> Any:
    """`y_true - y_pred`."""
    return y_true - y_pred


# Row functions that are not finite where either value is not.
ERRORS = frozenset({squared_error, absolute_error, difference})


def both_values(y_true: Any, y_pred: Any) -> Any:
    """`(y_true, y_pred)`."""
    return y_true, y_pred


def percentage_error(y_true: Any, y_pred: Any) -> Any:
    """`|y_true - y_pred| / |y_true|`, with 2**-52 for a smaller `|y_true|`."""
    return jnp.abs(y_true - y_pred) / jnp.maximum(jnp.abs(y_true), _SMALLEST)


def symmetric_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """`2 |y_true - y_pred| / (|y_true| + |y_pred|)`; 0 where both are 0."""
    size = jnp.abs(y_true) + jnp.abs(y_pred)
    none = size == 0
    return 2 * jnp.abs(y_true - y_pred) / jnp.where(none, jnp.ones_like(size), size)


def squared_log_error(y_true: Any, y_pred: Any) -> Any:
    """`log((1 + y_true) / (1 + y_pred)) ** 2`.

    As one logarithm of a quotient of at least 1: two logarithms would lose the digits that they
    have in common.
    """
    low, high = jnp.minimum(y_true, y_pred), jnp.maximum(y_true, y_pred)
    return jnp.square(jnp.log1p((high - low) / (1 + low)))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """`log(cosh(y_true - y_pred))`, without overflow, and with the digits of small errors."""
    size = jnp.abs(y_true - y_pred)
    near = size < 1
    small = jnp.where(near, size, jnp.zeros_like(size))
    large = jnp.where(near, jnp.ones_like(size), size)
    # cosh ** 2 = 1 + sinh ** 2.
    by_sinh = 0.5 * jnp.log1p(jnp.square(jnp.sinh(small)))
    return jnp.where(near, by_sinh, large + (jnp.log1p(jnp.exp(-2 * large)) - math.log(2)))


@dataclass(frozen=True)
class Pinball:
    """`alpha` times an error below the truth, `1 - alpha` times one above it."""

    alpha: float

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        return jnp.where(error >= 0, self.alpha, 1 - self.alpha) * jnp.abs(error)


@dataclass(frozen=True)
class Huber:
    """Half the square of an error up to `delta`, and from there on its tangent."""

    delta: float

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        size = jnp.abs(y_true - y_pred)
        inside = jnp.minimum(size, self.delta)
        return inside * (size - 0.5 * inside)
