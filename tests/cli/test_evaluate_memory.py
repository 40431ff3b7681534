"""Peak memory of `modelops evaluate`, in processes of its own: it does not grow with the file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import re, sys
from pathlib import Path
from modelops_jax.cli import main
assert main(["evaluate", *sys.argv[1:], "--format", "json"]) == 0
# The peak of getrusage would begin at that of the process that started this one.
peak = re.search(r"VmHWM:\\s*([0-9]+) kB", Path("/proc/self/status").read_text())
print(peak[1], file=sys.stderr)
"""
ROWS, TIMES = 200_000, 10
# Runs of one file differ by up to 45 MB; held rows are 180 MB or more of the larger file.
MEGABYTES = 90


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of the same rows, of which one has them ten times."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, ROWS)
    wrong = rng.random(ROWS) < 0.2
    labels = np.where(wrong, rng.integers(0, 3, ROWS), true)
    columns = [true, labels, *rng.normal(size=(2, ROWS)).round(4), np.arange(ROWS) % 7]
    columns += [rng.random(ROWS).round(3), rng.integers(0, 5_000, ROWS)]
    lines = np.column_stack([column.astype(str) for column in columns]).tolist()
    body = "\n".join(map(",".join, lines)) + "\n"
    found = [folder / "few.csv", folder / "many.csv"]
    for path, times in zip(found, (1, TIMES), strict=True):
        path.write_text("label,said,measured,number,lang,weight,user\n" + times * body)
    return found


@pytest.mark.faults
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize(
    "asked",
    [
        "--true label --pred said --slice lang --ci 0.9",
        "--task regression --true measured --pred number --slice lang",
        "--task regression --true measured --pred number --ci 0.9 --resamples 20",
        "--task regression --true measured --pred number --slice lang --ci 0.9 --resamples 20",
        "--true label --pred said --slice lang --weight weight --ci 0.9 --resamples 20",
        "--true label --pred said --pred lang",
        "--task regression --true measured --pred number --pred lang --resamples 20",
        "--true label --pred said --weight weight --ci 0.9 --resamples 20",
        "--true label --pred said --pred lang --weight weight --resamples 20",
        "--true label --pred said --pred lang --group user --resamples 20",
        "--true label --pred said --group user --ci 0.9 --resamples 20",
        "--task regression --true measured --pred number --group user --ci 0.9 --resamples 20",
        "--task regression --true measured --pred number --pred lang --weight weight --resamples 9",
        "--task regression --true measured --pred number --pred lang --group user --resamples 20",
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
