"""Makes family_references.npz: what transformers computes for the models of ../families.py.

Run it where torch and transformers are installed (`pip install -e ".[oracle]"`):

    python tests/models/assets/make_family_references.py

Last made with transformers 5.23.0 and torch 2.13.0 on a CPU. The weights are drawn from the
tensors' names, so that only shapes, some logits and greedy continuations are stored.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    # Imported here: the test suite imports this file to look for doctests.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import families
    import numpy as np
    import torch
    import transformers

    arrays = {}
    for family, fields in families.CONFIGS.items():
        config = transformers.AutoConfig.for_model(**fields)
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        model = model.eval()
        shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
        with torch.no_grad():
            for name, weight in model.named_parameters():
                drawn = families.draw(name, tuple(weight.shape), fields["model_type"])
                weight.copy_(torch.from_numpy(drawn))
            logits = model(torch.from_numpy(families.token_ids())).logits.numpy()
        model.generation_config.eos_token_id = None
        continuations = []
        for prompt in families.prompts():
            ids = torch.tensor([prompt])
            # Without a mask, transformers takes a prompt's token 0 for padding.
            made = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=families.NEW_TOKENS,
            )
            continuations.append(made[0, len(prompt) :].tolist())
        arrays[f"{family}.shapes"] = np.array(json.dumps(shapes))
        arrays[f"{family}.logits"] = families.excerpt(logits)
        arrays[f"{family}.continuations"] = np.array(continuations, np.int16)
        print(f"{family:<14} largest logit {np.abs(logits).max():6.1f}")
    np.savez_compressed(Path(__file__).with_name("family_references.npz"), **arrays)


if __name__ == "__main__":
    main()
