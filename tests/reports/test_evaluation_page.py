"""The page of an evaluation: every number on it, pictures of the right lines, nothing loaded."""

import html
import re
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

import modelops_jax.metrics as numeric
from modelops_jax.evaluation import Diagnostics, ModelEvaluator, compare
from modelops_jax.evaluation import _diagnostics as diagnostics_module
from modelops_jax.reports import EvaluationReport, write_html
from modelops_jax.reports._score_pictures import score_pictures
from modelops_jax.reports._text import number

sk: Any = sklearn.metrics
RNG = np.random.default_rng(4)
TRUE = RNG.integers(0, 2, 600)
SCORE = np.clip(0.25 * TRUE + 0.75 * RNG.random(600), 0, 1)
PRED = (SCORE > 0.5).astype(int)
POOR = RNG.random(600)
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
        for interval in one.intervals.values():
            assert f">{interval.low:.4f} to {interval.high:.4f}<" in page
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


@pytest.fixture(scope="module")
def compared():
    """Two models with labels and scores, and what their pictures are drawn from."""
    models = {"good": PRED, HOSTILE: (POOR > 0.5).astype(int)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(TRUE, models, task="binary", n_resamples=200)
    of_models = {HOSTILE: Diagnostics(), "good": drawn(y_pred=PRED, y_score=SCORE)}
    of_models[HOSTILE].update(TRUE, models[HOSTILE], y_score=POOR)
    return found, of_models


def test_models_are_compared_on_the_page(compared, tmp_path):
    """Values, differences, adjusted p-values and verdicts; pictures where a metric fits them."""
    found, _ = compared
    page = write_html(EvaluationReport(title="Two", result=found), tmp_path / "p.html").read_text()
    for metric in found.metrics.values():
        for model, value in metric.values.items():
            assert f">{value:.4f}<" in page
            assert metric.verdicts[model].partition("<")[0] in page
        for pair, lead in metric.leads().values():
            assert f">{number(lead)}<small>p {number(pair.adjusted_p_value)}</small>" in page
    assert page.count("<svg") == len(found.metrics)


def test_models_share_the_axes_of_a_picture(compared, tmp_path):
    """A line of each model in the order compared, its area beside its name; each has its cells."""
    found, of_models = compared
    report = EvaluationReport(title="Two", result=found, diagnostics=of_models)
    page = write_html(report, tmp_path / "p.html").read_text()
    svgs = {one.partition('"')[0]: one for one in page.split('aria-labelledby="')[1:]}
    scores = {"good": SCORE, HOSTILE: POOR}
    measures = {"roc": sk.roc_auc_score, "precision-recall": sk.average_precision_score}
    for name, measure in measures.items():
        svg = svgs[f"{name}-title"].partition("</svg>")[0]
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
        at = texts.index("good")
        assert texts[at + 1 :: 2] == [f"{measure(TRUE, score):.3f}" for score in scores.values()]
        assert "&lt;script&gt;" in texts[at + 2]
    for pred in (PRED, POOR > 0.5):
        for count in sk.confusion_matrix(TRUE, pred).ravel():
            assert f"<b>{count}</b>" in page
    assert page.count("<svg") == len(found.metrics) + 3
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert not re.search(r"<script|https?:", page)


def test_pictures_are_by_class_and_of_nine_models_at_most():
    """Two of each class, which have all models; of more models than lines it is said."""
    names, codes = np.array(["a", "b"]), RNG.integers(0, 2, 300)
    by_model = {}
    for model in ("one", "other"):
        scores = RNG.dirichlet([1, 1, 1, 1], 300)
        by_model[model] = Diagnostics()
        by_label = dict(zip("abcd", scores.T, strict=True))
        by_model[model].update(names[codes].tolist(), y_score=by_label)
    found = score_pictures(by_model)
    of_curves = [
        f"{kind}, class {c}" for c in "ab" for kind in ("ROC curve", "Precision and recall")
    ]
    assert [title for title, _, _ in found] == [*of_curves, "Calibration"]
    area = by_model["other"].curves()[1].area
    assert f"other {area:.3f}." in found[2][1]
    assert "The class against the others." in found[2][2]
    many = dict.fromkeys((f"model {at}" for at in range(10)), drawn(y_score=SCORE))
    (_, svg, caption), *_ = score_pictures(many)
    assert "model 8" in svg
    assert "model 9" not in svg
    assert caption.endswith("The lines are of the first 9 of 10 models.")


def test_pictures_are_of_the_models_compared(compared):
    """Another model, or one where several are, is a mistake."""
    found, of_models = compared
    with pytest.raises(ValueError, match=r"of \['best'\] and the comparison is of \['good', "):
        EvaluationReport(title="x", result=found, diagnostics={"best": Diagnostics()})
    with pytest.raises(ValueError, match="of one model and the comparison is of"):
        EvaluationReport(title="x", result=found, diagnostics=Diagnostics())
    one = ModelEvaluator("binary").evaluate(TRUE, PRED)
    with pytest.raises(ValueError, match="expected those of one"):
        EvaluationReport(title="x", result=one, diagnostics=of_models)


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
        told = curves.area, curves.average_precision
        assert told == pytest.approx(expected, abs=1e-12 if curves.exact else 1e-3)
        assert curves.positives == true.mean()
        assert max(len(curves.fpr), len(curves.recall)) <= 4 * Diagnostics.PARTS
        assert found.reliability() is None
        assert "no probabilities" in str(found.no_reliability)


@pytest.mark.parametrize("held", [10_000, pytest.param(100, marks=pytest.mark.model)])
def test_pictures_of_weighted_rows_are_scikit_learns(monkeypatch, held):
    """Rows of weight 0 are absent; the first batch weighs 1, and is counted with the others."""
    monkeypatch.setattr(diagnostics_module, "HELD_ROWS", held)
    weight = np.where(np.arange(600) < 200, 1, RNG.exponential(size=600) * (RNG.random(600) < 0.8))
    found = drawn(y_pred=PRED, y_score=SCORE, weight=weight)
    assert found.weighted
    matrix: Any = found.confusion()
    expected = sk.confusion_matrix(TRUE, PRED, sample_weight=weight)
    np.testing.assert_allclose(matrix.matrix, expected, rtol=1e-12)
    (curves,) = found.curves()
    given = {"sample_weight": weight, "drop_intermediate": False}
    if held > 600:
        fpr, tpr, _ = sk.roc_curve(TRUE, SCORE, **given)
        precision, recall, _ = sk.precision_recall_curve(TRUE, SCORE, **given)
        for mine, (x, y) in (
            ((curves.fpr, curves.tpr), (fpr, tpr)),
            ((curves.recall, curves.precision), (recall, precision)),
        ):
            gaps = [np.hypot(x - a, y - b).min() for a, b in zip(*mine, strict=True)]
            assert max(gaps) < 1e-12
    near: Any = {"abs": 1e-12 if held > 600 else 1e-3}
    area = sk.roc_auc_score(TRUE, SCORE, sample_weight=weight)
    assert curves.area == pytest.approx(area, **near)
    mean = sk.average_precision_score(TRUE, SCORE, sample_weight=weight)
    assert curves.average_precision == pytest.approx(mean, **near)
    assert curves.positives == pytest.approx(np.average(TRUE, weights=weight), abs=1e-12)
    bins: Any = found.reliability()
    place = np.minimum((SCORE * 10).astype(int), 9)
    for at, some in enumerate(np.unique(place)):
        own = np.where(place == some, weight, 0)
        assert bins.rows[at] == pytest.approx(own.sum(), rel=1e-12)
        assert bins.confidence[at] == pytest.approx(np.average(SCORE, weights=own), abs=1e-12)
        assert bins.right[at] == pytest.approx(np.average(TRUE, weights=own), abs=1e-12)
    with pytest.raises(ValueError, match="these rows have no weights; the rows before have weigh"):
        found.update(TRUE, PRED)
    ones = drawn(y_pred=PRED, y_score=SCORE, weight=np.ones(600)), drawn(y_pred=PRED, y_score=SCORE)
    assert str(ones[0].confusion()) == str(ones[1].confusion())
    assert ones[0].curves()[0].area == ones[1].curves()[0].area


def test_reliability_is_by_ten_bins():
    """Mean confidence, share and rows of each bin, whatever the batches."""
    found = drawn(y_score=SCORE).reliability()
    assert found is not None
    error = numeric.expected_calibration_error(TRUE, SCORE, bins=10)
    assert found.error == pytest.approx(float(error), abs=1e-12)
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
