"""The training loop; there is only this one."""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ._averaging import final_weights
from ._batches import Batch
from ._checkpoint import Checkpoint
from ._config_changes import earlier_length
from ._divide import unite
from ._generation import GenerationMetrics
from ._history import History, Record, TrainingDiverged
from ._loss import LossSums
from ._monitor import monitor_of
from ._objective import Objective
from ._optimizer import learning_rate_schedule, make_optimizer
from ._placement import put_batches, put_on_mesh
from ._plan import Plan
from ._progress import Reporter
from ._saver import Saver
from ._step import TrainState, evaluate_loss, gradient_memory, start_state, train_step


class Run:
    """A run between its steps.

    Args:
        plan: The rows of every step.
        eval_batches: Held-out rows, where the step wants them; none for no evaluations.
        objective: The loss.
        frozen: Weights the loss needs and the steps leave alone.
        saver: Where checkpoints go.
        history: Where records go.
        mesh: The devices, or None for one.
        generation: What to ask the model at evaluations, or None.
    """

    def __init__(
        self,
        plan: Plan,
        eval_batches: list[Batch],
        objective: Objective,
        frozen: Any,
        saver: Saver,
        history: History,
        mesh: Mesh | None,
        generation: GenerationMetrics | None,
    ):
        self.mesh = mesh
        self.plan, self.config = plan, plan.config
        self.objective, self.frozen = objective, frozen
        self.saver, self.history = saver, history
        self.generation = generation
        self.monitor = monitor_of(self.config, objective.directions)
        self.schedule = learning_rate_schedule(plan.config, plan.total_steps)
        self.optimizer = make_optimizer(plan.config, plan.total_steps)
        self.eval_batches = eval_batches
        self.memory = gradient_memory()
        self.step = 0
        self.worst = 0.0
        self.finished = False
        self.state: TrainState

    def start(self, trainable: Any, *, resume: bool) -> None:
        """Begin at step 0, or where the newest checkpoint ends."""
        self.state = start_state(self.optimizer, trainable)
        if self.mesh is not None:
            self.state = put_on_mesh(self.state, self.mesh)
        if not resume:
            self.saver.set_aside()
            return
        loaded = self.saver.resume(self.state)
        if loaded is None:
            return
        self.step, self.state = loaded.step, loaded.state
        self.history.records, self.worst = loaded.facts["history"], loaded.facts["worst_loss"]
        self.finished = self._is_finished(loaded)
        self.monitor.restore(loaded.facts)
        best = self.monitor.best_step
        if self.config.keep_best and best not in (None, self.step) and not self.saver.keeps(best):
            self.monitor.forget()

    def _is_finished(self, loaded: Checkpoint) -> bool:
        """Whether the run that made a checkpoint is at its end, also if this one is longer."""
        steps, epoch_steps = self.plan.total_steps, self.plan.epoch_steps
        found = loaded.facts["config"]
        before = earlier_length(found, self.config, epoch_steps=epoch_steps, steps=steps)
        # What ended it before its last step was no matter of its length.
        return loaded.facts["finished"] and (loaded.step < before or steps == before)

    def train(self, report: Reporter, stop: Callable[[], bool] | None) -> bool:
        """Run to the end; returns whether `stop` ended it."""
        self.history.begin(report)
        while not self.finished:
            self.saver.check()
            if stop is not None and stop():
                self.save()
                return True
            batches = put_batches(self.plan.batches(self.step), self.mesh)
            self.state, sums = train_step(
                self.objective, self.optimizer, self.state, self.frozen, batches, self.memory
            )
            self.history.count(self.plan.tokens(self.step))
            self.step += 1
            self.finished = self.step == self.plan.total_steps
            looked_at = (self.config.log_every, self.config.checkpoint_every)
            if self.finished or any(map(self.due, looked_at)) or self.config.target_worst_loss:
                self.look_at(sums)
            if self.eval_batches:
                self.evaluate(sums)
            is_best = self.config.keep_best and self.monitor.best_step == self.step
            if self.finished or is_best or self.due(self.config.checkpoint_every):
                self.save()
        return False

    def look_at(self, sums: LossSums) -> None:
        """Check a step's sums, and log them where that is due."""
        # Waits for the device: the one synchronisation of the loop.
        sums, skipped = jax.device_get((sums, self.state.skipped))
        self.finished = self.check(sums, int(skipped)) or self.finished
        if self.finished or self.due(self.config.log_every):
            self.log(sums, int(skipped))

    def chosen(self) -> tuple[int, Any]:
        """The step and the weights that a finished run returns."""
        best = self.monitor.best_step
        if not self.config.keep_best or best is None or best == self.step:
            return self.step, final_weights(self.state)
        loaded = self.saver.load(best, self.state)
        return loaded.step, final_weights(loaded.state)

    def due(self, every: int | None) -> bool:
        return every is not None and self.step % every == 0

    def check(self, sums: LossSums, skipped: int) -> bool:
        """Whether the rows are learned as well as the configuration asks.

        Raises:
            TrainingDiverged: More steps were skipped than the configuration allows.
        """
        if skipped > self.config.max_skipped_steps:
            raise TrainingDiverged(
                f"{skipped} of the steps up to step {self.step} had a loss or a gradient that is "
                f"not finite (this one's loss is {float(sums.loss)}); training.max_skipped_steps "
                f"is {self.config.max_skipped_steps}. A lower training.learning_rate is the usual "
                "remedy"
            )
        # nan is not more than anything, and a skipped step has learned nothing.
        self.worst = max(self.worst, float(np.nan_to_num(sums.worst, nan=np.inf)))
        if self.step % self.plan.epoch_steps:
            return False
        worst, self.worst = self.worst, 0.0
        return self.config.target_worst_loss is not None and worst <= self.config.target_worst_loss

    def log(self, sums: LossSums, skipped: int) -> None:
        self.history.log_step(
            self.step,
            epoch=(self.step - 1) // self.plan.epoch_steps,
            losses=self.losses(sums),
            learning_rate=float(np.asarray(self.schedule(self.step - 1))),
            skipped=skipped,
        )

    def losses(self, sums: LossSums) -> Record:
        """What is said of a step's sums; nothing, if they are not finite and it was skipped."""
        if not math.isfinite(sums.loss):
            return {}
        return self.objective.report(sums) | {"worst_loss": float(sums.worst)}

    def evaluate(self, step_sums: LossSums) -> None:
        """Measure on the held-out rows what is due at this step, if anything is."""
        begun = time.monotonic()
        of_loss = self.finished or self.due(self.config.eval_every)
        every = self.config.generate and self.config.generate.every
        of_answers = self.finished or self.due(every) if every else of_loss
        if not (of_loss or (self.generation and of_answers)):
            return
        values = self._measure(of_loss, of_answers)
        ends = self.monitor.see(self.step, values) and not self.finished
        if ends:
            # The last step has both measures in any case, and is logged before them.
            values |= self._measure(not of_loss, not of_answers)
        seconds = self.history.leave_out(begun)
        if ends:
            self.finished = True
            if not self.due(self.config.log_every):
                self.look_at(step_sums)
        self.history.log_evaluation(self.step, values, seconds=seconds)

    def _measure(self, of_loss: bool, of_answers: bool) -> Record:
        """The loss, the answers, or both, of the held-out rows."""
        values: Record = {}
        trained = final_weights(self.state)
        if of_loss:
            sums = jax.device_get(
                evaluate_loss(self.objective, trained, self.frozen, self.eval_batches)
            )
            report = self.objective.report(sums)
            values |= {f"eval_{name}": value for name, value in report.items()}
        if self.generation and of_answers:
            values |= self.generation.measure(unite(trained, self.frozen, self.config))
        return values

    def save(self) -> None:
        facts = {
            "history": list(self.history.records),
            "worst_loss": self.worst,
            "finished": self.finished,
        }
        self.saver.save(
            self.step, self.state, facts | self.monitor.facts(), best=self.monitor.best_step
        )
