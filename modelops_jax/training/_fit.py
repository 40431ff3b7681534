"""Fine-tuning in one call."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import jax

from modelops_jax.data import Dataset
from modelops_jax.models import (
    Adapters,
    Model,
    make_mesh,
    merge_lora,
    rendered_at,
    shard_weights,
)

from ._averaging import final_weights
from ._config import TrainingConfig
from ._divide import divide, join
from ._examples import Examples, read_examples
from ._freed_memory import freed_after_compiling
from ._generation import GenerationMetrics
from ._history import History, Record
from ._objective import Objective, activation_dtype, loss_of
from ._placement import put_batches, put_on_one_device
from ._plan import Plan, batches_by_length
from ._progress import ProgressMode, show_progress
from ._reference import reference_values
from ._rendered import rendering_moment
from ._run import Run
from ._saver import Saver
from ._tokenized import TokenizedDataset


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What training made.

    `base` is the model that `adapters` are for, or, without adapters, the trained one; `adapters`
    have the head for labels that was trained beside them; `history` has a record for each logged
    step and each evaluation; `checkpoint` is the last one written, or None; `stopped` says that the
    caller's `stop` ended the run; `step` is the one after which the model had these weights;
    `inputs` are the SHA-256 of the training `rows`, of those `held_out` and of the `base_model`,
    None for what there is not; the base model is hashed for a run with a folder alone.
    """

    base: Model
    history: list[Record]
    checkpoint: Path | None
    stopped: bool
    step: int
    adapters: Adapters | None = None
    inputs: Mapping[str, str | None] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def model(self) -> Model:
        """The trained model; adapters are merged into its weights when it is first asked for."""
        if self.adapters is None:
            return self.base
        params = merge_lora(self.base.params, self.adapters)
        return dataclasses.replace(self.base, params=params)


