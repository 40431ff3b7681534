"""Several outputs a row: y_true and y_pred of shape (n, outputs), and one value of them all."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from ._exact import count_true
from ._finalizers import R2
from ._largest import Largest, RowMax
from ._metric import Finalizer, Metric, Outcome
from ._reweighed import Reweighed
from ._row_functions import Domain
from ._rowwise import Prepared, RowStatistic, prepared
from ._statistic import Matrices, Rows, Statistic, SummedStatistic, float_type
from ._values import ValueRows, Values

# The name of a mean over outputs, or a weight of each output.
Multioutput = str | Sequence[float | int] | np.ndarray
_Named = Literal["uniform_average", "raw_values", "variance_weighted"]


@dataclass(frozen=True)
class OutputSums(Matrices, SummedStatistic):
    """The state of a row statistic for every output, along a leading axis.

    A row counts for all outputs or for none.
    """

    inner: RowStatistic
    outputs: int

    def complaints(self) -> dict[str, str]:
        return self.inner.complaints()

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Any:
        one = self.inner.identity(weighted=weighted, dtype=dtype)

        def repeated(leaf: jax.Array) -> jax.Array:
            return jnp.zeros((self.outputs, *leaf.shape), leaf.dtype)

        return dataclasses.replace(jax.tree.map(repeated, one), invalid=one.invalid)

    def merge(self, left: Any, right: Any) -> Any:
        return self.inner.merge(left, right)

    def of_rows(self, rows: Rows) -> Any:
        part = self._prepared(rows)

        def of_output(true: Any, pred: Any) -> Any:
            return self.inner.of_rows(_one_output(rows, part, true, pred))

        states = jax.vmap(of_output, in_axes=1)(part.true, part.pred)
        return dataclasses.replace(states, invalid=count_true(jnp, part.keep, *part.bad))

    def row_columns(self, rows: Rows, state: Any) -> jax.Array:
        part = self._prepared(rows)

        def of_output(true: Any, pred: Any, own: Any) -> Any:
            return self.inner.row_columns(_one_output(rows, part, true, pred), own)

        of_outputs = jax.vmap(of_output, in_axes=(1, 1, self._axes(state)), out_axes=1)
        return of_outputs(part.true, part.pred, state).reshape(rows.y_true.shape[0], -1)

    def of_column_sums(self, sums: Any, state: Any) -> Any:
        by_output = sums.reshape(sums.shape[0], self.outputs, -1)
        of_outputs = jax.vmap(self.inner.of_column_sums, in_axes=(1, self._axes(state)))
        found = dataclasses.replace(of_outputs(by_output, state), invalid=state.invalid)
        # Resamples come first, as everywhere, and outputs last.
        return jax.tree.map(lambda leaf: leaf.T if leaf.ndim == 2 else leaf, found)

    def without_noise(self, state: Any, sums: Any, eps: float) -> Any:
        by_output = sums.reshape(sums.shape[0], self.outputs, -1)
        return self.inner.without_noise(state, by_output, eps)

    def moved(self, sums: np.ndarray, before: Any, after: Any) -> np.ndarray:
        by_output = sums.reshape(*sums.shape[:-1], self.outputs, -1)
        return self.inner.moved(by_output, before, after).reshape(sums.shape)

    def _prepared(self, rows: Rows) -> Prepared:
        return _prepared(rows, self.inner.domain, self.outputs)

    def _axes(self, state: Any) -> Any:
        """The axes to map a state over: invalid rows are counted for all outputs together."""
        every = jax.tree.map(lambda leaf: 0, state)
        return dataclasses.replace(every, invalid=jax.tree.map(lambda leaf: None, state.invalid))


def _prepared(rows: Rows, domain: Domain, outputs: int) -> Prepared:
    """Rows of several outputs, each of which counts for all of them or for none."""
    _check_width(rows, outputs)
    dtype = float_type(rows.y_true, rows.y_pred, rows.weight)
    true, pred = rows.y_true.astype(dtype), rows.y_pred.astype(dtype)
    bad = [jnp.any(flags, axis=1) for flags in domain.outside(true, pred)]
    return prepared(rows, true, pred, *bad, filling=1)


def _check_width(rows: Rows, outputs: int) -> None:
    if rows.y_true.shape[1] != outputs:
        raise ValueError(
            f"y_true has {rows.y_true.shape[1]} columns; num_outputs={outputs} expects one per "
            "output"
        )


def _one_output(rows: Rows, part: Prepared, true: Any, pred: Any) -> Rows:
    """One output of rows whose invalid ones are left out."""
    return rows._replace(
        y_true=true,
        y_pred=pred,
        keep=part.keep,
        weight=None if rows.weight is None else part.weight,
        bad_weight=None,
    )


@dataclass(frozen=True)
class OutputMax(Matrices, RowMax):
    """The largest `row(y_true, y_pred)` of every output."""

    outputs: int = 1

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Largest:
        one = super().identity(weighted=weighted, dtype=dtype)
        return dataclasses.replace(one, largest=jnp.full((self.outputs,), -jnp.inf, dtype))

    def prepare(self, rows: Rows) -> Prepared:
        return _prepared(rows, Domain(), self.outputs)


@dataclass(frozen=True)
class OutputRows(Matrices, ValueRows):
    """Every row's true and predicted values of all outputs, and its weight."""

    outputs: int = 1

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Values:
        one = super().identity(weighted=weighted, dtype=dtype)
        none = jnp.zeros((0, self.outputs), dtype)
        return dataclasses.replace(one, true=none, pred=none)

    def of_rows(self, rows: Rows) -> Values:
        _check_width(rows, self.outputs)
        return super().of_rows(rows)


