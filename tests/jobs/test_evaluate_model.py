"""A model to answers to metrics: what is asked, what is kept, and going on after a kill."""

import dataclasses
import datetime
import itertools
import json
import math
import os
import subprocess
import sys

import jax
import pytest
from sklearn import metrics as sk

from modelops_jax import Dataset
from modelops_jax.data import DatasetError
from modelops_jax.evaluation import ModelEvaluator
from modelops_jax.jobs import Generation, evaluate_model
from modelops_jax.jobs import _answer_file as answer_file
from modelops_jax.jobs import _answer_settings as answer_settings
from modelops_jax.jobs._good_rows import good_rows
from modelops_jax.models import Model, _chat, load

ROWS = Dataset(
    [
        {"prompt": f"question {i}", "completion": f"answer {i}", "lang": "de" if i % 2 else "en"}
        for i in range(7)
    ]
    + [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "2+2?"},
                {"role": "assistant", "content": "4"},
                {"role": "user", "content": "3+3?"},
                {"role": "assistant", "content": "6"},
            ],
            "lang": "en",
        }
    ]
    + [{"prompt": "last", "completion": "one", "lang": "de"}]
)
SAMPLED = Generation(max_new_tokens=2, temperature=0.8, seed=3)


@pytest.fixture(scope="module")
def model():
    return load("tiny")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Nine rows are three chunks."""
    monkeypatch.setattr(answer_file, "CHUNK_ROWS", 4)
    monkeypatch.setattr(answer_settings, "CHUNK_ROWS", 4)


def evaluated(model, folder=None, **options):
    options = {"generation": SAMPLED, "slices": ["lang"], "confidence": 0.9} | options
    return evaluate_model(model, ROWS, folder=folder, progress="off", **options)


def drawn(model, prompts, *, max_new_tokens, rows, seed, temperature, **_):
    """In place of `Model.generate`, whose promise it keeps: samples depend on seed and row."""
    assert temperature == SAMPLED.temperature
    return [f"{seed}/{row}/{len(prompt)}"[:9] for row, prompt in zip(rows, prompts, strict=True)]


def test_an_interrupted_evaluation_goes_on_to_the_same_result(model, tmp_path, monkeypatch):
    """Killed in the second chunk, the file torn in a line; samples are those of the whole."""
    monkeypatch.setattr(Model, "generate", drawn)
    whole = evaluated(model, tmp_path / "whole")
    written = (tmp_path / "whole" / "predictions.jsonl").read_bytes()
    assert (whole.resumed, len(written.splitlines())) == (0, 9)

    chunks = []

    def killed(self, prompts, **options):
        chunks.append(list(options["rows"]))
        if len(chunks) == 2:
            raise KeyboardInterrupt
        return drawn(self, prompts, **options)

    monkeypatch.setattr(Model, "generate", killed)
    torn = tmp_path / "torn"
    with pytest.raises(KeyboardInterrupt):
        evaluated(model, torn)
    with open(torn / "predictions.jsonl", "ab") as file:
        file.write(written.splitlines(keepends=True)[4] + b'{"row": 5, "pro')
    again = evaluated(model, torn)
    assert again.resumed == 4
    assert sorted(row for rows in chunks[2:] for row in rows) == [4, 5, 6, 7, 8]
    assert (torn / "predictions.jsonl").read_bytes() == written
    assert again.result == whole.result
    assert again.answers == whole.answers == [json.loads(line) for line in written.splitlines()]

    # Nothing is left to ask; without a folder the answers are the same.
    monkeypatch.setattr(Model, "generate", lambda *_, **__: pytest.fail("asked again"))
    assert evaluated(model, torn).answers == whole.answers
    monkeypatch.setattr(Model, "generate", drawn)
    alone = evaluated(model)
    assert (alone.answers, alone.path) == (whole.answers, None)

    # Other metrics of the same answers: the scores are written anew, nothing is asked.
    monkeypatch.setattr(Model, "generate", lambda *_, **__: pytest.fail("asked again"))
    found = evaluated(
        model, torn, metrics=ModelEvaluator("classification", metrics=["accuracy_score"])
    )
    assert set(found.answers[0]["scores"]) == {"accuracy_score"}
    assert '"accuracy_score"' in (torn / "predictions.jsonl").read_text()

    # Another seed, other rows, another model: refused by name.
    for change, what in (
        ({"generation": Generation(max_new_tokens=2, temperature=0.8)}, "generation.seed is 3"),
        ({"metrics": ["perplexity"]}, "generation.generates is True"),
    ):
        with pytest.raises(ValueError, match=f"answers of another evaluation: {what}"):
            evaluated(model, torn, **change)
    with pytest.raises(ValueError, match=r"another evaluation: dataset\.rows is 9"):
        evaluate_model(model, ROWS[:3], folder=torn, generation=SAMPLED)
    other = dataclasses.replace(model, params=jax.tree.map(lambda leaf: 2 * leaf, model.params))
    with pytest.raises(ValueError, match=r"another evaluation: model\.sha256"):
        evaluated(other, torn)


def test_prompts_are_those_of_the_first_day(model, tmp_path, monkeypatch):
    """A template that writes the date has one date for all chunks, also after a resume."""
    days = itertools.count(1)

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, next(days))

    monkeypatch.setattr(_chat, "datetime", Clock)
    monkeypatch.setattr(answer_settings, "datetime", Clock)
    template = "{{ strftime_now('%d %b') }}" + str(model.tokenizer.chat_template)
    tokenizer = dataclasses.replace(model.tokenizer, chat_template=template)
    dated = dataclasses.replace(model, tokenizer=tokenizer)
    assert _dates(dated, [[{"role": "user", "content": "?"}]] * 2) == ["01 Jan", "02 Jan"]

    plain = {"slices": [], "confidence": None}

    def stops(self, prompts, *, rows, **_):
        if 4 in rows:
            raise KeyboardInterrupt
        return _dates(self, prompts)

    monkeypatch.setattr(Model, "generate", stops)
    with pytest.raises(KeyboardInterrupt):
        evaluated(dated, tmp_path / "a", **plain)
    monkeypatch.setattr(Model, "generate", lambda self, prompts, **_: _dates(self, prompts))
    found = evaluated(dated, tmp_path / "a", **plain)
    assert found.resumed == 4
    assert [answer["prediction"] for answer in found.answers] == ["03 Jan"] * 9
    assert found.settings["rendered"] == "2026-01-03T00:00:00"
    anew = evaluated(dated, tmp_path / "b", **plain)
    assert {answer["prediction"] for answer in anew.answers} == {"04 Jan"}


def _dates(model, prompts):
    return [model.tokenizer.render_chat(one, add_generation_prompt=True)[:6] for one in prompts]


def test_answers_hold_the_scores_of_each_row(model):
    """Per row and over all rows, by key, with likelihoods where a metric needs them."""
    metrics = ["perplexity", "bits_per_byte"]
    found = evaluated(model, metrics=metrics)
    prompts = [row["prompt"] for row in found.answers]
    assert prompts[0] == "question 0"
    assert [turn["content"] for turn in prompts[7]] == ["Be brief.", "2+2?", "4", "3+3?"]
    assert found.answers[7]["completion"] == "6"
    assert "prediction" not in found.answers[0]
    total = sum(row["log_likelihood"] for row in found.answers)
    tokens, size = (sum(row[key] for row in found.answers) for key in ("tokens", "bytes"))
    assert size == sum(len(row["completion"].encode()) for row in found.answers)
    assert found.result.metrics["perplexity"] == pytest.approx(math.exp(-total / tokens), abs=1e-9)
    expected = -total / math.log(2) / size
    assert found.result.metrics["bits_per_byte"] == pytest.approx(expected, abs=1e-9)
    first = found.answers[0]
    alone = math.exp(-first["log_likelihood"] / first["tokens"])
    assert first["scores"]["perplexity"] == pytest.approx(alone, abs=1e-9)
    sums, counts = model.score([[{"role": "user", "content": "question 0"}]], ["answer 0"])
    assert first["log_likelihood"] == pytest.approx(float(sums[0]), rel=1e-5)
    assert first["tokens"] == counts[0]
    assert {one.key["lang"]: one.rows for one in found.result.slices} == {"de": 4, "en": 5}


@pytest.mark.parametrize(
    ("rows", "options", "error", "message"),
    [
        ([], {}, DatasetError, "found no rows"),
        ([{"prompt": "a"}], {}, DatasetError, "row 0: found keys"),
        ([{"prompt": "a" * 5000, "completion": "b"}], {}, DatasetError, "row 0: prompt and answer"),
        (
            [{"messages": [{"role": "assistant", "content": "a"}]}],
            {},
            DatasetError,
            "row 0: messages: nothing comes before",
        ),
        ([{"prompt": "a", "completion": "b"}], {"slices": ["x"]}, DatasetError, "no key 'x'"),
        (
            [{"prompt": "a", "completion": "b"}],
            {"metrics": ModelEvaluator("regression")},
            ValueError,
            "the task is 'regression'",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_first_answer(
    model, rows, options, error, message
):
    with pytest.raises(error, match=message):
        evaluate_model(model, Dataset(rows), **options)


def test_a_metric_of_a_class_is_undefined_of_a_row_without_it(model, monkeypatch):
    """The class that the metric is named for is one of all rows; a misspelt one is none."""
    monkeypatch.setattr(Model, "generate", lambda _, prompts, **__: ["ham", "ham", "spam"])
    rows = Dataset([{"prompt": "a", "completion": right} for right in ("ham", "spam", "spam")])

    def of(label):
        metrics = ModelEvaluator("classification", metrics=["accuracy_score"])
        metrics.add_metric("f1_score", average="binary", positive_class=label)
        return evaluate_model(model, rows, metrics, progress="off")

    found = of("spam")
    assert found.result.metrics == pytest.approx({"accuracy_score": 2 / 3, "f1_score": 2 / 3})
    assert [list(one["scores"].values()) for one in found.answers] == [[1, None], [0, 0], [1, 1]]
    with pytest.raises(ValueError, match="positive_class='spamm' does not occur among the labels"):
        of("spamm")


def test_a_row_to_ignore_has_no_scores_and_equal_rows_are_scored_once(model, monkeypatch):
    """The mean of the rows' scores is the metric: a row of no weight is not a wrong one."""
    right, said = ["ham", "spam", "eggs", "ham"] * 5, ["ham", "spam", "ham", "eggs"] * 5
    monkeypatch.setattr(Model, "generate", lambda _, prompts, *, rows, **__: said[rows[0] :][:4])
    evaluate, calls = ModelEvaluator.evaluate, []

    def counted(self, *arguments, **columns):
        calls.append(columns["y_true"])
        return evaluate(self, *arguments, **columns)

    monkeypatch.setattr(ModelEvaluator, "evaluate", counted)
    rows = Dataset([{"prompt": str(n), "completion": label} for n, label in enumerate(right)])
    metrics = ModelEvaluator("classification", metrics=["accuracy_score"], ignore_index="ham")
    metrics.add_metric("f1_score", average="binary", positive_class="spam")
    found = evaluate_model(model, rows, metrics, progress="off")
    scores = [tuple(one["scores"].values()) for one in found.answers]
    assert scores == [(None, None), (1, 1), (0, None), (None, None)] * 5
    kept = [(a, b) for a, b in zip(right, said, strict=True) if a != "ham"]
    assert found.result.metrics["accuracy_score"] == sk.accuracy_score(*zip(*kept, strict=True))
    assert len(calls) == 4 + 1


