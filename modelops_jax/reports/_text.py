"""Text from data, made safe to look at: what cannot be seen is spelled out."""

import math
import re

from markupsafe import Markup, escape

# C0 and C1 controls except tab and newline, marks that reorder or hide text, and code points
# that UTF-8 or XML cannot carry. Joiners (U+200C, U+200D) stay: scripts and emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
# The longest text a page shows in full; a report is for reading, the data stay in their file.
_LONGEST = 1500


def printable(text: str) -> str:
    r"""Spell out control characters, hidden marks and lone surrogates as escapes.

    Args:
        text: any text, from anywhere.

    Returns:
        Text that UTF-8, XML and a terminal carry safely; tab and newline stay.

    Example:
        >>> print(printable("bell\x07 and \u202eevil"))
        bell\x07 and \u202eevil
    """
    return _UNSEEN.sub(_spell, text)


def number(value: float) -> str:
    """Four decimals where they say something, else four digits; nan is "undefined".

    Example:
        >>> number(0.12345), number(1.5e-7), number(float("nan"))
        ('0.1235', '1.5e-07', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


def readable(text: str) -> Markup:
    r"""Escape text for HTML, with every unseen character spelled out and set apart.

    Text beyond 1,500 characters is cut, and the cut says how much it took.

    Args:
        text: any text, from anywhere.

    Returns:
        Safe markup.

    Example:
        >>> print(readable("<b>\x1b"))
        &lt;b&gt;<span class="unseen">\x1b</span>
    """
    shown, rest = text[:_LONGEST], len(text) - _LONGEST
    pieces, end = [], 0
    for match in _UNSEEN.finditer(shown):
        pieces += [
            escape(shown[end : match.start()]),
            Markup('<span class="unseen">{}</span>').format(_spell(match)),
        ]
        end = match.end()
    pieces.append(escape(shown[end:]))
    if rest > 0:
        pieces.append(Markup('<span class="unseen">… {:,} more characters</span>').format(rest))
    return Markup("").join(pieces)


def _spell(match: re.Match[str]) -> str:
    code = ord(match[0])
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )
