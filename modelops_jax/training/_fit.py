"""The training loop; there is only this one."""

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from modelops_jax.data import Dataset
from modelops_jax.models import (
    Adapters,
    CheckpointError,
    Model,
    init_lora,
    make_mesh,
    merge_lora,
    shard_weights,
)

from ._batches import Batch
from ._checkpoint import (
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
    remove_set_aside,
    save_checkpoint,
    set_aside_checkpoints,
)
from ._config import TrainingConfig
from ._freeze import join_trees, split_frozen
from ._loss import LossSums
from ._optimizer import learning_rate_schedule, make_optimizer
from ._placement import put_batch, put_on_mesh
from ._plan import Plan, evaluation_batches
from ._progress import ProgressMode, Reporter, show_progress
from ._step import Objective, TrainState, evaluate_loss, start_state, train_step
from ._tokenize import tokenize
from ._tokenized import TokenizedDataset

Record = dict[str, Any]


class TrainingDiverged(ArithmeticError):
    """More steps than allowed had a loss or a gradient that is not finite."""


class FitResult(NamedTuple):
    """What training made.

    `model` has any adapters merged into its weights; `history` has a record for each logged step
    and each evaluation; `checkpoint` is the last one written, or None; `stopped` says that the
    caller's `stop` ended the run; `step` is the one after which the model had these weights.
    """

    model: Model
    history: list[Record]
    checkpoint: Path | None
    stopped: bool
    step: int


