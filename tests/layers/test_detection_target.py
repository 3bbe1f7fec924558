"""Second-stage targets: the peer's, a plain restatement, empty, full and crowded images."""

import keras
import numpy as np
import pytest
from keras import ops

from mrcnn.layers.detection_target import DetectionTargetLayer, match_rois
from tests.harness import check_layer, input_gradients
from tests.oracle import targets as oracle
from tests.oracle.boxes import iou_matrix

STD_DEV = np.array([0.1, 0.1, 0.2, 0.2])
RATIO = 0.33


def _targets(layer, inputs):
    return [ops.convert_to_numpy(output) for output in layer(inputs)]


def _inputs(batch=2, proposals=40, slots=4, mask=(16, 16)):
    """Objects in all slots but the last; half of the proposals near objects, the last five are padding."""
    generator = np.random.default_rng(0)
    corners = np.sort(generator.uniform(0, 1, (batch, slots, 2, 2)), axis=2)
    corners[:, :, 1] += 0.1
    boxes = corners.reshape(batch, slots, 4)
    boxes[:, -1] = 0
    near = boxes[:, np.arange(proposals) % (slots - 1)] + generator.normal(0, 0.02, (batch, proposals, 4))
    far = np.sort(generator.uniform(0, 1, (batch, proposals, 2, 2)), axis=2).reshape(batch, proposals, 4)
    rois = np.where(np.arange(proposals)[:, None] % 2, near, far)
    rois[:, -5:] = 0
    ids = np.tile(np.array([*range(1, slots), 0], "int32"), (batch, 1))
    masks = generator.uniform(size=(batch, *mask, slots)) > 0.5
    return [rois.astype("float32"), ids, boxes.astype("float32"), masks]


def _normalised(boxes_px):
    return ((boxes_px - np.array([0, 0, 1, 1])) / 127).astype("float32")


def _peer(golden, name):
    data = np.load(golden / f"{name}.npz")
    rois, boxes = data["out/rpn_rois"], _normalised(data["gt_boxes"])
    if "input_rois" in data:
        rois = _normalised(data["input_rois"])
    shape = data["target/mask_shape"]
    masks = np.unpackbits(data["target/mask"])[: np.prod(shape)].reshape(shape).astype("float32")
    inputs = [rois, data["gt_class_ids"], boxes, data["gt_masks"]]
    return inputs, [data["target/rois"], data["target/class_ids"], data["target/bbox"], masks]


def _check_like_the_peer(outputs, expected):
    rois, class_ids, deltas, masks = outputs
    np.testing.assert_allclose(rois, expected[0], atol=1e-6)
    np.testing.assert_array_equal(class_ids, expected[1])
    np.testing.assert_allclose(deltas, expected[2], atol=1e-5)
    slots = masks.shape[1]
    # Rounding of a sample that lies on a half, or on the border of a mask, is not the same everywhere.
    assert (masks != expected[3][:, :slots]).mean() < 1e-3 and not expected[3][:, slots:].any()


@pytest.mark.jax
@pytest.mark.parametrize("name", ["train_rpn", "train_rpn_stopgrad"])
def test_like_the_peer_in_its_order(golden, monkeypatch, name):
    """The peer's shuffle was replaced by the identity there: falling priorities do the same here."""

    def falling(shape, seed=None, **_):
        return ops.broadcast_to(ops.linspace(1.0, 0.0, int(shape[1]))[None], shape)

    monkeypatch.setattr(keras.random, "uniform", falling)
    inputs, expected = _peer(golden, name)
    _check_like_the_peer(_targets(DetectionTargetLayer(32, RATIO, (28, 28)), inputs), expected)


