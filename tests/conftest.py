"""Fixtures of the whole suite."""

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Keep every test's jobs out of the user's data folder."""
    folder = tmp_path_factory.mktemp("modelops-home")
    monkeypatch.setenv("MODELOPS_HOME", str(folder))
    return folder
