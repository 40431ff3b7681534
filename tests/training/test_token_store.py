"""Tokenised rows on a disk: the same rows, made once, whole or not at all."""

import concurrent.futures
import dataclasses
import gzip
import importlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from modelops_jax.data import Dataset, DatasetError
from modelops_jax.training import (
    OverlongRowsWarning,
    TokenizedDataset,
    TokenizedRow,
    TokenStoreError,
    TrainingConfig,
    fit,
    tokenize,
    tokenize_to_disk,
)
from modelops_jax.training._tokenize import rows_for

CONFIG = TrainingConfig()


@pytest.fixture
def source(tmp_path: Path, rows: Dataset) -> Path:
    """The rows as a file with blank lines."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n\n" for row in rows))
    return path


def made(folder: Path) -> list[Path]:
    """The datasets in a folder; what is hidden is none."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def store(source, folder: Path, model, config: TrainingConfig = CONFIG, **options):
    return tokenize_to_disk(source, folder, model.tokenizer, config, context=256, **options)


def assert_same_rows(found: TokenizedDataset, expected: TokenizedDataset):
    """Every row, and what is said of all."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.token_ids, other.token_ids)
        np.testing.assert_array_equal(one.trained, other.trained)
    assert found.fingerprint == expected.fingerprint


def test_rows_on_a_disk_are_the_rows_in_memory(tmp_path: Path, source: Path, rows, model):
    """From a file, a zipped file and a dataset; in two bytes a token."""
    expected = tokenize(rows, model.tokenizer, CONFIG, context=256, name="training")
    zipped = tmp_path / "rows.jsonl.gz"
    zipped.write_bytes(gzip.compress(source.read_bytes()))
    for at, given in enumerate((source, zipped, rows)):
        found = store(given, tmp_path / str(at), model)
        assert_same_rows(found, expected)
        assert found.token_ids.dtype == np.uint16
        assert not found.token_ids.flags.writeable


def test_what_was_made_is_opened_again(tmp_path: Path, source: Path, model, monkeypatch):
    """The same source and settings read no row; another source, setting or template makes anew."""
    folder = tmp_path / "store"
    first = store(source, folder, model)
    with monkeypatch.context() as patched:
        patched.setattr(type(model.tokenizer), "encode_pieces", None)
        assert store(source, folder, model).fingerprint == first.fingerprint
    assert len(made(folder)) == 1
    store(source, folder, model, TrainingConfig(train_on="all"))
    assert len(made(folder)) == 2
    source.write_text(source.read_text() + '{"prompt": "one", "completion": "more"}')
    assert len(store(source, folder, model)) == len(first) + 1
    assert len(made(folder)) == 3


def test_each_part_of_the_key_makes_another_dataset(tmp_path: Path, rows, model):
    """All that the manifest names, all of the tokenizer but what only generation reads, alone."""
    folder, tokenizer = tmp_path / "store", model.tokenizer
    asked = {"context": 200, "config": CONFIG, "tokenizer": tokenizer, "source": rows}
    # Names its padding, so that the token's text matters too.
    template = "{% for m in messages %}{{ m['content'] }}{{ pad_token }}{% endfor %}"
    asked["tokenizer"] = dataclasses.replace(
        tokenizer, chat_template=template, other_tokens={"pad_token": "<a>"}
    )

    def key(**changed):
        given = asked | changed
        stored = tokenize_to_disk(
            given["source"], folder, given["tokenizer"], given["config"], context=given["context"]
        ).stored
        assert stored is not None
        return stored

    first = key()
    other = json.loads(tokenizer.backend.to_str())
    other["added_tokens"][-1]["content"] = "<|another|>"
    fields = {
        "backend": type(tokenizer.backend).from_str(json.dumps(other)),
        "bos_id": tokenizer.eos_id,
        "eos_id": tokenizer.pad_id,
        "pad_id": tokenizer.eos_id,
        "stop_ids": (*tokenizer.stop_ids, 7),
        "chat_template": " " + template,
        "other_tokens": {"pad_token": "<b>"},
    }
    names = {field.name for field in dataclasses.fields(tokenizer)}
    assert fields.keys() == names - {"generation"}, "a field of the tokenizer that is not tried"
    tokenizers = [dataclasses.replace(asked["tokenizer"], **{n: v}) for n, v in fields.items()]
    tries = {
        "source": [{"source": rows[:-1]}],
        "tokenizer": [{"tokenizer": one} for one in tokenizers],
        "train_on": [{"config": TrainingConfig(train_on="all")}],
        "longest_row": [{"context": 199}, {"config": TrainingConfig(max_length=199)}],
        "overlong": [{"config": TrainingConfig(overlong="drop")}],
    }
    assert tries.keys() == first.made_from.keys(), "a part of the key that is not tried"
    seen = {first.folder}
    for part, changes in tries.items():
        for change in changes:
            found = key(**change)
            moved = {n for n, value in found.made_from.items() if value != first.made_from[n]}
            assert moved == {part}
            assert found.folder != first.folder
            seen.add(found.folder)
    assert seen == set(made(folder))
    # The longest row is one part, whichever of the two settings gives it.
    assert len(seen) == 1 + sum(map(len, tries.values())) - 1
    generation = dataclasses.replace(asked["tokenizer"], generation={"temperature": 0.5})
    assert key(tokenizer=generation).folder == first.folder


def test_several_processes_make_the_same_files(tmp_path: Path, model):
    """Rows stay in their order, whichever process is done first."""
    texts = [{"prompt": f"Say {n}", "completion": "ab" * (n % 40)} for n in range(2500)]
    alone = store(Dataset(texts), tmp_path / "alone", model)
    together = store(Dataset(texts), tmp_path / "together", model, processes=2)
    assert alone.stored is not None
    assert together.stored is not None
    for name in ("tokens.bin", "trained.bin", "offsets.bin", "manifest.json"):
        one, other = alone.stored.folder / name, together.stored.folder / name
        assert one.read_bytes() == other.read_bytes()


def test_access_is_that_of_a_grain_source(tmp_path: Path, source: Path, model):
    """Length, integer index, pickled as a path, read by many threads at once."""
    dataset = store(source, tmp_path / "store", model)
    assert len(pickle.dumps(dataset)) < 1000
    assert_same_rows(pickle.loads(pickle.dumps(dataset)), dataset)
    in_memory = TokenizedDataset.from_rows(dataset)
    assert_same_rows(pickle.loads(pickle.dumps(in_memory)), dataset)
    np.testing.assert_array_equal(dataset[np.int64(3)].token_ids, dataset[3].token_ids)
    np.testing.assert_array_equal(dataset[-1].token_ids, dataset[len(dataset) - 1].token_ids)
    for wrong in (len(dataset), -len(dataset) - 1):
        with pytest.raises(IndexError, match=f"row {wrong}: the dataset has n = 11 rows"):
            dataset[wrong]
    order = np.random.default_rng(0).integers(0, len(dataset), 2000).tolist()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda index: dataset[index].token_ids.sum(), order))
    assert found == [dataset[index].token_ids.sum() for index in order]


def test_parts_of_processes_hold_each_row_once(tmp_path: Path, source: Path, model):
    """Consecutive, of like size, and pickled as the same part."""
    dataset = store(source, tmp_path / "store", model)
    parts = [dataset.shard(at, 4) for at in range(4)]
    assert [len(part) for part in parts] == [2, 3, 3, 3]
    assert_same_rows(TokenizedDataset.from_rows(row for part in parts for row in part), dataset)
    assert_same_rows(pickle.loads(pickle.dumps(parts[2])), parts[2])
    assert_same_rows(parts[3].shard(1, 2), TokenizedDataset.from_rows(list(parts[3])[1:]))
    assert parts[1].fingerprint not in (dataset.fingerprint, parts[2].fingerprint)
    with pytest.raises(ValueError, match="process_index is 4; expected 0 to 3"):
        dataset.shard(4, 4)
    with pytest.raises(ValueError, match="expected a row for each"):
        dataset.shard(0, 12)


def test_bad_lines_are_all_named_and_nothing_is_left(tmp_path: Path, source: Path, model):
    """As `Dataset.from_file` names them."""
    source.write_text(source.read_text() + '{"prompt": "a"}\n{')
    with pytest.raises(DatasetError) as error:
        store(source, tmp_path / "store", model)
    assert [problem.line for problem in error.value.problems] == [23, 24]
    assert not made(tmp_path / "store")
    with pytest.raises(ValueError, match="the training dataset is empty"):
        store(Dataset(), tmp_path / "store", model)


def test_overlong_rows_are_named_by_row_and_line(tmp_path: Path, source: Path, model):
    """Refused, or left out aloud, also when the dataset is opened again."""
    folder = tmp_path / "store"
    with pytest.raises(ValueError, match=r"longer than 40 tokens; the first is row 1 \(line 3\)"):
        store(source, folder, model, TrainingConfig(max_length=40))
    assert not made(folder)
    for _ in range(2):
        with pytest.warns(OverlongRowsWarning, match=r"row 1 \(line 3\) with \d+; they are left"):
            dataset = store(source, folder, model, TrainingConfig(max_length=40, overlong="drop"))
        assert dataset.lengths.max() <= 40


def test_damage_is_found(tmp_path: Path, source: Path, model):
    """A missing or shortened file, another format, another folder."""
    dataset = store(source, tmp_path / "store", model)
    assert dataset.stored is not None
    folder = dataset.stored.folder
    with pytest.raises(TokenStoreError, match=r"is no tokenised dataset: it has no manifest\.json"):
        TokenizedDataset.open(tmp_path)
    for name in ("tokens.bin", "trained.bin", "offsets.bin"):
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        os.truncate(copy / name, 5)
        with pytest.raises(TokenStoreError, match=rf"{name}: found 5 bytes, expected \d+"):
            TokenizedDataset.open(copy)
        (copy / name).unlink()
        with pytest.raises(TokenStoreError, match=f"{name}: found no bytes"):
            TokenizedDataset.open(copy)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(TokenStoreError, match="found format 99"):
        TokenizedDataset.open(folder)


def test_a_run_on_stored_rows_is_the_run_on_the_rows(tmp_path: Path, source, rows, model):
    """`fit` takes them in the dataset's place, packed or not, and gives the same weights."""
    config = TrainingConfig(batch_size=4, max_steps=2, packing=True, pack_length=96)
    expected = fit(model, rows, config=config, eval=rows, progress="off")
    stored = store(source, tmp_path / "store", model)
    found = fit(model, stored, config=config, eval=stored, progress="off")
    jax.tree.map(np.testing.assert_array_equal, found.model.params, expected.model.params)
    assert found.history[-1]["eval_loss"] == expected.history[-1]["eval_loss"]


