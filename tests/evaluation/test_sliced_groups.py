"""Streams of rows in groups that have slices: each slice has its groups."""

from typing import Any

import numpy as np
import pytest

from modelops_jax.evaluation import EvaluationStream, ModelEvaluator

RNG = np.random.default_rng(5)
ROWS = 300
LANGS = np.array(["de", "en", "fr"])[RNG.integers(0, 3, ROWS)]
USERS = RNG.integers(0, 20, ROWS)
# "fr" begins late, and "size" has whole groups in its slices.
LANGS[:120] = np.where(LANGS[:120] == "fr", "de", LANGS[:120])
LANGS[250] = "it"  # one row has no R2
SLICES = {"lang": LANGS, "size": np.array(["small", "large"])[USERS % 2], ("lang", "size"): None}
WEIGHT = np.where(np.arange(ROWS) % 7 == 0, 0.0, RNG.random(ROWS) + 0.05)
NAMES = np.array(["ant", "bee", "cat"])[RNG.integers(0, 3, (2, ROWS))]
NAMES[1, ::2] = NAMES[0, ::2]
NUMBERS = 1e6 + RNG.normal(size=(2, ROWS))
TEXTS = [RNG.choice(["a b c", "x"], ROWS).tolist(), RNG.choice(["a b c", "a", "x"], ROWS).tolist()]
CASES: dict[str, tuple[str, Any, Any]] = {
    "labels": ("multiclass", None, NAMES),
    "numbers": ("regression", ["mean_squared_error", "r2_score"], NUMBERS),
    "texts": ("text_generation", ["exact_match", "length_ratio", "squad_f1_score"], TEXTS),
}


def batch(columns, rows, **given):
    """Some rows, as `update` takes them."""
    slices = {name: None if one is None else one[rows] for name, one in SLICES.items()}
    return (columns[0][rows], columns[1][rows]), {"slices": slices, "groups": USERS[rows], **given}


def close(found, expected, rel=1e-11, rel_of_tests=1e-9):
    """Whether two results say the same of every slice."""
    assert len(found.slices) == len(expected.slices)
    for one, other in zip(found.slices, expected.slices, strict=True):
        assert (one.key, one.rows, one.tests) == (other.key, other.rows, other.tests)
        assert one.metrics == pytest.approx(other.metrics, rel=rel, nan_ok=True)
        assert one.p_values == pytest.approx(other.p_values, rel=rel_of_tests)
        assert one.undefined == other.undefined
        assert one.intervals.keys() == other.intervals.keys()
        for name, interval in other.intervals.items():
            own = one.intervals[name]
            assert own.method == interval.method
            ends = float(own.low), float(own.high)
            expected_ends = float(interval.low), float(interval.high)
            assert ends == pytest.approx(expected_ends, rel=rel, nan_ok=True)


@pytest.mark.parametrize(
    ("case", "weight", "interval"),
    [
        ("labels", None, "auto"),
        ("numbers", WEIGHT, "bca"),
        pytest.param("texts", None, "bca", marks=pytest.mark.model),
        pytest.param("labels", WEIGHT, "bca", marks=pytest.mark.model),
        pytest.param("numbers", None, "auto", marks=pytest.mark.model),
        pytest.param("texts", WEIGHT, "auto", marks=pytest.mark.model),
    ],
)
def test_slices_of_groups_may_come_in_any_batch(case, weight, interval):
    """From two streams, of which one was on disk: values, intervals and tests of every slice."""
    task, names, columns = CASES[case]
    evaluator = ModelEvaluator(task, metrics=names)
    early, late = evaluator.stream(), evaluator.stream()
    for start in range(0, ROWS, 80):
        rows = slice(start, start + 80)
        own = {} if weight is None else {"weight": weight[rows]}
        pair, given = batch(columns, rows, **own)
        (late if start > 160 else early).update(*pair, **given)
    late.save("late.state")
    early.merge(EvaluationStream.load("late.state", evaluator))
    assert early.keeps_rows == early.resamples_rows == ()
    asked: dict[str, Any] = {"confidence": 0.9, "interval": interval, "n_resamples": 100, "seed": 3}
    found = early.result(**asked)
    whole = evaluator.evaluate(*columns, slices=SLICES, groups=USERS, weight=weight, **asked)
    close(found, whole, rel=1e-15 if case == "labels" and weight is None else 1e-11)
    assert found.slices[0].p_values
    assert found.metadata == whole.metadata
    assert found.metrics == pytest.approx(whole.metrics, rel=1e-11)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_ignored_labels_in_slices_of_groups(weight):
    """A slice of ignored rows alone has no rows, and no test finds it to differ."""
    truth = np.where(LANGS == "fr", "?", NAMES[0])
    evaluator = ModelEvaluator("multiclass", ignore_index="?", metrics=["accuracy_score"])
    stream = evaluator.stream()
    for rows in np.split(np.arange(ROWS), [130, 131]):
        own = {} if weight is None else {"weight": weight[rows]}
        pair, given = batch((truth, NAMES[1]), rows, **own)
        stream.update(*pair, **given)
    asked: dict[str, Any] = {"confidence": 0.9, "n_resamples": 100}
    own = {"slices": SLICES, "groups": USERS, "weight": weight}
    whole = evaluator.evaluate(truth, NAMES[1], **own, **asked)
    close(stream.result(**asked), whole)


