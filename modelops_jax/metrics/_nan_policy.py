"""What becomes of rows that hold nan: refused, in a value that is nan, or left out."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from ._host_columns import precision_scope
from ._types import Column

NanPolicy = Literal["raise", "propagate", "omit"]


def check_nan_policy(policy: str) -> None:
    """Refuse another policy (ValueError)."""
    if policy not in get_args(NanPolicy):
        raise ValueError(f"nan_policy must be one of {get_args(NanPolicy)}, not {policy!r}")


def without_nan(y_true: Column, y_pred: Column, weight: Column | None) -> tuple[Column | None, int]:
    """A weight that is 0 where a row holds nan, and how many rows of another weight these are.

    The weight as it is where there are none. Rows that lie on devices are read there.
    """
    with precision_scope(y_true, y_pred, weight):
        flags = [_holds_nan(c) for c in (y_true, y_pred) if jnp.issubdtype(c.dtype, jnp.floating)]
        if not flags:
            return weight, 0
        nan = flags[0] if len(flags) == 1 else flags[0] | flags[1]
        gone = int((nan if weight is None else nan & (weight != 0)).sum())
        if not gone:
            return weight, 0
        if weight is None or weight.dtype == bool:
            return (~nan if weight is None else weight & ~nan), gone
        xp: Any = jnp if isinstance(nan, jax.Array) else np
        return xp.where(nan, xp.zeros_like(weight), weight), gone


def _holds_nan(column: Column) -> Any:
    xp: Any = jnp if isinstance(column, jax.Array) else np
    flags = xp.isnan(column)
    return flags.any(axis=tuple(range(1, flags.ndim)))
