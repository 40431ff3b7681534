"""Peak memory of `modelops evaluate`, in processes of its own: it does not grow with the file."""

import json
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import resource, sys
from modelops_jax.cli import main
assert main(["evaluate", *sys.argv[1:], "--format", "json"]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
FEW, MANY = 200_000, 1_000_000
# Of the 80 MB or more by which each grew when it held its rows.
MEGABYTES = 32


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of the same rows, of which one has five times as many."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    found = []
    for rows in (FEW, MANY):
        true = rng.integers(0, 3, rows)
        wrong = rng.random((2, rows)) < 0.2
        labels = np.where(wrong, rng.integers(0, 3, (2, rows)), true)
        numbers = rng.normal(size=(3, rows)).round(4)
        columns = [true, *labels, *numbers, np.arange(rows) % 7]
        path = folder / f"{rows}.csv"
        lines = np.column_stack([column.astype(str) for column in columns]).tolist()
        head = "label,first,second,measured,one,two,lang\n"
        path.write_text(head + "\n".join(map(",".join, lines)) + "\n")
        found.append(path)
    return found


@pytest.mark.faults
@pytest.mark.parametrize(
    "asked",
    [
        "--true label --pred first --slice lang --ci 0.9",
        "--task regression --true measured --pred one --slice lang",
        "--task regression --true measured --pred one --ci 0.9",
    ],
)
def test_memory_does_not_grow_with_the_file(files, asked):
    peaks = []
    for file in files:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, file, *asked.split()], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        peaks.append(int(done.stderr.splitlines()[-1]) / 1024)
    print(asked, [round(peak) for peak in peaks])
    assert peaks[1] - peaks[0] < MEGABYTES
