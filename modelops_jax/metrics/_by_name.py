"""Metrics by their names in the table."""

from typing import Any

from modelops_jax._did_you_mean import did_you_mean

from ._metric import Metric
from ._table import METRICS


def metric(name: str, **config: Any) -> Metric:
    """The metric of that name with its configuration bound.

    Args:
        name: a name of `METRICS`.
        config: the keyword options of the function of that name, other than `weight` and
            `axis_name`.

    Returns:
        A hashable description that `compute`, streaming and intervals take.

    Raises:
        ValueError: an unknown name, or an option that is none of its choices.
        TypeError: an option the metric does not have, or one it needs left out.

    Example:
        >>> from modelops_jax.metrics import metric
        >>> metric("f1_score", average="macro", num_classes=3).statistics
        (ConfusionCounts(ignore_index=None, num_classes=3),)
    """
    if name not in METRICS:
        meant = did_you_mean(name, METRICS)
        raise ValueError(f"unknown metric {name!r}{meant}; known: {', '.join(sorted(METRICS))}")
    needed = METRICS[name].options
    for option in config:
        if option not in needed:
            has = f"its options are: {', '.join(needed)}" if needed else "it has none"
            raise TypeError(f"{name} has no option {option!r}; {has}")
    missing = [option for option, has_default in needed.items() if not has_default]
    if not config.keys() >= set(missing):
        raise TypeError(f"{name} needs the options: {', '.join(missing)}")
    return METRICS[name].build(**config)
