"""How every plain function runs: on the host when it can, inside the caller's program if not."""

import warnings

from jax.core import Tracer

from ._compute import compute
from ._metric import Metric
from ._statistic import block_all, check_rows, shared_axes
from ._types import Matrix, Value, Vector
from ._undefined import UndefinedMetricWarning


def call(
    metric: Metric,
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    weight: Vector | None,
    axis_name: str | None,
    groups: Vector | None = None,
    *,
    warns: bool = False,
) -> Value:
    """The metric's value over these rows.

    Concrete input takes the one-pass host path: exact, in float64 where the input has it, and
    an invalid row raises. Under `jit`, `vmap`, `grad` or `shard_map` it is traced into the
    caller's program and an invalid row gives nan. With `warns` the function that calls this one
    warns its caller of entries without a definition, of concrete input.
    """
    given = (y_true, y_pred, weight, groups)
    traced = any(isinstance(value, Tracer) for value in given)
    if not traced and axis_name is None:
        report = compute({metric.name: metric}, y_true, y_pred, weight=weight, groups=groups)
        if warns and report.undefined[metric.name]:
            message = f"{metric.name}: {report.undefined[metric.name]} of its ratios are 0/0"
            warnings.warn(f"{message}, which counts as 0", UndefinedMetricWarning, stacklevel=3)
        return report.values[metric.name]
    rows = check_rows(y_true, y_pred, weight, shared_axes(metric.statistics), groups=groups)
    states = block_all(metric.statistics, rows)
    if axis_name is not None:
        states = metric.collect(states, axis_name)
    return metric.finalize(states).value
