"""The page of an evaluation: what the report says besides the numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._evaluate_file import PICTURED

if TYPE_CHECKING:
    from modelops_jax.evaluation import Diagnostics

    from ._evaluate_file import FileEvaluation, Reading


def write_page(path: Path, asked: "FileEvaluation", reading: "Reading") -> None:
    """Write the report of a file.

    Raises:
        ModuleNotFoundError: without matplotlib, where there is something to draw.
        OSError: the page cannot be written.
    """
    from modelops_jax.reports import EvaluationReport, environment_facts, write_html

    columns = asked.columns
    rows = reading.result.sample_count
    facts = {
        "File": str(asked.file),
        "Task": asked.task,
        "True": columns.true,
        "Predicted": ", ".join(columns.preds),
        "Scores": ", ".join(columns.scores),
        "Weight": columns.weight,
        "Time": f"{reading.seconds:,.1f} s, {rows / max(reading.seconds, 1e-9):,.0f} rows/s",
    }
    report = EvaluationReport(
        title=asked.file.name,
        result=reading.result,
        diagnostics=reading.diagnostics,
        bad_rows=[str(problem) for problem in reading.bad.first],
        bad_row_count=reading.bad.count,
        notes=_notes(asked, reading),
        facts={name: text for name, text in facts.items() if text} | environment_facts(),
    )
    write_html(report, path)


def _notes(asked: "FileEvaluation", reading: "Reading") -> list[str]:
    held = (
        "All rows were in memory at once, because what was asked for needs them together."
        if reading.held
        else "The file was read in chunks and memory did not grow with its rows"
        + (
            f", other than for {', '.join(reading.keeps_rows)}, which keep every row."
            if reading.keeps_rows
            else "."
        )
    )
    if reading.diagnostics is not None:
        return [held, *picture_notes(reading.diagnostics)]
    weight = asked.columns.weight
    if weight is None or asked.task not in PICTURED or len(asked.columns.preds) > 1:
        return [held]
    return [held, f"No pictures: they would count each row once, and not by its {weight!r}."]


def picture_notes(found: "Diagnostics") -> list[str]:
    """How the pictures came about, in sentences."""
    from modelops_jax.evaluation import Diagnostics

    notes = []
    curves: Any = found.curves()
    if curves:
        source = (
            "at every distinct score"
            if curves[0].exact
            else "at the edges of a histogram of the scores' first 16 bits (the points are exact)"
        )
        notes.append(
            f"ROC and precision-recall curves are computed {source} and thinned to the first, "
            f"last, lowest and highest point of each of {Diagnostics.PARTS} parts of the "
            "horizontal axis."
        )
    if found.reliability() is not None:
        notes.append("Calibration is of ten bins of equal width; bins without rows are left out.")
    elif curves and found.no_reliability:
        notes.append(f"No calibration: the scores are no probabilities ({found.no_reliability}).")
    return notes
