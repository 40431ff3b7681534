"""What the table says of a metric, and the laws."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ._metric import Metric

# What every metric promises; the law tests hold each metric of the table to each of these.
LAWS = (
    "permutation",  # the order of the rows does not matter
    "repetition",  # an integer weight is that many copies of the row
    "zero_weight",  # a row of weight 0 is absent, whatever it holds
    "merge",  # states of parts, merged, are the state of the whole
    "padding",  # rows added with weight 0 change nothing
    "jit",  # traced and concrete agree
    "vmap",  # a batch gives what a loop gives
    "sharded",  # shards, merged over a mesh axis, give what one device gives
    "exchange",  # of sharded rows devices exchange states alone, and the host gets nothing else
    "traces",  # one trace per size of bucket and dtypes
    "gradient",  # the derivative is that of finite differences
)

Inputs = Literal[
    "labels", "label_sets", "scores", "class_scores", "probabilities", "values", "positive",
    "lengths", "groups", "overlaps", "errors", "log_likelihoods", "tokens", "attempts",
]  # fmt: skip


@dataclass(frozen=True)
class MetricInfo:
    """One metric: its functions, its direction and range, and the laws it is excused from."""

    function: Callable[..., Any]
    """The plain function `(y_true, y_pred, *, weight=None, ...)`."""

    build: Callable[..., Metric]
    """Binds a configuration."""

    inputs: Inputs
    """What `y_pred` holds: labels, which of several labels each row has, scores of 0/1 labels,
    scores of every class, probabilities of every class or of class 1 (logits where so configured),
    real numbers, positive ones, lengths, scores of rows that have a group, lengths of texts with
    what they share, errors in texts, log-likelihoods of texts, ids of tokens, numbers of attempts
    that passed."""

    higher_is_better: bool | None
    """The direction; None where the metric has none."""

    low: float
    high: float
    """The range, of every configuration."""

    excused: Mapping[str, str] = field(default_factory=dict)
    """Law -> why the metric need not obey it."""

    @property
    def options(self) -> dict[str, bool]:
        """The options of the metric, and whether each has a default."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            parameter.name: parameter.default is not inspect.Parameter.empty
            for parameter in parameters
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
            and parameter.name not in ("weight", "axis_name")
        }
