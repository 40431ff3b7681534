"""The page of all metrics is that of the table."""

import pathlib

from modelops_jax.evaluation._text_metrics import TEXT_METRICS
from modelops_jax.metrics import METRICS
from modelops_jax.metrics._page import page

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_up_to_date():
    """`python -m modelops_jax.metrics._page > docs/metrics.md` would change nothing."""
    assert PAGE.read_text("utf-8") == page()


def test_the_page_has_a_row_for_every_metric():
    """With direction, range and interval as one would say them."""
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(METRICS)
    r2 = next(row for row in rows if row.startswith("| `r2_score`"))
    assert r2.startswith("| `r2_score` | high | -∞ to 1 | values | ")
    assert "| resampled rows |" in r2


def test_the_page_has_every_name_that_the_task_of_texts_takes():
    """Those that are no metric of the table as well."""
    text = PAGE.read_text("utf-8")
    assert [name for name in TEXT_METRICS if f"`{name}`" not in text] == []
