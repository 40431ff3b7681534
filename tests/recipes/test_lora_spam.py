"""The demo's recipe, from its configuration to its report, on a model that needs no download."""

import ast
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from modelops_jax.training import latest_checkpoint

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "training" / "lora_spam.py"


# Those of two steps on the rows below; see `test_recipes` on what another CPU changes.
LOSSES, HELD_OUT_LOSS = [5.567157, 5.45513], 5.378426


def load_history(output: Path) -> list[dict]:
    """The records of a run, as its checkpoint has them."""
    checkpoint = latest_checkpoint(output)
    assert checkpoint is not None
    return json.loads((checkpoint / "state.json").read_text("utf-8"))["facts"]["history"]


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
    history = load_history(tmp_path / "run")
    np.testing.assert_allclose([record["loss"] for record in history[:2]], LOSSES, rtol=1e-4)
    assert history[2]["eval_loss"] == pytest.approx(HELD_OUT_LOSS, rel=1e-4)
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
