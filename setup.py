"""Installs `mrcnn`."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

HERE = Path(__file__).parent
# Python reads it at every start: it lets scripts import imgaug, which numpy 2 broke, before they import mrcnn.
STARTUP_FILE = "mrcnn-imgaug.pth"
STARTUP_LINE = (
    "import importlib.util as u; s = u.find_spec('mrcnn'); "
    "p = s and s.submodule_search_locations and s.submodule_search_locations[0] + '/data/imgaug_compat.py'; "
    "exec('try:\\n m = {\"__name__\": \"mrcnn_imgaug\"}; exec(open(p).read(), m); m[\"install_numpy_aliases\"]()\\n"
    "except Exception: pass')\n"
)


class BuildWithStartupFile(build_py):
    """Puts the startup file beside the package."""

    def run(self):
        super().run()
        if not self.editable_mode:
            Path(self.build_lib, STARTUP_FILE).write_text(STARTUP_LINE)


class EditableWithStartupFile(editable_wheel):
    """The same for `pip install -e`."""

    def _run_build_commands(self, dist_name, unpacked_wheel, build_lib, tmp_dir):
        Path(unpacked_wheel, STARTUP_FILE).write_text(STARTUP_LINE)
        return super()._run_build_commands(dist_name, unpacked_wheel, build_lib, tmp_dir)


setup(
    name="mrcnn",
    version="0.1.0",
    description="Mask R-CNN for Keras 3: every object in a picture, its class, its box, its pixels",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["mrcnn", "mrcnn.*"]),
    python_requires=">=3.10",
    install_requires=(HERE / "requirements.txt").read_text(encoding="utf-8").splitlines(),
    extras_require={
        "test": [
            "ai-edge-litert", "hypothesis", "ipykernel", "jax", "nbclient", "nbformat", "onnx", "onnxruntime",
            "openvino", "pytest-xdist", "pyyaml", "ruff", "safetensors", "tf2onnx",
        ],
    },
    cmdclass={"build_py": BuildWithStartupFile, "editable_wheel": EditableWithStartupFile},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