@pytest.mark.model
def test_metrics_that_need_all_rows_keep_them():
    evaluator = ModelEvaluator("regression", metrics=["mean_squared_error", "max_error"])
    stream = evaluator.stream()
    for rows in np.split(np.arange(ROWS), 2):
        pair, given = batch(NUMBERS, rows)
        stream.update(*pair, **given)
    assert stream.keeps_rows == ("mean_squared_error", "max_error")
    asked: dict[str, Any] = {"confidence": 0.9, "n_resamples": 100}
    with pytest.warns(UserWarning, match="max_error has no interval"):
        found = stream.result(**asked)
    with pytest.warns(UserWarning, match="max_error has no interval"):
        whole = evaluator.evaluate(*NUMBERS, slices=SLICES, groups=USERS, **asked)
    close(found, whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slices": None}, "these rows have slices by no column; the rows before by lang, size"),
        ({"groups": None}, "these rows have no groups; the rows before have groups"),
        ({"groups": USERS.astype(str)}, "groups are of two kinds"),
        ({"slices": {"lang": np.arange(ROWS)} | dict.fromkeys(["size"], LANGS)}, "slices by lang"),
    ],
)
def test_rows_that_are_divided_otherwise_are_refused(change, message):
    """After which the stream is as it was."""
    evaluator = ModelEvaluator("regression", metrics=["mean_squared_error"])
    stream = evaluator.stream()
    pair, given = batch(NUMBERS, slice(None))
    stream.update(*pair, **given)
    before = stream.result()
    with pytest.raises((TypeError, ValueError), match=message):
        stream.update(*pair, **given | change)
    assert stream.result() == before


def test_what_is_kept_grows_with_groups_and_slices_alone():
    """Of 300 rows it is as large as of five times as many."""
    evaluator = ModelEvaluator("multiclass", metrics=["accuracy_score"])
    sizes = []
    for times in (1, 5):
        stream = evaluator.stream()
        for _ in range(times):
            pair, given = batch(NAMES, slice(None))
            stream.update(*pair, **given)
        stream.save("groups.state")
        with open("groups.state", "rb") as file:
            sizes.append(len(file.read()))
    assert abs(sizes[1] - sizes[0]) < 100


def test_several_outputs_in_slices_of_groups_keep_their_rows():
    """The first rows tell how many outputs there are."""
    evaluator = ModelEvaluator("regression", metrics=["mean_squared_error"])
    true, pred = RNG.normal(size=(2, 6, 2))
    own: dict[str, Any] = {"slices": {"lang": list("aabbab")}, "groups": [0, 1, 2, 0, 1, 2]}
    stream = evaluator.stream()
    stream.update(true, pred, **own)
    assert stream.keeps_rows == ("mean_squared_error",)
    close(stream.result(), evaluator.evaluate(true, pred, **own))


def test_sums_of_groups_of_float32_are_those_of_all_rows_to_six_digits():
    """Rows are squared in float32 and groups added up in float64; `evaluate` adds in float32."""
    evaluator = ModelEvaluator("regression", metrics=["mean_squared_error"])
    columns = RNG.normal(size=(2, ROWS)).astype(np.float32)
    stream = evaluator.stream()
    pair, given = batch(columns, slice(None))
    stream.update(*pair, **given)
    asked: dict[str, Any] = {"confidence": 0.9, "n_resamples": 100}
    whole = evaluator.evaluate(*columns, slices=SLICES, groups=USERS, **asked)
    close(stream.result(**asked), whole, rel=1e-6, rel_of_tests=1e-5)


def test_slices_of_ignored_rows_alone_have_no_values():
    evaluator = ModelEvaluator("multiclass", ignore_index="?", metrics=["accuracy_score"])
    with pytest.warns(UserWarning, match="there are no rows"):
        found = evaluator.evaluate(["?", "?"], ["a", "b"], slices={"lang": ["x", "y"]})
    assert [one.metrics for one in found.slices] == [{}, {}]
