"""The page of an evaluation: what the report says besides the numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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
        "Predicted": ", ".join(columns.predicted),
        "Scores": ", ".join(columns.scores),
        "Weight": columns.weight,
        "Time": f"{reading.seconds:,.1f} s, {rows / max(reading.seconds, 1e-9):,.0f} rows/s",
    }
    report = EvaluationReport(
        title=asked.file.name,
        result=reading.result,
        diagnostics=_pictured(reading),
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
        + (", but with its groups" if asked.columns.group is not None else "")
        + (
            f", other than for {', '.join(reading.keeps_rows)}, which keep every row."
            if reading.keeps_rows
            else "."
        )
    )
    weight = asked.columns.weight
    weighted = weight is not None and any(one.weighted for one in reading.diagnostics.values())
    by_weight = [f"The pictures count each row by its {weight!r}."] if weighted else []
    return [held, *by_weight, *picture_notes(reading.diagnostics)]


def _pictured(reading: "Reading") -> "Diagnostics | Mapping[str, Diagnostics] | None":
    """What the report draws: of one model, or by model of a comparison."""
    from modelops_jax.evaluation import Comparison

    if isinstance(reading.result, Comparison):
        return reading.diagnostics
    return next(iter(reading.diagnostics.values()), None)


def picture_notes(found: "Mapping[str, Diagnostics]") -> list[str]:
    """How the pictures of models came about, in sentences."""
    from modelops_jax.evaluation import Diagnostics

    notes = []
    curves = [curve for one in found.values() for curve in one.curves()]
    if curves:
        source = (
            "at every distinct score"
            if all(curve.exact for curve in curves)
            else "at the edges of a histogram of the scores' first 16 bits (the points are exact)"
        )
        notes.append(
            f"ROC and precision-recall curves, and the numbers beside them, are computed {source}; "
            f"the curves are thinned to the first, last, lowest and highest point of each of "
            f"{Diagnostics.PARTS} parts of the horizontal axis."
        )
    if any(one.reliability() is not None for one in found.values()):
        notes.append("Calibration is of ten bins of equal width; bins without rows are left out.")
    for model, one in found.items() if curves else ():
        if one.reliability() is None and one.no_reliability:
            of_model = f" of {model}" if len(found) > 1 else ""
            notes.append(
                f"No calibration{of_model}: the scores are no probabilities ({one.no_reliability})."
            )
    return notes
