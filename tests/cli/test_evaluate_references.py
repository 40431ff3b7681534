"""`modelops evaluate --task text_generation`: rows with several right texts."""

import json
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from modelops_jax.cli import main
from modelops_jax.evaluation import (
    Evaluator,
    ModelEvaluator,
    bleu_metric,
    chrf_metric,
    rouge_l_metric,
    squad_exact_match_metric,
)

TASK = ["--task", "text_generation"]
METRICS = ("bleu_score", "chrf_score", "squad_exact_match", "rouge_l_score")
WORDS = "the cat sat on a mat and looked at one small dog".split()


@pytest.fixture(scope="module")
def corpus():
    """Three right texts a row, and what was said."""
    random = np.random.default_rng(2)
    right = [[" ".join(random.choice(WORDS, 7)) for _ in range(3)] for _ in range(30)]
    said = [
        " ".join(w if random.random() < 0.8 else "no" for w in texts[row % 3].split())
        for row, texts in enumerate(right)
    ]
    said[0] = right[0][2]
    return right, said


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_lists_of_references_are_those_of_sacrebleu(corpus, ending, tmp_path, capsys):
    right, said = corpus
    path = tmp_path / f"answers.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"y_true": right, "y_pred": said}), path)
    else:
        rows = ({"y_true": r, "y_pred": s} for r, s in zip(right, said, strict=True))
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    asked = [option for name in METRICS for option in ("--metric", name)]
    assert main(["evaluate", str(path), *TASK, *asked, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    streams = [list(texts) for texts in zip(*right, strict=True)]
    assert found["bleu_score"] == pytest.approx(BLEU().corpus_score(said, streams).score)
    assert found["chrf_score"] == pytest.approx(CHRF().corpus_score(said, streams).score)
    # The row whose third reference was said; of the first alone it would be 0.
    hits = sum(text in texts for text, texts in zip(said, right, strict=True))
    assert found["squad_exact_match"] == pytest.approx(hits / 30)
    functions: dict[str, Any] = dict(
        zip(
            METRICS,
            (bleu_metric, chrf_metric, squad_exact_match_metric, rouge_l_metric),
            strict=True,
        )
    )
    assert Evaluator(functions).evaluate(said, right) == pytest.approx(found, rel=1e-12)


def test_bad_references_are_bad_rows(tmp_path, capsys):
    path = tmp_path / "answers.jsonl"
    cells = [["a", "b"], [], ["a", 3], "a", None, ["a", None]]
    path.write_text("".join(f"{json.dumps({'y_true': c, 'y_pred': 'a'})}\n" for c in cells))
    asked = ["evaluate", str(path), *TASK, "--metric", "squad_exact_match"]
    assert main(asked) == 1
    err = capsys.readouterr().err
    assert "line 2: y_true: found an empty list, expected a string or a list of strings" in err
    assert "line 3: y_true: [1]: found int 3, expected a string" in err
    assert "line 5: y_true: found NoneType None, expected a string" in err
    assert "line 6: y_true: [1]: found NoneType None, expected a string" in err
    assert "4 bad row(s), 2 good" in err
    assert main([*asked, "--allow-bad-rows", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["metrics"]["squad_exact_match"], found["sample_count"]) == (1.0, 2)
    # Metrics that take one reference leave no row with a list.
    assert main([*asked, "--metric", "word_error_rate"]) == 1
    err = capsys.readouterr().err
    found = "line 1: y_true: found list ['a', 'b'], expected a string"
    assert f"{found}: word_error_rate takes one reference a row\n" in err
    assert "5 bad row(s), 1 good" in err


def test_which_metrics_take_one_reference():
    """As the metrics themselves say of a list."""
    from modelops_jax.evaluation._text_metrics import TEXT_METRICS

    one = ModelEvaluator("text_generation", metrics=list(TEXT_METRICS)).one_reference
    for name in TEXT_METRICS:
        evaluator = ModelEvaluator("text_generation", metrics=[name])
        if name in one:
            told = f"expected a string: {name} takes one reference a row"
            with pytest.raises(TypeError, match=told):
                evaluator.evaluate([["a b c d"]], ["a b c d"])
        else:
            assert evaluator.evaluate([["a b c d"]], ["a b c d"]).metrics[name] > 0