@dataclass(frozen=True)
class OverOutputs:
    """A finalizer's value of every output, or their mean."""

    inner: Finalizer
    multioutput: str | tuple[float, ...]

    def __call__(self, xp: Any, *states: Any) -> Outcome:
        if isinstance(states[0], Values):
            values, undefined = self._of_kept(xp, states[0])
        else:
            values, undefined = self.inner(xp, *states)
        if self.multioutput == "raw_values":
            return Outcome(values, undefined)
        if self.multioutput != "variance_weighted":
            return Outcome(self._mean(xp, values), undefined)
        # Outputs whose targets are all equal have no weight, unless all of them are such.
        spread = states[1].squares.value()
        total = spread.sum(axis=-1, keepdims=True)
        none = total == 0
        share = xp.where(none, 1 / spread.shape[-1], spread / xp.where(none, 1, total))
        # Infinity times no weight is nan, as in scikit-learn.
        values = xp.where(xp.isinf(values) & (share == 0), float("nan"), values)
        return Outcome((share * values).sum(axis=-1), undefined)

    def _mean(self, xp: Any, values: Any) -> Any:
        """The mean of the last axis, plain or by the weights of the outputs."""
        if isinstance(self.multioutput, str):
            return values.mean(axis=-1)
        weights = xp.asarray(self.multioutput, dtype=values.dtype)
        return (values * weights).sum(axis=-1) / weights.sum()

    @property
    def reweighed(self) -> Callable[[Values], Reweighed] | None:
        """Of kept rows: the value as a function of how often each row counts."""
        return self._reweighed if hasattr(self.inner, "reweighed") else None

    def _reweighed(self, state: Values) -> Reweighed:
        inner: Any = self.inner
        outputs = [
            inner.reweighed(dataclasses.replace(state, true=true, pred=pred))
            for true, pred in zip(state.true.T, state.pred.T, strict=True)
        ]

        def values(counts: np.ndarray) -> np.ndarray:
            found = np.stack([of_output(counts) for of_output in outputs], axis=1)
            return found if self.multioutput == "raw_values" else self._mean(np, found)

        return values

    def exchangeable(self, state: Values) -> Values:
        """The rows as the metric of one output would swap them between models."""
        exchange = getattr(self.inner, "exchangeable", None)
        return state if exchange is None else exchange(state)

    def _of_kept(self, xp: Any, state: Values) -> Outcome:
        outputs = [
            self.inner(xp, dataclasses.replace(state, true=true, pred=pred))
            for true, pred in zip(state.true.T, state.pred.T, strict=True)
        ]
        values, undefined = (xp.stack(column) for column in zip(*outputs, strict=True))
        return Outcome(values, undefined.sum())


def over_outputs(metric: Metric, num_outputs: int | None, multioutput: Multioutput) -> Metric:
    """The metric of rows of several outputs; the metric itself without a number of outputs.

    Raises:
        ValueError: a number of outputs that is no positive integer, another `multioutput`,
            weights that are not one finite number from 0 up for each output, not all 0, or
            "variance_weighted" for a metric that is not relative to the targets' variance.
    """
    chosen = multioutput if isinstance(multioutput, str) else _weights(multioutput, num_outputs)
    if isinstance(chosen, str) and chosen not in get_args(_Named):
        raise ValueError(
            f"multioutput must be one of {get_args(_Named)} or a weight of each output, not "
            f"{chosen!r}"
        )
    if chosen == "variance_weighted" and not isinstance(metric.finalizer, R2):
        raise ValueError(
            "multioutput='variance_weighted' is for r2_score and explained_variance_score; "
            f"{metric.name} has 'uniform_average' and 'raw_values'"
        )
    if num_outputs is None:
        if chosen != "uniform_average":
            raise ValueError(f"multioutput={chosen!r} needs num_outputs")
        return metric
    if isinstance(num_outputs, bool) or not isinstance(num_outputs, int) or num_outputs < 1:
        raise ValueError(f"num_outputs must be a positive integer or None, not {num_outputs!r}")
    statistics = tuple(_of_outputs(statistic, num_outputs) for statistic in metric.statistics)
    return Metric(metric.name, statistics, OverOutputs(metric.finalizer, chosen))


def _weights(
    multioutput: Sequence[float | int] | np.ndarray, outputs: int | None
) -> tuple[float, ...]:
    weights = tuple(float(weight) for weight in multioutput)
    fits = outputs is None or len(weights) == outputs
    if not (fits and sum(weights) > 0 and all(0 <= weight < math.inf for weight in weights)):
        raise ValueError(
            f"multioutput={weights} must be a weight for each output (num_outputs is {outputs}), "
            "finite numbers from 0 up that are not all 0"
        )
    return weights


def _of_outputs(statistic: Statistic, outputs: int) -> Statistic:
    if isinstance(statistic, RowStatistic):
        return OutputSums(statistic, outputs)
    if isinstance(statistic, RowMax):
        return OutputMax(statistic.row, outputs)
    assert type(statistic) is ValueRows
    return OutputRows(outputs)
