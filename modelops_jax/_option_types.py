"""Options whose mistakes are told by the option's name."""

from typing import Any

import numpy as np


def require_integer(value: Any, name: str) -> int:
    """A static option as a Python integer.

    Raises:
        TypeError: something else, naming the option.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    return int(value)


def require_number(value: Any, name: str) -> float:
    """A static option as a Python float.

    Raises:
        TypeError: something else, naming the option.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise TypeError(f"{name} must be a number, not {value!r}")
    return float(value)


def require_flag(value: Any, name: str) -> bool:
    """A static option as a Python truth value.

    Raises:
        TypeError: something else, naming the option.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def require_names(value: Any, name: str) -> tuple[str, ...]:
    """A static option as a tuple of strings.

    Raises:
        TypeError: no list or tuple of them, naming the option.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{name} must be a list of strings, not {value!r}")
    return tuple(value)


def require_count(value: Any, name: str) -> int:
    """A static option as a Python integer of at least 1.

    Raises:
        TypeError: no integer, naming the option.
        ValueError: 0 or less, naming the option.
    """
    count = require_integer(value, name)
    if count < 1:
        raise ValueError(f"{name} must be at least 1, not {count}")
    return count
