"""The warning of a value without a definition."""


class UndefinedMetricWarning(UserWarning):
    """A metric has no definition on its input; the message says which rule gave the value."""
