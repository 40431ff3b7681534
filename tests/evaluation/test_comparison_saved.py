"""Comparisons of rows that come in batches, on disk in between: the same to the bit."""

import itertools
import warnings
from datetime import date

import numpy as np
import pytest

from modelops_jax.evaluation import (
    AccuracyMetric,
    ComparisonStream,
    EvaluationStream,
    ModelEvaluator,
)

RNG = np.random.default_rng(11)
ROWS, SPLIT = 90, (0, 30, 31, 60, 90)
DRAWN = {"n_resamples": 20, "seed": 3}
NAMES = np.array(["ant", "bee", "cat"])
LABELS = NAMES[RNG.integers(0, 3, (3, ROWS))]
LABELS[:, 80:] = "late"
NUMBERS = 100 + RNG.normal(size=(3, ROWS))
PAIRS = NUMBERS.reshape(3, ROWS // 2, 2).repeat(2, axis=1)
WEIGHT = np.where(np.arange(ROWS) < 30, 1.0, RNG.random(ROWS).round(2) + 0.01)
USERS = [f"user {number}" for number in RNG.integers(0, 25, ROWS)]
BINARY = np.stack([NUMBERS[0] > 100, *NUMBERS[1:]]).astype(object)
ERRORS = ["mean_absolute_error", "median_absolute_error", "r2_score"]


class Longest:
    name = "longest"

    def compute(self, y_true, y_pred):
        return max(map(len, y_pred))


def case(name, task, metrics, rows, weight=None, groups=None, *, tiled=1, quick=False):
    marks = [] if quick else [pytest.mark.model]
    rows = [np.tile(column, (tiled, 1) if column.ndim == 2 else tiled) for column in rows]
    weight = None if weight is None else np.tile(weight, tiled)
    groups = None if groups is None else groups * tiled
    return pytest.param(task, metrics, rows, weight, groups, id=name, marks=marks)


CASES = [
    case("labels", "classification", None, LABELS, quick=True),
    case("labels in groups", "multiclass", ["f1_score"], LABELS, WEIGHT, USERS, quick=True),
    case("weighted labels", "multiclass", ["accuracy_score"], LABELS, WEIGHT, quick=True),
    case("blocks of weighted labels", "classification", None, LABELS, WEIGHT, tiled=60),
    case("numbers", "regression", ERRORS, NUMBERS, quick=True),
    case("blocks of numbers", "regression", ERRORS, NUMBERS, WEIGHT, tiled=60),
    case("numbers in groups", "regression", ERRORS, NUMBERS, None, USERS, quick=True),
    case("weighted groups", "regression", ERRORS, NUMBERS, WEIGHT, USERS),
    case("outputs", "regression", ERRORS[:2], PAIRS),
    case("areas", "ranking", None, BINARY, WEIGHT, USERS, quick=True),
    case("texts", "text_generation", ["exact_match", "bleu_score"], LABELS),
    case("weighted texts", "text_generation", ["exact_match"], LABELS, WEIGHT),
    case("a metric of one's own", "multiclass", ["accuracy_score", Longest()], LABELS),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("task", "metrics", "rows", "weight", "groups"), CASES)
def test_a_saved_comparison_goes_on_as_if_it_had_not_been(
    task, metrics, rows, weight, groups, tmp_path
):
    """Before the first rows and after each batch; classes and groups come late."""
    task = ModelEvaluator(task, metrics=metrics)
    rows = [column.tolist() for column in rows]
    stream, saved = (ComparisonStream(["old", "new"], task=task, **DRAWN) for _ in range(2))
    for start, stop in itertools.pairwise(SPLIT):
        saved.save(tmp_path / "state")
        saved = ComparisonStream.load(tmp_path / "state", task=task)
        part = slice(start * len(rows[0]) // ROWS, stop * len(rows[0]) // ROWS)
        said = {"old": rows[1][part], "new": rows[2][part]}
        own = None if weight is None else weight[part]
        for one in (stream, saved):
            one.update(rows[0][part], said, weight=own, groups=groups and groups[part])
    for one, name in ((stream, "one"), (saved, "other")):
        one.save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    again = ComparisonStream.load(tmp_path / "one", task=task)
    for one in (saved, again):
        assert one.result().to_dict() == stream.result().to_dict()
        assert (one.rows, one.keeps_rows) == (stream.rows, stream.keeps_rows)
        assert one.resamples_rows == stream.resamples_rows
    refused = None if weight is not None else [1.0]
    with pytest.raises(ValueError, match="these rows have"):
        again.update(
            rows[0][:1],
            {"old": rows[1][:1], "new": rows[2][:1]},
            weight=refused,
            groups=groups and groups[:1],
        )


def test_loaded_comparisons_are_merged(tmp_path):
    """Of several processes: the bytes of one stream that has seen all rows."""
    whole, *parts = (ComparisonStream("xy", task="classification", **DRAWN) for _ in range(3))
    for part, rows in zip(parts, (slice(0, 50), slice(50, ROWS)), strict=True):
        true, *said = LABELS[:, rows].tolist()
        for stream in (whole, part):
            said_by = dict(zip("xy", said, strict=True))
            stream.update(true, said_by, groups=USERS[rows])
        part.save(tmp_path / "state")
    first, second = parts[0], ComparisonStream.load(tmp_path / "state", task="classification")
    first.save(tmp_path / "state")
    first = ComparisonStream.load(tmp_path / "state", task="classification")
    first.merge(second)
    for stream, name in ((whole, "whole"), (first, "merged")):
        stream.save(tmp_path / name)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "merged").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert first.result() == whole.result()
    other = ComparisonStream("xy", task="classification", n_resamples=20, seed=4)
    with pytest.raises(ValueError, match="the other stream is of the resamples"):
        first.merge(other)


def test_other_files_are_refused(tmp_path):
    """By what is wrong with them."""
    path = tmp_path / "state"
    stream = ComparisonStream("xy", task="binary", **DRAWN)
    stream.update([1, 0], {"x": [1, 0], "y": [0, 0]})
    stream.save(path)
    with pytest.raises(ValueError, match=r"is the state of \['task', 'accuracy', .*; expected"):
        ComparisonStream.load(path, task="regression")
    other = ModelEvaluator("binary", metrics=["accuracy_score", "f1_score"])
    with pytest.raises(ValueError, match=r"state of \[.*'recall', 'f1'\]; expected \[.*'f1_score'"):
        ComparisonStream.load(path, task=other)
    with pytest.raises(ValueError, match="holds ComparisonStream; expected the state of a Evalua"):
        EvaluationStream.load(path, ModelEvaluator("binary"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(ValueError, match="is no saved state"):
        ComparisonStream.load(path, task="binary")
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="is damaged: its content is not what its checksum says"):
        ComparisonStream.load(path, task="binary")
    path.write_bytes(whole.replace(b'\\"format\\": 3', b'\\"format\\": 2'))
    with pytest.raises(ValueError, match="has format 2; this version reads 3"):
        ComparisonStream.load(path, task="binary")
    ModelEvaluator("binary").stream().save(path)
    with pytest.raises(ValueError, match="holds EvaluationStream; expected the state of a Compar"):
        ComparisonStream.load(path, task="binary")
    with pytest.raises(FileNotFoundError):
        ComparisonStream.load(tmp_path / "none", task="binary")


def test_what_json_does_not_have_is_not_saved(tmp_path):
    """Labels and ids; the file that was there stays."""
    path = tmp_path / "state"
    path.write_bytes(b"before")
    labelled = ComparisonStream("xy", task=ModelEvaluator("multiclass", metrics=[AccuracyMetric()]))
    day = [date(2026, 1, 2)]
    labelled.update(day, {"x": day, "y": day})
    with pytest.raises(TypeError, match=r"the label .* \(date\) cannot be saved"):
        labelled.save(path)
    for task in ("regression", "binary", "ranking"):
        grouped = ComparisonStream("xy", task=task)
        grouped.update([1, 0], {"x": [1, 0], "y": [0, 1]}, groups=day * 2)
        with pytest.raises(TypeError, match=r"the id .* \(date\) of a group cannot be saved"):
            grouped.save(path)
    assert path.read_bytes() == b"before"
