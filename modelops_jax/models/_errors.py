"""What can go wrong on the way to a model."""


class UnknownModelError(ValueError):
    """No model of this name is to be had; the message lists what was tried and what there is."""


class CheckpointError(ValueError):
    """A model's files are damaged, incomplete or of a kind that is not supported."""


class ChatTemplateError(ValueError):
    """A chat template is missing, or it refuses the messages."""


class FetchError(RuntimeError):
    """A model's file cannot be had from the package registry, or is not the expected one."""


class SubstitutedModelWarning(UserWarning):
    """The name is that of a hosted model; a local preset stands in for it."""
