"""Every recipe from its tiny configuration to its end, against losses that were stored."""

import math
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
# The first losses of each recipe; those of `lora_spam` are in `test_lora_spam`. Another CPU adds in
# another order, which shows after the fifth digit; a wrong mask, order of rows, label or reference
# shows before the third.
TOLERANCE = 1e-4
LOSSES: dict[str, list[float]] = {
    "full_finetune": [5.528812, 4.943228, 4.422538],
    "sequence_classification": [0.761088, 0.585137, 0.56153],
    "regression_head": [9.609373, 5.383425, 10.507664],
    "dpo": [0.693147, 0.687592, 0.682184],
    "own_loop": [5.553571, 5.04092, 4.276643],
}


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> list[dict]:
    """The history of a recipe on its tiny configuration and the shortest mails."""
    for part, count in (("train", 40), ("test", 12)):
        text = (ROOT / "training" / "data" / "spam" / f"{part}.jsonl").read_text("utf-8")
        lines = sorted(text.splitlines(), key=len)[:count]
        (folder / f"{part}.jsonl").write_text("\n".join(lines), "utf-8")
    monkeypatch.chdir(ROOT)
    main = runpy.run_path(str(ROOT / "training" / f"{name}.py"))["main"]
    paths = [f"data.train={folder / 'train.jsonl'}", f"output={folder / 'run'}"]
    if name != "own_loop":
        paths.append(f"data.test={folder / 'test.jsonl'}")
    return main(["--config", f"configs/tiny/{name}.toml", *paths, *settings])


@pytest.mark.filterwarnings("ignore:.*are never predicted")
@pytest.mark.model  # two minutes of compilations
@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_are_the_stored_ones(name, tmp_path, monkeypatch, capsys):
    """Step by step, and the recipe prints what it measured."""
    history = run(name, tmp_path, monkeypatch)
    losses = [record["loss"] for record in history if "loss" in record]
    printed = capsys.readouterr().out
    print(name, losses)
    np.testing.assert_allclose(losses, LOSSES[name], rtol=TOLERANCE)
    expected = {
        "full_finetune": "exact_match",
        "sequence_classification": "accuracy",
        "regression_head": "MAE",
        "dpo": "The right label is likelier, fine-tuned:",
        "own_loop": "Loss on the last step's rows after it",
    }
    assert expected[name] in printed
    if name == "dpo":
        assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    if name == "own_loop":
        assert losses[-1] < losses[0]


@pytest.mark.model
def test_a_sweep_leaves_a_table_and_a_picture(tmp_path, monkeypatch, capsys):
    """Two by two by one settings on few mails."""
    lines = (ROOT / "training" / "data" / "spam" / "train.jsonl").read_text("utf-8").splitlines()
    (tmp_path / "train.jsonl").write_text("\n".join(sorted(lines, key=len)[:40]), "utf-8")
    monkeypatch.chdir(ROOT)
    main = runpy.run_path(str(ROOT / "training" / "sweep.py"))["main"]
    lists = "--rates 1e-3 1e-2 --ranks 1 4 --seeds 0".split()
    paths = [f"data.train={tmp_path / 'train.jsonl'}", f"output={tmp_path / 'run'}"]
    records = main(["--config", "configs/tiny/sweep.toml", *lists, "--set", *paths])
    assert [(record["learning_rate"], record["rank"]) for record in records] == [
        (1e-3, 1),
        (1e-3, 4),
        (1e-2, 1),
        (1e-2, 4),
    ]
    table = (tmp_path / "run" / "sweep.txt").read_text("utf-8")
    assert table in capsys.readouterr().out
    best = min(record["eval_loss"] for record in records)
    assert f"{best:.4f}" in table.splitlines()[1]
    assert (tmp_path / "run" / "sweep.svg").stat().st_size > 1000


def test_every_recipe_has_its_configurations_and_says_how_to_run_it():
    """One in `configs/`, one for tests, the command and an expected number in the docstring."""
    for recipe in sorted((ROOT / "training").glob("*.py")):
        source = recipe.read_text("utf-8")
        assert (ROOT / "configs" / f"{recipe.stem}.toml").is_file(), recipe
        assert (ROOT / "configs" / "tiny" / f"{recipe.stem}.toml").is_file(), recipe
        assert f"python training/{recipe.name} --config configs/{recipe.stem}.toml" in source
        assert "Expected" in source.split('"""')[1], recipe
