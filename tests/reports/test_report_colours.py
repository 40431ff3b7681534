"""The page's colours can be read, in the light and in the dark."""

import itertools
import re
from importlib.resources import files
from typing import Any

import numpy as np
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


# Linear RGB as who lacks one of the three cones sees it: Machado, Oliveira and Fernandes 2009.
SEEN = {
    "all": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def as_lab(colour: str, seen: Any) -> np.ndarray:
    """CIE L*a*b* of a colour, of the white of sRGB."""
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(to_xyz @ np.clip(seen @ linear, 0, 1) / np.sum(to_xyz, axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("seen", SEEN)
def test_lines_are_told_apart(scheme: dict[str, str], seen: str):
    """Lines of one dash are far apart for every eye, and stand out from the card (WCAG 1.4.11)."""
    inks = ("accent", "other", "text")
    for one, other in itertools.combinations(inks, 2):
        colours = (as_lab(scheme[name], SEEN[seen]) for name in (one, other))
        assert np.linalg.norm(np.subtract(*colours)) > 20, (one, other)
    assert min(contrast(scheme[ink], scheme["card"]) for ink in inks) > 3


def test_both_schemes_name_the_same_colours():
    """A colour of one scheme that the other forgets would stay light in the dark."""
    assert LIGHT.keys() == DARK.keys()
