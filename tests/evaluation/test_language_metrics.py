"""Metrics of texts against the implementations that the field quotes, and through an evaluator."""

import functools
import math
import random

import jiwer
import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from modelops_jax.evaluation import (
    EvaluationStream,
    Evaluator,
    ModelEvaluator,
    UndefinedMetricWarning,
    bleu_metric,
    character_error_rate_metric,
    chrf_metric,
    compare,
    count_texts,
    rouge_1_metric,
    rouge_2_metric,
    rouge_l_metric,
    squad_exact_match_metric,
    squad_f1_metric,
    word_error_rate_metric,
)
from modelops_jax.evaluation._text_counts import squad_normalised
from modelops_jax.metrics import bleu_score

WORDS = (
    *("the", "The", "a", "cat", "cats", "sat", "on", "mat.", "don't", "(really)", "3.5", "1,000"),
    *(
        "naïve",
        "日本語",
        "x-ray",
        "U.S.",
        "&amp;",
        "…",
        "A",
        "an",
        "“quoted”",
        "dog",
        "ran",
        "fast",
    ),
)
NAMES = (
    *("bleu_score", "chrf_score", "rouge_1_score", "rouge_2_score", "rouge_l_score"),
    *("squad_exact_match", "squad_f1_score"),
)
ONE_REFERENCE = ("word_error_rate", "character_error_rate", "exact_match", "length_ratio")


def sentence(rng: random.Random, most: int = 14) -> str:
    """Words with punctuation, other scripts and odd white space; now and then no word."""
    space = rng.choice([" ", " ", "  ", "\t"])
    return space.join(rng.choice(WORDS) for _ in range(rng.randrange(most)))


def corpus(
    rows: int = 120, seed: int = 0, references: int = 1
) -> tuple[list[str], list[list[str]]]:
    """Predictions that keep three words in five of one of their references, and are shorter."""
    rng = random.Random(seed)
    right = [[sentence(rng) for _ in range(references)] for _ in range(rows)]
    predictions = [
        " ".join(
            w if rng.random() < 0.75 else rng.choice(WORDS)
            for w in rng.choice(texts).split()
            if rng.random() < 0.8
        )
        for texts in right
    ]
    return predictions, right


@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tokenize": "intl", "lowercase": True},
        {"tokenize": "char", "smooth_method": "add-k", "smooth_value": 2},
        {"tokenize": "none", "max_ngram_order": 2, "effective_order": True},
    ],
)
def test_bleu_is_sacrebleus(options, references):
    """Tokens, clipped counts, the nearest of several lengths, and every option."""
    predictions, right = corpus(references=references)
    expected = BLEU(**options).corpus_score(predictions, list(zip(*right, strict=True))).score
    given = right if references > 1 else [texts[0] for texts in right]
    assert bleu_metric(predictions, given, **options) == pytest.approx(expected, rel=1e-12)
    for row in range(8):
        single = BLEU(**options, force=True).sentence_score(predictions[row], right[row]).score
        found = bleu_metric(predictions[row : row + 1], right[row : row + 1], **options)
        assert found == pytest.approx(single, rel=1e-12)


@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize("options", [{}, {"lowercase": True, "char_order": 4, "beta": 1}])
def test_chrf_is_sacrebleus(options, references):
    """Characters without white space, and the best of several references."""
    predictions, right = corpus(references=references, seed=1)
    expected = CHRF(**options).corpus_score(predictions, list(zip(*right, strict=True))).score
    assert chrf_metric(predictions, right, **options) == pytest.approx(expected, rel=1e-12)


def test_rows_may_have_different_numbers_of_references():
    """A string is one reference; sacrebleu takes None for those a row does not have."""
    predictions, right = corpus(rows=30, references=3, seed=2)
    right = [texts[: 1 + row % 3] for row, texts in enumerate(right)]
    padded = [[*texts, None, None][:3] for texts in right]
    columns = list(zip(*padded, strict=True))
    mixed = [texts[0] if len(texts) == 1 else texts for texts in right]
    for ours, theirs in ((bleu_metric, BLEU()), (chrf_metric, CHRF())):
        expected = theirs.corpus_score(predictions, columns).score  # pyright: ignore[reportArgumentType] # None is documented
        assert ours(predictions, mixed) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("references", [1, 3])
def test_rouge_is_rouge_scores(references):
    """The mean of every row's F, of the best reference for each kind."""
    predictions, right = corpus(references=references, seed=3)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    scores = [scorer.score_multi(texts, one) for one, texts in zip(predictions, right, strict=True)]
    ours = {"rouge1": rouge_1_metric, "rouge2": rouge_2_metric, "rougeL": rouge_l_metric}
    for kind, function in ours.items():
        expected = np.mean([score[kind].fmeasure for score in scores])
        assert function(predictions, right) == pytest.approx(expected, rel=1e-12)


