"""The two pictures of a fine-tuning report: scores with their intervals, and the loss."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ._score import Score
from ._svg import INK, inline_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Wide enough for two side by side on a desktop, narrow enough to stay legible on a phone.
_WIDTH = 400
_ROW = 54
_SCALE = 36
# The part of the axis that a score with its interval takes, set in this font size.
_ROOM = 0.44
# What fits the width, alone and before the numbers; the page's table has every name in full.
_LONGEST_NAME, _LONGEST_NAME_BEFORE_NUMBERS = 44, 22


def score_plot(
    scores: Sequence[Score], *, metric: str, highlight: int, name: str = "scores"
) -> str:
    """One row per system: a mark at the score, a whisker over its interval.

    The highlighted system has a filled circle, every other a hollow square, so that the
    picture reads without colour.

    Args:
        scores: the systems, from top to bottom.
        metric: the name of the number.
        highlight: the index of the system that the page is about.
        name: of the picture, unique on the page.

    Returns:
        An inline SVG element.
    """
    height = _ROW * len(scores) + _SCALE

    def draw(figure: "Figure") -> None:
        axes = figure.add_axes((0.025, _SCALE / height, 0.95, 1 - _SCALE / height))
        axes.set(xlim=(-0.01, 1.01), ylim=(len(scores), 0), yticks=[])
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.50", "0.75", "1"])
        axes.tick_params(length=0, pad=6)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        for index, score in enumerate(scores):
            ours = index == highlight
            colour = INK["accent"] if ours else INK["muted"]
            weight = "bold" if ours else "normal"
            low, high = _ends(score)
            line = index + 0.72
            axes.text(0, index + 0.4, f"name {index}", weight=weight)
            x, y, align = {
                "right": (high + 0.035, line + 0.09, "left"),
                "left": (low - 0.035, line + 0.09, "right"),
                "above": (1, index + 0.4, "right"),
            }[_side(score)]
            axes.text(x, y, _numbers(score), weight=weight, ha=align)
            axes.plot([low, high], [line, line], color=colour, linewidth=2.5)
            for end in (low, high):
                axes.plot([end, end], [line - 0.09, line + 0.09], color=colour, linewidth=2.5)
            axes.plot(
                [score.value],
                [line],
                color=colour,
                marker="o" if ours else "s",
                markersize=9 if ours else 7,
                markeredgewidth=2,
                fillstyle="full" if ours else "none",
                clip_on=False,
            )

    described = "; ".join(f"{score.name} {score.describe()}" for score in scores)
    return inline_svg(
        draw,
        name=name,
        size=(_WIDTH, height),
        title=f"{metric} of every system, with intervals",
        description=f"{metric} from 0 to 1, higher is better: {described}.",
        labels={f"name {index}": _short(score) for index, score in enumerate(scores)},
    )


def loss_plot(history: Sequence[Mapping[str, Any]]) -> str:
    """The training loss over steps, and the held-out loss where it was measured.

    Args:
        history: records with "step" and "loss" or "eval_loss" (nats per token). A loss that
            is missing or not finite leaves a gap in the training line.

    Returns:
        An inline SVG element, or "" when no record has a finite loss.
    """
    train, held_out = curve(history, "loss"), curve(history, "eval_loss")
    if not train and not held_out:
        return ""

    def draw(figure: "Figure") -> None:
        axes = figure.add_axes((0.11, 0.18, 0.87, 0.7))
        # Both series differ by line, mark and label, not by colour alone.
        if train:
            steps, losses = zip(*train, strict=True)
            mark = "o" if len(train) == 1 else None
            axes.plot(steps, losses, color=INK["muted"], linewidth=1.3, marker=mark, label="train")
        if held_out:
            axes.plot(
                *zip(*held_out, strict=True),
                color=INK["accent"],
                linewidth=2.2,
                linestyle=(0, (4, 2)),
                marker="o",
                markersize=6,
                label="held-out",
            )
        top = max(value for _, value in train + held_out)
        axes.set_ylim(0, top * 1.06 or 1)
        axes.set_xlabel("step", labelpad=4)
        axes.locator_params("x", integer=True, nbins=6)
        axes.locator_params("y", nbins=6)
        axes.tick_params(length=0, pad=6)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.03),
            ncols=2,
            borderpad=0,
            borderaxespad=0,
            frameon=False,
            handlelength=2.6,
            labelcolor=INK["text"],
        )

    parts = [
        f"{label} from {series[0][1]:.3f} at step {series[0][0]:g} "
        f"to {series[-1][1]:.3f} at step {series[-1][0]:g}"
        for label, series in (("train", train), ("held-out", held_out))
        if series
    ]
    return inline_svg(
        draw,
        name="loss",
        size=(_WIDTH, 252),
        title="Loss over training steps",
        description=f"Loss in nats per token, lower is better: {'; '.join(parts)}.",
    )


def curve(history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """The (step, value) pairs of one key, without what is missing or not finite."""
    pairs = ((record.get("step"), record.get(key)) for record in history)
    return [
        (float(step), float(value))
        for step, value in pairs
        if step is not None and value is not None and math.isfinite(value)
    ]


def _ends(score: Score) -> tuple[float, float]:
    return score.bounds or (score.value, score.value)


def _side(score: Score) -> Literal["right", "left", "above"]:
    """Where the numbers go: beside the whisker, or above it where neither side has room."""
    low, high = _ends(score)
    if high <= 1 - _ROOM:
        return "right"
    return "left" if low >= _ROOM else "above"


def _numbers(score: Score) -> str:
    if score.bounds is None:
        return f"{score.value:.3f}"
    low, high = score.bounds
    return f"{score.value:.3f} ({low:.3f}\N{EN DASH}{high:.3f})"


def _short(score: Score) -> str:
    longest = _LONGEST_NAME_BEFORE_NUMBERS if _side(score) == "above" else _LONGEST_NAME
    return score.name if len(score.name) <= longest else f"{score.name[: longest - 1]}…"