def test_rows_of_another_run_are_refused(tmp_path: Path, source: Path, model):
    """Other tokens, another setting, too long a row, too large a token, nothing trained."""
    stored = store(source, tmp_path / "store", model)
    everything = TrainingConfig(train_on="all")
    with pytest.raises(ValueError, match="was made with train_on 'assistant'; this run has 'all'"):
        rows_for(model, stored, everything, name="training")
    other = dataclasses.replace(model.tokenizer, chat_template=None)
    with pytest.raises(ValueError, match="was made with tokenizer"):
        rows_for(dataclasses.replace(model, tokenizer=other), stored, CONFIG, name="training")
    with pytest.raises(
        ValueError, match=r"row \d+ has \d+ tokens; expected at most 40: tokenise the rows w"
    ):
        rows_for(model, stored, TrainingConfig(max_length=40), name="training")
    row = TokenizedRow(np.asarray([1, 300], np.int32), np.asarray([False, True]))
    with pytest.raises(ValueError, match="the token 300; expected less than 260"):
        rows_for(model, TokenizedDataset.from_rows([row]), CONFIG, name="evaluation")
    untrained = row._replace(trained=np.asarray([True, False]))
    with pytest.raises(ValueError, match="evaluation dataset, row 1: no token to train on"):
        rows_for(model, TokenizedDataset.from_rows([row, untrained]), CONFIG, name="evaluation")


