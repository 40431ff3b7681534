"""LoRA and DoRA against PEFT itself on the same weights: logits, gradients, files both ways."""

import copy
import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from modelops_jax.models import (
    Adapters,
    LoraConfig,
    Model,
    forward,
    init_lora,
    load,
    load_adapters,
    merge_lora,
    save_adapters,
    unembed,
)
from modelops_jax.models._presets import byte_tokenizer

from .families import CONFIGS, draw, token_ids

pytestmark = [
    pytest.mark.model,
    # transformers and peft warn about their own internals.
    pytest.mark.filterwarnings("default"),
]

KINDS = {
    "lora": LoraConfig(rank=3, alpha=7.5, targets=("q_proj", "v_proj", "down_proj")),
    "rslora": LoraConfig(rank=4, alpha=8.0, rank_stabilized=True),
    "dora": LoraConfig(rank=2, alpha=8.0, dora=True),
}


class Bases(NamedTuple):
    """A base model of transformers, its folder, and ours from it. Qwen 2 has biases."""

    theirs: Any
    folder: Path
    ours: Model


@pytest.fixture(scope="module", params=["llama3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"])
def bases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    return make_bases(request.param, tmp_path_factory.mktemp(request.param))


def make_bases(family: str, folder: Path) -> Bases:
    """With random weights."""
    import torch
    import transformers

    fields = CONFIGS[family]
    # transformers writes into the objects it is given.
    config = transformers.AutoConfig.for_model(**copy.deepcopy(fields))
    theirs = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(torch.from_numpy(draw(name, tuple(weight.shape), fields["model_type"])))
    byte_tokenizer().save(folder)
    theirs.save_pretrained(folder)
    return Bases(theirs, folder, load(folder))


def moved(model: Model, config: LoraConfig) -> Adapters:
    """Adapters far from their start."""
    random = np.random.default_rng(0)
    weights = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(0.1 * random.normal(size=leaf.shape), jnp.float32),
        init_lora(model.params, config, 0).weights,
    )
    return Adapters(weights, config)


def mean_log_likelihood(weights: Any, model: Model, config: LoraConfig) -> Any:
    """Of all but the first tokens."""
    ids = jnp.asarray(token_ids(), jnp.int32)
    hidden, _ = forward(model.params, model.config, ids, adapters=Adapters(weights, config))
    logs = jax.nn.log_softmax(unembed(model.params, model.config, hidden[:, :-1]))
    return jnp.take_along_axis(logs, ids[:, 1:, None], axis=-1).mean()


