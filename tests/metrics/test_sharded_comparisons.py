"""Tests and curves of rows sharded over eight simulated devices: the rows stay there."""

import pathlib
import runpy

import pytest

run = runpy.run_path(str(pathlib.Path(__file__).with_name("test_sharded_table.py")))["run"]

# Both kinds of axes; an empty shard, and rows of padding at the end.
MESHES = """
from jax.sharding import AxisType
from modelops_jax.metrics import (
    delong_test, mcnemar_test, metric, paired_count_differences, precision_recall_curve,
    roc_auc_interval, roc_curve)

both = jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
MESHES = {"explicit": placed}
if sys.argv[3] == "all":
    MESHES["auto"] = NamedSharding(both, P(("b", "a")))
random = np.random.default_rng(0)
true = random.integers(0, 2, COUNT)
scores = np.round(random.normal(size=(2, COUNT)) + true, 1)
weight = random.random(COUNT)
weight[: COUNT // 8] = weight[-5:] = 0
"""

COUNTED = """
import scipy.stats
from modelops_jax.metrics._mcnemar import _counting_program

labels = random.integers(0, 3, (3, COUNT)).astype(np.int32)
counts = random.integers(0, 5, COUNT) * (weight > 0)
apart = [labels[0] == labels[1], labels[0] == labels[2]]
ones = [np.sum(counts * (a & ~b)) for a, b in (apart, apart[::-1])]
expected = scipy.stats.binomtest(int(min(ones)), int(sum(ones))).pvalue
wide = labels[0].astype(np.uint64) + np.uint64(2**64 - 2)  # 2**64 - 2, 2**64 - 1 and 0
for placed in MESHES.values():
    on_devices = put(*labels)
    with guard():
        found = mcnemar_test(*on_devices, counts=put(counts)[0], method="exact")
        plain = mcnemar_test(*on_devices)
        unsigned = mcnemar_test(*put(wide, labels[0] - np.int64(2), labels[0] * 0))
    assert [found.only_first, found.only_second] == ones
    assert abs(found.p_value / expected - 1) < 1e-11
    assert plain == mcnemar_test(*labels)
    # Equal in their bits, and only 0 is the same number.
    assert unsigned == mcnemar_test(wide, labels[0] - np.int64(2), labels[0] * 0)
    assert unsigned.only_second == 0 and unsigned.only_first == 0
    # Distinct rows with counts are few, and none are none.
    accuracy = {"accuracy": metric("accuracy_score")}
    results = [
        paired_count_differences(accuracy, rows[0], dict(zip("ab", rows[1:])), counts + 1)
        for rows in (on_devices, labels)
    ]
    assert results[0] == results[1]
    assert mcnemar_test(*put(*labels[:, :0])) == mcnemar_test(*labels[:, :0])
    try:
        mcnemar_test(*on_devices, counts=put(counts - 4)[0])
    except ValueError as error:
        assert "counts holds -4" in str(error)
    else:
        raise AssertionError("negative counts")
    with jax.enable_x64(True):
        program = _counting_program(row_layout(on_devices[0]))
        text = program.lower(*on_devices).compile().as_text()
    sent = re.findall(r"= (.*?) (all-[a-z-]+|collective-[a-z-]+)\\(", text)
    assert sent and all(kind.startswith("all-reduce") for _, kind in sent), sent
    assert not any(re.search(r"\\[[0-9]", shape) for shape, _ in sent), sent
"""

