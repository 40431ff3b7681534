"""The rows that ship with the project are what their description says."""

from collections import Counter
from pathlib import Path

from modelops_jax.data import Dataset

FOLDER = Path(__file__).parents[2] / "training" / "data" / "spam"


def test_spam_rows():
    """900 training and 400 test rows, labelled as described, without a mail in both."""
    train = Dataset.from_file(FOLDER / "train.jsonl")
    test = Dataset.from_file(FOLDER / "test.jsonl")
    assert Counter(row["completion"] for row in train) == {"spam": 400, "ham": 500}
    assert Counter(row["completion"] for row in test) == {"spam": 200, "ham": 200}
    assert not {row["prompt"] for row in train} & {row["prompt"] for row in test}


def test_spam_rows_round_trip(tmp_path: Path):
    """Written again, the files are the same byte for byte."""
    for name in ("train.jsonl", "test.jsonl"):
        Dataset.from_file(FOLDER / name).to_jsonl(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()