def near(found: Any, expected: Any, share: float) -> bool:
    """Within a share of the largest number."""
    return float(np.abs(found - expected).max()) < share * float(np.abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_peft_computes_the_same_from_our_folder(bases: Bases, tmp_path: Path, kind: str):
    """Logits, the loss's gradient to every adapter tensor, and the merged model's logits."""
    import peft
    import torch
    import transformers

    config = KINDS[kind]
    adapters = moved(bases.ours, config)
    save_adapters(tmp_path / "adapter", adapters, bases.ours.config, base_model=str(bases.folder))
    wrapped = peft.PeftModel.from_pretrained(
        copy.deepcopy(bases.theirs), str(tmp_path / "adapter"), is_trainable=True
    )
    ids = torch.from_numpy(token_ids())
    output = wrapped(ids)
    logs = torch.log_softmax(output.logits[:, :-1], dim=-1)
    loss = logs.gather(-1, ids[:, 1:, None]).mean()
    loss.backward()

    value, gradients = jax.value_and_grad(mean_log_likelihood)(adapters.weights, bases.ours, config)
    assert float(value) == pytest.approx(float(loss), rel=1e-5)
    theirs = {name: p.grad.numpy() for name, p in wrapped.named_parameters() if p.grad is not None}
    compared = 0
    for path, leaf in jax.tree.leaves_with_path(gradients):
        block, name, key = (part.key for part in path)
        for layer, ours in enumerate(leaf):
            expected = theirs[
                f"base_model.model.model.layers.{layer}.{block}.{name}.{key}.default.weight"
            ]
            assert near(ours, expected, 1e-4), (block, name, key, layer)
            compared += 1
    assert compared == len(theirs)

    merged = load(bases.folder, adapter=tmp_path / "adapter")
    logits = output.logits.detach().numpy()
    assert near(merged.logits(token_ids()), logits, 1e-4)
    plain = merge_lora(bases.ours.params, Adapters(adapters.weights, LoraConfig(rank=9)))
    other = Model(bases.ours.config, plain, bases.ours.tokenizer, "other scale")
    assert not near(other.logits(token_ids()), logits, 1e-2)

    merged.save(tmp_path / "merged")
    again = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "merged", attn_implementation="eager"
    )
    with torch.no_grad():
        assert near(again.eval()(ids).logits.numpy(), logits, 1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_we_read_what_peft_writes(bases: Bases, tmp_path: Path, kind: str):
    """Its own folder, with the fields of today's version, gives its logits here."""
    import peft
    import torch

    config = KINDS[kind]
    wrapped = peft.get_peft_model(
        copy.deepcopy(bases.theirs),
        peft.LoraConfig(
            r=config.rank,
            lora_alpha=int(config.alpha),
            target_modules=list(config.names),
            use_rslora=config.rank_stabilized,
            use_dora=config.dora,
            lora_dropout=0.1,
            task_type="CAUSAL_LM",
        ),
    )
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if weight.requires_grad:
                weight.add_(torch.from_numpy(draw(name, tuple(weight.shape), "llama")) / 3)
        logits = wrapped.eval()(torch.from_numpy(token_ids())).logits.numpy()
    wrapped.save_pretrained(str(tmp_path / "adapter"))
    adapters = load_adapters(tmp_path / "adapter", bases.ours.config)
    assert adapters.config.dropout == 0.1
    ours = load(bases.folder, adapter=tmp_path / "adapter")
    assert near(ours.logits(token_ids()), logits, 1e-4)
    assert not near(bases.ours.logits(token_ids()), logits, 1e-2)


@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize("labels", [1, 3])
def test_heads_for_labels_are_those_of_peft(tmp_path: Path, kind: str, labels: int):
    """`modules_to_save` of SEQ_CLS, from its folder here and from ours there: the same logits."""
    import peft
    import torch
    import transformers

    fields, tokenizer = CONFIGS["qwen2"], byte_tokenizer()
    settings = transformers.AutoConfig.for_model(
        **copy.deepcopy(fields), num_labels=labels, pad_token_id=tokenizer.pad_id
    )
    theirs = transformers.AutoModelForSequenceClassification.from_config(
        settings, attn_implementation="eager"
    )
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(torch.from_numpy(draw(name, tuple(weight.shape), "qwen2")))
    theirs.save_pretrained(tmp_path / "base")
    tokenizer.save(tmp_path / "base")
    ours = load(tmp_path / "base")
    text = "The minutes are attached, see there!"
    ids = torch.tensor([tokenizer.encode(text)])

    config = KINDS[kind]
    made = peft.LoraConfig(
        r=config.rank,
        lora_alpha=int(config.alpha),
        target_modules=list(config.names),
        use_dora=config.dora,
        task_type="SEQ_CLS",
    )
    wrapped = peft.get_peft_model(copy.deepcopy(theirs), made)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if weight.requires_grad:
                weight.add_(torch.from_numpy(draw(name, tuple(weight.shape), "llama")) / 3)
        expected = wrapped.eval()(ids).logits.numpy()
    wrapped.save_pretrained(str(tmp_path / "theirs"))
    merged = load(tmp_path / "base", adapter=tmp_path / "theirs")
    # One number, of which products leave a tenth: 1.4e-5 of it is their rounding.
    assert near(merged._read([text]), expected, 1e-4)
    assert not near(ours._read([text]), expected, 1e-2)

    adapters = load_adapters(tmp_path / "theirs", ours.config)
    head = adapters.head
    assert head is not None
    without = merge_lora(ours.params, dataclasses.replace(adapters, head=None))
    assert not near(dataclasses.replace(ours, params=without)._read([text]), expected, 1e-2)
    moved_on = dataclasses.replace(adapters, head={"weight": 2 * head["weight"]})
    save_adapters(tmp_path / "ours", moved_on, ours.config, base_model=str(tmp_path / "base"))
    back = peft.PeftModel.from_pretrained(copy.deepcopy(theirs), str(tmp_path / "ours"))
    with torch.no_grad():
        assert near(back.eval()(ids).logits.numpy(), 2 * expected, 1e-4)


GPT2_KINDS = {
    "lora": LoraConfig(rank=3, alpha=7.5),
    "some": LoraConfig(rank=2, targets=("q_proj", "v_proj", "o_proj"), rank_stabilized=True),
    "dora": LoraConfig(rank=2, alpha=8.0, dora=True),
}


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    return make_bases("gpt2", tmp_path_factory.mktemp("gpt2"))


@pytest.mark.parametrize("kind", GPT2_KINDS)
def test_peft_computes_the_same_of_a_gpt2(gpt2: Bases, tmp_path: Path, kind: str):
    """Queries, keys and values with matrices of their own, in the one map that PEFT adapts."""
    import peft
    import torch

    adapters = moved(gpt2.ours, GPT2_KINDS[kind])
    save_adapters(tmp_path / "adapter", adapters, gpt2.ours.config)
    wrapped = peft.PeftModel.from_pretrained(copy.deepcopy(gpt2.theirs), str(tmp_path / "adapter"))
    with torch.no_grad():
        logits = wrapped.eval()(torch.from_numpy(token_ids())).logits.numpy()
    merged = load(gpt2.folder, adapter=tmp_path / "adapter")
    assert near(merged.logits(token_ids()), logits, 1e-4)
    ours, _ = forward(
        gpt2.ours.params, gpt2.ours.config, jnp.asarray(token_ids(), jnp.int32), adapters=adapters
    )
    assert near(unembed(gpt2.ours.params, gpt2.ours.config, ours), logits, 1e-4)
    attention = dict(adapters.weights["self_attn"])
    attention["q_proj"], attention["v_proj"] = attention["v_proj"], attention["q_proj"]
    swapped = {**adapters.weights, "self_attn": attention}
    other = merge_lora(gpt2.ours.params, Adapters(swapped, adapters.config))
    other = dataclasses.replace(gpt2.ours, params=other)
    assert not near(other.logits(token_ids()), logits, 1e-2)


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora"])
@pytest.mark.parametrize("targets", [["c_attn"], ["c_attn", "c_proj", "c_fc"]])
def test_we_read_what_peft_writes_of_a_gpt2(
    gpt2: Bases, tmp_path: Path, kind: str, targets: list[str]
):
    """Its logits here, and the tensors of its file in ours."""
    import peft
    import torch

    config = KINDS[kind]
    made = peft.LoraConfig(
        r=config.rank,
        lora_alpha=int(config.alpha),
        target_modules=targets,
        use_rslora=config.rank_stabilized,
        use_dora=config.dora,
        fan_in_fan_out=True,
        task_type="CAUSAL_LM",
    )
    wrapped = peft.get_peft_model(copy.deepcopy(gpt2.theirs), made)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if weight.requires_grad:
                weight.add_(torch.from_numpy(draw(name, tuple(weight.shape), "llama")) / 3)
        logits = wrapped.eval()(torch.from_numpy(token_ids())).logits.numpy()
    wrapped.save_pretrained(str(tmp_path / "theirs"))
    ours = load(gpt2.folder, adapter=tmp_path / "theirs")
    assert near(ours.logits(token_ids()), logits, 1e-4)
    assert not near(gpt2.ours.logits(token_ids()), logits, 1e-2)
    adapters = load_adapters(tmp_path / "theirs", gpt2.ours.config)
    save_adapters(tmp_path / "ours", adapters, gpt2.ours.config)
    found, expected = (
        safetensors.numpy.load_file(tmp_path / name / "adapter_model.safetensors")
        for name in ("ours", "theirs")
    )
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor)
