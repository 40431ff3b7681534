"""The page's colours can be read, in the light and in the dark."""

import itertools
import re
from importlib.resources import files

import pytest

STYLE = files("modelops_jax.reports").joinpath("templates", "page.css").read_text("utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)
INKS = ("text", "muted", "accent", "good", "bad")
GROUNDS = ("ground", "card", "wash")
# Text on these is printed in the page's main colour only.
WASHES = ("good-wash", "bad-wash")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2.2 defines it, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_enough_contrast(scheme: dict[str, str]):
    """Every ink on every ground it stands on has the 4.5 that WCAG's level AA asks of text."""
    pairs = [*itertools.product(INKS, GROUNDS), *itertools.product(["text"], WASHES)]
    low = {pair: contrast(*(scheme[name] for name in pair)) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}


def test_both_schemes_name_the_same_colours():
    """A colour of one scheme that the other forgets would stay light in the dark."""
    assert LIGHT.keys() == DARK.keys()
