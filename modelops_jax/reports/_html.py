"""A report as one HTML page that opens anywhere, with no network and no script."""

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modelops_jax.data import write_atomic
from modelops_jax.evaluation import ConfusionMatrix

from ._plots import curve, loss_plot, score_plot
from ._report import FineTuningReport, sentence_case
from ._text import printable, readable


def write_html(report: FineTuningReport, path: str | os.PathLike[str]) -> Path:
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


def render(report: FineTuningReport) -> str:
    """Return the page that `write_html` writes."""
    environment = Environment(
        loader=PackageLoader("modelops_jax.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"readable": readable, "printable": printable, "cased": sentence_case}
    page = environment.get_template("fine_tuning.html")
    return page.render(
        report=report,
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


def _cells(matrix: ConfusionMatrix) -> dict[str, list]:
    """Rows for the classes of the references, and a column for every class, theirs first."""
    counts = {
        true: {pred: matrix.get_cell(true, pred) for pred in matrix.classes}
        for true in matrix.classes
    }
    known = [label for label in matrix.classes if any(counts[label].values())]
    columns = known + [label for label in matrix.classes if label not in known]
    rows = [
        (
            str(true),
            sum(counts[true].values()),
            [(counts[true][pred], true == pred) for pred in columns],
        )
        for true in known
    ]
    return {"columns": [str(label) for label in columns], "rows": rows}
