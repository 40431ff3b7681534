"""A report as one HTML page that opens anywhere, with no network and no script."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modelops_jax.data import write_atomic
from modelops_jax.evaluation import ConfusionMatrix, MetricComparison

from ._evaluation import (
    MOST_ROWS,
    EvaluationReport,
    class_intervals,
    scores_of,
    scores_of_labels,
)
from ._plots import curve, loss_plot, score_plot
from ._report import FineTuningReport, sentence_case
from ._score_pictures import score_pictures
from ._text import number, printable, readable

# Classes that a confusion table shows one by one: a page stays readable, and small.
MOST_CLASSES = 30


def write_html(report: FineTuningReport | EvaluationReport, path: str | os.PathLike[str]) -> Path:
    """Write the report as one self-contained HTML file, whole or not at all.

    The page holds its styles and pictures, loads nothing, runs no script, follows the reader's
    light or dark setting and fits a phone. Text from data is escaped, and characters that
    cannot be seen are spelled out. The same report gives the same bytes.

    Args:
        report: what to write.
        path: where; the folder must exist, an existing file is replaced.

    Returns:
        The path that was written, absolute.

    Raises:
        ModuleNotFoundError: without matplotlib, with the command that installs it.
        OSError: when the file cannot be written.
    """
    target = Path(path).absolute()
    write_atomic(target, render(report).encode())
    return target


def render(report: FineTuningReport | EvaluationReport) -> str:
    """Return the page that `write_html` writes."""
    if isinstance(report, EvaluationReport):
        return _page("evaluation.html", report=report, **_evaluation_parts(report))
    return _page("fine_tuning.html", report=report, **_fine_tuning_parts(report))


def _page(template: str, **content: Any) -> str:
    environment = Environment(
        loader=PackageLoader("modelops_jax.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "readable": readable,
        "printable": printable,
        "cased": sentence_case,
        "number": number,
    }
    return environment.get_template(template).render(**content)


def _fine_tuning_parts(report: FineTuningReport) -> dict[str, Any]:
    return dict(
        findings=report.findings(),
        # Both pictures are markup of our own making, with every text in it escaped.
        score_picture=Markup(score_plot(report.scores, metric=report.metric, highlight=1)),
        loss_picture=Markup(loss_plot(report.history)),
        final_losses=[
            (label, *series[-1])
            for label, key in (("train", "loss"), ("held-out", "eval_loss"))
            if (series := curve(report.history, key))
        ],
        interval_kinds=dict.fromkeys(
            (kind.level, kind.method, kind.n_resamples, kind.seed)
            for score in report.scores
            if (kind := score.interval)
        ),
        confusions={caption: _cells(matrix) for caption, matrix in report.confusions.items()},
    )


def _evaluation_parts(report: EvaluationReport) -> dict[str, Any]:
    drawn = score_pictures(report.by_model)
    tables = {model: one.confusion() for model, one in report.by_model.items()}
    labels = scores_of_labels(report.evaluation)
    if labels:
        picture = score_plot(labels, metric="f1", highlight=0, name="labels")
        below = "The labels of the lowest F1, worst first; the filled circle is the worst."
        drawn += [("F1 by label", picture, below)]
    metrics = report.comparison.metrics.values() if report.comparison else ()
    return dict(
        most_rows=MOST_ROWS,
        class_intervals=class_intervals(report.evaluation),
        comparisons=[_compared(one, report.comparison, at) for at, one in enumerate(metrics)],
        pictures=[{"title": t, "svg": Markup(svg), "caption": text} for t, svg, text in drawn],
        confusions={
            model or "True and predicted labels": _cells(matrix)
            for model, matrix in tables.items()
            if matrix is not None
        },
    )


def _compared(metric: MetricComparison, comparison: Any, at: int) -> dict[str, Any]:
    scores = scores_of(metric, comparison.sample_count)
    names = list(metric.values)
    first = names.index(metric.baseline) if metric.baseline is not None else 0
    picture = score_plot(scores, metric=metric.metric, highlight=first, name=f"scores-{at}")
    return {
        "comparison": metric,
        "leads": metric.leads(),
        "picture": Markup(picture) if scores else "",
    }


def _cells(matrix: ConfusionMatrix) -> dict[str, Any]:
    """Rows for the classes of the references, and a column for every class, theirs first.

    Of many classes the largest have rows and columns of their own, and one column holds the rest.
    """
    counts, support = matrix.matrix, matrix.matrix.sum(axis=1)
    by_size = np.argsort(-(support + counts.sum(axis=0)), kind="stable")
    shown = sorted(by_size[:MOST_CLASSES].tolist())
    columns = [at for at in shown if support[at]] + [at for at in shown if not support[at]]
    names = [str(matrix.classes[at]) for at in columns]
    hidden = len(matrix.classes) - len(shown)
    if hidden:
        names.append(f"{hidden:,} others")
    rows = []
    for true in columns:
        if not support[true]:
            continue
        cells = [(counts[true, pred].item(), true == pred) for pred in columns]
        if hidden:
            rest = support[true] - counts[true, columns].sum()
            cells.append((max(0, rest.item()), False))  # of weights it may be rounded below
        rows.append((str(matrix.classes[true]), support[true].item(), cells))
    return {"columns": names, "rows": rows, "weighted": counts.dtype.kind == "f"}
