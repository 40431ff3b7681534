"""The fields of `config.json` that say which layers see a window only."""

from pathlib import Path
from typing import Any, NamedTuple

from ._config import DecoderConfig
from ._errors import CheckpointError
from ._families import FAMILIES

_FULL, _LOCAL = "full_attention", "sliding_attention"


class Windows(NamedTuple):
    """`sliding_window` and `local_layers` of `DecoderConfig`."""

    size: int | None
    local_layers: tuple[bool, ...]


def read_windows(path: Path, family: str, raw: dict[str, Any], num_layers: int) -> Windows:
    """Read the window and the layers it holds for.

    Args:
        path: The file, for messages.
        family: The `model_type`; families differ in what is local by default.
        raw: The fields of `config.json`, with transformers' defaults.
        num_layers: Number of layers.

    Raises:
        CheckpointError: A field is malformed, or the fields contradict each other.
    """
    size = raw.get("sliding_window")
    if family.startswith("qwen") and not raw["use_sliding_window"]:
        size = None
    if size is not None:
        _check_int(path, "sliding_window", size, least=1)
    if "local_layers" not in FAMILIES[family].options:
        return Windows(size, ())
    local = _layer_types(path, raw["layer_types"], num_layers)
    if local is None:
        # Without a list, the last layers of Qwen are local, every other one of Gemma 2, and in
        # Gemma 3 all but every sixth.
        layers = range(num_layers)
        if family.startswith("qwen"):
            first = raw["max_window_layers"]
            _check_int(path, "max_window_layers", first, least=0)
            local = tuple(size is not None and layer >= first for layer in layers)
        else:
            period = 2 if family == "gemma2" else raw["sliding_window_pattern"]
            _check_int(path, "sliding_window_pattern", period, least=1)
            local = tuple((layer + 1) % period != 0 for layer in layers)
    if not any(local):
        return Windows(None, ())
    if size is None:
        raise CheckpointError(f"{path}: layer_types asks for a sliding_window, but there is none")
    return Windows(size, local)


def _check_int(path: Path, field: str, value: Any, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise CheckpointError(f"{path}: {field} is {value!r}; expected an int from {least} on")


def _layer_types(path: Path, types: Any, num_layers: int) -> tuple[bool, ...] | None:
    if types is None:
        return None
    if (
        not isinstance(types, list)
        or len(types) != num_layers
        or any(type_ not in (_FULL, _LOCAL) for type_ in types)
    ):
        raise CheckpointError(
            f"{path}: layer_types is {types!r}; expected {num_layers} of {_FULL!r} and {_LOCAL!r}"
        )
    return tuple(type_ == _LOCAL for type_ in types)


def window_fields(config: DecoderConfig) -> dict[str, Any]:
    """The fields that `read_windows` and transformers read."""
    fields: dict[str, Any] = {}
    if "sliding_window" in config.traits.options:
        fields["sliding_window"] = config.sliding_window
    if "local_layers" in config.traits.options:
        local = config.local_layers or (config.sliding_window is not None,) * config.num_layers
        fields["layer_types"] = [_LOCAL if is_local else _FULL for is_local in local]
    if config.family.startswith("qwen"):
        fields["use_sliding_window"] = config.sliding_window is not None
    return fields
