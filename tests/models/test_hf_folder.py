"""Hugging Face folders: what is read equals transformers, what is written is read again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from modelops_jax.models import CheckpointError, load

Folder = Callable[..., Path]


def _distance(folder: Path, reference) -> float:
    logits = np.asarray(load(folder).logits(reference.token_ids))
    return float(np.abs(logits - reference.logits).max())


def test_logits_equal_those_of_transformers(hf_folder: Folder, reference):
    """Grouped heads, an explicit head_dim and an untied head give transformers' logits."""
    assert np.abs(reference.logits).max() > 5
    assert _distance(hf_folder(), reference) < 1e-4


def test_a_wrong_rotary_base_gives_other_logits(hf_folder: Folder, reference):
    """The comparison would notice a base that is not read."""
    assert _distance(hf_folder(rope_theta=10000.0), reference) > 0.1


def test_the_rotary_base_is_read_from_where_transformers_5_writes_it(hf_folder: Folder, reference):
    """`rope_parameters` counts as much as the top level."""
    parameters = {"rope_theta": 50000.0, "rope_type": "default"}
    folder = hf_folder(without="rope_theta", rope_parameters=parameters)
    assert _distance(folder, reference) < 1e-4


def test_absent_fields_have_the_defaults_of_transformers(hf_folder: Folder, reference):
    """Without its fields, a model has as many key heads as heads, and a derived head_dim."""
    weights = dict(reference.weights)
    for layer in range(2):
        for part, shape in (("q", (32, 32)), ("k", (32, 32)), ("v", (32, 32)), ("o", (32, 32))):
            weights[f"model.layers.{layer}.self_attn.{part}_proj.weight"] = np.zeros(
                shape, np.float32
            )
    folder = hf_folder(weights, num_key_value_heads=None, without="head_dim")
    config = load(folder).config
    assert (config.num_kv_heads, config.head_dim) == (4, 8)


def test_shards_are_one_checkpoint(hf_folder: Folder, reference, tmp_path: Path):
    """A model in three files is the model in one."""
    whole = hf_folder()
    folder = hf_folder(name="sharded")
    (folder / "model.safetensors").unlink()
    names = sorted(reference.weights)
    weight_map = {}
    for part in range(3):
        shard = f"model-{part + 1:05d}-of-00003.safetensors"
        tensors = {name: reference.weights[name] for name in names[part::3]}
        safetensors.numpy.save_file(tensors, folder / shard)
        weight_map |= dict.fromkeys(tensors, shard)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    jax.tree.map(np.testing.assert_array_equal, load(folder).params, load(whole).params)

    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"has no model-00002-of-00003\.safetensors"):
        load(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(CheckpointError, match="not the name of a file"):
        load(folder)


def test_types_may_be_mixed(hf_folder: Folder, reference):
    """bfloat16, float16 and float32 tensors of one file all become float32."""
    kinds = (ml_dtypes.bfloat16, np.float16, np.float32)
    weights = {
        name: weight.astype(kinds[index % 3])
        for index, (name, weight) in enumerate(sorted(reference.weights.items()))
    }
    params = load(hf_folder(weights)).params
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}
    up = params["model"]["layers"]["mlp"]["up_proj"]["weight"][1]
    stored = weights["model.layers.1.mlp.up_proj.weight"]
    np.testing.assert_array_equal(up, stored.astype(np.float32))


