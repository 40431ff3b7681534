"""From sums over texts to BLEU, chrF and rates.

Leading axes of the sums (resamples, slices) are carried through.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from ._finalizers import divide
from ._metric import Outcome
from ._totals import Totals

Smoothing = Literal["exp", "floor", "add-k", "none"]


@dataclass(frozen=True)
class Rate:
    """`scale` times the second sum over the first, at least 0; nan if the first is 0.

    With `exponential`, e to the power of it.
    """

    scale: float = 1.0
    exponential: bool = False

    def __call__(self, xp: Any, state: Totals) -> Outcome:
        totals = state.totals.value()
        below = totals[..., 0]
        ratio = divide(xp, self.scale * totals[..., 1], below, math.nan)
        # A scale below 0 would make of a sum of 0 a -0.0, and of rounding a perplexity below 1.
        ratio = xp.abs(xp.maximum(ratio, xp.zeros_like(ratio)))
        return Outcome(xp.exp(ratio) if self.exponential else ratio, (below == 0).sum())


@dataclass(frozen=True)
class Bleu:
    """The brevity penalty times the geometric mean of the n-gram precisions, times 100.

    The sums are those of `PredictedNgrams`. Nothing shared at all is 0, whatever the smoothing.
    """

    orders: int
    smoothing: Smoothing
    amount: float
    """What "floor" and "add-k" add."""

    effective: bool
    """Whether the mean ends with the highest order of which the predictions have n-grams."""

    def __call__(self, xp: Any, state: Totals) -> Outcome:
        totals = state.totals.value()
        length, reference = totals[..., 0], totals[..., 1]
        predicted, shared = totals[..., 2 : 2 + self.orders], totals[..., 2 + self.orders :]
        one = xp.ones_like(length)
        logs, used, halvings, has = 0 * one, 0 * one, 0 * one, one > 0
        missing = ~has
        for order in range(self.orders):
            hits, all_of = shared[..., order], predicted[..., order]
            if self.smoothing == "add-k" and order:
                hits, all_of = hits + self.amount, all_of + self.amount
            has = has & (all_of > 0)
            none = has & (hits == 0)
            if self.smoothing == "exp":
                halvings = halvings + none.astype(one.dtype)
                hits = xp.where(none, xp.exp2(-halvings), hits)
            elif self.smoothing == "floor":
                hits = xp.where(none, self.amount, hits)
            here = has & (hits > 0)
            precision = xp.where(here, hits, one) / xp.where(here, all_of, one)
            logs, used = logs + xp.log(precision), used + has.astype(one.dtype)
            missing = missing | ((has & ~here) if self.effective else ~here)
        orders = xp.maximum(used, one) if self.effective else self.orders
        safe = xp.where(length > 0, length, one)
        brevity = xp.exp(xp.minimum(1 - reference / safe, 0 * one))
        worthless = missing | (length == 0) | (shared.sum(-1) == 0)
        value = 100 * brevity * xp.exp(logs / orders)
        value = xp.where(worthless, xp.zeros_like(value), value)
        return _of_some_rows(xp, state, value)


@dataclass(frozen=True)
class CharacterF:
    """F of the mean precision and the mean recall over orders, times 100.

    The sums are those of `NgramsOfBoth`. The means are over the orders of which both sides have
    n-grams; 0 if there is none, or nothing is shared.
    """

    orders: int
    beta: float

    def __call__(self, xp: Any, state: Totals) -> Outcome:
        totals = state.totals.value()
        predicted = totals[..., : self.orders]
        reference = totals[..., self.orders : 2 * self.orders]
        shared = totals[..., 2 * self.orders :]
        both = (predicted > 0) & (reference > 0)
        shared = xp.where(both, shared, xp.zeros_like(shared))
        number = both.sum(-1).astype(totals.dtype)
        precision = divide(xp, divide(xp, shared, predicted, 0.0).sum(-1), number, 0.0)
        recall = divide(xp, divide(xp, shared, reference, 0.0).sum(-1), number, 0.0)
        square = self.beta**2
        value = divide(xp, precision * recall * (1 + square), square * precision + recall, 0.0)
        return _of_some_rows(xp, state, 100 * value)


def _of_some_rows(xp: Any, state: Totals, value: Any) -> Outcome:
    """The value, or nan of no rows."""
    empty = state.weight.value() == 0
    return Outcome(xp.where(empty, math.nan, value), empty.sum())