@pytest.mark.parametrize("name", ["train_rois", "train_rois_inactive"])
def test_like_the_peer_in_any_order(golden, name):
    """Every candidate is taken there, in the peer's random order: compare rows sorted by their box."""
    inputs, expected = _peer(golden, name)
    outputs = _targets(DetectionTargetLayer(32, RATIO, (28, 28), seed=0), inputs)
    for image in range(2):
        ours, peers = ([array[image] for array in arrays] for arrays in (outputs, expected))
        count = int((peers[1] > 0).sum())
        negatives = int((peers[0].any(axis=1)).sum()) - count
        assert (ours[1] > 0).sum() == count and ours[0].any(axis=1).sum() - count == negatives
        order, peer_order = (np.lexsort(rows[0][:count].round(5).T) for rows in (ours, peers))
        for own, peer in zip(ours, peers, strict=True):
            np.testing.assert_allclose(own[:count][order], peer[:count][peer_order], atol=1e-5)
        own, peer = (rows[0][count : count + negatives] for rows in (ours, peers))
        assert {tuple(row) for row in own.round(5)} == {tuple(row) for row in peer.round(5)}


@pytest.mark.jax
@pytest.mark.parametrize("mini", [True, False])
def test_contract_and_oracle(mini):
    inputs = _inputs()
    layer = DetectionTargetLayer(24, RATIO, (7, 6), use_mini_mask=mini, seed=1)
    rois, class_ids, deltas, masks = check_layer(layer, inputs)
    proposals, gt_ids, gt_boxes, gt_masks = inputs
    assert rois.shape == (2, 24, 4) and masks.shape == (2, 7, 7, 6) and set(np.unique(masks)) <= {0, 1}
    for image in range(2):
        positives, negatives, assigned = oracle.match_rois(proposals[image], gt_ids[image], gt_boxes[image])
        count = min(7, len(positives))
        wanted = min(int(count / RATIO) - count, len(negatives))
        assert count and (class_ids[image] > 0).tolist() == [True] * count + [False] * (24 - count)
        assert rois[image].any(axis=1).tolist() == [True] * (count + wanted) + [False] * (24 - count - wanted)
        row_of = {tuple(row): i for i, row in enumerate(proposals[image])}
        chosen = [row_of[tuple(row)] for row in rois[image, : count + wanted]]
        assert set(chosen[:count]) <= set(positives) and set(chosen[count:]) <= set(negatives)
        assert len(set(chosen)) == len(chosen)
        for slot, roi_id in enumerate(chosen[:count]):
            gt = assigned[roi_id]
            assert class_ids[image, slot] == gt_ids[image, gt]
            expected = oracle.anchor_deltas(proposals[image, roi_id], gt_boxes[image, gt], STD_DEV)
            np.testing.assert_allclose(deltas[image, slot], expected, atol=1e-4)
            mask = gt_masks[image, :, :, gt]
            target = oracle.mask_target(mask, proposals[image, roi_id], gt_boxes[image, gt], (7, 6), mini)
            np.testing.assert_array_equal(masks[image, slot], target)
        assert not deltas[image, count:].any() and not masks[image, count:].any()


def test_matching_like_the_oracle_with_a_crowd():
    proposals, ids, boxes, _ = _inputs()
    ids[:, 1] = -1
    outputs = match_rois(*map(ops.convert_to_tensor, (proposals, ids, boxes)))
    positive, negative, gt_ids = map(ops.convert_to_numpy, outputs)
    for image in range(2):
        positives, negatives, assigned = oracle.match_rois(proposals[image], ids[image], boxes[image])
        np.testing.assert_array_equal(np.flatnonzero(positive[image]), positives)
        np.testing.assert_array_equal(np.flatnonzero(negative[image]), negatives)
        np.testing.assert_array_equal(gt_ids[image][positives], assigned[positives])
        assert 0 < len(negatives) < 30


@pytest.mark.jax
def test_an_image_without_objects_gives_negatives_alone():
    proposals, _, _, masks = _inputs()
    inputs = [proposals, np.zeros((2, 4), "int32"), np.zeros((2, 4, 4), "float32"), masks]
    outputs = _targets(DetectionTargetLayer(24, RATIO, (7, 7), seed=0), inputs)
    rois, class_ids, deltas, target_masks = outputs
    assert rois.any(axis=-1).all()
    assert not class_ids.any() and not deltas.any() and not target_masks.any()


