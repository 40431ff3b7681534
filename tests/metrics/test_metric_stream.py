"""Streams: batches, processes and files give what one pass over all rows gives."""

import json
import struct
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as oracle

from modelops_jax.metrics import MetricStream, compute, compute_counts, metric

RNG = np.random.default_rng(5)
COUNTS = {
    "matrix": metric("confusion_matrix", num_classes=4),
    "f1": metric("f1_score", average="macro", num_classes=4),
    "accuracy": metric("accuracy_score"),
}
SUMS = {
    "mse": metric("mean_squared_error"),
    "r2": metric("r2_score"),
    "pearson": metric("pearson_corrcoef"),
    "largest": metric("max_error"),
    "spearman": metric("spearman_corrcoef"),
}


def filled(metrics: Any, columns: Any, size: int) -> MetricStream:
    """A stream that got the columns in batches of so many rows."""
    stream = MetricStream(metrics)
    for start in range(0, len(columns[0]), size):
        y_true, y_pred, *weight = (column[start : start + size] for column in columns)
        stream.update(y_true, y_pred, weight=weight[0] if weight else None)
    return stream


def test_counts_are_those_of_the_whole():
    """Batches of any size, merged in any order, saved and loaded: the same integers."""
    y_true, y_pred = RNG.integers(0, 4, (2, 1000)).astype(np.int32)
    first = filled(COUNTS, (y_true[:700], y_pred[:700]), 97)
    second = filled(COUNTS, (y_true[700:], y_pred[700:]), 300)
    second.save("second.state")
    loaded = MetricStream.load("second.state", COUNTS)
    loaded.merge(first)
    report = loaded.report()
    np.testing.assert_array_equal(report.values["matrix"], oracle.confusion_matrix(y_true, y_pred))
    assert report.values["f1"] == pytest.approx(oracle.f1_score(y_true, y_pred, average="macro"))
    assert (report.rows, loaded.rows, second.rows) == (1000, 1000, 300)
    assert not loaded.keeps_rows


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_the_whole(weighted):
    """At an offset of 1e6 and a scale of 1e-3, with a batch of one row, to 1e-12."""
    y_true = 1e6 + 1e-3 * RNG.normal(size=1001)
    columns = [y_true, y_true + 1e-3 * RNG.normal(size=1001)]
    if weighted:
        columns.append(RNG.random(1001))
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        stream = filled(SUMS, columns, 250)
    stream.save("sums.state")
    report = MetricStream.load("sums.state", SUMS).report()
    whole = compute(SUMS, *columns[:2], weight=columns[2] if weighted else None)
    for name, value in report.values.items():
        np.testing.assert_allclose(value, whole.values[name], rtol=1e-12, atol=1e-12)
    assert stream.keeps_rows == ("spearman",)
    if not weighted:
        ranks: Any = scipy.stats.spearmanr(columns[0], columns[1])
        assert report.values["spearman"] == pytest.approx(ranks.statistic, rel=1e-12)
        error = np.abs(columns[0] - columns[1]).max()
        assert report.values["largest"] == error


def test_batches_of_two_float_types_are_taken_in_the_wider():
    """float32 first and float64 then, or the other way round."""
    narrow, wide = np.array([0.1, 0.2], np.float32), np.array([1e6, 1e6 + 1e-3])
    truth = np.concatenate([narrow.astype(np.float64), wide])
    expected = oracle.mean_squared_error(truth, np.zeros(4))
    for batches in ([narrow, wide], [wide, narrow]):
        stream = MetricStream({"mse": SUMS["mse"]})
        for batch in batches:
            stream.update(batch, np.zeros_like(batch))
        assert stream.report().values["mse"] == pytest.approx(expected, rel=1e-12)


def test_kept_scores_of_two_narrow_types_lose_nothing():
    """Neither 16-bit float holds the other's values."""
    stream = MetricStream({"auc": metric("roc_auc_score")})
    stream.update([0, 1], np.array([1.0, 2.0**-8 + 1], np.float16))
    stream.update([0, 1], np.array([1.0, 2.0], ml_dtypes.bfloat16))
    assert stream.report().values["auc"] == 1.0