SUMMED = """
from modelops_jax.metrics import GroupResampleStream

metrics = {"mse": metric("mean_squared_error"), "r2": metric("r2_score")}
rows, users = 1e6 + random.normal(size=(2, COUNT)), random.integers(0, 30, COUNT)
for placed in MESHES.values():
    host, there = GroupResampleStream(metrics), GroupResampleStream(metrics)
    for own in (weight, weight > 0):
        host.update(*rows, users, weight=own)
        with guard():
            there.update(*put(*rows, users), weight=put(own)[0])
    found, expected = (one.intervals(n_resamples=20) for one in (there, host))
    for name, interval in expected.items():
        ends = [(one.low, one.high) for one in (found[name], interval)]
        np.testing.assert_allclose(*ends, rtol=1e-11, err_msg=name)
    np.testing.assert_allclose(there.ratios("mse"), host.ratios("mse"), rtol=1e-11)
    for wrong, said in (((*rows, users - 1), "groups has numbers from -1"),
                        ((*rows[:, :, None].repeat(2, 2), users), "y_true"),
                        ((rows[0], rows[1] * np.nan, users), "y_pred: ")):
        try:
            there.update(*put(*wrong))
        except ValueError as error:
            assert said in str(error), error
        else:
            raise AssertionError(said)
    assert there.intervals(n_resamples=20) == found
"""

PLACED = """
mask = weight > 0
for kind, placed in MESHES.items():
    on_devices = put(true, *scores)
    w, = put(mask)
    with guard():
        found = delong_test(*on_devices, weight=w)
        mixed = delong_test(true, on_devices[1], scores[1], weight=mask)
        same = delong_test(on_devices[0], *on_devices[1:2] * 2)
        interval = roc_auc_interval(*on_devices[:2], weight=w)
        certain = roc_auc_interval(on_devices[0], on_devices[0])
        one_class = roc_auc_interval(on_devices[0], on_devices[1], weight=put(true == 1)[0])
    assert found == mixed
    assert (same.difference, same.z, same.p_value) == (0.0, 0.0, 1.0)
    assert (certain.area, certain.standard_error, certain.method) == (1.0, 0.0, "Newcombe")
    assert np.isnan(one_class.area) and np.isnan(one_class.standard_error)
    for one, other in ((found, delong_test(true, *scores, weight=mask)),
                       (interval, roc_auc_interval(true, scores[0], weight=mask))):
        for name, number in vars(other).items():
            if isinstance(number, str):
                assert getattr(one, name) == number
            else:
                np.testing.assert_allclose(getattr(one, name), number, rtol=1e-11, err_msg=name)
    if kind == "auto":
        continue
    numbers, bad = put(weight, np.where(np.arange(COUNT) == COUNT - 7, np.nan, scores[1]))
    for second, own, message in ((on_devices[2], numbers, "numbers other than 0 and 1"),
                                 (bad, w, f"at index {COUNT - 7:,} (score_b is y_pred here)")):
        with guard():
            try:
                delong_test(*on_devices[:2], second, weight=own)
            except ValueError as error:
                assert message in str(error)
            else:
                raise AssertionError(message)
"""

CURVES = """
import sklearn.metrics

narrow, mask = scores[0].astype(np.float32), weight > 0
CASES = [(roc_curve, scores[0], weight, True), (roc_curve, narrow, mask, False),
         (precision_recall_curve, scores[0], None, True),
         (precision_recall_curve, scores[0], weight, False)]
for kind, placed in MESHES.items():
    for ours, score, own, drop in CASES[:2] if sys.argv[3] == "explicit" else CASES:
        t, s, w = put(true, score, own)
        with guard():
            found = ours(t, s, weight=w, drop_intermediate=drop)
        expected = ours(true, score, weight=own, drop_intermediate=drop)
        theirs = getattr(sklearn.metrics, ours.__name__)
        given = theirs(true, score, sample_weight=own, drop_intermediate=drop)
        tolerance = 1e-12 if own is weight else 0
        for column, numbers, peer in zip(found, expected, given, strict=True):
            assert column.dtype == numbers.dtype
            np.testing.assert_allclose(column, numbers, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(column, peer, rtol=1e-12, atol=1e-12)
    none, falses = put(true == 2, true == 0)
    with guard():
        nothing = roc_curve(t, s, weight=none, drop_intermediate=False)
        one_class = precision_recall_curve(t, s, weight=falses)
    assert nothing.thresholds.tolist() == [np.inf] and np.isnan(nothing.tpr).all()
    assert np.isnan(one_class.recall[:-1]).all() and one_class.recall[-1] == 0
print("as on the host")
"""


