"""The states that fit what several models are compared by."""

from collections.abc import Mapping, Sequence

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric, Reader
from ._joint import Joint
from ._joint_labels import JointLabels
from ._joint_rows import JointRows
from ._joint_sums import JointSums
from ._label_pair import LabelPair
from ._ranking import ScorePair
from ._streamed import StreamedSums


def joint_states(
    read: Reader,
    members: Mapping[str, OnePassMetric],
    models: Sequence[str],
    *,
    n_resamples: int,
    seed: int,
) -> list[Joint]:
    """The states of no rows for metrics of one reader: of sums, and of kept rows."""
    none = read([], [])
    if isinstance(none, LabelPair):
        return [JointLabels(read, members, models, n_resamples=n_resamples, seed=seed)]
    if isinstance(none, ScorePair):
        return [JointRows(read, members, models)]
    bound = StreamedSums(read, members).metrics
    rows = {n: members[n] for n, metric in bound.items() if _needs_rows(metric)}
    rest = {n: metric for n, metric in members.items() if n not in rows}
    found: list[Joint] = []
    if rest:
        found.append(JointSums(read, rest, models, n_resamples=n_resamples, seed=seed))
    return found + ([JointRows(read, rows, models)] if rows else [])


def _needs_rows(metric: numeric.Metric) -> bool:
    return metric.resampling in ("closed", "kept") or any(s.keeps_rows for s in metric.statistics)
