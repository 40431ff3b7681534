"""The sum of two floats without a loss."""

from typing import Any


def two_sum(left: Any, right: Any) -> tuple[Any, Any]:
    """The rounded sum of two floats and its exact rounding error (Knuth)."""
    total = left + right
    part = total - left
    return total, (left - (total - part)) + (right - part)
