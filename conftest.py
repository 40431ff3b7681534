"""Fixtures of the whole suite, doctests included."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Run every test in an empty folder, with an empty home for jobs and aliases."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path_factory.mktemp("modelops-home")))


@pytest.fixture(scope="session", autouse=True)
def _compiled_programs(tmp_path_factory: pytest.TempPathFactory):
    """Compile a program once a process, though many tests trace it anew.

    The folder is this process's own: others would read entries that are half written.
    """
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.02,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
