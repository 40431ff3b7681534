"""`Evaluator`: named metrics of your own choice over predictions and references."""

import contextlib
import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from ._builtin import BuiltIn, compute_together
from ._call import call_metric
from ._computed import Computed
from ._errors import MetricError, UndefinedMetricWarning, metric_error
from ._text_functions import exact_match_metric, length_ratio_metric
from ._vectors import count_rows, listed


class Evaluator:
    """Evaluate predictions against references with metrics of your own choice.

    A metric is a function `fn(predictions, references)`, predictions first, that returns one
    number. Or it is an object with `compute(y_true, y_pred)`, such as `F1Metric()`, whose order
    is the other one: it gets the references as `y_true`. A function that takes the targets first
    (those of `modelops_jax.metrics` and scikit-learn do) and is not symmetric has to be turned:
    `lambda predictions, references: r2_score(references, predictions)`.

    Functions see float64 input in float64: JAX's 64-bit types are enabled around their calls
    where predictions or references are 64-bit arrays or lists of Python numbers.

    Args:
        metrics: name of each score -> its metric. Left out: `exact_match` and `length_ratio`.
        on_error: what becomes of a metric that raises. `"raise"`: a `MetricError` that names the
            metric, and is a ValueError or TypeError too if the metric raised one. `"nan"`: the
            score is nan, with a RuntimeWarning that names the metric and the exception.

    Raises:
        TypeError: `metrics` is no mapping of names to functions or metric objects.
        ValueError: `metrics` is empty, or `on_error` is neither of the two.

    Example:
        >>> from modelops_jax.evaluation import Evaluator, F1Metric, exact_match_metric
        >>> evaluator = Evaluator(metrics={"exact_match": exact_match_metric})
        >>> evaluator.evaluate(predictions=["4", "London"], references=["4", "Paris"])
        {'exact_match': 0.5}
        >>> Evaluator({"f1": F1Metric()}).evaluate(predictions=[1, 1, 0], references=[1, 0, 0])
        {'f1': 0.6666666666666666}
    """

    def __init__(self, metrics: Mapping[str, Any] | None = None, on_error: str = "raise") -> None:
        if metrics is None:
            metrics = {"exact_match": exact_match_metric, "length_ratio": length_ratio_metric}
        if not isinstance(metrics, Mapping):
            raise TypeError(
                f"metrics is a {type(metrics).__name__}; expected a dict of name -> function"
            )
        if not metrics:
            raise ValueError("metrics is empty; expected at least one name -> function")
        for name, metric in metrics.items():
            _check_metric(name, metric)
        if on_error not in ("raise", "nan"):
            raise ValueError(f"on_error is {on_error!r}; expected 'raise' or 'nan'")
        self.metrics = dict(metrics)
        self.on_error = on_error

    def evaluate(self, predictions: Iterable[Any], references: Iterable[Any]) -> dict[str, float]:
        """Compute every metric.

        Args:
            predictions: what was predicted, one entry per row: a list, tuple, array or iterator.
            references: what is right, of the same length. Metrics of texts that take several right
                texts (BLEU, chrF, ROUGE, SQuAD's) take a list of them as an entry.

        Returns:
            The scores by name, in the order of `metrics`.

        Raises:
            TypeError: no sequence, or one string instead of a list of them.
            ValueError: two lengths.
            MetricError: a metric raised, or did not return one number, unless `on_error` is
                `"nan"`.

        Warns:
            UndefinedMetricWarning: a metric has no definition on these rows; the message says
                which rule gave the value.
        """
        predictions, references = listed(predictions), listed(references)
        count_rows(predictions, references, ("predictions", "references"))
        built_in = {name: m for name, m in self.metrics.items() if isinstance(m, BuiltIn)}
        outcomes = compute_together(built_in, references, predictions)
        scores: dict[str, float] = {}
        for name, metric in self.metrics.items():
            try:
                if name in outcomes:
                    scores[name] = _value(name, outcomes[name])
                else:
                    scores[name] = _call(name, metric, predictions, references)
            except MetricError as error:
                if self.on_error == "raise":
                    raise
                scores[name] = math.nan
                message = f"{error}; its score is nan (on_error='nan')"
                warnings.warn(message, RuntimeWarning, stacklevel=2)
        return scores


def _check_metric(name: Any, metric: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"metrics has the key {name!r}; expected a name, a string")
    if isinstance(metric, type):
        raise TypeError(f"metric {name!r} is the class {metric.__name__}; expected an instance")
    if not callable(metric) and not hasattr(metric, "compute"):
        raise TypeError(
            f"metric {name!r} is a {type(metric).__name__}; expected a function of (predictions, "
            "references) or an object with compute(y_true, y_pred)"
        )


def _value(name: str, outcome: Computed | Exception) -> float:
    """Give the value of a built-in metric, or raise or warn what came with it."""
    if isinstance(outcome, Exception):
        raise metric_error(name, outcome) from outcome
    if outcome.rule is not None:
        # From here through `evaluate` to its caller.
        warnings.warn(outcome.rule, UndefinedMetricWarning, stacklevel=3)
    return outcome.value


def _call(name: str, metric: Any, predictions: Any, references: Any) -> float:
    """Call a metric in its own order of arguments, in float64 for float64 input."""
    wide = _is_wide(predictions) or _is_wide(references)
    with jax.enable_x64(True) if wide else contextlib.nullcontext():
        if hasattr(metric, "compute"):
            return call_metric(name, lambda: metric.compute(references, predictions))
        return call_metric(name, lambda: metric(predictions, references))


def _is_wide(values: Any) -> bool:
    """Whether these are 64-bit numbers, or Python's, which are; or rows of some."""
    if hasattr(values, "dtype"):
        return values.dtype in (np.float64, np.int64, np.uint64)
    first = values[0] if len(values) else None
    if isinstance(first, list | tuple) or hasattr(first, "dtype"):
        return _is_wide(first)
    return isinstance(first, int | float)