def test_error_rates_are_jiwers():
    """Sums of edits over sums of words or characters, of rows whose reference has some."""
    predictions, right = corpus(seed=4)
    kept = [(p, texts[0]) for p, texts in zip(predictions, right, strict=True) if texts[0].strip()]
    predicted, references = (list(column) for column in zip(*kept, strict=True))
    references = [" ".join(text.split()) for text in references]  # jiwer splits at spaces only
    assert word_error_rate_metric(predicted, references) == pytest.approx(
        jiwer.wer(references, predicted), rel=1e-12
    )
    assert character_error_rate_metric(predicted, references) == pytest.approx(
        jiwer.cer(references, predicted), rel=1e-12
    )
    # Two sentences are no two tokens (metrax gives 0.5): one of six words is wrong.
    assert word_error_rate_metric(["a b c", "d e x"], ["a b c", "d e f"]) == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("The  Eiffel-Tower!", "eiffeltower"),
        ("An apple, a day\n", "apple day"),
        ("theatre of a 'the' the.", "theatre of"),
        ("it's  ÉTÉ", "its été"),
        ("the-cat sat", "thecat sat"),
        ("a", ""),
        ("…a…", "… …"),
    ],
)
def test_squad_normalises_in_its_order(text, normalised):
    """Lower case, then punctuation, then articles, then white space; by hand."""
    assert squad_normalised(text) == normalised


def test_squad_scores_by_hand():
    """The maximum over answers for each of the two; no words on both sides are a match."""
    predictions = ["The Eiffel Tower", "in 1889 exactly", "a", "", "Paris, France"]
    answers = [["tower", "eiffel tower!"], "1889", "the", ["Rome", "a"], ["France", "Paris"]]
    assert squad_exact_match_metric(predictions, answers) == 3 / 5
    by_row = [1, 2 / 4, 1, 1, 2 / 3]
    assert squad_f1_metric(predictions, answers) == pytest.approx(np.mean(by_row), rel=1e-12)
    # No answer where there is one, and an answer where there is none.
    assert squad_f1_metric(["", "Rome"], ["Rome", "the"]) == 0


@pytest.mark.model
def test_squad_scores_are_torchmetrics():
    """Whose normalisation and maximum over answers are those of the SQuAD script."""
    squad = pytest.importorskip("torchmetrics.functional.text").squad
    predicted, right = corpus(seed=5, references=2)
    expected = squad(
        [{"prediction_text": text, "id": str(row)} for row, text in enumerate(predicted)],
        [
            {"answers": {"answer_start": [0] * 2, "text": texts}, "id": str(row)}
            for row, texts in enumerate(right)
        ],
    )
    found = {
        "exact_match": 100 * squad_exact_match_metric(predicted, right),
        "f1": 100 * squad_f1_metric(predicted, right),
    }
    assert found == pytest.approx({k: float(v) for k, v in expected.items()}, rel=1e-6)


def test_an_evaluator_computes_them_by_name_with_intervals_and_slices():
    """Values are the functions', slices those of their rows, a stream and its file the whole's."""
    predictions, several = corpus(rows=150, seed=6)
    right = [texts[0] for texts in several]
    evaluator = ModelEvaluator("text_generation", metrics=["rouge_l_score"])
    evaluator.add_metric("bleu_score", tokenize="char", max_ngram_order=2, name="bleu")
    evaluator.add_metric("squad_exact_match")
    language = ["en" if row % 3 else "fr" for row in range(150)]
    result = evaluator.evaluate(right, predictions, confidence=0.9, slices={"lang": language})
    functions = {
        "rouge_l_score": rouge_l_metric,
        "bleu": functools.partial(bleu_metric, tokenize="char", max_ngram_order=2),
        "squad_exact_match": squad_exact_match_metric,
    }
    assert Evaluator(metrics=functions).evaluate(predictions, right) == {
        name: result.metrics[name] for name in functions
    }
    assert result.intervals.keys() == result.metrics.keys()
    for name, interval in result.intervals.items():
        assert interval.low < result.metrics[name] < interval.high, name
    assert result.intervals["squad_exact_match"].method == "Wilson"
    assert result.intervals["bleu"].method == "Poisson percentile"
    # Worst first by the first metric, ROUGE-L, for which higher is better.
    assert {part.key["lang"] for part in result.slices} == {"en", "fr"}
    assert result.slices[0].metrics["rouge_l_score"] <= result.slices[1].metrics["rouge_l_score"]
    for part in result.slices:
        rows = [row for row in range(150) if language[row] == part.key["lang"]]
        of_rows = [[column[row] for row in rows] for column in (predictions, right)]
        for name, function in functions.items():
            assert part.metrics[name] == pytest.approx(function(*of_rows), rel=1e-12)
    stream = evaluator.stream()
    assert not stream.keeps_rows
    stream.update(right[:40], predictions[:40])
    stream.save("texts.state")
    stream = EvaluationStream.load("texts.state", evaluator)
    stream.update(right[40:], predictions[40:])
    assert stream.result().metrics == pytest.approx(dict(result.metrics), rel=1e-12)


