"""Time the metrics beside those of scikit-learn, torchmetrics and metrax, in one process.

    make bench-metrics
    python benchmarks/metrics.py --rows 1_000_000 --only area --report ''

Every peer computes the same values from the same rows, which is checked. Rounds alternate between
ours and the peers, so that a busy machine slows all of them; medians are compared. A peer that is
not installed is left out.
"""

import argparse
import datetime
import platform
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from metric_works import WORKS, Values, Work, installed, labels

from modelops_jax.metrics import compute, metric

ROUNDS = 5
# A peer as slow as this is timed once, not in every round.
SLOW_SECONDS = 4.0
SIZES = [10**k for k in range(3, 9)]


@dataclass(frozen=True)
class Result:
    """Medians in seconds."""

    work: Work
    ours: float
    peers: Mapping[str, float]


def measure(work: Work) -> Result:
    """Alternate between ours and the peers; check that the values agree."""
    expected = work.ours()  # compiles
    times: dict[str, list[float]] = {"ours": []} | {name: [] for name in work.peers}
    for _ in range(ROUNDS):
        for name, run in {"ours": work.ours, **work.peers}.items():
            if times[name] and min(times[name]) > SLOW_SECONDS:
                continue
            begun = time.perf_counter()
            values = run()
            times[name].append(time.perf_counter() - begun)
            agree(work, name, expected, values)
    medians = {
        name: statistics.median(found) * work.scale.get(name, 1.0) for name, found in times.items()
    }
    return Result(work, medians.pop("ours"), medians)


def agree(work: Work, name: str, expected: Values, values: Values | None) -> None:
    """Refuse to compare the times of different numbers."""
    for key, value in (values or {}).items():
        found, wanted = np.asarray(value, np.float64), np.asarray(expected[key], np.float64)
        if not np.allclose(found, wanted, rtol=work.tolerance, atol=work.tolerance):
            raise AssertionError(f"{work.name}: {name} gives {key} {found}, ours {wanted}")


def small_inputs() -> Iterator[str]:
    """Warm calls on 100 rows, and the number of compilations for twenty sizes."""
    true, pred = labels(100, 2)
    metrics = {name: metric(f"{name}_score") for name in ("accuracy", "precision", "recall", "f1")}
    compute(metrics, true, pred)
    begun = time.perf_counter()
    for _ in range(100):
        compute(metrics, true, pred)
    each = (time.perf_counter() - begun) / 100 / len(metrics)
    yield f"100 rows, warm: {each * 1e3:.2f} ms a metric (bar: under 1)."
    compiled = 0

    def count(event: str, *_: Any, **__: Any) -> None:
        nonlocal compiled
        compiled += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(count)
    fresh = {"f": metric("f1_score", average="macro", num_classes=7)}
    for rows in np.linspace(1, 1000, 20).astype(int):
        compute(fresh, *labels(rows, 7))
    yield f"Twenty sizes up to 1,000 rows: {compiled} compilations (bar: at most 2)."


def bandwidth() -> float:
    """Bytes a second of an XLA sum over 400 MB."""
    values = jnp.ones(10**8, jnp.float32)
    total = jax.jit(jnp.sum)
    total(values).block_until_ready()
    begun = time.perf_counter()
    for _ in range(3):
        total(values).block_until_ready()
    return 3 * values.nbytes / (time.perf_counter() - begun)


def line(result: Result, peak: float) -> str:
    """One row of the table a peer."""
    rows = []
    for name, seconds in result.peers.items():
        ratio, bar = seconds / result.ours, result.work.bars.get(name)
        wanted = "" if bar is None else f"{bar:.3g}"
        reached = "" if bar is None else ("yes" if ratio >= bar else "**no**")
        share = result.work.bytes_read / result.ours / peak
        rows.append(
            f"| {result.work.name} | {result.ours * 1e3:,.1f} | {name} | {seconds * 1e3:,.1f} | "
            f"{ratio:,.3g} | {wanted} | {reached} | {f'{share:.0%}' if share else ''} |"
        )
    return "\n".join(rows)


HEADER = """| work | ours, ms | peer | peer, ms | ratio | bar | reached | of bandwidth |
|---|---|---|---|---|---|---|---|"""


def environment() -> str:
    """What the numbers depend on."""
    names = ("jax", "numpy", "sklearn", "torch", "torchmetrics", "metrax")
    found = {name: installed(name) for name in names}
    versions = [f"{n} {getattr(m, '__version__', '')}".strip() for n, m in found.items() if m]
    device = jax.devices()[0]
    return (
        f"{datetime.date.today()}, {platform.processor() or platform.machine()}, "
        f"{jax.local_device_count()} x {device.device_kind}, Python {platform.python_version()}, "
        + ", ".join(versions)
    )


def scaling(path: Path, largest: int) -> None:
    """Time against rows for three works, ours and scikit-learn, on log axes."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for color, name in enumerate(("binary", "area", "regression")):
        points: dict[str, list[tuple[int, float]]] = {"ours": [], "scikit-learn": []}
        for rows in (size for size in SIZES if size <= largest):
            work = WORKS[name](rows)
            runs = {"ours": work.ours, "scikit-learn": work.peers["scikit-learn"]}
            for who, run in runs.items():
                if who == "scikit-learn" and rows > 10**7:
                    continue  # minutes
                run()
                times = []
                while len(times) < 3:
                    begun = time.perf_counter()
                    run()
                    times.append(time.perf_counter() - begun)
                points[who].append((rows, min(times)))
        for who, style in (("ours", "-o"), ("scikit-learn", "--s")):
            axes.plot(
                *zip(*points[who], strict=True), style, color=f"C{color}", label=f"{name}, {who}"
            )
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the metrics beside their peers.")
    parser.add_argument("--rows", type=int, default=10**7)
    parser.add_argument("--only", choices=sorted(WORKS), help="one work instead of all")
    parser.add_argument("--largest", type=int, default=10**8, help="rows of the scaling plot")
    parser.add_argument("--report", default="benchmarks/reports", help="folder; '' writes none")
    options = parser.parse_args()
    text = [f"# Metrics beside their peers\n\n{environment()}. {options.rows:,} rows.\n"]
    print(text[0], HEADER, sep="\n", flush=True)
    peak, lines = bandwidth(), []
    for name, make in WORKS.items():
        if options.only in (None, name):
            lines.append(line(measure(make(options.rows)), peak))
            print(lines[-1], flush=True)
    notes = [] if options.only else list(small_inputs())
    notes.append(f"Bandwidth (XLA sum of float32): {peak / 1e9:.1f} GB/s.")
    print(*notes, sep="\n")
    if options.report:
        stem = Path(options.report) / f"{datetime.date.today()}-metrics"
        stem.parent.mkdir(parents=True, exist_ok=True)
        scaling(stem.with_suffix(".svg"), options.largest)
        text += [HEADER, *lines, "", *[f"{note}  " for note in notes], ""]
        text += [f"![Time against rows]({stem.name}.svg)", ""]
        stem.with_suffix(".md").write_text("\n".join(text), "utf-8")
        print(f"Report: {stem.with_suffix('.md')}")


if __name__ == "__main__":
    main()
