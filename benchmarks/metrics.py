"""Time the metrics beside those of scikit-learn, torchmetrics and metrax, in one process.

    make bench-metrics
    python benchmarks/metrics.py --only area --report ''
    python benchmarks/metrics.py --quick --report /tmp
    python benchmarks/metrics.py --accelerator

Every peer computes the same values from the same rows, which is checked. Rounds alternate between
ours and the peers, so that a busy machine slows all of them; medians are compared. A peer that is
not installed is left out. Ours and the peers run on the CPU, or with `--accelerator` on the default
accelerator: ours and those peers that run there, with the values of ours on the CPU to check them.
"""

import argparse
import datetime
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from metric_checks import many_rows, small_inputs
from metric_works import WORKS, Values, Work, installed

ROUNDS = 5
# Peers whose arrays lie where ours do.
THERE = ("torchmetrics", "metrax")
# A peer as slow as this is timed once, not in every round.
SLOW_SECONDS = 4.0
SIZES = [10**k for k in range(3, 9)]
QUICK = 200_000
NOTES = Path(__file__).parent / "notes.md"


@dataclass(frozen=True)
class Result:
    """Medians in seconds."""

    work: Work
    ours: float
    peers: Mapping[str, float]


def measure(make: Callable[[int], Work], rows: int, *, there: bool) -> Result:
    """Alternate between ours and the peers; check that the values agree."""
    with jax.default_device(jax.devices("cpu")[0]):
        work = make(rows)
        expected = work.ours()  # compiles
        if not there:
            return alternate(work, expected)
    again = make(rows)  # with its arrays there
    agree(again, jax.default_backend(), expected, again.ours())
    peers = {name: run for name, run in again.peers.items() if name.startswith(THERE)}
    for run in peers.values():
        run()
    return alternate(replace(again, peers=peers, bars={}), expected)


def alternate(work: Work, expected: Values) -> Result:
    """The medians of rounds of all."""
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
    ours = medians.pop("ours")
    return Result(work, ours, medians)


def agree(work: Work, name: str, expected: Values, values: Values | None) -> None:
    """Refuse to compare the times of different numbers."""
    for key, value in (values or {}).items():
        found, wanted = np.asarray(value, np.float64), np.asarray(expected[key], np.float64)
        if not np.allclose(found, wanted, rtol=work.tolerance, atol=work.tolerance):
            raise AssertionError(f"{work.name}: {name} gives {key} {found}, ours {wanted}")


def bandwidth(device: Any) -> float:
    """Bytes a second of an XLA sum over 400 MB."""
    values = jax.device_put(jnp.ones(10**8, jnp.float32), device)
    total = jax.jit(jnp.sum)
    total(values).block_until_ready()
    begun = time.perf_counter()
    for _ in range(3):
        total(values).block_until_ready()
    return 3 * values.nbytes / (time.perf_counter() - begun)


def line(result: Result, peak: float) -> str:
    """One row of the table a peer."""
    rows = []
    for name, taken in (result.peers or {"": math.nan}).items():
        ratio, bar = taken / result.ours, result.work.bars.get(name)
        wanted = "" if bar is None else f"{bar:.3g}"
        reached = "" if bar is None else ("yes" if ratio >= bar else "**no**")
        share = result.work.bytes_read / result.ours / peak
        cells = [
            result.work.name,
            f"{result.ours * 1e3:,.2f}",
            name,
            f"{taken * 1e3:,.2f}" if name else "",
            f"{ratio:,.3g}" if name else "",
            wanted,
            reached,
            f"{share:.0%}" if share else "",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def header() -> str:
    """The head of the table."""
    names = ["work", "ours, ms", "peer", "peer, ms", "ratio", "bar", "reached", "of bandwidth"]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def environment() -> str:
    """What the numbers depend on."""
    names = ("jax", "numpy", "sklearn", "torch", "torchmetrics", "metrax")
    found = {name: installed(name) for name in names}
    versions = [f"{n} {getattr(m, '__version__', '')}".strip() for n, m in found.items() if m]
    devices = {
        f"{len(jax.devices(kind))} x {jax.devices(kind)[0].device_kind}": None
        for kind in ("cpu", jax.default_backend())
    }
    return (
        f"{datetime.date.today()}, {platform.processor() or platform.machine()}, "
        f"{os.cpu_count()} cores, {', '.join(devices)}, Python {platform.python_version()}, "
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
    parser.add_argument(
        "--largest", type=int, default=10**8, help="rows of the plot and the checks"
    )
    parser.add_argument("--accelerator", action="store_true", help="on it instead of on the CPU")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} rows: does it work?")
    parser.add_argument("--report", default="benchmarks/reports", help="folder; '' writes none")
    options = parser.parse_args()
    rows, largest = (QUICK, QUICK) if options.quick else (options.rows, options.largest)
    text = [f"# Metrics beside their peers\n\n{environment()}. {rows:,} rows.\n"]
    print(text[0], header(), sep="\n", flush=True)
    there = options.accelerator
    device = jax.devices()[0] if there else jax.devices("cpu")[0]
    if there and device.platform == "cpu":
        parser.error("--accelerator: JAX has none here")
    peak, lines = bandwidth(device), []
    for name, make in WORKS.items():
        if options.only in (None, name):
            lines.append(line(measure(make, rows, there=there), peak))
            print(lines[-1], flush=True)
    found = [f"Bandwidth (XLA sum of float32): {peak / 1e9:,.1f} GB/s."]
    if not options.only and not there:
        found += [*small_inputs(), *many_rows(largest)]
    print("", *found, "", sep="\n", flush=True)
    if options.report and there:
        path = Path(options.report) / f"{datetime.date.today()}-metrics-{device.platform}.md"
        path.write_text("\n".join([*text, header(), *lines, "", *found, ""]), "utf-8")
        print(f"Report: {path}\n")
        return
    if options.report:
        stem = Path(options.report) / f"{datetime.date.today()}-metrics"
        stem.parent.mkdir(parents=True, exist_ok=True)
        scaling(stem.with_suffix(".svg"), largest)
        text += [header(), *lines, "", *[f"{sentence}  " for sentence in found], ""]
        text += [f"![Time against rows]({stem.name}.svg)", "", NOTES.read_text("utf-8")]
        stem.with_suffix(".md").write_text("\n".join(text), "utf-8")
        print(f"Report: {stem.with_suffix('.md')}\n")
    print(NOTES.read_text("utf-8"))


if __name__ == "__main__":
    main()
