"""The notebooks as they are kept, and that they run."""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
# Training comes first: the others take its checkpoint.
NAMES = ("train_shapes", "demo", "inspect_data", "inspect_model", "inspect_weights", "evaluate_model")
MACHINE_PATH = re.compile(r"(?<![\w.~])/(home|root|tmp|work|mnt|opt|usr|var|Users|private)/|\b[A-Z]:\\")


def texts(notebook):
    """Sources and textual outputs of all cells."""
    for cell in notebook.cells:
        yield cell.source
        for output in cell.get("outputs", []):
            yield output.get("text", "")
            yield from (text for kind, text in output.get("data", {}).items() if kind.startswith("text/"))


def pictures(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output for output in outputs if "image/png" in output.get("data", {})]


def execute(name, folder, **settings):
    """Runs a copy of a notebook in `folder`/notebooks, so that its "../logs" is `folder`/logs.

    `settings` replace the numbers that its cells assign to these names.
    """
    (folder / "notebooks").mkdir(exist_ok=True)
    copy = Path(shutil.copy(FOLDER / f"{name}.ipynb", folder / "notebooks"))
    notebook = nbformat.read(copy, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
        for setting, value in settings.items():
            cell.source = re.sub(rf"^{setting} = \d+", f"{setting} = {value}", cell.source, flags=re.MULTILINE)
    # Against a hang only: a busy machine may need several times what an idle one does.
    client = NotebookClient(notebook, timeout=900, kernel_name="python3",
                            resources={"metadata": {"path": str(copy.parent)}})
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    return notebook


def test_all_are_known():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestFile:
    @pytest.fixture
    def notebook(self, name):
        return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)

    def test_format(self, notebook):
        nbformat.validate(notebook)
        assert notebook.metadata.kernelspec.name == "python3"

    def test_begins_with_its_purpose(self, notebook):
        first = notebook.cells[0]
        assert first.cell_type == "markdown" and re.match(r"# \w.*\n\n\w", first.source)

    def test_every_cell_is_explained(self, notebook):
        kinds = [cell.cell_type for cell in notebook.cells]
        unexplained = [i for i, kind in enumerate(kinds) if kind == "code" and kinds[i - 1] != "markdown"]
        assert not unexplained

    def test_ran_from_top_to_bottom_and_keeps_its_pictures(self, notebook):
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        outputs = [output for cell in cells for output in cell.outputs]
        assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
        assert pictures(notebook)

    def test_is_small(self, name):
        assert (FOLDER / f"{name}.ipynb").stat().st_size < 500_000

    def test_tells_nothing_of_the_machine(self, notebook):
        assert not [text for text in texts(notebook) if MACHINE_PATH.search(text)]
        assert not [cell for cell in notebook.cells if cell.metadata]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs(name, folder):
    """With a shorter training: how well shapes are learned, the sample's own test says."""
    assert pictures(execute(name, folder, EPOCHS=2, STEPS=40))
    if name == "train_shapes":
        assert list((folder / "logs").glob("shapes*/mask_rcnn_shapes_0002.h5"))


@pytest.mark.longest
@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo", "inspect_model", "evaluate_model"])
def test_runs_without_weights(name, tmp_path):
    """A short training takes their place; nothing may depend on what such a model finds."""
    assert pictures(execute(name, tmp_path, STEPS=2, COUNT=6, PICTURE=3))
    assert list((tmp_path / "logs").glob("shapes*/mask_rcnn_shapes_0001.h5"))
