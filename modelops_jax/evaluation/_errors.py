"""What an evaluation raises and warns with.

RuntimeError
 └─ MetricError               a metric raised; `.metric` names it, `__cause__` is what it raised
     ├─ MetricValueError      ... a ValueError, and is one too
     └─ MetricTypeError       ... a TypeError, and is one too
UserWarning
 ├─ UndefinedMetricWarning    a value without a definition on this input; the rule that applied
 └─ NoIntervalWarning         an interval that was asked for and is not there; why
"""

from modelops_jax.metrics import UndefinedMetricWarning as UndefinedMetricWarning


class MetricError(RuntimeError):
    """A metric raised while it was being computed.

    The message starts with the metric's name, `.metric` is that name and `__cause__` is the
    exception it raised. If that was a ValueError or a TypeError, so is this one.
    """

    def __init__(self, metric: str, cause: Exception) -> None:
        super().__init__(metric, cause)
        self.metric = metric
        self.cause = cause

    def __str__(self) -> str:
        return f"metric {self.metric!r} failed: {type(self.cause).__name__}: {self.cause}"


class MetricValueError(MetricError, ValueError):
    """A metric raised a ValueError."""


class MetricTypeError(MetricError, TypeError):
    """A metric raised a TypeError."""


class NoIntervalWarning(UserWarning):
    """An interval was asked for and a metric has none; the message says why."""


def metric_error(metric: str, cause: Exception) -> MetricError:
    """Give the MetricError that can be caught as what the metric raised."""
    if isinstance(cause, ValueError):
        return MetricValueError(metric, cause)
    if isinstance(cause, TypeError):
        return MetricTypeError(metric, cause)
    return MetricError(metric, cause)
