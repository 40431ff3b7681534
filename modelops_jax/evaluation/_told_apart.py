"""Classes that metrics of many classes tell apart."""

from collections.abc import Hashable, Iterable, Mapping

import numpy as np

from ._builtin import BuiltIn


def told_apart(
    classes: Iterable[Hashable],
    members: Mapping[str, BuiltIn],
    true: np.ndarray,
    pred: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers that tell apart what metrics of many classes do, and no more.

    That is the positive classes, and whether two others are the same.
    """
    labels = list(classes)
    positive = {getattr(metric, "positive_class", None) for metric in members.values()}
    kept = np.fromiter((label in positive for label in labels), bool, len(labels))
    one, other = np.flatnonzero(~kept)[:2]
    same = true == pred
    right = np.where(kept[true], true, one)
    return right, np.where(kept[pred], pred, np.where(kept[true] | same, one, other))