def test_an_error_rate_is_worst_where_it_is_highest():
    """Slices of a metric that is better when lower."""
    evaluator = ModelEvaluator("text_generation", metrics=["word_error_rate"])
    texts = ["a b", "a b", "a b"]
    result = evaluator.evaluate(texts, ["a b", "a c", "x y"], slices={"part": [1, 2, 3]})
    assert [part.key["part"] for part in result.slices] == [3, 2, 1]


def test_models_are_compared_on_the_same_rows_with_several_references():
    """The nearest reference's length depends on the model, and so do both sides of the counts."""
    _, right = corpus(rows=150, seed=7, references=2)
    rng = random.Random(9)
    models = {
        name: [
            " ".join(w for w in texts[row % 2].split() if rng.random() < kept)
            for row, texts in enumerate(right)
        ]
        for name, kept in {"long": 0.95, "short": 0.55, "middle": 0.75}.items()
    }
    task = ModelEvaluator("text_generation", metrics=["squad_exact_match"])
    task.add_metric("bleu_score", max_ngram_order=2)
    found = compare(right, models, task=task, n_resamples=400, seed=1)
    for name, predictions in models.items():
        expected = bleu_metric(predictions, right, max_ngram_order=2)
        assert found.metrics["bleu_score"].values[name] == pytest.approx(expected, rel=1e-12)
    bleu = found.metrics["bleu_score"]
    assert list(bleu.values) == ["long", "middle", "short"]
    pair = bleu.pair("long", "short")
    assert pair.interval.low < pair.difference < pair.interval.high
    assert pair.difference == pytest.approx(bleu.values["long"] - bleu.values["short"], rel=1e-9)
    assert (pair.test, pair.distinguishable) == ("permutation", True)
    assert found.metrics["squad_exact_match"].pairs[0].test == "McNemar (mid-p)"


def test_texts_are_counted_once_and_weighed_as_numbers():
    """A weight is that many copies of the row, and the options are those of the metric."""
    predictions, several = corpus(rows=40, seed=8)
    right = [texts[0] for texts in several]
    copies = [row % 3 for row in range(40)]
    repeated = [
        [text for text, times in zip(column, copies, strict=True) for _ in range(times)]
        for column in (predictions, right)
    ]
    options = {"tokenize": "char", "max_ngram_order": 2}
    y_true, y_pred = count_texts("bleu_score", predictions, right, **options)
    found = bleu_score(y_true, y_pred, weight=np.array(copies, float), max_ngram_order=2)
    assert float(found) == pytest.approx(bleu_metric(*repeated, **options), rel=1e-12)
    matches = count_texts("squad_exact_match", ["The end.", "a"], ["end", ["b", "c"]])
    assert [column.tolist() for column in matches] == [[True, True], [True, False]]
    with pytest.raises(ValueError, match="unknown metric 'rouge' of texts; known: bleu_score"):
        count_texts("rouge", ["a"], ["a"])


def test_what_was_measured_of_texts_already_is_evaluated_by_name():
    """Log-likelihoods with intervals, attempts, and token ids in batches."""
    tokens, likelihoods = [3, 5, 2, 4], [-3.0, -10.0, -1.0, -8.0]
    evaluator = ModelEvaluator("text_generation", metrics=["perplexity", "bits_per_byte"])
    result = evaluator.evaluate(tokens, likelihoods, confidence=0.9)
    assert result.metrics["perplexity"] == pytest.approx(math.exp(22 / 14))
    assert result.metrics["bits_per_byte"] == pytest.approx(22 / 14 / math.log(2))
    assert result.intervals.keys() == result.metrics.keys()
    evaluator = ModelEvaluator("text_generation", metrics=[]).add_metric("pass_at_k", k=2)
    assert evaluator.evaluate([4, 4], [0, 1]).metrics["pass_at_k"] == pytest.approx(1 / 4)
    evaluator = ModelEvaluator("text_generation", metrics=[])
    evaluator.add_metric("token_accuracy_score", ignore_index=-100)
    stream = evaluator.stream()
    stream.update([[1, 2, -100]], [[1, 3, 5]])
    stream.update([[4, 5, 6]], [[4, 5, 6]])
    assert stream.result().metrics["token_accuracy_score"] == 4 / 5
    with pytest.raises(TypeError, match="y_true holds float64; expected integers"):
        evaluator.evaluate([[1.0]], [[1.0]])


