"""A metric: statistics, and the finalizer that turns their states into a value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._counts import CellStatistic
from ._exact import ExactCount
from ._reweighed import Reweighed
from ._sharded import layout_of_states, of_all_rows
from ._statistic import ARGUMENTS, Statistic, SummedStatistic, update_all


class Outcome(NamedTuple):
    """What a finalizer gives."""

    value: Any
    undefined: Any  # how many entries that went into the value were undefined


class Proportion(NamedTuple):
    """A value that is a share of rows, or rises with one."""

    hits: Any
    rows: Any
    as_value: Callable[[Any], Any] | None = None  # an increasing function; None: the share itself


# (namespace, one state per statistic) -> outcome; a frozen dataclass, so that metrics hash.
Finalizer = Callable[..., Outcome]


@dataclass(frozen=True)
class Metric:
    """A metric with its configuration bound.

    The static description of a computation: hashable, comparable, safe to close over or to pass
    as a static argument. A state is a tuple with one entry per statistic.

    Example:
        >>> import jax.numpy as jnp
        >>> from modelops_jax.metrics import metric
        >>> mse = metric("mean_squared_error")
        >>> state = mse.identity()
        >>> for y_true, y_pred in [([1.0, 2.0], [1.0, 4.0]), ([3.0, 4.0], [3.0, 4.0])]:
        ...     state = mse.update(state, jnp.array(y_true), jnp.array(y_pred))
        >>> float(mse.finalize(state).value)
        1.0
    """

    name: str
    statistics: tuple[Statistic, ...]
    finalizer: Finalizer = field(repr=False)

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> tuple[Any, ...]:
        """The state of no rows; `weighted` where float weights will come (see `Statistic`)."""
        return tuple(s.identity(weighted=weighted, dtype=dtype) for s in self.statistics)

    def update(
        self,
        states: Sequence[Any],
        y_true: Any,
        y_pred: Any,
        weight: Any = None,
        groups: Any = None,
    ) -> tuple[Any, ...]:
        """The state after one more block of rows; `groups` for metrics of groups of rows."""
        return update_all(self.statistics, states, y_true, y_pred, weight, groups)

    def merge(self, left: Sequence[Any], right: Sequence[Any]) -> tuple[Any, ...]:
        """The state of the rows of both."""
        triples = zip(self.statistics, left, right, strict=True)
        return tuple(statistic.merge(one, two) for statistic, one, two in triples)

    def collect(self, states: Sequence[Any], axis_name: str) -> tuple[Any, ...]:
        """Merge the states of the devices along a mesh axis, inside `shard_map`."""
        pairs = zip(self.statistics, states, strict=True)
        return tuple(statistic.collect(state, axis_name) for statistic, state in pairs)

    def finalize(self, states: Sequence[Any]) -> Outcome:
        """The value of the rows seen so far.

        Returns:
            The value and the number of undefined entries: NumPy float64 from concrete states,
            JAX arrays under tracing, where invalid rows make the value nan.

        Raises:
            ValueError: concrete states that counted invalid rows.
        """
        there = [leaf for leaf in jax.tree.leaves(states) if isinstance(leaf, jax.Array)]
        if any(isinstance(leaf, Tracer) for leaf in there):
            outcome = self.finalizer(jnp, *states)
            invalid = sum(jnp.sum(state.invalid.value()) for state in states)
            return outcome._replace(value=_poisoned(outcome.value, invalid > 0))
        concrete = tuple(states)
        layout = layout_of_states(there)
        if layout is None and there:
            concrete = jax.device_get(concrete)
        for statistic, state in zip(self.statistics, concrete, strict=True):
            raise_invalid(statistic, state)
        if layout is None:
            value, undefined = self.finalizer(np, *concrete)
        else:
            value, undefined = of_all_rows(self.finalizer, concrete, layout)
            if undefined < 0:  # a device cannot raise
                raise ValueError(f"weight: {getattr(self.finalizer, 'complaint', 'invalid')}")
        return Outcome(np.asarray(value)[()], int(undefined))

    def proportion(self, states: Sequence[Any]) -> Proportion | None:
        """The shares of rows behind this metric's value, from concrete states; None: it has none.

        Of unweighted, independent rows each is a binomial share.
        """
        make = getattr(self.finalizer, "proportion", None)
        return None if make is None else make(*states)

    @property
    def may_be_share(self) -> bool:
        """Whether `proportion` gives one of some states."""
        return hasattr(self.finalizer, "proportion")

    def of_groups(self, states: Sequence[Any]) -> tuple[np.ndarray, np.ndarray | None]:
        """Of a metric whose `resampling` is "groups": each one's value, and weight if weighted."""
        finalizer: Any = self.finalizer
        return finalizer.of_groups(*states)

    def interval(self, states: Sequence[Any], level: float) -> tuple[float, float, str]:
        """Both ends of a metric whose `resampling` is "closed", and the method's name."""
        finalizer: Any = self.finalizer
        return finalizer.interval(*states, level)

    @property
    def reweighs(self) -> bool:
        """Whether it is of kept rows, and can be measured as often as resamples are drawn."""
        return getattr(self.finalizer, "reweighed", None) is not None

    def reweighed(self, states: Sequence[Any]) -> Reweighed:
        """Of a metric that `reweighs`: the values as a function of how often each row counts."""
        finalizer: Any = self.finalizer
        return finalizer.reweighed(*states)

    def exchangeable(self, state: Any) -> Any:
        """The kept rows of one model in a form whose rows can be swapped with another model's."""
        exchange = getattr(self.finalizer, "exchangeable", None)
        return state if exchange is None else exchange(state)

    @property
    def no_interval(self) -> str | None:
        """Why it has no interval; None: it has one."""
        if self.resampling is not None:
            return None
        inner = getattr(self.finalizer, "inner", self.finalizer)
        return getattr(inner, "no_bootstrap", "its statistic has no bootstrap")

    @property
    def resampling(self) -> str | None:
        """How an interval resamples this metric's statistics.

        "groups": by the values of its groups, which are drawn whole;
        "closed": not at all, its ends follow from the state of unweighted rows;
        "cells": multinomial draws over a table of counts; "rows": resampling weights times
        per-row values; "kept": the metric of the rows it keeps, each counted as often as it was
        drawn; None: this statistic has no bootstrap.
        """
        if hasattr(self.finalizer, "of_groups"):
            return "groups"
        if hasattr(self.finalizer, "interval"):
            return "closed"
        if all(isinstance(statistic, CellStatistic) for statistic in self.statistics):
            return "cells"
        if all(isinstance(statistic, SummedStatistic) for statistic in self.statistics):
            return "rows"
        return "kept" if self.reweighs else None


