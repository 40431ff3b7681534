"""What one does with a loaded model: logits, generate, score, save."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from modelops_jax.models import (
    ChatTemplateError,
    DecoderConfig,
    Model,
    _model,
    init_params,
    load,
)
from modelops_jax.models._presets import byte_tokenizer
from modelops_jax.models._progress import show_rows


@pytest.fixture(scope="module")
def model() -> Model:
    """A random model with weights large enough to prefer some tokens over others."""
    config = DecoderConfig(260, 32, 64, 2, 4, 2, 8, 64, 10000.0, 1e-5, True)
    return Model(config, init_params(config, 0, stddev=0.2), byte_tokenizer(), "random")


def _greedy(model: Model, ids: list[int], steps: int) -> list[int]:
    """Greedy continuation by the definition: the whole text anew for each token."""
    text = list(ids)
    for _ in range(steps):
        # Filled up to one length, so that one shape is compiled: later tokens change nothing.
        row = text + [0] * (32 - len(text))
        token = int(np.asarray(model.logits([row]))[0, len(text) - 1].argmax())
        if token in model.tokenizer.stop_ids:
            break
        text.append(token)
    return text[len(ids) :]


def test_greedy_generation_takes_the_likeliest_token(model: Model):
    """Prompts of different length in one batch continue as each alone, by argmax of `logits`."""
    prompts = ["Hello", "a", "What is that?"]
    expected = [
        model.tokenizer.decode(_greedy(model, list(prompt.encode()), 6)) for prompt in prompts
    ]
    assert model.generate(prompts, max_new_tokens=6) == expected


def test_messages_go_through_the_chat_template(model: Model):
    """A list of messages is the string its template makes of it, opened for the answer."""
    messages = [{"role": "user", "content": "Hi"}]
    text = model.tokenizer.render_chat(messages, add_generation_prompt=True)
    assert model.generate([messages], max_new_tokens=5) == model.generate([text], max_new_tokens=5)


def test_stop_texts_and_tokens_end_a_continuation(model: Model):
    """Wherever they begin inside the text; the first of several counts, and is cut off."""
    prompts = ["Hello", "a", "What is that?"]
    options: dict[str, Any] = {"max_new_tokens": 6, "temperature": 0.7, "seed": 5}
    free = model.generate(prompts, **options)
    assert free[0].startswith("~Qw3]")
    for stops in ("w3", ["not there", "]", "w3"]):
        cut = model.generate(prompts, stop=stops, **options)
        assert cut[0] == "~Q"
        assert cut[1:] == free[1:]
    assert model.generate(prompts, stop_ids=[ord("w")], **options)[0] == "~Q"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"stop": ""}, "stop has ''; expected texts"),
        ({"stop": ["a", ""]}, "stop has ''"),
        ({"stop_ids": [260]}, "stop_ids has 260; the vocabulary has 260 ids"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ValueError, match=message):
            model.generate(prompts, **options, **arguments)


def test_a_special_token_is_a_stop_by_its_text(model: Model, monkeypatch: pytest.MonkeyPatch):
    """No decoded text has it, so that looking for it in texts would never end anything."""
    given = []
    monkeypatch.setattr(_model, "generate", lambda *_, stop_ids, **__: given.extend(stop_ids) or [])
    model.generate([], max_new_tokens=1, stop=["<|im_start|>", "text"])
    assert given == [*model.tokenizer.stop_ids, 258]


def test_a_bar_shows_finished_prompts():
    """True draws one on a terminal; a function is told the numbers."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100)
    with show_rows("generating", True, console) as report:
        assert report is not None
        report(2, 3)
    assert "generating" in written.getvalue()
    assert "2/3" in written.getvalue()
    with show_rows("generating", False) as report:
        assert report is None


def test_sampling_is_reproducible(model: Model):
    """The same seed gives the same text, another seed another."""
    options: dict[str, Any] = {"max_new_tokens": 8, "temperature": 1.0}
    one = model.generate(["Hello"], seed=1, **options)
    assert one == model.generate(["Hello"], seed=1, **options)
    assert one != model.generate(["Hello"], seed=2, **options)


def test_score_sums_the_log_probabilities(model: Model):
    """The log-likelihood is the sum of log-softmax at the completion's tokens, here in float64."""
    prompts, completions = ["Hello", "ab"], [" world", "c"]
    sums, counts = model.score(prompts, completions)
    assert counts.tolist() == [6, 1]
    for prompt, completion, found in zip(prompts, completions, sums, strict=True):
        ids = list((prompt + completion).encode())
        logits = np.asarray(model.logits([ids]))[0].astype(np.float64)
        log_total = np.log(np.exp(logits).sum(axis=-1))
        wanted = sum(
            logits[at - 1, ids[at]] - log_total[at - 1] for at in range(len(prompt), len(ids))
        )
        assert found == pytest.approx(wanted, abs=1e-4)