def test_no_rows_and_no_words_are_said():
    """nan with the rule, under the name of the result; shares of rows are 0.0."""
    evaluator = ModelEvaluator("text_generation", metrics=[*NAMES, *ONE_REFERENCE])
    with pytest.warns(UndefinedMetricWarning, match="there are no rows"):
        result = evaluator.evaluate([], [])
    shares = ("squad_exact_match", "exact_match", "length_ratio")
    for name, value in result.metrics.items():
        assert value == 0.0 if name in shares else math.isnan(value), name
    with pytest.warns(UndefinedMetricWarning, match="word_error_rate: there is no word of a refer"):
        assert math.isnan(word_error_rate_metric(["a", ""], ["", " "]))
    with pytest.warns(UndefinedMetricWarning, match="there is no character of a reference"):
        assert math.isnan(character_error_rate_metric([""], [""]))
    for function in (bleu_metric, chrf_metric, rouge_1_metric, rouge_2_metric, rouge_l_metric):
        assert function(["", "a"], ["a", ""]) == 0
        assert function(["", ""], ["", ""]) == 0
    assert BLEU().corpus_score(["", ""], [["", ""]]).score == 0


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "error", "message"),
    [
        ("bleu_score", ["a"], ["a", "b"], ValueError, "y_true has 1 entries and y_pred has 2"),
        ("bleu_score", ["a", 3], ["a", "b"], TypeError, r"y_true has 3 \(int\) at index 1; expec"),
        ("bleu_score", ["a", []], ["a", "b"], ValueError, "y_true has an empty list at index 1"),
        ("chrf_score", [["a", 3]], ["a"], TypeError, r"expected a string or a list of strings"),
        ("rouge_1_score", ["a"], [None], TypeError, r"y_pred has None \(NoneType\) at index 0"),
        ("squad_f1_score", "a", ["a"], TypeError, "y_true is one str"),
        ("word_error_rate", [["a"]], ["a"], TypeError, r"y_true has \['a'\] \(list\) at index 0"),
    ],
)
def test_what_is_no_text_is_refused(name, y_true, y_pred, error, message):
    """By argument and index."""
    with pytest.raises(error, match=message):
        ModelEvaluator("text_generation", metrics=[name]).evaluate(y_true, y_pred)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("bleu_score", {"tokenize": "14a"}, ValueError, "tokenize is '14a'; choose one of: none"),
        ("bleu_score", {"smooth_method": "x"}, ValueError, "smooth_method must be one of"),
        ("chrf_score", {"tokenize": "13a"}, TypeError, "no option 'tokenize' for texts; its opt"),
        ("exact_match", {"num_classes": 3}, TypeError, "no option 'num_classes' for texts; it "),
        ("word_error_rate", {"of_words": False}, TypeError, "no option 'of_words'"),
        ("blue_score", {}, ValueError, "did you mean 'bleu_score'"),
    ],
)
def test_options_without_meaning_are_refused_when_it_is_added(name, options, error, message):
    """Before there are rows."""
    with pytest.raises(error, match=message):
        ModelEvaluator("text_generation", metrics=[]).add_metric(name, **options)


@pytest.mark.parametrize(
    ("name", "library"),
    [("bleu_score", "sacrebleu"), ("rouge_l_score", "rapidfuzz"), ("word_error_rate", "rapidfuzz")],
)
def test_a_missing_library_is_named_with_the_extra(name, library, monkeypatch):
    """When the metric is added; metrics without libraries work without."""
    import importlib

    whole = importlib.import_module

    def without(module: str, package: str | None = None):
        if module.startswith(library):
            raise ModuleNotFoundError(f"No module named {module!r}")
        return whole(module, package)

    monkeypatch.setattr(importlib, "import_module", without)
    evaluator = ModelEvaluator("text_generation", metrics=["chrf_score", "rouge_1_score"])
    expected = rf'needs {library}: pip install "modelops-jax\[text\]"'
    with pytest.raises(ImportError, match=expected):
        evaluator.add_metric(name)
    assert round(evaluator.evaluate(["ab"], ["ab"]).metrics["chrf_score"]) == 100
