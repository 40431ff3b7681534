"""Sums over many rows, thousands of them beside each other.

XLA's CPU backend vectorises what is computed element by element, and hardly any reduction. So
rows are taken in runs, which are added up elementwise: one reading of the rows gives all columns
and flags, and only the sums of the lanes are written, to the cache. An accelerator reduces all
rows at once.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from . import _platform
from ._moments import near_mean
from ._pair import Pair, sum_columns
from ._statistic import Rows

# Rows beside each other: enough to keep a step busy, and their sums stay in the cache.
_FEW_LANES, _MANY_LANES = 1024, 4096
# Rows that a lane adds up plainly, and how many of them in pairs, pairs of pairs, ... in one step,
# which reads and writes the sums of the lanes once. One after the other, 32 numbers would be off by
# up to 1.4e-6 of their sum where they are equal.
_RUNS, _RUNS_A_STEP = 32, 8
# How often sums are made at most: what is shared the second time was measured by the first.
_TRIES = 2
# Bits that count the rows of a lane, and how many such counts share an integer.
_BITS = 6
_COUNTS = 5
# Lanes whose sums are added up plainly.
_LANES_A_RUN = 16

Columns = Callable[..., Sequence[jax.Array]]


class RowSums(NamedTuple):
    """What to sum over rows; what it is of a row depends on no other row."""

    flags: Columns
    """From rows to booleans to count, shape (n,): first, whether a row counts."""

    floats: Columns
    """From rows and what they share to floats of one type to sum, shape (n,)."""

    telling: bool
    """Whether all rows count and none of the other flags is set where all sums are finite."""

    better: Callable[[jax.Array, Pair, Any], tuple[Any, Any]] | None = None
    """From what was found and shared to a better thing to share, and whether that is needed."""


def sum_rows_of(sums: RowSums, rows: Rows, shared: Any = None) -> tuple[jax.Array, Pair, Any]:
    """Sum columns computed from rows, as `sum_columns` does.

    Args:
        sums: what to count and sum.
        rows: the rows.
        shared: what else the floats depend on; only through it and the rows are there
            derivatives.

    Returns:
        The counts, int32 of shape (flags,), the sums, of shape (floats,), and what was shared:
        the rows of a `sample` are all that it was made of, so it may need to be made better.
    """
    if not _lanes(rows):
        return *_sum_at_once(sums, rows, shared), shared
    return _sum_until_good(sums, rows, shared)


def sample(rows: Rows) -> Rows:
    """The rows that what is shared is made of: some of many that are taken in lanes, or all."""
    lanes = _lanes(rows)
    if not lanes:
        return rows
    groups = rows.y_true.shape[0] // (_RUNS * lanes)

    def first_runs(column: jax.Array) -> jax.Array:
        whole = column[: groups * _RUNS * lanes].reshape(groups, _RUNS * lanes)
        return whole[:, :lanes].reshape(-1)

    return jax.tree.map(first_runs, rows)


def _sum_at_once(sums: RowSums, rows: Rows, shared: Any) -> tuple[jax.Array, Pair]:
    return sum_columns([*sums.flags(rows), *sums.floats(rows, shared)])


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _sum_until_good(sums: RowSums, rows: Rows, shared: Any) -> tuple[jax.Array, Pair, Any]:
    """The sums, made once more where what they share turns out to be bad, which is seldom."""
    if sums.better is None:
        return *_sum_lanes(sums, rows, shared), shared
    better, zero = sums.better, jnp.sum(rows.y_true[:0])  # varies over a mesh as the rows do

    def make(state: Any) -> Any:
        made, _, _, following, _ = state
        found = _sum_lanes(sums, rows, following)
        improved, bad = better(*found, following)
        return made + 1, bad, following, improved, found

    def missing(state: Any) -> jax.Array:
        made, bad, *_ = state
        return (made < 1) | (bad & (made < _TRIES))

    shapes = jax.eval_shape(functools.partial(_sum_lanes, sums), rows, shared)
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype) + zero.astype(s.dtype), shapes)
    start = zero.astype(jnp.int32), zero > 0, shared, shared, nothing
    _, _, used, _, found = lax.while_loop(missing, make, start)
    return *found, used


def _sum_lanes(sums: RowSums, rows: Rows, shared: Any) -> tuple[jax.Array, Pair]:
    lanes, zero = _lanes(rows), jnp.sum(rows.y_true[:0])  # varies over a mesh as the rows do
    groups = rows.y_true.shape[0] // (_RUNS * lanes)
    some = _run(rows, lanes, 0)
    flags = len(jax.eval_shape(sums.flags, some))
    floats = jax.eval_shape(sums.floats, some, shared)
    none = jnp.zeros((lanes,), jnp.int32) + zero.astype(jnp.int32)
    nothing = [jnp.zeros((lanes,), lane.dtype) + zero.astype(lane.dtype) for lane in floats]

    def count(first: jax.Array) -> list[jax.Array]:
        """The flags of a group, several of them in one integer while it is read."""
        places = [divmod(flag, _COUNTS) for flag in range(flags)]

        def add(run: jax.Array, packed: list[jax.Array]) -> list[jax.Array]:
            packed = list(packed)
            found = sums.flags(_run(rows, lanes, first + run))
            for (word, place), flag in zip(places, found, strict=True):
                packed[word] += jnp.where(flag, jnp.int32(1 << (_BITS * place)), jnp.int32(0))
            return packed

        packed = lax.fori_loop(0, _RUNS, add, [none] * (places[-1][0] + 1))
        return [(packed[word] >> (_BITS * place)) & ((1 << _BITS) - 1) for word, place in places]

    def group(total: Any, first: jax.Array) -> Any:
        def add(step: jax.Array, lane: list[jax.Array]) -> list[jax.Array]:
            start = first + step * _RUNS_A_STEP
            runs = [_run(rows, lanes, start + run) for run in range(_RUNS_A_STEP)]
            found = [list(sums.floats(run, shared)) for run in runs]
            while len(found) > 1:
                halves = found[::2], found[1::2]
                found = [list(map(operator.add, *pair)) for pair in zip(*halves, strict=True)]
            return list(map(operator.add, lane, found[0]))

        found = lax.fori_loop(0, _RUNS // _RUNS_A_STEP, add, nothing)
        if sums.telling:
            sound = jnp.all(jnp.isfinite(jnp.stack(found)))
            every = [none + _RUNS, *[none] * (flags - 1)]
            counts = lax.cond(sound, lambda: every, lambda: count(first))
        else:
            counts = count(first)
        counts = [one + other for one, other in zip(total[0], counts, strict=True)]
        return (counts, [p + lane for p, lane in zip(total[1], found, strict=True)]), None

    firsts = jnp.arange(groups, dtype=jnp.int32) * _RUNS
    start = [none] * flags, [Pair.of(lane) for lane in nothing]
    counts, pairs = lax.scan(group, start, firsts)[0]
    number = jnp.stack([jnp.sum(lane, dtype=jnp.int32) for lane in counts])
    high = [pair.high for pair in pairs]
    # Of an infinite sum the rounding error is nan.
    low = [jnp.where(jnp.isfinite(pair.high), pair.low, 0) for pair in pairs]
    (_, highs), (_, lows) = (sum_columns([none > 0, *part], _LANES_A_RUN) for part in (high, low))
    whole = number, highs + lows
    rest = jax.tree.map(lambda column: column[groups * _RUNS * lanes :], rows)
    if not rest.y_true.shape[0]:
        return whole
    more = _sum_at_once(sums, rest, shared)
    return whole[0] + more[0], whole[1] + more[1]


@_sum_until_good.defjvp
def _(sums: RowSums, primals: Any, tangents: Any) -> Any:
    found = _sum_until_good(sums, *primals)
    used, of_shared = found[2], tangents[1]
    # A derivative of reading run after run would write to the whole column for every run.
    at_once = functools.partial(_sum_at_once, sums)
    return found, (*jax.jvp(at_once, (primals[0], used), tangents)[1], of_shared)


def near_means(values: Callable[[Rows], tuple[Any, Any, Any]], rows: Rows) -> Any:
    """Numbers near the weighted means of columns computed from rows, to centre them by.

    Measured from one of the values, so that equal values have exactly their value as mean and
    exactly zero squares, and large offsets cost no digits.

    Args:
        values: from rows to a pytree of floats, which rows count, and the weights, 0 where one
            does not, each of shape (n,).
        rows: the rows.

    Returns:
        The pytree, of scalars.
    """
    rows = lax.stop_gradient(rows)
    lanes = _lanes(rows)
    if not lanes:
        found, keep, weight = values(rows)
        return jax.tree.map(lambda column: near_mean(column, keep, weight), found)
    runs, share = rows.y_true.shape[0] // lanes, 1 / rows.y_true.shape[0]
    zero = jnp.sum(rows.y_true[:0]).astype(jnp.int32)  # varies over a mesh as the rows do

    def absent(run: jax.Array) -> jax.Array:
        _, keep, _ = values(_run(rows, lanes, run))
        return (run < runs - 1) & ~jnp.any(keep)

    found, keep, weight = values(_run(rows, lanes, lax.while_loop(absent, lambda n: n + 1, zero)))
    origins = jax.tree.map(lambda column: column[jnp.argmax(keep)], found)

    def add(run: Any, sums: Any) -> Any:
        found, _, weight = values(_run(rows, lanes, run))
        # In shares of all rows: sums of large weights or values must not overflow.
        shifts = jax.tree.map(
            lambda sum, new, at: sum + share * weight * (new - at), sums[1], found, origins
        )
        return sums[0] + share * weight, shifts

    none = 0 * weight
    total, shifts = lax.fori_loop(0, runs, add, (none, jax.tree.map(lambda _: none, found)))
    whole = jnp.sum(total)
    whole = jnp.where(whole > 0, whole, jnp.ones_like(whole))
    return jax.tree.map(lambda at, shift: at + jnp.sum(shift) / whole, origins, shifts)


def _lanes(rows: Rows) -> int:
    """How many rows to take beside each other; 0 where all are better reduced at once."""
    if rows.y_pred.ndim > 1 or _platform.platform() != "cpu":
        return 0
    fits = [lanes for lanes in (_MANY_LANES, _FEW_LANES) if rows.y_true.shape[0] >= _RUNS * lanes]
    return fits[0] if fits else 0


def _run(rows: Rows, lanes: int, number: Any) -> Rows:
    return jax.tree.map(
        lambda column: lax.dynamic_slice_in_dim(column, number * lanes, lanes), rows
    )
