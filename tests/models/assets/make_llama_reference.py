"""Makes llama_reference.npz: a small random Llama and the logits transformers computes for it.

Run it where torch and transformers are installed (`pip install -e ".[oracle]"`):

    python tests/models/assets/make_llama_reference.py

Last made with transformers 5.23.0 and torch 2.13.0 on a CPU.
"""

import json
from pathlib import Path

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    # Not hidden_size / num_attention_heads, so that deriving it would show.
    "head_dim": 12,
    "max_position_embeddings": 64,
    "rope_theta": 50000.0,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
}


def main() -> None:
    # Imported here: the test suite imports this file to look for doctests.
    import numpy as np
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Large weights: at the usual 0.02 attention is flat and hides a wrong rotation.
            weight.normal_(mean=1.0 if "norm" in name else 0.0, std=0.3)
        token_ids = torch.randint(0, CONFIG["vocab_size"], (2, 32))
        logits = model(token_ids).logits
    arrays = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
    np.savez(
        Path(__file__).with_name("llama_reference.npz"),
        config=np.array(json.dumps(CONFIG)),
        token_ids=token_ids.numpy(),
        logits=logits.numpy(),
        **arrays,  # pyright: ignore[reportArgumentType] - a name could be `allow_pickle`
    )


if __name__ == "__main__":
    main()
