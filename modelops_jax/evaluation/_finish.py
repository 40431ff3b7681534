"""From the outcomes of the metrics to a result, with errors raised and rules warned about."""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import BuiltIn, Reader, by_reader, is_by_class
from ._call import call_metric
from ._computed import Computed, Confidence
from ._errors import NoIntervalWarning, UndefinedMetricWarning
from ._evidence import Evidence, Pair
from ._labels import shorten
from ._likelihoods import reads_scores
from ._queries import ByQuery, read_queries
from ._result import ClassResult, EvaluationResult, SliceResult
from ._sharded import ids_in_order, on_devices
from ._slicing import SliceOutcome, Slicing, slice_results
from ._task_type import TaskType
from ._vectors import as_vector


def check_confidence(
    confidence: float | int | None,
    seed: int,
    groups: Any = None,
    method: str = "auto",
    n_resamples: int = 1000,
) -> Confidence | None:
    """What a caller asks for, if it makes sense.

    Raises:
        ValueError: a level outside (0, 1), an unknown method, too few resamples, or a seed that is
            negative or of more than 32 bits.
        TypeError: a level, a seed or resamples that are no numbers, or no whole ones.
    """
    if method not in get_args(numeric.IntervalMethod):
        choices = ", ".join(map(repr, get_args(numeric.IntervalMethod)))
        raise ValueError(f"interval is {method!r}; choose one of: {choices}")
    for name, value, least in (("n_resamples", n_resamples, 2), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} is {value!r}; expected an integer of at least {least}")
        if value < least:
            raise ValueError(f"{name} is {value!r}; expected at least {least}")
    if seed >= 2**32:  # JAX would keep the lower 32 bits
        raise ValueError(f"seed is {seed!r}; expected one below 2**32")
    if confidence is None:
        return None
    if not isinstance(confidence, int | float | np.number):
        raise TypeError(f"confidence is {confidence!r}; expected None or a level in (0, 1)")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; expected None or a level in (0, 1)")
    return Confidence(confidence, seed, groups, method, n_resamples)


