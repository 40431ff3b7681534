"""The HTML page: self-contained, safe with any text, the same every time, and complete."""

import dataclasses
import os
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from modelops_jax.evaluation import ConfusionMatrix
from modelops_jax.reports import Example, Examples, FineTuningReport, Score, write_html
from modelops_jax.reports._html import _cells

VOID = {"meta", "br", "link", "img"}
HOSTILE = (
    "<script>alert(1)</script> \"quoted\" 'single' & {{ 7 * 7 }} $x$ </svg></style> "
    "\x00\x1b[31m\x07\x85 \ud800 \u202eevil\u2066 \ufeff \u200b مرحبا 日本 🙂"
)


def test_many_classes_are_the_largest_and_the_rest():
    """Thirty classes one by one, one column for the others, and every row counted."""
    labels = [f"c{n}" for n in range(400) for _ in range(2 if n < 10 else 1)]
    shown = _cells(ConfusionMatrix(labels, labels[::-1]))
    assert len(shown["columns"]) == 31
    assert shown["columns"][-1] == "370 others"
    assert {f"c{n}" for n in range(10)} <= set(shown["columns"])
    for _, total, cells in shown["rows"]:
        assert sum(count for count, _ in cells) == total


class Page(HTMLParser):
    """A page's elements, attributes and text, by the standard library's reading."""

    def __init__(self, path: Path):
        super().__init__()
        self.source = path.read_text("utf-8")
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.pieces: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str):
        assert self.open.pop() == tag

    def handle_data(self, data: str):
        if "style" not in self.open:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


def test_page_is_self_contained(report: FineTuningReport, tmp_path: Path):
    """Nothing is loaded from elsewhere and nothing runs."""
    page = Page(write_html(report, tmp_path / "report.html"))
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & page.tags.keys()
    assert "http:" not in page.source
    assert "https:" not in page.source
    assert not re.search(r"@import|url\((?!#)", page.source)
    assert all(value.startswith("#") for value in page.values("href"))
    assert not page.values("src")
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert any("default-src 'none'" in value for value in page.values("content"))


def test_ids_are_unique_and_references_resolve(report: FineTuningReport, tmp_path: Path):
    """Two pictures on a page do not take each other's markers, titles or clip paths."""
    page = Page(write_html(report, tmp_path / "report.html"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = {value[1:] for value in page.values("href")}
    targets |= set(re.findall(r"url\(#([^)]+)\)", page.source))
    for name in ("aria-labelledby", "aria-describedby"):
        targets |= {target for value in page.values(name) for target in value.split()}
    assert targets <= set(ids)


def test_every_number_is_on_the_page(report: FineTuningReport, tmp_path: Path):
    """Scores, intervals, rows, cells, losses, facts, rules and configuration can be read."""
    text = Page(write_html(report, tmp_path / "report.html")).text
    for score in report.scores:
        assert score.interval is not None
        for number in (score.value, score.interval.low, score.interval.high):
            assert f"{number:.3f}" in text
        assert f"{score.rows}" in text
        assert score.name in text
        assert score.note in text
    for sentence in (
        report.title,
        report.summary,
        report.config.strip(),
        report.examples.rule,
        "95 % interval 0.911 to 0.959",
        "TF-IDF + logistic regression scores 0.968, 0.031 above the fine-tuned model; "
        "the intervals overlap.",
        "Last train loss 0.625 at step 3, last held-out loss 0.875 at step 4.",
        "95 %, bootstrap (multinomial percentile), 1,000 resamples of the rows, seed 7.",
        "Seed 17",
        "Training time 2 min 31 s",
        "19 95.0 % ✓",
        "1 5.0 %",
    ):
        assert sentence in text
    for example in report.examples.items:
        assert f"row {example.row}" in text
        assert example.prompt in text
    assert text.count("✗ wrong") == 3
    assert text.count("✓ right") == 17


def test_answers_that_are_no_label_get_a_column_and_no_row(
    report: FineTuningReport, tmp_path: Path
):
    """A class that only predictions have comes last among the columns."""
    matrix = ConfusionMatrix(["b", "z", "b"], ["b", "a", "a"])
    shown = dataclasses.replace(report, confusions={"Three rows": matrix})
    page = write_html(shown, tmp_path / "report.html").read_text("utf-8")
    table = page[page.index("<caption>Three rows") :].partition("</table>")[0]
    assert re.findall(r'<th scope="col" class="number"><bdi>(\w)', table) == ["b", "z", "a"]
    assert re.findall(r'<th scope="row"><bdi>(\w)', table) == ["b", "z"]
    assert re.findall(r"<b>(\d)</b>", table) == ["1", "0", "1", "0", "0", "1"]


def test_text_from_data_is_inert_and_visible(report: FineTuningReport, tmp_path: Path):
    """Markup stays text, and what cannot be seen is spelled out, wherever the text stands."""
    row = Example(row=1, prompt=HOSTILE, prediction=HOSTILE, reference=HOSTILE)
    hostile = dataclasses.replace(
        report,
        title=HOSTILE,
        summary=HOSTILE,
        metric=HOSTILE,
        before=dataclasses.replace(report.before, name=HOSTILE, note=HOSTILE),
        baselines=[Score(name=HOSTILE, value=0.5, rows=1)],
        confusions={HOSTILE: ConfusionMatrix([HOSTILE, "a"], ["a", HOSTILE])},
        examples=Examples(items=[row], rule=HOSTILE),
        facts={HOSTILE: HOSTILE},
        config=HOSTILE,
    )
    page = Page(write_html(hostile, tmp_path / "hostile.html"))
    plain = Page(write_html(report, tmp_path / "plain.html"))
    assert page.tags.keys() == plain.tags.keys()
    assert page.tags["svg"] == page.tags["style"] + 1 == 2
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.source)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }} $x$" in page.text
    for spelled in (r"\x00", r"\x1b", r"\ud800", r"\u202e", "مرحبا 日本 🙂"):
        assert spelled in page.text


