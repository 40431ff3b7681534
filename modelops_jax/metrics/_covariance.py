"""Means, variances and covariance of truth and prediction."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._exact import ExactCount
from ._moments import Join, corrected_mean, recentred, without_noise
from ._pair import Pair
from ._row_functions import RowFunction, both_values
from ._rowwise import RowStatistic


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class JointMoments:
    """What a correlation needs, all of it centred."""

    rows: ExactCount
    weight: Pair
    true_mean: Pair
    pred_mean: Pair
    true_squares: Pair  # sum of weight * (y_true - true_mean) ** 2
    pred_squares: Pair
    products: Pair  # sum of weight * (y_true - true_mean) * (y_pred - pred_mean)
    invalid: ExactCount


@dataclass(frozen=True)
class RowCovariance(RowStatistic):
    """The weighted means, centred squares and centred products of `y_true` and `y_pred`."""

    centred = True

    row: RowFunction = both_values

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> JointMoments:
        zero = Pair.zeros((), dtype)
        none = ExactCount.zeros(())
        return JointMoments(none, zero, zero, zero, zero, zero, zero, ExactCount.zeros((3,)))

    def centre_of(self, state: JointMoments) -> Any:
        return state.true_mean.high, state.pred_mean.high

    def spread(self, state: JointMoments) -> Any:
        return state.true_squares.value(), state.pred_squares.value()

    def columns(self, values: Any, centre: Any) -> tuple[Any, ...]:
        true, pred = (column - middle for column, middle in zip(values, centre, strict=True))
        return true, pred, jnp.square(true), jnp.square(pred), true * pred

    def state(self, rows: Any, weight: Any, sums: Sequence[Pair], centre: Any, invalid: Any) -> Any:
        true_shift, pred_shift, true_squares, pred_squares, products = sums
        true_mean, true_offset = corrected_mean(centre[0], true_shift, weight)
        pred_mean, pred_offset = corrected_mean(centre[1], pred_shift, weight)
        return JointMoments(
            rows,
            weight,
            true_mean,
            pred_mean,
            recentred(true_squares, weight, true_offset, true_offset),
            recentred(pred_squares, weight, pred_offset, pred_offset),
            recentred(products, weight, true_offset, pred_offset),
            invalid,
        )

    def without_noise(self, state: JointMoments, sums: Any, eps: float) -> JointMoments:
        return dataclasses.replace(
            state,
            true_squares=without_noise(state.true_squares, sums[..., 3], eps),
            pred_squares=without_noise(state.pred_squares, sums[..., 4], eps),
        )

    def moved(self, sums: np.ndarray, before: Any, after: Any) -> np.ndarray:
        weight, true, pred, true_squares, pred_squares, products = np.moveaxis(sums, -1, 0)
        of_true, of_pred = (
            old - new
            for old, new in zip(self.centre_of(before), self.centre_of(after), strict=True)
        )
        true_on, pred_on = true + of_true * weight, pred + of_pred * weight
        moved = [
            weight,
            true_on,
            pred_on,
            true_squares + of_true * (true + true_on),
            pred_squares + of_pred * (pred + pred_on),
            products + of_pred * true + of_true * pred_on,
        ]
        return np.stack(moved, axis=-1)

    def merge(self, left: JointMoments, right: JointMoments) -> JointMoments:
        join = Join(left.weight, right.weight)
        true_mean, true_delta = join.means(left.true_mean, right.true_mean)
        pred_mean, pred_delta = join.means(left.pred_mean, right.pred_mean)
        return JointMoments(
            left.rows + right.rows,
            left.weight + right.weight,
            true_mean,
            pred_mean,
            join.products(left.true_squares, right.true_squares, true_delta, true_delta),
            join.products(left.pred_squares, right.pred_squares, pred_delta, pred_delta),
            join.products(left.products, right.products, true_delta, pred_delta),
            left.invalid + right.invalid,
        )
