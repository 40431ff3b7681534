"""`modelops evaluate`: what it prints where, and with which exit code."""

import datetime
import functools
import json
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import rich.progress
from sklearn import metrics as sk

import modelops_jax.data
from modelops_jax.cli import main
from modelops_jax.evaluation import ModelEvaluator, compare


@pytest.fixture
def predictions(tmp_path):
    random = np.random.default_rng(0)
    true = random.integers(0, 3, 500)
    pred = np.where(random.random(500) < 0.8, true, random.integers(0, 3, 500))
    path = tmp_path / "predictions.csv"
    lines = [f"{t},c{t},{p},c{p}" for t, p in zip(true, pred, strict=True)]
    path.write_text("\n".join(["y_true,name,y_pred,said", *lines]))
    return path, true, pred


def test_json_holds_the_values_of_scikit_learn(predictions, tmp_path, capsys):
    path, true, pred = predictions
    output = tmp_path / "result.json"
    arguments = ["evaluate", str(path), "--task", "multiclass", "--format", "json"]
    assert main([*arguments, "--ci", "0.9", "--output", str(output)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert found == json.loads(output.read_text())
    assert found["sample_count"] == 500
    assert found["metrics"]["accuracy"] == pytest.approx(sk.accuracy_score(true, pred), abs=1e-12)
    macro = sk.f1_score(true, pred, average="macro")
    assert found["metrics"]["f1"] == pytest.approx(macro, abs=1e-12)
    interval = found["intervals"]["f1"]
    assert interval["low"] < macro < interval["high"]


def test_the_table_goes_to_standard_output(predictions, capsys):
    path, _, _ = predictions
    assert main(["evaluate", str(path), "--true", "name", "--pred", "said"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("classification, 500 rows\n  accuracy ")
    assert err == ""


def test_bad_rows_are_listed_and_fail_the_command(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"y_true": 1, "y_pred": 2.5}\n{"y_true": 2}\n{"y_true": 3, "y_pred": 3}\n')
    assert main(["evaluate", str(path), "--task", "regression"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{path}, line 2: no key 'y_pred'; the keys are 'y_true'" in err
    assert "1 bad row(s), 2 good; nothing was computed" in err
    assert main(["evaluate", str(path), "--task", "regression", "--allow-bad-rows"]) == 0
    out, err = capsys.readouterr()
    assert "regression, 2 rows, 1 invalid left out\n" in out
    assert "line 2" in err
    path.write_text('{"y_true": 2}\n')
    assert main(["evaluate", str(path), "--task", "regression", "--allow-bad-rows"]) == 1
    assert f"{path} has no good rows to evaluate" in capsys.readouterr().err
    (header := tmp_path / "header.csv").write_text("y_true,y_pred\n")
    assert main(["evaluate", str(header)]) == 1
    assert f"{header} has no rows to evaluate" in capsys.readouterr().err


def test_slices_and_groups_are_those_of_the_evaluator(predictions, tmp_path, capsys):
    path, true, pred = predictions
    lang, user = np.arange(500) % 3, np.arange(500) // 5
    rows = ["y_true,y_pred,lang,user"]
    rows += [f"{t},{p},l{g},u{u}" for t, p, g, u in zip(true, pred, lang, user, strict=True)]
    path.write_text("\n".join(rows))
    arguments = ["evaluate", str(path), "--slice", "lang", "--ci", "0.9", "--group", "user"]
    output = tmp_path / "result.json"
    assert main([*arguments, "--output", str(output)]) == 0
    assert "\nby lang\n" in capsys.readouterr().out
    found = json.loads(output.read_text())
    labels = [f"l{g}" for g in lang]
    expected = ModelEvaluator("classification").evaluate(
        true, pred, confidence=0.9, groups=[f"u{u}" for u in user], slices={"lang": labels}
    )
    assert found["metrics"] == dict(expected.metrics)
    assert [part["key"] for part in found["slices"]] == [dict(s.key) for s in expected.slices]
    assert found["intervals"]["f1"]["low"] == expected.intervals["f1"].low


def test_days_and_decimals_of_parquet_are_slices(tmp_path, capsys):
    """Under the keys that the same file of text would give, one by one and crossed."""
    days = [datetime.date(2026, 11, day) for day in (25, 26, 25, 26)]
    prices = [Decimal("1.50"), Decimal("1.50"), Decimal("2.00"), Decimal("2.00")]
    columns = {"y_true": [1, 0, 2, 1], "y_pred": [1, 2, 2, 1], "day": days, "price": prices}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    asked = ["--metric", "accuracy_score", "--slice", "day,price"]
    assert main(["evaluate", str(tmp_path / "a.parquet"), *asked, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["slices"]
    right = {json.dumps(part["key"]): part["metrics"]["accuracy_score"] for part in found}
    assert right['{"day": "2026-11-26"}'] == 0.5
    assert right['{"day": "2026-11-25"}'] == 1.0
    assert right['{"day": "2026-11-26", "price": "1.50"}'] == 0.0
    assert len(right) == 2 + 2 + 4


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Names, two models' labels and probabilities of both classes."""
    random = np.random.default_rng(3)
    true = random.integers(0, 2, 400)
    chance = np.clip(0.3 * true + 0.7 * random.random(400), 0, 1).round(3)
    names = np.array(["ham", "spam"])
    good, poor = names[(chance > 0.5) * 1], names[(random.random(400) > 0.5) * 1]
    path = tmp_path_factory.mktemp("scored") / "scored.csv"
    columns = names[true], good, poor, chance, (1 - chance).round(3)
    lines = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(["y_true,good,poor,p_spam,p_ham", *lines]))
    return path, columns


def evaluated(capsys, *arguments):
    """The JSON that the command prints."""
    assert main(["evaluate", *map(str, arguments), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_metrics_by_name_with_options_and_scores(scored, capsys):
    """Of the table, with keys of their own; probabilities of one class or of each."""
    path, (true, good, _, chance, _) = scored
    asked = ["--metric", "f2=fbeta_score:beta=2,average=macro", "--metric", "log_loss"]
    asked += ["--metric", "expected_calibration_error:bins=5", "--pred", "good"]
    asked += ["--metric", "jaccard=jaccard_score:average=none"]
    one = evaluated(capsys, path, *asked, "--score", "p_spam", "--positive", "spam", "--ci", "0.9")
    assert list(one["metrics"]) == ["f2", "log_loss", "expected_calibration_error:bins=5"]
    positive = true == "spam"
    assert one["metrics"]["log_loss"] == pytest.approx(sk.log_loss(positive, chance), abs=1e-12)
    f2 = sk.fbeta_score(true, good, beta=2, average="macro")
    assert one["metrics"]["f2"] == pytest.approx(f2, abs=1e-12)
    jaccard = sk.jaccard_score(true, good, average=None)  # pyright: ignore[reportArgumentType]
    found = [each["metrics"]["jaccard"] for each in one["per_class"]]
    assert found == pytest.approx(jaccard, abs=1e-12)
    ends = [each["intervals"]["jaccard"] for each in one["per_class"]]
    both = zip(ends, found, strict=True)
    assert all(i["low"] < value < i["high"] and i["level"] == 0.9 for i, value in both)
    by_class = ["--score", "ham=p_ham", "--score", "spam=p_spam"]
    asked = ["--metric", "log_loss", "--pred", "good"]
    each = evaluated(capsys, path, *asked, *by_class)["metrics"]
    assert each["log_loss"] == pytest.approx(one["metrics"]["log_loss"], abs=1e-12)
    default = evaluated(capsys, path, "--pred", "good", *by_class)["metrics"]
    assert default["roc_auc_score"] == pytest.approx(sk.roc_auc_score(positive, chance), abs=1e-12)
    assert main(["evaluate", str(path), *asked, "--score", "p_spam", "--positive", "spamm"]) == 1
    assert "positive_class='spamm' does not occur among the labels" in capsys.readouterr().err
    assert main(["evaluate", str(path), "--pred", "good", "--score", "p_spam"]) == 1
    assert "of the metric (--positive on the command line)" in capsys.readouterr().err
    ignoring = evaluated(capsys, path, *asked, *by_class, "--ignore", "ham")
    spam = -np.log(chance[positive]).mean()
    assert ignoring["metrics"]["log_loss"] == pytest.approx(spam, abs=1e-12)
    only_scores = ["--metric", "roc_auc_score", "--pred", "no such column", *by_class]
    assert evaluated(capsys, path, *only_scores)["metrics"]["roc_auc_score"] > 0.8


def test_the_report_is_one_page(scored, tmp_path, capsys):
    """Of one model with its pictures, of several their comparison; it says how it was made."""
    path, _ = scored
    page = tmp_path / "page.html"
    one = [path, "--report", page, "--pred", "good", "--metric", "accuracy_score"]
    evaluated(capsys, *one, "--metric", "log_loss", "--score", "p_spam", "--positive", "spam")
    text = page.read_text("utf-8")
    assert text.count("<svg") == 3
    assert "read in chunks and memory did not grow" in text
    assert "computed at every distinct score; the curves are thinned" in text
    evaluated(capsys, *one, "--ignore", "nobody", "--ci", "0.9")
    assert "read in chunks and memory did not grow" in page.read_text("utf-8")
    assert "Wilson" in page.read_text("utf-8")
    two = ["--pred", "good", "--pred", "poor", "--metric", "accuracy_score"]
    evaluated(capsys, path, "--report", page, *two)
    assert "worse than the best" in page.read_text("utf-8")
    for model in ("good", "poor"):
        assert f"<caption>{model}</caption>" in page.read_text("utf-8")
    assert "read in chunks and memory did not grow" in page.read_text("utf-8")
    for sliced in ((), ("--slice", "poor")):
        evaluated(capsys, *one, "--group", "poor", *sliced)
        assert "its rows, but with its groups." in page.read_text("utf-8")
    spam = ["--metric", "log_loss", "--score", "p_spam", "--positive", "spam"]
    evaluated(capsys, *one, *spam, "--ci", "0.9", "--interval", "bca")
    assert "All rows were in memory at once" in page.read_text("utf-8")


def test_a_model_is_asked_and_reported(tmp_path, capsys, monkeypatch):
    """Answers, result and page in one folder; the same command again asks nothing."""
    from modelops_jax.models import Model

    rows = [{"prompt": f"mail {n}", "completion": "spam" if n % 2 else "ham"} for n in range(6)]
    path, folder = tmp_path / "mails.jsonl", tmp_path / "answers"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    monkeypatch.setattr(Model, "generate", lambda _, prompts, **__: [" ham\n"] * len(prompts))
    asked = [path, "--model", "tiny", "--folder", folder, "--task", "classification"]
    asked += ["--metric", "accuracy_score", "--ci", "0.9"]
    found = evaluated(capsys, *asked)
    assert found["metrics"] == {"accuracy_score": 0.5}
    assert json.loads((folder / "result.json").read_text())["metrics"] == found["metrics"]
    kept = (folder / "predictions.jsonl").read_text("utf-8")
    answers = [json.loads(line) for line in kept.splitlines()]
    assert [one["scores"]["accuracy_score"] for one in answers] == [1.0, 0.0] * 3
    page = (folder / "report.html").read_text("utf-8")
    assert "tiny on mails.jsonl" in page
    assert "6 of 6 answers were made in this run" in page
    assert "True and predicted labels" in page
    assert "✗ wrong" in page
    monkeypatch.setattr(Model, "generate", lambda *_, **__: pytest.fail("asked again"))
    assert evaluated(capsys, *asked)["metrics"] == found["metrics"]
    assert main(["evaluate", *map(str, asked), "--temperature", "1"]) == 1
    assert "generation.temperature is 0.0, this one has 1.0" in capsys.readouterr().err
    assert main(["evaluate", *map(str, asked), "--pred", "p"]) == 1
    assert "--pred is for a file of predictions, not for --model" in capsys.readouterr().err
    assert main(["evaluate", str(path), "--model", "tinny"]) == 1
    assert "unknown model 'tinny'; did you mean 'tiny'?" in capsys.readouterr().err
    path.write_text(f'{{"prompt": 1}}\n{path.read_text()}')
    assert main(["evaluate", *map(str, asked)]) == 1
    assert "line 1: found keys ['prompt']" in capsys.readouterr().err
    assert main(["evaluate", *map(str, asked), "--allow-bad-rows", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert f"{path}, line 1: found keys ['prompt']" in err
    assert (json.loads(out)["metrics"], json.loads(out)["bad_rows"]) == (found["metrics"], 1)
    assert "line 1: found keys" in (folder / "report.html").read_text("utf-8")


def test_several_predictions_are_compared(scored, capsys, monkeypatch):
    """As a table and as JSON, against a baseline: what `compare` says of all rows, in chunks."""
    in_chunks = functools.partial(modelops_jax.data.read_table, chunk_rows=64)
    monkeypatch.setattr(modelops_jax.data, "read_table", in_chunks)
    path, (true, good, poor, *_) = scored
    asked = [path, "--pred", "good", "--pred", "poor"]
    both = evaluated(capsys, *asked, "--resamples", "40", "--seed", "2")
    models = {"good": good, "poor": poor}
    whole = compare(true, models, task="classification", n_resamples=40, seed=2).to_dict()
    assert both["metrics"] == json.loads(json.dumps(whole))["metrics"]
    asked += ["--metric", "accuracy_score"]
    found = evaluated(capsys, *asked, "--baseline", "good")
    assert found["models"] == ["good", "poor"]
    assert found["metrics"]["accuracy_score"]["verdicts"]["poor"] == "worse than good"
    assert main(["evaluate", *map(str, asked)]) == 0
    assert "2 models on 400 rows, all pairs" in capsys.readouterr().out
    assert main(["evaluate", *map(str, asked), "--slice", "p_ham"]) == 1
    assert "--slice needs one --pred" in capsys.readouterr().err


@pytest.mark.model
@pytest.mark.parametrize("column", ["--weight", "--group"])
def test_weighted_or_grouped_predictions_are_compared(
    scored, tmp_path, capsys, monkeypatch, column
):
    """What `compare` says of all rows, in chunks; the page says what memory grows with."""
    in_chunks = functools.partial(modelops_jax.data.read_table, chunk_rows=64)
    monkeypatch.setattr(modelops_jax.data, "read_table", in_chunks)
    path, (true, good, poor, chance, _) = scored
    page = tmp_path / "page.html"
    asked = [path, "--pred", "good", "--pred", "poor", "--resamples", "40", "--report", page]
    models = {"good": good, "poor": poor}
    found = evaluated(capsys, *asked, column, "p_spam")["metrics"]
    given = {column.removeprefix("--").replace("group", "groups"): chance}
    whole = compare(true, models, task="classification", n_resamples=40, **given).to_dict()
    for name, expected in whole["metrics"].items():
        assert found[name]["values"] == pytest.approx(expected["values"], rel=1e-11)
        (pair,), (other,) = found[name]["pairs"], expected["pairs"]
        assert (pair["p_value"], pair["test"]) == (other["p_value"], "permutation")
        ends = [one["interval"][end] for one in (pair, other) for end in ("low", "high")]
        assert ends[:2] == pytest.approx(ends[2:], rel=1e-11, abs=1e-12)
    text = page.read_text("utf-8")
    assert "read in chunks and memory did not grow with its rows" in text
    assert ("its rows, but with its groups." in text) is (column == "--group")


def test_models_with_scores_are_compared(scored, tmp_path, capsys):
    """Each --score is of the --pred at its place, by class too; alone they are the models."""
    path, (true, good, _, chance, _) = scored
    page = tmp_path / "page.html"
    asked = [path, "--metric", "roc_auc_score"]
    both = [*asked, "--metric", "accuracy_score", "--pred", "good", "--pred", "poor"]
    columns = ["--score", "p_spam", "--score", "p_ham", "--positive", "spam"]
    found = evaluated(capsys, *both, *columns, "--report", page)["metrics"]
    area = sk.roc_auc_score(true == "spam", chance)
    areas = {"good": pytest.approx(area, abs=1e-12), "poor": pytest.approx(1 - area, abs=2e-3)}
    assert found["roc_auc_score"]["values"] == areas
    assert found["accuracy_score"]["values"]["good"] == np.mean(true == good)
    text = page.read_text("utf-8")
    assert f">{area:.3f}</text>" in text
    assert text.count("<svg") == 2 + 3
    assert "<caption>poor</caption>" in text
    by_class = [f"--score={c}" for c in ("ham=p_ham", "spam=p_spam", "spam=p_ham", "ham=p_spam")]
    few = ["--pred", "good", "--pred", "poor", "--resamples", "2"]
    each = evaluated(capsys, *asked, *few, *by_class)
    assert each["metrics"]["roc_auc_score"]["values"] == areas
    alone = evaluated(capsys, *asked, *columns)
    assert alone["models"] == ["p_spam", "p_ham"]
    assert list(alone["metrics"]["roc_auc_score"]["values"].values()) == list(areas.values())


def test_a_terminal_sees_how_far_the_file_was_read(predictions, capsys, monkeypatch):
    """On standard error, up to the whole file; a pipe sees nothing."""
    path, _, _ = predictions
    shares = []

    class Watched(rich.progress.Progress):
        def update(self, task_id, **changes):
            super().update(task_id, **changes)
            shares.append(self.tasks[task_id].percentage)

    monkeypatch.setattr("rich.progress.Progress", Watched)
    assert main(["evaluate", str(path)]) == 0
    assert path.name not in capsys.readouterr().err
    shares.clear()
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    in_chunks = functools.partial(modelops_jax.data.read_table, chunk_rows=100)
    monkeypatch.setattr("modelops_jax.data.read_table", in_chunks)
    assert main(["evaluate", str(path)]) == 0
    out, err = capsys.readouterr()
    assert path.name in err
    assert path.name not in out
    assert len(shares) == 6
    assert shares == sorted(shares)
    assert shares[-1] == 100


@pytest.mark.parametrize(
    ("method", "of_errors", "of_shares"),
    [
        ("auto", "Poisson percentile", "Wilson"),
        ("percentile", "Poisson percentile", "multinomial percentile"),
        ("bca", "Poisson BCa", "multinomial BCa"),
        ("wilson", None, "Wilson"),
        ("exact", None, "Clopper-Pearson"),
    ],
)
def test_an_interval_is_made_as_asked_or_refused(predictions, capsys, method, of_errors, of_shares):
    """Of errors, resampled as rows come in, a formula for shares is no method."""
    path, _, _ = predictions
    asked = [path, "--ci", "0.9", "--resamples", "100", "--interval", method]
    found = evaluated(capsys, *asked, "--metric", "accuracy_score")
    assert found["intervals"]["accuracy_score"]["method"] == of_shares
    errors = [*asked, "--task", "regression", "--metric", "mean_absolute_error"]
    if of_errors is None:
        assert main(["evaluate", *map(str, errors)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert f"interval is '{method}'; mean_absolute_error: resampled as rows come in" in err
    else:
        found = evaluated(capsys, *errors)
        assert found["intervals"]["mean_absolute_error"]["method"] == of_errors


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["evaluate", "{path}", "--task", "guess"], 2, "'guess' is not one of"),
        (["evaluate", "{path}", "--nope"], 2, "No such option: --nope"),
        (["evaluate", "{path}.csv"], 1, "no such file"),
        (["evaluate", "{path}", "--pred", "p"], 1, "no column 'p'; the columns are 'y_true'"),
        (["evaluate", "{path}", "--pred", "y_true"], 1, "two things at once"),
        (["evaluate", "{path}", "--ci", "2"], 1, "confidence is 2"),
        (["evaluate", "{path}", "--metric", "f1_score:beta=3"], 1, "has no option 'beta'"),
        (["evaluate", "{path}", "--metric", "a:b"], 2, "found 'a:b', expected NAME, NAME:OPTION"),
        (["evaluate", "{path}", "--metric", "f1"], 1, "did you mean 'f1_score'?"),
        (["evaluate", "{path}", "--metric", "mse"], 1, "did you mean 'mean_squared_error'?"),
        (["evaluate", "{path}", "--metric", "auc"], 1, "did you mean 'roc_auc_score'?"),
        (
            ["evaluate", "{path}", "--pred", "p", "--score", "a", "--score", "b"],
            1,
            "--score: found 2 (a, b) and 1 --pred (p); expected a COLUMN for each --pred",
        ),
        (
            ["evaluate", "{path}", "--score", "x=a", "--score", "x=b", "--score", "y=c"],
            1,
            "--score: found columns 2 of 'x' and no --pred; expected a LABEL=COLUMN of every",
        ),
        (["evaluate", "{path}", "--score", "a", "--score", "a"], 1, "'a' cannot serve as two"),
        (
            ["evaluate", "{path}", "--score", "a", "--score", "b", "--metric", "accuracy_score"],
            1,
            "accuracy_score: needs a --pred for each --score",
        ),
        (["evaluate", "{path}", "--positive", "a"], 1, "--positive needs --score"),
        (["evaluate", "{path}", "--task", "regression", "--ignore", "0"], 1, "one label a row"),
        (["evaluate", "{path}", "--baseline", "a"], 1, "--baseline needs several --pred"),
        (["evaluate", "{path}", "--ci", "0.9", "--resamples", "0"], 2, "value for '--resamples'"),
        (["evaluate", "{path}", "--resamples", "9"], 1, "--resamples needs --ci, or several"),
        (["evaluate", "{path}", "--interval", "bca"], 1, "--interval needs --ci, or several"),
        (["nope"], 2, "No such command 'nope'"),
    ],
)
def test_mistakes_are_named(predictions, capsys, arguments, code, message):
    path, _, _ = predictions
    assert main([argument.format(path=path) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "1,0\n1,\n0,1\n", "a.csv, line 3: y_pred: found an empty cell, expected an i"),
        ("a.csv", "1,1\n0,1.0\n", "a.csv, line 3: y_pred: found '1.0', expected an integer as in"),
        ("a.csv", "true,1\n", "a.csv, line 2: y_true: found 'true', expected an integer as in"),
        (
            "a.jsonl",
            '{"y_true": true, "y_pred": "1"}\n',
            "a.jsonl, line 1: y_pred: found '1', expected true or false as in y_true",
        ),
    ],
)
def test_the_cell_that_makes_labels_of_two_kinds_is_named(tmp_path, capsys, name, text, message):
    path = tmp_path / name
    path.write_text(f"y_true,y_pred\n{text}" if name.endswith(".csv") else text)
    assert main(["evaluate", str(path)]) == 1
    assert message in capsys.readouterr().err


def test_fractions_are_labels_of_a_classification_that_was_asked_for_alone(tmp_path, capsys):
    """As texts of a CSV file they would all be classes, and nearly all of them wrong."""
    path = tmp_path / "a.csv"
    path.write_text("y_true,y_pred\n3,2.5\n0.75,1\n-1e-3,4\n")
    assert main(["evaluate", str(path)]) == 1
    error = capsys.readouterr().err
    assert "a.csv, line 3: y_true: found '0.75', and numbers throughout y_true and y_pred" in error
    assert "--task regression" in error
    for task in ("regression", "classification"):
        assert main(["evaluate", str(path), "--task", task, "--format", "json"]) == 0
        metrics = json.loads(capsys.readouterr().out)["metrics"]
        assert ("accuracy" in metrics) == (task == "classification")
    path.write_text("y_true,y_pred\n3.5,2.5\n0.75,good\n")
    assert main(["evaluate", str(path)]) == 0


def test_help_imports_neither_jax_nor_numpy():
    script = (
        "import sys; from modelops_jax.cli import main; code = main(['--help']);"
        "assert code == 0; assert not {'jax', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "evaluate" in done.stdout


_OWN_METRIC = """
import tabnanny
import jax.numpy as jnp
from modelops_jax.metrics import Mean, Metric, RowMean, register_metric

def far_off(y_true, y_pred):
    return (jnp.abs(y_true - y_pred) > 1).astype(y_true.dtype)

register_metric(
    "share_far_off", Metric("share_far_off", (RowMean(far_off),), Mean()),
    inputs="values", higher_is_better=False, low=0, high=1,
)
"""


# As the console script starts: without the working folder on the path, which `-c` puts there.
_COMMANDS = """
import os, sys
from modelops_jax.cli import main
for arguments in ARGUMENTS:
    code = main(arguments)
    assert os.getcwd() not in sys.path
    if code:
        sys.exit(code)
"""


def test_a_metric_of_ones_own_is_imported(tmp_path):
    """In a process of its own, whose table alone has it, with slices and an interval.

    Files beside it that are called as modules of the library are not executed in their place.
    """
    (tmp_path / "own_metrics.py").write_text(_OWN_METRIC)
    for shadow in ("statistics", "tabnanny"):  # read by the package, and by the metric alone
        (tmp_path / f"{shadow}.py").write_text("raise SystemExit('a file of the folder was run')")
    rows = [f"{t},{t + (t % 4 == 0) * 3},{t % 2}" for t in range(80)]
    (tmp_path / "rows.csv").write_text("\n".join(["y_true,y_pred,odd", *rows]))
    command = ["evaluate", "rows.csv", "--task", "regression"]
    mine = ["--import", "own_metrics", "--metric", "share_far_off"]
    mine += ["--ci", "0.9", "--slice", "odd", "--format", "json"]
    plain = ["--metric", "max_error", "--output", "plain.json"]
    script = _COMMANDS.replace("ARGUMENTS", repr([[*command, *plain], [*command, *mine]]))
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "plain.json").read_text())["metrics"] == {"max_error": 3.0}
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["metrics"] == {"share_far_off": 0.25}
    interval = found["intervals"]["share_far_off"]
    assert 0 < interval["low"] < 0.25 < interval["high"] < 1
    assert [one["metrics"]["share_far_off"] for one in found["slices"]] == [0.5, 0.0]


def test_a_module_that_is_missing_is_named(predictions, capsys):
    path, _, _ = predictions
    assert main(["evaluate", str(path), "--import", "no_such_module"]) == 2
    assert "no_such_module" in capsys.readouterr().err
