"""The content of a fine-tuning report, apart from how it looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelops_jax.evaluation import ConfusionMatrix

from ._examples import Examples
from ._score import Score


@dataclass(frozen=True, kw_only=True)
class FineTuningReport:
    """Everything a fine-tuning report says, as plain data.

    Args:
        title: the page's heading.
        before: the base model's score.
        after: the fine-tuned model's score.
        summary: what was trained to do what, in a sentence or two.
        metric: the name of the number that every score is.
        baselines: other systems on the same rows, for an honest comparison.
        history: training records with "step" and, where they were measured, "loss" and
            "eval_loss" (nats per token); other keys are ignored.
        confusions: confusion matrices by caption; a class that no reference has gets a
            column and no row.
        examples: rows to look at, and the rule that chose them.
        facts: what a reader needs to judge or repeat the run, by name.
        config: the resolved configuration, as text.

    Example:
        >>> report = FineTuningReport(
        ...     title="Spam or ham",
        ...     before=Score(name="base model", value=0.0, rows=100),
        ...     after=Score(name="fine-tuned", value=0.94, rows=400),
        ...     baselines=[Score(name="majority class", value=0.5, rows=400)],
        ... )
        >>> for sentence in report.findings():
        ...     print(sentence)
        Base model scores 0.000, 0.940 below the fine-tuned model.
        Majority class scores 0.500, 0.440 below the fine-tuned model.
    """

    title: str
    before: Score
    after: Score
    summary: str = ""
    metric: str = "exact match"
    baselines: Sequence[Score] = ()
    history: Sequence[Mapping[str, Any]] = ()
    confusions: Mapping[str, ConfusionMatrix] = field(default_factory=dict)
    examples: Examples = field(default_factory=Examples)
    facts: Mapping[str, str] = field(default_factory=dict)
    config: str = ""

    @property
    def scores(self) -> list[Score]:
        """Every score, the fine-tuned model's second."""
        return [self.before, self.after, *self.baselines]

    @property
    def interval_title(self) -> str:
        """What to call the intervals: by their level, when they share one."""
        levels = {score.interval.level for score in self.scores if score.interval}
        return f"{levels.pop() * 100:g} % interval" if len(levels) == 1 else "interval"

    def findings(self) -> list[str]:
        """How the base model and each baseline stand to the fine-tuned model, wins included."""
        sentences = [
            f"{sentence_case(score.name)} scores {score.value:.3f}, {self._against_after(score)}."
            for score in (self.before, *self.baselines)
        ]
        for score in self.scores:
            if (limit := score.limit()) is not None:
                side = "below" if score.value == 0 else "above"
                sentences.append(
                    f"{sentence_case(score.name)}: all {score.rows:,} rows agree, which leaves the "
                    f"bootstrap no width; they fit any true score {side} {limit:.3f}."
                )
        return sentences

    def _against_after(self, score: Score) -> str:
        """How a score stands to the fine-tuned model's, in words."""
        # The difference of the printed numbers, so that a reader who subtracts finds the same.
        gap = round(score.value, 3) - round(self.after.value, 3)
        if gap == 0:
            return "level with the fine-tuned model"
        side = f"{abs(gap):.3f} {'above' if gap > 0 else 'below'} the fine-tuned model"
        overlap = score.overlaps(self.after)
        if overlap is None:
            return side
        return f"{side}; the intervals {'overlap' if overlap else 'do not overlap'}"


def sentence_case(text: str) -> str:
    """Raise the first letter and leave the others (TF-IDF stays TF-IDF)."""
    return text[:1].upper() + text[1:]