def test_objects_that_no_proposal_meets_give_padding_alone():
    """The peer keeps the ratio of negatives to positives: none without a positive."""
    proposals = np.tile(np.array([0.8, 0.8, 0.9, 0.9], "float32"), (1, 30, 1))
    boxes = np.array([[[0.1, 0.1, 0.3, 0.3]]], "float32")
    inputs = [proposals, np.array([[1]], "int32"), boxes, np.ones((1, 8, 8, 1), bool)]
    rois, class_ids, _, _ = _targets(DetectionTargetLayer(12, RATIO, (7, 7)), inputs)
    assert not rois.any() and not class_ids.any()


def test_a_full_image_fills_the_sample():
    proposals = np.tile(np.array([0.1, 0.1, 0.3, 0.3], "float32"), (1, 60, 1))
    proposals[:, 30:] += 0.5
    boxes = np.array([[[0.1, 0.1, 0.3, 0.3]] * 3], "float32")
    inputs = [proposals, np.array([[1, 2, 3]], "int32"), boxes, np.ones((1, 8, 8, 3), bool)]
    rois, class_ids, _, masks = _targets(DetectionTargetLayer(24, RATIO, (7, 7)), inputs)
    assert class_ids[0].tolist() == [1] * 7 + [0] * 17, "the first of equal objects"
    assert rois[0].any(axis=1).sum() == 7 + int(7 / RATIO) - 7 and masks.all()


def test_a_crowd_alone_takes_no_part():
    proposals, ids, boxes, masks = _inputs()
    inputs = [proposals, np.where(ids != 0, -1, 0), boxes, masks]
    rois, class_ids, _, _ = _targets(DetectionTargetLayer(24, RATIO, (7, 7)), inputs)
    assert not class_ids.any()
    for image in range(2):
        crowd = boxes[image][ids[image] != 0]
        sampled = rois[image][rois[image].any(axis=1)]
        assert (iou_matrix(sampled, crowd) < 0.001).all()


def test_fewer_proposals_than_asked_for():
    inputs = _inputs()
    inputs[0] = inputs[0][:, :6]
    rois, *_ = check_layer(DetectionTargetLayer(24, RATIO, (7, 7), seed=0), inputs)
    assert rois.shape == (2, 24, 4) and not rois[:, 6:].any()


def test_proposals_normalised_from_rows_of_zeros_are_padding():
    inputs = _inputs()
    inputs[0][:] = np.array([0, 0, -1 / 127, -1 / 127], "float32")
    inputs[1][:] = 0
    assert not _targets(DetectionTargetLayer(24, RATIO, (7, 7)), inputs)[0].any()


def test_the_draw_follows_the_seed_and_moves_on():
    inputs = _inputs()
    layer, twin = (DetectionTargetLayer(12, RATIO, (7, 7), seed=5) for _ in range(2))
    first, second = _targets(layer, inputs)[0], _targets(layer, inputs)[0]
    np.testing.assert_array_equal(first, _targets(twin, inputs)[0])
    assert (first != second).any()


def test_no_gradient():
    assert not input_gradients(DetectionTargetLayer(24, RATIO, (7, 7), seed=0), _inputs()).any()


def test_half_precision_boxes_give_float32():
    proposals, ids, boxes, masks = _inputs()
    half = [proposals.astype("float16"), ids, boxes.astype("float16"), masks]
    full = [half[0].astype("float32"), ids, half[2].astype("float32"), masks]
    from_half = _targets(DetectionTargetLayer(24, RATIO, (7, 7), seed=0), half)
    from_full = _targets(DetectionTargetLayer(24, RATIO, (7, 7), seed=0), full)
    for output, expected in zip(from_half, from_full, strict=True):
        assert output.dtype == expected.dtype
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("ratio", [0, 1.5, 0.01])
def test_wrong_ratios_are_named(ratio):
    with pytest.raises(ValueError, match="ROI_POSITIVE_RATIO"):
        DetectionTargetLayer(24, ratio, (7, 7))
