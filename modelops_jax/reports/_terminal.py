"""The scores of a report as a table on the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ._report import FineTuningReport, sentence_case
from ._text import printable


def print_summary(report: FineTuningReport, *, console: Console | None = None) -> None:
    """Print every score with its interval and its rows, and what they say.

    Args:
        report: the report to summarise.
        console: where to print; standard output by default.
    """
    console = console or Console()
    table = Table(title=Text(printable(report.title)), title_justify="left")
    table.add_column("System", overflow="fold")
    table.add_column(Text(printable(sentence_case(report.metric))), justify="right", no_wrap=True)
    table.add_column(sentence_case(report.interval_title), no_wrap=True)
    table.add_column("Rows", justify="right", no_wrap=True)
    for score in report.scores:
        interval = "{:.3f} to {:.3f}".format(*score.bounds) if score.bounds else "none"
        style = "bold" if score is report.after else ""
        name = Text(printable(score.name))
        table.add_row(name, f"{score.value:.3f}", interval, f"{score.rows:,}", style=style)
    console.print(table)
    for finding in report.findings():
        console.print(Text(printable(finding)))