def raise_invalid(
    statistic: Statistic, state: Any, first: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Refuse a concrete state that counted rows it could not use.

    Args:
        statistic: whose state it is.
        state: the state.
        first: by argument the index of the first such row, where it is known.

    Raises:
        ValueError: naming the argument, how many of its rows are invalid, and why.
    """
    invalid = invalid_rows(state)
    if invalid.is_zero():
        return
    complaints, found = statistic.complaints(), []
    for argument, count in zip(ARGUMENTS, invalid.integers().tolist(), strict=True):
        if count:
            where = f", the first at index {first[argument]:,}" if argument in first else ""
            found.append(f"{argument}: {count:,} {complaints[argument]}{where}")
    raise ValueError("; ".join(found))


def invalid_rows(state: Any) -> ExactCount:
    """How many rows of each argument a concrete state could not use, in NumPy."""
    invalid = state.invalid
    return jax.device_get(invalid) if isinstance(invalid.low, jax.Array) else invalid


def _poisoned(value: Any, invalid: Any) -> Any:
    """nan where rows were invalid; an integer cannot be nan, so an impossible count of -1."""
    wrong = jnp.nan if jnp.issubdtype(value.dtype, jnp.floating) else -1
    return jnp.where(invalid, jnp.full_like(value, wrong), value)
