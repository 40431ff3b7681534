"""The kinds of task an evaluation knows."""

from enum import Enum


class TaskType(Enum):
    """What a model does, and so which metrics describe it.

    A member is found by its value or its own name, in upper or lower case: `"binary"`,
    `"binary_classification"` and `"BINARY_CLASSIFICATION"` are one task.

    Raises:
        ValueError: `TaskType(name)` of an unknown name; the message lists the choices.

    Example:
        >>> TaskType("binary") is TaskType.BINARY_CLASSIFICATION
        True
        >>> TaskType("poetry")
        Traceback (most recent call last):
            ...
        ValueError: unknown task type 'poetry'; choose one of: classification, binary, \
multiclass, multilabel, regression, ranking, text_generation
    """

    CLASSIFICATION = "classification"
    """Labels; binary or multiclass is decided by the labels seen."""
    BINARY_CLASSIFICATION = "binary"
    """Labels in {0, 1}, in {-1, 1} or bools; the positive class is 1."""
    MULTICLASS_CLASSIFICATION = "multiclass"
    """Labels of any type; precision, recall and F1 are macro-averaged."""
    MULTILABEL_CLASSIFICATION = "multilabel"
    """Indicator matrices of shape (rows, labels)."""
    REGRESSION = "regression"
    """Real numbers."""
    RANKING = "ranking"
    """Relevance labels in {0, 1} or {-1, 1} and scores that should order them."""
    TEXT_GENERATION = "text_generation"
    """Reference texts and generated texts."""

    @classmethod
    def _missing_(cls, value: object) -> "TaskType":
        if isinstance(value, str):
            wanted = value.strip().lower()
            for member in cls:
                if wanted in (member.value, member.name.lower()):
                    return member
        choices = ", ".join(member.value for member in cls)
        raise ValueError(f"unknown task type {value!r}; choose one of: {choices}")
