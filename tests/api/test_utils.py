"""`mrcnn.utils` but its `Dataset`: signatures, types and quirks that scripts lean on.

The numbers are compared with the peer implementation's in `tests/data` and `tests/evaluation`.
"""

import os

import numpy as np
import pytest

from mrcnn import utils
from tests.api.helpers import begins_with

MATCHES = "gt_boxes, gt_class_ids, gt_masks, pred_boxes, pred_class_ids, pred_scores, pred_masks"
SIGNATURES = {
    "gt_pred_lists": "gt_class_ids, gt_bboxes, pred_class_ids, pred_bboxes, iou_tresh=0.5",
    "plot_confusion_matrix_from_data": "y_test, predictions, columns=None, annot=True, cmap='Oranges', fmt='.2f', "
                                       "fz=11, lw=0.5, cbar=False, figsize=(36, 36)",
    "extract_bboxes": "mask",
    "compute_iou": "box, boxes, box_area, boxes_area",
    "compute_overlaps": "boxes1, boxes2",
    "compute_overlaps_masks": "masks1, masks2",
    "compute_matches": f"{MATCHES}, iou_threshold=0.5, score_threshold=0.0",
    "compute_ap": f"{MATCHES}, iou_threshold=0.5",
    "compute_ap_range": "gt_box, gt_class_id, gt_mask, pred_box, pred_class_id, pred_score, pred_mask, "
                        "iou_thresholds=None, verbose=1",
    "compute_recall": "pred_boxes, gt_boxes, iou",
    "resize_image": "image, min_dim=None, max_dim=None, min_scale=None, mode='square'",
    "resize_mask": "mask, scale, padding, crop=None",
    "minimize_mask": "bbox, mask, mini_shape",
    "expand_mask": "bbox, mini_mask, image_shape",
    "mold_mask": "mask, config",
    "unmold_mask": "mask, bbox, image_shape",
    "generate_anchors": "scales, ratios, shape, feature_stride, anchor_stride",
    "generate_pyramid_anchors": "scales, ratios, feature_shapes, feature_strides, anchor_stride",
    "norm_boxes": "boxes, shape",
    "denorm_boxes": "boxes, shape",
    "apply_box_deltas": "boxes, deltas",
    "box_refinement": "box, gt_box",
    "box_refinement_graph": "box, gt_box",
    "non_max_suppression": "boxes, scores, threshold",
    "batch_slice": "inputs, graph_fn, batch_size, names=None",
    "trim_zeros": "x",
    "resize": "image, output_shape, order=1, mode='constant', cval=0, clip=True, preserve_range=False, "
              "anti_aliasing=False, anti_aliasing_sigma=None",
    "download_trained_weights": "path, verbose=1",
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    begins_with(getattr(utils, name), SIGNATURES[name])


def test_every_name_is_public():
    assert {*SIGNATURES, "COCO_MODEL_URL", "Dataset"} <= set(utils.__all__)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
def test_extract_bboxes_is_int32_and_ends_outside(masks, dtype):
    masks, boxes = masks
    masks = np.concatenate([masks, np.zeros((40, 50, 1), bool)], axis=2)
    found = utils.extract_bboxes(masks.astype(dtype))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, [*boxes, [0, 0, 0, 0]])


def test_compute_iou_takes_areas():
    found = utils.compute_iou(np.array([0, 0, 2, 2]), np.array([[0, 0, 2, 1], [4, 4, 5, 5]]), 4, np.array([2, 1]))
    np.testing.assert_allclose(found, [0.5, 0])


def test_compute_overlaps_is_n1_by_n2(masks):
    _, boxes = masks
    assert utils.compute_overlaps(boxes, boxes[:2]).shape == (3, 2)


def test_compute_overlaps_masks_of_none_is_empty(masks):
    masks, _ = masks
    found = utils.compute_overlaps_masks(masks, masks[:, :, :0])
    assert found.shape == (3, 0) and utils.compute_overlaps_masks(masks, masks).shape == (3, 3)


def scored(masks, boxes):
    """Ground truth and predictions of it, the worst first, as the arguments of `compute_ap`."""
    ids = np.array([1, 2, 1])
    order = [2, 0, 1]
    return boxes, ids, masks, boxes[order], ids[order], np.array([0.3, 0.9, 0.6]), masks[:, :, order]


