"""Resampled weights of pairs of labels that come in batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._bootstrap import sum_intervals
from ._confidence import IntervalMethod, check_method, without
from ._differences import Asked, Difference, pairs_of
from ._draws import Draws
from ._interval import Interval, check_level, check_resamples
from ._metric import Metric
from ._pair_sums import PairSums


class CountResampleStream:
    """The bootstrap of weighted counts of pairs of labels, of all rows seen so far.

    As `ResampleStream`, for metrics whose number of classes only the last rows tell: what each pair
    of labels weighs in every resample is a running sum, from which the tables of any number of
    classes follow. Its state grows with the pairs that occur, 16 KB each of 1,000 resamples.

    Args:
        n_resamples: how many resamples.
        seed: of the draws.

    Raises:
        ValueError: fewer than two resamples.

    Example:
        >>> import numpy as np
        >>> from modelops_jax.metrics import CountResampleStream, metric
        >>> stream = CountResampleStream()
        >>> true, pred = np.array([[0, 0, 1, 1], [0, 1, 1, 1]] * 50).reshape(-1, 2).T
        >>> stream.update(true, pred, np.full(true.size, 0.5))
        >>> accuracy = {"accuracy": metric("accuracy_score", num_classes=2)}
        >>> stream.intervals(accuracy, 0.9)["accuracy"].method
        'Poisson percentile'
    """

    def __init__(self, *, n_resamples: int = 1000, seed: int = 0) -> None:
        check_resamples(n_resamples)
        self._seed, self._sums = seed, PairSums(Draws(n_resamples), seed)

    def update(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels, integers from 0 to 2**31 - 1, shape (n,).
            y_pred: predicted labels, the same.
            weight: finite numbers of at least 0, shape (n,).

        Raises:
            ValueError: labels or weights out of range, or lengths that differ.
            TypeError: labels that are not integers.
        """
        self._sums.update(y_true, [y_pred], weight)

    @property
    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Both labels of the pairs that occur, some of which are there more than once."""
        return self._sums.labels[0]

    def relabel(self, y_true: np.ndarray, y_pred: np.ndarray) -> None:
        """Put these labels, of which several pairs may be one, in the place of `labels`."""
        self._sums.relabel([(y_true, y_pred)])

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays, for a format of one's own."""
        return self._sums.to_arrays()

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of a stream made with the same arguments, as `to_arrays` gave it."""
        self._sums.set_arrays(facts, arrays)

    def intervals(
        self, metrics: Mapping[str, Metric], level: float = 0.95, places: np.ndarray | None = None
    ) -> dict[str, Interval]:
        """By metric the percentile interval of all rows so far; none of no rows.

        Args:
            metrics: metrics whose `resampling` is "cells".
            level: nominal coverage, in (0, 1).
            places: by label the number by which the metrics know it; None: the label itself.

        Raises:
            ValueError: a level outside (0, 1), or a metric of something else than counts.
        """
        check_level(level)
        _check_counts(metrics)
        drawn = self._sums.sums(metrics.values(), places)
        if drawn is None or not metrics:
            return {}
        return sum_intervals(metrics, drawn, level, "percentile", "Poisson", self._seed)[0]


class PairedCountStream:
    """The same of several models that labelled the same rows, and their differences.

    As `PairedStream` of weighted rows, for metrics whose number of classes only the last rows tell.
    Its state grows with the pairs that occur of each model, 64 KB each of 2,000 resamples.

    Args:
        models: the models, at least two.
        n_resamples: how many resamples, and how many random swaps.
        seed: of both.

    Raises:
        ValueError: fewer than two models, or fewer than two resamples.

    Example:
        >>> import numpy as np
        >>> from modelops_jax.metrics import PairedCountStream, metric
        >>> stream = PairedCountStream(["old", "new"])
        >>> true, wrong = np.array([0, 1] * 50), np.array([1, 1] * 50)
        >>> stream.update(true, {"old": wrong, "new": true}, np.full(100, 0.5))
        >>> accuracy = {"accuracy": metric("accuracy_score", num_classes=2)}
        >>> found = stream.differences(accuracy)["accuracy"]["old", "new"]
        >>> found.value, found.p_value < 0.01, found.interval.method
        (-0.5, True, 'paired Poisson percentile')
    """

    def __init__(self, models: Sequence[str], *, n_resamples: int = 2000, seed: int = 0) -> None:
        check_resamples(n_resamples)
        pairs_of(models, None)
        self._models, self._n_resamples, self._seed = tuple(models), n_resamples, seed
        draws = Draws(poisson=n_resamples, signs=n_resamples)
        self._sums = PairSums(draws, seed, len(self._models))

    def update(self, y_true: Any, y_preds: Mapping[str, np.ndarray], weight: np.ndarray) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels, integers from 0 to 2**31 - 1, shape (n,), or by model.
            y_preds: by model its predicted labels, the same.
            weight: finite numbers of at least 0, shape (n,).

        Raises:
            ValueError: other models than the stream's, labels or weights out of range, or lengths
                that differ.
            TypeError: labels that are not integers.
        """
        for name, column in (("y_preds", y_preds), ("y_true", y_true)):
            if isinstance(column, Mapping) and column.keys() != set(self._models):
                raise ValueError(
                    f"{name} is of {list(column)}; the stream is of {', '.join(self._models)}"
                )
        true = [y_true[m] if isinstance(y_true, Mapping) else y_true for m in self._models]
        self._sums.update(np.stack(true), [y_preds[model] for model in self._models], weight)

    @property
    def labels(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By model both labels of the pairs that occur, some of which are there more than once."""
        return dict(zip(self._models, self._sums.labels, strict=True))

    def relabel(self, labels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Put these labels, of which several pairs may be one, in the place of `labels`."""
        self._sums.relabel([labels[model] for model in self._models])

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays, for a format of one's own."""
        return self._sums.to_arrays()

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of a stream made with the same arguments, as `to_arrays` gave it."""
        self._sums.set_arrays(facts, arrays)

    def intervals(
        self,
        metrics: Mapping[str, Metric],
        level: float = 0.95,
        places: np.ndarray | None = None,
        *,
        method: IntervalMethod | str = "auto",
    ) -> dict[str, dict[str, Interval]]:
        """By model and metric the percentile interval of all rows so far; none of no rows.

        Args:
            metrics: metrics whose `resampling` is "cells".
            level: nominal coverage, in (0, 1).
            places: by label the number by which the metrics know it; None: the label itself.
            method: "auto" or "percentile".

        Raises:
            ValueError: a level outside (0, 1), another method, or a metric of something else than
                counts.
        """
        check_method(method, level, self._n_resamples, self._seed)
        without(metrics, {}, method)
        if method == "bca":
            raise ValueError("method is 'bca'; resamples drawn as rows come in give percentiles")
        _check_counts(metrics)
        drawn = self._sums.sums(metrics.values(), places)
        if drawn is None or not metrics:
            return {model: {} for model in self._models}
        found = sum_intervals(metrics, drawn, level, "percentile", "Poisson", self._seed)
        return dict(zip(self._models, found, strict=True))

    def differences(
        self,
        metrics: Mapping[str, Metric],
        level: float = 0.95,
        places: np.ndarray | None = None,
        *,
        pairs: Sequence[tuple[str, str]] | None = None,
    ) -> dict[str, dict[tuple[str, str], Difference]]:
        """By metric and pair of models the difference, as `paired_differences` gives it.

        Args:
            metrics: metrics whose `resampling` is "cells".
            level: nominal coverage, in (0, 1).
            places: as for `intervals`.
            pairs: which; None: every two models once.

        Raises:
            ValueError: what `intervals` refuses, or a pair of unknown models.
        """
        check_level(level)
        _check_counts(metrics)
        wanted = pairs_of(self._models, pairs)
        drawn = self._sums.sums(metrics.values(), places)
        if drawn is None:
            return {name: {} for name in metrics}
        values = {name: list(drawn.sample().values(m)[0]) for name, m in metrics.items()}
        asked = Asked(self._models, wanted, level, "percentile", self._n_resamples, self._seed)
        return asked.of_sums(metrics, values, drawn, "Poisson")


def _check_counts(metrics: Mapping[str, Metric]) -> None:
    for name, metric in metrics.items():
        if metric.resampling != "cells":
            raise ValueError(f"{name}: {metric.name} is no function of a table of counts")
