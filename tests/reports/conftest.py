"""A report with everything in it."""

import pytest

from modelops_jax.evaluation import ConfusionMatrix
from modelops_jax.metrics import Interval
from modelops_jax.reports import FineTuningReport, Score, pick_examples

LABELS = ("ham", "spam")


@pytest.fixture
def report() -> FineTuningReport:
    """A run as the spam recipe makes it, with numbers that are easy to find on the page."""

    def score(name: str, value: float, low: float, high: float, rows: int, note: str = "") -> Score:
        interval = Interval(low, high, 0.95, "multinomial percentile", 1000, 7)
        return Score(name=name, value=value, rows=rows, interval=interval, note=note)

    references = [LABELS[row % 2] for row in range(40)]
    predictions = list(references)
    predictions[3], predictions[8], predictions[21] = "ham", "spam", "neither"
    prompts = [f"mail number {row}" for row in range(40)]
    answers = [answer if answer in LABELS else "other" for answer in predictions]
    return FineTuningReport(
        title="Spam or ham",
        summary="A summary of the run.",
        before=score("Base model", 0.013, 0.001, 0.042, 101, "A fixed sample."),
        after=score("Fine-tuned model", 0.937, 0.911, 0.959, 402),
        baselines=[
            score("Majority class", 0.503, 0.451, 0.553, 403),
            score("TF-IDF + logistic regression", 0.968, 0.947, 0.983, 404),
        ],
        history=[
            {"step": 1, "epoch": 0, "loss": 2.125, "learning_rate": 1e-3},
            {"step": 2, "epoch": 0, "loss": 1.375, "learning_rate": 1e-3},
            {"step": 2, "eval_loss": 1.625, "seconds": 0.1},
            {"step": 3, "epoch": 0, "loss": 0.625, "learning_rate": 1e-3},
            {"step": 4, "eval_loss": 0.875, "seconds": 0.1},
        ],
        confusions={"After, 40 rows": ConfusionMatrix(references, answers)},
        examples=pick_examples(prompts, predictions, references),
        facts={"Seed": "17", "Training time": "2 min 31 s"},
        config="learning_rate = 0.001\n",
    )
