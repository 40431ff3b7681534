"""What a run's numbers depend on besides its inputs."""

import os
import platform
from importlib.metadata import version

import jax

from modelops_jax._version import __version__

_DEPENDENCIES = ("jax", "jaxlib", "numpy", "optax", "safetensors", "tokenizers")


def fingerprint() -> dict[str, object]:
    """Describe this environment; with the same inputs an equal one gives the same weights.

    Asks jax for its devices, so it is called in the thread that trains.

    Returns:
        Values that JSON can hold: versions, machine, CPU count (the number of threads changes the
        last bits of sums), devices and XLA_FLAGS.

    Example:
        >>> sorted(fingerprint())
        ['cpu_count', 'devices', 'machine', 'packages', 'platform', 'python', 'xla_flags']
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "packages": {
            "modelops-jax": __version__,
            **{name: version(name) for name in _DEPENDENCIES},
        },
    }
