"""TensorFlow with oneDNN's kernels, which it takes by default on newer processors and here on any."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

_TRAIN_AND_DETECT = """
import numpy as np
from mrcnn import MaskRCNN
from tests.small import SIDE, SmallConfig, SmallDataset

class Empty(SmallDataset):
    def load_mask(self, image_id):
        return np.zeros((SIDE, SIDE, 0), bool), np.zeros(0, np.int32)

config = SmallConfig()
config.KEEP_EMPTY_IMAGES = True
model = MaskRCNN("training", config, {folder!r})
logs = model.train(Empty(), None, 1e-3, epochs=1, layers="all", verbose=0).history
assert np.isfinite(logs["loss"][0]) and logs["mrcnn_mask_loss"] == [0], logs
config.DETECTION_MIN_CONFIDENCE = 0.9999
found = model.inference_twin().detect([np.zeros((SIDE, SIDE, 3), np.uint8)])[0]
assert found["masks"].shape == (SIDE, SIDE, 0), found["masks"].shape
print("all is well")
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="these are kernels of TensorFlow")
def test_pictures_without_objects(tmp_path):
    """Its convolution of an empty batch gives a wrong shape: the mask head must never see one."""
    done = subprocess.run(
        [sys.executable, "-c", _TRAIN_AND_DETECT.format(folder=str(tmp_path))],
        cwd=Path(__file__).resolve().parents[2], env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "all is well" in done.stdout, done.stderr[-2000:]
