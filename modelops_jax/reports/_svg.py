"""A matplotlib figure as an inline SVG element that takes its colours and font from the page."""

import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ._text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What a plot may paint with. The page sets `--plot-<name>` for light and dark; the value here
# is what shows where a style sheet does not reach.
INK = {
    "text": "#1c2127",
    "muted": "#5b6570",
    "grid": "#d9dde2",
    "accent": "#0b6e8a",
    "other": "#b4540a",
}
_BY_VALUE = {value: name for name, value in INK.items()}
_COLOUR = re.compile("|".join(INK.values()))
_FAMILY = re.compile(r"font-family: [^;]+;? ?")
_TARGET = re.compile(r"(?<=#)[\w.-]+")


def inline_svg(
    draw: Callable[["Figure"], None],
    *,
    name: str,
    size: tuple[int, int],
    title: str,
    description: str,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Draw a figure and return it as one `<svg>` element for an HTML page.

    The same drawing gives the same bytes: ids come from a fixed salt, the user's matplotlib
    settings are set aside, and no date is written. Text stays text, in the page's font.

    Args:
        draw: paints on an empty figure, with the colours of `INK` only.
        name: prefix of every id, unique on the page.
        size: width and height in CSS pixels.
        title: what a screen reader announces.
        description: what the picture shows, in words.
        labels: what to print in place of a text that `draw` wrote. Text from data goes this
            way, because matplotlib would measure it and warn about glyphs its own font lacks.

    Returns:
        The element, without scripts, styles, references to elsewhere or XML namespaces.

    Raises:
        ModuleNotFoundError: without matplotlib, with the command that installs it.
    """
    try:
        from matplotlib import style
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plots in a report need matplotlib; install it with: "
            "pip install 'modelops-jax[report]'",
            name=error.name,
        ) from error
    settings = {
        "font.size": 14,
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "text.parse_math": False,
        "axes.facecolor": "none",
        "axes.edgecolor": INK["grid"],
        "axes.labelcolor": INK["muted"],
        "axes.spines.right": False,
        "axes.spines.top": False,
        "grid.color": INK["grid"],
        "text.color": INK["text"],
        "xtick.color": INK["muted"],
        "ytick.color": INK["muted"],
    }
    with style.context(["default", settings]):
        # One point at 72 dots per inch is one CSS pixel.
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=72, frameon=False)
        draw(figure)
        buffer = io.BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)
    root = ElementTree.fromstring(buffer.getvalue())
    _rewrite(root, name, labels or {})
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "class": "plot",
        "role": "img",
        "aria-labelledby": f"{name}-title",
        "aria-describedby": f"{name}-desc",
    }
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, id=f"{name}-{tag}")
        element.text = printable(text)
        root.insert(position, element)
    return ElementTree.tostring(root, encoding="unicode")


def _rewrite(root: ElementTree.Element, name: str, labels: Mapping[str, str]) -> None:
    """Make ids unique to the page, colours variables, fonts the page's; drop namespaces."""
    for element in root.iter():
        # A `style` element applies to the whole page, wherever it stands.
        for child in [child for child in element if _local(child.tag) in ("style", "metadata")]:
            element.remove(child)
    used = set()
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(key): value for key, value in element.attrib.items()}
        if element.tag == "text" and element.text:
            element.text = printable(labels.get(element.text, element.text))
        if "style" in element.attrib:
            style = _FAMILY.sub("", element.attrib["style"])
            element.attrib["style"] = _COLOUR.sub(_variable, style)
        for key in {"href", "clip-path"} & element.attrib.keys():
            used.update(_TARGET.findall(element.attrib[key]))
            element.attrib[key] = _TARGET.sub(rf"{name}-\g<0>", element.attrib[key])
    for element in root.iter():
        identifier = element.attrib.pop("id", None)
        if identifier in used:
            element.attrib["id"] = f"{name}-{identifier}"


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _variable(match: re.Match[str]) -> str:
    return f"var(--plot-{_BY_VALUE[match[0]]}, {match[0]})"
