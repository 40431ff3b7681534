"""What the metrics are timed on: each work with its peers and the ratios to reach."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from sklearn import metrics as sk

from modelops_jax.evaluation import Evaluator, ModelEvaluator, exact_match_metric
from modelops_jax.evaluation import length_ratio_metric as length_ratio_of_strings
from modelops_jax.metrics import compute, count_intervals, metric

Values = Mapping[str, Any]

# Of labels the top-1 accuracy is the accuracy, which is asked for by both names.
TEN_CLASSES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "accuracy": ("accuracy_score", {}),
    "top 1": ("accuracy_score", {}),
    "balanced accuracy": ("balanced_accuracy_score", {}),
    "f2": ("fbeta_score", {"beta": 2, "average": "macro"}),
    "jaccard": ("jaccard_score", {"average": "macro"}),
    "specificity": ("specificity_score", {"average": "macro"}),
    "matthews": ("matthews_corrcoef", {}),
    "kappa": ("cohen_kappa_score", {}),
    "hamming": ("hamming_loss", {}),
} | {
    f"{name} {average}": (f"{name}_score", {"average": average})
    for name in ("precision", "recall", "f1")
    for average in ("micro", "macro", "weighted")
}


@dataclass(frozen=True)
class Work:
    """One line of the table: what is computed, by whom, and the ratios to reach."""

    name: str
    ours: Callable[[], Values]
    peers: Mapping[str, Callable[[], Values | None]]
    bars: Mapping[str, float] = field(default_factory=dict)
    """By peer: how many times as long as ours it has to take."""

    bytes_read: int = 0
    tolerance: float = 1e-6
    scale: Mapping[str, float] = field(default_factory=dict)
    """By peer: its time is this many times the measured one, where only a share is run."""


def installed(name: str) -> Any:
    """A module, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def tensor(column: np.ndarray) -> Any:
    """A column where JAX would have its array now."""
    (device,) = jnp.zeros(()).devices()
    return installed("torch").from_numpy(column).to("cpu" if device.platform == "cpu" else "cuda")


def nothing(*_: Any) -> None:
    """For a peer that is a floor and not the same numbers."""


def binary(rows: int) -> Work:
    """Four scores of binary labels."""
    true, pred = labels(rows, 2)
    on_device = jnp.asarray(true), jnp.asarray(pred)
    names = ("accuracy", "precision", "recall", "f1")
    metrics = {name: metric(f"{name}_score") for name in names}
    peers: dict[str, Callable[[], Values | None]] = {
        "scikit-learn": lambda: {n: getattr(sk, f"{n}_score")(true, pred) for n in names},
        "NumPy sum of the bytes": lambda: nothing(true.sum(), pred.sum()),
    }
    functional = installed("torchmetrics.functional.classification")
    if functional:
        tensors = tensor(pred), tensor(true)
        fns = {n: getattr(functional, f"binary_{n}{'_score' * (n == 'f1')}") for n in names}
        peers["torchmetrics"] = lambda: {n: float(fns[n](*tensors)) for n in names}
    metrax = installed("metrax")
    if metrax:
        scores = on_device[1].astype(jnp.float32)

        def in_metrax() -> Values:
            found = {}
            for name, cls in (("precision", metrax.Precision), ("recall", metrax.Recall)):
                state = cls.from_model_output(predictions=scores, labels=on_device[0])
                found[name] = float(state.compute())
            return found

        peers["metrax (precision and recall only)"] = in_metrax
    return Work(
        "precision, recall, F1 and accuracy, binary",
        lambda: compute(metrics, *on_device).values,
        peers,
        {"scikit-learn": 100, "torchmetrics": 100, "NumPy sum of the bytes": 0.5},
        bytes_read=true.nbytes + pred.nbytes,
    )


