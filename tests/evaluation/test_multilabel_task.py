"""The task of several labels a row, against scikit-learn."""

from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import UndefinedMetricWarning, create_evaluator

# Its inferred types do not know every value that its documentation allows.
sk: Any = sklearn.metrics
RNG = np.random.default_rng(11)


@pytest.mark.parametrize("labels", [1, 3, 200])
@pytest.mark.parametrize("convert", [np.asarray, lambda y: y.tolist(), lambda y: y.astype(float)])
def test_multilabel(labels, convert):
    """Subset accuracy and the micro and macro ratios equal scikit-learn's."""
    y_true, y_pred = RNG.random((2, 120, labels)) < 0.4
    result = create_evaluator("multilabel").evaluate(convert(y_true), convert(y_pred))
    expected = {"subset_accuracy": sk.accuracy_score(y_true, y_pred)}
    for average in ("micro", "macro"):
        given = {"average": average, "zero_division": 0}
        if labels == 1:  # scikit-learn takes one column for a binary task
            given = {"average": "binary", "zero_division": 0}
        expected[f"precision_{average}"] = sk.precision_score(y_true, y_pred, **given)
        expected[f"recall_{average}"] = sk.recall_score(y_true, y_pred, **given)
        expected[f"f1_{average}"] = sk.f1_score(y_true, y_pred, **given)
    assert list(result.metrics) == list(expected)
    for name, value in expected.items():
        assert abs(result.metrics[name] - value) <= 1e-12, name
    assert result.metadata == {"labels": labels}


def test_multilabel_without_a_label():
    """A label nobody has is 0/0 = 0 in the macro mean, as in scikit-learn, with a warning."""
    y_true = np.array([[1, 0, 0], [1, 0, 1]])
    y_pred = np.array([[1, 0, 1], [0, 0, 0]])
    with pytest.warns(UndefinedMetricWarning) as caught:
        result = create_evaluator("multilabel").evaluate(y_true, y_pred)
    for quantity, oracle in (("precision", sk.precision_score), ("f1", sk.f1_score)):
        expected = oracle(y_true, y_pred, average="macro", zero_division=0)
        assert result.metrics[f"{quantity}_macro"] == pytest.approx(expected, rel=1e-12)
    assert [str(warning.message) for warning in caught] == [
        "precision_macro: 1 of 3 labels are predicted for no row, so 0/0 counts as 0.0",
        "recall_macro: 1 of 3 labels are true of no row, so 0/0 counts as 0.0",
        "f1_macro: 1 of 3 labels are true of no row and predicted for none, so 0/0 counts as 0.0",
    ]
    with pytest.warns(UndefinedMetricWarning) as caught:
        nothing = create_evaluator("multilabel").evaluate(y_true, np.zeros((2, 3), int))
    assert nothing.metrics["precision_micro"] == 0.0
    assert str(caught[0].message).startswith("precision_micro: 3 of 3 labels are predicted for no")


@pytest.mark.parametrize(
    ("y_true", "y_pred", "error", "message"),
    [
        ([[1, 0]], [[1, 0, 1]], ValueError, r"shape \(1, 2\) and y_pred has shape \(1, 3\)"),
        ([[1, 0], [1]], [[1, 0], [1, 0]], ValueError, "y_true has 1 labels in row 1 and 2 in row"),
        ([[1, 0]], [[1, 2]], ValueError, "y_pred has 2 in row 0, label 1; expected 0 or 1"),
        ([1, 0], [1, 0], ValueError, "y_true has 1 as row 0; expected a list of 0 and 1"),
        (np.array([1, 0]), np.array([1, 0]), ValueError, r"y_true has shape \(2,\)"),
        ([["a"]], [["a"]], TypeError, "y_true has dtype <U1"),
        (np.zeros((2, 0)), np.zeros((2, 0)), ValueError, "at least one label"),
        ([[0.5]], [[1]], ValueError, r"y_true has 0\.5 in row 0, label 0"),
    ],
)
def test_multilabel_refusals(y_true, y_pred, error, message):
    """What is no matrix of 0 and 1 is an error that says where."""
    with pytest.raises(error, match=message):
        create_evaluator("multilabel").evaluate(y_true, y_pred)
