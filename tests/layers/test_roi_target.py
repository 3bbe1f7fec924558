"""Second-stage targets by Fast R-CNN's rules: who is positive, how the sample fills, what objects' own boxes do."""

import numpy as np
import pytest
from keras import ops

from mrcnn.layers import detection_target
from mrcnn.layers.roi_target import RoiTargetLayer
from tests.harness import check_layer, input_gradients
from tests.oracle.boxes import iou_matrix

STD_DEV = np.array([0.1, 0.1, 0.2, 0.2])
HEIGHT, WIDTH = 65, 97
SCALE = np.array([HEIGHT - 1, WIDTH - 1, HEIGHT - 1, WIDTH - 1])
SHIFT = np.array([0, 0, 1, 1])


def _inputs(batch=2, proposals=40, slots=4, mask=(16, 16)):
    """Objects in all slots but the last; half of the proposals near objects, the last five are padding."""
    generator = np.random.default_rng(0)
    boxes = np.sort(generator.uniform(0, [40, 60], (batch, slots, 2, 2)), axis=2)
    boxes[:, :, 1] += 12
    boxes = np.round(boxes.reshape(batch, slots, 4))
    boxes[:, -1] = 0
    near = boxes[:, np.arange(proposals) % (slots - 1)] + generator.normal(0, 1, (batch, proposals, 4))
    far = np.sort(generator.uniform(0, [60, 90], (batch, proposals, 2, 2)), axis=2).reshape(batch, proposals, 4)
    rois = (np.where(np.arange(proposals)[:, None] % 2, near, far) - SHIFT) / SCALE
    rois[:, -5:] = 0
    ids = np.tile(np.array([*range(1, slots), 0], "int32"), (batch, 1))
    masks = generator.uniform(size=(batch, *mask, slots)) > 0.5
    meta = np.zeros((batch, 12 + slots), "float32")
    meta[:, 4:7] = HEIGHT, WIDTH, 3
    unread = np.zeros((batch, slots, 4), "float32")
    return [rois.astype("float32"), ids, unread, masks, boxes.astype("float32"), meta]


def _targets(layer, inputs):
    return [ops.convert_to_numpy(output) for output in layer(inputs)]


@pytest.mark.jax
def test_matches_like_torchvisions(golden_torchvision, monkeypatch):
    """Of recorded overlaps of objects with regions."""
    case = np.load(golden_torchvision / "ops_boxes.npz")
    overlaps = case["match_iou"].T[None]
    monkeypatch.setattr(detection_target, "iou_matrix", lambda *boxes: ops.convert_to_tensor(overlaps))
    _, regions, objects = overlaps.shape
    boxes = np.ones((1, regions, 4), "float32"), np.ones((1, objects), "int32"), np.ones((1, objects, 4), "float32")
    positive, negative, gt_ids = (ops.convert_to_numpy(value)[0] for value in detection_target.match_rois(*boxes))
    assert (positive != negative).all()
    np.testing.assert_array_equal(np.where(positive, gt_ids, -1), case["match_box"])


@pytest.mark.jax
def test_contract():
    outputs = check_layer(RoiTargetLayer(20, 0.25, (8, 6), STD_DEV, seed=1), _inputs())
    assert [output.shape for output in outputs] == [(2, 20, 4), (2, 20), (2, 20, 4), (2, 5, 8, 6)]


def test_positives_negatives_and_padding():
    """A sample larger than all candidates holds each of them once, with the label its overlaps give it."""
    inputs = _inputs()
    rois, class_ids, deltas, _ = _targets(RoiTargetLayer(60, 1.0, (8, 8), STD_DEV, seed=0), inputs)
    for image in range(2):
        boxes, ids = inputs[4][image], inputs[1][image]
        proposals = inputs[0][image][:-5] * SCALE + SHIFT
        candidates = np.concatenate([proposals, boxes[:-1]])
        overlaps = iou_matrix(candidates, boxes)
        overlaps[:, ids == 0] = -1
        positive = overlaps.max(axis=1) >= 0.5
        found = rois[image] * SCALE + SHIFT
        real = class_ids[image] >= 0
        assert real.sum() == len(candidates) and (class_ids[image] > 0).sum() == positive.sum() >= 3
        nearest = np.abs(found[real][:, None] - candidates[None]).max(-1)
        assert sorted(nearest.argmin(1)) == list(range(len(candidates))) and nearest.min(1).max() < 1e-3
        expected = np.where(positive, ids[overlaps.argmax(1)], 0)[nearest.argmin(1)]
        np.testing.assert_array_equal(class_ids[image][real], expected)
        assert not deltas[image][class_ids[image] <= 0].any() and not rois[image][~real].any()


