"""What a run's numbers depend on besides its inputs."""

import dataclasses
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from modelops_jax._version import __version__

_DEPENDENCIES = ("jax", "jaxlib", "numpy", "optax", "safetensors", "tokenizers")
# What else decides how sums are formed and in which order rows come. The rows' own hash covers
# what tokenizers makes of them.
_DECIDING = ("machine", "processor", "cpu_count", "devices", "xla_flags")
_DECIDING_PACKAGES = ("modelops-jax", "jax", "jaxlib", "numpy", "optax")


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


def differences(before: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What decides a run's numbers, is in both records and differs: "NAME was X and is Y" each.

    Args:
        before: From `fingerprint`, or as checkpoints of format 2 have it: jax's version by the side
            of the rest, and devices by their kind alone.
        here: From `fingerprint`.

    Example:
        >>> differences({"jax": "0.9", "devices": ["cpu"]}, fingerprint() | {"jax": "0.10"})
        ["jax was '0.9' and is '0.10'"]
    """
    found, expected = _deciding(before), _deciding(here)
    return [
        f"{name} was {found[name]!r} and is {value!r}"
        for name, value in expected.items()
        if name in found and found[name] != value
    ]


def as_json(value: Any) -> Any:
    """A record as JSON gives it back, so that it can be compared with one that was read."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return json.loads(json.dumps(value))


def _deciding(record: Mapping[str, Any]) -> dict[str, Any]:
    packages = {**record.get("packages", {}), **record}
    values = {name: record[name] for name in _DECIDING if name in record}
    if "devices" in values:
        values["devices"] = [device.split(": ")[-1] for device in values["devices"]]
    return values | {name: packages[name] for name in _DECIDING_PACKAGES if name in packages}


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
