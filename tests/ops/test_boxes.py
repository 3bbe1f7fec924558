"""Box arithmetic: the peer's numbers, a plain restatement, boxes without area."""

import numpy as np
import pytest
from keras import ops

from mrcnn.configurations import TorchvisionMaskRCNN
from mrcnn.ops import boxes as box_ops
from tests.golden_torchvision import SWAPPED
from tests.oracle import boxes as oracle

pytestmark = pytest.mark.jax
LOG_LIMIT = TorchvisionMaskRCNN.BBOX_LOG_LIMIT


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_norm_boxes_like_the_peer(pure):
    shape = tuple(int(side) for side in pure["norm/shape"])
    boxes = box_ops.norm_boxes(pure["norm/boxes"], shape)
    np.testing.assert_allclose(_numpy(boxes), pure["norm/norm_boxes"], atol=1e-7)
    np.testing.assert_allclose(_numpy(box_ops.denorm_boxes(boxes, shape)), pure["norm/boxes"], atol=1e-4)


def test_norm_boxes_with_a_size_per_image():
    boxes_px = np.array([[[0, 0, 11, 21]], [[0, 0, 11, 21]]])
    height, width = np.array([[11.0], [21.0]]), np.array([[21.0], [41.0]])
    normalised = _numpy(box_ops.norm_boxes(boxes_px, (height, width)))
    np.testing.assert_allclose(normalised, [[[0, 0, 1, 1]], [[0, 0, 0.5, 0.5]]])


def test_iou_like_the_peer(pure):
    iou = _numpy(box_ops.iou_matrix(pure["iou/boxes1"], pure["iou/boxes2"]))
    np.testing.assert_allclose(iou, pure["iou/compute_overlaps"], atol=1e-6)
    np.testing.assert_allclose(iou, pure["graph/overlaps"], atol=1e-6)


def test_iou_like_the_oracle_in_any_leading_shape():
    corners = np.random.default_rng(0).uniform(0, 1, (2, 3, 7, 2, 2)).astype("float32")
    boxes = np.concatenate([corners.min(axis=-2), corners.max(axis=-2)], axis=-1)
    iou = _numpy(box_ops.iou_matrix(boxes, boxes[:, :, :4]))
    assert iou.shape == (2, 3, 7, 4)
    np.testing.assert_allclose(iou[1, 2], oracle.iou_matrix(boxes[1, 2], boxes[1, 2, :4]), atol=1e-6)


def test_clipping_leaves_only_numbers():
    deltas = np.array([[0.0, 0, 200, 0], [0, 0, 0, np.nan], [np.inf, 0, 0, 0]], "float32")
    boxes = box_ops.apply_deltas(np.tile([0.2, 0.2, 0.4, 0.4], (3, 1)), deltas)
    assert np.isnan(_numpy(boxes)).any(axis=1).tolist() == [True, True, False]
    clipped = _numpy(box_ops.clip_boxes(boxes, (0.0, 0.0, 1.0, 1.0)))
    assert ((clipped >= 0) & (clipped <= 1)).all()


def test_iou_of_empty_boxes_is_zero():
    empty = np.zeros((1, 2, 4), "float32")
    assert not _numpy(box_ops.iou_matrix(empty, empty)).any()


def test_deltas_like_the_peer(pure):
    boxes, gt = pure["delta/boxes"], pure["delta/gt"]
    deltas = _numpy(box_ops.encode_deltas(boxes, gt))
    np.testing.assert_allclose(deltas, pure["delta/box_refinement"], atol=1e-5)
    moved = _numpy(box_ops.apply_deltas(boxes, pure["delta/deltas"]))
    np.testing.assert_allclose(moved, pure["delta/apply_box_deltas"], rtol=1e-5, atol=1e-4)
    back = _numpy(box_ops.apply_deltas(boxes, box_ops.encode_deltas(boxes, gt)))
    np.testing.assert_allclose(back, gt, atol=1e-3)


def test_iou_like_torchvision(golden_torchvision):
    case = np.load(golden_torchvision / "ops_boxes.npz")
    iou = _numpy(box_ops.iou_matrix(case["iou_a"][:, SWAPPED], case["iou_b"][:, SWAPPED]))
    np.testing.assert_allclose(iou, case["iou"], atol=1e-6)


@pytest.mark.parametrize("name, weights", [("1", (1, 1, 1, 1)), ("10", (10, 10, 5, 5))])
def test_deltas_like_torchvision(golden_torchvision, name, weights):
    case = np.load(golden_torchvision / "ops_boxes.npz")
    boxes = case["prop"][:, SWAPPED]
    deltas = _numpy(box_ops.encode_deltas(boxes, case["ref"][:, SWAPPED]))[:, SWAPPED] * weights
    np.testing.assert_allclose(deltas, case[f"encode_{name}"], atol=1e-4)
    codes = (case["codes"].reshape(-1, 3, 4) / weights)[..., SWAPPED]
    moved = _numpy(box_ops.apply_deltas(np.repeat(boxes[:, None], 3, axis=1), codes, LOG_LIMIT))
    np.testing.assert_allclose(moved[..., SWAPPED], case[f"decode_{name}"].reshape(-1, 3, 4), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("box, gt", [((0, 0, 0, 1), (0, 0, 1, 1)), ((0, 0, 1, 1), (0.5, 0.5, 0.5, 0.2))])
def test_deltas_of_boxes_without_area_are_zero(box, gt):
    assert not _numpy(box_ops.encode_deltas(np.array([box], "float32"), np.array([gt], "float32"))).any()


def test_clip_like_the_peer(pure):
    clipped = box_ops.clip_boxes(pure["graph/clip_in"], (0.1, 0.0, 0.8, 1.0))
    boxes = pure["graph/clip_in"]
    low, high = np.array([0.1, 0, 0.1, 0]), np.array([0.8, 1, 0.8, 1])
    np.testing.assert_allclose(_numpy(clipped), np.clip(boxes, low, high), atol=1e-7)
    window = _numpy(box_ops.clip_boxes(np.stack([boxes, boxes]), np.array([[0, 0, 1, 1], [0.1, 0, 0.8, 1]])))
    np.testing.assert_allclose(window[1], _numpy(clipped))
    np.testing.assert_allclose(window[0], np.clip(boxes, 0, 1))
