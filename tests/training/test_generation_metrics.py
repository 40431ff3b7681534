"""What a model says while it is trained, in the history, and deciding which weights are kept."""

import dataclasses
import math

import pytest

from modelops_jax.data import Dataset
from modelops_jax.evaluation import TEXT_METRICS
from modelops_jax.metrics import METRICS
from modelops_jax.training import (
    ConfigError,
    GenerationConfig,
    TrainingConfig,
    _answer_metrics,
    config_from_dict,
    fit,
    plan,
    render_prompt,
)
from modelops_jax.training._generation import GenerationMetrics

# One row each way of saying it, learned in a few dozen steps.
ROWS = Dataset(
    [
        {"prompt": "a", "completion": "b"},
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
                {"role": "assistant", "content": "d", "weight": 1},
            ]
        },
    ]
)
CONFIG = TrainingConfig(
    epochs=24,
    learning_rate=1e-2,
    schedule="constant",
    log_every=1000,
    eval_every=4,
    monitor="eval_exact_match",
    keep_best=True,
    remat="none",
    generate=GenerationConfig(("exact_match", "length_ratio"), max_new_tokens=4),
)


def wilson(share: float, rows: int) -> list[float]:
    """The 95 % interval of a share of rows (Wilson, 1927), written out."""
    z = 1.959963984540054
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * (share * (1 - share) / rows + z * z / (4 * rows * rows)) ** 0.5
    return [centre - half, centre + half]


def test_answers_are_measured_while_training_and_decide_what_is_kept(model, tmp_path):
    """From none right to all; the first step with the most is what the run returns."""
    result = fit(model, ROWS, config=CONFIG, eval=ROWS, folder=tmp_path, progress="off")
    matches = {r["step"]: r["eval_exact_match"] for r in result.history if "eval_loss" in r}
    assert list(matches) == [4, 8, 12, 16, 20, 24]
    assert matches[4] < matches[24] == 1.0
    assert result.step == max(matches, key=matches.__getitem__)
    for record in result.history:
        if "eval_loss" in record:
            share = record["eval_exact_match"]
            assert record["eval_exact_match_interval"] == pytest.approx(wilson(share, 2), abs=1e-9)
            assert 0 <= record["eval_length_ratio"] <= 4
    asked = [render_prompt(model.tokenizer, "a"), ROWS[1]["messages"][:3]]
    asked[1] = [{k: m[k] for k in ("role", "content")} for m in asked[1]]
    assert result.model.generate(asked, max_new_tokens=4) == ["b", "d"]


@pytest.mark.parametrize("ended_by", [{"max_steps": 6}, {"early_stopping_patience": 1}])
def test_generation_has_its_own_pace(model, ended_by):
    """Every 4 steps, at the end however it comes, and apart from the held-out loss."""
    own = GenerationConfig(("exact_match",), every=4, max_new_tokens=4)
    # Too slow a run to become better: of patience it ends with the second evaluation.
    others = {"eval_every": 3, "keep_best": False, "generate": own, "monitor": "eval_loss"}
    config = dataclasses.replace(CONFIG, learning_rate=1e-12, **others, **ended_by)
    history = fit(model, ROWS, config=config, eval=ROWS, progress="off").history
    found = {
        r["step"]: ("eval_loss" in r, "eval_exact_match" in r) for r in history if "epoch" not in r
    }
    assert found == {3: (True, False), 4: (False, True), 6: (True, True)}


def test_an_answer_that_is_no_label_is_a_class_of_its_own(measured):
    """scikit-learn on the same labels, all wrong words as one."""
    from sklearn.metrics import f1_score, matthews_corrcoef

    truth = ["spam", "ham", "spam", "ham", "spam"]
    rows = [{"prompt": "x", "completion": label} for label in truth]
    said = ["spam", "spam ", "eggs", "toast", "spam"]
    names = ("matthews_corrcoef", "f1_score")
    found = measured(rows, said, metrics=names)
    as_labels = ["spam", "spam", "other", "other", "spam"]
    assert found["eval_f1_score"] == pytest.approx(
        f1_score(truth, as_labels, average="macro", zero_division=0)  # pyright: ignore[reportArgumentType]
    )
    assert found["eval_matthews_corrcoef"] == pytest.approx(matthews_corrcoef(truth, as_labels))
    low, high = found["eval_f1_score_interval"]
    assert low <= found["eval_f1_score"] <= high


