"""What is divided by what, for every ratio of the counts of a class, label or row."""

from collections.abc import Callable
from typing import Any, Literal

Quantity = Literal["precision", "recall", "specificity", "f1", "fbeta", "jaccard"]


def ratio_parts(
    quantity: Quantity,
    beta: float,
    hit: Any,
    predicted: Any,
    actual: Any,
    rejections: Callable[[], tuple[Any, Any]],
) -> tuple[Any, Any]:
    """The numerator and the denominator.

    F is written with the counts and never with precision and recall, so it is defined wherever
    either of them is.

    Args:
        quantity: which ratio.
        beta: of F, how many times as important recall is.
        hit: TP.
        predicted: TP + FP.
        actual: TP + FN.
        rejections: gives TN and TN + FP, which only specificity needs.
    """
    if quantity == "precision":
        return hit, predicted
    if quantity == "recall":
        return hit, actual
    if quantity == "jaccard":
        return hit, predicted + actual - hit
    if quantity == "specificity":
        return rejections()
    # (1 + beta^2) TP / (predicted + beta^2 actual), divided by the larger weight. Both sides
    # are added up alike, so that perfect predictions give exactly 1.
    of_predicted = 1.0 if beta <= 1 else beta**-2
    of_actual = beta**2 if beta <= 1 else 1.0
    return of_predicted * hit + of_actual * hit, of_predicted * predicted + of_actual * actual
