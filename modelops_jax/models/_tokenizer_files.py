"""What a tokenizer's files say, each field checked."""

from pathlib import Path
from typing import Any

import tokenizers

from ._errors import CheckpointError
from ._json_file import read_json


def read_backend(path: Path) -> tokenizers.Tokenizer:
    """The algorithm and the vocabulary, as the package reads them."""
    if not path.exists():
        raise CheckpointError(
            f"{path.parent} has no tokenizer.json; other forms of tokenizer are not read. "
            "transformers' AutoTokenizer writes one with save_pretrained"
        )
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises bare Exception for a damaged file
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    # Left in the file by whoever saved it; how long a row may be is our caller's business.
    backend.no_truncation()
    backend.no_padding()
    return backend


def named_token(
    backend: tokenizers.Tokenizer, path: Path, config: dict[str, Any], key: str
) -> int | None:
    """The id of the token that a field names, if it names one."""
    value = config.get(key)
    # Older files keep the token's flags with its text.
    text = value.get("content") if isinstance(value, dict) else value
    if text is None:
        return None
    token = backend.token_to_id(text) if isinstance(text, str) else None
    if token is None:
        raise CheckpointError(f"{path}: {key} {text!r} is not in the vocabulary of tokenizer.json")
    return token


def end_ids(path: Path) -> tuple[int, ...]:
    """The tokens that a file says end a turn."""
    if not path.exists():
        return ()
    value = read_json(path).get("eos_token_id")
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(id_, int) and id_ >= 0 for id_ in ids):
        raise CheckpointError(f"{path}: eos_token_id is {value!r}; expected token ids")
    return tuple(ids)


def chat_template_of(folder: Path, config: dict[str, Any]) -> str | None:
    """The chat template of a folder, if it has one."""
    path = folder / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    value = config.get("chat_template")
    if isinstance(value, list):
        # Several templates by name; the one without a purpose of its own is called default.
        value = {entry["name"]: entry["template"] for entry in value}.get("default")
    return value