def test_compute_matches_counts_predictions_in_order_of_score(masks):
    gt_match, pred_match, overlaps = utils.compute_matches(*scored(*masks))
    assert gt_match.dtype == pred_match.dtype == np.float64 and overlaps.shape == (3, 3)
    assert gt_match.tolist() == [0, 1, 2] and pred_match.tolist() == [0, 1, 2]


def test_compute_matches_trims_padded_boxes(masks):
    masks, boxes = masks
    padded = np.concatenate([boxes, np.zeros((2, 4), np.int32)])
    more = np.concatenate([masks, np.zeros((40, 50, 2), bool)], axis=2)
    gt_match, _, overlaps = utils.compute_matches(padded, np.array([1, 2, 1, 0, 0]), more, *scored(masks, boxes)[3:])
    assert gt_match.shape == (3,) and overlaps.shape == (3, 3)


@pytest.mark.parametrize("more", [(), (0.5,)])
def test_compute_ap_of_seven_and_of_eight_arguments(masks, more):
    mean, precisions, recalls, overlaps = utils.compute_ap(*scored(*masks), *more)
    assert isinstance(mean, float) and mean == pytest.approx(1.0)
    assert len(precisions) == len(recalls) == 3 + 2 and overlaps.shape == (3, 3)


def test_compute_ap_without_ground_truth_is_a_number(masks):
    masks, boxes = masks
    nothing = (np.zeros((0, 4), np.int32), np.zeros(0, np.int32), np.zeros((40, 50, 0), bool))
    assert utils.compute_ap(*nothing, *scored(masks, boxes)[3:])[0] == 0
    assert utils.compute_ap(*nothing, *nothing[:2], np.zeros(0), nothing[2])[0] == 1


def test_compute_ap_range_prints_each_threshold(masks, capsys):
    mean = utils.compute_ap_range(*scored(*masks), iou_thresholds=np.array([0.5, 0.75]))
    assert isinstance(mean, float)
    assert capsys.readouterr().out.splitlines() == ["AP @0.50:\t 1.000", "AP @0.75:\t 1.000", "AP @0.50-0.75:\t 1.000"]
    utils.compute_ap_range(*scored(*masks), verbose=0)
    assert capsys.readouterr().out == ""


def test_compute_recall(masks):
    _, boxes = masks
    recall, positive_ids = utils.compute_recall(boxes[:2], boxes, 0.5)
    assert recall == pytest.approx(2 / 3) and positive_ids.tolist() == [0, 1]


def test_resize_image_returns_five_values_and_keeps_the_dtype():
    image = np.full((30, 60, 3), 7, np.uint8)
    resized, window, scale, padding, crop = utils.resize_image(image, min_dim=64, max_dim=128, mode="square")
    assert resized.shape == (128, 128, 3) and resized.dtype == np.uint8
    assert window == (32, 0, 96, 128) and scale == pytest.approx(128 / 60) and crop is None
    assert padding == [(32, 32), (0, 0), (0, 0)]


def test_resize_image_of_early_2018_returns_four_values():
    image = np.full((30, 60, 3), 7, np.uint8)
    resized, window, scale, padding = utils.resize_image(image, min_dim=64, max_dim=128, padding=True)
    assert resized.shape == (128, 128, 3) and window == (32, 0, 96, 128) and len(padding) == 3
    unpadded, window, _, padding = utils.resize_image(image, min_dim=64, max_dim=128, padding=False)
    assert unpadded.shape == (64, 128, 3) and window == (0, 0, 64, 128) and not np.any(padding)


def test_resize_mask_is_nearest(masks):
    masks, _ = masks
    resized = utils.resize_mask(masks, 2, [(3, 5), (0, 0), (0, 0)])
    assert resized.shape == (88, 100, 3) and resized.dtype == bool and not resized[:3].any()
    whole_numbers = utils.resize_mask(masks.astype(np.int64) * 7, 2, [(0, 0), (0, 0), (0, 0)])
    assert set(np.unique(whole_numbers)) == {0, 7}


def test_minimize_and_expand_mask_are_bool_and_inverse(masks):
    masks, boxes = masks
    small = utils.minimize_mask(boxes, masks, (28, 28))
    assert small.shape == (28, 28, 3) and small.dtype == bool
    whole = utils.expand_mask(boxes, small, (40, 50, 3))
    assert whole.dtype == bool and (whole == masks).all()


