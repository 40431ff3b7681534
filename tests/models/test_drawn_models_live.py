"""Configurations drawn at random for every family, against transformers itself."""

import copy
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from modelops_jax.models import generate, load
from modelops_jax.models._presets import byte_tokenizer

from .families import draw

pytestmark = [
    pytest.mark.model,
    # transformers warns about its own internals.
    pytest.mark.filterwarnings("default"),
]

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "gpt2")
SEEDS = (0, 1, 2)
CONTEXT, TOKENS = 64, 40


def drawn_fields(family: str, seed: int) -> dict[str, Any]:
    """A `config.json` that a seed decides; windows are shorter than the rows."""
    random = np.random.default_rng([seed, zlib.crc32(family.encode())])

    def one_of(*choices: Any) -> Any:
        return choices[random.integers(len(choices))]

    key_heads, group, head_dim = one_of(1, 2, 3), one_of(1, 2, 3), one_of(4, 6, 8, 14)
    heads, layers = key_heads * group, int(random.integers(2, 6))
    if family == "gpt2":
        return {
            "model_type": family,
            "vocab_size": int(random.integers(260, 300)),
            "n_embd": heads * head_dim,
            "n_inner": int(random.integers(10, 60)),
            "n_layer": layers,
            "n_head": heads,
            "n_positions": CONTEXT,
            "layer_norm_epsilon": one_of(1e-5, 1e-3, 0.1),
        }
    fields = {
        "model_type": family,
        "vocab_size": int(random.integers(260, 300)),
        # Qwen 2 has no head_dim of its own.
        "hidden_size": heads * (head_dim if family == "qwen2" else one_of(5, 7, 8)),
        "intermediate_size": int(random.integers(10, 60)),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": one_of(1e-6, 1e-5, 1e-2),
        "rope_theta": one_of(100.0, 5e3, 1e5),
        "tie_word_embeddings": one_of(True, False),
    }
    if family != "qwen2":
        fields["head_dim"] = head_dim
    window = int(random.integers(3, 20))
    types = [one_of("full_attention", "sliding_attention") for _ in range(layers)]
    if family == "llama":
        wavelengths = {"low_freq_factor": 1.0, "high_freq_factor": one_of(2.0, 4.0)}
        fields["rope_scaling"] = one_of(
            {"rope_type": "linear", "factor": one_of(1.5, 4.0)},
            {
                "rope_type": "llama3",
                "factor": one_of(2.0, 8.0),
                "original_max_position_embeddings": one_of(16, 32),
                **wavelengths,
            },
        )
    elif family == "mistral":
        fields["sliding_window"] = window
    elif family.startswith("qwen"):
        fields |= {"use_sliding_window": True, "sliding_window": window}
        fields["max_window_layers"] = int(random.integers(0, layers))
        if one_of(True, False):
            fields["layer_types"] = ["sliding_attention", *types[1:]]
    else:
        fields |= {"sliding_window": window, "query_pre_attn_scalar": one_of(4, 9, 50)}
        fields["layer_types"] = ["sliding_attention", *types[1:]]
        if family == "gemma2":
            fields["attn_logit_softcapping"] = one_of(None, 2.0, 30.0)
            fields["final_logit_softcapping"] = one_of(None, 5.0, 20.0)
        else:
            fields["rope_local_base_freq"] = one_of(30.0, 1e3)
    return fields


class Drawn(NamedTuple):
    """What transformers makes of drawn fields: its logits, its continuation and its folder."""

    fields: dict[str, Any]
    token_ids: np.ndarray
    logits: np.ndarray
    continuation: list[int]
    folder: Path


@pytest.fixture(
    scope="module",
    params=[(family, seed) for family in FAMILIES for seed in SEEDS],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """A model of transformers with large random weights, norms and biases among them."""
    import torch
    import transformers

    family, seed = request.param
    fields = drawn_fields(family, seed)
    # transformers writes into the objects it is given.
    config = transformers.AutoConfig.for_model(**copy.deepcopy(fields))
    theirs: Any = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    token_ids = np.random.default_rng(seed).integers(0, 256, (2, TOKENS))
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(torch.from_numpy(draw(f"{seed} {name}", tuple(weight.shape), family)))
        logits = theirs.eval()(torch.from_numpy(token_ids)).logits.numpy()
        made = theirs.generate(
            torch.from_numpy(token_ids[:1]),
            attention_mask=torch.ones(1, TOKENS, dtype=torch.long),
            max_new_tokens=8,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    folder = tmp_path_factory.mktemp("drawn")
    byte_tokenizer().save(folder)
    theirs.save_pretrained(folder)
    return Drawn(fields, token_ids, logits, made[0, TOKENS:].tolist(), folder)


def distance(drawn: Drawn, folder: Path) -> float:
    """Largest difference of logits, relative to the largest logit."""
    found = np.asarray(load(folder).logits(drawn.token_ids))
    return float(np.abs(found - drawn.logits).max() / np.abs(drawn.logits).max())


def test_logits_equal_those_of_transformers(drawn: Drawn):
    """Within 1e-4 of the largest one: wide models with such weights round a lot."""
    assert distance(drawn, drawn.folder) < 1e-4


# One model of each family, as a loop compiles for long.
@pytest.mark.parametrize("drawn", [(family, 3) for family in FAMILIES], indirect=True, ids=FAMILIES)
def test_greedy_continuations_equal_those_of_transformers(drawn: Drawn):
    """From the cache, past windows."""
    model = load(drawn.folder)
    (made,) = generate(
        model.params,
        model.config,
        drawn.token_ids[:1].tolist(),
        max_new_tokens=8,
        stop_ids=(),
        pad_id=0,
    )
    assert made == drawn.continuation


def test_every_constant_is_read(drawn: Drawn, tmp_path: Path):
    """Any other rotary base, window or epsilon in the file gives other logits."""
    stored = json.loads((drawn.folder / "config.json").read_text())
    epsilon = "layer_norm_epsilon" if "layer_norm_epsilon" in stored else "rms_norm_eps"
    changes: dict[str, dict[str, Any]] = {epsilon: {epsilon: 30 * stored[epsilon] + 0.1}}
    if stored.get("sliding_window"):
        changes |= {
            f"window {n:+}": {"sliding_window": stored["sliding_window"] + n} for n in (-1, 1)
        }
    if "rope_theta" in drawn.fields:
        rotary = copy.deepcopy(stored["rope_parameters"])
        for kind in rotary.values() if "full_attention" in rotary else [rotary]:
            kind["rope_theta"] *= 3
        changes["rope"] = {"rope_parameters": rotary}
    for name, change in changes.items():
        folder = tmp_path / name
        folder.mkdir()
        for file in drawn.folder.iterdir():
            (folder / file.name).symlink_to(file)
        (folder / "config.json").unlink()
        (folder / "config.json").write_text(json.dumps(stored | change))
        assert distance(drawn, folder) > 1e-3, name
