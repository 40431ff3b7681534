"""A text on its way to a tokenizer."""

from typing import NamedTuple


class TextPiece(NamedTuple):
    """A text to tokenize; the fields are the arguments of `Tokenizer.encode`."""

    text: str
    after: str = ""
    plain: bool = False
    add_special_tokens: bool = False


def check_text(text: str) -> None:
    """Refuse what no tokenizer takes.

    Raises:
        TypeError: It is no string.
        ValueError: It has a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected a string to tokenize, found {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text[{error.start}] is the lone surrogate {text[error.start]!r}; "
            "it is half of a character and cannot be tokenized"
        ) from error
