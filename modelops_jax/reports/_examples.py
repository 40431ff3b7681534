"""Choosing the rows that a reader looks at, by a rule that the page can state."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Example:
    """One evaluated row: what was asked, what the model said, what was right.

    Args:
        row: the row's number in the evaluated file, from 1.
        prompt: what the model was asked.
        prediction: what it answered.
        reference: the right answer.
    """

    row: int
    prompt: str
    prediction: str
    reference: str

    @property
    def correct(self) -> bool:
        """Whether the answer is the reference, surrounding white space aside (exact match)."""
        return self.prediction.strip() == self.reference.strip()


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows to look at, and the rule that chose them, in words."""

    items: Sequence[Example] = ()
    rule: str = ""


def pick_examples(
    prompts: Sequence[str],
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    count: int = 20,
) -> Examples:
    """Choose rows to show: mistakes for up to half of them, then correct answers.

    Both are taken at even steps in the order of the rows, so the same input always gives the
    same choice and nobody picked a favourite. Where one kind runs short the other fills up.

    Args:
        prompts: what the model was asked, one per row.
        predictions: what it answered.
        references: the right answers.
        count: how many rows to choose; fewer when there are fewer.

    Returns:
        The chosen rows, mistakes first, and the rule with its numbers.

    Raises:
        ValueError: for lists of different length or a negative count.

    Example:
        >>> chosen = pick_examples(["a", "b", "c"], ["x", "y", "z"], ["x", "n", "z"], count=2)
        >>> [(example.row, example.correct) for example in chosen.items]
        [(2, False), (1, True)]
        >>> print(chosen.rule)
        1 of the 1 mistake, then 1 of the 2 correct answers, each at even steps through the 3 rows.
    """
    if not len(prompts) == len(predictions) == len(references):
        raise ValueError(
            f"found {len(prompts)} prompts, {len(predictions)} predictions and "
            f"{len(references)} references, expected as many of each"
        )
    if count < 0:
        raise ValueError(f"found count={count}, expected 0 or more")
    rows = [
        Example(row=row, prompt=prompt, prediction=prediction, reference=reference)
        for row, (prompt, prediction, reference) in enumerate(
            zip(prompts, predictions, references, strict=True), start=1
        )
    ]
    wrong = [example for example in rows if not example.correct]
    right = [example for example in rows if example.correct]
    wrong_count = min(len(wrong), max(count // 2, count - len(right)))
    right_count = min(len(right), count - wrong_count)
    rule = (
        f"{wrong_count} of the {_count(len(wrong), 'mistake')}, then {right_count} of the "
        f"{_count(len(right), 'correct answer')}, each at even steps through the "
        f"{_count(len(rows), 'row')}."
    )
    return Examples(items=[*_spread(wrong, wrong_count), *_spread(right, right_count)], rule=rule)


def _spread(items: list[Example], count: int) -> list[Example]:
    return [items[index * len(items) // count] for index in range(count)]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
