"""What a tokenizer's files say, each field checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers

from ._errors import CheckpointError
from ._json_file import read_json

OTHER_TOKENS = ("unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


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


def read_config(folder: Path) -> tuple[dict[str, Any], Callable[[str], Path]]:
    """What a folder says of its tokenizer, and which file says a key of it.

    Where `tokenizer_config.json` does not list the added tokens, `special_tokens_map.json` names
    the special ones, as in transformers.
    """
    path, older = folder / "tokenizer_config.json", folder / "special_tokens_map.json"
    config = read_json(path) if path.exists() else {}
    moved = read_json(older) if older.exists() and "added_tokens_decoder" not in config else {}
    return config | moved, lambda key: older if key in moved else path


def named_token(
    backend: tokenizers.Tokenizer, path: Path, config: dict[str, Any], key: str
) -> int | None:
    """The id of the token that a field names, if it names one."""
    text = _text(config, key)
    if text is None:
        return None
    token = backend.token_to_id(text) if isinstance(text, str) else None
    if token is None:
        raise CheckpointError(f"{path}: {key} {text!r} is not in the vocabulary of tokenizer.json")
    return token


def other_tokens(config: dict[str, Any]) -> dict[str, str]:
    """The texts of the special tokens that nothing but a chat template asks for."""
    texts = ((key, _text(config, key)) for key in OTHER_TOKENS)
    return {key: text for key, text in texts if isinstance(text, str)}


def _text(config: dict[str, Any], key: str) -> Any:
    value = config.get(key)
    # Older files keep the token's flags with its text.
    return value.get("content") if isinstance(value, dict) else value


def generation_settings(path: Path) -> dict[str, Any]:
    """What a file says of generation, without the ids that the tokenizer has anyway."""
    if not path.exists():
        return {}
    # The last one would have transformers put the values of config.json in their place.
    known = ("eos_token_id", "pad_token_id", "bos_token_id", "_from_model_config")
    return {key: value for key, value in read_json(path).items() if key not in known}


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
