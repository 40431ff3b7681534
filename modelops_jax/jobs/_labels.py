"""The labels that a job's model is to tell."""

from typing import Any

from modelops_jax.training import TrainingConfig


def check_labels(labels: Any, config: TrainingConfig | None) -> None:
    """Refuse labels that no head can have.

    Args:
        labels: a list of names, "auto", or None for no new head.
        config: how the job trains, if that is given.

    Raises:
        TypeError: no list of strings.
        ValueError: no names, a name twice or an empty one, or labels beside preferences.
    """
    if labels is None:
        return
    if labels != "auto":
        if isinstance(labels, str):
            raise TypeError(f'labels: found {labels!r}, expected a list of names, or "auto"')
        if not all(isinstance(label, str) for label in labels):
            raise TypeError(f"labels: found {list(labels)}, expected a list of strings")
        names = {label for label in labels if label.strip()}
        if not names or len(names) < len(labels):
            raise ValueError(
                f"labels: found {list(labels)}, expected names that all differ, none empty"
            )
    if config is not None and config.dpo is not None:
        raise ValueError("labels and config.dpo are both given; keep one")
