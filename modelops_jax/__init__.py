"""Evaluate and fine-tune models on CPU, GPU or TPU with one small Python API.

The public names are listed once, in `__init__.pyi`; each is imported when it is first used,
so that `import modelops_jax` compiles nothing and touches no device.
"""

import lazy_loader as _lazy

from ._version import __version__ as __version__

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
