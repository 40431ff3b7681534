"""What errors that name an unknown word say of the known ones."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that is most like it, as the continuation of a message; "" if none is.

    Example:
        >>> did_you_mean("f1_scor", ["f1_score", "log_loss"])
        "; did you mean 'f1_score'?"
        >>> did_you_mean("mse", ["log_loss", "mean_squared_error"])
        "; did you mean 'mean_squared_error'?"
    """
    words = list(known)
    near = (
        [one for one in words if one.startswith(f"{word}_")]
        or difflib.get_close_matches(word, words, n=1)
        or [one for one in words if word and word in (_initials(one), *one.split("_"))]
    )
    return f"; did you mean {near[0]!r}?" if near else ""


def _initials(name: str) -> str:
    return "".join(part[:1] for part in name.split("_"))
