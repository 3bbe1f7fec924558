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


GREY = np.arange(48, dtype=np.float32).reshape(4, 4, 3) * 5


@pytest.mark.parametrize(("image", "words"), [
    (GREY / 255, "scaled to 0..1: multiply it by 255"), ((GREY * 257).astype(np.uint16), "more than 8 bits"),
    (GREY - 120, "lost its mean"), (np.where(GREY > 9, GREY, np.nan), "no numbers"), (GREY, ""), (0 * GREY, ""),
    ((GREY > 9).astype(np.uint8), "")])  # fmt: skip
def test_values_that_are_no_grey_levels(image, words, caplog):
    config = Config()
    config.IMAGE_MIN_DIM, config.IMAGE_MAX_DIM = 64, 64
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that are none
        mold_inputs([GREY, image, image], config)
    assert len(caplog.records) == bool(words) and (words in caplog.text)
    assert "images[1] has" in caplog.text or not words
    caplog.clear()
    # Who learned on pictures from 0 to 1 says so by the mean.
    config.MEAN_PIXEL = np.array([0.5, 0.5, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mold_inputs([image], config)
    assert not caplog.records
