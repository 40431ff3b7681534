"""Results to read: lines for a terminal, a table for a notebook."""

import html
from collections.abc import Sequence
from typing import Any

# Classes and slices of one table; the rest is counted.
_SHOWN = 20
_WIDEST = 28
# Columns of a terminal.
_COLUMNS = 80

_NO_BREAK = "\u00a0"
_STYLE = (
    "border-collapse:collapse;margin:.4em 0 1em;font-variant-numeric:tabular-nums",
    "padding:.2em .9em;text-align:right;border-bottom:1px solid rgba(128,128,128,.35)",
)


def text_table(result: Any) -> str:
    """A result in lines of at most 80 columns, as far as names and metrics allow."""
    lines = [heading(result)]
    width = max((len(printable(name)) for name in result.metrics), default=0)
    for name, value in result.metrics.items():
        line = f"  {printable(name):<{width}}  {written(value)}"
        if (interval := result.intervals.get(name)) is not None:
            line += f"  {between(interval)} {interval.level * 100:.4g} % interval"
        lines.append(line)
    for title, head, rows, hidden in tables(result, wide=False):
        table, left_out = _fitted([head, *rows])
        lines += ["", title, *table]
        if hidden:
            lines.append(f"  ... and {hidden:,} more")
        if left_out:
            lines.append(f"  (without {', '.join(left_out)})")
    return "\n".join(lines)


def html_page(result: Any) -> str:
    """A result as escaped HTML that needs nothing from outside."""
    parts = [f"<p><b>{html.escape(heading(result))}</b></p>"]
    level = next((f"{i.level * 100:.4g} % interval" for i in result.intervals.values()), None)
    head = ["metric", "value", *([level] if level else [])]
    rows = []
    for name, value in result.metrics.items():
        interval = result.intervals.get(name)
        rows.append(
            [
                printable(name),
                written(value),
                *([between(interval) if interval else ""] if level else []),
            ]
        )
    parts.append(_html_table(head, rows))
    for title, names, lines, hidden in tables(result, wide=True):
        parts += [f"<p><b>{html.escape(title)}</b></p>", _html_table(names, lines)]
        if hidden:
            parts.append(f"<p>... and {hidden:,} more</p>")
    rules = result.metadata.get("undefined", {})
    if rules:
        notes = "".join(f"<li>{html.escape(rule)}</li>" for rule in rules.values())
        parts.append(f"<ul>{notes}</ul>")
    parts.append(f'<p style="opacity:.65"><small>{html.escape(result.signature)}</small></p>')
    return f"<div>{''.join(parts)}</div>"


def heading(result: Any) -> str:
    """The task and the number of rows."""
    rows = "row" if result.sample_count == 1 else "rows"
    left_out = f", {result.invalid_count:,} invalid left out" if result.invalid_count else ""
    return f"{result.task_type.value}, {result.sample_count} {rows}{left_out}"


def tables(result: Any, *, wide: bool) -> list[tuple[str, list[str], list[list[str]], int]]:
    """The tables after the metrics: title, head, rows, and how many rows are not shown.

    Args:
        result: the result.
        wide: whether there is room for the intervals of every metric of classes.
    """
    found = []
    # Of two classes of one label a row the second says what the first does; unless asked for.
    asked = any(len(one.metrics) > 3 for one in result.per_class)
    if len(result.per_class) > (1 if "labels" in result.metadata or asked else 2):
        found.append(_of_classes(result, wide))
    columns = dict.fromkeys(tuple(one.key) for one in result.slices)
    for key in columns:
        by = " x ".join(map(printable, key))
        members = [one for one in result.slices if tuple(one.key) == key]
        first = next(iter(members[0].metrics), None)
        intervals = any(first in one.intervals for one in members)
        rows = []
        for one in members[:_SHOWN]:
            values = [written(one.metrics[name]) + _mark(one, name) for name in one.metrics]
            row = [_name(*one.key.values()), *values]
            if intervals:
                interval = one.intervals.get(first)
                row.append(between(interval) if interval else "")
            rows.append([*row, str(one.rows)])
        head = [
            by,
            *map(printable, members[0].metrics),
            *([f"{printable(str(first))} interval"] if intervals else []),
            "rows",
        ]
        marked = any(one.differs(name) for one in members for name in one.metrics)
        note = " (* differs from the other rows)" if marked else ""
        found.append((f"by {by}{note}", head, rows, len(members) - len(rows)))
    return found


def _of_classes(result: Any, wide: bool) -> tuple[str, list[str], list[list[str]], int]:
    names = list(result.per_class[0].metrics)
    if not wide:  # what was asked for first: the last columns are left out where lines are full
        names = [*names[3:], *names[:3]]
    drawn = {name for one in result.per_class for name in one.intervals}
    # The first that was asked for, or F1.
    chosen = next((name for name in [*names[:-3], *reversed(names)] if name in drawn), None)
    head = ["label" if "labels" in result.metadata else "class"]
    for name in names:
        head += [printable(name), *(["interval"] if name == chosen and not wide else [])]
    rows = []
    for one in result.per_class[:_SHOWN]:
        row = [_name(one.label)]
        for name in names:
            value, interval = one.metrics[name], one.intervals.get(name)
            ends = between(interval) if interval else ""
            if wide:
                # A narrow page breaks the line before the interval, and not within.
                row.append(f"{written(value)} {ends.replace(' ', _NO_BREAK)}".rstrip())
            else:
                row += [written(value), *([ends] if name == chosen else [])]
        rows.append([*row, str(one.rows)])
    return "per class", [*head, "rows"], rows, len(result.per_class) - len(rows)


def written(value: float | int) -> str:
    """Four decimals where they say something, else four digits."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


def between(interval: Any) -> str:
    """The two ends of an interval."""
    return f"[{written(float(interval.low))}, {written(float(interval.high))}]"


def printable(text: str) -> str:
    """A name without what would break a line or a terminal."""
    return text if text.isprintable() else repr(text)


def label_text(label: Any) -> str:
    """A label as text; in quotes if it would break a line, or if its ends would not be seen."""
    text = str(label)
    return text if text.isprintable() and text and text == text.strip() else repr(text)


def _mark(one: Any, metric: str) -> str:
    return "*" if one.differs(metric) else ""


def _name(*values: Any) -> str:
    """Labels as text, which is not wider than a column."""
    text = ", ".join(map(label_text, values))
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."


def _fitted(rows: list[list[str]]) -> tuple[list[str], list[str]]:
    """The table in lines that fit, and the columns that did not: the last ones but `rows`."""
    left_out: list[str] = []
    while len(lines := _aligned(rows)) and len(lines[0]) > _COLUMNS and len(rows[0]) > 3:
        left_out.insert(0, rows[0][-2])
        rows = [[*row[:-2], row[-1]] for row in rows]
    return lines, left_out


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(
            [
                f"{row[0]:<{widths[0]}}",
                *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table, cell = _STYLE

    def line(cells: Sequence[str], tag: str) -> str:
        first = f'<th style="{cell};text-align:left" scope="row">{html.escape(cells[0])}</th>'
        rest = "".join(f'<{tag} style="{cell}">{html.escape(c)}</{tag}>' for c in cells[1:])
        return f"<tr>{first}{rest}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<table style="{table}"><thead>{line(head, "th")}</thead><tbody>{body}</tbody></table>'