def test_parameters_have_the_type_asked_for(hf_folder: Folder, reference):
    """dtype="bfloat16" halves the parameters; logits stay float32 and close."""
    model = load(hf_folder(), dtype="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(model.params)} == {np.dtype("bfloat16")}
    logits = np.asarray(model.logits(reference.token_ids))
    assert logits.dtype == np.float32
    error = np.linalg.norm(logits - reference.logits) / np.linalg.norm(reference.logits)
    assert error < 0.1


def test_a_tied_head_is_the_embedding(hf_folder: Folder, reference):
    """Tied: no head of its own; a stored one must be the same, or the folder is refused."""
    weights = dict(reference.weights)
    head = weights.pop("lm_head.weight")
    embedding = weights["model.embed_tokens.weight"]
    bare = load(hf_folder(weights, tie_word_embeddings=True))
    assert "lm_head" not in bare.params
    same = hf_folder({**weights, "lm_head.weight": embedding}, name="b", tie_word_embeddings=True)
    ids = reference.token_ids
    np.testing.assert_array_equal(load(same).logits(ids), bare.logits(ids))
    other = hf_folder({**weights, "lm_head.weight": head}, name="c", tie_word_embeddings=True)
    with pytest.raises(
        CheckpointError, match=r"tie_word_embeddings is true, but 'lm_head\.weight'"
    ):
        load(other)


def test_every_tensor_is_consumed(hf_folder: Folder, reference):
    """Leftover and missing tensors are listed by name; derived buffers of old files are not."""
    weights = dict(reference.weights)
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(6, np.float32)
    assert load(hf_folder(weights, name="old")).config.num_layers == 2
    del weights["model.layers.1.mlp.up_proj.weight"]
    weights["model.layers.0.self_attn.q_proj.bias"] = np.zeros(48, np.float32)
    pattern = r"not understood: .*layers\.0.*q_proj\.bias; missing: .*layers\.1\.mlp\.up_proj"
    with pytest.raises(CheckpointError, match=pattern):
        load(hf_folder(weights))


def test_a_wrong_shape_names_the_tensor(hf_folder: Folder, reference):
    """Shapes are checked against the configuration, never broadcast."""
    weights = {**reference.weights, "model.norm.weight": np.ones(1, np.float32)}
    with pytest.raises(CheckpointError, match=r"'model\.norm\.weight' has shape \(1,\).*\(32,\)"):
        load(hf_folder(weights))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("architectures", ["MistralForCausalLM"]),
        ("model_type", "qwen2_moe"),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("hidden_act", "gelu"),
        ("sliding_window", 4096),
        ("quantization_config", {"bits": 4}),
        ("rope_scaling", {"rope_type": "llama3", "factor": 8.0}),
        ("rope_scaling", {"type": "linear"}),
        ("rope_scaling", {"rope_type": "linear", "factor": 2.0, "attention_factor": 1.0}),
        ("rope_scaling", {"rope_type": "linear", "factor": 0.0}),
        ("rope_parameters", {"rope_type": "yarn", "rope_theta": 1e4}),
        ("rope_parameters", {"rope_theta": 1e4, "partial_rotary_factor": 0.5}),
        ("rope_parameters", {"full_attention": {"rope_theta": 1e4}}),
        ("rope_theta", "big"),
        ("original_max_position_embeddings", 32),
        ("num_hidden_layers", None),
        ("hidden_size", 32.5),
        ("num_key_value_heads", 3),
        ("tie_word_embeddings", 1),
    ],
)
def test_an_unsupported_field_is_named(hf_folder: Folder, field: str, value: Any):
    """What would change the computation is refused, with the file and the field."""
    folder = hf_folder(**{field: value})
    named = {"num_hidden_layers": "num_hidden_layers", "num_key_value_heads": "num_kv_heads"}
    with pytest.raises(CheckpointError, match=rf"config\.json.*{named.get(field, field)}"):
        load(folder)


def test_broken_files_are_named(hf_folder: Folder):
    """A damaged or missing file gives an error with its name, not a traceback of a library."""
    folder = hf_folder()
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a whole safetensors"):
        load(folder)
    weights.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is a pickle"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is not valid JSON"):
        load(folder)


def test_embeddings_must_cover_the_tokenizer(hf_folder: Folder, reference):
    """A token id without an embedding would be clamped silently; it is refused."""
    weights = dict(reference.weights)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = weights[name][:256]
    with pytest.raises(CheckpointError, match="260 ids, the embeddings only 256"):
        load(hf_folder(weights, vocab_size=256))


def test_a_saved_model_is_read_again(hf_folder: Folder, tmp_path: Path):
    """save then load gives the same bits, configuration, tokenizer and name of its folder."""
    for dtype in ("float32", "bfloat16"):
        model = load(hf_folder(name=f"from-{dtype}"), dtype=dtype)
        model.save(tmp_path / "nested" / dtype)
        again = load(tmp_path / "nested" / dtype, dtype=dtype)
        assert again.config == model.config
        jax.tree.map(np.testing.assert_array_equal, again.params, model.params)
        assert again.tokenizer.stop_ids == model.tokenizer.stop_ids
        assert again.tokenizer.chat_template == model.tokenizer.chat_template
        assert again.name == str(tmp_path / "nested" / dtype)
    modes = {file.stat().st_mode for file in (tmp_path / "nested" / "float32").iterdir()}
    assert len(modes) == 1


def test_saving_overwrites_nothing(hf_folder: Folder, tmp_path: Path):
    """A folder with anything in it is left alone; an empty one may be filled."""
    model = load(hf_folder())
    target = tmp_path / "out"
    target.mkdir()
    model.save(target)
    with pytest.raises(FileExistsError, match="not an empty folder"):
        model.save(target)


def test_a_failed_save_leaves_nothing(
    hf_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files_of_at_most: Callable
):
    """If writing fails half-way there is neither a folder nor a temporary one, and it is named."""
    model = load(hf_folder())
    full = files_of_at_most(1_000)
    with full, pytest.raises(OSError, match=r"out could not be written: .*File too large"):
        model.save(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("modelops_jax.models._hf.write_config", fail)
    with pytest.raises(OSError, match="out could not be written: disk full"):
        model.save(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
