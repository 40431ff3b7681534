"""`--metric [KEY=]NAME[:OPTION=VALUE,...]`, read."""

import typer

from modelops_jax._metric_spec import MetricSpec, read_metric


def read_metric_option(text: str) -> MetricSpec:
    """A metric as it is written on the command line; see `read_metric`.

    Raises:
        typer.BadParameter: another form.
    """
    try:
        return read_metric(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--metric") from error
