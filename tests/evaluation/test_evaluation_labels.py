"""Labels of every type a person passes are coded exactly, and the rest is refused by name."""

import datetime
import enum
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from modelops_jax.evaluation._labels import CodedLabels, encode_labels


def coded(y_true, y_pred) -> CodedLabels:
    return encode_labels({"y_true": y_true, "y_pred": y_pred})


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


TYPES = {
    "list of ints": ([3, 1, 3], [1, 1, 2], (1, 2, 3)),
    "tuple of ints": ((3, 1, 3), (1, 1, 2), (1, 2, 3)),
    "range": (range(3), range(3), (0, 1, 2)),
    "int8 array": (np.array([3, 1], np.int8), np.array([-1, 3], np.int8), (-1, 1, 3)),
    "uint8 array": (np.array([255, 1], np.uint8), np.array([0, 3], np.uint8), (0, 1, 3, 255)),
    "int64 array": (np.array([3, 1]), np.array([1, 3]), (1, 3)),
    "mixed int widths": (np.array([3, 1], np.int16), [1, 3], (1, 3)),
    "beyond 2**31": ([2**31, 2**31 + 1], [2**31 + 1, 5], (5, 2**31, 2**31 + 1)),
    "beyond 2**40": (np.array([2**40, 2**40 + 1]), [2**40 + 1, 0], (0, 2**40, 2**40 + 1)),
    "beyond 2**53": ([2**53, 2**53 + 1], [2**53 + 1, 0], (0, 2**53, 2**53 + 1)),
    "uint64 beyond int64": (
        np.array([2**63, 2**63 + 1], np.uint64),
        np.array([1, 1]),
        (1, 2**63, 2**63 + 1),
    ),
    "beyond 2**64": ([2**64, 2**64 + 1], [-(2**64), 1], (-(2**64), 1, 2**64, 2**64 + 1)),
    "ends of int64": ([-(2**63), 2**63 - 1], [0, 0], (-(2**63), 0, 2**63 - 1)),
    "negative": ([-1, 1], [1, -5], (-5, -1, 1)),
    "strings": (["b", "a"], ["a", "c"], ("a", "b", "c")),
    "strings with trailing nul": (["a\0", "a"], ["a", "a"], ("a", "a\0")),
    "empty string": (["", "a"], ["a", ""], ("", "a")),
    "string array": (np.array(["b", "a"]), np.array(["a", "longer"]), ("a", "b", "longer")),
    "StringDType array": (
        np.array(["b", "a"], dtype=np.dtypes.StringDType()),
        ["a", "b"],
        ("a", "b"),
    ),
    "object array of strings": (np.array(["b", "a"], object), ["a", "b"], ("a", "b")),
    "object array of ints": (np.array([2, 2**70], object), [2, 2], (2, 2**70)),
    "bools": ([True, False], [True, True], (False, True)),
    "bool array": (np.array([True, True]), np.array([True, True]), (True,)),
    "bool and int mixed": ([True, 2], [0, 1], (0, 1, 2)),
    "bools against ints": ([True, False], [1, 0], (0, 1)),
    "whole floats": ([1.0, 2.0], np.array([2.0, 3.0], np.float32), (1, 2, 3)),
    "floats and ints mixed": ([1.0, 2], [2, 2], (1, 2)),
    "bfloat16": (np.array([1, 2], ml_dtypes.bfloat16), [1, 2], (1, 2)),
    "JAX int array": (jnp.array([3, 1]), jnp.array([1, 1]), (1, 3)),
    "JAX bool array": (jnp.array([True, False]), [True, True], (False, True)),
    "list of NumPy scalars": ([np.int64(3), np.int8(1)], [1, 3], (1, 3)),
    "list of JAX scalars": ([jnp.int32(3), jnp.int32(1)], [1, 3], (1, 3)),
    "list of np.str_": ([np.str_("a"), np.str_("b")], ["a", "b"], ("a", "b")),
    "bytes": ([b"b", b"a"], np.array([b"a", b"b"]), (b"a", b"b")),
    "plain enum": ([Colour.RED, Colour.BLUE], [Colour.RED] * 2, (Colour.BLUE, Colour.RED)),
    "int enum": ([Level.HIGH, Level.LOW], [1, 1], (1, 2)),
    "fractions": ([Fraction(1, 2)], [Fraction(1, 3)], (Fraction(1, 3), Fraction(1, 2))),
    "dates": (
        [datetime.date(2024, 1, 2)],
        [datetime.date(2024, 1, 1)],
        (datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)),
    ),
    "empty": ([], [], ()),
    "one side empty array": (np.array([]), np.array([], object), ()),
}


