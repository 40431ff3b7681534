"""The rotary fields of `config.json`: `rope_theta`, `rope_scaling`, `rope_parameters`."""

from pathlib import Path
from typing import Any, NamedTuple

from ._errors import CheckpointError
from ._rotary import LinearScaling, Llama3Scaling, RopeScaling

_NUMBERS = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}
_ALWAYS = ("rope_type", "type", "rope_theta", "partial_rotary_factor")


class Rope(NamedTuple):
    """A base, and how the frequencies made of it are changed."""

    theta: float
    scaling: RopeScaling | None


class LocalRope(NamedTuple):
    """Rotary parameters of layers that see everything, and the base of those that do not."""

    full: Rope
    local_theta: float


def read_rope(path: Path, raw: dict[str, Any], default_theta: float, max_position: int) -> Rope:
    """Read the rotary fields, wherever transformers 4 or 5 wrote them.

    Args:
        path: The file, for messages.
        raw: The fields of `config.json`.
        default_theta: The base if none is named.
        max_position: The original context of scaled frequencies if none is named.

    Raises:
        CheckpointError: A field is malformed or asks for something not supported.
    """
    field, rope = rope_object(path, raw)
    theta = raw.get("rope_theta")
    theta = default_theta if theta is None else theta
    return parse_rope(f"{path}: {field}", rope, theta, max_position)


def read_local_rope(path: Path, raw: dict[str, Any], max_position: int) -> LocalRope:
    """Read the rotary fields of Gemma 3, whose local layers have a base of their own.

    Transformers 4 wrote `rope_theta`, `rope_scaling` and `rope_local_base_freq`, transformers 5
    an object for each kind of layer in `rope_parameters`.

    Args:
        path: The file, for messages.
        raw: The fields of `config.json`, with transformers' defaults.
        max_position: The original context of scaled frequencies if none is named.

    Raises:
        CheckpointError: A field is malformed or asks for something not supported.
    """
    field, rope = rope_object(path, raw)
    if field == "rope_scaling":
        rope = {"full_attention": rope}
    unknown = sorted(rope.keys() - {"full_attention", "sliding_attention"})
    if unknown:
        raise CheckpointError(
            f"{path}: {field} has {', '.join(unknown)}; expected full_attention and "
            "sliding_attention"
        )
    where = f"{path}: {field} of"
    full, local = rope.get("full_attention") or {}, rope.get("sliding_attention") or {}
    default = _number(str(path), "rope_local_base_freq", raw["rope_local_base_freq"])
    theta, scaling = parse_rope(f"{where} local layers", local, default, max_position)
    if scaling is not None:
        raise CheckpointError(f"{where} local layers is {local!r}; supported: 'default'")
    return LocalRope(
        parse_rope(f"{where} full layers", full, raw["rope_theta"], max_position), theta
    )


def rope_object(path: Path, raw: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The object with the rotary parameters, and the name of the field it comes from."""
    given = {field: raw.get(field) or {} for field in ("rope_scaling", "rope_parameters")}
    for field, rope in given.items():
        if not isinstance(rope, dict):
            raise CheckpointError(f"{path}: {field} is {rope!r}; expected an object")
    old, new = given.values()
    if old and new and old != new:
        raise CheckpointError(
            f"{path}: rope_scaling is {old!r}, but rope_parameters is {new!r}; expected one of them"
        )
    return ("rope_scaling", old) if old else ("rope_parameters", new)


def parse_rope(where: str, rope: dict[str, Any], default_theta: Any, max_position: int) -> Rope:
    """Base and scaling from one object of rotary parameters.

    Args:
        where: File and field, for messages.
        rope: The object; `rope_type`, or `type` in older files, says which numbers it has.
        default_theta: The base if the object names none.
        max_position: The original context if the object names none.

    Raises:
        CheckpointError: A type or a key is not supported, or a number is missing or impossible.
    """
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in _NUMBERS or rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise CheckpointError(
            f"{where} is {rope!r}; supported is rope_type {', '.join(_NUMBERS)} over whole heads"
        )
    unknown = sorted(rope.keys() - {*_ALWAYS, *_NUMBERS[kind]})
    if unknown:
        raise CheckpointError(f"{where}: {', '.join(unknown)} is not supported with {kind!r}")
    complete = {"original_max_position_embeddings": max_position, **rope}
    values = [_number(where, name, complete.get(name)) for name in _NUMBERS[kind]]
    theta = _number(where, "rope_theta", rope.get("rope_theta", default_theta))
    try:
        if kind == "llama3":
            factor, low, high, original = values
            return Rope(theta, Llama3Scaling(factor, low, high, int(original)))
        return Rope(theta, LinearScaling(values[0]) if kind == "linear" else None)
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}") from error


def _number(where: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"{where}: {name} is {value!r}; expected a number")
    return float(value)


def rope_scaling_fields(scaling: RopeScaling | None) -> dict[str, Any] | None:
    """The value of `rope_scaling`, in the form that transformers 4 and 5 read."""
    if scaling is None:
        return None
    if isinstance(scaling, LinearScaling):
        return {"rope_type": "linear", "factor": scaling.factor}
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_max_position,
    }