def test_nothing_in_nothing_out(model: Model):
    """Empty lists give empty lists."""
    assert model.generate([], max_new_tokens=4) == []
    sums, counts = model.score([], [])
    assert sums.shape == counts.shape == (0,)


@pytest.mark.parametrize(
    ("prompts", "error", "message"),
    [
        ("Hello", TypeError, "prompts must be a list, found str"),
        (["a", 7], TypeError, r"prompts\[1\] is a int; expected a string or a list of messages"),
        ([{"role": "user", "content": "a"}], TypeError, r"prompts\[0\] is a dict; .*wrap it"),
        (["a", []], ChatTemplateError, r"prompts\[1\]: expected a non-empty list of messages"),
        (["a", [{"role": "user"}]], ChatTemplateError, r"prompts\[1\]: messages\[0\]\['content'\]"),
        (["a", "\ud800"], ValueError, r"prompts\[1\]: text\[0\] is the lone surrogate"),
        (["a", ""], ValueError, r"prompts\[1\] has no tokens"),
        (["a", "b" * 60], ValueError, r"prompts\[1\] has 60 tokens.*max_new_tokens=5.*of 64"),
    ],
)
def test_a_wrong_prompt_is_named(model: Model, prompts: Any, error: type[Exception], message: str):
    """The index, what was found and what was expected."""
    with pytest.raises(error, match=message):
        model.generate(prompts, max_new_tokens=5)


def test_wrong_completions_are_named(model: Model):
    """A completion that is no string, lists of different length, and a pair that is too long."""
    with pytest.raises(TypeError, match=r"completions\[1\] is a int"):
        model.score(["a", "b"], ["c", 1])
    with pytest.raises(ValueError, match="2 prompts but 1 completions"):
        model.score(["a", "b"], ["c"])
    with pytest.raises(ValueError, match=r"prompts\[0\] .*65 tokens.*context is 64"):
        model.score(["a"], ["b" * 64])


@pytest.mark.parametrize(
    ("token_ids", "error", "message"),
    [
        ([[1.0]], TypeError, "must be integers, found float64"),
        ([1, 2], ValueError, r"shape \(batch, length\), found \(2,\)"),
        ([[]], (TypeError, ValueError), "token_ids must"),
        ([[0] * 65], ValueError, "rows of 65 tokens; the model's context is 64"),
        ([[0, 260]], ValueError, "range from 0 to 260; the vocabulary has 260"),
        ([[-1]], ValueError, "range from -1"),
    ],
)
def test_wrong_token_ids_are_refused(model: Model, token_ids: Any, error: Any, message: str):
    """On a device a bad id would be clamped silently."""
    with pytest.raises(error, match=message):
        model.logits(token_ids)


def test_token_ids_may_be_any_integers(model: Model):
    """Lists, NumPy and JAX arrays of any integer type give the same float32 logits."""
    ids = [[1, 2, 3]]
    expected = np.asarray(model.logits(ids))
    assert expected.dtype == np.float32
    for other in (np.asarray(ids, np.uint8), np.asarray(ids, np.int64), jnp.asarray(ids)):
        np.testing.assert_array_equal(model.logits(other), expected)


def test_half_precision_runs_in_half_precision(model: Model):
    """A bfloat16 model generates and scores; its logits are float32."""
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), model.params)
    half = dataclasses.replace(model, params=params)
    assert half.dtype == jnp.bfloat16
    assert half.logits([[1, 2]]).dtype == jnp.float32
    assert len(half.generate(["Hi"], max_new_tokens=2)) == 1
    assert half.score(["Hi"], ["there"])[0] == pytest.approx(
        model.score(["Hi"], ["there"])[0], rel=0.1
    )


def test_only_floating_types_are_loaded():
    """Weights rounded to integers would be useless, and nothing would say so."""
    with pytest.raises(TypeError, match="dtype must be a floating type, found int32"):
        load("tiny", dtype=jnp.int32)


def test_a_saved_preset_is_loaded_from_its_folder(tmp_path: Path):
    """Weights and the byte tokenizer survive, so a fine-tuned preset can be kept."""
    model = load("tiny")
    model.save(tmp_path / "kept")
    again = load(tmp_path / "kept")
    jax.tree.map(np.testing.assert_array_equal, again.params, model.params)
    prompt = [{"role": "user", "content": "Grüß dich"}]
    assert again.generate([prompt], max_new_tokens=8) == model.generate([prompt], max_new_tokens=8)


def test_a_model_prints_short(model: Model):
    """Not a screenful of weights."""
    assert len(repr(model)) < 500
