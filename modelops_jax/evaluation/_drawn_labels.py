"""Resamples of weighted labels that are drawn as rows come in, of all rows and of every slice."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._distinct import rows_by_number
from modelops_jax._prefixed import below, prefixed

from ._builtin import BuiltIn
from ._growing import GrowingClasses
from ._per_class import LARGEST_TABLE
from ._told_apart import told_apart


class DrawnLabels:
    """What each pair of labels weighs in every resample.

    Args:
        members: the metrics.
        n_resamples: how many resamples.
        seed: of the draws.
    """

    def __init__(self, members: Mapping[str, BuiltIn], n_resamples: int, seed: int) -> None:
        self._members, self._drawing = members, {"n_resamples": n_resamples, "seed": seed}
        self.whole = numeric.CountResampleStream(**self._drawing)
        # For each slicing by the number of the slice.
        self.slices: list[list[numeric.CountResampleStream]] = []

    def update(
        self,
        classes: GrowingClasses,
        true: np.ndarray,
        pred: np.ndarray,
        weight: np.ndarray,
        slices: Sequence[np.ndarray],
    ) -> None:
        """Add rows.

        Args:
            classes: the classes so far, these rows' among them.
            true: the true class of each row.
            pred: the predicted one.
            weight: of each row.
            slices: for each slicing the number of each row's slice.
        """
        self.slices = self.slices or [[] for _ in slices]
        if len(classes) > LARGEST_TABLE:
            apart = functools.partial(told_apart, classes, self._members)
            for one in (self.whole, *(one for several in self.slices for one in several)):
                one.relabel(*apart(*one.labels))
            true, pred = apart(true, pred)
        self.whole.update(true, pred, weight)
        for several, numbers in zip(self.slices, slices, strict=True):
            self._extend(several, int(numbers.max(initial=-1)) + 1)
            for number, rows in rows_by_number(numbers):
                several[number].update(true[rows], pred[rows], weight[rows])

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        """As JSON and named arrays."""
        facts, arrays = self.whole.to_arrays()
        found: dict[str, Any] = {"whole": facts, "slices": []}
        arrays = prefixed("whole/", arrays)
        for place, several in enumerate(self.slices):
            saved = [one.to_arrays() for one in several]
            found["slices"].append([own for own, _ in saved])
            for number, (_, own) in enumerate(saved):
                arrays |= prefixed(f"{place}/{number}/", own)
        return found, arrays

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `saved` gave."""
        self.whole.set_arrays(facts["whole"], below("whole/", arrays))
        for place, told in enumerate(facts["slices"]):
            several: list[numeric.CountResampleStream] = []
            self._extend(several, len(told))
            of_slicing = below(f"{place}/", arrays)
            for number, (one, own) in enumerate(zip(several, told, strict=True)):
                one.set_arrays(own, below(f"{number}/", of_slicing))
            self.slices.append(several)

    def _extend(self, several: list[numeric.CountResampleStream], count: int) -> None:
        missing = range(len(several), count)
        several += [numeric.CountResampleStream(**self._drawing) for _ in missing]
