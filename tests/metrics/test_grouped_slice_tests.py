"""Slices of rows that come in groups: Student's test of the groups."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from modelops_jax.metrics import compute, grouped_slice_tests, metric, row_ratios, student_tests

scipy_stats: Any = scipy.stats
RNG = np.random.default_rng(21)


def test_groups_of_one_row_are_independent_rows():
    numbers, slices = RNG.exponential(size=90), np.repeat([0, 1, 2], [10, 50, 30])
    found = grouped_slice_tests(slices, np.arange(90), numbers)
    expected = [
        scipy_stats.ttest_ind(numbers[slices == k], numbers[slices != k]).pvalue for k in range(3)
    ]
    assert found == pytest.approx(expected, rel=1e-9)


def test_whole_groups_of_one_size_are_their_means():
    groups = np.repeat(np.arange(20), 4)
    numbers = RNG.normal(size=80) + RNG.normal(size=20)[groups]
    slices = (groups < 6).astype(int)
    means = numbers.reshape(20, 4).mean(axis=1)
    expected = scipy_stats.ttest_ind(means[:6], means[6:]).pvalue
    shuffled = RNG.permutation(80)
    names = np.array([f"user {group}" for group in groups])
    found = grouped_slice_tests(slices[shuffled], names[shuffled], numbers[shuffled])
    assert found == pytest.approx([expected] * 2, rel=1e-9)


def test_divided_groups_are_compared_with_themselves():
    groups = np.repeat(np.arange(15), 6)
    inside = np.tile([True, True, False, False, False, False], 15)
    numbers = RNG.normal(size=90) + 2 * RNG.normal(size=15)[groups] + 0.5 * inside
    rows = numbers.reshape(15, 6)
    # A third of each group is inside, so that each difference counts alike: a paired t test.
    paired = scipy_stats.ttest_rel(rows[:, :2].mean(axis=1), rows[:, 2:].mean(axis=1))
    found = grouped_slice_tests(inside.astype(int), groups, numbers)
    assert found == pytest.approx([paired.pvalue] * 2, rel=1e-9)


def test_a_ratio_is_tested_by_its_residuals():
    """Precision: rows that are not predicted say nothing, whatever their group."""
    true, pred = RNG.integers(0, 2, (2, 120))
    ratio = row_ratios(metric("precision_score"), true, pred)
    assert ratio is not None
    above, below = ratio
    np.testing.assert_array_equal(above, true & pred)
    np.testing.assert_array_equal(below, pred)
    groups, slices = np.arange(120), (np.arange(120) < 50).astype(int)
    kept = pred == 1
    expected = grouped_slice_tests(slices[kept], groups[kept], true[kept])
    assert grouped_slice_tests(slices, groups, above, below) == pytest.approx(expected, rel=1e-9)


def test_numbers_of_rows_have_the_value_as_their_mean():
    values, other = RNG.normal(size=(2, 700))
    for name in ("mean_absolute_error", "huber_loss"):
        found = row_ratios(metric(name), values, other)
        assert found is not None
        above, below = found
        expected = compute({"value": metric(name)}, values, other).values["value"]
        assert above.sum() / below.sum() == pytest.approx(float(expected), rel=1e-12)
    assert row_ratios(metric("r2_score"), values, other) is None


def test_what_cannot_be_tested_has_a_p_value_of_1():
    assert grouped_slice_tests([0, 0, 2, 2], [0, 0, 1, 1], [1.0, 2, 3, 4]) == [1.0, 1.0, 1.0]
    assert grouped_slice_tests([0, 0, 0], [0, 1, 2], [1.0, 2, 3]) == [1.0]
    assert grouped_slice_tests([0, 0, 1], [0, 1, 2], [2.0, 2, 2]) == [1.0, 1.0]
    assert grouped_slice_tests([0, 1], [0, 1], [0.0, 0], [0, 0]) == [1.0, 1.0]
    assert grouped_slice_tests([], [], []) == []
    # One of six groups, however far it is: no permutation has a smaller p-value.
    assert grouped_slice_tests([1] + [0] * 5, range(6), [9.0, 1, 2, 1, 2, 1])[1] == pytest.approx(
        1 / 6
    )
    with pytest.raises(ValueError, match=r"groups must have shape \(2,\)"):
        grouped_slice_tests([0, 1], [0], [1.0, 2])


def _rows(layout: str, skew: str, alike: float, random: Any) -> tuple[Any, Any, Any]:
    """Slices, groups and numbers that differ in no slice."""
    own, other = {"larger": (12, 4), "smaller": (4, 12)}.get(layout, (6, 6))
    count, few = 60, 6
    groups = np.repeat(np.arange(count), np.where(np.arange(count) < few, own, other))
    inside = groups < few
    if layout == "divided":
        inside = random.random(groups.size) < 0.3
    if layout == "mostly in few":
        inside = np.where(
            inside, random.random(groups.size) < 0.8, random.random(groups.size) < 0.01
        )
    numbers = np.sqrt(alike) * random.normal(size=count)[groups]
    numbers = numbers + np.sqrt(1 - alike) * random.normal(size=groups.size)
    made = {"normal": numbers, "squares": numbers**2, "rare": (numbers > 1.2).astype(float)}
    return inside.astype(int), groups, made[skew]


@pytest.mark.simulation
@pytest.mark.parametrize("skew", ["normal", "squares", "rare"])
@pytest.mark.parametrize("alike", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("layout", ["equal", "larger", "smaller", "divided", "mostly in few"])
def test_slices_without_a_difference_are_seldom_called_different(layout, alike, skew):
    random = np.random.default_rng(5)
    found = [grouped_slice_tests(*_rows(layout, skew, alike, random))[1] for _ in range(1000)]
    share = np.mean(np.array(found) <= 0.05)
    assert share <= 0.07  # four standard errors above 0.05 are 0.078
    if layout in ("equal", "divided"):
        assert share >= 0.03


@pytest.mark.simulation
@pytest.mark.parametrize("heavier", [1, 5])
def test_slices_of_weighted_rows_without_a_difference_are_too(heavier):
    """A weighted mean is a ratio of sums, every row being a group of its own."""
    random, found = np.random.default_rng(7), []
    for _ in range(1000):
        slices = (np.arange(200) < 25).astype(int)
        weight = random.exponential(size=200) * np.where(slices == 1, heavier, 1)
        numbers = random.normal(size=200) ** 2
        found.append(grouped_slice_tests(slices, range(200), weight * numbers, weight)[1])
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.07


@pytest.mark.simulation
def test_without_their_groups_they_would_often_be():
    random, found = np.random.default_rng(6), []
    for _ in range(1000):
        slices, _, numbers = _rows("equal", "normal", 0.4, random)
        parts = [numbers[slices == k] for k in range(2)]
        squares = [np.sum((part - part.mean()) ** 2) for part in parts]
        means = [part.mean() for part in parts]
        found.append(student_tests([part.size for part in parts], means, squares)[1])
    assert np.mean(np.array(found) <= 0.05) > 0.2
