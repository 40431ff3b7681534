"""Tokenise rows once, and keep them on a disk for every later run that needs the same."""

import fcntl
import hashlib
import itertools
import json
import multiprocessing
import os
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from modelops_jax.data import Dataset, DatasetError, Problem, stream_rows
from modelops_jax.models import Tokenizer

from ._config import TrainingConfig
from ._rows import TrainOn
from ._token_files import FORMAT, MANIFEST, TokenWriter
from ._tokenize import ROWS_AT_ONCE, Block, report_overlong, tokenize_block
from ._tokenized import TokenizedDataset

Places = list[tuple[str, dict[str, Any]]]


def tokenize_to_disk(
    source: Dataset | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    tokenizer: Tokenizer,
    config: TrainingConfig,
    *,
    context: int,
    name: str = "training",
    processes: int = 1,
) -> TokenizedDataset:
    """Tokenise rows into files, or open those that were made of the same rows in the same way.

    What decides the tokens decides the name of the dataset's own folder inside `folder`: the
    source's bytes, the tokenizer, its chat template and the settings. So nothing is ever replaced:
    another source or setting makes another dataset. It gets its name when it is whole and on the
    disk; a process that is killed leaves nothing that is taken for one. Of two processes that want
    the same dataset, one makes it and the other waits.

    A template that writes the date is rendered once, on the day when the dataset is made.

    Args:
        source: Rows, or the path of a JSONL file, which may be larger than memory.
        folder: Where such datasets are kept; made if it is missing.
        tokenizer: The model's tokenizer.
        config: Decides what is trained, the longest row, and what becomes of a longer one.
        context: The model's longest sequence, in tokens.
        name: What messages call the dataset.
        processes: How many tokenise. One uses all cores already, but for rendering templates.
            More are started anew, so a script that asks for them needs the usual
            `if __name__ == "__main__":`.

    Returns:
        The dataset, mapped from the disk.

    Raises:
        DatasetError: Lines of the file are no rows; all are listed with their numbers.
        ValueError: There is no row, one cannot be rendered, one is too long and `config.overlong`
            is "error", or no row is left.
        OSError: A file cannot be read or written.

    Example:
        >>> import tempfile
        >>> from modelops_jax.models import load
        >>> rows = Dataset([{"prompt": "2+2?", "completion": "4"}])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = tokenize_to_disk(
        ...         rows, folder, load("tiny").tokenizer, TrainingConfig(), context=256
        ...     )
        ...     len(made), made.trained_tokens
        (1, 2)
    """
    limit = config.longest_row(context)
    made_from = {
        "source": _hash_of(source),
        "tokenizer": tokenizer.fingerprint,
        "train_on": config.train_on,
        "longest_row": limit,
        "overlong": config.overlong,
    }
    digest = hashlib.sha256(json.dumps([FORMAT, made_from]).encode()).hexdigest()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / digest[:32]
    with open(folder / f".lock-{own.name}", "wb") as lock:
        # The system gives it up when the process ends, however it does.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (own / MANIFEST).exists():
            with TokenWriter(own, tokenizer.vocab_size, made_from) as writer:
                left = 0
                for block in _blocks(source, tokenizer, config.train_on, limit, processes, name):
                    writer.add(block.token_ids, block.trained, block.lengths)
                    writer.left_out += block.overlong
                    left += len(block.lengths)
                if not left and not writer.left_out:
                    raise ValueError(f"the {name} dataset is empty; expected at least one row")
                if config.overlong == "error" or not left:
                    report_overlong(writer.left_out, config, limit=limit, left=left, name=name)
                if _hash_of(source) != made_from["source"]:
                    raise ValueError(f"the {name} dataset changed while it was tokenised")
    dataset = TokenizedDataset.open(own)
    assert dataset.stored is not None
    left_out = dataset.stored.left_out
    report_overlong(left_out, config, limit=limit, left=len(dataset), name=name)
    return dataset


def _hash_of(source: Dataset | str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, or of rows as JSON."""
    if not isinstance(source, Dataset):
        with open(source, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for row in source:
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def _blocks(
    source: Dataset | str | os.PathLike[str],
    tokenizer: Tokenizer,
    train_on: TrainOn,
    limit: int,
    processes: int,
    name: str,
) -> Iterator[Block]:
    """The tokenised rows, in their order."""
    pieces = _valid_pieces(source)
    try:
        if processes == 1:
            for rows in pieces:
                yield tokenize_block(rows, tokenizer, train_on, limit)
            return
        context = multiprocessing.get_context("spawn")
        arguments = (tokenizer, train_on, limit)
        with ProcessPoolExecutor(processes, context, _start_worker, arguments) as pool:
            try:
                yield from _in_order(pool, pieces, 2 * processes)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except DatasetError:
        raise
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a process that tokenises ended by itself; a script that asks for several processes "
            'has to start its work under `if __name__ == "__main__":`'
        ) from error
    except ValueError as error:
        raise ValueError(f"{name} dataset, {error}") from error


def _in_order(pool: ProcessPoolExecutor, pieces: Iterator[Places], most: int) -> Iterator[Block]:
    """Blocks in the order of their rows, with at most so many pieces on their way."""
    waiting: deque[Future[Block]] = deque()
    for rows in pieces:
        waiting.append(pool.submit(_work, rows))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _valid_pieces(source: Dataset | str | os.PathLike[str]) -> Iterator[Places]:
    """Rows a thousand at a time with what messages call them; the rest is read if one is bad."""
    rows, problems = _places(source), list[Problem]()
    while piece := list(itertools.islice(rows, ROWS_AT_ONCE)):
        problems += [problem for _, _, found in piece for problem in found]
        if not problems:
            yield [(place, row) for place, row, _ in piece]
    if problems:
        what = "rows" if isinstance(source, Dataset) else os.fspath(source)
        raise DatasetError.listing(what, problems)


def _places(
    source: Dataset | str | os.PathLike[str],
) -> Iterator[tuple[str, dict[str, Any], list[Problem]]]:
    if isinstance(source, Dataset):
        problems = defaultdict[int | None, list[Problem]](list)
        for problem in source.problems():
            problems[problem.row].append(problem)
        for index, row in enumerate(source):
            yield source.place(index), row, problems[index]
    else:
        for index, (line, row, found) in enumerate(stream_rows(source)):
            yield f"row {index} (line {line})", row, found


def _start_worker(tokenizer: Tokenizer, train_on: TrainOn, limit: int) -> None:
    global _settings
    _settings = (tokenizer, train_on, limit)
    # The processes are what runs side by side; threads of each would be too many.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    # A killed parent cannot tell its workers, and they would wait for work for ever.
    threading.Thread(target=end_with_parent, daemon=True).start()


def _work(rows: Places) -> Block:
    return tokenize_block(rows, *_settings)


_settings: tuple[Tokenizer, TrainOn, int]
