"""What an evaluation gives: per class, JSON and back, text and HTML."""

import json
import math
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import (
    ClassResult,
    EvaluationResult,
    F1Metric,
    Interval,
    ModelEvaluator,
    SliceResult,
    TaskType,
    UndefinedMetricWarning,
)

sk: Any = sklearn.metrics
RNG = np.random.default_rng(8)
NAMES = np.array(["ant", "bee", "cat", "dog"])
TRUE, PRED = NAMES[RNG.integers(0, 4, (2, 300))]


def strictly(data: Any) -> Any:
    """Through JSON that has no NaN."""
    return json.loads(json.dumps(data, allow_nan=False))


def test_per_class_is_that_of_scikit_learn():
    """Precision, recall, F1 and both numbers of rows, in the order of the classes."""
    result = ModelEvaluator("classification").evaluate(TRUE, PRED)
    expected = sk.precision_recall_fscore_support(TRUE, PRED)
    assert [one.label for one in result.per_class] == NAMES.tolist()
    for place, name in enumerate(("precision", "recall", "f1")):
        found = [one.metrics[name] for one in result.per_class]
        np.testing.assert_allclose(found, expected[place], rtol=1e-12)
    assert [one.rows for one in result.per_class] == expected[3].tolist()
    predicted = [int((name == PRED).sum()) for name in NAMES]
    assert [one.predicted for one in result.per_class] == predicted


def test_undefined_entries_are_counted():
    """Beside the rule: classes of a mean, and 1 for a value of its own."""
    with pytest.warns(UndefinedMetricWarning):
        result = ModelEvaluator("classification").evaluate(list("aabbc"), list("aabbb"))
    assert result.undefined == {"precision": 1}
    assert result.per_class[2] == ClassResult(
        "c",
        1,
        0,
        {"precision": 0.0, "recall": 0.0, "f1": 0.0},
    )
    with pytest.warns(UndefinedMetricWarning):
        assert ModelEvaluator("regression").evaluate([1.0], [1.0]).undefined == {"r2": 1}


@pytest.mark.parametrize("task", ["classification", "ranking"])
def test_json_and_back(task):
    """Intervals, classes, slices and what is not finite survive strict JSON."""
    rows: Any = {
        "classification": (TRUE, PRED),
        "ranking": (TRUE > "b", RNG.normal(size=300)),
    }[task]
    slices = {"one": TRUE, "two": RNG.integers(0, 2, 300) > 0, ("one", "two"): None}
    result = ModelEvaluator(task).evaluate(*rows, confidence=0.95, slices=slices)
    data = strictly(result.to_dict())
    assert data == result.to_dict()
    again = EvaluationResult.from_dict(data)
    np.testing.assert_equal(again.to_dict(), result.to_dict())
    assert again.signature == result.signature == data["signature"]
    assert again.task_type is result.task_type
    assert str(again) == str(result)
    if task == "ranking":
        assert data["not_finite"]
        assert any(math.isnan(one.metrics["auc_roc"]) for one in again.slices)
    else:
        assert again == result


def test_what_json_has_not():
    """nan and infinities are null with a mark; other labels are what repr writes."""
    result = EvaluationResult(
        {"a": math.nan, "b": -math.inf, "c": 1.0},
        TaskType.CLASSIFICATION,
        2,
        metadata={"classes": [(1, 2), None, np.int64(3), True]},
        intervals={"a": Interval(math.nan, 1.0, 0.95, "by hand", 10, 0)},
        slices=(SliceResult({"k": 2.5}, 1, {"a": math.inf}),),
    )
    data = strictly(result.to_dict())
    assert data["metrics"] == {"a": None, "b": None, "c": 1.0}
    assert data["not_finite"] == [
        {"at": ["metrics", "a"], "value": "nan"},
        {"at": ["metrics", "b"], "value": "-inf"},
        {"at": ["intervals", "a", "low"], "value": "nan"},
        {"at": ["slices", 0, "metrics", "a"], "value": "inf"},
    ]
    assert data["metadata"]["classes"] == ["(1, 2)", None, 3, True]
    again = EvaluationResult.from_dict(data)
    np.testing.assert_equal(again.metrics, result.metrics)
    assert math.isnan(again.intervals["a"].low)
    assert again.slices == result.slices
    assert data["metrics"]["a"] is None  # what was read is not changed


@pytest.mark.parametrize("data", [{}, {"format": 1}])
def test_other_formats_are_refused(data):
    """With what was found."""
    with pytest.raises(ValueError, match=r"the data have format .*; expected 2"):
        EvaluationResult.from_dict(data)


def test_what_to_dict_did_not_write_is_refused():
    """As a ValueError, whatever is missing."""
    data = EvaluationResult({"a": math.nan}, TaskType.REGRESSION, 1).to_dict()
    for wrong in ({"format": 2}, data | {"slices": [{"rows": 1}]}, data | {"metrics": 0}):
        with pytest.raises(ValueError, match="the data are"):
            EvaluationResult.from_dict(wrong)


