"""The wheel, installed alone in a clean environment, runs the documented snippets."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import modelops_jax

REPOSITORY = Path(modelops_jax.__file__).parents[1]

DATA_AND_EVALUATION = """
from modelops_jax import Dataset, DatasetSanitizer, Evaluator, exact_match_metric

# Create and validate a dataset
dataset = Dataset(data=[
    {"prompt": "What is 2+2?", "completion": "4"},
    {"prompt": "Capital of France?", "completion": "Paris"},
])
assert dataset.validate()

# Export to JSONL
dataset.to_jsonl("training_data.jsonl")

# Load from file
loaded = Dataset.from_file("training_data.jsonl")

# Filter dataset by content length
sanitizer = DatasetSanitizer()
filtered = sanitizer.filter_by_length(dataset, min_length=5, max_length=500)

# Evaluate model outputs
evaluator = Evaluator(metrics={"exact_match": exact_match_metric})
scores = evaluator.evaluate(
    predictions=["4", "London"],
    references=["4", "Paris"],
)
print(scores)  # {"exact_match": 0.5}
"""

FINE_TUNING = """
from modelops_jax import FineTuningJob, Dataset

# Create and run a fine-tuning job
dataset = Dataset(data=[{"prompt": "Hello", "completion": "Hi there!"}])
job = FineTuningJob(base_model="gpt-3.5-turbo", dataset=dataset)
job_id = job.run()
print(f"Job {job_id}: {job.refresh_status()}")
"""

AFTERWARDS = """
print(job.status, job.refresh_status(), job.predict(["Hello"]))
"""

EVALUATOR = """
from modelops_jax import create_evaluator, TaskType

# Use the advanced evaluation submodule
evaluator = create_evaluator(TaskType.CLASSIFICATION)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from the repository."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(REPOSITORY)], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def interpreter(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; its requirements come from this one's folder.

    A path file adds that folder without running the path files in it, so that an editable
    install of the project here is not seen there.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    variables = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars=variables))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(interpreter: Path, code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run code in the clean environment, from a folder with a home that starts empty."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [str(interpreter), "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheel_has_the_package_and_nothing_else(wheel: Path):
    """Recipes, tests and configs stay out; the typing marker and the stub go in."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "modelops_jax",
        f"modelops_jax-{modelops_jax.__version__}.dist-info",
    }
    assert {"modelops_jax/py.typed", "modelops_jax/__init__.pyi"} <= set(names)


def test_documented_data_and_evaluation_snippet(interpreter: Path, tmp_path: Path):
    """The first snippet runs as documented and prints what it says."""
    done = run(interpreter, DATA_AND_EVALUATION, tmp_path)
    assert (done.returncode, done.stdout) == (0, "{'exact_match': 0.5}\n"), done.stderr


def test_documented_fine_tuning_snippet(interpreter: Path, tmp_path: Path):
    """The second snippet trains the local stand-in, says so, and ends after its job.

    Another script finds the job completed; its model has learned the row.
    """
    done = run(interpreter, FINE_TUNING, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "gpt-3.5-turbo" in done.stderr
    assert "tiny" in done.stderr
    job_id = done.stdout.split()[1].rstrip(":")
    load = f"from modelops_jax import FineTuningJob\njob = FineTuningJob.load({job_id!r})"
    again = run(interpreter, load + AFTERWARDS, tmp_path)
    assert again.stdout == "completed completed ['Hi there!']\n", again.stderr


def test_documented_evaluator_snippet(interpreter: Path, tmp_path: Path):
    """The third snippet runs, from the installed package."""
    done = run(
        interpreter, EVALUATOR + "import modelops_jax\nprint(modelops_jax.__file__)", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert str(interpreter.parents[1]) in done.stdout
