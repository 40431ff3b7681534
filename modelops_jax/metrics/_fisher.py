"""Fisher's exact test: whether two groups of rows have one share of hits."""

import numpy as np


def fisher_test(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """Fisher's exact test of whether two groups of independent rows have one share of hits.

    Given how many hits there are in all, those of the first group are hypergeometric under the
    null hypothesis. Two-sided: the chance of all numbers that are no likelier than the one seen.
    It rejects somewhat more seldom than its level says. Time and memory grow with the rows.

    Args:
        hits: of the first group, from 0 to `rows`.
        rows: of the first group.
        other_hits: of the second group, from 0 to `other_rows`.
        other_rows: of the second group.

    Returns:
        The p-value, in (0, 1]; 1 where a group has no rows.

    Raises:
        ValueError: hits below 0 or above the rows.

    Example:
        >>> from modelops_jax.metrics import fisher_test
        >>> round(fisher_test(3, 12, 45, 50), 6)
        1.7e-05

    Source: Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society
    98, 1935.
    """
    for name, found, most in (("hits", hits, rows), ("other_hits", other_hits, other_rows)):
        if not 0 <= found <= most:
            raise ValueError(f"{name} is {found}; expected 0 to {most}, the rows of its group")
    drawn = hits + other_hits
    first, last = max(0, drawn - other_rows), min(drawn, rows)
    # (drawn - k)(rows - k) / ((k + 1)(other_rows - drawn + k + 1)) of the chance of k has k + 1.
    k = np.arange(first, last, dtype=np.float64)
    up = np.log(drawn - k) + np.log(rows - k)
    down = np.log(k + 1) + np.log(other_rows - drawn + k + 1)
    chances = np.concatenate([np.zeros(1), np.cumsum(up - down)])
    chances = np.exp(chances - chances.max())
    # Numbers that are as likely but for rounding count as such.
    tail = chances[chances <= chances[hits - first] * (1 + 1e-7)]
    return float(min(1.0, tail.sum() / chances.sum()))
