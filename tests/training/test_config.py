"""One TOML file; every mistake in it is named."""

import dataclasses
import json
import typing
from pathlib import Path

import pytest

import modelops_jax
from modelops_jax.models import LoraConfig, MeshShape, load
from modelops_jax.training import (
    ConfigError,
    RunConfig,
    TrainingConfig,
    config_from_dict,
    load_config,
)
from modelops_jax.training._toml import check_fields

CONFIGS = Path(modelops_jax.__file__).parents[1] / "configs"
MINIMAL = 'model = "tiny"\noutput = "out"\n[data]\ntrain = "rows.jsonl"\n'


def write(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "run.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.toml")), ids=lambda path: path.stem)
def test_shipped_configs_load(path: Path):
    """Every file under configs/ is a valid run."""
    assert load_config(path).model


def test_defaults_fill_what_the_file_leaves_out(tmp_path: Path):
    """The resolved configuration is complete."""
    config = load_config(write(tmp_path, MINIMAL))
    assert config.training == TrainingConfig()
    assert config.data.train == Path("rows.jsonl")
    assert config.data.eval is None


def test_lora_table_turns_adapters_on(tmp_path: Path):
    """Integers are taken where numbers are wanted."""
    text = MINIMAL + '[training.lora]\nrank = 4\nalpha = 8\ntargets = ["q_proj"]\n'
    lora = load_config(write(tmp_path, text)).training.lora
    assert lora == LoraConfig(4, 8.0, ("q_proj",))


def test_overrides_win(tmp_path: Path):
    """Values are TOML, or plain strings where they are none."""
    path = write(tmp_path, MINIMAL)
    config = load_config(
        path, ["training.batch_size=3", "model=other-name", "training.lora.rank=2"]
    )
    assert (config.training.batch_size, config.model) == (3, "other-name")
    assert config.training.lora == LoraConfig(rank=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nlerning_rate = 1", "unknown key 'training.lerning_rate'; did you mean 'lear"),
        ("[training]\nzzz = 1", "unknown key 'training.zzz'; known keys: epochs, max_steps"),
        ("[training]\nrank = 1", "unknown key 'training.rank'; did you mean training.lora.rank"),
        ("[seed]", "unknown key 'seed'; did you mean training.seed"),
        ("[training.lora]\nalpha = nan", "lora.alpha must be positive and finite, found nan"),
        (
            "[training]\nweight_decay = inf",
            "training.weight_decay must be 0 or positive, found inf",
        ),
        (
            "[training]\neval_every = 2\nkeep_best = true",
            "training.eval_every, training.keep_best: need held-out rows, data.eval or",
        ),
        ("[training.lora]\nrang = 1", "unknown key 'training.lora.rang'; did you mean 'rank'"),
        ('[training]\nfreeze = ["a"]\n[training.lora]', "freeze and training.lora are both given"),
        ('[training]\nbatch_size = "8"', "training.batch_size must be an integer, found '8'"),
        ("[training]\nbatch_size = true", "training.batch_size must be an integer, found True"),
        ("[training]\nbatch_size = 0", "training.batch_size must be at least 1, found 0"),
        ("[training]\nseed = 4294967296", r"training.seed must be below 2\*\*32, found 4294967296"),
        ("[training]\nseed = -1", "training.seed must be 0 or positive, found -1"),
        ("[training]\nlearning_rate = nan", "training.learning_rate must be positive"),
        ('[training]\noverlong = "cut"', "training.overlong must be one of 'error', 'drop'"),
        ("[training]\nlora = 4", "training.lora must be a table, found 4"),
        ('[training.lora]\ntargets = "q"', "training.lora.targets must be a list of strings"),
        ('[training.lora]\ntargets = ["w"]', "'w' matches none of"),
        ("[training]\nadam_b1 = 1.0", "training.adam_b1 must be in"),
        ("[training", "run.toml"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str):
    """The file, the key, what was found and what was expected."""
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, MINIMAL + text))
    assert "run.toml" in str(caught.value)


