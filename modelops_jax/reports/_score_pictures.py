"""The pictures of scores that a page has: of one model, or of several in the same axes."""

from collections.abc import Mapping

from modelops_jax.evaluation import Diagnostics, ScoreCurves

from ._curve_plots import MOST_LINES, precision_recall_plot, reliability_plot, roc_plot


def score_pictures(found: Mapping[str, Diagnostics]) -> list[tuple[str, str, str]]:
    """ROC, precision-recall and calibration of all models, each in one picture.

    Scores by class are drawn as one class against the others: of one model all in one picture, of
    several models in a picture for each class.

    Args:
        found: what to draw from by model; of one model by an empty name.

    Returns:
        Title, SVG element and caption of each picture.
    """
    shown = dict(list(found.items())[:MOST_LINES])
    hidden = len(found) - len(shown)
    more = f" The lines are of the first {MOST_LINES} of {len(found)} models." if hidden else ""
    panels: dict[str, dict[str, ScoreCurves]] = {}
    for model, one in shown.items():
        for curves in one.curves():
            label = "" if curves.label is None else str(curves.label)
            panel, line = ("", label) if not model else (label and f", class {label}", model)
            panels.setdefault(panel, {})[line] = curves
    pictures = []
    for at, (panel, lines) in enumerate(panels.items()):
        mark = f"-{at}" if at else ""
        of_classes = len(lines) > 1 and "" in found
        against = " The class against the others." if panel else ""
        against = (" Each class against the others." if of_classes else against) + more
        chance = (
            "the share of positive rows" if len({c.positives for c in lines.values()}) == 1 else ""
        )
        pictures += [
            (
                f"ROC curve{panel}",
                roc_plot(lines, name=f"roc{mark}"),
                f"The number is the area under the curve; the dots are chance.{against}",
            ),
            (
                f"Precision and recall{panel}",
                precision_recall_plot(lines, name=f"precision-recall{mark}"),
                f"The number is the average precision{chance and f'; the dots are {chance}'}."
                f"{against}",
            ),
        ]
    bins = {model: b for model, one in shown.items() if (b := one.reliability()) is not None}
    if bins:
        below = (
            "On the dots the confidence is the share that is right; below, rows by confidence. "
            f"The number is the mean distance from the dots, the calibration error.{more}"
        )
        pictures.append(("Calibration", reliability_plot(bins), below))
    return pictures
