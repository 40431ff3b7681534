"""The page of an evaluation: every number on it, pictures of the right lines, nothing loaded."""

import html
import re
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import Diagnostics, ModelEvaluator, compare
from modelops_jax.evaluation import _diagnostics as diagnostics_module
from modelops_jax.reports import EvaluationReport, write_html

sk: Any = sklearn.metrics
RNG = np.random.default_rng(4)
TRUE = RNG.integers(0, 2, 600)
SCORE = np.clip(0.25 * TRUE + 0.75 * RNG.random(600), 0, 1)
PRED = (SCORE > 0.5).astype(int)
HOSTILE = "<script>alert(1)</script> \u202e$x$"


def drawn(**columns):
    """Diagnostics of all rows in three batches."""
    found = Diagnostics()
    for part in np.array_split(np.arange(len(TRUE)), 3):
        found.update(TRUE[part], **{name: column[part] for name, column in columns.items()})
    return found


def test_the_page_holds_every_number_and_loads_nothing(tmp_path):
    """Metrics, intervals, classes, slices, bad rows, cells; the text of data is inert."""
    languages = np.array(["de", HOSTILE])[TRUE]
    result = ModelEvaluator("multiclass").evaluate(
        TRUE, PRED, confidence=0.9, slices={"language": languages.tolist()}
    )
    report = EvaluationReport(
        title="Predictions",
        result=result,
        diagnostics=drawn(y_pred=PRED, y_score=SCORE),
        bad_rows=[f"line 3: {HOSTILE}"],
        bad_row_count=7,
        notes=["A note."],
        facts={"File": HOSTILE},
    )
    page = write_html(report, tmp_path / "page.html").read_text("utf-8")
    for name, value in result.metrics.items():
        interval = result.intervals[name]
        assert f">{value:.4f}<" in page
        assert f">{interval.low:.4f} to {interval.high:.4f}<" in page
    for one in (*result.per_class, *result.slices):
        for value in one.metrics.values():
            assert f">{value:.4f}<" in page
    for count in sk.confusion_matrix(TRUE, PRED).ravel():
        assert f"<b>{count}</b>" in page
    assert "and 6 more" in page
    assert result.signature in html.unescape(page)
    assert page.count("<svg") == 3
    assert not re.search(r"<script|https?:|@import|url\((?!#)|\son\w+=", page)
    assert "&lt;script&gt;alert(1)" in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert len(page) < 80_000


def test_models_are_compared_on_the_page(tmp_path):
    """Values, differences, adjusted p-values and verdicts; pictures where a metric fits them."""
    models = {"good": PRED, "poor": RNG.integers(0, 2, 600)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(TRUE, models, task="binary", n_resamples=200)
    page = write_html(EvaluationReport(title="Two", result=found), tmp_path / "p.html").read_text()
    for metric in found.metrics.values():
        for model, value in metric.values.items():
            assert f">{value:.4f}<" in page
            assert metric.verdicts[model] in page
    assert page.count("<svg") == len(found.metrics)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def areas(curves):
    """The areas under both curves, as lines."""
    trapezoid = np.trapezoid
    return trapezoid(curves.tpr, curves.fpr), trapezoid(curves.precision, curves.recall)


def test_curves_are_scikit_learns_and_stay_so_when_thinned(monkeypatch):
    """Exact, and from a histogram past the rows that are held: the same lines, few points."""
    rows = 40_000
    true = RNG.integers(0, 2, rows)
    score = true + RNG.normal(size=rows)
    expected = sk.roc_auc_score(true, score), sk.average_precision_score(true, score)
    for held in (rows, 1000):
        monkeypatch.setattr(diagnostics_module, "HELD_ROWS", held)
        found = Diagnostics()
        for part in np.array_split(np.arange(rows), 5):
            found.update(true[part], y_score=score[part])
        (curves,) = found.curves()
        assert curves.exact == (held == rows)
        assert areas(curves) == pytest.approx(expected, abs=1e-3)
        assert curves.positives == true.mean()
        assert max(len(curves.fpr), len(curves.recall)) <= 4 * Diagnostics.PARTS
        assert found.reliability() is None
        assert "no probabilities" in str(found.no_reliability)


def test_reliability_is_by_ten_bins():
    """Mean confidence, share and rows of each bin, whatever the batches."""
    found = drawn(y_score=SCORE).reliability()
    assert found is not None
    place = np.minimum((SCORE * 10).astype(int), 9)
    for at, some in enumerate(np.unique(place)):
        rows = place == some
        assert found.rows[at] == rows.sum()
        assert found.confidence[at] == pytest.approx(SCORE[rows].mean(), abs=1e-12)
        assert found.right[at] == pytest.approx(TRUE[rows].mean(), abs=1e-12)


def test_every_class_has_its_curve():
    """One against the rest, by label; a class without rows has none."""
    names = np.array(["a", "b", "c"])
    codes, scores = RNG.integers(0, 3, 300), RNG.dirichlet([1, 1, 1, 1], 300)
    found = Diagnostics()
    by_label = {name: scores[:, at] for at, name in enumerate("abcd")}
    found.update(names[codes].tolist(), names[codes[::-1]].tolist(), y_score=by_label)
    curves = found.curves()
    assert [one.label for one in curves] == ["a", "b", "c"]
    for at, one in enumerate(curves):
        expected = sk.roc_auc_score(codes == at, scores[:, at])
        assert areas(one)[0] == pytest.approx(expected, abs=2e-3)
    assert Diagnostics().curves() == ()
    assert Diagnostics().confusion() is None


def test_several_labels_a_row_have_a_picture_of_each(tmp_path):
    """F1 of each label is drawn, the worst first; the table has all of precision, recall and F1."""
    y_true = RNG.integers(0, 2, (80, 3))
    wrong = RNG.random((80, 3)) < np.array([0.05, 0.4, 0.2])
    y_pred = np.where(wrong, 1 - y_true, y_true)
    result = ModelEvaluator("multilabel").evaluate(y_true, y_pred)
    report = EvaluationReport(title="Label sets", result=result)
    page = write_html(report, tmp_path / "page.html").read_text("utf-8")
    expected = sk.f1_score(y_true, y_pred, average=None)
    order = np.argsort(expected)
    described = "; ".join(f"label {label} {expected[label]:.3f} (80 rows)" for label in order)
    assert page.count("<svg") == 1
    assert f"f1 from 0 to 1, higher is better: {described}." in page
    for value in (*expected, *sk.recall_score(y_true, y_pred, average=None)):
        assert f">{value:.4f}<" in page
