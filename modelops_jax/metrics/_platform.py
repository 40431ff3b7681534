"""Where a program that is being traced will run, and what is an accelerator."""

from typing import Any

import jax


def platform() -> str:
    """The platform of the default device: "cpu", "gpu", "tpu", ..."""
    device = jax.config.jax_default_device or jax.default_backend()  # pyright: ignore[reportAttributeAccessIssue] # set at run time
    return getattr(device, "platform", device)


def is_accelerator(device: Any) -> bool:
    """Whether it has a memory of its own, which rows should not have to leave."""
    return device.platform != "cpu"
