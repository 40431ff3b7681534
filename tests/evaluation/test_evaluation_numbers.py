"""Real numbers of every type are read without a lossy cast, and the rest is refused by name."""

from decimal import Decimal
from fractions import Fraction

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from modelops_jax.evaluation import MAEMetric
from modelops_jax.evaluation._numbers import as_numbers, as_values
from modelops_jax.evaluation._regression import read_values

READ = {
    "list of floats": ([0.1, 2.5], np.float64),
    "tuple of ints": ((1, 2), np.float64),
    "ints and floats": ([1, 0.1], np.float64),
    "bools": ([True, False], np.float64),
    "largest exact integers": ([2**53, -(2**53)], np.float64),
    "float64 array": (np.array([0.1, 1e300]), np.float64),
    "float32 array": (np.array([0.1], np.float32), np.float32),
    "float16 array": (np.array([0.1], np.float16), np.float32),
    "bfloat16 array": (np.array([0.1], ml_dtypes.bfloat16), np.float32),
    "int64 array": (np.array([2**40]), np.float64),
    "uint8 array": (np.array([200], np.uint8), np.float64),
    "bool array": (np.array([True]), np.float64),
    "object array": (np.array([0.1, 3], object), np.float64),
    "JAX array": (jnp.array([0.5]), np.float32),
    "JAX int array": (jnp.array([5]), np.float64),
    "list of NumPy scalars": ([np.float64(0.1), np.int8(3)], np.float64),
    "list of JAX scalars": ([jnp.float32(0.5)], np.float64),
    "empty list": ([], np.float64),
    "empty int array": (np.array([], np.int32), np.float64),
}


@pytest.mark.parametrize("case", READ)
def test_values_are_kept(case):
    """Every accepted type arrives as a float vector of the same numbers."""
    values, dtype = READ[case]
    for read in (as_values, as_numbers):
        found = read(values, "y_pred")
        assert found.dtype == dtype
        assert found.tolist() == [float(value) for value in values]


REFUSED = {
    "nan": ([0.0, float("nan")], ValueError, r"y_pred has nan at index 1 \(1 such"),
    "nan in an array": (np.array([np.nan, np.nan]), ValueError, r"nan at index 0 \(2 such"),
    "string": ([0.5, "0.5"], TypeError, r"y_pred has '0\.5' \(str\) at index 1"),
    "string array": (np.array(["0.5"]), TypeError, "dtype <U3"),
    "None": ([None, 1.0], TypeError, "NoneType"),
    "complex": (np.array([1j]), TypeError, "complex128"),
    "longdouble": (np.array([1], np.longdouble), TypeError, "at most 64 bits"),
    "integer too wide": ([1, 2**53 + 1], ValueError, "9007199254740993 at index 1"),
    "integer too wide, array": (np.array([1, -(2**60)]), ValueError, "index 1.*2\\*\\*53"),
    "integer too wide, uint64": (np.array([2**64 - 1], np.uint64), ValueError, "index 0"),
    "integer too wide, among floats": ([0.5, 2**70], ValueError, "index 1"),
    "two axes": (np.zeros((3, 1)), ValueError, r"shape \(3, 1\)"),
    "list of lists": ([[0.1], [0.2]], ValueError, r"two axes.*\(2, 1\)"),
    "number": (3.0, TypeError, "y_pred is a float"),
    "masked": (np.ma.array([1.0], mask=[True]), ValueError, "masked"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_argument_and_place(case):
    """What is no real number is an error that says which argument, which entry, what it is."""
    values, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        as_values(values, "y_pred")


def test_infinity_is_a_number_but_no_value():
    """A score that is ignored may be infinite; a measured or predicted value may not."""
    values = [0.0, float("-inf"), float("inf")]
    assert as_numbers(values, "y_pred").tolist() == values
    with pytest.raises(ValueError, match=r"y_pred has -inf at index 1 \(2 such"):
        as_values(values, "y_pred")


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_float32_is_widened_where_its_squares_are_no_float32(scale):
    """Else R2 of numbers of 1e-20 were 1.0 whatever was predicted, and of 1e20 nan."""
    true, pred = np.array([1, 2, 3], np.float32), np.array([3, 2, 1], np.float32)
    pair = read_values(true * np.float32(scale), pred * np.float32(scale))
    assert pair.y_true.dtype == pair.y_pred.dtype == (np.float32 if scale == 1 else np.float64)
    many = read_values(np.stack([true, pred], 1) * np.float32(scale), np.stack([pred, true], 1))
    assert many.y_pred.dtype == (np.float64 if scale == 1e20 else np.float32)


def test_fractions_and_decimals_are_real_numbers():
    """Rounded once, to the nearest float64."""
    found = MAEMetric().compute([Fraction(1, 3), 2], [0.0, Decimal("2.5")])
    assert found == (1 / 3 + 0.5) / 2
