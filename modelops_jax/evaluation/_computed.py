"""What is asked of one metric besides its value, and what it gives."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

# The methods that resample every metric, shares of rows as well.
BOOTSTRAPS = ("percentile", "bca")


@dataclass(frozen=True)
class Computed:
    """The value of one metric, and what must be said with it.

    Args:
        value: the value; nan where it is undefined and no convention gives a number, and of a
            metric that has one for each class.
        rule: the rule that gave the value, where the metric has no definition on the rows.
        interval: its confidence interval, if one was asked for and there is one.
        facts: what the metric decided from the rows, for the metadata of a result.
        undefined: how many entries of the value have no definition.
        no_interval: why it has no interval, where one was asked for.
        by_class: of a metric that has a value for each class these, in the order of the classes.
        class_intervals: of such a metric the interval of each, as `interval`.
    """

    value: float
    rule: str | None = None
    interval: numeric.Interval | None = None
    facts: Mapping[str, Any] | None = None
    undefined: int = 0
    no_interval: str | None = None
    by_class: tuple[float, ...] | None = None
    class_intervals: tuple[numeric.Interval, ...] | None = None


@dataclass(frozen=True)
class Confidence:
    """Which intervals to compute."""

    level: float
    seed: int
    groups: Any = None
    """For every row the id of the group it is resampled with; None: rows are independent."""
    method: str = "auto"
    n_resamples: int = 1000

    @property
    def options(self) -> dict[str, Any]:
        """What functions of `modelops_jax.metrics` take, but for the groups."""
        return {
            "level": self.level,
            "method": self.method,
            "n_resamples": self.n_resamples,
            "seed": self.seed,
        }

    def of(self, rows: np.ndarray) -> "Confidence":
        """The same of some of the rows."""
        groups = None if self.groups is None else np.asarray(self.groups)[rows]
        return dataclasses.replace(self, groups=groups)


def resampled_of(
    metrics: Mapping[str, numeric.Metric], *, weighted: bool
) -> dict[str, numeric.Metric]:
    """The metrics whose interval is a bootstrap of sums over rows: of weighted rows counts, too."""
    kinds = ("rows", "cells") if weighted else ("rows",)
    return {name: metric for name, metric in metrics.items() if metric.resampling in kinds}
