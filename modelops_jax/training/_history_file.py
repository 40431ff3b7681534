"""The records of a run as a file that a killed run leaves behind, and its continuation goes on."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from modelops_jax.data import write_atomic

from ._history import Record


@contextlib.contextmanager
def append_history(
    path: str | os.PathLike[str], *, resume: bool
) -> Iterator[Callable[[Record], None]]:
    """Open a JSONL file for the records of a run, which are handed to the system one by one.

    A run that goes on from a checkpoint makes again what came after it: at its first record, those
    of that step and later ones are taken out, and half a line that a killed run left.

    Args:
        path: The file.
        resume: Keep the records of the run's first part; otherwise the file begins empty.

    Returns:
        A function that appends a record, for `fit(callback=...)`.

    Example:
        >>> with append_history("history.jsonl", resume=False) as append:
        ...     append({"step": 1, "loss": 2.5})
        ...     append({"step": 2, "loss": 2.4})
        >>> with append_history("history.jsonl", resume=True) as append:
        ...     append({"step": 2, "loss": 2.4})
        >>> Path("history.jsonl").read_text("utf-8")
        '{"step": 1, "loss": 2.5}\\n{"step": 2, "loss": 2.4}\\n'
    """
    path = Path(path)
    if not (resume and path.exists()):
        write_atomic(path, b"")
    with contextlib.ExitStack() as stack:
        file = None

        def append(record: Record) -> None:
            nonlocal file
            if file is None:
                whole, _, _ = path.read_bytes().rpartition(b"\n")
                lines = (line + b"\n" for line in whole.splitlines())
                kept = [line for line in lines if json.loads(line)["step"] < record["step"]]
                write_atomic(path, kept)
                file = stack.enter_context(open(path, "ab"))
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()

        yield append
