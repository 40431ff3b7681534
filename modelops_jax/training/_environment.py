"""What a run's numbers depend on besides its inputs."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import jax

from modelops_jax._version import __version__

_DEPENDENCIES = ("jax", "jaxlib", "numpy", "optax", "safetensors", "tokenizers")


def fingerprint() -> dict[str, object]:
    """Describe this environment; with the same inputs an equal one gives the same weights.

    Asks jax for its devices, so it is called in the thread that trains.

    Returns:
        Values that JSON can hold: versions, machine, processor (the instructions that it has decide
        how sums are formed), CPU count (so does the number of threads), devices and XLA_FLAGS.

    Example:
        >>> print(*fingerprint())
        python platform machine processor cpu_count devices xla_flags packages
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cpu_count": os.cpu_count(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "packages": {
            "modelops-jax": __version__,
            **{name: version(name) for name in _DEPENDENCIES},
        },
    }


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
