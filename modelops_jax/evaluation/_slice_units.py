"""The rows of one group in one slice are a unit."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class SliceUnits(NamedTuple):
    """The units of one slice."""

    units: np.ndarray
    """Their numbers, in the order of their groups."""
    groups: np.ndarray
    """The place of the group of each among all groups in order."""


class UnitsThere(NamedTuple):
    """The units of one slicing of rows that lie on devices."""

    ids: Any
    """The unit of each row, there."""
    slices: Sequence[SliceUnits]
    """For each slice."""
