"""GGUF files, written here with the `gguf` package from the weights of the stored reference."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import jax
import numpy as np
import pytest

from modelops_jax.models import CheckpointError, LinearScaling, Llama3Scaling, describe, load

from .gguf_writing import add_tokenizer, interleaved

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
Write = Callable[..., Path]


def _gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if not stem.startswith("model.layers."):
        return f"{NAMES[stem]}.weight"
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{NAMES[part]}.weight"


@pytest.fixture
def gguf_file(tmp_path: Path, reference) -> Write:
    """Write the stored model, or a changed one, as a GGUF file."""

    def write(
        weights: Mapping[str, np.ndarray] | None = None,
        *,
        name: str = "model.gguf",
        architecture: str = "llama",
        kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
        interleave: bool = True,
        extra: Mapping[str, Any] | None = None,
        tokenizer: Mapping[str, Any] | None = None,
    ) -> Path:
        path = tmp_path / name
        writer = gguf.GGUFWriter(path, architecture)
        config = reference.config
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_context_length(config["max_position_embeddings"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(config["num_attention_heads"])
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
        writer.add_rope_dimension_count(config["head_dim"])
        writer.add_rope_freq_base(config["rope_theta"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        add_tokenizer(writer, tokenizer or {})
        for key, value in (extra or {}).items():
            add = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32}
            add[type(value)](key, value)
        for source, weight in (reference.weights if weights is None else weights).items():
            if interleave and ("q_proj" in source or "k_proj" in source):
                weight = interleaved(weight, config["head_dim"])
            target = source if source.startswith(("blk", "rope")) else _gguf_name(source)
            # Vectors stay as they are, and so do rows that are not whole blocks of 32.
            fits = weight.ndim == 2 and weight.shape[1] % 32 == 0
            type_ = kind if fits else gguf.GGMLQuantizationType.F32
            data = gguf.quantize(np.ascontiguousarray(weight), type_)
            writer.add_tensor(target, data, raw_dtype=type_)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def test_a_gguf_file_is_the_folder_it_was_made_from(gguf_file: Write, hf_folder, reference):
    """Unpermuted and stacked, every parameter is bit for bit the folder's."""
    model, folder = load(gguf_file()), load(hf_folder())
    assert model.config == folder.config.__class__(
        **{**vars(folder.config), "rms_norm_eps": model.config.rms_norm_eps}
    )
    jax.tree.map(np.testing.assert_array_equal, model.params, folder.params)
    error = np.abs(np.asarray(model.logits(reference.token_ids)) - reference.logits).max()
    assert error < 1e-4


def test_rows_in_another_order_would_be_noticed(gguf_file: Write, reference):
    """A file whose query and key rows were not interleaved gives other logits."""
    model = load(gguf_file(interleave=False))
    error = np.abs(np.asarray(model.logits(reference.token_ids)) - reference.logits).max()
    assert error > 0.1


@pytest.mark.parametrize(("kind", "bound"), [("F16", 2e-3), ("BF16", 2e-2), ("Q8_0", 3e-2)])
def test_quantised_weights_are_dequantised(gguf_file: Write, reference, kind: str, bound: float):
    """Half precision and 8-bit blocks come back to float32 within their rounding."""
    model = load(gguf_file(kind=gguf.GGMLQuantizationType[kind]))
    gate = model.params["model"]["layers"]["mlp"]["gate_proj"]["weight"][1]
    assert gate.dtype == np.float32
    stored = reference.weights["model.layers.1.mlp.gate_proj.weight"]
    assert 0 < np.abs(np.asarray(gate) - stored).max() < bound


def test_without_an_output_tensor_the_head_is_tied(gguf_file: Write, reference):
    """output.weight is absent from tied models."""
    weights = {name: w for name, w in reference.weights.items() if name != "lm_head.weight"}
    model = load(gguf_file(weights))
    assert model.config.tie_word_embeddings
    assert "lm_head" not in model.params


def test_every_gguf_tensor_is_consumed(gguf_file: Write, reference):
    """Biases and absent tensors are listed by name."""
    weights = dict(reference.weights)
    del weights["model.layers.0.mlp.down_proj.weight"]
    weights["blk.0.attn_q.bias"] = np.zeros(48, np.float32)
    pattern = r"not understood: .*q_proj\.bias; missing: model\.layers\.0\.mlp\.down_proj\.weight"
    with pytest.raises(CheckpointError, match=pattern):
        load(gguf_file(weights))
    del weights["model.embed_tokens.weight"]
    with pytest.raises(CheckpointError, match=r"missing: token_embd\.weight"):
        load(gguf_file(weights, name="b.gguf"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.rope.scaling.type", "yarn"),
        ("llama.expert_count", 8),
    ],
)
def test_an_unsupported_gguf_key_is_named(gguf_file: Write, key: str, value: Any):
    """Other rotary scalings and experts are refused by the key that asks for them."""
    with pytest.raises(CheckpointError, match=rf"{key} is {value!r}"):
        load(gguf_file(extra={key: value}))


