"""The pictures show the numbers where the scale says they are."""

import math
import re
from xml.etree import ElementTree

import pytest

from modelops_jax.metrics import Interval
from modelops_jax.reports import Score
from modelops_jax.reports._plots import loss_plot, score_plot


def xs(path: str) -> list[float]:
    """The horizontal coordinates of a path's points."""
    return [float(x) for x in re.findall(r"[ML] (-?[\d.]+) -?[\d.]+", path)]


def test_whiskers_end_at_the_interval():
    """The whisker's ends divide the axis from 0 to 1 as the interval's bounds do."""
    interval = Interval(0.25, 0.75, 0.95, "any", 9, 0)
    scores = [Score(name="only", value=0.5, rows=4, interval=interval)]
    root = ElementTree.fromstring(score_plot(scores, metric="exact match", highlight=0))
    ticks = {
        element.text: float(element.attrib["x"])
        for element in root.iter("text")
        if element.text in ("0", "0.25", "0.75", "1")
    }
    lines = [xs(element.attrib["d"]) for element in root.iter("path")]
    widths = [(min(line), max(line)) for line in lines if len(line) == 2]
    expected = (ticks["0.25"], ticks["0.75"])
    assert any(pair == pytest.approx(expected, abs=1e-3) for pair in widths)
    middle = (ticks["0"] + ticks["1"]) / 2
    marks = [float(element.attrib["x"]) for element in root.iter("use")]
    assert any(mark == pytest.approx(middle, abs=1e-3) for mark in marks)


def test_description_has_every_score_in_full():
    """Who cannot see the picture hears the same numbers, and names that were too long for it."""
    name = "A system with a name that is much too long for one line of the picture"
    scores = [Score(name=name, value=0.125, rows=8), Score(name="other", value=1.0, rows=9)]
    root = ElementTree.fromstring(score_plot(scores, metric="accuracy", highlight=1))
    description = root.findtext("desc") or ""
    assert f"{name} 0.125 (8 rows)" in description
    assert "other 1.000 (9 rows)" in description
    assert root.attrib["role"] == "img"
    assert any(str(element.text).endswith("…") for element in root.iter("text"))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 0.05), (0.45, 0.55), (0.95, 1.0), (0.3, 0.9), (0.1, 0.7), (0.0, 1.0)]
)
def test_numbers_have_room(low: float, high: float):
    """Numbers keep inside the picture and off their whisker, wherever the interval lies."""
    score = Score(
        name="system",
        value=(low + high) / 2,
        rows=1,
        interval=Interval(low, high, 0.9, "any", 9, 0),
    )
    root = ElementTree.fromstring(score_plot([score], metric="accuracy", highlight=0))
    width = float(root.attrib["viewBox"].split()[2])
    texts = {str(text.text): text for text in root.iter("text")}
    zero, one = (float(texts[tick].attrib["x"]) for tick in ("0", "1"))
    label = next(text for key, text in texts.items() if key.startswith(f"{score.value:.3f} ("))
    # 19 characters of the bold font: the widest a score with its interval gets.
    x, room = float(label.attrib["x"]), 160
    left, right = (x - room, x) if "end" in label.attrib["style"] else (x, x + room)
    assert 0 <= left
    assert right <= width
    whisker = (zero + low * (one - zero), zero + high * (one - zero))
    above = float(label.attrib["y"]) == float(texts["system"].attrib["y"])
    assert above or right < whisker[0] or left > whisker[1]


def test_series_differ_by_more_than_colour():
    """The held-out curve is dashed and has marks; the training curve has neither."""
    history = [{"step": step, "loss": 1 / step, "eval_loss": 2 / step} for step in range(1, 9)]
    root = ElementTree.fromstring(loss_plot(history))
    dashed = [path for path in root.iter("path") if "stroke-dasharray" in path.get("style", "")]
    assert len(dashed) == 2  # the curve and its sample in the legend
    texts = [element.text for element in root.iter("text")]
    assert {"train", "held-out", "step"} <= set(texts)
    assert "train from 1.000 at step 1 to 0.125 at step 8" in (root.findtext("desc") or "")


@pytest.mark.parametrize(
    "history", [[], [{"step": 1}], [{"step": 1, "loss": math.nan}], [{"step": 1, "loss": None}]]
)
def test_no_finite_loss_gives_no_picture(history: list):
    """An empty picture says less than a sentence."""
    assert loss_plot(history) == ""


def test_a_loss_that_is_not_finite_is_left_out():
    """One bad step does not cost the reader the others."""
    history = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": math.inf}, {"step": 3, "loss": 1.0}]
    root = ElementTree.fromstring(loss_plot(history))
    assert "train from 3.000 at step 1 to 1.000 at step 3" in (root.findtext("desc") or "")