@pytest.mark.parametrize("case", TYPES)
def test_codes_give_every_label_back(case):
    """classes[code] is the label, whatever its type, and classes are sorted and used."""
    y_true, y_pred, classes = TYPES[case]
    labels = coded(y_true, y_pred)
    assert labels.classes == classes
    assert {type(a) for a in labels.classes} <= {type(b) for b in classes}
    for name, values in (("y_true", y_true), ("y_pred", y_pred)):
        codes = labels.codes[name]
        assert codes.dtype == np.int32
        assert [labels.classes[code] for code in codes] == list(np.asarray(values, object))


def test_table_and_sort_agree():
    """Labels close together (table) and far apart (sorting) are coded by the same law."""
    random = np.random.default_rng(0)
    close = random.integers(-50, 50, 1000)
    for factor in (1, 2**40):
        labels = coded(close * factor, (close + 1) * factor)
        both = np.concatenate([close, close + 1]) * factor
        classes, codes = np.unique(both, return_inverse=True)
        assert labels.classes == tuple(classes.tolist())
        np.testing.assert_array_equal(
            np.concatenate([labels.codes["y_true"], labels.codes["y_pred"]]), codes
        )


def objects(*values: Any) -> np.ndarray:
    """An array of objects, whatever they are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


REFUSED = {
    "str and int in one list": (["a", 1], ["a", "b"], TypeError, "y_true mixes .*str.*int"),
    "str against int": (["a", "b"], [0, 1], TypeError, "y_true has str and y_pred has int"),
    "nan": ([0.0, float("nan")], [0, 1], ValueError, "y_true has the label nan at index 1"),
    "nan in an array": (np.array([0, np.nan]), [0, 1], ValueError, "nan at index 1"),
    "nan decimal": (
        [Decimal(1), Decimal("nan")],
        [Decimal(1)] * 2,
        ValueError,
        "label NaN at i.* 1",
    ),
    "signal": (
        [Decimal("snan"), Decimal(1)],
        [Decimal(1)] * 2,
        ValueError,
        "label sNaN at index 0",
    ),
    "complex nan": ([1j, complex(0, math.nan)], [1j, 1j], ValueError, r"label nanj at index 1"),
    "nan in a tuple": (objects((1,), (math.nan,)), objects((1,), (1,)), ValueError, "at index 1"),
    "list in a tuple": (objects(([],), (1,)), objects((1,), (1,)), TypeError, "y_true .* index 0"),
    "nan among strings": (["a", float("nan")], ["a", "a"], TypeError, "str.*float.*nan"),
    "nan among ints": ([2, float("nan")], [2, 2], ValueError, "nan at index 1"),
    "infinite": ([0.0, float("inf")], [0, 1], ValueError, "inf at index 1"),
    "fraction": ([0, 1], [0.2, 0.9], ValueError, r"y_pred has the label 0\.2 at index 0"),
    "float too large": ([1e300], [1], ValueError, "too large"),
    "float32 beyond 2**24": (np.array([2.0**25], np.float32), [1], ValueError, "too large"),
    "None": ([None, None], [0, 1], TypeError, "NoneType"),
    "None among strings": (["a", None], ["a", "b"], TypeError, "str.*NoneType"),
    "complex": (np.array([1j]), [1], TypeError, "complex128"),
    "datetime array": (np.array(["2024-01-01"], "M8[D]"), [1], TypeError, "datetime64"),
    "two axes": (np.zeros((2, 3), int), [0, 1], ValueError, r"y_true has shape \(2, 3\)"),
    "two axes, JAX": ([0, 1], jnp.zeros((2, 1), int), ValueError, r"y_pred has shape \(2, 1\)"),
    "list of lists": ([[0, 1], [1, 0]], [0, 1], ValueError, r"y_true has two axes.*\(2, 2\)"),
    "list of arrays": ([np.zeros(3)] * 2, [0, 1], ValueError, r"y_true has two axes.*\(2, 3\)"),
    "no axis": (np.int64(1), [1], ValueError, r"y_true has shape \(\)"),
    "one string": ("abc", ["a"], TypeError, "y_true is a str"),
    "a set": ({1, 2}, [1, 2], TypeError, "y_true is a set"),
    "a generator": ((i for i in range(2)), [1, 2], TypeError, "y_true is a generator"),
    "masked array": (np.ma.array([1, 2], mask=[False, True]), [1, 2], ValueError, "masked"),
    "unhashable in an object array": (np.array([{}, {}]), [1, 2], TypeError, "dict"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_argument_and_place(case):
    """What is no label is an error that says which argument, which entry, and what it is."""
    y_true, y_pred, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        coded(y_true, y_pred)


def test_traced_labels_are_sent_to_the_functions():
    """Inside jit the host cannot look; the error says what to use instead."""
    with pytest.raises(TypeError, match=r"modelops_jax\.metrics"):
        jax.jit(lambda y: coded(y, [1, 0]))(jnp.array([1, 0]))


def test_object_array_of_tuples_is_one_axis():
    """Tuples are labels where the shape says that they are entries, not rows."""
    pairs = objects((1, 2), (0, 1))
    assert coded(pairs, pairs).classes == ((0, 1), (1, 2))
