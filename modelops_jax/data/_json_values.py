"""Which Python values are JSON values, so that what is written is what will be read."""

import math

# A bound of our own: the recursion limit of Python and of the parsers depends on the version and on
# how deep the caller already is, so the same row would be readable on some days only.
MAX_NESTING = 100
TOO_DEEP = f"nested more than {MAX_NESTING} levels deep"


def is_too_deep(value: object) -> bool:
    """Whether lists and dicts are nested more than `MAX_NESTING` levels (a cycle always is)."""
    level = {id(value): value} if isinstance(value, dict | list | tuple) else {}
    for _ in range(MAX_NESTING):
        if not level:
            return False
        # Keyed by identity, so that a shared or cyclic container is visited once a level.
        level = {
            id(child): child
            for parent in level.values()
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list | tuple)
        }
    return bool(level)


def has_lone_surrogate(text: str) -> bool:
    """Whether the text holds half of a surrogate pair, which no UTF-8 file can."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def json_fault(value: object, field: str = "") -> str | None:
    """What keeps a value of bounded depth from being written as JSON exactly, or None.

    Args:
        value: The value.
        field: Where it sits in its row, as in ``messages[1].content``.
    """
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return f"{field}: holds half of a surrogate pair" if has_lone_surrogate(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{field}: {value} is not a JSON number"
    if isinstance(value, int):
        try:
            int.__repr__(value)
        except ValueError as error:  # Python's own limit on the digits of an int
            return f"{field}: {error}"
        return None
    if isinstance(value, list | tuple):
        faults = (json_fault(item, f"{field}[{i}]") for i, item in enumerate(value))
        return next(filter(None, faults), None)
    if isinstance(value, dict):
        return _dict_fault(value, field)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return (
        f"{field}: {kind.removeprefix('builtins.')} is not a JSON value "
        "(str, int, float, bool, None, list or dict)"
    )


def _dict_fault(value: dict[object, object], field: str) -> str | None:
    for key, child in value.items():
        if not isinstance(key, str):
            return f"{field or 'row'}: key {key!r} is not a string, as JSON keys are"
        if has_lone_surrogate(key):
            return f"{field or 'row'}: key {key!r} holds half of a surrogate pair"
        if fault := json_fault(child, f"{field}.{key}" if field else key):
            return fault
    return None