def hundred_classes(rows: int) -> Work:
    """Confusion matrix and macro F1 of 100 classes."""
    true, pred = labels(rows, 100)
    on_device = jnp.asarray(true), jnp.asarray(pred)
    metrics = {
        "matrix": metric("confusion_matrix", num_classes=100),
        "f1": metric("f1_score", average="macro", num_classes=100),
    }
    peers: dict[str, Callable[[], Values | None]] = {
        "scikit-learn": lambda: {
            "matrix": sk.confusion_matrix(true, pred),
            "f1": sk.f1_score(true, pred, average="macro"),
        },
        "one np.bincount": lambda: nothing(np.bincount(true * 100 + pred, minlength=10_000)),
    }
    functional = installed("torchmetrics.functional.classification")
    if functional:
        tensors = tensor(pred), tensor(true)
        peers["torchmetrics"] = lambda: {
            "matrix": functional.multiclass_confusion_matrix(*tensors, num_classes=100)
            .cpu()
            .numpy(),
            "f1": float(functional.multiclass_f1_score(*tensors, num_classes=100)),
        }
    return Work(
        "confusion matrix and macro F1, 100 classes",
        lambda: compute(metrics, *on_device).values,
        peers,
        {"scikit-learn": 50, "torchmetrics": 25, "one np.bincount": 1 / 1.5},
        bytes_read=true.nbytes + pred.nbytes,
    )


def area(rows: int) -> Work:
    """Exact AUROC."""
    true, score = binary_scores(rows)
    on_device = jnp.asarray(true), jnp.asarray(score)
    metrics = {"auroc": metric("roc_auc_score")}
    peers: dict[str, Callable[[], Values | None]] = {
        "scikit-learn": lambda: {"auroc": sk.roc_auc_score(true, score)}
    }
    functional = installed("torchmetrics.functional.classification")
    if functional:
        tensors = tensor(score).sigmoid(), tensor(true)
        # Probabilities, because it guesses what scores are; equal ones differ in the last digits.
        peers["torchmetrics"] = lambda: {"auroc": float(functional.binary_auroc(*tensors))}
    return Work(
        "exact AUROC",
        lambda: compute(metrics, *on_device).values,
        peers,
        {"scikit-learn": 5, "torchmetrics": 2.5},
        bytes_read=true.nbytes + score.nbytes,
        tolerance=1e-5,
    )


def sketched_area(rows: int) -> Work:
    """AUROC from a histogram of the scores; its bound is computed with it."""
    true, score = binary_scores(rows)
    on_device = jnp.asarray(true), jnp.asarray(score)
    metrics = {
        "auroc": metric("sketched_roc_auc_score"),
        "bound": metric("sketched_roc_auc_bound"),
    }
    exact = float(compute({"auroc": metric("roc_auc_score")}, *on_device).values["auroc"])

    def ours() -> Values:
        values = compute(metrics, *on_device).values
        if abs(float(values["auroc"]) - exact) > float(values["bound"]):
            raise AssertionError(f"{values} do not hold the exact area {exact}")
        return values

    return Work(
        "AUROC from 2^16 bins, with its bound",
        ours,
        {"scikit-learn": lambda: {"auroc": sk.roc_auc_score(true, score)}},
        {"scikit-learn": 50},
        bytes_read=true.nbytes + score.nbytes,
        tolerance=1e-5,
    )


