"""The pictures of an evaluation of scores: ROC, precision-recall, reliability."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from modelops_jax.evaluation import Reliability, ScoreCurves

from ._svg import INK, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 400, 322
# Of the legend below the axes, in CSS pixels.
_ROW, _HANDLE = 21, 34
_LEFT, _RIGHT = 52, 388
# Lines that differ by colour, and where that is not enough by dash.
_LINES = [
    (INK[colour], dash)
    for dash in ("solid", (0, (3.5, 1.5)), (0, (1.2, 1.2)))
    for colour in ("accent", "other", "text")
]
MOST_LINES = len(_LINES)
"""How many lines a picture tells apart."""
_TICKS = [0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.50", "0.75", "1"]
_LONGEST_NAME = 36


def roc_plot(curves: Mapping[str, ScoreCurves], *, name: str = "roc") -> str:
    """True over false positive rate with the area, and the diagonal of chance.

    Args:
        curves: by the name of its line, at most `MOST_LINES`; a single line needs none.
        name: of the picture, unique on the page.

    Returns:
        An inline SVG element.
    """

    def draw(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=INK["muted"], linewidth=1, linestyle=(0, (1, 2)))
        _lines(axes, [(one.fpr, one.tpr) for one in curves.values()])

    return _picture(
        draw,
        {line or "area": one.area for line, one in curves.items()},
        name=name,
        title="ROC curve",
        measure="area",
        horizontal="False positive rate",
        vertical="True positive rate",
    )


def precision_recall_plot(
    curves: Mapping[str, ScoreCurves], *, name: str = "precision-recall"
) -> str:
    """Precision over recall with the average precision, and the precision of chance if it is one.

    Args:
        curves: by the name of its line, at most `MOST_LINES`; a single line needs none.
        name: of the picture, unique on the page.

    Returns:
        An inline SVG element.
    """

    def draw(axes: "Axes") -> None:
        chances = {one.positives for one in curves.values()}
        if len(chances) == 1:
            axes.axhline(*chances, color=INK["muted"], linewidth=1, linestyle=(0, (1, 2)))
        _lines(axes, [(one.recall, one.precision) for one in curves.values()])

    return _picture(
        draw,
        {line or "average precision": one.average_precision for line, one in curves.items()},
        name=name,
        title="Precision-recall curve",
        measure="average precision",
        horizontal="Recall",
        vertical="Precision",
    )


def reliability_plot(found: Mapping[str, Reliability]) -> str:
    """The share that is right over the confidence, and how many rows each bin has.

    Args:
        found: the bins by the name of their line, at most `MOST_LINES`; a single one needs none.

    Returns:
        An inline SVG element.
    """
    floor = 92  # of the upper axes, from the bottom of the picture without its legend

    def draw(figure: "Figure", legend: int) -> None:
        axes = _square(figure, legend + floor, legend + _HEIGHT - 8, "", "Share that is right")
        axes.set_xticklabels([])
        axes.plot([0, 1], [0, 1], color=INK["muted"], linewidth=1, linestyle=(0, (1, 2)))
        _lines(axes, [(one.confidence, one.right) for one in found.values()], marker="o")
        of = "Weight" if any(one.weighted for one in found.values()) else "Rows"
        below = _square(figure, legend + 48, legend + 84, "Confidence", of)
        if len(found) == 1:
            (one,) = found.values()
            below.bar(one.confidence, one.rows, width=0.06, color=INK["accent"])
        else:
            _lines(below, [(one.confidence, one.rows) for one in found.values()])
        below.set_ylim(0, float(max(one.rows.max() for one in found.values())) * 1.08)
        below.set_yticks([])
        # Where the labels of the axes above are, which have ticks beside them.
        below.yaxis.set_label_coords(-0.11, 0.5)

    pairs = "; ".join(
        f"{line and f'{line}, '}error {one.error:.3f}, "
        + ", ".join(f"{c:.2f}: {r:.2f}" for c, r in zip(one.confidence, one.right, strict=True))
        for line, one in found.items()
    )
    errors = {line or "calibration error": one.error for line, one in found.items()}
    return _with_legend(
        draw,
        errors,
        name="reliability",
        title="Reliability: the share that is right over the confidence",
        description=f"On the diagonal confidence and accuracy agree. Confidence: share: {pairs}.",
    )


def _picture(
    draw: Callable[["Axes"], None],
    values: Mapping[str, float],
    *,
    name: str,
    title: str,
    measure: str,
    horizontal: str,
    vertical: str,
) -> str:
    """A picture of one square, and the value of each line."""

    def draw_square(figure: "Figure", legend: int) -> None:
        draw(_square(figure, legend + 48, legend + _HEIGHT - 8, horizontal, vertical))

    told = ", ".join(f"{line} {value:.3f}" for line, value in values.items())
    return _with_legend(
        draw_square,
        values,
        name=name,
        title=title,
        description=f"{vertical} over {horizontal.lower()}; {measure}: {told}.",
    )


def _with_legend(
    draw: Callable[["Figure", int], None],
    values: Mapping[str, float],
    *,
    name: str,
    title: str,
    description: str,
) -> str:
    """The picture, and below it each line with its name and its value."""
    legend = _ROW * len(values) + 4

    def draw_all(figure: "Figure") -> None:
        draw(figure, legend)
        below = figure.add_axes((0, 0, 1, legend / (_HEIGHT + legend)))
        below.set(xlim=(0, _WIDTH), ylim=(legend, 0))
        below.set_axis_off()
        for at, value in enumerate(values.values()):
            (colour, dash), height = _LINES[at], _ROW * (at + 0.5)
            ends = [_LEFT, _LEFT + _HANDLE]
            below.plot(ends, [height] * 2, color=colour, linestyle=dash, linewidth=2.2)
            style = {"fontsize": 13, "va": "center"}
            below.text(_LEFT + _HANDLE + 10, height, f"line {at}", **style)
            below.text(_RIGHT, height, f"{value:.3f}", ha="right", **style)

    return inline_svg(
        draw_all,
        name=name,
        size=(_WIDTH, _HEIGHT + legend),
        title=title,
        description=description,
        labels={f"line {at}": _short(line) for at, line in enumerate(values)},
    )


def _square(figure: "Figure", bottom: int, top: int, horizontal: str, vertical: str) -> "Axes":
    """Axes from 0 to 1 between two heights in pixels, with the page's grid."""
    height = figure.get_figheight() * 72
    axes = figure.add_axes(
        (_LEFT / _WIDTH, bottom / height, (_RIGHT - _LEFT) / _WIDTH, (top - bottom) / height)
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel=horizontal, ylabel=vertical)
    axes.set_xticks(*_TICKS)
    axes.set_yticks(*_TICKS)
    axes.tick_params(length=0, pad=5, labelsize=12)
    axes.grid(True)
    axes.set_axisbelow(True)
    return axes


def _lines(
    axes: "Axes", points: list[tuple[np.ndarray, np.ndarray]], marker: str | None = None
) -> None:
    for (x, y), (colour, dash) in zip(points, _LINES, strict=False):
        axes.plot(
            x, y, color=colour, linestyle=dash, linewidth=2, marker=marker, markersize=5,
            clip_on=False,
        )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
