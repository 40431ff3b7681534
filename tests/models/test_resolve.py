"""What a model's name stands for, in which order, and what an unknown one says."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelops_jax.models import SubstitutedModelWarning, UnknownModelError, load, resolve
from modelops_jax.models._hub import hub_folder


@pytest.fixture(autouse=True)
def nothing_cached(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An empty folder to stand in, empty caches, and no network."""
    root = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(root)
    monkeypatch.setenv("MODELOPS_CACHE", str(root / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return root


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the user's models.toml is looked for."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MODELOPS_HOME", str(folder))
    return folder


def _aliases(home: Path, text: str) -> None:
    (home / "models.toml").write_text(text)


def test_paths_come_first(hf_folder: Callable[..., Path], tmp_path: Path, home: Path):
    """A folder with a config.json or a .gguf file, before an alias of the same name."""
    folder = hf_folder(name="tiny")
    _aliases(home, '[aliases]\ntiny = "gpt-4"\n')
    found = resolve(folder)
    assert (found.kind, found.location, found.name) == ("folder", str(folder), str(folder))
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"")
    assert resolve(file).kind == "gguf"


def test_a_relative_name_of_a_folder_wins_only_if_it_is_a_model(
    hf_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """An unrelated folder that happens to be called like a preset does not hide it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    assert resolve("tiny").kind == "preset"
    (tmp_path / "tiny").rmdir()
    hf_folder(name="tiny")
    assert resolve("tiny").kind == "folder"


def test_aliases_lead_to_paths_and_names(hf_folder: Callable[..., Path], home: Path):
    """An alias may name another alias, and a relative path counts from the file's folder."""
    folder = hf_folder()
    folder.rename(home / "mine")
    _aliases(home, '[aliases]\nbase = "mine"\nwork = "base"\nsmall = "tiny"\n')
    assert resolve("work") == resolve(home / "mine")
    assert resolve("small") == resolve("tiny")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[aliases]\na = "b"\nb = "a"\n', "in a circle: a -> b -> a"),
        ('[aliases]\na = "nope"\n', "unknown model 'nope', reached through the alias 'a'"),
        ("[aliases\n", r"models\.toml is not valid TOML: .*line 1"),
        ("[alias]\n", "unknown key 'alias'"),
        ("aliases = 1\n", "aliases is 1; expected a table"),
        ("[aliases]\na = 1\n", r"aliases\.a is 1; expected a path"),
    ],
)
def test_a_bad_alias_is_explained(home: Path, text: str, message: str):
    """The file, the key and what was found are in the message."""
    _aliases(home, text)
    with pytest.raises(ValueError, match=message):
        resolve("a")


def test_a_hosted_name_is_replaced_with_a_warning():
    """A preset stands in; `resolve` has the words and `load` says them."""
    found = resolve("gpt-3.5-turbo")
    assert (found.kind, found.name) == ("preset", "tiny")
    assert found.warning is not None
    assert "'gpt-3.5-turbo' is a hosted model" in found.warning
    with pytest.warns(SubstitutedModelWarning, match="'tiny'"):
        model = load("gpt-3.5-turbo")
    assert model.name == "tiny"


def test_a_packaged_model_that_is_not_here_says_how_to_get_it():
    """The message is the one command to type."""
    command = "python -m modelops_jax.models smollm2-135m-instruct"
    with pytest.raises(UnknownModelError, match=command):
        resolve("smollm2-135m-instruct")


def test_an_unknown_name_lists_what_was_tried(home: Path, nothing_cached: Path):
    """Every place, every known name, and the nearest one."""
    _aliases(home, '[aliases]\nours = "tiny"\n')
    with pytest.raises(UnknownModelError) as caught:
        resolve("tinny")
    message = str(caught.value)
    for part in (
        "unknown model 'tinny'; did you mean 'tiny'?",
        f"folder or .gguf file {nothing_cached / 'tinny'} (no such path)",
        f"alias in {home / 'models.toml'}",
        "preset; packaged model",
        "Known names: tiny, smollm2-135m-instruct, ours, gpt-3.5-turbo",
    ):
        assert part in message
    (nothing_cached / "notes.txt").write_text("")
    with pytest.raises(UnknownModelError, match=r"does not end in \.gguf"):
        resolve("notes.txt")
    with pytest.raises(UnknownModelError, match="is empty"):
        resolve("")


def _cache_hub_model(folder: Path, root: Path) -> None:
    """Lay a folder out as huggingface_hub's cache does."""
    repository = root / "hub" / "models--someone--llama"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots").mkdir()
    folder.rename(repository / "snapshots" / ("0" * 40))


def test_a_hub_id_comes_from_the_cache_first(hf_folder: Callable[..., Path], nothing_cached: Path):
    """A complete model in huggingface_hub's cache needs no network and keeps its id as name."""
    _cache_hub_model(hf_folder(), nothing_cached)
    model = load("someone/llama")
    assert (model.name, model.config.num_layers) == ("someone/llama", 2)


def test_an_incomplete_or_absent_hub_model_says_so(
    hf_folder: Callable[..., Path], nothing_cached: Path
):
    """Offline, a model that is not whole in the cache is unknown, and the message says why."""
    with pytest.raises(UnknownModelError, match="not in its cache, and not fetched"):
        resolve("someone/llama")
    folder = hf_folder()
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-1.safetensors"}})
    )
    _cache_hub_model(folder, nothing_cached)
    with pytest.raises(UnknownModelError, match=r"incomplete, .* has no model-1\.safetensors"):
        resolve("someone/llama")


def test_the_hub_answers_are_told(monkeypatch: pytest.MonkeyPatch):
    """A refusal by the hub is passed on; without the package, the way to install it is given."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    def answer(name: str, *, local_files_only: bool = False, **_options: object) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError(name)
        response: Any = SimpleNamespace(status_code=404, headers={}, request=None)
        raise RepositoryNotFoundError("no such repository", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", answer)
    assert "not fetched (no such repository)" in str(hub_folder("someone/nothing"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert 'pip install "modelops-jax[hub]"' in str(hub_folder("someone/nothing"))
