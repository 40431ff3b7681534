"""Columns as callers have them, and the scope in which they are computed on."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._sharded import row_layout
from ._types import Column, Matrix, Vector


def numbers(values: Vector | Matrix, name: str) -> Column:
    """The values in NumPy, or as they are where they are many on an accelerator, or on several.

    Raises:
        TypeError: values that are not numbers or booleans.
        ValueError: a masked array, whose mask NumPy would leave behind.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array; pass only its valid entries, or weight=~mask")
    stays = row_layout(values) is not None
    array: Any = values if stays else np.asarray(values)
    if array.size == 0 and array.dtype == np.float64 and not hasattr(values, "dtype"):
        return array.astype(np.int64)  # an empty list says nothing about what it does not hold
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in kinds):
        raise TypeError(
            f"{name} must hold numbers or booleans, not {array.dtype}: encode other labels first"
        )
    return array


def computed_now() -> contextlib.AbstractContextManager[Any]:
    """Work on constants inside a user's jitted function is done now, not traced.

    Only there: in this scope each operation of a function that is being traced is compiled too.
    """
    traced = isinstance(jax.device_put(np.float32(0)), Tracer)
    return jax.ensure_compile_time_eval() if traced else contextlib.nullcontext()


def precision_scope(*columns: Column | None) -> contextlib.AbstractContextManager[Any]:
    """64-bit types for the work on these columns, if one of them is an integer or a float64."""
    wide = any(
        column is not None and (column.dtype.itemsize == 8 or column.dtype.kind in "iu")
        for column in columns
    )
    return jax.enable_x64(True) if wide else contextlib.nullcontext()


def are_alike(weight: Any) -> bool:
    """Whether weights, wherever they lie, only say which rows count."""
    if weight.dtype == bool:
        return True
    with jax.enable_x64(True):  # of 64 bits on devices they would be compared in 32
        return bool(jax.device_get(((weight == 0) | (weight == 1)).all()))
