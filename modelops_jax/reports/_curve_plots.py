"""The pictures of an evaluation of scores: ROC, precision-recall, reliability."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from modelops_jax.evaluation import Reliability, ScoreCurves

from ._svg import INK, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (400, 340)
_RECTANGLE = (0.13, 0.15, 0.84, 0.82)
# Six lines that differ by dash as well as by colour.
_LINES = [
    (INK[colour], dash)
    for dash in ("solid", (0, (3, 2)))
    for colour in ("accent", "other", "muted")
]
_TICKS = [0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.50", "0.75", "1"]
_LONGEST_NAME = 22


def roc_plot(curves: Sequence[ScoreCurves]) -> str:
    """True over false positive rate, and the diagonal of chance.

    Args:
        curves: one, or one for each of at most six classes.

    Returns:
        An inline SVG element.
    """

    def draw(figure: "Figure") -> None:
        axes = _square(figure, "False positive rate", "True positive rate")
        axes.plot([0, 1], [0, 1], color=INK["muted"], linewidth=1, linestyle=(0, (1, 2)))
        _lines(axes, curves, [(one.fpr, one.tpr) for one in curves], "lower right")

    return _picture(draw, curves, "roc", "ROC curve", "true over false positive rate")


def precision_recall_plot(curves: Sequence[ScoreCurves]) -> str:
    """Precision over recall; of one class with the precision of chance.

    Args:
        curves: one, or one for each of at most six classes.

    Returns:
        An inline SVG element.
    """

    def draw(figure: "Figure") -> None:
        axes = _square(figure, "Recall", "Precision")
        if len(curves) == 1:
            chance = curves[0].positives
            axes.plot([0, 1], [chance] * 2, color=INK["muted"], linewidth=1, linestyle=(0, (1, 2)))
        _lines(axes, curves, [(one.recall, one.precision) for one in curves], "lower left")

    title = "Precision-recall curve"
    return _picture(draw, curves, "precision-recall", title, "precision over recall")


def reliability_plot(found: Reliability) -> str:
    """The share that is right over the confidence, and how many rows each bin has.

    Args:
        found: the bins.

    Returns:
        An inline SVG element.
    """

    def draw(figure: "Figure") -> None:
        left, bottom, width, height = _RECTANGLE
        axes = _square(figure, "", "Share that is right", (left, 0.36, width, height - 0.21))
        axes.set_xticklabels([])
        axes.plot([0, 1], [0, 1], color=INK["muted"], linewidth=1, linestyle=(0, (1, 2)))
        axes.plot(
            found.confidence, found.right, color=INK["accent"], linewidth=2, marker="o",
            markersize=5, clip_on=False,
        )  # fmt: skip
        below = _square(figure, "Confidence", "Rows", (left, bottom, width, 0.16))
        below.bar(found.confidence, found.rows, width=0.06, color=INK["accent"])
        below.set_ylim(0, float(found.rows.max()) * 1.08)
        below.set_yticks([])

    pairs = ", ".join(
        f"{c:.2f}: {r:.2f}" for c, r in zip(found.confidence, found.right, strict=True)
    )
    return inline_svg(
        draw,
        name="reliability",
        size=_SIZE,
        title="Reliability: the share that is right over the confidence",
        description=f"On the diagonal confidence and accuracy agree. Confidence: share {pairs}.",
    )


def _picture(draw, curves: Sequence[ScoreCurves], name: str, title: str, what: str) -> str:
    return inline_svg(
        draw,
        name=name,
        size=_SIZE,
        title=title,
        description=f"{title}: {what}, {len(curves)} line{'' if len(curves) == 1 else 's'}.",
        labels={f"class {at}": _short(str(one.label)) for at, one in enumerate(curves)},
    )


def _square(
    figure: "Figure",
    horizontal: str,
    vertical: str,
    rectangle: tuple[float, float, float, float] = _RECTANGLE,
) -> "Axes":
    """Axes from 0 to 1, with the page's grid."""
    axes = figure.add_axes(rectangle)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel=horizontal, ylabel=vertical)
    axes.set_xticks(*_TICKS)
    axes.set_yticks(*_TICKS)
    axes.tick_params(length=0, pad=5, labelsize=12)
    axes.grid(True)
    axes.set_axisbelow(True)
    return axes


def _lines(
    axes: "Axes",
    curves: Sequence[ScoreCurves],
    points: Sequence[tuple[np.ndarray, np.ndarray]],
    corner: Literal["lower left", "lower right"],
) -> None:
    for at, (x, y) in enumerate(points):
        colour, dash = _LINES[at]
        axes.plot(
            x, y, color=colour, linestyle=dash, linewidth=2, label=f"class {at}", clip_on=False
        )
    if len(curves) > 1:
        axes.legend(
            loc=corner, frameon=False, handlelength=2.2, labelcolor=INK["text"], fontsize=12
        )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
