"""Facts about this process and machine that a reader needs to repeat a run."""

import os
import platform
import sys
from importlib import metadata

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
