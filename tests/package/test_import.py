"""`import modelops_jax` costs little, and the list of public names is true."""

import ast
import subprocess
import sys
from pathlib import Path

import modelops_jax

PUBLIC = set(dir(modelops_jax))
STUB = Path(modelops_jax.__file__).with_suffix(".pyi")


def run(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_import_loads_no_accelerator_library():
    """The package itself imports neither jax nor numpy; using a name does."""
    code = "import sys, modelops_jax; print([m for m in ('jax', 'numpy') if m in sys.modules])"
    assert run(code) == "[]"


def test_using_the_names_compiles_nothing_and_touches_no_device():
    """Even with every room imported, no backend is started."""
    code = (
        "import modelops_jax\n"
        "for name in modelops_jax.__all__: getattr(modelops_jax, name)\n"
        "from jax._src import xla_bridge\n"
        "print(xla_bridge.backends_are_initialized())"
    )
    assert run(code) == "False"


def test_stub_names_exist():
    """Each name of the stub can be imported, and no other is offered."""
    tree = ast.parse(STUB.read_text("utf-8"))
    names = {
        str(alias.asname)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert names - {"__version__"} == PUBLIC - {"__version__"}
    for name in names:
        assert getattr(modelops_jax, name) is not None


def test_documented_names_are_public():
    """Every component of the documented system is there under its documented name."""
    documented = """
        Dataset DatasetSanitizer FineTuningJob Evaluator exact_match_metric length_ratio_metric
        ModelEvaluator create_evaluator TaskType EvaluationResult AccuracyMetric PrecisionMetric
        RecallMetric F1Metric ConfusionMatrix MSEMetric MAEMetric RMSEMetric R2Metric AUCROCMetric
        evaluation training
    """
    assert set(documented.split()) <= PUBLIC
