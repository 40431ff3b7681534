"""Reading and writing the folder of a Hugging Face model: weights as safetensors."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy
from jax.sharding import Mesh

from ._config import DecoderConfig
from ._errors import CheckpointError
from ._folder import new_folder
from ._hf_config import read_config, write_config
from ._hf_gpt2 import fuse_gpt2, split_gpt2
from ._json_file import read_json
from ._params import Params
from ._stacked import StackedWeights, checkpoint_tensors
from ._tokenizer import Tokenizer

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_READABLE = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
# A safetensors file is the length of its header in so many bytes, the header, and the tensors.
_LENGTH_BYTES = 8
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
# Old checkpoints store rotary frequencies and causal masks, which follow from the configuration.
_DERIVED = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias")


def read_folder(
    folder: str | os.PathLike[str], dtype: np.dtype, mesh: Mesh | None = None
) -> tuple[DecoderConfig, Params, Tokenizer]:
    """Read a model of a known family from a Hugging Face folder.

    Args:
        folder: Holds config.json, one or several safetensors files, and the tokenizer.
        dtype: Type of the parameters, whatever the files store.
        mesh: Devices to divide the parameters over.

    Returns:
        Configuration, parameters and tokenizer.

    Raises:
        CheckpointError: A file is missing or damaged, the model is not supported, or tensors are
            left over or missing.
    """
    folder = Path(folder)
    config = read_config(folder)
    tokenizer = Tokenizer.from_folder(folder)
    weights = StackedWeights(config, dtype, str(folder), mesh)
    tied_head = None
    for file in weight_files(folder):
        for stored, whole in read_tensors(file):
            pieces = split_gpt2(stored, whole) if config.family == "gpt2" else [(stored, whole)]
            for name, tensor in pieces:
                if config.tie_word_embeddings and name == HEAD:
                    tied_head = tensor
                else:
                    weights.put(name, tensor)
    params = weights.finish()
    embedding = params["model"]["embed_tokens"]["weight"]
    if tied_head is not None and not _is(embedding, tied_head):
        raise CheckpointError(
            f"{folder}: tie_word_embeddings is true, but {HEAD!r} is not {EMBEDDING!r}"
        )
    return config, params, tokenizer


def _is(weight: jax.Array, tensor: np.ndarray) -> bool:
    """Whether a weight is this tensor, compared on the devices: a process may hold a part of it."""
    if weight.shape != tensor.shape:
        return False
    moved = jax.device_put(tensor.astype(weight.dtype), weight.sharding)
    return bool(jnp.array_equal(weight, moved))


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: the single one, or the shards its index names.

    Raises:
        CheckpointError: There are none, or a shard is missing.
    """
    if (folder / SINGLE).exists():
        return [folder / SINGLE]
    if not (folder / INDEX).exists():
        pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
        hint = f"; {pickled[0]} is a pickle and is not read" if pickled else ""
        raise CheckpointError(f"{folder} has neither {SINGLE} nor {INDEX}{hint}")
    names = read_json(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise CheckpointError(f"{folder / INDEX}: expected 'weight_map' from tensor to file")
    shards = sorted(set(names.values()))
    for shard in shards:
        if Path(shard).name != shard:
            raise CheckpointError(f"{folder / INDEX}: {shard!r} is not the name of a file")
        if not (folder / shard).exists():
            raise CheckpointError(f"{folder} has no {shard}, which {INDEX} names")
    return [folder / shard for shard in shards]


def read_tensors(file: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Each tensor of a file in turn, read rather than mapped: mapped pages would stay in memory."""
    try:
        with safetensors.safe_open(file, framework="numpy") as opened:  # checks the whole header
            names = [name for name in opened.keys() if not name.endswith(_DERIVED)]
            stored = {name: opened.get_slice(name).get_dtype() for name in names}
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{file} is not a whole safetensors file: {error}") from error
    for name, kind in stored.items():
        if kind not in _READABLE:
            raise CheckpointError(
                f"{file}: tensor {name!r} is of type {kind}; read are {', '.join(_READABLE)}"
            )
    with open(file, "rb") as opened:
        length = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
        header = json.loads(opened.read(length))
        for name, kind in stored.items():
            begin, end = header[name]["data_offsets"]
            tensor = np.empty(header[name]["shape"], _READABLE[kind])
            opened.seek(_LENGTH_BYTES + length + begin)
            read = opened.readinto(tensor.reshape(-1).view(np.uint8).data)
            assert read == end - begin == tensor.nbytes, (file, name)
            yield name, tensor


def folder_tensors(config: DecoderConfig, params: Params) -> Iterator[tuple[str, np.ndarray]]:
    """Name and array of each tensor of the family's checkpoint."""
    return fuse_gpt2(params) if config.family == "gpt2" else checkpoint_tensors(params)


def write_folder(
    path: str | os.PathLike[str], config: DecoderConfig, params: Params, tokenizer: Tokenizer
) -> None:
    """Write a folder that transformers loads to the same logits and token ids.

    The folder appears whole or not at all.

    Args:
        path: The folder to make; it may exist only if it is empty.
        config: The architecture.
        params: Parameters, written in their own type.
        tokenizer: Written with its chat template.

    Raises:
        FileExistsError: `path` exists and is not an empty folder.
    """
    tensors = dict(folder_tensors(config, params))
    with new_folder(path) as folder:
        safetensors.numpy.save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
        write_config(
            folder,
            config,
            params["model"]["embed_tokens"]["weight"].dtype,
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            pad_id=tokenizer.pad_id,
        )
        tokenizer.save(folder)
        # The safetensors package makes its file for its owner alone.
        shutil.copymode(folder / "config.json", folder / SINGLE)
