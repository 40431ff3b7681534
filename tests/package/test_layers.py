"""The rooms know only the rooms below them."""

import ast
from pathlib import Path

import modelops_jax

PACKAGE = Path(modelops_jax.__file__).parent
REPOSITORY = PACKAGE.parent
FLOORS = {
    "data": 1,
    "metrics": 1,
    "models": 2,
    "evaluation": 2,
    "training": 3,
    "jobs": 4,
    "reports": 4,
    "cli": 5,
}
OUTSIDE = {"training", "benchmarks", "configs", "tests"}


def imported_modules(path: Path) -> set[str]:
    """Absolute names of the modules a file imports, wherever in the file it does."""
    package = path.relative_to(REPOSITORY).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def library_files() -> list[Path]:
    """Every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def test_every_room_has_a_floor():
    """A new room must say where it stands."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert rooms <= FLOORS.keys()


def test_imports_point_down():
    """A room imports only from lower floors, never from its own or a higher one."""
    wrong = []
    for path in library_files():
        room = path.relative_to(PACKAGE).parts[0]
        for name in imported_modules(path):
            parts = name.split(".")
            if parts[0] != "modelops_jax" or len(parts) < 2 or parts[1] not in FLOORS:
                continue
            if room in FLOORS and parts[1] != room and FLOORS[parts[1]] >= FLOORS[room]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_package_never_imports_recipes_benchmarks_or_configs():
    """What a researcher copies stays outside the library."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in library_files()
        for name in imported_modules(path)
        if name.split(".")[0] in OUTSIDE
    ]
    assert not wrong


def test_rooms_are_used_through_their_public_names():
    """No room reaches into another one's private modules."""
    wrong = []
    for path in library_files():
        room = path.relative_to(PACKAGE).parts[0]
        for name in imported_modules(path):
            parts = name.split(".")
            if parts[0] == "modelops_jax" and parts[1:2] != [room] and parts[1:2] != ["_version"]:
                if any(part.startswith("_") for part in parts[2:]):
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong


def test_data_room_does_not_know_jax():
    """Data checks must run where no accelerator library is loaded."""
    names = {name for path in (PACKAGE / "data").rglob("*.py") for name in imported_modules(path)}
    assert not {name for name in names if name.split(".")[0] in {"jax", "jaxlib", "jaxtyping"}}


def test_annotations_stay_checkable():
    """`from __future__ import annotations` would switch the shape checks off silently."""
    wrong = [path for path in library_files() if "__future__" in imported_modules(path)]
    assert not wrong


def test_recipes_are_short():
    """A recipe is at most 100 lines and has no classes: the loop exists once, in the library."""
    for path in sorted((REPOSITORY / "training").glob("*.py")):
        source = path.read_text("utf-8")
        assert len(source.splitlines()) <= 100, path
        assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(ast.parse(source)))
