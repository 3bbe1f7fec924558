"""RPN targets: the peer's, a plain restatement, empty, full and crowded images."""

import numpy as np
import pytest
from keras import ops

from mrcnn.layers import anchor_target
from mrcnn.layers.anchor_target import GT_CHUNK, AnchorTargetLayer, match_anchors
from mrcnn.layers.anchors import AnchorLayer
from tests.harness import check_layer, input_gradients
from tests.oracle import targets as oracle

STD_DEV = np.array([0.1, 0.1, 0.2, 0.2])
UNBATCHED = [False, True, True]


@pytest.mark.jax
def test_matches_like_torchvisions(golden_torchvision, monkeypatch):
    """Of recorded overlaps of objects with anchors: among them an object that two anchors overlap most."""
    case = np.load(golden_torchvision / "ops_boxes.npz")
    overlaps, expected = case["match_iou"], case["match_rpn"]
    # A box says which object it is; 0 is padding, which overlaps nothing.
    rows = np.concatenate([np.zeros((1, overlaps.shape[1]), "float32"), overlaps])
    monkeypatch.setattr(
        anchor_target, "iou_matrix", lambda boxes, _: ops.take(rows, ops.cast(boxes[..., 0], "int32"), axis=0)
    )
    numbers = np.arange(1, len(overlaps) + 1)
    boxes = np.repeat(numbers[None, :, None], 4, axis=2).astype("float32")
    anchors = np.zeros((overlaps.shape[1], 4), "float32")
    found = match_anchors(anchors, numbers[None].astype("int32"), boxes)
    positive, negative, gt_ids = (ops.convert_to_numpy(value)[0] for value in found)
    np.testing.assert_array_equal(np.where(positive, gt_ids, np.where(negative, -1, -2)), expected)


@pytest.fixture(scope="module")
def anchors():
    layer = AnchorLayer((8, 16, 32), (0.5, 1, 2), (8, 16, 32))
    return ops.convert_to_numpy(layer(np.zeros((1, 64, 64, 3), "float32")))


def _objects(batch=2, slots=7, seed=0):
    """Images with 3, 4, ... objects, the rest padding."""
    generator = np.random.default_rng(seed)
    corners = np.sort(generator.integers(0, 64, (batch, slots, 2, 2)), axis=2)
    corners[:, :, 1] += 4
    ids = np.where(np.arange(slots) < 3 + np.arange(batch)[:, None], 1 + np.arange(slots) % 3, 0)
    return ids.astype("int32"), (corners.reshape(batch, slots, 4) * (ids != 0)[..., None]).astype("float32")


def _targets(layer, inputs):
    return [ops.convert_to_numpy(output) for output in layer(inputs)]


@pytest.mark.jax
@pytest.mark.parametrize("name, size", [("plain", 64), ("crowd", 64), ("many", 8), ("wide", 4096)])
def test_like_the_peer(golden, name, size):
    pure = np.load(golden / "pure.npz")
    anchors, match = pure["rpn/anchors"], pure[f"rpn/{name}/match"]
    class_ids, boxes = pure[f"rpn/{name}/gt_class_ids"][None], pure["rpn/gt_boxes"][None]
    outputs = _targets(AnchorTargetLayer(size, seed=0), [anchors, class_ids, boxes])
    ids, labels, deltas = (output[0] for output in outputs)
    assert len(ids) == min(size, len(anchors))
    expected, _ = oracle.match_anchors(anchors, class_ids[0], boxes[0])
    positives, peers = ids[labels == 1], np.flatnonzero(match == 1)
    # Two anchors overlap the third object equally up to float64 rounding, by which the peer takes one.
    assert set(peers) <= set(np.flatnonzero(expected == 1)) and (expected == 1).sum() <= 6
    if name == "many":
        assert len(positives) == len(peers) == 4 and set(positives) <= set(np.flatnonzero(expected == 1))
    else:
        assert set(positives) == set(np.flatnonzero(expected == 1))
        by_anchor = dict(zip(positives, deltas[labels == 1], strict=True))
        for anchor, target in zip(peers, pure[f"rpn/{name}/bbox"], strict=False):
            np.testing.assert_allclose(by_anchor[anchor], target, atol=2e-5)
    negatives = ids[labels == 0]
    assert len(np.unique(negatives)) == len(negatives)
    assert set(negatives) <= set(np.flatnonzero(expected == -1))
    # One positive more, where there is the tie, is one negative less unless negatives are scarce.
    assert abs(len(negatives) - (match == -1).sum()) <= 1