def test_a_stream_without_rows():
    """As `compute` of no rows; an empty batch changes nothing, and a loaded one goes on."""
    metrics = COUNTS | {"mse": SUMS["mse"]}
    stream = MetricStream(metrics)
    stream.save("empty.state")
    loaded = MetricStream.load("empty.state", metrics)
    loaded.merge(stream)
    loaded.update(np.zeros(0, int), np.zeros(0, int))
    np.testing.assert_equal(loaded.report().values, compute(metrics, [], []).values)
    loaded.update([1, 2], [1, 3], weight=[0.5, 0.0])
    assert loaded.report().values["accuracy"] == 1.0
    assert loaded.rows == 1


def test_a_refused_batch_leaves_the_stream_as_it_was():
    """Labels outside the classes, lengths, and weights in some batches only."""
    stream = MetricStream(COUNTS)
    stream.update([1, 2], [1, 3])
    for y_true, y_pred, weight, message in (
        ([0, 4], [0, 0], None, "y_true: 1 labels outside 0 to 3"),
        ([0, 1], [0], None, "one length"),
        ([0], [0], [0.5], "this batch has numbers as weights, the rows before had none, or a mask"),
    ):
        with pytest.raises(ValueError, match=message):
            stream.update(y_true, y_pred, weight=weight)
    assert stream.rows == 2
    assert stream.report().values["accuracy"] == 0.5


def test_other_metrics_are_refused():
    """By merging and by loading, with the first configuration that differs."""
    stream = MetricStream(COUNTS)
    stream.save("counts.state")
    other = COUNTS | {"f1": metric("f1_score", average="micro", num_classes=4)}
    with pytest.raises(ValueError, match="the other stream is of"):
        stream.merge(MetricStream(other))
    with pytest.raises(ValueError, match=r"f1\.finalizer\.average is .*macro.*expected .*micro"):
        MetricStream.load("counts.state", other)
    with pytest.raises(ValueError, match=r"the state of \['matrix', 'f1', 'accuracy'\]; expected"):
        MetricStream.load("counts.state", SUMS)


def test_damaged_files_are_refused(tmp_path):
    """Every cut and every changed byte, other files, and other formats."""
    path = tmp_path / "it.state"
    filled({"accuracy": COUNTS["accuracy"]}, ([0, 1, 1], [0, 1, 0]), 2).save(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 61):
        path.write_bytes(whole[:place])
        with pytest.raises((ValueError, OSError)):
            MetricStream.load(path, {"accuracy": COUNTS["accuracy"]})
    for place in range(8 + struct.unpack("<Q", whole[:8])[0], len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="damaged"):
            MetricStream.load(path, {"accuracy": COUNTS["accuracy"]})
    header = json.dumps({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
    with pytest.raises(ValueError, match="holds no state; expected the state of a MetricStream"):
        MetricStream.load(path, COUNTS)
    with pytest.raises(FileNotFoundError):
        MetricStream.load(tmp_path / "nowhere", COUNTS)


def test_counted_rows_are_the_rows():
    """Distinct pairs with their numbers give the values and states of all rows; exactly."""
    y_true, y_pred = RNG.integers(0, 4, (2, 500))
    table = np.zeros((4, 4), np.int64)
    np.add.at(table, (y_true, y_pred), 1)
    true, pred = np.divmod(np.arange(16), 4)
    found = compute_counts(COUNTS, true, pred, table.reshape(-1))
    whole = compute(COUNTS, y_true, y_pred)
    np.testing.assert_equal(found.values, whole.values)
    for statistic, state in whole.states.items():
        jax.tree.map(np.testing.assert_array_equal, found.states[statistic], state)
    huge = compute_counts(COUNTS, [0, 1], [0, 2], np.array([2**47, 1]))
    np.testing.assert_array_equal(np.asarray(huge.values["matrix"])[[0, 1], [0, 2]], [2**47, 1])


def test_counts_that_are_refused():
    """Negative ones, fractions, too many, and metrics of something else."""
    for counts, error, message in (
        ([-1, 2], ValueError, "counts run from -1"),
        ([0.5, 1.0], TypeError, "counts must hold integers, not float64"),
        ([2**47, 2**47], ValueError, r"sum below 2\*\*48"),
    ):
        with pytest.raises(error, match=message):
            compute_counts(COUNTS, [0, 1], [0, 1], np.array(counts))
    with pytest.raises(ValueError, match="mse: mean_squared_error is no function of a table"):
        compute_counts(SUMS, [0, 1], [0, 1], np.array([1, 1]))
