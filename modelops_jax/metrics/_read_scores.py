"""Reading concrete scored rows for curves and DeLong's test."""

from ._compute import pass_over
from ._host_columns import numbers
from ._scores import ScoreRows, Scores
from ._types import Vector


def read_scores(
    y_true: Vector, score: Vector, weight: Vector | None, name: str = "y_score"
) -> Scores:
    """The concrete state of these rows, which stay where they lie.

    Args:
        y_true: labels, shape (n,).
        score: scores, shape (n,).
        weight: None, a mask or numbers, shape (n,).
        name: the scores' in the caller's signature.

    Raises:
        ValueError: shapes that differ or are not one axis, labels other than 0 and 1, scores
            that are not finite, weights that are negative or not finite.
        TypeError: labels that are not integers or booleans.
    """
    true, pred = numbers(y_true, "y_true"), numbers(score, name)
    statistic = ScoreRows()
    try:
        return pass_over((statistic,), true, pred, weight).states[statistic]
    except ValueError as error:
        raise ValueError(f"{error} ({name} is y_pred here)") from None
