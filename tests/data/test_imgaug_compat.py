"""imgaug and scripts of its time on numpy 2, whichever import comes first."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

AUGMENT = """
import numpy as np
import imgaug.augmenters as iaa
image = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
moved = iaa.ElasticTransformation(alpha=30, sigma=4, seed=1).augment_image(image)
assert moved.shape == image.shape and moved.dtype == np.uint8 and (moved != image).any()
"""
COMPAT = Path(__file__).parents[2] / "mrcnn" / "data" / "imgaug_compat.py"
FIX = f"import runpy; runpy.run_path({str(COMPAT)!r})['install_numpy_aliases']()"
STARTUP_FILE = Path(sysconfig.get_path("purelib"), "mrcnn-imgaug.pth")


def run(*imports):
    done = subprocess.run([sys.executable, "-c", "\n".join(imports)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not STARTUP_FILE.exists(), reason="mrcnn is not installed here, so it has no startup file")
class TestImgaugBeforeMrcnn:
    def test_imgaug_alone(self):
        run(AUGMENT)

    def test_imgaug_first(self):
        run("import imgaug", FIX, AUGMENT)

    def test_numpy_stays_itself_until_imgaug_comes(self):
        run("import numpy as np", "assert not hasattr(np, 'sctypes')")

    def test_python_starts_without_loading_numpy(self):
        run("import sys", "assert 'numpy' not in sys.modules and 'mrcnn' not in sys.modules")


def test_imgaug_and_geometric_loaded_before_the_fix():
    table = "import numpy as np; np.sctypes = {'int': [np.int8], 'uint': [np.uint8], 'float': [np.float32]}"
    run(table, "import imgaug.augmenters", FIX, FIX, AUGMENT)


def test_mrcnn_first_and_names_that_old_scripts_use():
    run("import mrcnn", AUGMENT, "assert np.zeros(2, np.int).dtype == int and np.float is float",
        "assert np.object is object and np.zeros(1, np.bool).dtype == bool")