def configuration_of(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Each metric with its options; of those of a caller the class, which is all we know."""
    return {
        name: repr(m) if isinstance(m, BuiltIn) else f"{type(m).__module__}.{type(m).__qualname__}"
        for name, m in metrics.items()
    }


@dataclass(frozen=True)
class Group:
    """The metrics of one reader, and what it gives for them."""

    members: Mapping[str, BuiltIn]
    evidence: Callable[[], Evidence]


def read_together(
    metrics: Mapping[str, Any],
    y_true: Any,
    y_pred: Any,
    y_score: Any,
    groups: Any,
    weight: np.ndarray | None = None,
) -> list[Group]:
    """The built-in ones among these metrics, by what they read of the rows.

    Raises:
        ValueError: weights for metrics of a caller's own, or groups of another length.
    """
    refuse_weighted_own(metrics, weight)
    built_in = {name: m for name, m in metrics.items() if isinstance(m, BuiltIn)}
    scores = y_pred if y_score is None else y_score
    found, readers = [], by_reader(built_in)
    if groups is not None and read_queries not in readers and len(groups) != len(y_true):
        raise ValueError(
            f"groups must have shape ({len(y_true)},), one entry a row; found ({len(groups)},)"
        )
    for read, members in readers.items():
        second = scores if reads_scores(read) else y_pred
        if read is read_queries:
            second = ByQuery(y_pred, groups)
        found.append(Group(members, functools.partial(_read, read, y_true, second, weight)))
    return found


def refuse_weighted_own(metrics: Mapping[str, Any], weight: Any) -> None:
    """Refuse weights for metrics of a caller's own (ValueError)."""
    own = [name for name, metric in metrics.items() if not isinstance(metric, BuiltIn)]
    if weight is not None and own:
        raise ValueError(f"{', '.join(own)}: metrics of your own take no weight other than 0 and 1")


def _read(read: Reader, y_true: Any, second: Any, weight: np.ndarray | None) -> Pair:
    pair = read(y_true, second)
    return pair if weight is None else pair.weighted(weight)


def finish(
    task_type: TaskType,
    metrics: Mapping[str, Any],
    groups: Sequence[Group],
    columns: tuple[Any, Any] | None,
    rows: int,
    confidence: Confidence | None,
    slicings: list[Slicing],
) -> EvaluationResult:
    """Make the result, for a method that the user calls.

    Args:
        task_type: the task.
        metrics: the metrics by name, in order.
        groups: the built-in ones among them.
        columns: y_true and y_pred of all rows, for the others; None where there are none.
        rows: how many rows.
        confidence: which intervals to add.
        slicings: the slicings to add; only of evidence that has the rows.
    """
    evidence = [group.evidence() for group in groups]
    computed: dict[str, Computed] = {}
    listed = _listed(groups, evidence)
    classes: tuple[ClassResult, ...] = ()
    for group, own in zip(groups, evidence, strict=True):
        ratios: Mapping[str, Any] = {}
        if own is listed and own.rows and confidence is not None:
            ratios = own.class_ratios(group.members, confidence)
        # Under names that no metric has.
        ratios = {n: r for n, r in ratios.items() if _of_each(n) not in group.members}
        members = {**group.members, **{_of_each(name): ratio for name, ratio in ratios.items()}}
        outcomes: dict[str, Computed] = {}
        for name, outcome in own.compute(members, confidence).items():
            if isinstance(outcome, Exception):
                raise outcome
            outcomes[name] = outcome
        computed |= {name: outcomes[name] for name in group.members}
        if own is listed:
            drawn = {name: outcomes[_of_each(name)].class_intervals for name in ratios}
            by_class = {n: one for n in group.members if (one := outcomes[n]).by_class is not None}
            classes = _with_values(own.per_class, by_class, drawn)
    metadata: dict[str, Any] = {}
    for name in metrics:
        metadata |= (computed[name].facts or {}) if name in computed else {}
    if task_type is TaskType.BINARY_CLASSIFICATION and "num_classes" in metadata:
        _check_binary(metadata)
    for name, metric in metrics.items():
        if name not in computed:
            assert columns is not None
            why = None if confidence is None else "a metric of your own is computed, not resampled"
            computed[name] = Computed(_custom(name, metric, *columns), no_interval=why)
    rules = {name: computed[name].rule for name in metrics if computed[name].rule is not None}
    for rule in rules.values():
        # From here through the method to its caller.
        warnings.warn(str(rule), UndefinedMetricWarning, stacklevel=3)
    if rules:
        metadata["undefined"] = rules
    without = {name: why for name in metrics if (why := computed[name].no_interval) is not None}
    for name, why in without.items():
        warnings.warn(f"{name} has no interval: {why}", NoIntervalWarning, stacklevel=3)
    if without:
        metadata["without_interval"] = without
    if rows and confidence is not None and confidence.groups is not None:
        metadata["groups"] = _number_of_groups(confidence.groups)
    return EvaluationResult(
        metrics={n: computed[n].value for n in metrics if computed[n].by_class is None},
        task_type=task_type,
        sample_count=rows,
        metadata=metadata,
        intervals={name: i for name in metrics if (i := computed[name].interval) is not None},
        undefined={name: n for name in metrics if (n := computed[name].undefined)},
        configuration=configuration_of(metrics),
        ignored_count=max((own.ignored for own in evidence), default=0),
        per_class=classes,
        slices=_slices(metrics, groups, evidence, slicings, confidence),
    )


def _number_of_groups(groups: Any) -> int:
    if on_devices(groups):
        return ids_in_order(groups)[1]
    ids = as_vector(groups, "groups")
    return len(np.unique(ids) if isinstance(ids, np.ndarray) else set(ids))


def _listed(groups: Sequence[Group], evidence: Sequence[Evidence]) -> Evidence | None:
    """Whose classes a result lists: of that of metrics by class, or of the first that has some."""
    some = [pair for pair in zip(groups, evidence, strict=True) if pair[1].num_listed]
    asked = [own for group, own in some if any(map(is_by_class, group.members.values()))]
    return (asked[-1:] or [own for _, own in some[:1]] or [None])[0]


def _of_each(ratio: str) -> str:
    return f"{ratio} of each class"


def _with_values(
    classes: Sequence[ClassResult],
    by_class: Mapping[str, Computed],
    ratios: Mapping[str, Sequence[numeric.Interval] | None],
) -> tuple[ClassResult, ...]:
    """The classes with the values of metrics by class, and with all intervals.

    Args:
        classes: each with its ratios.
        by_class: the outcomes of the metrics.
        ratios: the intervals of the ratios.
    """
    drawn = {**ratios, **{name: one.class_intervals for name, one in by_class.items()}}
    values = {name: one.by_class or () for name, one in by_class.items()}
    return tuple(
        replace(
            one,
            metrics={**one.metrics, **{name: several[at] for name, several in values.items()}},
            intervals={name: several[at] for name, several in drawn.items() if several},
        )
        for at, one in enumerate(classes)
    )


def _slices(
    metrics: Mapping[str, Any],
    groups: Sequence[Group],
    evidence: Sequence[Evidence],
    slicings: list[Slicing],
    confidence: Confidence | None,
) -> tuple[SliceResult, ...]:
    if not slicings:
        return ()
    metrics = {name: metric for name, metric in metrics.items() if not is_by_class(metric)}
    outcomes: list[list[dict[str, SliceOutcome]]] = [[{} for _ in s.keys] for s in slicings]
    for group, own in zip(groups, evidence, strict=True):
        members = {name: group.members[name] for name in group.members if name in metrics}
        if not (own.rows and members):
            continue
        for parts, more in zip(outcomes, own.slices(members, slicings, confidence), strict=True):
            for part, new in zip(parts, more, strict=True):
                part |= new
    better = {name: b for name, m in metrics.items() if (b := _direction(m)) is not None}
    return slice_results(slicings, outcomes, list(metrics), better)


def _direction(metric: Any) -> bool | None:
    """Whether higher is better; None for metrics that do not say."""
    return metric.higher_is_better if isinstance(metric, BuiltIn) else None


def _check_binary(metadata: dict[str, Any]) -> None:
    classes = metadata.get("classes")
    if classes is None or not (set(classes) <= {0, 1} or set(classes) <= {-1, 1}):
        found = f"{metadata['num_classes']} classes" if classes is None else shorten(tuple(classes))
        raise ValueError(
            f"the labels are {found}; a binary task has 0 and 1, bools, or -1 and 1, of which 1 is "
            "the positive one (TaskType.MULTICLASS_CLASSIFICATION takes any labels, and "
            "F1Metric(positive_class=...) any positive class)"
        )


def _custom(name: str, metric: Any, y_true: Any, y_pred: Any) -> float:
    return call_metric(name, lambda: metric.compute(y_true, y_pred))