RESAMPLED = """
from modelops_jax.metrics import bootstrap_intervals, paired_differences

many, everything = 20, sys.argv[3] == "all"
ids = random.integers(0, 90, COUNT)
values = random.normal(size=COUNT)
table = np.round(random.normal(size=(COUNT, 3)), 1)
classes, labels = random.integers(0, 3, COUNT), random.integers(0, 2, (COUNT, 3))
ranks = {"precision": metric("average_precision_score")}
median = {"median": metric("median_absolute_error")}

def check(metrics, true, *preds, weight=None, groups=None, method="percentile"):
    "Intervals of the first predictions; of two the differences, too."
    options = {"method": method, "n_resamples": many}
    columns = [true, *preds, weight, groups]
    results = []
    for given in (columns, put(*columns)):
        with contextlib.nullcontext() if given is columns else guard():
            own = {"weight": given[-2], "groups": given[-1], **options}
            found = bootstrap_intervals(metrics, *given[:2], **own)
            flat = [(i.low, i.high) for i in found.values()]
            if len(preds) > 1:
                both = dict(zip("ab", given[1:3]))
                found = paired_differences(metrics, given[0], both, **own)
                flat += [(d.value, d.p_value, d.interval.low, d.interval.high)
                         for each in found.values() for d in each.values()]
        results.append(flat)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)

for kind, placed in MESHES.items():
    check(ranks, true, *scores, groups=ids)
    for own in (ids[:-8], put(ids[:-8])[0]):
        try:
            bootstrap_intervals(ranks, *put(true, scores[0]), groups=own)
        except ValueError as error:
            assert f"groups has {COUNT - 8} entries" in str(error)
        else:
            raise AssertionError("groups of other rows")
    check(median, values, scores[0], weight=weight)
    if not everything:
        continue
    check(ranks | median, true, *scores, weight=weight, method="bca")
    check({"rho": metric("spearman_corrcoef")}, values, *scores, weight=weight > 0, method="bca")
    if kind == "auto":
        continue
    ranked = {"ndcg": metric("ndcg_score"), "hit": metric("hit_rate_at_k", k=2)}
    of_group = random.random(90)[ids] * (weight > 0)
    check(ranked, classes, *scores, weight=of_group, groups=ids, method="bca")
    area = {"area": metric("roc_auc_score"), "part": metric("roc_auc_score", max_fpr=0.3)}
    check(area, true, *scores, weight=weight)
    check({"gap": metric("adaptive_calibration_error", bins=5)}, true, weight, 1 - weight)
    for options in ({"multi_class": "ovo"}, {"average": "micro"}, {"average": None}):
        area = {"area": metric("roc_auc_score", num_classes=3, **options)}
        check(area, classes, table, table[::-1].copy(), groups=ids)
    for average in ("macro", "micro", "samples"):
        area = {"area": metric("roc_auc_score", num_labels=3, average=average, ignore_index=0)
                if average == "samples" else
                metric("average_precision_score", num_labels=3, average=average)}
        check(area, labels, table, table[::-1].copy(), weight=weight)
    outputs = {"rho": metric("spearman_corrcoef", num_outputs=3, multioutput="raw_values")}
    check(outputs, table, table[::-1] + labels, labels + 0.0, weight=weight > 0)
print("as on the host")
"""


@pytest.mark.parametrize("meshes", ["explicit", pytest.param("all", marks=pytest.mark.model)])
def test_kept_rows_draw_on_their_devices_what_they_draw_on_the_host(meshes: str):
    """Resamples, jackknife and swaps: areas, medians, ranks, of classes, labels and outputs."""
    assert run(MESHES + RESAMPLED, "1024", meshes) == "as on the host"


@pytest.mark.parametrize("meshes", ["explicit", pytest.param("all", marks=pytest.mark.model)])
def test_counts_areas_and_points_are_fetched_and_no_rows(meshes: str):
    """McNemar's counts, sums by group, DeLong's areas and the points of curves are the host's."""
    assert run(MESHES + COUNTED + SUMMED + PLACED + CURVES, "1024", meshes) == "as on the host"
