"""Any text becomes markup that a browser shows and nothing more."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops_jax.reports._text import printable, readable

# `st.text` leaves lone surrogates out unless it is told to draw from every code point.
ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


@given(ANY_TEXT)
def test_markup_says_what_the_text_says(text: str):
    """A browser's reading of the markup is the text with its unseen characters spelled out."""
    markup = str(readable(text))
    assert html.unescape(re.sub("<[^>]*>", "", markup)) == printable(text)
    assert (
        re.findall("<[^>]*>", markup.replace('<span class="unseen">', "").replace("</span>", ""))
        == []
    )


@given(ANY_TEXT)
def test_printable_text_can_be_written(text: str):
    """UTF-8 carries the result, spelling it out again changes nothing, and plain text stays."""
    shown = printable(text)
    shown.encode()
    assert printable(shown) == shown
    if text.isascii() and text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    "text",
    ["tab\there", "line\nbreak", "नमस्ते", "می\u200cخواهم", "👩\u200d🚀"],  # noqa: RUF001 - Persian, not Latin
)
def test_ordinary_text_stays(text: str):
    """Layout, scripts that need joiners and joined emoji are shown as they are."""
    assert printable(text) == text


def test_long_text_is_cut_and_says_so():
    """A page stays readable whatever the data, and never hides that it cut."""
    markup = str(readable("x" * 1500 + "y" * 1234))
    assert "y" not in re.sub("<[^>]*>.*", "", markup)
    assert "1,234 more characters" in markup
