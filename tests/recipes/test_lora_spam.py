"""The demo's recipe, from its configuration to its report, on a model that needs no download."""

import ast
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "training" / "lora_spam.py"


def test_recipe_runs_to_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Two steps on few rows leave a report with all systems, both matrices and twenty examples."""
    for name, count in (("train", 60), ("test", 24)):
        lines = (ROOT / "training" / "data" / "spam" / f"{name}.jsonl").read_text("utf-8")
        shortest = sorted(lines.splitlines(), key=len)[:count]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(shortest), "utf-8")
    monkeypatch.chdir(ROOT)
    settings = {
        "data.train": tmp_path / "train.jsonl",
        "data.test": tmp_path / "test.jsonl",
        "output": tmp_path / "run",
        "training.max_steps": 2,
    }
    arguments = ["--config", "configs/tiny/lora_spam.toml"]
    arguments += [f"{key}={value}" for key, value in settings.items()]
    monkeypatch.setattr(sys, "argv", [str(RECIPE), *arguments])
    runpy.run_path(str(RECIPE), run_name="__main__")
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    printed = capsys.readouterr().out
    assert printed.strip().endswith(str(tmp_path / "run" / "report.html"))
    for system in ("Base model", "Fine-tuned model", "Majority class", "TF-IDF + logistic regr"):
        assert system in page
        assert system in printed
    assert page.count('<li class="wrong">') + page.count('<li class="right">') == 20
    assert page.count("<caption>") == 2
    assert "max_steps = 2" in page
    assert page.count("<svg") == 2
    for fact in ("Model", "Rows", "Seed", "Steps", "Training time", "Peak memory"):
        assert f"<dt>{fact}</dt>" in page


def test_recipe_is_one_page_of_functions():
    """A researcher copies a recipe and owns it: 100 lines at most, no classes."""
    source = RECIPE.read_text("utf-8")
    assert len(source.splitlines()) <= 100
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
