"""SmolLM2-135M-Instruct against transformers: needs the fetched file and the oracle extra."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelops_jax.models import Model, load, resolve

NAME = "smollm2-135m-instruct"
TEXT = (
    "The library of Alexandria was one of the largest and most significant libraries of the "
    "ancient world. It was part of a larger research institution, the Mouseion, which was "
    "dedicated to the nine goddesses of the arts. By 250 BC it may have held 400,000 scrolls, "
    "which scholars copied, corrected and catalogued. Its decline was slow: budgets were cut, "
    "posts went to people without learning, and a fire in 48 BC, during Caesar's civil war, "
    "destroyed warehouses near the harbour. Later authors told of one great burning, because a "
    "single villain makes a better story than two hundred years of neglect, but most of the "
    "books were lost the usual way: nobody paid to have them copied again."
)

pytestmark = [
    pytest.mark.model,
    # transformers warns about its own internals.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def model() -> Model:
    """The fetched model, in float32."""
    return load(NAME)


@pytest.fixture(scope="module")
def token_ids(model: Model) -> np.ndarray:
    """128 tokens of plain English."""
    return np.asarray([model.tokenizer.encode(TEXT)[:128]])


@pytest.fixture(scope="module")
def expected(token_ids: np.ndarray) -> np.ndarray:
    """Logits of transformers, which reads the GGUF file with its own code."""
    import torch
    import transformers
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    path = resolve(NAME).location
    config: Any = load_gguf_checkpoint(path)["config"]
    oracle = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config)).eval()
    tensors: Any = load_gguf_checkpoint(path, return_tensors=True, model_to_load=oracle)["tensors"]
    missing = oracle.load_state_dict(tensors, strict=False)
    assert missing.missing_keys == ["lm_head.weight"]
    oracle.tie_weights()
    with torch.no_grad():
        return oracle(torch.from_numpy(token_ids)).logits.numpy()


def _distance(model: Model, token_ids: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(model.logits(token_ids)) - expected).max())


def test_templates_are_given_the_tokens_that_transformers_gives_them(model: Model):
    """Of the same file; it names the unknown and the padding token too."""
    import transformers

    path = Path(resolve(NAME).location)
    oracle = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    names = [f"{name}_token" for name in ("bos", "eos", "unk", "pad", "sep", "cls", "mask")]
    template = "|".join(f"{{{{ {name} }}}}" for name in names)
    says = [{"role": "user", "content": "a"}]
    ours = dataclasses.replace(model.tokenizer, chat_template=template)
    found = ours.render_chat(says, add_generation_prompt=False)
    assert found == oracle.apply_chat_template(says, chat_template=template, tokenize=False)
    assert found.count("<") == 4


def test_it_knows_the_capital_of_france(model: Model):
    """Weights, rotation, tokenizer, template and generation together give a right answer."""
    question = [{"role": "user", "content": "What is the capital of France?"}]
    assert "Paris" in model.generate([question], max_new_tokens=32)[0]


def test_logits_equal_those_of_transformers_on_the_same_weights(
    model: Model, token_ids: np.ndarray, expected: np.ndarray
):
    """Within 1e-3, at every one of 128 positions and 49,152 tokens."""
    assert token_ids.shape == (1, 128)
    assert _distance(model, token_ids, expected) < 1e-3


def test_a_wrong_rotary_layout_fails_the_comparison(
    model: Model, token_ids: np.ndarray, expected: np.ndarray
):
    """Rows left in GGUF's interleaved order give logits that are whole units away."""
    attention = model.params["model"]["layers"]["self_attn"]
    interleaved = {}
    for name in ("q_proj", "k_proj"):
        weight = np.asarray(attention[name]["weight"])
        layers, rows, width = weight.shape
        halves = weight.reshape(layers, -1, 2, model.config.head_dim // 2, width)
        interleaved[name] = {"weight": halves.swapaxes(2, 3).reshape(layers, rows, width)}
    layers = {**model.params["model"]["layers"], "self_attn": {**attention, **interleaved}}
    wrong = dataclasses.replace(
        model, params={"model": {**model.params["model"], "layers": layers}}
    )
    assert _distance(wrong, token_ids, expected) > 1.0


def test_a_wrong_rotary_base_fails_the_comparison(
    model: Model, token_ids: np.ndarray, expected: np.ndarray
):
    """A base of 10,000 instead of 100,000 gives logits that are whole units away."""
    assert model.config.rope_theta == 100_000.0
    wrong = dataclasses.replace(
        model, config=dataclasses.replace(model.config, rope_theta=10_000.0)
    )
    assert _distance(wrong, token_ids, expected) > 1.0


# Ids published for SmolLM2's tokenizer by an independent implementation of it.
KNOWN_IDS = {
    "Hello, we can use": [19556, 28, 392, 416, 722],
    "The capital of France is": [504, 3575, 282, 4649, 314],
    "Hello world! 123": [19556, 905, 17, 216, 33, 34, 35],
    "Café déjà vu.": [51, 1939, 2756, 32564, 90, 16739, 386, 101, 30],
    "  multiple   spaces": [216, 2701, 256, 5600],
}


def test_the_tokenizer_gives_known_ids(model: Model):
    """Single digits, accents and runs of spaces."""
    for text, ids in KNOWN_IDS.items():
        assert model.tokenizer.encode(text) == ids
        assert model.tokenizer.decode(ids) == text


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_transformers_loads_what_is_saved(
    model: Model, token_ids: np.ndarray, expected: np.ndarray, tmp_path: Path, dtype: str
):
    """AutoModelForCausalLM and AutoTokenizer give our logits, ids and rendered chats."""
    import torch
    import transformers

    chosen = model if dtype == "float32" else load(NAME, dtype=dtype)
    chosen.save(tmp_path / "saved")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "saved").eval()
    assert str(theirs.dtype) == f"torch.{dtype}"
    with torch.no_grad():
        logits = theirs(torch.from_numpy(token_ids)).logits.float().numpy()
    if dtype == "float32":
        np.testing.assert_array_equal(logits, expected)
    else:
        error = np.linalg.norm(logits - expected) / np.linalg.norm(expected)
        assert error < 0.05
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in (*KNOWN_IDS, TEXT, "<|im_start|>user\n日本語 🙂<|im_end|>"):
        assert tokenizer(text).input_ids == model.tokenizer.encode(text, add_special_tokens=True)
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    for opened in (False, True):
        rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=opened)
        assert rendered == model.tokenizer.render_chat(chat, add_generation_prompt=opened)
    assert theirs.generation_config.eos_token_id == model.tokenizer.eos_id
