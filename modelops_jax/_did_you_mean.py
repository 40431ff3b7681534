"""What errors that name an unknown word say of the known ones."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that is most like it, as the continuation of a message; "" if none is.

    Example:
        >>> did_you_mean("f1_scor", ["f1_score", "log_loss"])
        "; did you mean 'f1_score'?"
    """
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
