"""`ignore_index`: rows with that true label are as good as absent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.metrics import METRICS, MetricStream, bootstrap_intervals, compute, metric

IGNORED = -100
OF_LABELS = [name for name, info in METRICS.items() if info.inputs == "labels"]
OF_SCORES = [
    name
    for name, info in METRICS.items()
    if info.inputs in ("scores", "class_scores", "probabilities")
]


def options(name: str) -> dict:
    """What the metric cannot do without."""
    given = {"fbeta_score": {"beta": 2}}.get(name, {})
    return given | {"num_classes": 4}


def labels(count: int = 80, ignored: int = IGNORED):
    """Labels of four classes, of which some true ones are to be ignored, and weights."""
    random = np.random.default_rng(3)
    y_true, y_pred = random.integers(0, 4, (2, count))
    y_true[::7] = ignored
    y_pred[::14] = 99  # what an ignored row was predicted as does not matter
    return y_true, y_pred, random.random(count)


def test_every_metric_of_labels_drops_the_rows():
    """The value, weighted or not, is that of the other rows alone."""
    y_true, y_pred, weight = labels()
    keep = y_true != IGNORED
    ignoring = {n: metric(n, ignore_index=IGNORED, **options(n)) for n in OF_LABELS}
    plain = {n: metric(n, **options(n)) for n in OF_LABELS}
    for given in (None, weight):
        found = compute(ignoring, y_true, y_pred, weight=given)
        kept = None if given is None else given[keep]
        expected = compute(plain, y_true[keep], y_pred[keep], weight=kept)
        for name in OF_LABELS:
            np.testing.assert_array_equal(found.values[name], expected.values[name], name)
            assert found.undefined[name] == expected.undefined[name]


@pytest.mark.parametrize(
    ("name", "given"),
    [("accuracy_score", {}), ("f1_score", {}), ("f1_score", {"average": "micro"})],
)
def test_metrics_without_a_table_drop_them_too(name, given):
    """Matches and one class against all others, on the host and traced."""
    y_true, y_pred, _ = labels()
    keep = y_true != IGNORED
    expected = METRICS[name].function(y_true[keep], y_pred[keep], **given)
    given = given | {"ignore_index": IGNORED}
    assert METRICS[name].function(y_true, y_pred, **given) == expected
    traced = jax.jit(lambda *rows: METRICS[name].function(*rows, **given))
    columns = jnp.asarray(y_true, jnp.int32), jnp.asarray(y_pred, jnp.int32)
    assert float(traced(*columns)) == pytest.approx(float(expected), rel=1e-6)


def test_a_class_can_be_ignored_and_still_be_predicted():
    """Background, say: its true rows are absent, predictions of it are wrong."""
    y_true, y_pred = [0, 0, 1, 2], [0, 1, 0, 2]
    found = METRICS["confusion_matrix"].function(y_true, y_pred, num_classes=3, ignore_index=0)
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 0, 0], [0, 0, 1]])


def test_other_labels_outside_stay_errors():
    """Only the one label is excused, and only as a true one."""
    y_true, y_pred, _ = labels()
    bad = np.array(y_true)
    bad[5] = -1
    found = {"it": metric("accuracy_score", num_classes=4, ignore_index=IGNORED)}
    with pytest.raises(ValueError, match=r"y_true: 1 labels outside 0 to 3, the first at index 5"):
        compute(found, bad, y_pred)
    y_pred[6] = IGNORED
    with pytest.raises(ValueError, match=r"y_pred: 1 labels outside 0 to 3, the first at index 6"):
        compute(found, y_true, y_pred)


def test_a_label_that_the_type_cannot_hold_is_no_rows():
    """uint8 labels and -100; 2**40 under 32 bits."""
    y_true, y_pred = np.array([0, 1, 1], np.uint8), np.array([0, 1, 0], np.uint8)
    for ignored in (IGNORED, 2**40):
        function = METRICS["accuracy_score"].function
        assert function(y_true, y_pred, ignore_index=ignored) == pytest.approx(2 / 3)


def test_intervals_are_those_of_the_other_rows():
    """Ignored rows are no part of the resamples, of cells or of rows."""
    y_true, y_pred, weight = labels()
    keep = y_true != IGNORED
    found = {"it": metric("f1_score", average="macro", num_classes=4, ignore_index=IGNORED)}
    plain = {"it": metric("f1_score", average="macro", num_classes=4)}
    assert bootstrap_intervals(found, y_true, y_pred) == bootstrap_intervals(
        plain, y_true[keep], y_pred[keep]
    )
    zero = np.where(keep, weight, 0)
    shown = np.where(keep, y_true, 0), np.where(keep, y_pred, 0)
    assert bootstrap_intervals(found, y_true, y_pred, weight=weight) == bootstrap_intervals(
        plain, *shown, weight=zero
    )


def probabilities(count: int = 90):
    """Labels of which some are to be ignored, whose rows hold no probabilities, and weights."""
    random = np.random.default_rng(5)
    y_true = random.integers(0, 4, count)
    y_pred = random.dirichlet(np.ones(4), count)
    y_true[::7], y_pred[::7] = IGNORED, np.nan
    return y_true, y_pred, random.random(count)


@pytest.mark.parametrize("wide", [True, pytest.param(False, marks=pytest.mark.model)])
def test_every_metric_of_scores_drops_the_rows(wide):
    """Of a score for every class, and of one; in one go, and in a stream of two batches."""
    y_true, y_pred, weight = probabilities()
    names = OF_SCORES
    if not wide:
        y_true, y_pred = np.where(y_true == IGNORED, IGNORED, y_true % 2), y_pred[:, 1]
        names = [name for name in names if METRICS[name].inputs != "class_scores"]
    options = {
        n: {"num_classes": 4} if wide and "num_classes" in METRICS[n].options else {} for n in names
    }
    if wide:  # the sketch is of one score a row
        names = [name for name in names if not name.startswith("sketched")]
    ignoring = {name: metric(name, ignore_index=IGNORED, **options[name]) for name in names}
    plain = {name: metric(name, **options[name]) for name in names}
    keep = y_true != IGNORED
    expected = compute(plain, y_true[keep], y_pred[keep], weight=weight[keep])
    found = compute(ignoring, y_true, y_pred, weight=weight)
    reports = [found]
    if wide:
        stream = MetricStream(ignoring)
        for part in (slice(0, 40), slice(40, None)):
            stream.update(y_true[part], y_pred[part], weight=weight[part])
        reports.append(stream.report())
    for report in reports:
        for name in names:
            np.testing.assert_allclose(report.values[name], expected.values[name], rtol=1e-12)
            assert report.undefined[name] == expected.undefined[name]


def test_scores_drop_them_traced_too():
    """Of rows that are masked besides; a label outside the classes that is no other one stays."""
    y_true, y_pred, _ = probabilities()
    mask = np.arange(90) % 5 > 0
    keep = mask & (y_true != IGNORED)
    names = ("log_loss", "expected_calibration_error")

    @jax.jit
    def traced(true, pred):
        return [METRICS[n].function(true, pred, weight=mask, ignore_index=IGNORED) for n in names]

    found = traced(jnp.asarray(y_true, jnp.int32), jnp.asarray(y_pred, jnp.float32))
    expected = compute({n: metric(n) for n in names}, y_true[keep], y_pred[keep]).values
    np.testing.assert_allclose(found, [expected[name] for name in names], rtol=1e-5)
    y_true[3] = -1
    with pytest.raises(ValueError, match=r"y_true: 1 labels .*, the first at index 3"):
        METRICS["roc_auc_score"].function(y_true, y_pred, ignore_index=IGNORED, num_classes=4)
