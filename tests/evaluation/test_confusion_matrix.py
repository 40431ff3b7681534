"""The confusion matrix counts what scikit-learn counts, for labels of every type."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk

from modelops_jax.evaluation import ConfusionMatrix, ModelEvaluator

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("classes", [2, 3, 8, 9, 200])
def test_counts_equal_sklearn(classes):
    """Rows are true labels, columns predicted ones, in sorted order."""
    y_true, y_pred = RNG.integers(-5, -5 + classes, (2, 1000))
    matrix = ConfusionMatrix(y_true, y_pred)
    expected = sk.confusion_matrix(y_true, y_pred)
    assert matrix.classes == sorted({*y_true.tolist(), *y_pred.tolist()})
    np.testing.assert_array_equal(matrix.matrix, expected)
    assert matrix.matrix.dtype == np.int64


@pytest.mark.parametrize(
    ("names", "convert"),
    [
        (["a", "b", "c"], list),
        (["a", "b", "c"], np.asarray),
        ([2**40, 2**40 + 1, 2**63 + 1], list),
        ([0, 1, 2], jnp.asarray),
        ([0, 1, 2], tuple),
        ([0.0, 1.0, 2.0], np.asarray),
    ],
)
def test_cells_by_label(names, convert):
    """A cell is found by its labels, whatever type they are and container they came in."""
    codes = RNG.integers(0, 3, (2, 300))
    y_true, y_pred = (convert([names[code] for code in side]) for side in codes)
    matrix = ConfusionMatrix(y_true, y_pred)
    expected = sk.confusion_matrix(*codes)
    for i, true in enumerate(names):
        for j, pred in enumerate(names):
            assert matrix.get_cell(true, pred) == expected[i, j]


def test_one_class():
    """Labels that are all one class make a table of one cell."""
    assert ConfusionMatrix(["a"] * 3, ["a"] * 3).to_dict() == {"classes": ["a"], "matrix": [[3]]}


def test_bools():
    """Bools are labels of their own, and True and 1 are one label."""
    matrix = ConfusionMatrix([True, False, True], [True, True, True])
    assert matrix.classes == [False, True]
    assert matrix.get_cell(True, True) == matrix.get_cell(1, 1) == 2


def test_to_dict_is_plain_json():
    """What `to_dict` gives survives JSON unchanged."""
    found = ConfusionMatrix(np.array([3, 1, 3]), np.array([1, 1, 3])).to_dict()
    assert found == {"classes": [1, 3], "matrix": [[1, 0], [1, 1]]}
    assert json.loads(json.dumps(found)) == found


def test_str_is_a_table():
    """Every row of the text starts with its true label, and columns line up."""
    text = str(ConfusionMatrix(["ham", "spam", "spam"], ["ham", "ham", "unwanted"]))
    lines = text.splitlines()
    assert lines[0].split() == ["true", "\\", "predicted", "ham", "spam", "unwanted"]
    assert lines[2].split() == ["spam", "1", "0", "1"]
    assert len(set(map(len, lines))) == 1


def test_str_of_many_classes_is_cut():
    """A text of more than twenty classes shows twenty and says how many more there are."""
    lines = str(ConfusionMatrix(range(50), range(50))).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "... and 30 more classes"


def test_no_rows():
    """No rows have no classes and no cells; a count of nothing is defined."""
    matrix = ConfusionMatrix([], [])
    assert matrix.to_dict() == {"classes": [], "matrix": []}
    assert str(matrix).splitlines() == ["true \\ predicted"]
    assert repr(matrix) == "ConfusionMatrix(0 classes, 0 rows)"


def test_refusals():
    """An unknown label, two lengths, and too many classes are errors that say so."""
    matrix = ConfusionMatrix(["ham"], ["spam"])
    with pytest.raises(ValueError, match=r"'eggs' is not one of the labels 'ham', 'spam'"):
        matrix.get_cell("ham", "eggs")
    with pytest.raises(ValueError, match="y_true has 1 entries and y_pred has 2"):
        ConfusionMatrix([1], [1, 2])
    with pytest.raises(ValueError, match="5,000 classes"):
        ConfusionMatrix(range(5000), range(5000))


def test_labels_whose_ends_would_not_be_seen_are_quoted():
    """An empty one, and ends of white space, in the matrix and in the tables of a result."""
    labels = ["ham", " ham", "", "a b", "a\nb"]
    shown = ["ham", "' ham'", "''", "a b", "'a\\nb'"]
    matrix = str(ConfusionMatrix(labels, labels)).split("\n")
    result = str(ModelEvaluator("classification").evaluate(labels, labels)).split("\n")
    for label in shown:
        assert any(line.startswith(f"{label}  ") for line in matrix)
        assert any(line.startswith(f"  {label}  ") for line in result)
