"""Proposals: the peer's numbers and the layer's contract."""

import keras
import numpy as np
import pytest
from keras import ops

from mrcnn.layers.proposal import ProposalLayer
from tests.harness import check_layer, input_gradients
from tests.oracle.nms import non_max_suppression


def _inputs(batch=2, count=60, dtype="float32"):
    generator = np.random.default_rng(0)
    scores = generator.uniform(0, 1, (batch, count, 1))
    probs = np.concatenate([1 - scores, scores], axis=-1).astype(dtype)
    deltas = generator.normal(0, 0.5, (batch, count, 4)).astype(dtype)
    corners = np.sort(generator.uniform(-0.1, 1.1, (count, 2, 2)), axis=1)
    return [probs, deltas, corners.reshape(count, 4).astype(dtype)]


@pytest.mark.jax
@pytest.mark.parametrize("name", ["train_rpn", "train_rpn_stopgrad"])
def test_like_the_peer(golden, name):
    data = np.load(golden / f"{name}.npz")
    probs = ops.convert_to_numpy(ops.softmax(data["out/rpn_class_logits"]))
    layer = ProposalLayer(data["out/rpn_rois"].shape[1], 0.7)
    proposals = ops.convert_to_numpy(layer([probs, data["out/rpn_bbox"], data["anchors"]]))
    np.testing.assert_allclose(proposals, data["out/rpn_rois"], atol=1e-6)


@pytest.mark.jax
def test_contract():
    (proposals,) = check_layer(ProposalLayer(20, 0.7, 50), _inputs(), [True, True, False])
    assert proposals.shape == (2, 20, 4)
    assert (proposals >= 0).all() and (proposals <= 1).all()


def test_like_the_oracle():
    probs, deltas, anchors = _inputs(1)
    proposals = ops.convert_to_numpy(ProposalLayer(60, 0.4, 30)([probs, deltas, anchors]))[0]
    order = np.argsort(-probs[0, :, 1], kind="stable")[:30]
    delta, anchor = deltas[0, order] * np.array([0.1, 0.1, 0.2, 0.2]), anchors[order].astype("float64")
    size = anchor[:, 2:] - anchor[:, :2]
    center = anchor[:, :2] + size * (0.5 + delta[:, :2])
    size = size * np.exp(delta[:, 2:])
    boxes = np.clip(np.concatenate([center - size / 2, center + size / 2], axis=1), 0, 1)
    expected = boxes[non_max_suppression(boxes, probs[0, order, 1], 0.4, 60)]
    np.testing.assert_allclose(proposals[: len(expected)], expected, atol=1e-6)
    assert len(expected) < 30 and not proposals[len(expected) :].any()


def test_growth_of_boxes_is_limited():
    probs, deltas, anchors = _inputs(1)
    deltas[..., 2:] = np.abs(deltas[..., 2:]) + 8
    limited = ops.convert_to_numpy(ProposalLayer(60, 1.0, 30, log_limit=1.0)([probs, deltas, anchors]))
    deltas[..., 2:] = 1.0 / 0.2
    expected = ops.convert_to_numpy(ProposalLayer(60, 1.0, 30)([probs, deltas, anchors]))
    np.testing.assert_allclose(limited, expected, atol=1e-6)


def test_gradient_is_stopped():
    assert not input_gradients(ProposalLayer(20, 0.7), _inputs(), [True, True, False]).any()


def test_half_precision_inputs_give_float32():
    half = _inputs(dtype="float16")
    proposals = ProposalLayer(20, 0.7)(half)
    full = ProposalLayer(20, 0.7)([array.astype("float32") for array in half])
    assert keras.backend.standardize_dtype(proposals.dtype) == "float32"
    np.testing.assert_array_equal(ops.convert_to_numpy(proposals), ops.convert_to_numpy(full))


def test_mixed_policy_leaves_boxes_in_float32():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = ProposalLayer(20, 0.7)
    finally:
        keras.config.set_dtype_policy(policy)
    expected = ProposalLayer(20, 0.7)(_inputs())
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(_inputs())), ops.convert_to_numpy(expected))


def test_fewer_anchors_than_proposals():
    proposals = ops.convert_to_numpy(ProposalLayer(20, 1.0)(_inputs(count=3)))
    assert (proposals[:, :3] != 0).any(axis=-1).all() and not proposals[:, 3:].any()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs with open sizes")
@pytest.mark.parametrize("count", [5, 60, 200])
def test_number_of_anchors_unknown_in_the_graph(count):
    symbols = [keras.Input((None, 2)), keras.Input((None, 4)), keras.Input(batch_shape=(None, 4))]
    model = keras.Model(symbols, ProposalLayer(20, 0.5, 50)(symbols))
    inputs = _inputs(count=count)
    expected = ops.convert_to_numpy(ProposalLayer(20, 0.5, 50)(inputs))
    np.testing.assert_allclose(model.predict_on_batch(inputs), expected, atol=1e-6)