def fit(
    model: Model,
    train: Dataset | TokenizedDataset,
    *,
    config: TrainingConfig,
    eval: Dataset | TokenizedDataset | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    callback: Callable[[Record], None] | None = None,
    stop: Callable[[], bool] | None = None,
    progress: ProgressMode = "auto",
) -> FitResult:
    """Fine-tune a model on rows of text.

    The loss of a step is the cross entropy (nats) summed over its trained tokens - the completion
    or the assistant turns, and the token that ends them - divided by their number. A model with
    labels (`Model.with_labels`) learns them instead, by the cross entropy of the rows' classes or
    the squared error of their values, and `config.dpo` prefers answers over others (`DpoLoss`).

    The one dropout is that of the adapters (`LoraConfig.dropout`). What a model's files say of it,
    such as GPT-2's `attn_pdrop`, `embd_pdrop` and `resid_pdrop` of 0.1, is not applied.

    Args:
        model: The base model; its weights are left as they are.
        train: Prompt/completion rows or conversations; rows with a label for a model with labels;
            rows with a chosen and a rejected answer with `config.dpo`; or what `tokenize_to_disk`
            or `TokenizedDataset.open` gave, whose tokens are read from the disk batch by batch.
        config: How to train; with `config.lora` only adapters are trained, and a head for labels.
        eval: Held-out rows, on which the loss is measured.
        folder: Where checkpoints are kept; none are written without it. They are written in the
            background, and an older one is removed only when a newer one is there whole. Those
            of an earlier run are removed once this one has written its first.
        resume: Go on from the newest checkpoint in `folder`; from step 0, with a warning, if there
            is none, and from the newest one that is sound, with a warning, if newer ones are
            damaged. Settings that decide what is logged and kept may differ (`log_every`,
            `checkpoint_every`, `keep_checkpoints`, `keep_checkpoints_every`, `max_skipped_steps`;
            `eval_every`, `monitor` and `generate` where no evaluation decides anything), and with
            a warning those that divide a step (`micro_batch_size`, `remat`, `mesh`). With a
            constant schedule the run may become longer. A chat template that writes the date
            writes the one on which the run began.
        callback: Called with each record of the history as it is made.
        stop: Asked before each step whether to end the run; a checkpoint is kept.
        progress: "auto" shows a bar on a terminal and lines elsewhere; "off" shows nothing.

    Returns:
        The fine-tuned model, the history and the last checkpoint. Records of steps have `step`,
        `epoch`, `loss` and `token_accuracy` (over the step's trained tokens, before its update),
        `worst_loss` (the largest of a trained token), `learning_rate`, `tokens_per_second` (real
        tokens, since the last record, compilation included), `skipped_steps` (in all) and
        `seconds`; a step that was skipped has no loss. Records of evaluations have `step`,
        `eval_loss`, `eval_token_accuracy` and `seconds`. In the place of `token_accuracy` classes
        have `accuracy` and `macro_f1`, values `mean_squared_error` and `mean_absolute_error`, and
        preferences `rewards/chosen`, `rewards/rejected`, `rewards/margins` and
        `rewards/accuracies`, all by row or pair. Evaluations with `config.generate` have
        `eval_<metric>` of the model's answers and `eval_<metric>_interval`, its 95 % interval; of
        metrics of numbers also `eval_<metric>_left_out`, how many answers are none.

    Raises:
        TypeError: The model, the configuration or a dataset is something else.
        ValueError: A dataset is empty, has an invalid row or one that is too long, or `config`
            or `resume` needs held-out rows or a folder that are not given.
        CheckpointError: `resume` finds only checkpoints that are damaged, or one of another
            configuration, other rows or another base model, which it knows by the hash of its
            weights; or of other held-out rows where `config` compares evaluations.
        OSError: `folder` cannot be made or written to; or a checkpoint could not be written, for
            want of room say: the run ends at the step after, and the checkpoints before it stay
            and can be resumed.
        TrainingDiverged: More than `config.max_skipped_steps` steps had a loss or a gradient that
            is infinite or not a number; the message has the step.

    Warns:
        NoEndOfTurnWarning: The chat template writes no special token after an answer, so the model
            is not trained to stop.
        UserWarning: `resume` finds no checkpoint, leaves a damaged one aside, or goes on in
            another environment than the checkpoint's (machine, processor, CPU count, devices,
            XLA_FLAGS, versions of modelops-jax, jax, jaxlib, numpy and optax, as far as the
            checkpoint has them) or with a step divided otherwise, where the run is numerically
            equal to an uninterrupted one, and not bit for bit; evaluates on other held-out rows;
            or has lost the weights of the best evaluation that `config.keep_best` was to keep. On
            a GPU every process may choose its programs anew and add in another order, unless it
            has `XLA_FLAGS=--xla_gpu_deterministic_ops=true`.
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"model: found {type(model).__name__}, expected a Model: modelops_jax.models.load(...)"
        )
    if not isinstance(config, TrainingConfig):
        raise TypeError(f"config: found {type(config).__name__}, expected a TrainingConfig")
    if eval is None and config.evaluations:
        asked = ", ".join(config.evaluations)
        raise ValueError(f"{asked}: need held-out rows (eval), and there are none")
    if folder is None and config.keep_best:
        raise ValueError("training.keep_best needs a folder to keep the weights in")
    if folder is None and resume:
        raise ValueError("resume needs a folder with the checkpoints to go on from")
    loss = loss_of(model, config)
    rendered = rendering_moment(model.tokenizer, folder if resume else None)
    held_out = generation = None
    with rendered_at(rendered):
        examples = read_examples(model, train, config, name="training")
        if eval is not None:
            held_out = read_examples(model, eval, config, name="evaluation")
            if config.generate:
                if not isinstance(eval, Dataset):
                    raise TypeError(
                        "training.generate needs held-out rows of text, a Dataset (eval)"
                    )
                drops = config.overlong == "drop"
                generation = GenerationMetrics(config.generate, model, eval, drop_overlong=drops)
    mesh = make_mesh(config.mesh) if config.mesh else None
    params = shard_weights(model.params, mesh) if mesh else put_on_one_device(model.params)
    trainable, frozen = divide(params, config)
    if config.lora is not None and mesh:
        trainable = shard_weights(trainable, mesh)
    dtype = activation_dtype(config)
    objective = Objective(model.config, config.lora, dtype, config.remat, loss)
    evaluated = None if held_out is None else held_out.fingerprint
    place = Path(folder) if folder else None
    saver = Saver(place, config, examples.fingerprint, evaluated, model, rendered)
    history = History(callback)
    with jax.set_mesh(mesh) if mesh else contextlib.nullcontext(), freed_after_compiling():
        plan = Plan(examples.rows, config, model, values=examples.values)
        if config.dpo is not None:
            refer = functools.partial(
                reference_values, params, model.config, mesh=mesh, dtype=dtype
            )
            values = refer(examples.rows, plan, only=plan.used_sequences())
            plan = Plan(examples.rows, config, model, values=values)
            if held_out is not None:
                held_out = Examples(held_out.rows, refer(held_out.rows, plan))
        eval_batches = []
        if held_out is not None:
            found = batches_by_length(held_out.rows, plan, values=held_out.values)
            eval_batches = put_batches([batch for batch, _ in found], mesh)
        run = Run(plan, eval_batches, objective, frozen, saver, history, mesh, generation)
        run.start(trainable, resume=resume)
        with (
            show_progress(plan.total_steps, run.step, progress) as report,
            saver.committed(),
            rendered_at(rendered),
        ):
            stopped = run.train(report, stop)
    step, trained = (run.step, final_weights(run.state)) if stopped else run.chosen()
    whole, adapters = join(trained, frozen, config.lora)
    params = jax.tree.map(lambda leaf, old: leaf.astype(old.dtype), whole, params)
    base = dataclasses.replace(model, params=params)
    return FitResult(base, history.records, saver.newest, stopped, step, adapters, saver.inputs)