def test_deltas_lead_to_the_object():
    inputs = _inputs()
    rois, class_ids, deltas, _ = _targets(RoiTargetLayer(60, 1.0, (8, 8), STD_DEV, seed=0), inputs)
    for image in range(2):
        for roi, class_id, delta in zip(rois[image], class_ids[image], deltas[image], strict=True):
            if class_id <= 0:
                continue
            box, move = roi * SCALE + SHIFT, delta * STD_DEV
            size = box[2:] - box[:2]
            center, size = box[:2] + size * (0.5 + move[:2]), size * np.exp(move[2:])
            moved = np.concatenate([center - size / 2, center + size / 2])
            np.testing.assert_allclose(moved, inputs[4][image][class_id - 1], atol=1e-3)


def test_no_more_positives_than_their_share_and_negatives_fill():
    _, class_ids, _, _ = _targets(RoiTargetLayer(16, 0.25, (8, 8), STD_DEV, seed=0), _inputs())
    assert ((class_ids > 0).sum(axis=1) == 4).all() and ((class_ids == 0).sum(axis=1) == 12).all()


def test_an_empty_image_gives_negatives():
    inputs = _inputs()
    inputs[1][:] = 0
    rois, class_ids, _, masks = _targets(RoiTargetLayer(16, 0.25, (8, 8), STD_DEV, seed=0), inputs)
    assert (class_ids == 0).all() and rois.any(axis=-1).all() and not masks.any()


def test_crowds_are_neither_found_nor_wrong():
    inputs = _inputs()
    inputs[1][:, 0] *= -1
    rois, class_ids, _, _ = _targets(RoiTargetLayer(60, 1.0, (8, 8), STD_DEV, seed=0), inputs)
    for image in range(2):
        found = rois[image][class_ids[image] >= 0] * SCALE + SHIFT
        others = class_ids[image][class_ids[image] >= 0] == 0
        assert iou_matrix(found[others], inputs[4][image][:1]).max() < 0.002
        assert 1 not in class_ids[image]


@pytest.mark.parametrize("mini", [True, False])
def test_masks_are_shares_of_the_object(mini):
    """An object that fills the upper half of its box; its own box is a candidate."""
    inputs = _inputs(batch=1)
    boxes = inputs[4]
    mask = np.zeros((1, 16, 16, 4), bool) if mini else np.zeros((1, HEIGHT, WIDTH, 4), bool)
    for slot, (y1, x1, y2, x2) in enumerate(boxes[0].astype(int)):
        if mini:
            mask[0, :8, :, slot] = True
        else:
            mask[0, y1 : (y1 + y2) // 2, x1:x2, slot] = True
    inputs[3] = mask
    rois, class_ids, _, masks = _targets(RoiTargetLayer(60, 1.0, (4, 4), STD_DEV, mini, seed=0), inputs)
    own = [np.abs(rois[0] * SCALE + SHIFT - box).max(-1).argmin() for box in boxes[0, :3]]
    for row in own:
        assert (masks[0, row, 0] > 0.9).all() and (masks[0, row, 3] < 0.1).all()
    layer = RoiTargetLayer(60, 1.0, (4, 4), STD_DEV, mini, binary_masks=True, seed=0)
    rois, class_ids, _, binary = _targets(layer, inputs)
    assert np.isin(binary, (0, 1)).all() and binary.any() and not binary[class_ids <= 0].any()


def test_gradient_is_stopped():
    layer = RoiTargetLayer(16, 0.25, (8, 8), STD_DEV, seed=0)
    assert not input_gradients(layer, _inputs(), None).any()
