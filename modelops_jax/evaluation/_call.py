"""Calling a metric that somebody else wrote."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._errors import metric_error


def call_metric(name: str, call: Callable[[], Any]) -> float:
    """Give the one number that `call` returns.

    Raises:
        MetricError: the call raised, or returned something else; the error names the metric.
    """
    try:
        return _as_number(call())
    except Exception as error:
        raise metric_error(name, error) from error


def _as_number(value: Any) -> float:
    is_scalar = hasattr(value, "dtype") and np.ndim(value) == 0
    real = (jnp.floating, jnp.integer, jnp.bool_)
    if isinstance(value, Real) or (
        is_scalar and any(jnp.issubdtype(value.dtype, kind) for kind in real)
    ):
        return float(value)
    raise TypeError(f"it returned {value!r} ({type(value).__name__}); expected one number")