@pytest.mark.model
def test_grain_reads_it(tmp_path: Path, source: Path, model):
    """Grain's own shuffled, batched reading, in processes of its own, sees each row once."""
    grain, flags = (importlib.import_module(name) for name in ("grain", "absl.flags"))
    flags.FLAGS.mark_as_parsed()  # workers read some, and nobody else has
    dataset = store(source, tmp_path / "store", model)
    assert isinstance(dataset, grain.sources.RandomAccessDataSource)
    shuffled = grain.MapDataset.source(dataset).shuffle(seed=3)
    lengths = [len(shuffled[index].token_ids) for index in range(len(shuffled))]
    assert sorted(lengths) == sorted(dataset.lengths.tolist())
    loader = grain.DataLoader(
        data_source=dataset,
        sampler=grain.samplers.IndexSampler(
            len(dataset),
            shuffle=True,
            seed=1,
            num_epochs=1,
            shard_options=grain.sharding.NoSharding(),
        ),
        worker_count=2,
    )
    assert sorted(len(row.token_ids) for row in loader) == sorted(dataset.lengths.tolist())


BUILD = """
import sys
from modelops_jax.models import load
from modelops_jax.training import TrainingConfig, tokenize_to_disk

print("ready", flush=True)
made = tokenize_to_disk(
    sys.argv[1], sys.argv[2], load("tiny").tokenizer, TrainingConfig(), context=256
)
print(made.fingerprint)
"""


