"""Group ids: which rows belong together."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

_INT64, _INT32 = np.iinfo(np.int64), np.iinfo(np.int32)


def check_groups(groups: Any, count: int, xp: Any = jnp) -> Any:
    """Group ids as an array: int64 in NumPy; under tracing int32, or int64 where that is enabled.

    Args:
        groups: ids, shape (n,), any integers.
        count: n.
        xp: the namespace of the result, `jax.numpy` or `numpy`.

    Raises:
        ValueError: another shape, or an id that the result's type cannot hold: ids are never
            wrapped, which would make one group of two.
        TypeError: ids that are not integers.
    """
    if not isinstance(groups, Tracer):
        groups = np.asarray(groups)
        if groups.size == 0 and groups.dtype == np.float64:
            groups = groups.astype(np.int64)  # an empty list
    check_ids(groups, count)
    wide = xp is np or jax.dtypes.canonicalize_dtype(np.int64) == np.int64
    if not isinstance(groups, Tracer) and groups.size:
        limits = _INT64 if wide else _INT32
        low, high = int(groups.min()), int(groups.max())
        if low < limits.min or high > limits.max:
            raise ValueError(
                f"groups holds ids from {low} to {high}, which {limits.dtype} cannot hold: number "
                "them with numpy.unique(groups, return_inverse=True)[1]"
            )
    return xp.asarray(groups, dtype=np.int64 if wide else np.int32)


def check_ids(groups: Any, count: int) -> None:
    """Refuse ids for what is known of them without reading them.

    Raises:
        ValueError: another shape than (count,).
        TypeError: ids that are not integers, or of a type that under tracing, and on devices, has
            numbers which the result's type lacks.
    """
    if groups.shape != (count,):
        raise ValueError(
            f"groups has shape {groups.shape}; expected ({count},), an id for each row"
        )
    if not jnp.issubdtype(groups.dtype, jnp.integer):
        raise TypeError(
            f"groups must hold integers, not {groups.dtype}: number other ids first, with "
            "numpy.unique(ids, return_inverse=True)[1]"
        )
    if isinstance(groups, jax.Array) and groups.dtype in (jnp.uint32, jnp.uint64):
        where = "under tracing" if isinstance(groups, Tracer) else "on devices"
        raise TypeError(f"groups must hold int32 or int64 {where}, not {groups.dtype}")
