"""Ranks of rows within groups, and what is expected at each rank over all orders of tied rows.

Rows of one score have no order of their own. Every metric of ranked groups is a sum over ranks
of something whose mean over all orders of the ties has a closed form, so that mean is what is
computed: the order in which the rows came does not matter.

Source: McSherry and Najork, "Computing information retrieval performance measures efficiently in
the presence of tied scores", ECIR 2008.
"""

import contextlib
import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._group_rows import GroupedValues


@dataclass(frozen=True)
class Ranking:
    """Rows in the order of group, then of falling score; absent rows last. All of shape (n,)."""

    xp: Any
    present: Any  # boolean
    true: Any  # relevance, float64
    weight: Any  # float64
    group: Any  # the id of the row's group
    begin: Any  # the place of the first row of the group
    tie_begin: Any  # the place of the first row of the tie

    @property
    def place(self) -> Any:
        """0 to n - 1."""
        return self.xp.arange(self.true.shape[0], dtype=np.int64)

    @property
    def rank(self) -> Any:
        """1 for the first row of each group."""
        return self.place - self.begin + 1

    @property
    def relevant(self) -> Any:
        """Rows of any relevance above 0."""
        return self.present & (self.true > 0)

    @functools.cached_property
    def tie_size(self) -> Any:
        """For each row how many rows its tie has."""
        return self._of_tie(self.xp.ones_like(self.true))

    @functools.cached_property
    def tie_relevant(self) -> Any:
        """For each row how many relevant rows its tie has."""
        return self._of_tie(self.relevant.astype(np.float64))

    @functools.cached_property
    def group_relevant(self) -> Any:
        """How many relevant rows each group has (see `of_groups`)."""
        return self.of_groups(self.relevant.astype(np.float64))

    @functools.cached_property
    def expected_relevance(self) -> Any:
        """At each rank the mean relevance of its tie."""
        return self._of_tie(self.true) / self.tie_size

    def of_groups(self, column: Any) -> Any:
        """At the first row of each group the sum over its present rows; 0 elsewhere."""
        column = self.xp.where(self.present, column, self.xp.zeros_like(column))
        return _sums(self.xp, column, self.begin)

    def _of_tie(self, column: Any) -> Any:
        return _sums(self.xp, column, self.tie_begin)[self.tie_begin]

    def relevant_before(self) -> Any:
        """How many relevant rows of the group lie above the row's tie."""
        flags = self.relevant.astype(np.int64)
        above = self.xp.cumsum(flags) - flags
        return above[self.tie_begin] - above[self.begin]

    def first_relevant(self) -> Any:
        """The chance that the group's first relevant row is at this rank.

        In a random order of a tie of m rows of which r are relevant, the first j are irrelevant
        with chance (m - r) / m * (m - r - 1) / (m - 1) * ..., j factors.
        """
        xp = self.xp
        relevant = self.tie_relevant
        within = self.place - self.tie_begin  # 0 for the first row of a tie
        left = self.tie_size - within.astype(np.float64)
        chance = xp.minimum(relevant / left, xp.ones_like(left))
        none = xp.maximum(left - relevant, xp.zeros_like(left)) / left
        # Before a row: the factors of the rows above it in its tie, multiplied in log2(m) steps.
        before = xp.where(within > 0, _shifted(xp, none, 1), 1.0)
        longest = before.shape[0] if xp is jnp else int(self.tie_size.max(initial=1))
        step = 1
        while step < longest:
            before = xp.where(within > step, before * _shifted(xp, before, step), before)
            step *= 2
        decisive = (self.relevant_before() == 0) & (relevant > 0)
        return xp.where(decisive, before * chance, 0.0)

    def by_relevance(self) -> Any:
        """The relevance at each place if every group were in the best order."""
        absent = ~self.present
        order = _order(self.xp, self.true, self.group, absent)
        return self.true[order]


def precision_scope(xp: Any) -> contextlib.AbstractContextManager[Any]:
    """64-bit types for the work on ranks: none of them leaves."""
    return jax.enable_x64(True) if xp is jnp else contextlib.nullcontext()


def rank_groups(xp: Any, state: GroupedValues) -> Ranking:
    """Sort the rows; call it inside `precision_scope`."""
    true, pred, weight, group = state.true, state.pred, state.weight, state.group
    if xp is np:
        present = _present(weight)
        if not present.all():
            true, pred, weight, group = (c[present] for c in (true, pred, weight, group))
    else:
        true, pred, weight = (lax.stop_gradient(c) for c in (true, pred, weight))
    order = _order(xp, pred, group, ~_present(weight))
    true, pred, weight, group = (c[order] for c in (true, pred, weight, group))
    present = _present(weight)
    new_group = _differs(xp, group) | _differs(xp, present)
    new_tie = new_group | _differs(xp, pred)
    news = xp.stack([new_group, new_tie])
    places = xp.arange(true.shape[0], dtype=np.int64)
    marked = xp.where(news, xp.stack([places, places]), 0)
    latest = np.maximum.accumulate(marked, axis=1) if xp is np else lax.cummax(marked, axis=1)
    return Ranking(
        xp=xp,
        present=present,
        true=true.astype(np.float64),
        weight=weight.astype(np.float64),
        group=group,
        begin=latest[0],
        tie_begin=latest[1],
    )


def _present(weight: Any) -> Any:
    return weight if weight.dtype == bool else weight > 0


def _order(xp: Any, score: Any, group: Any, absent: Any) -> Any:
    """The rows by group, then by falling score; absent ones last."""
    if xp is np:
        assert not absent.any()
        first = np.argsort(-score)
        return first[np.argsort(group[first], kind="stable")]
    places = lax.iota(jnp.int64, score.shape[0])
    return lax.sort((absent.astype(jnp.int32), group, -score, places), num_keys=3)[-1]


def _differs(xp: Any, column: Any) -> Any:
    """Where a value is not the one before; the first is not."""
    return xp.concatenate([xp.ones_like(column[:1], dtype=bool), column[1:] != column[:-1]])


def _shifted(xp: Any, column: Any, step: int) -> Any:
    return xp.concatenate([xp.ones_like(column[:step]), column[:-step]])


def _sums(xp: Any, column: Any, begin: Any) -> Any:
    """At the place where a run of rows begins the sum over the run; 0 elsewhere."""
    if xp is np:
        return np.bincount(begin, column, minlength=column.size)
    return jax.ops.segment_sum(column, begin, column.shape[0], indices_are_sorted=True)
