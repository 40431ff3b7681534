"""Metrics of one's own in the table."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

import numpy as np

from modelops_jax._option_types import require_number

from ._call import call
from ._metric import Metric
from ._metric_info import LAWS, Inputs, MetricInfo
from ._table import METRICS
from ._types import Value

# `modelops_jax.evaluation` has metrics of texts by these names, which would hide one's own.
_OF_TEXTS = ("exact_match", "squad_exact_match")


def register_metric(
    name: str,
    build: Metric | Callable[..., Metric],
    *,
    inputs: Inputs | str,
    higher_is_better: bool | None,
    low: float | int = -math.inf,
    high: float | int = math.inf,
    excused: Mapping[str, str] = MappingProxyType({}),
) -> Callable[..., Value]:
    """Add a metric of your own to `METRICS`, from where everything finds it by its name.

    `metric`, `compute`, streams, slices, weights, intervals, `ModelEvaluator(metrics=[name])` and
    `compare` take it as they take the others, and so does `modelops evaluate --import MODULE
    --metric name`, with the module that registers it. `check_laws` says whether it keeps what those
    rely on. A name can be given once in a process; to define it anew, `del METRICS[name]` first.

    Args:
        name: an identifier that is not in the table, and that no metric of texts has either.
        build: the metric; or a function of keyword options that gives it, each with a default or
            to be given. A metric is statistics and a finalizer: `RowMean(row)` with `Mean()` is the
            mean of `row(y_true, y_pred)`, a module-level function of two JAX arrays.
        inputs: what y_pred holds, one of the kinds of `MetricInfo.inputs`: "labels", "values",
            "scores", ... It decides which tasks the metric fits.
        higher_is_better: the direction; None where the metric has none.
        low: the lower end of the range.
        high: the upper end of the range.
        excused: law of `LAWS` -> why the metric need not obey it.

    Returns:
        The plain function `(y_true, y_pred, *, weight=None, axis_name=None, ...)`, which runs
        inside your own `jit`, `vmap` and `shard_map`.

    Raises:
        ValueError: a name that is taken or no identifier, inputs that are no kind, an excuse from
            what is no law, or a range whose ends are the wrong way round.
        TypeError: a `build` that is not a metric, nor a function that gives one; or another
            argument of a wrong type, named by the message.

    Example:
        >>> import jax.numpy as jnp
        >>> from modelops_jax.metrics import METRICS, Mean, Metric, RowMean, register_metric
        >>> def far_off(y_true, y_pred):
        ...     return (jnp.abs(y_true - y_pred) > 1).astype(y_true.dtype)
        >>> share_far_off = register_metric(
        ...     "share_far_off", Metric("share_far_off", (RowMean(far_off),), Mean()),
        ...     inputs="values", higher_is_better=False, low=0, high=1,
        ... )
        >>> float(share_far_off([1.0, 2.0, 3.0, 4.0], [1.5, 4.0, 3.0, 3.0]))
        0.25
        >>> del METRICS["share_far_off"]
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, not {name!r}")
    if name in METRICS:
        raise ValueError(f"a metric named {name!r} is in METRICS already; choose another name")
    if name in _OF_TEXTS:
        raise ValueError(
            f"{name!r} is a metric of texts of modelops_jax.evaluation, which the task "
            "'text_generation' would take in place of yours; choose another name"
        )
    if not name.isidentifier():
        raise ValueError(f"the name {name!r} is no identifier; expected one such as 'my_score'")
    kind = next((kind for kind in get_args(Inputs) if kind == inputs), None)
    if kind is None:
        raise ValueError(f"inputs must be one of {get_args(Inputs)}, not {inputs!r}")
    if not isinstance(higher_is_better, bool | np.bool_ | None):
        raise TypeError(f"higher_is_better must be True, False or None, not {higher_is_better!r}")
    if not isinstance(excused, Mapping):
        raise TypeError(f"excused must be a mapping of laws to reasons, not {excused!r}")
    unknown = [law for law in excused if law not in LAWS]
    if unknown:
        raise ValueError(f"excused has {unknown[0]!r}, which is none of the laws {LAWS}")
    for law, reason in excused.items():
        if not isinstance(reason, str):
            raise TypeError(f"excused[{law!r}] must be a string, the reason, not {reason!r}")
    low, high = require_number(low, "low"), require_number(high, "high")
    if not low <= high:
        raise ValueError(f"the range is from low={low!r} to high={high!r}; expected low <= high")
    options = _options(name, build)

    def named(**chosen: Any) -> Metric:
        made = build if isinstance(build, Metric) else build(**chosen)
        if not isinstance(made, Metric):
            raise TypeError(f"{name}: build gave an {type(made).__name__}; expected a Metric")
        return dataclasses.replace(made, name=name)

    def function(
        y_true: Any,
        y_pred: Any,
        groups: Any = None,
        *,
        weight: Any = None,
        axis_name: str | None = None,
        **chosen: Any,
    ) -> Value:
        return call(named(**chosen), y_true, y_pred, weight, axis_name, groups)

    if all(option.default is not inspect.Parameter.empty for option in options):
        named()  # a mistake shows here, and not at the first use
    function.__name__ = function.__qualname__ = name
    own = [p for p in inspect.signature(function).parameters.values() if p.name != "chosen"]
    function.__signature__ = inspect.Signature([*own, *options])  # pyright: ignore[reportFunctionMemberAccess] # what inspect reads
    direction = None if higher_is_better is None else bool(higher_is_better)
    METRICS[name] = MetricInfo(function, named, kind, direction, low, high, dict(excused))
    return function


def _options(name: str, build: Any) -> list[inspect.Parameter]:
    """The options of a metric of one's own, as keyword parameters."""
    if isinstance(build, Metric):
        return []
    if not callable(build):
        raise TypeError(
            f"{name}: build is a {type(build).__name__}; expected a Metric or a function giving one"
        )
    options = list(inspect.signature(build).parameters.values())
    for option in options:
        if option.kind not in (option.KEYWORD_ONLY, option.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"{name}: build takes {option}; expected named options")
    return [option.replace(kind=option.KEYWORD_ONLY) for option in options]
