"""The fields of `config.json` that name the classes of a model with a head for them."""

from pathlib import Path
from typing import Any

from ._config import DecoderConfig
from ._errors import CheckpointError

# What transformers takes for an absent id2label.
_DEFAULT = {"0": "LABEL_0", "1": "LABEL_1"}
_REGRESSION, _CLASSIFICATION = "regression", "single_label_classification"


def read_labels(path: Path, raw: dict[str, Any]) -> tuple[str, ...]:
    """`labels` of `DecoderConfig`.

    Args:
        path: The file, for messages.
        raw: The fields of `config.json`.

    Raises:
        CheckpointError: The names do not count from 0, or several labels of a text or several
            values are asked for.
    """
    names = raw.get("id2label") or _DEFAULT
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise CheckpointError(f"{path}: id2label is {names!r}; expected a name for each index")
    indices = [str(index) for index in range(len(names))]
    if set(indices) != set(names):
        raise CheckpointError(
            f"{path}: id2label has the indices {', '.join(names)}; expected 0 to {len(names) - 1}"
        )
    labels = tuple(names[index] for index in indices)
    problem = _problem(len(labels))
    if raw.get("problem_type") not in (None, problem):
        raise CheckpointError(
            f"{path}: problem_type is {raw['problem_type']!r}; supported for {len(labels)} "
            f"label(s): {problem!r}"
        )
    return labels


def label_fields(config: DecoderConfig, pad_id: int) -> dict[str, Any]:
    """What a model with labels adds to `config.json`.

    transformers finds the last token of a padded row by the id of the padding.
    """
    if not config.labels:
        return {}
    return {
        "id2label": {str(index): label for index, label in enumerate(config.labels)},
        "label2id": {label: index for index, label in enumerate(config.labels)},
        "problem_type": _problem(len(config.labels)),
        "pad_token_id": pad_id,
    }


def _problem(labels: int) -> str:
    return _REGRESSION if labels == 1 else _CLASSIFICATION
