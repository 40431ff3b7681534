"""Streams with slices, or whose resamples are drawn as rows come, on disk: the same to the bit."""

import warnings
from datetime import date

import numpy as np
import pytest

from modelops_jax.evaluation import EvaluationStream, ModelEvaluator

RNG = np.random.default_rng(8)
ROWS, SPLIT = 90, (30, 31, 60, 90)
NAMES = np.array(["ant", "bee", "cat"])
LABELS = NAMES[RNG.integers(0, 3, (2, ROWS))]
MANY = np.tile(LABELS, 60)  # more than a block of 4,096 rows
NUMBERS = RNG.normal(size=(2, ROWS)) + 100
WEIGHT = np.where(np.arange(ROWS) < 30, 1.0, RNG.random(ROWS).round(2) + 0.01)
LANG = np.where(np.arange(ROWS) < 60, NAMES[RNG.integers(0, 2, ROWS)], "late").tolist()
LONG = (RNG.random(ROWS) > 0.5).tolist()
SLICES = {"lang": LANG, "long": LONG, ("lang", "long"): None}
AREAS = (NUMBERS[0] > 100, NUMBERS[1])
MAE = ["mean_absolute_error"]


def case(name, task, metrics, rows, slices, resamples, weight, *, quick=False):
    marks = [] if quick else [pytest.mark.model]
    return pytest.param(task, metrics, rows, slices, resamples, weight, id=name, marks=marks)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("task", "metrics", "rows", "slices", "resamples", "weight"),
    [
        case("labels", "classification", None, LABELS, SLICES, 0, None, quick=True),
        case("areas", "ranking", None, AREAS, SLICES, 0, None, quick=True),
        case("weights", "multiclass", ["accuracy_score"], LABELS, SLICES, 0, WEIGHT, quick=True),
        case("kept", "regression", ["max_error"], NUMBERS, SLICES, 0, None),
        case("sums", "regression", MAE, NUMBERS, SLICES, 20, None),
        case("weighted sums", "regression", ["r2_score"], NUMBERS, SLICES, 20, WEIGHT),
        case("weighted labels", "classification", None, MANY, None, 20, np.tile(WEIGHT, 60)),
        case("weighted slices", "classification", None, LABELS, SLICES, 20, WEIGHT),
        case("texts", "text_generation", None, LABELS.tolist(), SLICES, 20, WEIGHT),
    ],
)
def test_a_saved_stream_goes_on_as_if_it_had_not_been(
    task, metrics, rows, slices, resamples, weight, tmp_path
):
    """Before the first rows and after each batch, of which some rows wait for a block."""
    evaluator = ModelEvaluator(task, metrics=metrics)
    stream, start = evaluator.stream(resamples=resamples, seed=3), 0
    saved = evaluator.stream(resamples=resamples, seed=3)
    for stop in np.multiply(SPLIT, len(rows[0]) // ROWS).tolist():
        saved.save(tmp_path / "state")
        saved = EvaluationStream.load(tmp_path / "state", evaluator)
        part = slice(start, stop)
        options = {}
        if slices is not None:
            of_part = {name: column and column[part] for name, column in slices.items()}
            options["slices"] = of_part
        if weight is not None:
            options["weight"] = weight[part]
        for one in (stream, saved):
            one.update(rows[0][part], rows[1][part], **options)
        start = stop
    asked = {"confidence": 0.9, "n_resamples": resamples, "seed": 3} if resamples else {}
    assert saved.result(**asked).to_dict() == stream.result(**asked).to_dict()
    assert saved.keeps_rows == stream.keeps_rows
    if resamples:
        with pytest.raises(ValueError, match=f"the stream draws {resamples} resamples by the see"):
            saved.result(confidence=0.9, n_resamples=resamples, seed=4)


def test_loaded_streams_with_slices_are_merged(tmp_path):
    """With labels and slices that come late; of slices by other columns they are not."""
    evaluator, parts = ModelEvaluator("classification"), []
    for rows in (slice(0, 60), slice(60, ROWS)):
        stream = evaluator.stream()
        stream.update(LABELS[0][rows], LABELS[1][rows], slices={"lang": LANG[rows]})
        stream.save(tmp_path / "state")
        parts.append(EvaluationStream.load(tmp_path / "state", evaluator))
    parts[0].merge(parts[1])
    whole = evaluator.evaluate(*LABELS, slices={"lang": LANG})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parts[0].result().slices == whole.slices
    other = evaluator.stream()
    other.update(["ant"], ["ant"], slices={"long": [True]})
    with pytest.raises(ValueError, match="slices by long; the rows before by lang"):
        parts[0].merge(other)


def test_labels_of_slices_that_json_does_not_have_are_refused(tmp_path):
    stream = ModelEvaluator("classification").stream()
    stream.update(["a"], ["a"], slices={"day": [date(2026, 11, 26)]})
    with pytest.raises(TypeError, match=r"the label .* \(date\) cannot be saved"):
        stream.save(tmp_path / "state")