def _llama_3_divisors(theta: float, head_dim: int, factor: float, high: float) -> np.ndarray:
    """What llama.cpp's converter stores, from wavelengths and one frequency at a time."""
    divisors = []
    for index in range(0, head_dim, 2):
        wavelength = 2 * math.pi * theta ** (index / head_dim)
        if wavelength < 8192 / high:
            divisors.append(1.0)
        elif wavelength > 8192 / 1.0:
            divisors.append(factor)
        else:
            smooth = (8192 / wavelength - 1.0) / (high - 1.0)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.asarray(divisors, np.float32)


def test_the_frequency_divisors_of_llama_3_are_read(
    gguf_file: Write, reference, monkeypatch: pytest.MonkeyPatch
):
    """rope_freqs.weight becomes the scaling that a Hugging Face folder would name."""
    theta, head_dim = 500000.0, reference.config["head_dim"]
    monkeypatch.setitem(reference.config, "rope_theta", theta)
    divisors = _llama_3_divisors(theta, head_dim, 32.0, 4.0)
    assert (divisors == 1.0).any()
    assert ((divisors > 1.0) & (divisors < 32.0)).any()
    model = load(gguf_file({**reference.weights, "rope_freqs.weight": divisors}))
    assert model.config.rope_scaling == Llama3Scaling(32.0, 1.0, 4.0, 8192)
    other = _llama_3_divisors(theta, head_dim, 32.0, 5.0)
    for index, wrong in enumerate((other, divisors[:-1])):
        path = gguf_file({**reference.weights, "rope_freqs.weight": wrong}, name=f"{index}.gguf")
        with pytest.raises(CheckpointError, match=r"'rope_freqs\.weight' does not scale"):
            load(path)


@pytest.mark.parametrize(
    "extra",
    [
        {"llama.rope.scale_linear": 2.0},
        {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.0},
    ],
)
def test_linearly_scaled_frequencies_are_read(gguf_file: Write, extra: dict[str, Any]):
    """Both keys that ask for it."""
    assert load(gguf_file(extra=extra)).config.rope_scaling == LinearScaling(2.0)


def test_other_architectures_are_refused(gguf_file: Write):
    """Anything that is not a Llama."""
    with pytest.raises(CheckpointError, match=r"general\.architecture is 'gemma'"):
        load(gguf_file(architecture="gemma"))


def test_a_damaged_gguf_file_is_named(gguf_file: Write, tmp_path: Path):
    """Text, an empty file and a cut one are all not whole GGUF files."""
    content = gguf_file().read_bytes()
    for index, damaged in enumerate((b"", b"hello, world", content[:1000], content[:-5000])):
        path = tmp_path / f"damaged-{index}.gguf"
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=rf"damaged-{index}\.gguf"):
            load(path)


def test_the_tokenizer_comes_from_the_metadata(gguf_file: Write):
    """Tokens, merges, types, ids and template of the file make the tokenizer."""
    tokenizer = load(gguf_file(tokenizer={"template": "T", "eot": 258})).tokenizer
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (257, 259, 259)
    assert tokenizer.stop_ids == (259, 258)
    assert tokenizer.chat_template == "T"
    assert tokenizer.encode("hi, h") == [255, ord(","), ord(" "), ord("h")]
    assert tokenizer.encode("a<|im_start|>b<|im_end|>") == [ord("a"), 258, ord("b"), 259]
    # Type 3 is a control token, which decoding leaves out; type 4 belongs to the text.
    assert tokenizer.decode([ord("a"), 258, 259]) == "a<|im_end|>"


def test_a_first_token_is_added_only_when_asked(gguf_file: Write):
    """add_bos_token sets what add_special_tokens adds, and a saved copy keeps it."""
    model = load(gguf_file(tokenizer={"add_bos": True}))
    assert model.tokenizer.encode("a") == [ord("a")]
    assert model.tokenizer.encode("a", add_special_tokens=True) == [257, ord("a")]
    plain = load(gguf_file(name="b.gguf", tokenizer={"add_bos": False})).tokenizer
    assert plain.encode("a", add_special_tokens=True) == [ord("a")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "t5"}, r"tokenizer\.ggml\.model is 't5'; read are 'gpt2'"),
        ({"pre": "tekken"}, r"tokenizer\.ggml\.pre is 'tekken'; supported are default, gpt-2"),
        ({"merges": ["h zz"]}, "merges are damaged"),
    ],
)
def test_an_unsupported_tokenizer_is_refused(
    gguf_file: Write, changes: dict[str, Any], message: str
):
    """A kind or a rule that is not known would give wrong ids silently."""
    with pytest.raises(CheckpointError, match=message):
        load(gguf_file(tokenizer=changes))


def test_a_file_is_described_from_its_header(gguf_file: Write, monkeypatch: pytest.MonkeyPatch):
    """Architecture, shapes and tokenizer are those of the loaded model; no tensor is read."""
    path = gguf_file()
    model = load(path)

    def refuse(*_):
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(gguf, "dequantize", refuse)
    description = describe(path)
    assert (description.config, description.name) == (model.config, model.name)
    assert description.tokenizer.encode("hi, h") == model.tokenizer.encode("hi, h")
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), model.params)
    assert description.params == shapes
