"""The law of the house: who may import whom, and who may know what."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "mrcnn"
FLOORS = [
    {"ops", "data"},
    {"layers", "losses"},
    {"backbones", "necks", "heads"},
    {"engine", "evaluation"},
    {"visualize"},
    {"architectures"},
]
FACADES = {"model", "utils", "parallel_model"}
BACKENDS = {"tensorflow", "jax", "torch"}
# Weight files that only PyTorch can read and write.
NAMES_TORCH = PACKAGE / "engine" / "pth_files.py"
# Below every floor.
SETTINGS = {"config", "configurations"}
READS_CONFIG = {"data", "engine", "evaluation", "architectures"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else Path(parts[0]).stem


def floor(name):
    return next((i for i, rooms in enumerate(FLOORS) if name in rooms), len(FLOORS))


def imports(path):
    """`(level, module)` of every import in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((node.level, name) for name in names)


def imported_rooms(path):
    """Rooms of the package that a file imports from, by name."""
    depth = len(path.relative_to(PACKAGE).parts)
    for level, module in imports(path):
        if level == depth:
            yield module.split(".")[0]
        elif level == depth - 1 and depth == 2:
            yield room(path)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
class TestEveryFile:
    def test_imports_point_down(self, path):
        if room(path) in FACADES | {"__init__", "config"}:
            return
        for other in imported_rooms(path):
            assert other not in FACADES, f"{path} imports the facade {other}"
            if other != room(path) and other not in SETTINGS:
                assert floor(other) < floor(room(path)), f"{path} imports {other}, which does not lie below it"

    def test_backends_are_named_in_one_room(self, path):
        if path.parent.name == "backend":
            return
        named = {module.split(".")[0] for level, module in imports(path) if level == 0}
        assert named & BACKENDS == ({"torch"} if path == NAMES_TORCH else set())

    def test_imports_of_the_package_are_relative(self, path):
        assert all(module.split(".")[0] != "mrcnn" for level, module in imports(path) if level == 0)

    def test_config_stays_in_its_rooms(self, path):
        if room(path) in READS_CONFIG or room(path) in FACADES | {"__init__", "config"}:
            return
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        names |= {a.arg for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.arguments) for a in n.args}
        assert "config" not in names or room(path) == "backbones" and path.stem == "applications"

    def test_fits_in_a_head(self, path):
        assert len(path.read_text().splitlines()) <= 320


def test_torch_is_imported_only_when_one_of_its_files_is_met():
    at_import = [node for node in ast.parse(NAMES_TORCH.read_text()).body if isinstance(node, ast.Import)]
    assert "torch" not in {alias.name for node in at_import for alias in node.names}


@pytest.mark.parametrize("name", sorted(FACADES))
def test_facades_define_nothing(name):
    path = PACKAGE / f"{name}.py"
    if not path.exists():
        pytest.fail(f"{path} is part of Matterport's layout")
    tree = ast.parse(path.read_text())
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
