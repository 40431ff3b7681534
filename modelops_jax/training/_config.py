"""Everything a run decides, in one TOML file."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import tomli_w

from modelops_jax.models import LoraConfig, MeshShape, Model

from ._dpo import DpoLoss
from ._generation import GenerationConfig
from ._toml import ConfigError, build, check_fields

# Below this, all weights are trained: it takes seconds, and a model that small is a random start.
SMALL_MODEL_PARAMETERS = 10_000_000


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How to train. Every field is a key of the TOML file's `[training]` table.

    Args:
        epochs: Passes over the training rows.
        max_steps: Most optimizer steps; the run ends after `epochs` if they have fewer.
        batch_size: Rows in one optimizer step; with `packing`, sequences of packed rows.
        micro_batch_size: Rows, or packed sequences, in one forward and backward pass; the
            gradients of a step are the same whatever it is. All of the step by default.
        max_length: Longest row, in tokens; the model's context by default.
        packing: Put several rows into a sequence, by best-fit decreasing. They do not see each
            other, and the loss is the one of the same rows apart.
        pack_length: Tokens of a packed sequence, what all rows begin with not counted; the
            longest row that is allowed by default. A longer row is overlong.
        train_on: What the loss is on: "assistant" for the completion or every assistant turn,
            "last" for the last turn alone, "all" for every token but the first. A turn with
            "weight": 0 is left out of each. The token that ends a turn counts as its own.
        overlong: What to do with a longer row: "error" refuses the data, "drop" leaves it out
            and says so. A row that has nothing to train on, every turn's weight being 0 say, is
            refused with either, since that is a mistake in the data and not a matter of length.
        optimizer: The rule; those without settings here have optax's own. "muon" updates the
            matrices inside the layers and leaves the rest to AdamW; "sgd" has momentum 0.9.
        learning_rate: Peak of the schedule.
        warmup_steps: Steps in which the rate rises linearly from 0; all of the run's if it has
            fewer.
        schedule: What the rate follows after the warm-up.
        final_rate_ratio: Share of the peak that "cosine" and "linear" end at.
        weight_decay: Decoupled decay, on matrices only; "adafactor" has none.
        adam_b1: AdamW's decay of the first moment.
        adam_b2: AdamW's decay of the second moment.
        adam_epsilon: Added to the root of AdamW's second moment.
        max_grad_norm: Larger gradients are scaled down to this global norm.
        ema_decay: Evaluate and return the exponential moving average of the weights after each
            step, with this decay, instead of the last weights; the steps before the first one
            count nothing.
        compute_dtype: Type of activations and matrix products; trained weights, norms, softmax
            and the loss are float32. "auto" is bfloat16 on a GPU or TPU and float32 on a CPU.
        seed: Decides the row order and the adapters' start; below 2**32.
        eval_every: Steps between evaluations on the held-out rows; once at the end by default.
        log_every: Steps between records of the history.
        checkpoint_every: Steps between checkpoints; once at the end by default.
        keep_checkpoints: How many of the newest checkpoints stay.
        keep_checkpoints_every: Steps of whose multiples the checkpoints stay as well.
        monitor: The value of the evaluations that says which is best: "eval_loss" or another one
            that the objective reports, such as "eval_token_accuracy", or "eval_" and a metric of
            `generate`, each in its direction.
        keep_best: Return the weights of the best evaluation instead of the last ones; their
            checkpoint stays. Needs held-out rows and a folder.
        early_stopping_patience: Stop after so many evaluations in a row that are not better than
            the best so far. Needs held-out rows.
        max_skipped_steps: Steps whose loss or gradient is not finite are skipped and counted; one
            more than this and the run fails.
        target_worst_loss: Stop after an epoch in which no loss of a trained token (or row, or pair)
            was above this: 0.1 means that each was predicted with a probability over 0.9.
        remat: "layer" keeps only each layer's input and the result of its attention for the
            backward pass and computes the rest again; "dots" keeps the results of the products
            with weights too; "none" keeps all. "auto" is "dots" where that needs at most an eighth
            of the device's memory, and else "layer".
        freeze: Patterns (`*`, `?`, `[...]`) over the names of weights that are not trained, such as
            "model.embed_tokens.*"; not together with `lora`, which trains no other weights.
        mesh: Devices to train on, as `[training.mesh]` with `data`, `fsdp` and `tensor`; one device
            without it.
        generate: Prompts to answer at evaluations, and the metrics of the answers, as
            `[training.generate]`; none without it. Needs held-out rows.
        dpo: Preference tuning instead of language modelling, as `[training.dpo]`; the rows are
            pairs of a chosen and a rejected answer.
        lora: Low-rank adapters to train; without them all weights are trained.

    Raises:
        ConfigError: A value is out of its range.

    Example:
        >>> from modelops_jax.training import TrainingConfig
        >>> TrainingConfig(batch_size=0)
        Traceback (most recent call last):
        ...
        modelops_jax.training._toml.ConfigError: training.batch_size must be at least 1, found 0
    """

    epochs: int = 3
    max_steps: int | None = None
    batch_size: int = 8
    micro_batch_size: int | None = None
    max_length: int | None = None
    packing: bool = False
    pack_length: int | None = None
    train_on: Literal["assistant", "last", "all"] = "assistant"
    overlong: Literal["error", "drop"] = "error"
    optimizer: Literal["adamw", "adafactor", "lion", "muon", "sgd", "schedule_free_adamw"] = "adamw"
    learning_rate: float = 2e-4
    warmup_steps: int = 0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final_rate_ratio: float = 0.0
    weight_decay: float = 0.0
    adam_b1: float = 0.9
    adam_b2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    ema_decay: float | None = None
    compute_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0
    eval_every: int | None = None
    log_every: int = 1
    checkpoint_every: int | None = None
    keep_checkpoints: int = 1
    keep_checkpoints_every: int | None = None
    monitor: str = "eval_loss"
    keep_best: bool = False
    early_stopping_patience: int | None = None
    max_skipped_steps: int = 3
    target_worst_loss: float | None = None
    remat: Literal["auto", "none", "dots", "layer"] = "auto"
    freeze: tuple[str, ...] = ()
    mesh: MeshShape | None = None
    generate: GenerationConfig | None = None
    dpo: DpoLoss | None = None
    lora: LoraConfig | None = None

    def __post_init__(self):
        check_fields(self, "training.")
        at_least_one = (
            "epochs max_steps batch_size micro_batch_size max_length pack_length"
            " eval_every log_every checkpoint_every keep_checkpoints keep_checkpoints_every"
            " early_stopping_patience"
        )
        for name in at_least_one.split():
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"training.{name} must be at least 1, found {value}")
        for name in "learning_rate adam_epsilon max_grad_norm target_worst_loss".split():
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"training.{name} must be positive and finite, found {value}")
        for name in "warmup_steps weight_decay seed max_skipped_steps".split():
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(
                    f"training.{name} must be 0 or positive, found {getattr(self, name)}"
                )
        if self.seed >= 2**32:  # JAX would keep the lower 32 bits
            raise ConfigError(f"training.seed must be below 2**32, found {self.seed}")
        for name in "adam_b1 adam_b2".split():
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"training.{name} must be in [0, 1), found {getattr(self, name)}")
        if not 0 <= self.final_rate_ratio <= 1:
            raise ConfigError(
                f"training.final_rate_ratio must be in [0, 1], found {self.final_rate_ratio}"
            )

        if self.pack_length is not None and not self.packing:
            raise ConfigError("training.pack_length is given, but training.packing is false")
        if self.dpo is not None and (self.packing or self.train_on != "assistant"):
            raise ConfigError(
                "training.dpo needs its pairs one by one and their answers alone: packing must be "
                f'false and train_on "assistant", found {self.packing} and {self.train_on!r}'
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ConfigError(f"training.ema_decay must be in (0, 1), found {self.ema_decay}")
        if self.optimizer == "schedule_free_adamw":
            # It averages by itself, over the whole run.
            for name, wanted in (("schedule", "constant"), ("ema_decay", None)):
                if getattr(self, name) != wanted:
                    raise ConfigError(
                        f"training.{name} must be {wanted!r} for schedule_free_adamw, found "
                        f"{getattr(self, name)!r}"
                    )
            if not self.adam_b1:
                raise ConfigError("training.adam_b1 must be above 0 for schedule_free_adamw")
        if self.freeze and self.lora is not None:
            raise ConfigError("training.freeze and training.lora are both given; keep one")
        if self.optimizer == "adafactor" and self.weight_decay:
            raise ConfigError(
                f"training.weight_decay must be 0 for adafactor, found {self.weight_decay}"
            )

    @property
    def evaluations(self) -> list[str]:
        """The settings that mean nothing without held-out rows."""
        names = ("eval_every", "keep_best", "early_stopping_patience", "generate")
        return [f"training.{name}" for name in names if getattr(self, name)]

    def longest_row(self, context: int) -> int:
        """Most tokens of a row, for a model with that context."""
        limit = min(self.max_length or context, context)
        return min(limit, self.pack_length or limit)

    def sequence_length(self, context: int) -> int:
        """Tokens of a packed sequence, for a model with that context."""
        return self.pack_length or self.longest_row(context)

    @classmethod
    def default_for(cls, model: Model) -> "TrainingConfig":
        """Settings for a model of which nothing else is known.

        A small model, such as the preset `tiny`, is trained in all its weights until it predicts
        every trained token with a probability over 0.9, or for 2,000 steps. A larger one gets
        rank-16 adapters and three epochs.

        Args:
            model: The base model.
        """
        if sum(leaf.size for leaf in jax.tree.leaves(model.params)) < SMALL_MODEL_PARAMETERS:
            return cls(
                epochs=2000,
                max_steps=2000,
                learning_rate=2e-3,
                warmup_steps=20,
                schedule="constant",
                target_worst_loss=0.1,
                remat="none",
            )
        return cls(warmup_steps=5, lora=LoraConfig())


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which rows. Every field is a key of the TOML file's `[data]` table.

    Args:
        train: JSONL file of training rows: text, labelled rows for a model with labels, or pairs of
            answers with `[training.dpo]`; or a folder of tokens, `dataset.stored.folder` of what
            `tokenize_to_disk` made or the one that `modelops data tokenize` printed, for rows of
            text alone.
        eval: JSONL file of held-out rows, on which the loss is measured while training.
        eval_fraction: Share of `train` to hold out where there is no `eval` file.
        test: JSONL file of rows that training never sees, for a recipe's last evaluation.

    Raises:
        ConfigError: `eval` and `eval_fraction` are both given, the fraction is not in (0, 1), or a
            value is of another type.
    """

    train: Path
    eval: Path | None = None
    eval_fraction: float | None = None
    test: Path | None = None

    def __post_init__(self):
        check_fields(self, "data.")
        if self.eval is not None and self.eval_fraction is not None:
            raise ConfigError("data.eval and data.eval_fraction are both given; keep one")
        if self.eval_fraction is not None and not 0 < self.eval_fraction < 1:
            raise ConfigError(f"data.eval_fraction must be in (0, 1), found {self.eval_fraction}")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One run: which model, which rows, how to train, and where the results go.

    Args:
        model: Name or path of the base model, as `modelops_jax.models.load` takes it.
        output: Folder of the run's checkpoints and results.
        data: The `[data]` table.
        training: The `[training]` table, with `[training.lora]` inside.
        labels: Classes that the model is to tell, or the one name of a value to predict: the model
            gets a new head for them (`Model.with_labels`), unless it has one for just these
            already. "auto" takes the classes that occur in the training rows, sorted. Without it a
            model that has labels keeps them, and another one writes text.

    Raises:
        ConfigError: `labels` is an empty list, has a name twice or an empty one, or is given
            together with `training.dpo`; evaluations are asked for without held-out rows; or a
            value is of another type.
    """

    model: str
    output: Path
    data: DataConfig
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    labels: Literal["auto"] | tuple[str, ...] | None = None

    def __post_init__(self):
        check_fields(self, "")
        held_out = self.data.eval is not None or self.data.eval_fraction is not None
        if self.training.evaluations and not held_out:
            raise ConfigError(
                f"{', '.join(self.training.evaluations)}: need held-out rows, data.eval or "
                "data.eval_fraction"
            )
        if self.labels is None:
            return
        if self.labels != "auto":
            names = {label for label in self.labels if label.strip()}
            if not names or len(names) < len(self.labels):
                raise ConfigError(
                    f"labels must be names that all differ, none empty, found {list(self.labels)}"
                )
        if self.training.dpo is not None:
            raise ConfigError("labels and training.dpo are both given; keep one")

    def to_toml(self) -> str:
        """The configuration with every default filled in, as TOML that `load_config` reads."""
        return tomli_w.dumps(_toml_values(dataclasses.asdict(self)))


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run's TOML file; paths in it are relative to the working directory.

    Args:
        path: The TOML file.
        overrides: Settings such as `"training.batch_size=4"`, which win over the file; the value
            is read as TOML, and as a plain string where it is none.

    Returns:
        The checked configuration, with every default filled in.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: The file is no TOML, misses a key, has an unknown one (the message names the
            nearest known key), or has a value of the wrong type.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"configuration {str(path)!r}: {found}; expected a TOML file")
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"override {override!r} is not of the form key=value")
        *parents, last = key.strip().split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise ConfigError(f"override {override!r}: {parent!r} is a value, not a table")
        try:
            table[last] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            table[last] = text
    return build(RunConfig, tables, prefix="", place=f"{path}: ")


def config_from_dict(tables: Mapping[str, Any]) -> TrainingConfig:
    """A `TrainingConfig` from the nested dictionary that `dataclasses.asdict` makes of one."""
    return build(TrainingConfig, tables, prefix="training.", place="configuration: ")


def _toml_values(table: dict[str, Any]) -> dict[str, Any]:
    """A nested dictionary without its empty values, which TOML cannot say, and paths as text."""
    return {
        key: _toml_values(value)
        if isinstance(value, dict)
        else str(value)
        if isinstance(value, Path)
        else value
        for key, value in table.items()
        if value is not None
    }
