"""Fixtures of the whole suite, doctests included."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture(scope="session")
def _numbered_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Empty folders, one after the other; `mktemp` would look through all earlier ones."""
    parent = tmp_path_factory.mktemp("tests")

    def folders() -> Iterator[Path]:
        for number in itertools.count():
            folder = parent / str(number)
            folder.mkdir()
            yield folder

    return folders()


@pytest.fixture(autouse=True)
def _own_folders(_numbered_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch):
    """Run every test in an empty folder, with an empty home for jobs and aliases."""
    monkeypatch.chdir(next(_numbered_folders))
    monkeypatch.setenv("MODELOPS_HOME", str(next(_numbered_folders)))


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


# What trains and generates compiles large programs for small work, and evaluations the programs of
# metrics. Metrics themselves are not among these: how exact they are may depend on how they are
# compiled. Their laws hold ours against ours, and are.
LIGHTLY_COMPILED = {"cli", "evaluation", "jobs", "models", "recipes", "reports", "training"}
LIGHT_FILES = {"README.md", "test_metric_laws.py"}


def is_light(path: Path) -> bool:
    """Whether the tests of a file spend little on machine code."""
    return path.name in LIGHT_FILES or path.parent.name in LIGHTLY_COMPILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lightly compiled files go last, so that few programs are compiled in both ways."""
    items.sort(key=lambda item: is_light(item.path))


@pytest.fixture(scope="module", autouse=True)
def _light_compilation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Spend less on machine code where tests mostly wait for it; child processes do the same.

    The tests marked `model` are compiled as users compile.
    """
    light = is_light(request.path) and request.config.option.markexpr != "model"
    if light == jax.config.read("jax_disable_most_optimizations"):
        yield
        return
    jax.clear_caches()  # a program may be there already, compiled in the other way
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", str(int(light)))
        jax.config.update("jax_disable_most_optimizations", light)
        yield
