"""Values that are no numbers, of any type."""

from decimal import Decimal
from typing import Any

import numpy as np


def is_nan(value: Any) -> bool:
    """Whether a float, complex number or decimal is nan, or one that a list or tuple holds."""
    if isinstance(value, list | tuple):
        return any(map(is_nan, value))
    if isinstance(value, Decimal):
        return value.is_nan()  # one that signals cannot be compared
    return isinstance(value, float | complex | np.inexact) and bool(value != value)