# What some metrics need, as a configuration writes it.
OPTIONS = {"fbeta_score": ":beta=2"}
NUMBERS = [n for n, info in METRICS.items() if info.inputs in ("values", "positive")]
ANSWERABLE = sorted({*TEXT_METRICS, *(n for n, i in METRICS.items() if i.inputs == "labels")})
ANSWERABLE.remove("confusion_matrix")


@pytest.mark.parametrize("level", [None, pytest.param(0.95, marks=pytest.mark.model)])
def test_all_metrics_of_answers_are_accepted_and_measured(measured, monkeypatch, level):
    """Each name that a configuration takes has a value, a direction and an interval."""
    monkeypatch.setattr(_answer_metrics, "CONFIDENCE", level)
    rows = [{"prompt": "x", "completion": text} for text in ("spam", "ham eggs", "spam", "ham")]
    metrics = tuple(f"{name}{OPTIONS.get(name, '')}" for name in ANSWERABLE)
    said = ["spam", "ham eggs", "ham", "ham"]
    found = measured(rows, said, metrics=metrics)
    for metric in metrics:
        assert math.isfinite(found[f"eval_{metric}"]), metric
        if level is not None:
            low, high = found[f"eval_{metric}_interval"]
            assert low <= found[f"eval_{metric}"] <= high, metric
    of_run = GenerationConfig(metrics).directions
    assert of_run.keys() == {f"eval_{metric}" for metric in metrics}
    assert {name for name, way in of_run.items() if way is None} == {"eval_length_ratio"}


@pytest.mark.parametrize(
    "name", sorted(METRICS.keys() - {*ANSWERABLE, *NUMBERS} - {"confusion_matrix"})
)
def test_all_other_metrics_are_refused_with_the_reason(name):
    """When the configuration is made: none of them ends a run at its first evaluation."""
    takes = METRICS[name].inputs.replace("_", " ")
    with pytest.raises(ConfigError, match=rf"generate\.metrics: {name} takes {takes}, and answers"):
        config_from_dict({"generate": {"metrics": [name]}})


def test_options_are_those_of_the_command_line(measured):
    """scikit-learn with the same ones; numbers are labels where answers are."""
    from sklearn.metrics import fbeta_score

    truth, said = ["1", "0", "1", "0", "1"], ["1", "1", "0", "0", "7"]
    rows = [{"prompt": "x", "completion": label} for label in truth]
    two = "f2=fbeta_score:beta=2,average=binary,positive_class=1"
    found = measured(rows, said, metrics=(two, "fbeta_score:beta=0.5"))
    binary = fbeta_score([t == "1" for t in truth], [s == "1" for s in said], beta=2)
    assert found["eval_f2"] == pytest.approx(binary)
    macro = fbeta_score(truth, said, beta=0.5, average="macro", zero_division=0)  # pyright: ignore[reportArgumentType]
    assert found["eval_fbeta_score:beta=0.5"] == pytest.approx(macro)


def test_what_only_the_rows_reveal_ends_a_run_before_its_first_step(model):
    """A class that no row has, and a name that the loss has."""
    for metrics, message in (
        (
            "f1_score:average=binary,positive_class=q",
            r"generate\.metrics, of the eval.*'q' does not",
        ),
        (
            "loss=exact_match",
            r"generate\.metrics: eval_loss is a value of every evaluation already",
        ),
    ):
        generate = GenerationConfig((metrics,), max_new_tokens=4)
        config = dataclasses.replace(
            CONFIG, monitor="eval_loss", keep_best=False, generate=generate
        )
        records = []
        with pytest.raises(ValueError, match=message):
            fit(model, ROWS, config=config, eval=ROWS, callback=records.append, progress="off")
        assert not records