def fit(
    model: Model,
    train: Dataset,
    *,
    config: TrainingConfig,
    eval: Dataset | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    callback: Callable[[Record], None] | None = None,
    stop: Callable[[], bool] | None = None,
    progress: ProgressMode = "auto",
) -> FitResult:
    """Fine-tune a model on rows of text.

    The loss of a step is the cross entropy (nats) summed over its trained tokens - the completion
    or the assistant turns, and the token that ends them - divided by their number.

    Args:
        model: The base model; its weights are left as they are.
        train: Prompt/completion rows or conversations.
        config: How to train; with `config.lora` only adapters are trained.
        eval: Held-out rows, on which the loss is measured.
        folder: Where checkpoints are kept; none are written without it. Those of an earlier run
            are removed once this one has written its first.
        resume: Go on from the newest checkpoint in `folder`, if there is one.
        callback: Called with each record of the history as it is made.
        stop: Asked before each step whether to end the run; a checkpoint is kept.
        progress: "auto" shows a bar on a terminal and lines elsewhere; "off" shows nothing.

    Returns:
        The fine-tuned model, the history and the last checkpoint. Records of steps have `step`,
        `epoch`, `loss` and `token_accuracy` (over the step's trained tokens, before its update),
        `worst_loss` (the largest of a trained token), `learning_rate`, `tokens_per_second` (real
        tokens, since the last record, compilation included), `skipped_steps` (in all) and
        `seconds`; a step that was skipped has no loss. Records of evaluations have `step`,
        `eval_loss`, `eval_token_accuracy` and `seconds`.

    Raises:
        TypeError: The model, the configuration or a dataset is something else.
        ValueError: A dataset is empty, has an invalid row or one that is too long, or `config`
            needs held-out rows or a folder that are not given.
        CheckpointError: `resume` finds a checkpoint that is damaged, or of another configuration
            or other rows.
        TrainingDiverged: More than `config.max_skipped_steps` steps had a loss or a gradient that
            is infinite or not a number; the message has the step.
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"model: found {type(model).__name__}, expected a Model: modelops_jax.models.load(...)"
        )
    if not isinstance(config, TrainingConfig):
        raise TypeError(f"config: found {type(config).__name__}, expected a TrainingConfig")
    if eval is None and (config.keep_best or config.early_stopping_patience):
        raise ValueError("training.keep_best and early_stopping_patience need held-out rows (eval)")
    if folder is None and config.keep_best:
        raise ValueError("training.keep_best needs a folder to keep the weights in")
    context = model.config.max_position
    rows = tokenize(train, model.tokenizer, config, context=context, name="training")
    plan = Plan(rows, config, model)
    held_out = None
    if eval is not None:
        held_out = tokenize(eval, model.tokenizer, config, context=context, name="evaluation")
    mesh = make_mesh(config.mesh) if config.mesh else None
    params = shard_weights(model.params, mesh) if mesh else model.params
    dtype = params["model"]["embed_tokens"]["weight"].dtype
    if config.lora is None:
        trainable, frozen = split_frozen(params, config.freeze)
        # A copy, because a step writes its result over its input.
        trainable, scale = jax.tree.map(jnp.copy, trainable), None
    else:
        adapters = init_lora(params, config.lora, config.seed)
        weights = shard_weights(adapters.weights, mesh) if mesh else adapters.weights
        trainable, frozen, scale = weights, params, adapters.scale
    objective = Objective(model.config, scale, dtype, config.remat)
    run = _Run(plan, held_out, objective, frozen, Path(folder) if folder else None, callback, mesh)
    run.start(trainable, resume=resume)
    with show_progress(plan.total_steps, run.step, progress) as report:
        with jax.set_mesh(mesh) if mesh else contextlib.nullcontext():
            stopped = run.train(report, stop)
    step, trained = (run.step, run.state.trainable) if stopped else run.chosen()
    if scale is None:
        params = join_trees(trained, frozen)
    else:
        params = merge_lora(params, Adapters(trained, scale))
    return FitResult(
        dataclasses.replace(model, params=params), run.history, run.checkpoint, stopped, step
    )


class _Run:
    """A run between its steps."""

    def __init__(
        self,
        plan: Plan,
        held_out: TokenizedDataset | None,
        objective: Objective,
        frozen: Any,
        folder: Path | None,
        callback: Callable[[Record], None] | None,
        mesh: Mesh | None,
    ):
        self.mesh = mesh
        self.plan, self.config = plan, plan.config
        self.objective, self.frozen, self.folder = objective, frozen, folder
        self.callback = callback
        self.schedule = learning_rate_schedule(plan.config, plan.total_steps)
        self.optimizer = make_optimizer(plan.config, plan.total_steps)
        self.eval_batches = (
            self.put(evaluation_batches(held_out, plan, objective.config.max_position))
            if held_out
            else []
        )
        self.history: list[Record] = []
        self.checkpoint: Path | None = None
        self.saved_step = -1
        self.step = 0
        self.worst = 0.0
        self.finished = False
        self.best: tuple[int, float] | None = None  # step and loss of the best evaluation
        self.evaluations_since_best = 0
        self.state: TrainState

    def start(self, trainable: Any, *, resume: bool) -> None:
        """Begin at step 0, or where the newest checkpoint ends."""
        self.state = start_state(self.optimizer, trainable)
        if self.mesh is not None:
            self.state = put_on_mesh(self.state, self.mesh)
        if self.folder and not resume:
            set_aside_checkpoints(self.folder)
        newest = latest_checkpoint(self.folder) if self.folder else None
        if newest is None:
            return
        loaded = load_checkpoint(newest, self.state)
        if loaded.facts["config"] != _as_json(self.config):
            raise CheckpointError(f"{newest} was made with another training configuration")
        if loaded.facts["rows"] != self.plan.train.fingerprint:
            raise CheckpointError(f"{newest} was made with other training rows")
        self.step, self.state, self.checkpoint = loaded.step, loaded.state, newest
        self.saved_step = loaded.step
        self.history, self.worst = loaded.facts["history"], loaded.facts["worst_loss"]
        self.finished = loaded.facts["finished"]
        self.best = loaded.facts["best"] and tuple(loaded.facts["best"])
        self.evaluations_since_best = loaded.facts["evaluations_since_best"]

    def train(self, report: Reporter, stop: Callable[[], bool] | None) -> bool:
        """Run to the end; returns whether `stop` ended it."""
        self.report = report
        self.begun, self.tokens = time.monotonic(), 0
        while not self.finished:
            if stop is not None and stop():
                self.save()
                return True
            batches = self.put(self.plan.batches(self.step))
            self.state, sums = train_step(
                self.objective, self.optimizer, self.state, self.frozen, batches
            )
            self.tokens += self.plan.tokens(self.step)
            self.step += 1
            self.finished = self.step == self.plan.total_steps
            looked_at = (self.config.log_every, self.config.checkpoint_every)
            if self.finished or any(map(self.due, looked_at)) or self.config.target_worst_loss:
                # Waits for the device: the one synchronisation of the loop.
                sums, skipped = jax.device_get((sums, self.state.skipped))
                self.finished = self.check(sums, int(skipped)) or self.finished
                if self.finished or self.due(self.config.log_every):
                    self.log(sums, int(skipped))
            if self.eval_batches and (self.finished or self.due(self.config.eval_every)):
                self.evaluate()
            is_best = self.config.keep_best and self.best is not None and self.best[0] == self.step
            if self.finished or is_best or self.due(self.config.checkpoint_every):
                self.save()
        return False

    def put(self, batches: list[Batch]) -> list[Batch]:
        """The batches where the step wants them."""
        mesh = self.mesh
        return batches if mesh is None else [put_batch(batch, mesh) for batch in batches]

    def chosen(self) -> tuple[int, Any]:
        """The step and the weights that a finished run returns."""
        if not self.config.keep_best or self.best is None or self.best[0] == self.step:
            return self.step, self.state.trainable
        assert self.folder is not None
        loaded = load_checkpoint(checkpoint_path(self.folder, self.best[0]), self.state)
        return loaded.step, loaded.state.trainable

    def due(self, every: int | None) -> bool:
        return every is not None and self.step % every == 0

    def check(self, sums: LossSums, skipped: int) -> bool:
        """Whether the rows are learned as well as the configuration asks.

        Raises:
            TrainingDiverged: More steps were skipped than the configuration allows.
        """
        if skipped > self.config.max_skipped_steps:
            raise TrainingDiverged(
                f"{skipped} steps up to step {self.step} had a loss or a gradient that is not "
                f"finite (this one's loss is {float(sums.loss)}); training.max_skipped_steps is "
                f"{self.config.max_skipped_steps}. A lower training.learning_rate is the usual "
                "remedy"
            )
        # nan is not more than anything, and a skipped step has learned nothing.
        self.worst = max(self.worst, float(np.nan_to_num(sums.worst, nan=np.inf)))
        if self.step % self.plan.epoch_steps:
            return False
        worst, self.worst = self.worst, 0.0
        return self.config.target_worst_loss is not None and worst <= self.config.target_worst_loss

    def log(self, sums: LossSums, skipped: int) -> None:
        now = time.monotonic()
        count = int(sums.tokens)
        losses = {
            "loss": float(sums.loss) / count,
            "token_accuracy": int(sums.correct) / count,
            "worst_loss": float(sums.worst),
        }
        self.add(
            {"step": self.step, "epoch": (self.step - 1) // self.plan.epoch_steps}
            | (losses if math.isfinite(sums.loss) else {})
            | {
                "learning_rate": float(np.asarray(self.schedule(self.step - 1))),
                "tokens_per_second": self.tokens / (now - self.begun),
                "skipped_steps": skipped,
                "seconds": now - self.begun,
            }
        )
        self.begun, self.tokens = now, 0

    def evaluate(self) -> None:
        begun = time.monotonic()
        sums = jax.device_get(
            evaluate_loss(self.objective, self.state.trainable, self.frozen, self.eval_batches)
        )
        count = int(sums.tokens)
        loss = float(sums.loss) / count
        if math.isfinite(loss) and (self.best is None or loss < self.best[1]):
            self.best, self.evaluations_since_best = (self.step, loss), 0
        else:
            self.evaluations_since_best += 1
        if self.evaluations_since_best == self.config.early_stopping_patience:
            self.finished = True
        self.add(
            {
                "step": self.step,
                "eval_loss": loss,
                "eval_token_accuracy": int(sums.correct) / count,
                "seconds": time.monotonic() - begun,
            }
        )
        self.begun += time.monotonic() - begun

    def add(self, record: Record) -> None:
        self.history.append(record)
        self.report(record)
        if self.callback is not None:
            self.callback(record)

    def save(self) -> None:
        # A stop right after a save or a resume has nothing new to keep.
        if self.folder is None or self.step == self.saved_step:
            return
        facts = {
            "config": _as_json(self.config),
            "rows": self.plan.train.fingerprint,
            "history": self.history,
            "worst_loss": self.worst,
            "finished": self.finished,
            "best": self.best,
            "evaluations_since_best": self.evaluations_since_best,
            "environment": {
                "jax": jax.__version__,
                "devices": [device.device_kind for device in jax.devices()],
                "cpu_count": os.cpu_count(),
            },
        }
        self.checkpoint = save_checkpoint(
            self.folder,
            self.step,
            self.state,
            facts,
            keep=self.config.keep_checkpoints,
            keep_every=self.config.keep_checkpoints_every,
            keep_steps=[self.best[0]] if self.config.keep_best and self.best else [],
        )
        self.saved_step = self.step
        remove_set_aside(self.folder)


def _as_json(config: TrainingConfig) -> dict[str, Any]:
    """The configuration as JSON gives it back, so that both can be compared."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