def build(source: Path, folder: Path) -> subprocess.Popen[str]:
    """A process that makes the dataset, and says so when it begins and ends."""
    command = [sys.executable, "-c", BUILD, str(source), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def long_source(tmp_path: Path) -> Path:
    """Rows that take seconds."""
    texts = [{"prompt": f"Say {n}", "completion": "ab" * (n % 40)} for n in range(20_000)]
    path = tmp_path / "long.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in texts))
    return path


@pytest.mark.faults
def test_a_killed_build_leaves_nothing_half(tmp_path: Path, long_source: Path, model):
    """Kill -9 at ten moments; what has the dataset's name afterwards is whole."""
    folder = tmp_path / "store"
    moments = np.random.default_rng(0).uniform(0.1, 2, 10)
    killed_in_the_middle = 0
    for moment in moments:
        with build(long_source, folder) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
        killed_in_the_middle += any(folder.glob(".tmp-*")) if folder.exists() else 0
        for path in made(folder) if folder.exists() else ():
            assert len(TokenizedDataset.open(path)) == 20_000
            shutil.rmtree(path)
    assert killed_in_the_middle
    dataset = store(long_source, folder, model)
    expected = tokenize(
        Dataset.from_file(long_source), model.tokenizer, CONFIG, context=256, name="training"
    )
    assert dataset.fingerprint == expected.fingerprint
    assert not list(folder.glob(".tmp-*"))


@pytest.mark.faults
def test_two_processes_make_one_dataset(tmp_path: Path, long_source: Path):
    """Both begin at once; one makes it, the other waits and opens the same."""
    with (
        build(long_source, tmp_path / "store") as one,
        build(long_source, tmp_path / "store") as other,
    ):
        answers = [process.communicate()[0].split() for process in (one, other)]
    assert one.returncode == other.returncode == 0
    assert answers[0] == answers[1]
    assert len(made(tmp_path / "store")) == 1