def test_matching_like_the_oracle(anchors):
    ids, boxes = _objects(batch=3, slots=2 * GT_CHUNK + 1, seed=1)
    ids[2, 1] = -1
    outputs = match_anchors(*map(ops.convert_to_tensor, (anchors, ids, boxes)))
    positive, negative, gt_ids = map(ops.convert_to_numpy, outputs)
    for image in range(3):
        match, expected_ids = oracle.match_anchors(anchors, ids[image], boxes[image])
        np.testing.assert_array_equal(positive[image], match == 1)
        np.testing.assert_array_equal(negative[image], match == -1)
        np.testing.assert_array_equal(gt_ids[image][match == 1], expected_ids[match == 1])


@pytest.mark.jax
def test_contract(anchors):
    layer = AnchorTargetLayer(32, seed=3)
    ids, labels, deltas = check_layer(layer, [anchors, *_objects()], UNBATCHED)
    assert ids.shape == labels.shape == (2, 32) and deltas.shape == (2, 32, 4)
    assert ((labels == 1).sum(axis=1) <= 16).all()
    assert (np.diff(labels, axis=1) <= 0).all(), "positives come first, padding last"
    assert not deltas[labels != 1].any() and not ids[labels == -1].any()


def test_deltas_like_the_oracle(anchors):
    class_ids, boxes = _objects()
    ids, labels, deltas = _targets(AnchorTargetLayer(64, seed=0), [anchors, class_ids, boxes])
    for image in range(2):
        _, gt_ids = oracle.match_anchors(anchors, class_ids[image], boxes[image])
        for anchor, delta in zip(ids[image][labels[image] == 1], deltas[image], strict=False):
            expected = oracle.anchor_deltas(anchors[anchor], boxes[image, gt_ids[anchor]], STD_DEV)
            np.testing.assert_allclose(delta, expected, atol=1e-4)


@pytest.mark.jax
def test_an_empty_image_gives_negatives_alone(anchors):
    inputs = [anchors, np.zeros((2, 5), "int32"), np.zeros((2, 5, 4), "float32")]
    ids, labels, deltas = check_layer(AnchorTargetLayer(32, seed=0), inputs, UNBATCHED)
    assert (labels == 0).all() and not deltas.any()
    assert all(len(np.unique(row)) == 32 for row in ids)


def test_a_full_image_has_half_positives(anchors):
    """An object on every anchor of one level: more positives than there is room for."""
    boxes = anchors[None, :60]
    _, labels, _ = _targets(AnchorTargetLayer(16, seed=0), [anchors, np.ones((1, 60), "int32"), boxes])
    assert labels[0].tolist() == [1] * 8 + [0] * 8


@pytest.mark.jax
def test_a_crowd_is_neither_positive_nor_negative(anchors):
    boxes = np.array([[[0, 0, 32, 64], [40, 40, 60, 60]]], "float32")
    ids, labels, _ = _targets(AnchorTargetLayer(64, seed=0), [anchors, np.array([[-1, 2]]), boxes])
    touched = anchors[ids[0][labels[0] == 0]]
    assert not ((touched[:, 0] < 31) & (touched[:, 2] > 1) & (touched[:, 3] > 1) & (touched[:, 1] < 63)).any()
    assert all(anchors[i][2] > 40 for i in ids[0][labels[0] == 1])


def test_an_object_that_no_anchor_touches_claims_none(anchors):
    boxes = np.array([[[500, 500, 510, 510]]], "float32")
    _, labels, _ = _targets(AnchorTargetLayer(16, seed=0), [anchors, np.array([[1]]), boxes])
    assert (labels == 0).all()


def test_fewer_anchors_than_asked_for(anchors):
    ids, labels, _ = check_layer(AnchorTargetLayer(500, seed=0), [anchors[:9], *_objects()], UNBATCHED)
    assert labels.shape == (2, 9) and (labels != 1).any()


def test_the_draw_follows_the_seed_and_moves_on(anchors):
    inputs = [anchors, *_objects()]
    layer, twin = AnchorTargetLayer(16, seed=5), AnchorTargetLayer(16, seed=5)
    first, second = _targets(layer, inputs)[0], _targets(layer, inputs)[0]
    np.testing.assert_array_equal(first, _targets(twin, inputs)[0])
    assert (first != second).any()
    assert (first != _targets(AnchorTargetLayer(16, seed=6), inputs)[0]).any()


def test_no_gradient(anchors):
    assert not input_gradients(AnchorTargetLayer(16, seed=0), [anchors, *_objects()], UNBATCHED).any()


def test_half_precision_boxes(anchors):
    class_ids, boxes = _objects()
    half = _targets(AnchorTargetLayer(16, seed=0), [anchors, class_ids, boxes.astype("float16")])
    full = _targets(AnchorTargetLayer(16, seed=0), [anchors, class_ids, boxes])
    for output, expected in zip(half, full, strict=True):
        np.testing.assert_array_equal(output, expected)
