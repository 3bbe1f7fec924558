"""Detections: the peer's numbers, a plain restatement, nothing to detect."""

import numpy as np
import pytest
from keras import ops

from mrcnn.layers.detection import DetectionLayer
from tests.harness import check_layer, input_gradients
from tests.oracle.detection import refine

STD_DEV = np.array([0.1, 0.1, 0.2, 0.2])
WINDOW = np.array([0.05, 0.0, 0.9, 1.0])


def _meta(window=WINDOW, batch=1, classes=4):
    """A window given in normalised coordinates, in an image of 1001 pixels."""
    meta = np.zeros((batch, 12 + classes), "float32")
    meta[:, 4:6] = 1001
    meta[:, 7:11] = window * 1000 + np.array([0, 0, 1, 1])
    return meta


def _inputs(batch=2, count=50, classes=4, dtype="float32"):
    generator = np.random.default_rng(0)
    corners = np.sort(generator.uniform(0, 1, (batch, count, 2, 2)), axis=2).reshape(batch, count, 4)
    logits = generator.normal(0, 2, (batch, count, classes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    deltas = generator.normal(0, 0.5, (batch, count, classes, 4))
    return [*(array.astype(dtype) for array in (corners, probs, deltas)), _meta(batch=batch)]


@pytest.mark.jax
def test_like_the_peer(golden):
    pure = np.load(golden / "pure.npz")
    inputs = [pure[f"refine/{name}"][None] for name in ("rois", "probs", "deltas")]
    expected = pure["refine/detections"]
    layer = DetectionLayer(len(expected), 0.5, 0.3)
    detections = ops.convert_to_numpy(layer([*inputs, _meta(pure["refine/window"])]))
    np.testing.assert_allclose(detections[0], expected, atol=1e-6)


@pytest.mark.jax
def test_contract():
    (detections,) = check_layer(DetectionLayer(12, 0.5, 0.3), _inputs())
    assert detections.shape == (2, 12, 6)


@pytest.mark.parametrize("min_confidence, threshold", [(0.0, 0.3), (0.6, 0.5), (0.9, 0.1)])
def test_like_the_oracle(min_confidence, threshold):
    inputs = _inputs()
    detections = ops.convert_to_numpy(DetectionLayer(12, min_confidence, threshold)(inputs))
    for image in range(2):
        rois, probs, deltas = (array[image] for array in inputs[:3])
        expected = refine(rois, probs, deltas, WINDOW, STD_DEV, 12, min_confidence, threshold)
        np.testing.assert_allclose(detections[image, : len(expected)], expected, atol=1e-6)
        assert not detections[image, len(expected) :].any()


def test_growth_of_boxes_is_limited():
    rois, probs, deltas, meta = _inputs(1)
    deltas[..., 2:] = np.abs(deltas[..., 2:]) + 8
    limited = ops.convert_to_numpy(DetectionLayer(50, 0.0, 0.5, log_limit=1.0)([rois, probs, deltas, meta]))
    deltas[..., 2:] = 1.0 / 0.2
    expected = ops.convert_to_numpy(DetectionLayer(50, 0.0, 0.5)([rois, probs, deltas, meta]))
    np.testing.assert_allclose(limited, expected, atol=1e-6)


@pytest.mark.jax
def test_nothing_to_detect():
    rois, probs, deltas, meta = _inputs()
    probs[:] = np.array([0.7, 0.1, 0.1, 0.1], "float32")
    detections = DetectionLayer(12, 0.0, 0.3)([rois, probs, deltas, meta])
    assert not ops.convert_to_numpy(detections).any()


def test_more_room_than_proposals():
    rois, probs, deltas, meta = _inputs(count=3)
    detections = ops.convert_to_numpy(DetectionLayer(12, 0.0, 1.0)([rois, probs, deltas, meta]))
    assert detections.shape == (2, 12, 6) and not detections[:, 3:].any()


def test_each_image_has_its_window():
    rois, probs, deltas, meta = _inputs()
    meta[1] = _meta(np.array([0.2, 0.3, 0.4, 0.5]))[0]
    boxes = ops.convert_to_numpy(DetectionLayer(50, 0.0, 1.0)([rois, probs, deltas, meta]))[1]
    boxes = boxes[boxes[:, 5] > 0, :4]
    assert (boxes >= np.array([0.2, 0.3, 0.2, 0.3]) - 1e-6).all()
    assert (boxes <= np.array([0.4, 0.5, 0.4, 0.5]) + 1e-6).all()


def test_the_first_of_equal_classes_and_of_equal_scores():
    box = np.array([0.1, 0.1, 0.5, 0.5], "float32")
    probs = np.array([[0.1, 0.45, 0.45, 0.0]] * 2, "float32")
    inputs = [np.tile(box, (1, 2, 1)), probs[None], np.zeros((1, 2, 4, 4), "float32"), _meta()]
    inputs[2][0, 1] = 0.1
    detections = ops.convert_to_numpy(DetectionLayer(3, 0.0, 0.3)(inputs))[0]
    np.testing.assert_allclose(detections[0], [*box, 1, 0.45], atol=1e-6)
    assert not detections[1:].any()


def test_half_precision_inputs_give_float32():
    *half, meta = _inputs(dtype="float16")
    detections = ops.convert_to_numpy(DetectionLayer(12, 0.1, 0.3)([*half, meta]))
    full = DetectionLayer(12, 0.1, 0.3)([*(array.astype("float32") for array in half), meta])
    assert detections.dtype == np.float32
    np.testing.assert_array_equal(detections, ops.convert_to_numpy(full))


def test_no_gradient():
    assert not input_gradients(DetectionLayer(12, 0.1, 0.3), _inputs()).any()
