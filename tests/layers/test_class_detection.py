"""Detections class by class: a plain restatement, nothing to detect, several classes of one proposal."""

import numpy as np
import pytest
from keras import ops

from mrcnn.layers.class_detection import ClassDetectionLayer
from tests.harness import check_layer, input_gradients
from tests.oracle.nms import non_max_suppression

STD_DEV = np.array([0.1, 0.1, 0.2, 0.2])
SIDES = np.array([99, 199, 99, 199])
WINDOW = [0, 0, 90, 180]


def _inputs(batch=2, count=30, classes=4, dtype="float32"):
    generator = np.random.default_rng(0)
    rois = np.sort(generator.uniform(0, 1, (batch, count, 2, 2)), axis=2).reshape(batch, count, 4)
    rois[:, -3:] = 0
    logits = generator.normal(0, 2, (batch, count, classes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    deltas = generator.normal(0, 0.5, (batch, count, classes, 4))
    meta = np.zeros((batch, 12 + classes), "float32")
    meta[:, 4:7], meta[:, 7:11] = (100, 200, 3), WINDOW
    return [*(array.astype(dtype) for array in (rois, probs, deltas)), meta]


def _expected(inputs, image, limit, confidence, threshold, log_limit):
    rois, probs, deltas, _ = (array[image].astype("float64") for array in inputs)
    rows = []
    for roi, probability, delta in zip(rois, probs, deltas, strict=True):
        box = roi * SIDES + [0, 0, 1, 1]
        for class_id in range(1, len(probability)):
            move = delta[class_id] * STD_DEV
            size = box[2:] - box[:2]
            center = box[:2] + size * (0.5 + move[:2])
            size = size * np.exp(np.minimum(move[2:], log_limit))
            moved = np.clip([*(center - size / 2), *(center + size / 2)], 0, WINDOW[2:] * 2)
            wanted = roi.any() and probability[class_id] > confidence and (moved[2:] - moved[:2] >= 0.01).all()
            rows.append([*moved, class_id, probability[class_id] if wanted else -1])
    rows = np.array(rows)
    picked = non_max_suppression(rows[:, :4], rows[:, 5], threshold, limit, rows[:, 4])
    return rows[picked]


@pytest.mark.jax
def test_contract():
    (detections,) = check_layer(ClassDetectionLayer(12, 0.1, 0.5, STD_DEV, 0.1), _inputs())
    assert detections.shape == (2, 12, 6)


@pytest.mark.parametrize("limit, confidence, threshold", [(200, 0.05, 0.5), (10, 0.2, 0.3), (50, 0.0, 0.9)])
def test_like_the_oracle(limit, confidence, threshold):
    inputs = _inputs()
    layer = ClassDetectionLayer(limit, confidence, threshold, STD_DEV, 0.05)
    detections = ops.convert_to_numpy(layer(inputs))
    for image in range(2):
        expected = _expected(inputs, image, limit, confidence, threshold, 0.05)
        found = detections[image, : len(expected)]
        np.testing.assert_allclose(found[:, :4] * SIDES + [0, 0, 1, 1], expected[:, :4], atol=2e-4)
        np.testing.assert_allclose(found[:, 4:], expected[:, 4:], atol=1e-6)
        assert not detections[image, len(expected) :].any()


def test_one_proposal_may_be_of_two_classes():
    rois, deltas = np.array([[[0.2, 0.2, 0.6, 0.6]]], "float32"), np.zeros((1, 1, 3, 4), "float32")
    probs = np.array([[[0.2, 0.45, 0.35]]], "float32")
    meta = _inputs(1)[3]
    detections = ops.convert_to_numpy(ClassDetectionLayer(4, 0.3, 0.5, STD_DEV)([rois, probs, deltas, meta]))[0]
    np.testing.assert_array_equal(detections[:, 4], [1, 2, 0, 0])


def test_nothing_is_sure_enough():
    detections = ClassDetectionLayer(5, 0.999, 0.5, STD_DEV)(_inputs())
    assert not ops.convert_to_numpy(detections).any()


def test_gradient_is_stopped():
    layer = ClassDetectionLayer(5, 0.1, 0.5, STD_DEV)
    assert not input_gradients(layer, _inputs()).any()
