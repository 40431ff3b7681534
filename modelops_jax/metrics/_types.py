"""Types that several files of this room share."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

# One axis of labels, values, scores or weights, as callers have it.
Vector = jax.Array | np.ndarray | Sequence[Any]

# Two axes of scores or probabilities, a column per class, as callers have it.
Matrix = jax.Array | np.ndarray | Sequence[Sequence[Any]]

# The same once it is an array: NumPy on the host, JAX on a device or under tracing.
Column = jax.Array | np.ndarray

# What a metric gives: NumPy from concrete input, JAX under tracing.
Value = jax.Array | np.ndarray | np.number

# A pytree of arrays, of the class that its statistic makes.
State = Any

# A NumPy or JAX float type.
DType = Any

# An axis of a mesh, or several taken as one.
AxisNames = str | tuple[str, ...]
