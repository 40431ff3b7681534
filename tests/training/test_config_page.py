"""The page of all settings is that of the configuration classes."""

import dataclasses
import pathlib

import pytest

from modelops_jax.models import LoraConfig, MeshShape
from modelops_jax.training import DataConfig, DpoLoss, GenerationConfig, RunConfig, TrainingConfig
from modelops_jax.training._config_page import page

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_up_to_date():
    """`python -m modelops_jax.training._config_page > docs/configuration.md` changes nothing."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize(
    "cls", [RunConfig, DataConfig, TrainingConfig, MeshShape, GenerationConfig, DpoLoss, LoraConfig]
)
def test_every_setting_has_a_row_with_its_meaning(cls):
    """Under the heading of its table."""
    sections = PAGE.read_text("utf-8").split("\n## ")[1:]
    heading = "Above all tables" if cls is RunConfig else cls.__name__
    section = next(text for text in sections if heading in text.splitlines()[0])
    rows = [line.split(" | ", 3) for line in section.splitlines() if line.startswith("| `")]
    assert [row[0][3:-1] for row in rows] == [field.name for field in dataclasses.fields(cls)]
    assert all(value and meaning.endswith(". |") for _, value, _, meaning in rows)


def test_defaults_are_written_as_a_file_has_them():
    """And what has to be given says so."""
    text = PAGE.read_text("utf-8")
    assert '| `targets` | a list of strings | `["*_proj"]` |' in text
    assert "| `packing` | bool | `false` |" in text
    assert "| `train` | path | **needed** |" in text
