"""The training loop; there is only this one."""

import dataclasses
import itertools
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
from jaxtyping import Int

from modelops_jax.data import Dataset
from modelops_jax.models import Adapters, CheckpointError, Model, init_lora, merge_lora

from ._batch_shapes import tokens_worth_a_shape
from ._batches import Batch, Batches, cut, epoch_batches
from ._checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from ._config import TrainingConfig
from ._loss import LossSums
from ._optimizer import learning_rate_schedule, make_optimizer
from ._progress import ProgressMode, Reporter, show_progress
from ._step import Objective, TrainState, evaluate_loss, train_step
from ._tokenized import TokenizedDataset, row_lengths, tokenize

Record = dict[str, Any]


class TrainingDiverged(ArithmeticError):
    """The loss is not a finite number any more."""


class FitResult(NamedTuple):
    """What training made.

    `model` has any adapters merged into its weights; `history` has a record for each logged step
    and each evaluation; `checkpoint` is the last one written, or None; `stopped` says that the
    caller's `stop` ended the run.
    """

    model: Model
    history: list[Record]
    checkpoint: Path | None
    stopped: bool


class _Plan:
    """Which rows every step of a run trains on, and in which shapes."""

    def __init__(self, train: TokenizedDataset, config: TrainingConfig, model: Model):
        self.train, self.config = train, config
        parameters = sum(leaf.size for leaf in jax.tree.leaves(model.params))
        self.batching = {
            "pad_id": model.tokenizer.pad_id,
            "worth": tokens_worth_a_shape(parameters),
        }
        # Never more padded rows in a micro-batch than there are real ones.
        wanted = config.micro_batch_size or config.batch_size
        self.rows = min(wanted, config.batch_size, len(train.rows))
        self.epoch_steps = -(-len(train.rows) // config.batch_size)
        steps = config.epochs * self.epoch_steps
        self.total_steps = min(steps, config.max_steps or steps)
        self._lengths = row_lengths(train)
        self._order: tuple[int, list[Int[np.ndarray, " rows"]]] = (-1, [])
        groups = itertools.chain.from_iterable(map(self._groups, range(self.total_steps)))
        self._batches = Batches(train, groups, size=self.rows, **self.batching)

    def batches(self, step: int) -> list[Batch]:
        """The micro-batches of a step, counted from 0."""
        return [self._batches.make(group) for group in self._groups(step)]

    def tokens(self, step: int) -> int:
        """Number of real tokens that a step trains on."""
        return sum(int(self._lengths[group].sum()) for group in self._groups(step))

    def _groups(self, step: int) -> list[list[int]]:
        """Indices of the rows of each micro-batch of a step."""
        epoch, at = divmod(step, self.epoch_steps)
        if self._order[0] != epoch:
            order = epoch_batches(
                self.train, self.config.batch_size, seed=self.config.seed, epoch=epoch
            )
            self._order = (epoch, order)
        return cut(self._order[1][at].tolist(), self.rows)


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
        folder: Where checkpoints are kept; none are written without it.
        resume: Go on from the newest checkpoint in `folder`, if there is one.
        callback: Called with each record of the history as it is made.
        stop: Asked before each step whether to end the run; a checkpoint is kept.
        progress: "auto" shows a bar on a terminal and lines elsewhere; "off" shows nothing.

    Returns:
        The fine-tuned model, the history and the last checkpoint. Records of steps have `step`,
        `epoch`, `loss` and `token_accuracy` (over the step's trained tokens, before its update),
        `worst_loss` (the largest of a trained token), `learning_rate`, `tokens_per_second` (real
        tokens, since the last record, compilation included) and `seconds`; records of evaluations
        have `step`, `eval_loss`, `eval_token_accuracy` and `seconds`.

    Raises:
        ValueError: A dataset is empty, has an invalid row or one that is too long.
        CheckpointError: `resume` finds a checkpoint of another configuration.
        TrainingDiverged: The loss became infinite or not a number; the message has the step.
    """
    context = model.config.max_position
    rows = tokenize(train, model.tokenizer, config, context=context, name="training")
    plan = _Plan(rows, config, model)
    held_out = None
    if eval is not None:
        held_out = tokenize(eval, model.tokenizer, config, context=context, name="evaluation")
    dtype = model.params["model"]["embed_tokens"]["weight"].dtype
    if config.lora is None:
        # A copy, because a step writes its result over its input.
        trainable, frozen = jax.tree.map(jnp.copy, model.params), None
        scale = None
    else:
        adapters = init_lora(model.params, config.lora, config.seed)
        trainable, frozen, scale = adapters.weights, model.params, adapters.scale
    objective = Objective(model.config, scale, dtype, config.remat)
    run = _Run(plan, held_out, objective, frozen, Path(folder) if folder else None, callback)
    run.start(trainable, resume=resume)
    with show_progress(plan.total_steps, run.step, progress) as report:
        stopped = run.train(report, stop)
    trained = run.state.trainable
    params = trained if scale is None else merge_lora(model.params, Adapters(trained, scale))
    return FitResult(
        dataclasses.replace(model, params=params), run.history, run.checkpoint, stopped
    )


class _Run:
    """A run between its steps."""

    def __init__(
        self,
        plan: _Plan,
        held_out: TokenizedDataset | None,
        objective: Objective,
        frozen: Any,
        folder: Path | None,
        callback: Callable[[Record], None] | None,
    ):
        self.plan, self.config = plan, plan.config
        self.objective, self.frozen, self.folder = objective, frozen, folder
        self.callback = callback
        self.schedule = learning_rate_schedule(plan.config, plan.total_steps)
        self.optimizer = make_optimizer(plan.config, plan.total_steps)
        self.eval_batches = _evaluation_batches(held_out, plan) if held_out else []
        self.history: list[Record] = []
        self.checkpoint: Path | None = None
        self.saved_step = -1
        self.step = 0
        self.worst = 0.0
        self.state: TrainState

    def start(self, trainable: Any, *, resume: bool) -> None:
        """Begin at step 0, or where the newest checkpoint ends."""
        self.state = TrainState(trainable, self.optimizer.init(trainable))
        newest = latest_checkpoint(self.folder) if self.folder and resume else None
        if newest is None:
            return
        loaded = load_checkpoint(newest, self.state)
        if loaded.facts["config"] != _as_json(self.config):
            raise CheckpointError(f"{newest} was made with another training configuration")
        self.step, self.state, self.checkpoint = loaded.step, loaded.state, newest
        self.saved_step = loaded.step
        self.history, self.worst = loaded.facts["history"], loaded.facts["worst_loss"]

    def train(self, report: Reporter, stop: Callable[[], bool] | None) -> bool:
        """Run to the end; returns whether `stop` ended it."""
        self.report = report
        self.begun, self.tokens = time.monotonic(), 0
        finished = self.step == self.plan.total_steps
        while not finished:
            if stop is not None and stop():
                self.save()
                return True
            batches = self.plan.batches(self.step)
            self.state, sums = train_step(
                self.objective, self.optimizer, self.state, self.frozen, batches
            )
            self.tokens += self.plan.tokens(self.step)
            self.step += 1
            finished = self.step == self.plan.total_steps
            looked_at = (self.config.log_every, self.config.checkpoint_every)
            if finished or any(map(self.due, looked_at)) or self.config.target_worst_loss:
                # Waits for the device: the one synchronisation of the loop.
                sums = jax.device_get(sums)
                finished = self.check(sums) or finished
                if finished or self.due(self.config.log_every):
                    self.log(sums)
            if self.eval_batches and (finished or self.due(self.config.eval_every)):
                self.evaluate()
            if finished or self.due(self.config.checkpoint_every):
                self.save()
        return False

    def due(self, every: int | None) -> bool:
        return every is not None and self.step % every == 0

    def check(self, sums: LossSums) -> bool:
        """Whether the rows are learned as well as the configuration asks.

        Raises:
            TrainingDiverged: The loss is not finite.
        """
        if not math.isfinite(float(sums.loss)):
            raise TrainingDiverged(
                f"the loss of step {self.step} is {float(sums.loss)}; nothing of this step was "
                "saved. A lower training.learning_rate is the usual remedy"
            )
        self.worst = max(self.worst, float(sums.worst))
        if self.step % self.plan.epoch_steps:
            return False
        worst, self.worst = self.worst, 0.0
        return self.config.target_worst_loss is not None and worst <= self.config.target_worst_loss

    def log(self, sums: LossSums) -> None:
        now = time.monotonic()
        count = int(sums.tokens)
        self.add(
            {
                "step": self.step,
                "epoch": (self.step - 1) // self.plan.epoch_steps,
                "loss": float(sums.loss) / count,
                "token_accuracy": int(sums.correct) / count,
                "worst_loss": float(sums.worst),
                "learning_rate": float(np.asarray(self.schedule(self.step - 1))),
                "tokens_per_second": self.tokens / (now - self.begun),
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
        self.add(
            {
                "step": self.step,
                "eval_loss": float(sums.loss) / count,
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
        # A stop right after a save or a resume has nothing new to keep, and saving the same step
        # again would have to remove the good copy first.
        if self.folder is None or self.step == self.saved_step:
            return
        facts = {
            "config": _as_json(self.config),
            "history": self.history,
            "worst_loss": self.worst,
            "environment": {
                "jax": jax.__version__,
                "devices": [device.device_kind for device in jax.devices()],
                "cpu_count": os.cpu_count(),
            },
        }
        self.checkpoint = save_checkpoint(self.folder, self.step, self.state, facts)
        self.saved_step = self.step


def _evaluation_batches(held_out: TokenizedDataset, plan: _Plan) -> list[Batch]:
    """All held-out rows, those of like length together."""
    by_length = np.argsort(row_lengths(held_out), kind="stable").tolist()
    size = min(plan.config.batch_size, len(by_length))
    groups = cut(by_length, size)
    batches = Batches(held_out, groups, size=size, **plan.batching)
    return [batches.make(group) for group in groups]


def _as_json(config: TrainingConfig) -> dict[str, Any]:
    """The configuration as JSON gives it back, so that both can be compared."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
