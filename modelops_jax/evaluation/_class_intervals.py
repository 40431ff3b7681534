"""Intervals of the value of each class, from one interval whose ends are arrays."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import modelops_jax.metrics as numeric

# What every result says of each class of labels, by the name in it.
RATIOS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class ClassRatio:
    """A ratio that a result has of each class, beside the metrics by class that were added.

    Args:
        metric: which has one value for each class.
    """

    metric: numeric.Metric
    by_class: ClassVar[bool] = True

    def averages(self, pair: Any) -> bool:
        """Whether other metrics have to share its table: it brings its own."""
        return False

    def bind(self, pair: Any) -> numeric.Metric:
        """The metric."""
        return self.metric

    marked = bind

    def rule(self, pair: Any) -> str:
        """Which rule gives the value of a class without one."""
        return "0/0 counts as 0.0"

    def facts(self, pair: Any) -> Mapping[str, Any]:
        """What it decided from the rows."""
        return {}


def class_ratios(**options: Any) -> dict[str, ClassRatio]:
    """By name in a result the ratios of each class; `options` are what the rows decide."""
    return {
        name: ClassRatio(numeric.metric(f"{name}_score", average=None, **options))
        for name in RATIOS
    }


def entries_of(interval: numeric.Interval, classes: int) -> tuple[numeric.Interval, ...]:
    """The interval of each of the first so many entries."""
    low, high = (np.asarray(end)[:classes].tolist() for end in (interval.low, interval.high))
    return tuple(
        dataclasses.replace(interval, low=one, high=other)
        for one, other in zip(low, high, strict=True)
    )
