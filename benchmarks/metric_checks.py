"""What the benchmark of the metrics checks besides ratios: small inputs, and very many rows."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from metric_works import binary_scores, labels

from modelops_jax.metrics import compute, metric

_BLOCK = 1 << 20


def _values(rows: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    true = random.standard_normal(rows, np.float32)
    return true, true + random.standard_normal(rows, np.float32)


def _probabilities(rows: int) -> tuple[np.ndarray, np.ndarray]:
    true, score = binary_scores(rows)
    return true, 1 / (1 + np.exp(-score))


def _classes(rows: int) -> tuple[np.ndarray, np.ndarray]:
    return labels(rows, 7)


# By metric: columns of so many rows, and options.
SMALL: Mapping[str, tuple[Callable[[int], tuple[np.ndarray, np.ndarray]], Mapping[str, Any]]] = {
    "accuracy_score": (_classes, {"num_classes": 7}),
    "balanced_accuracy_score": (_classes, {"num_classes": 7}),
    "precision_score": (_classes, {"num_classes": 7, "average": "macro"}),
    "recall_score": (_classes, {"num_classes": 7, "average": "weighted"}),
    "f1_score": (_classes, {"num_classes": 7, "average": "macro"}),
    "matthews_corrcoef": (_classes, {"num_classes": 7}),
    "cohen_kappa_score": (_classes, {"num_classes": 7}),
    "confusion_matrix": (_classes, {"num_classes": 7}),
    "roc_auc_score": (binary_scores, {}),
    "average_precision_score": (binary_scores, {}),
    "sketched_roc_auc_score": (binary_scores, {}),
    "log_loss": (_probabilities, {}),
    "brier_score_loss": (_probabilities, {}),
    "expected_calibration_error": (_probabilities, {}),
    "mean_squared_error": (_values, {}),
    "mean_absolute_error": (_values, {}),
    "r2_score": (_values, {}),
    "median_absolute_error": (_values, {}),
    "pearson_corrcoef": (_values, {}),
    "spearman_corrcoef": (_values, {}),
    "mean_pinball_loss": (_values, {"alpha": 0.9}),
}


def small_inputs() -> Iterator[str]:
    """Warm calls on 100 rows, and the number of compilations for twenty sizes."""
    taken: dict[str, float] = {}
    for name, (columns, options) in SMALL.items():
        asked, rows = {name: metric(name, **options)}, columns(100)
        compute(asked, *rows)
        begun = time.perf_counter()
        for _ in range(100):
            compute(asked, *rows)
        taken[name] = (time.perf_counter() - begun) / 100 * 1e3
    slowest = max(taken, key=lambda name: taken[name])
    yield (
        f"100 rows, warm, each of {len(taken)} metrics alone: at most {taken[slowest]:.2f} ms "
        f"({slowest}), {statistics.median(taken.values()):.2f} in the middle (bar: under 1, "
        f"{reached(taken[slowest] < 1)})."
    )
    compiled = 0

    def count(event: str, *_: Any, **__: Any) -> None:
        nonlocal compiled
        compiled += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(count)
    counts: dict[str, int] = {}
    for name, (columns, options) in SMALL.items():
        jax.clear_caches()
        before = compiled
        for rows in np.linspace(1, 1000, 20).astype(int):
            compute({name: metric(name, **options)}, *columns(rows))
        counts[name] = compiled - before
    most = max(counts, key=lambda name: counts[name])
    found = f"Twenty sizes up to 1,000 rows: at most {counts[most]} compilations a metric ({most})"
    yield f"{found} (bar: at most 2, {reached(counts[most] <= 2)})."


def reached(yes: bool) -> str:
    """A word for the report."""
    return "reached" if yes else "**not reached**"


def many_rows(rows: int) -> Iterator[str]:
    """The exact values of so many real rows, and how far ours are from them.

    Raises:
        AssertionError: further than the contract allows.
    """
    true, pred = np.empty(rows, np.float32), np.empty(rows, np.float32)
    random = np.random.default_rng(0)
    blocks = [slice(start, min(start + _BLOCK, rows)) for start in range(0, rows, _BLOCK)]
    for block in blocks:
        size = block.stop - block.start
        true[block] = 100 + random.standard_normal(size, np.float32)
        pred[block] = true[block] + 0.5 * random.standard_normal(size, np.float32)
    up, said = (true > 100).astype(np.int32), (pred > 100).astype(np.int32)

    def total(of: Any, *columns: np.ndarray) -> float:
        wide = ([column[block].astype(np.float64) for column in columns] for block in blocks)
        return math.fsum(float(np.sum(of(*parts))) for parts in wide)

    def square(x: np.ndarray, y: Any) -> np.ndarray:
        return (x - y) ** 2

    def of_values(true: np.ndarray, pred: np.ndarray) -> dict[str, float]:
        errors, mean = total(square, true, pred), total(np.positive, true) / rows
        spread = total(lambda t: square(t, mean), true)
        return {"mean_squared_error": errors / rows, "r2_score": 1 - errors / spread}

    hits, both = (
        int(np.count_nonzero(up & said)),
        int(up.sum(dtype=np.int64) + said.sum(dtype=np.int64)),
    )
    # A million up, where a float64 has eleven digits behind the point.
    far = [10**6 + column.astype(np.float64) for column in (true, pred)]
    for columns, exact, tolerance in (
        ((true, pred), of_values(true, pred), 1e-6),
        (far, of_values(*far), 1e-12),
        ((up, said), {"f1_score": 2 * hits / both}, 0),
    ):
        with jax.enable_x64(True):
            on_device = [jnp.asarray(column) for column in columns]
        asked, kind = {name: metric(name) for name in exact}, columns[0].dtype
        compute(asked, *on_device)
        begun = time.perf_counter()
        values = compute(asked, *on_device).values
        seconds = time.perf_counter() - begun
        for name, value in exact.items():
            off = abs(float(values[name]) - value) / max(1, abs(value))
            if off > tolerance:
                raise AssertionError(f"{name} of {rows:,} rows: {values[name]!r}, not {value!r}")
            yield f"{rows:,} rows of {kind}: {name} {float(values[name]):.9f}, off by {off:.1g}."
        yield f"{rows:,} rows of {kind}: {' and '.join(exact)} in {seconds:.2f} s."
