"""Which cell of a region's heat map a keypoint falls into."""

import numpy as np
import pytest
from keras import ops

from mrcnn.layers.keypoint_target import KeypointTargetLayer
from tests.harness import check_layer

pytestmark = pytest.mark.jax
# A picture for which normalising changes no whole number.
HEIGHT = WIDTH = 129
SIDE = 56


def _inputs(boxes, keypoints, rois=None, class_ids=None):
    """One image's ground truth, regions equal to its boxes unless given; all (y1, x1, y2, x2) in pixels."""
    boxes = np.asarray(boxes, "float32")
    rois = boxes if rois is None else np.asarray(rois, "float32")
    meta = np.zeros((1, 12), "float32")
    meta[:, 4:7] = HEIGHT, WIDTH, 3
    ids = np.ones(len(rois), "int32") if class_ids is None else np.asarray(class_ids, "int32")
    normalised = (rois - [0, 0, 1, 1]) / (HEIGHT - 1)
    gt_ids = np.arange(1, len(boxes) + 1, dtype="int32")
    return [
        normalised[None].astype("float32"), ids[None], gt_ids[None], boxes[None],
        np.asarray(keypoints, "float32")[None], meta,
    ]  # fmt: skip


def _targets(*args, **kwargs):
    cells, counts = KeypointTargetLayer(SIDE)(_inputs(*args, **kwargs))
    return ops.convert_to_numpy(cells)[0], ops.convert_to_numpy(counts)[0]


def test_contract():
    points = np.random.default_rng(0).integers(0, 3, (2, 4, 3)) + [[[10, 10, 0]]]
    cells, counts = check_layer(KeypointTargetLayer(SIDE), _inputs([[8, 8, 40, 40], [9, 9, 50, 30]], points))
    assert cells.shape == counts.shape == (1, 2, 4) and (cells[~counts] == 0).all()


def test_cells_of_a_region():
    cells, counts = _targets([[8, 16, 64, 72]], [[[8, 16, 2], [9.5, 18.5, 1], [63.5, 71.5, 2], [64, 72, 2]]])
    assert cells.tolist() == [[0, SIDE + 2, SIDE * SIDE - 1, SIDE * SIDE - 1]] and counts.all()


def test_neither_outside_nor_without_annotation():
    _, counts = _targets([[8, 16, 64, 72]], [[[7.9, 20, 2], [20, 72.1, 2], [20, 20, 0], [20, 20, 1]]])
    assert counts.tolist() == [[False, False, False, True]]


def test_each_region_has_the_keypoints_of_the_object_it_overlaps_most():
    boxes = [[0, 0, 56, 56], [60, 60, 116, 116]]
    points = [[[10.5, 10.5, 2]], [[70.5, 80.5, 2]]]
    rois = [[60, 60, 116, 116], [2, 0, 58, 56], [0, 0, 0, 0], [60, 60, 116, 116]]
    cells, counts = _targets(boxes, points, rois, [2, 1, 1, 0])
    assert cells[:2, 0].tolist() == [10 * SIDE + 20, 8 * SIDE + 10]
    assert counts[:, 0].tolist() == [True, True, False, False]


def test_torchvision_chooses_the_same_cells(golden_torchvision):
    case = np.load(golden_torchvision / "ops_masks_keypoints.npz")
    boxes, points = case["kp_boxes"][:, [1, 0, 3, 2]], case["kp_gt"][..., [1, 0, 2]]
    for box, keypoints, cells, counts in zip(boxes, points, case["kp_heatmap_index"], case["kp_valid"], strict=True):
        found, valid = _targets([box], [keypoints])
        np.testing.assert_array_equal(valid[0], counts.astype(bool))
        np.testing.assert_array_equal(found[0], cells)
