"""Proposals level by level: a plain restatement, and the layer's contract."""

import keras
import numpy as np
import pytest
from keras import ops

from mrcnn.configurations import TorchvisionMaskRCNN
from mrcnn.layers.level_proposals import LevelProposalLayer
from mrcnn.ops.boxes import apply_deltas, clip_boxes
from tests import golden_torchvision as peer
from tests.harness import check_layer, input_gradients
from tests.oracle.nms import non_max_suppression

LEVELS = (48, 12, 3)
BATCHED = [True, True, False, False, True, True, True, True]
LOG_LIMIT = 0.5


def _inputs(batch=2, dtype="float32"):
    """Anchors of three levels in an image of 64 x 96 pixels, of which 60 x 80 are no padding."""
    generator, count = np.random.default_rng(0), sum(LEVELS)
    logits = [generator.normal(0, 2, (batch, n, 2)).astype(dtype) for n in LEVELS]
    deltas = generator.normal(0, 0.5, (batch, count, 4)).astype(dtype)
    corners = np.sort(generator.uniform(-10, 90, (count, 2, 2)), axis=1).reshape(count, 4).astype("float32")
    meta = np.zeros((batch, 15), "float32")
    meta[:, 4:7], meta[:, 7:11] = (64, 96, 3), (0, 0, 60, 80)
    unread = np.zeros((batch, count, 2), "float32"), np.zeros((count, 4), "float32")
    return [unread[0], deltas, unread[1], corners, meta, *logits]


def _expected(inputs, image, count, threshold, limit):
    _, deltas, _, anchors, _, *logits = inputs
    boxes, scores, levels, start = [], [], [], 0
    for level, of_level in enumerate(logits):
        logit = (of_level[image, :, 1] - of_level[image, :, 0]).astype("float64")
        best = np.argsort(-logit, kind="stable")[:limit]
        delta, anchor = deltas[image, start + best].astype("float64"), anchors[start + best].astype("float64")
        size = anchor[:, 2:] - anchor[:, :2]
        center = anchor[:, :2] + size * (0.5 + delta[:, :2])
        size = size * np.exp(np.minimum(delta[:, 2:], LOG_LIMIT))
        moved = np.concatenate([center - size / 2, center + size / 2], axis=1)
        boxes.append(np.clip(moved, 0, [60, 80, 60, 80]))
        scores.append(1 / (1 + np.exp(-logit[best])))
        levels.append(np.full(len(best), level))
        start += len(logit)
    boxes, scores, levels = (np.concatenate(parts) for parts in (boxes, scores, levels))
    scores = np.where((boxes[:, 2:] - boxes[:, :2] >= 1e-3).all(1), scores, -1)
    return boxes[non_max_suppression(boxes, scores, threshold, count, levels)]


@pytest.mark.jax
@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn__synth", "d2_mask_rcnn_R_50_FPN_3x__synth"])
def test_like_torchvision_and_detectron2(golden_torchvision, name):
    """From the peers' logits and deltas to their proposals, in their order, and with their scores."""
    case, _ = peer.arrays(golden_torchvision, name)
    height, width = (int(side) for side in case["padded_size"])
    logit, deltas, anchors = (case[key] for key in ("rpn_objectness", "rpn_deltas", "anchors"))
    deltas, anchors = deltas[None][..., peer.SWAPPED], anchors[:, peer.SWAPPED]
    meta = np.zeros((1, 12), "float32")
    meta[:, 4:7], meta[:, 9:11] = (height, width, 3), case["image_sizes"]
    ends = np.cumsum([3 * -(-height // stride) * -(-width // stride) for stride in (4, 8, 16, 32, 64)])
    logits = np.split(np.stack([0 * logit, logit], axis=-1)[None], ends[:-1], axis=1)
    layer = LevelProposalLayer(len(case["proposals"]), 0.7, 300, [1, 1, 1, 1], TorchvisionMaskRCNN.BBOX_LOG_LIMIT)
    proposals = ops.convert_to_numpy(layer([logits[0], deltas, anchors, anchors, meta, *logits]))[0]
    np.testing.assert_allclose(peer.pixels(proposals, (height, width)), case["proposals"], atol=1e-3)
    # A proposal's score is that of the anchor which was moved there.
    boxes = clip_boxes(apply_deltas(anchors, deltas[0], layer.log_limit), meta[0, 7:11])
    boxes = ops.convert_to_numpy(boxes)[:, peer.SWAPPED]
    if "proposal_logits" in case:
        scores = case["proposal_logits"], logit
    else:
        scores = case["proposal_scores"], 1 / (1 + np.exp(-logit))
    every = np.ones(len(proposals), bool)
    assert peer.share_found(case["proposals"], boxes, every, (*scores, 1e-5)) == 1


@pytest.mark.jax
def test_contract():
    (proposals,) = check_layer(LevelProposalLayer(20, 0.7, 10, [1, 1, 1, 1], LOG_LIMIT), _inputs(), BATCHED)
    assert proposals.shape == (2, 20, 4)


@pytest.mark.parametrize("count, threshold, limit", [(40, 0.3, 10), (6, 0.5, 48), (63, 0.9, 5)])
def test_like_the_oracle(count, threshold, limit):
    inputs = _inputs()
    proposals = ops.convert_to_numpy(LevelProposalLayer(count, threshold, limit, [1, 1, 1, 1], LOG_LIMIT)(inputs))
    for image in range(2):
        expected = _expected(inputs, image, count, threshold, limit)
        pixels = proposals[image] * [63, 95, 63, 95] + [0, 0, 1, 1]
        np.testing.assert_allclose(pixels[: len(expected)], expected, atol=1e-4)
        assert not proposals[image, len(expected) :].any()


def test_a_level_of_unknown_size():
    """As in a graph for images of any size."""
    inputs = _inputs()
    layer = LevelProposalLayer(20, 0.7, 10, [1, 1, 1, 1])
    tensors = [
        keras.Input((None, *array.shape[2:]) if place in (0, 1, *range(5, 8)) else array.shape[1:])
        for place, array in enumerate(inputs)
    ]
    tensors[2:4] = [keras.Input(batch_shape=(None, 4)) for _ in range(2)]
    graph = keras.Model(tensors, layer(tensors))
    np.testing.assert_allclose(ops.convert_to_numpy(graph(inputs)), ops.convert_to_numpy(layer(inputs)), atol=1e-6)


def test_gradient_is_stopped():
    layer = LevelProposalLayer(20, 0.7, 10, [1, 1, 1, 1])
    assert not input_gradients(layer, _inputs(), BATCHED).any()
