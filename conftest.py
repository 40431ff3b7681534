"""Fixtures of the whole suite, doctests included."""

import pytest


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Run every test in an empty folder, with an empty home for jobs and aliases."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path_factory.mktemp("modelops-home")))
