"""Importing the package is light and keeps to the chosen backend."""

import subprocess
import sys

import pytest

LAZY = ["imgaug", "pycocotools", "IPython", "tensorboard"]
SCRIPT = """
import sys
import keras
before = set(sys.modules)
import mrcnn, mrcnn.model, mrcnn.utils, mrcnn.config, mrcnn.visualize, mrcnn.parallel_model, mrcnn.evaluation
print(",".join(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_import(backend):
    if backend == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(run.stdout.strip().split("\n")[-1].split(","))
    assert "mrcnn" in loaded
    assert not loaded & set(LAZY)
    assert not loaded & {"tensorflow", "jax", "torch"} - {backend}
