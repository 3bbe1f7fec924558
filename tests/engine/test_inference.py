"""From images to the graph's input and back."""

import warnings

import numpy as np
import pytest

from mrcnn.config import Config
from mrcnn.data.boxes import norm_boxes
from mrcnn.engine.inference import mold_inputs, unmold_boxes


@pytest.mark.parametrize("shape", [(2, 3000, 3), (3000, 1, 3), (1, 128, 3)])
def test_boxes_of_hair_thin_images_come_back(shape):
    config = Config()
    config.IMAGE_MIN_DIM, config.IMAGE_MAX_DIM = 64, 128
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (molded,), _, (window,) = mold_inputs([np.zeros(shape, np.uint8)], config)
        whole = norm_boxes(np.array(window), molded.shape[:2])
        boxes, class_ids, _, _ = unmold_boxes(np.array([[*whole, 1, 0.9]]), shape, molded.shape, window)
    assert boxes.tolist() == [[0, 0, *shape[:2]]] and class_ids.tolist() == [1]