def test_bad_rows_are_left_out_if_that_is_allowed(model, tmp_path, monkeypatch):
    """Lines, rows without a key and rows that are too long; each is told by where it is."""
    monkeypatch.setattr(Model, "generate", lambda _, prompts, **__: ["a"] * len(prompts))
    good = [{"prompt": f"q{n}", "completion": "a", "lang": "de"} for n in range(2)]
    lines = [
        json.dumps(good[0]),
        "{",
        json.dumps({"prompt": "a", "completion": "b"}),
        json.dumps({"prompt": 1, "completion": 2}),
        json.dumps({"prompt": "a" * 5000, "completion": "b", "lang": "en"}),
        json.dumps(good[1]),
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    asked = {"slices": ["lang"], "progress": "off"}
    with pytest.raises(DatasetError, match="3 problems\n  line 2"):
        evaluate_model(model, path, **asked)
    found = evaluate_model(model, path, allow_bad_rows=True, folder=tmp_path / "f", **asked)
    expected = evaluate_model(model, Dataset(good), **asked)
    assert found.result.metrics == expected.result.metrics
    assert (found.result.sample_count, found.result.invalid_count) == (2, 4)
    assert [one.line for one in found.bad_rows] == [2, 4, 4, 3, 5]
    again = evaluate_model(model, path, allow_bad_rows=True, folder=tmp_path / "f", **asked)
    assert (again.resumed, again.result) == (2, found.result)

    # Of rows in memory the index, whatever was left out before them.
    rows = Dataset([{"prompt": "a"}, good[0], {"prompt": "a" * 5000, "completion": "b"}])
    found = evaluate_model(model, rows, allow_bad_rows=True, progress="off")
    assert [one.row for one in found.bad_rows] == [0, 2]
    assert found.result.invalid_count == 2
    with pytest.raises(DatasetError, match="found no good rows"):
        evaluate_model(model, rows[:1], allow_bad_rows=True)


def test_every_row_that_is_left_out_counts(tmp_path):
    """In a set of rows from several files and of none, lines are no places."""
    row, keyless = {"prompt": "a", "completion": "b", "x": 1}, {"prompt": "a", "completion": "b"}
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file in files:
        Dataset([keyless]).to_jsonl(file)
    joined = Dataset([*Dataset.from_file(files[0]), keyless, *Dataset.from_file(files[1]), row])
    found = good_rows(joined, ["x"], allow_bad_rows=True)
    assert found.bad_count == 3
    assert [(one.row, one.line) for one in found.bad] == [(0, None), (1, None), (2, None)]
    file = tmp_path / "c.jsonl"
    file.write_text("\n{\n" + json.dumps(keyless) + "\n" + json.dumps(row))
    found = good_rows(file, ["x"], allow_bad_rows=True)
    assert found.bad_count == 2
    assert [(one.row, one.line) for one in found.bad] == [(None, 2), (None, 3)]
    assert found.rows.data == [row]


def test_a_damaged_file_is_named(model, tmp_path):
    """A line that is no answer to its row, and answers without a manifest."""
    evaluated(model, tmp_path / "a", metrics=["perplexity"])
    path = tmp_path / "a" / "predictions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    with pytest.raises(ValueError, match="line 1: expected the answer to row 0 of 9"):
        evaluated(model, tmp_path / "a", metrics=["perplexity"])
    (tmp_path / "a" / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"is there without a manifest\.json"):
        evaluated(model, tmp_path / "a", metrics=["perplexity"])


HOLDER = """
import fcntl, os, sys
lock = open(sys.argv[1], "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), file=lock, flush=True)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_one_evaluations_at_a_time(tmp_path):
    """A running process has it to itself; one that was killed does not."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", HOLDER, tmp_path / ".lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(
            ValueError, match=f"in use by another evaluation, process {holder.pid};"
        ):
            answer_file.AnswerFile(tmp_path, {"rows": 3}, [])
        assert not (tmp_path / "manifest.json").exists()
        holder.kill()
        holder.wait()
    with answer_file.AnswerFile(tmp_path, {"rows": 3}, []):
        # In one process, too; and a folder that is refused is not kept locked.
        with pytest.raises(ValueError, match=f"process {os.getpid()};"):
            answer_file.AnswerFile(tmp_path, {"rows": 3}, [])
    for _ in range(2):
        with pytest.raises(ValueError, match="rows is 3, this one has 4"):
            answer_file.AnswerFile(tmp_path, {"rows": 4}, [])
    answer_file.AnswerFile(tmp_path, {"rows": 3}, []).__exit__()
