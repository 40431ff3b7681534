"""Fixtures of the whole suite, doctests included."""

import contextlib
import functools
import itertools
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jax
import pytest
from jax._src import compiler
from jax.experimental.compilation_cache import compilation_cache

# The same examples every time, and none that fails because the machine is busy.
hypothesis.settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")


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


# What trains and generates compiles large programs for small work; evaluations and examples compile
# the programs of metrics. The tests of metrics are not among these: how exact they are may depend
# on how they are compiled. Their laws and what is ignored hold ours against ours, and are; so are
# intervals, whose noise is larger than any rounding. An installed package is compiled as users do,
# and so is a file of each of the large rooms.
LIGHTLY_COMPILED = {"cli", "evaluation", "jobs", "models", "recipes", "reports", "training"}
LIGHT_FILES = {
    *("README.md", "fine-tuning.md"),
    *("test_metric_laws.py", "test_ignored_labels.py", "test_paired_differences.py"),
    *("test_interval_coverage.py", "test_interval_methods.py", "test_metric_intervals.py"),
}
COMPILED_AS_USERS_DO = {"test_decoder.py", "test_fit.py", "test_model_evaluator.py"}
# One module of machine code for a program, and by XLA's older emitters: a module for each of its
# fusions takes twice as long to compile.
LIGHT_OPTIONS = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


def is_light(path: Path) -> bool:
    """Whether the tests of a file spend little on machine code."""
    if path.name in COMPILED_AS_USERS_DO:
        return False
    is_example = path.is_relative_to(Path(__file__).parent / "modelops_jax")
    return is_example or path.name in LIGHT_FILES or path.parent.name in LIGHTLY_COMPILED


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist keep the order below: by itself it gives files of many tests out first."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lightly compiled files go last, so that few programs are compiled in both ways."""
    items.sort(key=lambda item: is_light(item.path))


@pytest.fixture
def files_of_at_most() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """A disk that is full: the kernel refuses to write more than so many bytes to a file."""

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@functools.cache
def light_options() -> dict[str, Any]:
    """Those of `LIGHT_OPTIONS` that this version of XLA has."""

    def is_known(name: str) -> bool:
        try:
            jax.jit(lambda: 0, compiler_options={name: LIGHT_OPTIONS[name]}).lower().compile()
        except jax.errors.JaxRuntimeError:
            return False
        return True

    return {name: LIGHT_OPTIONS[name] for name in filter(is_known, LIGHT_OPTIONS)}


def compile_lightly(patch: pytest.MonkeyPatch) -> None:
    """Compile all programs with the light options; child processes do the same."""
    options = light_options()  # and XLA has read its flags, so that those below are for children
    flags = [f"--{name}={str(value).lower()}" for name, value in options.items()]
    patch.setenv("XLA_FLAGS", " ".join([os.environ.get("XLA_FLAGS", ""), *flags]))
    patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    options_of = compiler.get_compile_options

    # JAX takes such options for one function only.
    def get_compile_options(
        *given: Any, env_options_overrides: dict[str, Any] | None = None, **named: Any
    ) -> Any:
        own = options | (env_options_overrides or {})
        return options_of(*given, env_options_overrides=own, **named)

    patch.setattr(compiler, "get_compile_options", get_compile_options)


@pytest.fixture(scope="session")
def _compiler() -> Iterator[pytest.MonkeyPatch]:
    """What of the compiler is another way, from one module to the next."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module", autouse=True)
def _light_compilation(request: pytest.FixtureRequest, _compiler: pytest.MonkeyPatch) -> None:
    """Spend less on machine code where tests mostly wait for it; child processes do the same.

    The tests marked `model` are compiled as users compile.
    """
    light = is_light(request.path) and request.config.option.markexpr != "model"
    if light == jax.config.read("jax_disable_most_optimizations"):
        return
    jax.clear_caches()  # a program may be there already, compiled in the other way
    _compiler.undo()
    if light:
        compile_lightly(_compiler)
    jax.config.update("jax_disable_most_optimizations", light)