def test_of_two_answers_the_better_one_is_right(measured):
    """Rows of preference tuning, as strings and as messages."""
    asked = {"role": "user", "content": "a"}
    rows = [
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {
            "prompt": [asked],
            "chosen": [{"role": "assistant", "content": "b"}],
            "rejected": [{"role": "assistant", "content": "c"}],
        },
    ]
    assert measured(rows, ["b", "b"])["eval_exact_match"] == 1
    assert measured(rows, ["c", "b"])["eval_exact_match"] == 0.5


def test_the_sample_is_fixed_and_fits_the_context(model):
    """The same rows each time; a prompt without room is refused, or left out if asked."""
    rows = Dataset([{"prompt": f"{n}", "completion": f"{n}"} for n in range(50)])
    config = GenerationConfig(rows=8)

    def sample(seed_rows, drop=False):
        return GenerationMetrics(config, model, seed_rows, drop_overlong=drop)._references

    assert len(set(sample(rows))) == 8
    assert sample(rows) == sample(rows) != sample(rows[:49])
    long = Dataset([{"prompt": "x" * 250, "completion": "y"}, {"prompt": "x", "completion": "z"}])
    with pytest.raises(
        ValueError, match=r"evaluation dataset, row 0: the prompt leaves room for -"
    ):
        sample(long)
    assert sample(long, drop=True) == ["z"]
    first = [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "x"}]
    with pytest.raises(ValueError, match=r"row 0: messages\[0\]: the assistant speaks first"):
        sample(Dataset([{"messages": first}]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ["exact_mach"]}, r"generate\.metrics: .*exact_mach"),
        (
            {"metrics": ["roc_auc_score"]},
            r"generate\.metrics: roc_auc_score takes scores",
        ),
        (
            {"metrics": ["f1_score", "f1_score"]},
            r"generate\.metrics: .*f1_score.* is there already",
        ),
        ({"metrics": []}, r"generate\.metrics is empty"),
        (
            {"metrics": ["fbeta_score"]},
            r"generate\.metrics: fbeta_score: .* needs the options: beta",
        ),
        (
            {"metrics": ["f1_score:beta=2"]},
            r"generate\.metrics: f1_score:beta=2: .*no option 'beta'",
        ),
        (
            {"metrics": ["f1_score:beta"]},
            r"generate\.metrics: found 'f1_score:beta', expected NAME",
        ),
        ({"metrics": ["fbeta_score:beta=x"]}, r"generate\.metrics: fbeta_score:beta=x: "),
        ({"metrics": ["f1_score:average=null"]}, r"f1_score:average=null: .*more than one number"),
        ({"metrics": ["confusion_matrix"]}, r"confusion_matrix: .*more than one number"),
        ({"metrics": ["a=f1_score", "a=exact_match"]}, r"a metric named 'a' is there already"),
        ({"rows": 0}, r"generate\.rows must be at least 1, found 0"),
        (
            {"metric": ["f1_score"]},
            r"unknown key 'training\.generate\.metric'; did you mean 'metrics'",
        ),
    ],
)
def test_mistakes_are_named_before_anything_is_loaded(settings, message):
    """Unknown metrics, those of other inputs, and wrong numbers."""
    with pytest.raises(ConfigError, match=message):
        config_from_dict({"generate": settings})


def test_the_monitored_value_has_to_be_one_that_there_is(model, tmp_path):
    """The error lists those with a direction."""
    for key, message in (
        ("eval_f1", "'eval_f1' is no value of an evaluation; there are eval_loss, eval_token_acc"),
        ("eval_length_ratio", "'eval_length_ratio' has no direction"),
    ):
        config = dataclasses.replace(CONFIG, monitor=key)
        with pytest.raises(ValueError, match=message):
            fit(model, ROWS, config=config, eval=ROWS, folder=tmp_path, progress="off")
        with pytest.raises(ValueError, match=message):
            plan(model, ROWS, config=config, largest_batch=False)
    with pytest.raises(ValueError, match=r"training\.generate: need held-out rows"):
        fit(model, ROWS, config=dataclasses.replace(CONFIG, keep_best=False))
