"""Several outputs a row: y_true and y_pred of shape (n, outputs), and one value of them all."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from ._finalizers import R2
from ._metric import Finalizer, Metric, Outcome
from ._reweighed import Reweighed
from ._rowwise import Prepared, RowStatistic, prepared
from ._statistic import Rows, Statistic, SummedStatistic, count_true, float_type
from ._values import ValueRows, Values

Multioutput = Literal["uniform_average", "raw_values", "variance_weighted"]


@dataclass(frozen=True)
class OutputSums(SummedStatistic):
    """The state of a row statistic for every output, along a leading axis.

    A row counts for all outputs or for none.
    """

    inner: RowStatistic
    outputs: int

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (2,)

    @property
    def true_axes(self) -> int:
        return 2

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

    def _prepared(self, rows: Rows) -> Prepared:
        _check_width(rows, self.outputs)
        dtype = float_type(rows.y_true, rows.y_pred, rows.weight)
        true, pred = rows.y_true.astype(dtype), rows.y_pred.astype(dtype)
        bad = [jnp.any(flags, axis=1) for flags in self.inner.domain.outside(true, pred)]
        return prepared(rows, true, pred, *bad, filling=1)

    def _axes(self, state: Any) -> Any:
        """The axes to map a state over: invalid rows are counted for all outputs together."""
        every = jax.tree.map(lambda leaf: 0, state)
        return dataclasses.replace(every, invalid=jax.tree.map(lambda leaf: None, state.invalid))


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
class OutputRows(ValueRows):
    """Every row's true and predicted values of all outputs, and its weight."""

    outputs: int = 1

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (2,)

    @property
    def true_axes(self) -> int:
        return 2

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
    multioutput: str

    def __call__(self, xp: Any, *states: Any) -> Outcome:
        if isinstance(states[0], Values):
            values, undefined = self._of_kept(xp, states[0])
        else:
            values, undefined = self.inner(xp, *states)
        if self.multioutput == "raw_values":
            return Outcome(values, undefined)
        if self.multioutput == "uniform_average":
            return Outcome(values.mean(axis=-1), undefined)
        # Outputs whose targets are all equal have no weight, unless all of them are such.
        spread = states[1].squares.value()
        total = spread.sum(axis=-1, keepdims=True)
        none = total == 0
        share = xp.where(none, 1 / spread.shape[-1], spread / xp.where(none, 1, total))
        # Infinity times no weight is nan, as in scikit-learn.
        values = xp.where(xp.isinf(values) & (share == 0), float("nan"), values)
        return Outcome((share * values).sum(axis=-1), undefined)

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
            return found if self.multioutput == "raw_values" else found.mean(axis=1)

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


def over_outputs(metric: Metric, num_outputs: int | None, multioutput: str) -> Metric:
    """The metric of rows of several outputs; the metric itself without a number of outputs.

    Raises:
        ValueError: a number of outputs that is no positive integer, another `multioutput`, or
            "variance_weighted" for a metric that is not relative to the targets' variance.
    """
    if multioutput not in get_args(Multioutput):
        raise ValueError(f"multioutput must be one of {get_args(Multioutput)}, not {multioutput!r}")
    if multioutput == "variance_weighted" and not isinstance(metric.finalizer, R2):
        raise ValueError(
            "multioutput='variance_weighted' is for r2_score and explained_variance_score; "
            f"{metric.name} has 'uniform_average' and 'raw_values'"
        )
    if num_outputs is None:
        if multioutput != "uniform_average":
            raise ValueError(f"multioutput={multioutput!r} needs num_outputs")
        return metric
    if isinstance(num_outputs, bool) or not isinstance(num_outputs, int) or num_outputs < 1:
        raise ValueError(f"num_outputs must be a positive integer or None, not {num_outputs!r}")
    statistics = tuple(_of_outputs(statistic, num_outputs) for statistic in metric.statistics)
    return Metric(metric.name, statistics, OverOutputs(metric.finalizer, multioutput))


def _of_outputs(statistic: Statistic, outputs: int) -> Statistic:
    if isinstance(statistic, RowStatistic):
        return OutputSums(statistic, outputs)
    assert type(statistic) is ValueRows
    return OutputRows(outputs)
