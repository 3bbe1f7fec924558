"""Detectron2's Mask R-CNN on a ResNeXt-101, with random weights: it is built, and detects."""

import numpy as np
import pytest

from mrcnn import MaskRCNN
from mrcnn.configurations import Detectron2MaskRCNNX101


class Small(Detectron2MaskRCNNX101):
    NAME = "small"
    NUM_CLASSES = 3
    IMAGE_MIN_DIM = IMAGE_MAX_DIM = 64
    PRE_NMS_LIMIT, POST_NMS_ROIS_INFERENCE, DETECTION_MAX_INSTANCES = 50, 10, 5
    DETECTION_MIN_CONFIDENCE = 0.0


@pytest.mark.slow
def test_it_detects(tmp_path):
    model = MaskRCNN("inference", Small(), tmp_path)
    kernel = model.keras_model.get_layer("res4w_branch2b").kernel
    assert tuple(kernel.shape) == (3, 3, 1024 // 32, 1024)
    (found,) = model.detect([np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)])
    assert len(found["scores"]) and found["masks"].shape == (48, 64, len(found["scores"]))
    assert np.isfinite(found["rois"]).all()
