"""`[KEY=]NAME[:OPTION=VALUE,...]`: a metric as command lines and configurations write it."""

import json
import re
from typing import Any, NamedTuple

_BETWEEN_OPTIONS = re.compile(r",(?![^\[]*\])")  # not the commas of a list
_SPEC = re.compile(r"(?:(?P<key>[^=:,]+)=)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<options>.+))?")


class MetricSpec(NamedTuple):
    """A metric of the table, its options, and the key of its value in the result."""

    key: str
    name: str
    options: dict[str, Any]


def read_metric(text: str) -> MetricSpec:
    """A metric as it is written.

    Values are JSON where they are (`2`, `0.5`, `true`, `null`, `[0.2,0.8]`), else text;
    `average=none` is None.

    Raises:
        ValueError: another form.

    Example:
        >>> read_metric("f2=fbeta_score:beta=2,average=micro")
        MetricSpec(key='f2', name='fbeta_score', options={'beta': 2, 'average': 'micro'})
        >>> read_metric("fbeta_score:beta=2").key
        'fbeta_score:beta=2'
        >>> read_metric("r2_score:multioutput=[0.2,0.8],force_finite=false").options
        {'multioutput': [0.2, 0.8], 'force_finite': False}
        >>> read_metric("f1_score:average=none").options
        {'average': None}
    """
    found = _SPEC.fullmatch(text)
    options: dict[str, Any] = {}
    written = found["options"] if found else None
    for part in _BETWEEN_OPTIONS.split(written) if written else ():
        option, equals, value = part.partition("=")
        if not (option.isidentifier() and equals) or option in options:
            found = None
            break
        # None as torchmetrics writes it; other options have a choice that is called so.
        options[option] = None if part == "average=none" else _value(value)
    if found is None:
        raise ValueError(f"found {text!r}, expected NAME, NAME:OPTION=VALUE,... or KEY=NAME...")
    key = found["key"] or (text if options else found["name"])
    return MetricSpec(key, found["name"], options)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
