"""What can be wrong with a row, and the exception that carries it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ProblemCode = Literal[
    "invalid_utf8",
    "invalid_json",
    "duplicate_key",
    "too_deep",
    "damaged_gzip",
    "not_an_object",
    "missing_keys",
    "ambiguous_keys",
    "not_text",
    "invalid_text",
    "no_messages",
    "unknown_role",
    "no_assistant",
    "bad_weight",
    "bad_label",
    "same_answers",
    "repeated_prompt",
    "unread_key",
    "not_json",
    "missing_column",
    "wrong_value",
    "invalid_csv",
]

LISTED_PROBLEMS = 20


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one row.

    Args:
        code: What kind of problem it is, for programs; one of `ProblemCode`.
        message: What was found and what was expected, for people.
        row: Index of the row in its dataset, from 0; None if the row was read from a file.
        line: Number of the line in its file, from 1; None if the row was not read from a file.

    Example:
        >>> str(Problem("no_assistant", "messages: expected one with role 'assistant'", row=3))
        "row 3: messages: expected one with role 'assistant'"
    """

    code: ProblemCode
    message: str
    row: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"row {self.row}" if self.line is None else f"line {self.line}"
        return f"{place}: {self.message}"


class DatasetError(ValueError):
    """The rows cannot be used as asked.

    Its text names the source, lists the first 20 problems and counts them all.

    Args:
        message: The text of the error.
        problems: Every problem found, in the order of the rows; available as `.problems`.

    Example:
        >>> problem = Problem("invalid_json", "Expecting value at character 1", line=2)
        >>> print(DatasetError.listing("train.jsonl", [problem]))
        train.jsonl: 1 problem
          line 2: Expecting value at character 1
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)

    @classmethod
    def listing(cls, source: str, problems: Sequence[Problem]) -> "DatasetError":
        """The error for these problems of a source (a file, or what was being done with it)."""
        total = len(problems)
        lines = [f"{source}: {total} problem{'' if total == 1 else 's'}"]
        lines += [f"  {problem}" for problem in problems[:LISTED_PROBLEMS]]
        if total > LISTED_PROBLEMS:
            lines.append(f"  ... and {total - LISTED_PROBLEMS} more (all of them in .problems)")
        return cls("\n".join(lines), problems)
