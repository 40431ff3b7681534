"""Models by Hugging Face id, through `huggingface_hub` if it is installed: cache first."""

import importlib.util
import re
from pathlib import Path

from ._errors import CheckpointError
from ._hf import weight_files

# Configuration, tokenizer and weights; no code and no pickles.
_WANTED = ["*.json", "*.jinja", "*.safetensors"]


def is_hub_id(name: str) -> bool:
    """Whether a name has the form owner/name.

    Example:
        >>> is_hub_id("HuggingFaceTB/SmolLM2-135M"), is_hub_id("./model"), is_hub_id("tiny")
        (True, False, False)
    """
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) is not None


def hub_folder(name: str) -> Path | str:
    """The local folder of a model on the Hugging Face hub, or why there is none.

    Args:
        name: owner/name.

    Returns:
        The folder, complete; or one line saying what was tried and what is missing.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        return 'Hugging Face hub: needs `pip install "modelops-jax[hub]"`'
    # Imported late: it is optional, and slow to import.
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(huggingface_hub.snapshot_download(name, local_files_only=True))
        weight_files(folder)
    except HFValidationError as error:
        return f"Hugging Face hub: {error}"
    except (LocalEntryNotFoundError, CheckpointError):
        # Not in the cache, or only a part of it.
        pass
    else:
        return folder
    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=_WANTED))
        # Without a connection, huggingface_hub gives what part it has.
        weight_files(folder)
    except OSError as error:  # no connection, offline mode, and every refusal by the hub
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"Hugging Face hub: not in its cache, and not fetched ({reason})"
    except CheckpointError as error:
        return f"Hugging Face hub: incomplete, {error}"
    return folder