def test_signature_holds_what_is_needed_to_get_the_numbers_again():
    """The number of rows, the metrics with their options, averaging, and the bootstrap."""
    evaluator = ModelEvaluator(
        "classification", metrics=["accuracy_score", F1Metric(average="auto")]
    )
    result = evaluator.evaluate(TRUE, PRED, confidence=0.9, seed=7)
    assert result.signature == (
        "task:classification|n:300|metrics:accuracy_score=metric('accuracy_score');"
        "f1=F1Metric(positive_class=1, average='auto')|averaging:macro|level:0.9|"
        f"method:Wilson+multinomial-percentile|resamples:1000|seed:7|version:{result.version}"
    )
    plain = ModelEvaluator("regression", metrics=["r2_score"]).evaluate([1.0, 2.0], [1.0, 2.0])
    expected = f"task:regression|n:2|metrics:r2_score=metric('r2_score')|version:{plain.version}"
    assert plain.signature == expected


def test_other_numbers_have_another_signature():
    """Other metrics, options, ignored rows or groups tell one evaluation from all others."""
    true, pred = [0, 1, 1, 2], [0, 1, 2, 2]

    def of(*metrics, ignore_index=None, **asked):
        evaluator = ModelEvaluator("multiclass", metrics=[], ignore_index=ignore_index)
        for name, options in metrics:
            evaluator.add_metric(name, name="it", **options)
        return evaluator.evaluate(true, pred, **asked)

    fbeta, f1 = "fbeta_score", "f1_score"
    found = [
        of((fbeta, {"beta": 2})),
        of((fbeta, {"beta": 3})),
        of((f1, {})),
        of((f1, {"zero_division": 1.0})),
        of((f1, {"average": "weighted"})),
        of(("precision_score", {})),
        of((f1, {}), ignore_index=2),
        of((f1, {}), ignore_index=7),
        of((f1, {}), confidence=0.9),
        of((f1, {}), confidence=0.9, seed=1),
        of((f1, {}), confidence=0.9, groups=["a", "a", "b", "c"]),
        of((f1, {}), confidence=0.9, groups=["a", "a", "b", "b"]),
    ]
    signatures = [result.signature for result in found]
    assert len(set(signatures)) == len(found)
    assert [result.ignored_count for result in found if result.ignored_count] == [1]
    assert "|n:4|ignored:1|metrics:it=metric('f1_score', ignore_index=2)|" in signatures[6]


class Mine:
    """A metric of one's own."""

    name = "mine"

    def compute(self, y_true, y_pred):
        return 0.5


def test_the_signature_of_a_stream_is_that_of_its_rows_together():
    """Also of ignored rows, in several batches, saved and read; of one's own metrics the class."""
    evaluator = ModelEvaluator("multiclass", ignore_index=0).add_metric(Mine())
    stream, other = evaluator.stream(), evaluator.stream()
    stream.update([0, 1, 2], [1, 1, 1])
    other.update([2, 0, 0], [2, 1, 0])
    stream.merge(other)
    found, whole = stream.result(), evaluator.evaluate([0, 1, 2, 2, 0, 0], [1, 1, 1, 2, 1, 0])
    assert found.ignored_count == 3
    assert found.signature == whole.signature
    assert f"mine={__name__}.Mine" in found.signature


def test_text_fits_a_terminal():
    """No line beyond 80 columns, whatever the labels; what does not fit is said."""
    wide = ["a" * 60, "b\n\x1b[31m", "c", "d"]
    names = np.array(wide)[np.searchsorted(NAMES, TRUE)]
    result = ModelEvaluator("classification").evaluate(
        TRUE, PRED, confidence=0.95, slices={"name": names.tolist(), "n": np.arange(300) // 6}
    )
    evil = SliceResult({"\x1b[2J\n": "a"}, 1, {"m\n": 0.0})
    odd = EvaluationResult({"m\n": 0.0}, TaskType.REGRESSION, 1, slices=(evil,))
    assert all(line.isprintable() for line in str(odd).split("\n"))
    assert len(odd.signature.splitlines()) == 1
    lines = str(result).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert "  ... and 30 more" in lines
    assert "by name" in lines
    many = ModelEvaluator("multilabel").evaluate(
        *RNG.integers(0, 2, (2, 300, 3)), slices={"name": TRUE}
    )
    assert max(map(len, str(many).splitlines())) <= 80
    assert "(without" in str(many)


class Tags(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, which may only have a style and a scope."""
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"style", "scope"}

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text += f"{data}\n"


def test_html_is_escaped_and_self_contained():
    """Labels are text; no scripts, no links, no images."""
    evil = "<script>alert(1)</script>"
    y_true, y_pred = [evil, "b", "c"] * 5, [evil, "c", "c"] * 5
    with pytest.warns(UndefinedMetricWarning):
        result = ModelEvaluator("classification").evaluate(
            y_true, y_pred, confidence=0.95, slices={evil: y_true}
        )
    page = Tags(result._repr_html_())
    assert page.tags <= {
        "div",
        "p",
        "b",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "small",
    }
    assert evil in page.text
    assert f"by {evil}" in page.text
    assert result.signature in page.text