def regression(rows: int) -> Work:
    """Four regression metrics in one pass, float32."""
    random = np.random.default_rng(0)
    true = random.standard_normal(rows, np.float32)
    pred = true + random.standard_normal(rows, np.float32)
    on_device = jnp.asarray(true), jnp.asarray(pred)
    names = {
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "rmse": "root_mean_squared_error",
        "r2": "r2_score",
    }
    metrics = {short: metric(name) for short, name in names.items()}
    peers: dict[str, Callable[[], Values | None]] = {
        "scikit-learn": lambda: {s: getattr(sk, name)(true, pred) for s, name in names.items()}
    }
    functional = installed("torchmetrics.functional")
    if functional:
        tensors = tensor(pred), tensor(true)

        def in_torch() -> Values:
            return {
                "mse": float(functional.mean_squared_error(*tensors)),
                "mae": float(functional.mean_absolute_error(*tensors)),
                "rmse": float(functional.mean_squared_error(*tensors, squared=False)),
                "r2": float(functional.r2_score(*tensors)),
            }

        peers["torchmetrics"] = in_torch
    metrax = installed("metrax")
    if metrax:
        classes = {"mse": metrax.MSE, "mae": metrax.MAE, "rmse": metrax.RMSE, "r2": metrax.RSQUARED}

        def in_metrax() -> Values:
            states = {
                short: cls.from_model_output(predictions=on_device[1], labels=on_device[0])
                for short, cls in classes.items()
            }
            return {short: float(state.compute()) for short, state in states.items()}

        peers["metrax"] = in_metrax
    return Work(
        "MSE, MAE, RMSE and R2, float32",
        lambda: compute(metrics, *on_device).values,
        peers,
        {"scikit-learn": 12, "torchmetrics": 12},
        bytes_read=true.nbytes + pred.nbytes,
        tolerance=1e-5,
    )


def ten_classes(rows: int) -> Work:
    """Everything of ten classes beside their confusion matrix alone; predictions are labels."""
    true, pred = labels(rows, 10)
    on_device = jnp.asarray(true), jnp.asarray(pred)
    metrics = {
        name: metric(function, num_classes=10, **options)
        for name, (function, options) in TEN_CLASSES.items()
    }
    metrics["f1 per class"] = metric("f1_score", num_classes=10, average=None)
    alone = {"matrix": metric("confusion_matrix", num_classes=10)}

    def in_sklearn() -> Values:
        each = {"f1 per class": sk.precision_recall_fscore_support(true, pred)[2]}
        return ten_classes_in_sklearn(true, pred) | each

    return Work(
        f"{len(metrics)} metrics of 10 classes",
        lambda: compute(metrics, *on_device).values,
        {
            "our confusion matrix alone": lambda: nothing(compute(alone, *on_device)),
            "scikit-learn": in_sklearn,
        },
        {"our confusion matrix alone": 1 / 1.5},
        bytes_read=true.nbytes + pred.nbytes,
    )


def ten_classes_in_sklearn(true: np.ndarray, pred: np.ndarray) -> dict[str, Any]:
    """What `TEN_CLASSES` names; the specificity follows from the tables of the classes."""
    scores = {name: getattr(sk, f"{name}_score") for name in ("precision", "recall", "f1")}
    accuracy = sk.accuracy_score(true, pred)
    tables = sk.multilabel_confusion_matrix(true, pred)
    return {
        "accuracy": accuracy,
        "top 1": accuracy,
        "balanced accuracy": sk.balanced_accuracy_score(true, pred),
        "f2": sk.fbeta_score(true, pred, beta=2, average="macro"),
        "jaccard": sk.jaccard_score(true, pred, average="macro"),
        "specificity": np.mean(tables[:, 0, 0] / tables[:, 0].sum(axis=-1)),
        "matthews": sk.matthews_corrcoef(true, pred),
        "kappa": sk.cohen_kappa_score(true, pred),
        "hamming": sk.hamming_loss(true, pred),
    } | {
        f"{name} {average}": score(true, pred, average=average)
        for name, score in scores.items()
        for average in ("micro", "macro", "weighted")
    }


