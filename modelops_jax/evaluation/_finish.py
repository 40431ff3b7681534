"""From the outcomes of the metrics to a result, with errors raised and rules warned about."""

import warnings
from collections.abc import Mapping
from typing import Any

from ._builtin import Computed, Confidence
from ._call import call_metric
from ._errors import UndefinedMetricWarning
from ._labels import shorten
from ._result import EvaluationResult
from ._task_type import TaskType


def check_confidence(confidence: float | int | None, seed: int) -> Confidence | None:
    """What a caller asks for, if it makes sense.

    Raises:
        ValueError: a level outside (0, 1).
    """
    if confidence is None:
        return None
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; expected None or a level in (0, 1)")
    return Confidence(confidence, seed)


def finish(
    task_type: TaskType,
    metrics: Mapping[str, Any],
    outcomes: Mapping[str, Computed | Exception],
    columns: tuple[Any, Any] | None,
    rows: int,
) -> EvaluationResult:
    """Make the result, for a method that the user calls.

    Args:
        task_type: the task.
        metrics: the metrics by name, in order.
        outcomes: what the built-in ones gave.
        columns: y_true and y_pred of all rows, for the others; None where there are none.
        rows: how many rows.
    """
    computed: dict[str, Computed] = {}
    for name, outcome in outcomes.items():
        if isinstance(outcome, Exception):
            raise outcome
        computed[name] = outcome
    metadata: dict[str, Any] = {}
    for outcome in computed.values():
        metadata |= outcome.facts or {}
    if task_type is TaskType.BINARY_CLASSIFICATION:
        _check_binary(metadata)
    for name, metric in metrics.items():
        if name not in computed:
            assert columns is not None
            computed[name] = Computed(_custom(name, metric, *columns))
    rules = {name: computed[name].rule for name in metrics if computed[name].rule is not None}
    for rule in rules.values():
        # From here through the method to its caller.
        warnings.warn(str(rule), UndefinedMetricWarning, stacklevel=3)
    if rules:
        metadata["undefined"] = rules
    return EvaluationResult(
        metrics={name: computed[name].value for name in metrics},
        task_type=task_type,
        sample_count=rows,
        metadata=metadata,
        intervals={name: c.interval for name, c in computed.items() if c.interval is not None},
    )


def _check_binary(metadata: dict[str, Any]) -> None:
    classes = metadata.get("classes")
    if classes is None or not (set(classes) <= {0, 1} or set(classes) <= {-1, 1}):
        found = f"{metadata['num_classes']} classes" if classes is None else shorten(tuple(classes))
        raise ValueError(
            f"the labels are {found}; a binary task has 0 and 1, bools, or -1 and 1, of which 1 is "
            "the positive one (TaskType.MULTICLASS_CLASSIFICATION takes any labels, and "
            "F1Metric(positive_class=...) any positive class)"
        )


def _custom(name: str, metric: Any, y_true: Any, y_pred: Any) -> float:
    return call_metric(name, lambda: metric.compute(y_true, y_pred))
