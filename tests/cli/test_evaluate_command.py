"""`modelops evaluate`: what it prints where, and with which exit code."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sk

from modelops_jax.cli import main
from modelops_jax.evaluation import ModelEvaluator


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
    assert "regression, 2 rows" in out
    assert "(1 bad row(s) left out)" in out
    assert "line 2" in err


def test_slices_and_groups_are_those_of_the_evaluator(predictions, tmp_path, capsys):
    path, true, pred = predictions
    lang, user = np.arange(500) % 3, np.arange(500) // 5
    rows = ["y_true,y_pred,lang,user"]
    rows += [f"{t},{p},l{g},u{u}" for t, p, g, u in zip(true, pred, lang, user, strict=True)]
    path.write_text("\n".join(rows))
    arguments = ["evaluate", str(path), "--slice", "lang", "--ci", "0.9", "--group", "user"]
    assert main([*arguments, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    labels = [f"l{g}" for g in lang]
    expected = ModelEvaluator("classification").evaluate(
        true, pred, confidence=0.9, groups=[f"u{u}" for u in user], slices={"lang": labels}
    )
    assert found["metrics"] == dict(expected.metrics)
    assert [part["key"] for part in found["slices"]] == [dict(s.key) for s in expected.slices]
    assert found["intervals"]["f1"]["low"] == expected.intervals["f1"].low
    assert main(arguments) == 0
    assert "\nby lang\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["evaluate", "{path}", "--task", "guess"], 2, "'guess' is not one of"),
        (["evaluate", "{path}", "--nope"], 2, "No such option: --nope"),
        (["evaluate", "{path}.csv"], 1, "no such file"),
        (["evaluate", "{path}", "--pred", "p"], 1, "no column 'p'; the columns are 'y_true'"),
        (["evaluate", "{path}", "--pred", "y_true"], 1, "two things at once"),
        (["evaluate", "{path}", "--ci", "2"], 1, "confidence is 2"),
        (["nope"], 2, "No such command 'nope'"),
    ],
)
def test_mistakes_are_named(predictions, capsys, arguments, code, message):
    path, _, _ = predictions
    assert main([argument.format(path=path) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_help_imports_neither_jax_nor_numpy():
    script = (
        "import sys; from modelops_jax.cli import main; code = main(['--help']);"
        "assert code == 0; assert not {'jax', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "evaluate" in done.stdout