def bootstrap(rows: int) -> Work:
    """1,000 resamples of macro F1 of 10 classes, a tenth of the rows."""
    rows //= 10
    true, pred = labels(rows, 10)
    metrics = {"f1": metric("f1_score", average="macro", num_classes=10)}
    random = np.random.default_rng(0)

    def ours() -> Values:
        states = compute(metrics, true, pred).states
        found = count_intervals(metrics, states, n_resamples=1000)["f1"]
        return {"low": found.low, "high": found.high}

    def loop() -> Values:
        values = []
        for _ in range(20):
            chosen = random.integers(0, rows, rows)
            values.append(sk.f1_score(true[chosen], pred[chosen], average="macro"))
        middle, spread = np.mean(values), 1.96 * np.std(values, ddof=1)
        return {"low": middle - spread, "high": middle + spread}

    return Work(
        f"1,000 resamples of macro F1, 10 classes, {rows:,} rows",
        ours,
        {"scikit-learn loop (20 run, extrapolated)": loop},
        {"scikit-learn loop (20 run, extrapolated)": 2000},
        # The ends are about 1 / rows ** 0.5 from the value; twenty resamples know them to a fifth.
        tolerance=0.3 / rows**0.5,
        scale={"scikit-learn loop (20 run, extrapolated)": 50},
    )


def facade(rows: int) -> Work:
    """The metrics of ten classes from NumPy arrays through the evaluator, as one row a number."""
    true, pred = labels(rows, 10)
    evaluator = ModelEvaluator("multiclass", metrics=[])
    for name, (function, options) in TEN_CLASSES.items():
        evaluator.add_metric(function, name=name, **options)
    return Work(
        f"{len(TEN_CLASSES)} of them from NumPy arrays through ModelEvaluator",
        lambda: evaluator.evaluate(true, pred).metrics,
        {"scikit-learn": lambda: ten_classes_in_sklearn(true, pred)},
        {"scikit-learn": 5},
        bytes_read=true.nbytes + pred.nbytes,
    )


def binary_facade(rows: int) -> Work:
    """The binary scores from NumPy arrays through the evaluator."""
    true, pred = labels(rows, 2)
    evaluator = ModelEvaluator("binary")
    names = ("accuracy", "precision", "recall", "f1")
    return Work(
        "the four binary scores from NumPy arrays through ModelEvaluator",
        lambda: evaluator.evaluate(true, pred).metrics,
        {"scikit-learn": lambda: {n: getattr(sk, f"{n}_score")(true, pred) for n in names}},
        {"scikit-learn": 5},
        bytes_read=true.nbytes + pred.nbytes,
    )


def strings(rows: int) -> Work:
    """Exact match and length ratio of Python strings, a tenth of the rows."""
    rows //= 10
    random = np.random.default_rng(0)
    references = [f"answer number {n}" for n in random.integers(0, 10**6, rows)]
    exact = random.integers(0, 2, rows)
    predictions = [r if n else f"no {r}" for r, n in zip(references, exact, strict=True)]
    evaluator = Evaluator({"match": exact_match_metric, "ratio": length_ratio_of_strings})

    def plain() -> Values:
        pairs = list(zip(predictions, references, strict=True))
        return {
            "match": sum(p.strip() == r.strip() for p, r in pairs) / rows,
            "ratio": sum(len(p) / len(r) if r else float(not p) for p, r in pairs) / rows,
        }

    return Work(
        f"exact match and length ratio of {rows:,} strings",
        lambda: evaluator.evaluate(predictions, references),
        {"plain Python loop": plain},
        {"plain Python loop": 1},
    )


def labels(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Random labels, a good part of them predicted."""
    random = np.random.default_rng(0)
    true = random.integers(0, classes, rows, dtype=np.int32)
    wrong = random.random(rows, np.float32) < 0.3
    pred = np.where(wrong, random.integers(0, classes, rows, dtype=np.int32), true)
    return true, pred


def binary_scores(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Random labels 0 and 1, and logits that tell them apart somewhat."""
    random = np.random.default_rng(0)
    true = random.integers(0, 2, rows, dtype=np.int32)
    return true, (random.standard_normal(rows, np.float32) + true).astype(np.float32)


WORKS: Mapping[str, Callable[[int], Work]] = {
    "binary": binary,
    "hundred_classes": hundred_classes,
    "area": area,
    "sketched_area": sketched_area,
    "regression": regression,
    "ten_classes": ten_classes,
    "bootstrap": bootstrap,
    "facade": facade,
    "binary_facade": binary_facade,
    "strings": strings,
}