def test_same_report_gives_same_bytes(report: FineTuningReport, tmp_path: Path):
    """No date, no random id and no setting of the user's reaches the page."""
    import matplotlib

    first = write_html(report, tmp_path / "first.html")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        second = write_html(report, tmp_path / "second.html")
    assert first.read_bytes() == second.read_bytes()
    assert matplotlib.rcParams["svg.hashsalt"] is None


def test_a_report_of_two_scores_is_enough(tmp_path: Path):
    """Without history, intervals, matrices, examples and facts the page has what remains."""
    report = FineTuningReport(
        title="Bare",
        before=Score(name="before", value=0.0, rows=1),
        after=Score(name="after", value=1.0, rows=2),
    )
    page = Page(write_html(report, tmp_path / "report.html"))
    assert "No loss was recorded." in page.text
    assert page.tags["svg"] == 1
    assert not {"Confusion", "Examples", "Run", "Configuration"} & set(page.text.split())


@pytest.mark.parametrize("missing", ["loss", "eval_loss"])
def test_one_curve_alone(report: FineTuningReport, tmp_path: Path, missing: str):
    """A history without held-out or without training losses draws the curve that it has."""
    history = [
        {key: value for key, value in record.items() if key != missing} for record in report.history
    ]
    page = Page(write_html(dataclasses.replace(report, history=history), tmp_path / "report.html"))
    assert page.tags["svg"] == 2
    assert ("Last train loss" in page.text) == (missing == "eval_loss")
    assert ("ast held-out loss" in page.text) == (missing == "loss")


def test_missing_matplotlib_says_what_to_install(
    report: FineTuningReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without the extra the error has the command, and no file is touched."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'modelops-jax\[report\]'"):
        write_html(report, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_page(
    report: FineTuningReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A crash before the rename leaves the page that was there, and nothing beside it."""
    path = tmp_path / "report.html"
    path.write_text("the old page")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_html(report, path)
    assert path.read_text() == "the old page"
    assert list(tmp_path.iterdir()) == [path]


def test_path_comes_back_absolute(
    report: FineTuningReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What a recipe prints can be opened from any folder."""
    monkeypatch.chdir(tmp_path)
    assert write_html(report, "report.html") == tmp_path / "report.html"
