"""The ways in which scripts import the package."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FORMS = [
    "from mrcnn.config import Config",
    "from mrcnn import utils",
    "from mrcnn import visualize",
    "from mrcnn import model as modellib",
    "from mrcnn import model as modellib, utils, visualize",
    "import mrcnn.model as modellib",
    "from mrcnn.model import MaskRCNN",
    "from mrcnn.model import log",
    "from mrcnn.model import load_image_gt, mold_image",
    "from mrcnn.utils import Dataset, compute_ap, extract_bboxes",
    "from mrcnn.visualize import display_instances, display_images, random_colors",
    "from mrcnn.parallel_model import ParallelModel",
]


@pytest.mark.parametrize("form", FORMS)
def test_form(form):
    scope = {}
    exec(form, scope)
    assert len(scope) > 1


def test_submodules_as_attributes_after_import_mrcnn():
    import mrcnn
    import mrcnn.config

    assert mrcnn.model.MaskRCNN and mrcnn.utils.Dataset and mrcnn.visualize.display_instances
    assert mrcnn.config.Config is mrcnn.Config


def run_script(folder, code, **options):
    """Runs `code` as a user's script: from its own folder, which stands first in sys.path."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(code))
    run = subprocess.run([sys.executable, script.name], cwd=folder, capture_output=True, text=True, **options)
    assert run.returncode == 0, run.stderr
    return run.stdout


# The nucleus lineage imports imgaug at the top, long before us.
IMGAUG_FIRST = """
    import os
    import sys
    from imgaug import augmenters as iaa
    ROOT_DIR = os.path.abspath({root!r})
    sys.path.append(ROOT_DIR)
    import xml.etree
    import config, utils, model, dataset
    import mrcnn
    assert mrcnn.model.MaskRCNN and mrcnn.visualize
    assert config.HERE and utils.HERE and model.HERE and dataset.HERE
    assert xml.etree.ElementTree.fromstring("<a/>").tag == "a"
    print(iaa.Fliplr(0.5))
"""

IMGAUG_AFTERWARDS = """
    from mrcnn.config import Config
    from mrcnn import model as modellib, utils
    import imgaug
    import imgaug.augmenters as iaa
    print(iaa.Sequential([iaa.Fliplr(0.5), iaa.GaussianBlur(sigma=(0.0, 5.0))]))
"""


def test_a_path_object_in_sys_path(tmp_path):
    script = """
        import pathlib
        import sys
        sys.path.append(pathlib.Path("Mask_RCNN"))
        import mrcnn
        assert sys.path[-1] == "Mask_RCNN"
    """
    run_script(tmp_path, script)


def test_imgaug_before_us_beside_users_own_config_utils_model_and_dataset(tmp_path):
    for name in ("config", "utils", "model", "dataset"):
        (tmp_path / f"{name}.py").write_text("HERE = True\n")
    assert "Fliplr" in run_script(tmp_path, IMGAUG_FIRST.format(root=str(ROOT)))


def test_imgaug_after_us(tmp_path):
    assert "GaussianBlur" in run_script(tmp_path, IMGAUG_AFTERWARDS)


def test_xml_etree_is_loaded_by_utils():
    source = (ROOT / "mrcnn" / "utils.py").read_text()
    assert "import xml.etree.ElementTree" in source


def test_vendored_copy_next_to_the_script_shadows_the_installed_package(tmp_path):
    (tmp_path / "mrcnn").mkdir()
    (tmp_path / "mrcnn" / "__init__.py").write_text("print('the copy')\n")
    assert run_script(tmp_path, "import mrcnn").strip() == "the copy"


def test_samples_coco_under_both_names(monkeypatch):
    from samples.coco import coco as by_package

    monkeypatch.syspath_prepend(str(ROOT / "samples" / "coco"))
    import coco

    for module in (by_package, coco):
        assert module.CocoConfig().NUM_CLASSES == 81
        assert callable(module.CocoDataset().load_coco) and callable(module.evaluate_coco)
