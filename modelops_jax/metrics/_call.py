"""How every plain function runs: on the host when it can, inside the caller's program if not."""

from typing import Any

import jax

from ._compute import compute
from ._metric import Metric
from ._statistic import block_all, check_rows


def call(metric: Metric, y_true: Any, y_pred: Any, weight: Any, axis_name: str | None) -> Any:
    """The metric's value over these rows.

    Concrete input takes the one-pass host path: exact, in float64 where the input has it, and
    an invalid row raises. Under `jit`, `vmap`, `grad` or `shard_map` it is traced into the
    caller's program and an invalid row gives nan.
    """
    given = (y_true, y_pred, weight)
    traced = any(isinstance(value, jax.core.Tracer) for value in given)
    if not traced and axis_name is None:
        return compute({metric.name: metric}, y_true, y_pred, weight=weight).values[metric.name]
    states = block_all(metric.statistics, check_rows(y_true, y_pred, weight))
    if axis_name is not None:
        states = metric.collect(states, axis_name)
    return metric.finalize(states).value
