"""When a run's rows were rendered, where a chat template writes the date.

Llama 3's does. A run that goes on another day would have other rows than its checkpoint, so it
renders them as on the day it began.
"""

import json
from datetime import datetime
from pathlib import Path

from modelops_jax.models import Tokenizer, tells_time

from ._checkpoint import RECORD, checkpoints

RENDERED = "rendered"
"""What a checkpoint's facts call it."""


def rendering_moment(tokenizer: Tokenizer, folder: str | Path | None) -> datetime | None:
    """The moment at which a run's rows are to be rendered; None if that does not matter.

    Args:
        tokenizer: With its chat template.
        folder: With the checkpoints to go on from; None for a run that begins.
    """
    if not tells_time(tokenizer.chat_template):
        return None
    for path in reversed(checkpoints(folder)) if folder is not None else ():
        try:
            return datetime.fromisoformat(
                json.loads((path / RECORD).read_text())["facts"][RENDERED]
            )
        except (OSError, ValueError, KeyError):
            continue  # damaged, which is told where it is loaded, or of an earlier version
    return datetime.now()
