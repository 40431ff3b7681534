"""The metrics under test, with configurations, and rows for each kind of input."""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import pytest

from modelops_jax.metrics import METRICS, Metric, metric

CLASSES = 4
# Relevance 0 to 3 and the row's group, as one label: they stay together through every law.
GRADES = 4


@dataclass(frozen=True)
class Case:
    """A metric of the table in one configuration."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A name for the test report."""
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.config.items())])

    @property
    def slow(self) -> bool:
        """Whether its traced laws are for the slow tests: another case compiles much the same."""
        return self.id.startswith(SAME_PROGRAM)

    @property
    def kind(self) -> tuple[type, ...]:
        """What computes it: a batch of rows is their affair, and not that of their settings."""
        return (*map(type, self.metric.statistics), type(self.metric.finalizer))

    @property
    def metric(self) -> Metric:
        """The metric with its configuration bound."""
        return metric(self.name, **self.config)

    @property
    def orders(self) -> tuple[int, ...]:
        """Of what is shared by texts, the order of each column."""
        statistic: Any = self.metric.statistics[0]
        return statistic.orders

    def __call__(self, y_true: Any, y_pred: Any, weight: Any = None, **options: Any) -> Any:
        """The plain function."""
        if METRICS[self.name].inputs == "groups":
            groups, weight = y_true // GRADES, self.weight(y_true, weight)
            given = (y_true % GRADES, y_pred, groups)
            return METRICS[self.name].function(*given, weight=weight, **self.config, **options)
        return METRICS[self.name].function(y_true, y_pred, weight=weight, **self.config, **options)

    def weight(self, y_true: Any, weight: Any) -> Any:
        """The weights as this metric takes them: 0 and 1 as they are, others by group."""
        if METRICS[self.name].inputs != "groups" or weight is None or weight.dtype == bool:
            return weight
        by_group = (1 + y_true // GRADES % 3).astype(weight.dtype)
        present = (weight > 0).astype(weight.dtype)
        return present * (by_group - (by_group - 1) * (weight == 1).astype(weight.dtype))

    def update(self, states: Any, y_true: Any, y_pred: Any, weight: Any) -> Any:
        """The states after one more block."""
        if METRICS[self.name].inputs != "groups":
            return self.metric.update(states, y_true, y_pred, weight)
        given = (y_true % GRADES, y_pred, self.weight(y_true, weight), y_true // GRADES)
        return self.metric.update(states, *given)

    def perfect(self, y_true: Any, y_pred: Any) -> Any:
        """The best predictions, of the form of these."""
        inputs = METRICS[self.name].inputs
        if inputs in ("errors", "log_likelihoods"):
            return np.zeros_like(y_pred)
        if inputs == "overlaps":
            return np.stack([y_true, *(y_true - order + 1 for order in self.orders)], 1)
        if y_pred.ndim == y_true.ndim:
            return y_true.astype(y_pred.dtype)
        certain = 1000 if self.config.get("from_logits") else 1
        return (certain * np.eye(CLASSES)[y_true]).astype(y_pred.dtype)

    def rows(self, count: int, seed: int = 0, dtype: Any = np.float64) -> tuple[Any, Any]:
        """Random `(y_true, y_pred)` of the kind this metric takes, with ties and all classes."""
        random = np.random.default_rng(seed)
        inputs = METRICS[self.name].inputs
        if "num_labels" in self.config:
            y_true, other = random.integers(0, 2, (2, count, CLASSES)).astype(np.int32)
            y_true[:, 0] |= ~y_true.any(axis=1)  # perfect predictions of no label are 0/0
            if inputs in ("scores", "probabilities"):
                score = 0.5 * y_true + np.round(0.5 * random.random((count, CLASSES)), 1)
                return y_true, np.clip(score, 0.01, 0.99).astype(dtype)
            return y_true, np.where(random.random((count, CLASSES)) < 0.5, y_true, other)
        if inputs == "labels":
            y_true = random.integers(0, CLASSES, count)
            y_pred = np.where(
                random.random(count) < 0.5, y_true, random.integers(0, CLASSES, count)
            )
            return y_true.astype(np.int32), y_pred.astype(np.int32)
        if inputs == "scores" and "num_classes" in self.config:
            inputs = "class_scores"
        if inputs == "scores":
            y_true = random.integers(0, 2, count)
            score = np.round(random.normal(size=count) + y_true, 1)
            return y_true.astype(np.int32), score.astype(dtype)
        if inputs == "groups":
            relevance = random.choice(GRADES, count, p=[0.55, 0.25, 0.1, 0.1])
            label = random.integers(0, count // 6 + 1, count) * GRADES + relevance
            score = np.round(random.normal(size=count) + relevance, 1)
            return label.astype(np.int32), score.astype(dtype)
        if inputs in ("class_scores", "probabilities"):
            y_true = random.integers(0, CLASSES, count).astype(np.int32)
            scores = np.round(random.normal(size=(count, CLASSES)) + np.eye(CLASSES)[y_true], 1)
            if inputs == "probabilities" and not self.config.get("from_logits"):
                scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            return y_true, scores.astype(dtype)
        if inputs == "overlaps":
            # Long enough for an n-gram of every order, so that perfect predictions are 1.
            y_true, length = random.integers(6, 40, (2, count))
            shared = [
                (random.random(count) * np.maximum(length - order + 1, 0)).astype(int)
                for order in self.orders
            ]
            return y_true.astype(np.int32), np.stack([length, *shared], 1).astype(np.int32)
        if inputs == "tokens":
            y_true, other = random.integers(0, CLASSES, (2, count, 7)).astype(np.int32)
            return y_true, np.where(random.random((count, 7)) < 0.5, y_true, other)
        if inputs == "attempts":
            attempts = random.integers(5, 30, count)
            return attempts.astype(np.int32), random.integers(0, 6, count).astype(np.int32)
        if inputs == "log_likelihoods":
            tokens = random.integers(1, 30, count).astype(dtype)
            return tokens, (-tokens * random.exponential(size=count) - 1).astype(dtype)
        if inputs in ("lengths", "errors"):
            lengths = random.integers(0, 30, (2, count)).astype(dtype)
            return lengths[0], lengths[1]
        shape = (count, self.config["num_outputs"]) if "num_outputs" in self.config else count
        y_true = random.normal(size=shape)
        if inputs == "positive":
            y_true, y_pred = np.exp(y_true), np.exp(y_true + random.normal(size=shape))
            return y_true.astype(dtype), y_pred.astype(dtype)
        return y_true.astype(dtype), (y_true + random.normal(size=shape)).astype(dtype)


CASES = [
    Case("accuracy_score"),
    Case("accuracy_score", {"num_classes": CLASSES}),
    Case("confusion_matrix", {"num_classes": CLASSES}),
    Case("precision_score"),
    Case("precision_score", {"average": "macro", "num_classes": CLASSES}),
    Case("recall_score"),
    Case("recall_score", {"average": None, "num_classes": CLASSES}),
    Case("f1_score", {"positive_class": 2, "num_classes": CLASSES}),
    Case("f1_score", {"average": "micro"}),
    Case("f1_score", {"average": "weighted", "num_classes": CLASSES}),
    Case("fbeta_score", {"beta": 2, "average": "macro", "num_classes": CLASSES}),
    Case("specificity_score", {"average": "macro", "num_classes": CLASSES}),
    Case("jaccard_score", {"average": "micro"}),
    Case("balanced_accuracy_score", {"num_classes": CLASSES, "adjusted": True}),
    Case("matthews_corrcoef", {"num_classes": CLASSES}),
    Case("matthews_corrcoef", {"num_classes": 5000}),
    Case("cohen_kappa_score", {"num_classes": CLASSES, "distance": "quadratic"}),
    Case("hamming_loss", {"num_classes": CLASSES}),
    Case("hamming_loss", {"average": "macro", "num_labels": CLASSES}),
    Case("accuracy_score", {"num_labels": CLASSES}),
    Case("f1_score", {"average": "macro", "num_labels": CLASSES}),
    Case("recall_score", {"average": "samples", "num_labels": CLASSES}),
    Case("jaccard_score", {"average": "weighted", "num_classes": CLASSES, "ignore_index": 1}),
    Case("multilabel_confusion_matrix", {"num_labels": CLASSES, "ignore_index": 0}),
    Case("zero_one_loss"),
    Case("average_precision_score"),
    Case("roc_auc_score"),
    Case("sketched_roc_auc_bound", {"bits": 10}),
    Case("sketched_roc_auc_score", {"bits": 10}),
    Case("roc_auc_score", {"max_fpr": 0.3}),
    Case("roc_auc_score", {"num_labels": CLASSES}),
    Case("log_loss", {"num_labels": CLASSES, "average": "weighted"}),
    Case("roc_auc_score", {"num_classes": CLASSES, "multi_class": "ovo", "average": None}),
    Case("top_k_accuracy_score"),
    Case("top_k_accuracy_score", {"average": None, "num_classes": CLASSES}),
    Case("log_loss", {"from_logits": True}),
    Case("brier_score_loss"),
    Case("expected_calibration_error"),
    Case("maximum_calibration_error"),
    Case("adaptive_calibration_error", {"bins": 5}),
    Case("mean_squared_error"),
    Case("mean_absolute_error"),
    Case("root_mean_squared_error"),
    Case("r2_score"),
    Case("length_ratio"),
    Case("mean_absolute_percentage_error"),
    Case("symmetric_mean_absolute_percentage_error"),
    Case("mean_squared_log_error"),
    Case("root_mean_squared_log_error"),
    Case("log_cosh_error"),
    Case("mean_pinball_loss", {"alpha": 0.2}),
    Case("huber_loss", {"delta": 0.7}),
    Case("max_error"),
    Case("mean_poisson_deviance"),
    Case("mean_gamma_deviance"),
    Case("mean_tweedie_deviance", {"power": 1.5}),
    Case("explained_variance_score"),
    Case("pearson_corrcoef"),
    Case("concordance_corrcoef"),
    Case("dcg_score", {"k": 3}),
    Case("ndcg_score"),
    Case("mean_reciprocal_rank"),
    Case("mean_average_precision", {"k": 4}),
    Case("precision_at_k", {"k": 2}),
    Case("recall_at_k", {"k": 2}),
    Case("hit_rate_at_k", {"k": 2}),
    Case("median_absolute_error"),
    Case("spearman_corrcoef"),
    Case("mean_squared_log_error", {"num_outputs": 3}),
    Case("r2_score", {"num_outputs": 3, "multioutput": "variance_weighted"}),
    Case("spearman_corrcoef", {"num_outputs": 2, "multioutput": "raw_values"}),
    Case("bleu_score", {"max_ngram_order": 2}),
    Case("chrf_score", {"char_order": 2}),
    Case("rouge_1_score"),
    Case("rouge_2_score"),
    Case("rouge_l_score"),
    Case("squad_f1_score"),
    Case("word_error_rate"),
    Case("character_error_rate"),
    Case("perplexity"),
    Case("bits_per_byte"),
    Case("token_accuracy_score", {"ignore_index": 1}),
    Case("pass_at_k", {"k": 3}),
]


# These compile what `ndcg_score`, `mean_reciprocal_rank`, `mean_average_precision`, `rouge_1_score`
# and `perplexity` compile, but for a quotient, or what one output and the outputs of `r2_score` do,
# at up to a second each: the sharded law takes them at once, the other traced ones with the slow
# tests.
SAME_PROGRAM = (
    *("dcg_score", "precision_at_k", "recall_at_k", "hit_rate_at_k"),
    *("rouge_2_score", "rouge_l_score", "squad_f1_score"),
    *("word_error_rate", "character_error_rate", "bits_per_byte"),
    *("mean_squared_log_error-num_outputs", "matthews_corrcoef-num_classes=5000"),
)


def rows_of_shards(turn: int, dtype: Any) -> tuple[list[Any], list[np.ndarray]]:
    """Rows of each case for eight shards of 13, one of them empty, and by turns a mask or weights.

    Cases of one metric follow each other, so that either turn has both for most statistics.
    """
    count = 8 * 13
    weight = np.random.default_rng(6).random(count).astype(np.float32)
    weight[13:26] = 0
    rows = [case.rows(count, dtype=dtype) for case in CASES]
    given = [weight.astype(dtype), weight > 0]
    return rows, [given[(at + turn) % 2] for at in range(len(CASES))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `case` over the whole table, less those excused from its law."""
    if "case" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("parametrize")
        assert marker is None, "a test over the table takes no parameters of its own"
        law = getattr(metafunc.function, "law", None)
        cases = [case for case in CASES if law not in METRICS[case.name].excused]
        traced = getattr(metafunc.function, "traced", False)
        slow = {case.id for case in cases if traced and case.slow}
        if getattr(metafunc.function, "one_a_kind", False):
            first = {case.kind: case.id for case in reversed(cases) if not case.slow}
            slow |= {case.id for case in cases} - set(first.values())
        found = [
            pytest.param(case, id=case.id, marks=pytest.mark.model if case.id in slow else ())
            for case in cases
        ]
        metafunc.parametrize("case", found)


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """Every configuration under test."""
    return CASES


@pytest.fixture
def sharded_rows(turn: int) -> tuple[list[Any], list[np.ndarray]]:
    """The rows of `test_shards_give_what_one_device_gives` in float64."""
    return rows_of_shards(turn, np.float64)


@pytest.fixture
def strict_flags():
    """Every silent promotion of types or ranks is an error."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