def test_minimize_mask_refuses_a_box_without_area(masks):
    masks, _ = masks
    with pytest.raises(Exception, match="Invalid bounding box with area of zero"):
        utils.minimize_mask(np.array([[3, 3, 3, 9]]), masks[:, :, :1], (28, 28))


def test_unmold_mask_cuts_at_one_half():
    whole = utils.unmold_mask(np.array([[0.4, 0.4], [0.6, 0.6]]), np.array([10, 10, 12, 12]), (20, 30, 3))
    assert whole.shape == (20, 30) and whole.dtype == bool
    assert np.argwhere(whole).tolist() == [[11, 10], [11, 11]]


def test_generate_anchors_go_by_row_column_and_ratio():
    anchors = utils.generate_anchors(16, [0.5, 1, 2], (2, 2), 4, 1)
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    np.testing.assert_allclose(centers, np.repeat([[0, 0], [0, 4], [4, 0], [4, 4]], 3, axis=0), atol=1e-9)
    heights = anchors[:3, 2] - anchors[:3, 0]
    np.testing.assert_allclose(heights, 16 / np.sqrt([0.5, 1, 2]))


def test_generate_pyramid_anchors_go_by_level():
    anchors = utils.generate_pyramid_anchors((16, 32), [1], [[2, 2], [1, 1]], [4, 8], 1)
    assert (anchors[:, 2] - anchors[:, 0]).tolist() == [16, 16, 16, 16, 32]


def test_norm_and_denorm_boxes():
    boxes = np.array([[0, 0, 100, 200], [10, 20, 31, 41]])
    normalised = utils.norm_boxes(boxes, (100, 200))
    assert normalised.dtype == np.float32 and normalised[0].tolist() == [0, 0, 1, 1]
    back = utils.denorm_boxes(normalised, (100, 200))
    assert back.dtype == np.int32 and (back == boxes).all()


def test_box_refinement_is_undone_by_apply_box_deltas(masks):
    _, boxes = masks
    moved = boxes + np.array([2, -1, 6, 3])
    deltas = utils.box_refinement(boxes, moved)
    assert deltas[0, 0] == pytest.approx(((moved[0, 0] + moved[0, 2]) - (boxes[0, 0] + boxes[0, 2])) / 2 / 16)
    np.testing.assert_allclose(utils.apply_box_deltas(boxes, deltas), moved, rtol=1e-5)


def test_box_refinement_graph_agrees(masks):
    _, boxes = masks
    moved = (boxes + np.array([2, -1, 6, 3])).astype(np.float32)
    found = np.asarray(utils.box_refinement_graph(boxes.astype(np.float32), moved))
    np.testing.assert_allclose(found, utils.box_refinement(boxes, moved), rtol=1e-5)


def test_non_max_suppression_gives_int32_indices(masks):
    _, boxes = masks
    boxes = np.concatenate([boxes, boxes[:1] + 1]).astype(float)
    kept = utils.non_max_suppression(boxes, np.array([0.5, 0.9, 0.7, 0.6]), 0.3)
    assert kept.dtype == np.int32 and kept.tolist() == [1, 2, 3]


def test_batch_slice_runs_each_image():
    rows, doubled = utils.batch_slice([np.arange(6.0).reshape(2, 3)], lambda x: (x, x * 2), 2, names=["a", "b"])
    np.testing.assert_array_equal(np.asarray(doubled), 2 * np.asarray(rows))


def test_trim_zeros():
    assert utils.trim_zeros(np.array([[0, 0, 0, 0], [0, 0, 1, 1]])).tolist() == [[0, 0, 1, 1]]


def test_mold_mask_follows_the_config(masks):
    from tests.small import SmallConfig

    assert utils.mold_mask(masks[0], SmallConfig()).shape == (28, 28, 3)


def test_resize_gives_fractions_of_the_range():
    image = np.full((10, 10, 3), 255, np.uint8)
    assert utils.resize(image, (10, 10)).max() == pytest.approx(1)
    assert utils.resize(image, (20, 20), preserve_range=True)[10, 10, 0] == pytest.approx(255)


def test_coco_model_url():
    assert utils.COCO_MODEL_URL.endswith("/mask_rcnn_coco.h5")


def test_download_trained_weights_leaves_an_existing_file(tmp_path):
    path = tmp_path / "mask_rcnn_coco.h5"
    path.write_bytes(b"here")
    utils.download_trained_weights(str(path))
    assert os.listdir(tmp_path) == ["mask_rcnn_coco.h5"] and path.read_bytes() == b"here"
