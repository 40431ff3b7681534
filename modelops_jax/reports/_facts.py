"""What a reader needs to judge or repeat a run: how long it took, on what, with what."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import jax

from modelops_jax._version import __version__


def environment_facts() -> dict[str, str]:
    """Say what ran: versions, device, processors, and the peak memory of this process so far.

    Returns:
        Facts by name, in reading order. Peak memory (resident, MiB) is absent on Windows,
        whose Python has no call for it.

    Example:
        >>> facts = environment_facts()
        >>> facts["Python"] == platform.python_version()
        True
    """
    device = jax.devices()[0]
    facts = {
        "modelops_jax": __version__,
        "jax": metadata.version("jax"),
        "jaxlib": metadata.version("jaxlib"),
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.machine()}",
        "Device": f"{jax.device_count()} {device.platform} ({device.device_kind})",
        "Processors": str(os.cpu_count()),
    }
    if sys.platform != "win32":
        import resource

        # Linux counts in KiB, macOS in bytes.
        unit = 2**20 if sys.platform == "darwin" else 2**10
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        facts["Peak memory"] = f"{peak:,.0f} MiB"
    return facts


def training_facts(history: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Say how long training took and how fast it was, compilation included.

    Args:
        history: the records of `fit`: "step", and since the record before it "seconds" and, for
            records of steps, "tokens_per_second".

    Returns:
        Facts by name, in reading order; none for an empty history.

    Example:
        >>> training_facts([{"step": 1, "seconds": 8.0, "tokens_per_second": 100.0},
        ...                 {"step": 2, "seconds": 2.0, "tokens_per_second": 400.0},
        ...                 {"step": 2, "seconds": 5.0, "eval_loss": 0.5}])
        {'Steps': '2', 'Training time': '15 s', 'Training speed': '160 tokens/s'}
    """
    facts = {}
    if history:
        facts["Steps"] = f"{max(record['step'] for record in history):,}"
        facts["Training time"] = f"{sum(record['seconds'] for record in history):,.0f} s"
    steps = [record for record in history if "tokens_per_second" in record]
    seconds = sum(record["seconds"] for record in steps)
    if seconds > 0:
        tokens = sum(record["tokens_per_second"] * record["seconds"] for record in steps)
        facts["Training speed"] = f"{tokens / seconds:,.0f} tokens/s"
    return facts
