"""Reading concrete scored rows for what is computed from them in NumPy."""

import numpy as np

from ._host_columns import numbers
from ._metric import raise_invalid
from ._scores import ScoreRows, Scores
from ._statistic import check_rows
from ._types import Vector


def read_scores(
    y_true: Vector, score: Vector, weight: Vector | None, name: str = "y_score"
) -> Scores:
    """The concrete state of these rows; `name` is the scores' in the caller's signature.

    Raises:
        ValueError: shapes that differ or are not one axis, labels other than 0 and 1, scores
            that are not finite, weights that are negative or not finite.
        TypeError: labels that are not integers or booleans.
    """
    true, pred = np.asarray(numbers(y_true, "y_true")), np.asarray(numbers(score, name))
    mask = None if weight is None else np.asarray(numbers(weight, "weight"))
    statistic = ScoreRows()
    try:
        state = statistic.of_rows(check_rows(true, pred, mask, xp=np))
        raise_invalid(statistic, state)
    except ValueError as error:
        raise ValueError(f"{error} ({name} is y_pred here)") from None
    return state
