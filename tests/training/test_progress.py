"""A bar on a terminal, plain lines elsewhere, nothing when off."""

import io

from rich.console import Console

from modelops_jax.training._progress import ProgressMode, show_progress

RECORD = {"step": 1, "loss": 0.5, "tokens_per_second": 1234.0}


def shown(is_terminal: bool, mode: ProgressMode = "auto") -> str:
    """What a run of two steps and an evaluation writes."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, width=120)
    with show_progress(2, 0, mode, console) as report:
        report(RECORD)
        report(RECORD | {"step": 2, "loss": 0.25})
        report({"step": 2, "eval_loss": 0.75, "eval_mae_left_out": 1200, "seconds": 1.0})
    return output.getvalue()


def test_plain_lines_without_a_terminal():
    """Each line stands alone: step, loss, speed, time left; no control characters."""
    lines = shown(is_terminal=False).splitlines()
    assert lines[0].startswith("step 1/2: loss 0.5000, 1,234 tokens/s, ")
    assert "held-out loss 0.7500, mae left out 1,200, " in lines[-1]
    assert all(character.isprintable() for line in lines for character in line)


def test_bar_on_a_terminal():
    """The bar ends at the last step and shows the newest numbers."""
    text = shown(is_terminal=True)
    assert "2/2" in text
    assert "held-out loss 0.7500" in text


def test_off_writes_nothing():
    """A job in the background leaves the terminal alone."""
    assert shown(is_terminal=True, mode="off") == ""
