"""What a stream takes from the evaluator that makes it."""

from typing import Any, Protocol, runtime_checkable

from ._task_type import TaskType


@runtime_checkable
class EvaluatorLike(Protocol):
    """The task and the metrics of an evaluator."""

    @property
    def task_type(self) -> TaskType:
        """The task."""
        ...

    @property
    def metrics(self) -> tuple[Any, ...]:
        """The metrics, in order."""
        ...