def test_missing_keys_and_files_are_named(tmp_path: Path):
    """What has no default must be there."""
    with pytest.raises(ConfigError, match=r"missing key 'data\.train'"):
        load_config(write(tmp_path, 'model = "tiny"\noutput = "out"\n[data]\n'))
    with pytest.raises(FileNotFoundError, match=r"configuration '.*nowhere\.toml': no such file"):
        load_config(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="not of the form key=value"):
        load_config(write(tmp_path, MINIMAL), ["training"])
    with pytest.raises(ConfigError, match="'model' is a value, not a table"):
        load_config(write(tmp_path, MINIMAL), ["model.name=1"])


@dataclasses.dataclass(frozen=True)
class Table:
    """As the package's own, whose annotations the tests check before their fields are."""

    mesh: MeshShape | None

    def __post_init__(self):
        check_fields(self, "training.")


def test_a_table_given_in_python_has_no_file_to_name():
    """The message begins with what is wrong."""
    for mesh, message in (
        ({"dta": 1}, r"unknown key 'training\.mesh\.dta'; did you mean 'data'"),
        ({"data": 0}, r"mesh\.data must be at least 1, found 0"),
    ):
        with pytest.raises(ConfigError, match=f"^{message}"):
            Table(mesh)  # pyright: ignore[reportArgumentType] -- the mistake


def test_held_out_rows_are_named_once(tmp_path: Path):
    """A file and a fraction exclude each other."""
    text = MINIMAL + 'eval = "a.jsonl"\neval_fraction = 0.1\n'
    with pytest.raises(ConfigError, match=r"data\.eval and data\.eval_fraction are both given"):
        load_config(write(tmp_path, text))


def test_dictionary_round_trip():
    """What a checkpoint or a job stores makes the same configuration again."""
    config = TrainingConfig(lora=LoraConfig(rank=3), max_steps=5)
    stored = json.loads(json.dumps(dataclasses.asdict(config)))
    assert config_from_dict(stored) == config


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.toml")), ids=lambda path: path.stem)
def test_toml_round_trip(path: Path, tmp_path: Path):
    """The resolved configuration, written out, is the same run."""
    config = load_config(path)
    assert load_config(write(tmp_path, config.to_toml())) == config


def test_default_for_a_preset_trains_all_weights():
    """A random start needs all weights; a large model gets adapters."""
    assert TrainingConfig.default_for(load("tiny")).lora is None


def keys_of(table: type, prefix: str = "") -> list[str]:
    """The keys of a table that have a value, those of the tables in it included."""
    keys = []
    for name, hint in typing.get_type_hints(table).items():
        parts = (hint, *typing.get_args(hint))
        inner = [p for p in parts if isinstance(p, type) and dataclasses.is_dataclass(p)]
        keys += keys_of(inner[0], f"{prefix}{name}.") if inner else [f"{prefix}{name}"]
    return keys


def test_configuration_stays_small():
    """A reader must be able to know every key: at most 60.

    What is counted are the keys that are given a value, in all tables that there are: a table's
    own name, `[training.dpo]` say, is where its keys stand.
    """
    keys = keys_of(RunConfig)
    assert {"model", "data.train", "training.lora.rank", "training.mesh.fsdp"} <= set(keys)
    assert {"training.generate.metrics", "training.dpo.beta"} <= set(keys)
    assert len(keys) <= 60, keys


def test_labels_are_names_or_found(tmp_path: Path):
    """In their order; neither another word nor anything but strings."""
    for text, labels in (('["spam", "ham"]', ("spam", "ham")), ('"auto"', "auto")):
        config = load_config(write(tmp_path, f"labels = {text}\n{MINIMAL}"))
        assert config.labels == labels
        assert load_config(write(tmp_path, config.to_toml())) == config
    for text, message in (
        ('"spam"', "labels must be a list of strings or 'auto', found 'spam'"),
        ("[1]", r"labels must be a list of strings or 'auto', found \[1\]"),
        ("[]", "labels must be names that all differ"),
        ('["a", "a"]', "labels must be names that all differ"),
        ('["a", ""]', r"labels must be .*, none empty, found \['a', ''\]"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_config(write(tmp_path, f"labels = {text}\n{MINIMAL}"))
